"""Files as people have them → tables of text with file and line kept.

A path may be a file, a folder (read recursively in sorted order, without hidden files and without any folder named
``truth``) or a zip of files. What a file is comes from its first bytes, then from its name's ending. A workbook gives
one table per sheet that holds anything.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipelines.errors import FileError
from pipelines.ingest.delimited import as_utf8, digest, find_header, read_batches
from pipelines.ingest.formats import Export, Refused, keys_of, open_json_lines, open_parquet, open_workbook

MAX_UNZIPPED_BYTES = 16 << 30
MAX_WORKBOOK_BYTES = 2 << 30
SUSPICIOUS_RATIO = 300
SUSPICIOUS_BYTES = 64 << 20
MAX_ZIP_DEPTH = 2
TABLE_SUFFIXES = frozenset(
    {
        ".csv",
        ".tsv",
        ".tab",
        ".txt",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".xlsb",
        ".jsonl",
        ".ndjson",
        ".json",
        ".parquet",
        ".zip",
    }
)
SKIPPED_FOLDER = "truth"
FORMATS = "Give a CSV, TSV, Excel, JSON lines or Parquet file, or a zip of such files."
FOREIGN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
}


def open_exports(path: Path, spool: Path) -> Iterator[Export | Refused]:
    """Every table under ``path``; a file that cannot be read comes as ``Refused`` and does not stop the rest."""
    if not path.is_dir():
        name = path.name.encode("utf-8", "replace").decode("utf-8")
        yield from _open_one(path, name, spool, is_from_collection=False)
        return
    try:
        files = list(_files_under(path))
    except OSError as error:
        name = Path(error.filename or path).name
        yield Refused(
            name, None, FileError(f"The folder {name} cannot be read: {error.strerror}.", "Check its permissions.")
        )
        return
    for file in files:
        # A name that is no valid text could be neither shown nor stored.
        name = file.relative_to(path).as_posix().encode("utf-8", "replace").decode("utf-8")
        if file.suffix.lower() not in TABLE_SUFFIXES:
            problem = FileError(f"{name} is not a table by its name.", FORMATS)
            yield Refused(name, None, problem, is_skipped=True)
        else:
            yield from _open_one(file, name, spool, is_from_collection=True)
    if not files:
        yield Refused(path.name, None, FileError(f"The folder {path.name} holds no files.", FORMATS))


def _files_under(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.startswith((".", "~$")):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if entry.name.lower() != SKIPPED_FOLDER:
                yield from _files_under(entry)
        else:
            yield entry


def _open_one(
    path: Path, name: str, spool: Path, *, is_from_collection: bool, depth: int = 0
) -> Iterator[Export | Refused]:
    sha256: str | None = None
    try:
        _check_plain_file(path, name, is_from_collection=is_from_collection)
        sha256 = digest(path)
        for export in _open_format(path, name, spool, sha256, depth):
            if isinstance(export, Export) and is_from_collection and not export.is_from_collection:
                yield Export(**{**export.__dict__, "is_from_collection": True})
            else:
                yield export
    except FileError as error:
        yield Refused(name, sha256, error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        yield Refused(
            name, sha256, FileError(f"{name} cannot be read: {reason}.", "Check the file and its permissions.")
        )


def _check_plain_file(path: Path, name: str, *, is_from_collection: bool) -> None:
    if path.is_symlink() and (is_from_collection or not path.exists()):
        raise FileError(
            f"{name} is a symbolic link, which may lead anywhere or nowhere.", "Put the file itself in its place."
        )
    if not path.exists():
        raise FileError(f"{name} does not exist.", "Check the path and run again.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileError(f"{name} is not a regular file.", FORMATS)
    if not os.access(path, os.R_OK):
        raise FileError(f"{name} may not be read by this user.", "Change its permissions and run again.")


def _open_format(path: Path, name: str, spool: Path, sha256: str, depth: int) -> Iterator[Export | Refused]:
    with path.open("rb") as stream:
        start = stream.read(8)
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise FileError(f"{name} is {kind}, not a table.", FORMATS)
    if start.startswith(b"PK") or path.suffix.lower() in {".zip", ".xlsx", ".xlsm", ".xlsb"}:
        yield from _open_zip_or_workbook(path, name, spool, sha256, depth)
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        yield from open_workbook(path, name, sha256)
    elif start.startswith(b"PAR1") or path.suffix.lower() == ".parquet":
        yield open_parquet(path, name, sha256)
    elif path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        yield open_json_lines(path, name, spool, sha256)
    else:
        text = as_utf8(path, name, spool)
        layout = find_header(text, name)
        keys = keys_of(layout.header)
        yield Export(name, sha256, layout.header, keys, partial(read_batches, text, layout, keys, name, set()))


def _open_zip_or_workbook(path: Path, name: str, spool: Path, sha256: str, depth: int) -> Iterator[Export | Refused]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if "[Content_Types].xml" in names and any(member.startswith("xl/") for member in names):
                _check_expansion(
                    name, sum(member.file_size for member in members), path.stat().st_size, MAX_WORKBOOK_BYTES
                )
                yield from open_workbook(path, name, sha256)
                return
            if depth >= MAX_ZIP_DEPTH:
                raise FileError(f"{name} is a zip inside a zip inside a zip.", "Unpack it first and ingest the folder.")
            yield from _open_members(archive, name, spool, depth)
    except (zipfile.BadZipFile, EOFError) as error:
        raise FileError(
            f"{name} is not a whole zip file or workbook: it is damaged or was cut short.", "Export or copy it again."
        ) from error


def _check_expansion(name: str, unpacked: int, packed: int, limit: int) -> None:
    if unpacked > limit or (unpacked > SUSPICIOUS_BYTES and unpacked > SUSPICIOUS_RATIO * max(packed, 1)):
        raise FileError(
            f"{name} unpacks to more than its size can honestly hold: {unpacked >> 20:,} MB from {packed >> 10:,} kB.",
            "If it is genuine, unpack it yourself and ingest the files.",
        )


def _open_members(archive: zipfile.ZipFile, name: str, spool: Path, depth: int) -> Iterator[Export | Refused]:
    members = [member for member in sorted(archive.infolist(), key=lambda item: item.filename) if _is_wanted(member)]
    if not members:
        raise FileError(f"{name} is a zip without any file in it.", FORMATS)
    total = 0
    for member in members:
        label = f"{name}/{member.filename}"
        suffix = Path(member.filename).suffix.lower()
        if suffix not in TABLE_SUFFIXES:
            problem = FileError(f"{label} is not a table by its name.", FORMATS)
            yield Refused(label, None, problem, is_skipped=True)
            continue
        # The name inside a zip is a label only; where it is unpacked is our own choice, so "../" leads nowhere.
        target = spool / f"member-{depth}-{len(list(spool.iterdir()))}{suffix}"
        try:
            total += _unpack(archive, member, label, target, total)
        except FileError as error:
            yield Refused(label, None, error)
            continue
        yield from _open_one(target, label, spool, is_from_collection=True, depth=depth + 1)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.replace("\\", "/").split("/")
    hidden = any(part.startswith((".", "~$", "__MACOSX")) and part not in {".", ".."} for part in parts)
    return not member.is_dir() and not hidden and SKIPPED_FOLDER not in [part.lower() for part in parts[:-1]]


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, label: str, target: Path, before: int) -> int:
    """Bytes written. They are counted as they come: the size a zip declares proves nothing."""
    if member.flag_bits & 1:
        raise FileError(f"{label} is protected by a password.", "Unpack it yourself and ingest the files.")
    written = 0
    try:
        with archive.open(member) as source, target.open("wb") as out:
            while chunk := source.read(1 << 20):
                written += len(chunk)
                _check_expansion(label, written, member.compress_size, MAX_UNZIPPED_BYTES - before)
                out.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        target.unlink(missing_ok=True)
        raise FileError(f"{label} is damaged inside the zip: {error}.", "Make the zip again.") from error
    except FileError:
        target.unlink(missing_ok=True)
        raise
    return written
