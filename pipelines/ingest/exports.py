"""Files as people have them → tables of text with file and line kept.

A path may be a file, a folder (read recursively in sorted order, without hidden files and without any folder named
``truth``) or a zip of files. What a file is comes from its first bytes, then from its name's ending. A workbook gives
one table per sheet that holds anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fastexcel
import polars as pl
import pyarrow
import pyarrow.parquet

from pipelines.errors import FileError
from pipelines.ingest.delimited import LINE, MAX_COLUMNS, Batch, Ragged, as_utf8, digest, find_header, read_batches

BATCH_ROWS = 100_000
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


@dataclass(frozen=True)
class Export:
    """One table: header as written, and its rows as often as asked for.

    ``keys`` name the columns of every batch: the header without case, spaces and punctuation, made unique.
    ``machine_numbers``: keys whose cells are numbers by type, so that their decimal sign is a point for certain.
    ``is_from_collection``: found in a folder, zip or workbook rather than named by a person.
    """

    file_name: str
    sha256: str
    header: tuple[str, ...]
    keys: tuple[str, ...]
    batches: Callable[[], Iterator[Batch]]
    machine_numbers: frozenset[str] = frozenset()
    is_from_collection: bool = False


@dataclass(frozen=True)
class Refused:
    """A file that gives no table, and why. ``is_skipped``: it never claimed to be one."""

    file_name: str
    sha256: str | None
    error: FileError
    is_skipped: bool = False


def key_of(header: str) -> str:
    """A header without case, spaces and punctuation: ``Close Date``, ``CLOSE_DATE`` and ``CloseDate`` are one."""
    return re.sub(r"[\W_]+", "", header.casefold())


def keys_of(header: tuple[str, ...]) -> tuple[str, ...]:
    """Unique keys: an unnamed column gets its position, a repeated one its occurrence; mappings use neither."""
    seen: dict[str, int] = {}
    keys = []
    for position, cell in enumerate(header, start=1):
        key = key_of(cell) or f"#{position}"
        seen[key] = seen.get(key, 0) + 1
        keys.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return tuple(keys)


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
        yield from _open_workbook(path, name, sha256)
    elif start.startswith(b"PAR1") or path.suffix.lower() == ".parquet":
        yield _open_parquet(path, name, sha256)
    elif path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        yield _open_json_lines(path, name, spool, sha256)
    else:
        text = as_utf8(path, name, spool)
        layout = find_header(text, name)
        keys = keys_of(layout.header)
        yield Export(name, sha256, layout.header, keys, partial(read_batches, text, layout, keys, name, set()))


# Zips and workbooks


def _open_zip_or_workbook(path: Path, name: str, spool: Path, sha256: str, depth: int) -> Iterator[Export | Refused]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if "[Content_Types].xml" in names and any(member.startswith("xl/") for member in names):
                _check_expansion(
                    name, sum(member.file_size for member in members), path.stat().st_size, MAX_WORKBOOK_BYTES
                )
                yield from _open_workbook(path, name, sha256)
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


def _open_workbook(path: Path, name: str, sha256: str) -> Iterator[Export | Refused]:
    try:
        book = fastexcel.read_excel(path)
        sheets = {sheet: _read_sheet(book, sheet) for sheet in book.sheet_names}
    except fastexcel.FastExcelError as error:
        reason = "it is protected by a password" if "assword" in str(error) else "it is damaged or of another format"
        raise FileError(
            f"{name} cannot be read as an Excel workbook: {reason}.",
            "Save it again as .xlsx without a password, or as CSV.",
        ) from error
    filled = {sheet: frame for sheet, frame in sheets.items() if frame.height}
    if not filled:
        raise FileError(f"{name} is a workbook without anything in it.", "Export the table again, with its header row.")
    for sheet, frame in filled.items():
        alone = len(filled) == 1
        label = name if alone else f"{name}[{sheet}]"
        # Sheets of one file are several loads; each needs its own digest for the ledger.
        own = sha256 if alone else hashlib.sha256(f"{sha256}\0{sheet}".encode()).hexdigest()
        try:
            yield _sheet_export(book, sheet, frame, label, own, alone=alone)
        except FileError as error:
            yield Refused(label, own, error)


def _read_sheet(book: fastexcel.ExcelReader, sheet: str) -> pl.DataFrame:
    return book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_polars()


def _sheet_export(
    book: fastexcel.ExcelReader, sheet: str, cells: pl.DataFrame, name: str, sha256: str, *, alone: bool
) -> Export:
    filled = cells.select(pl.sum_horizontal(pl.all().is_not_null()).alias("n"))["n"]
    candidates = (filled >= 2).arg_true()
    if not len(candidates):
        raise FileError(
            f"{name} has no header row with two or more columns.", "Put the table's column names in one row."
        )
    at = int(candidates[0])
    header = tuple((cell or "").strip() for cell in cells.row(at))
    if len(header) > MAX_COLUMNS:
        raise FileError(f"{name} has {len(header):,} columns.", f"A table may have {MAX_COLUMNS:,}; export fewer.")
    keys = keys_of(header)
    body = cells.slice(at + 1)
    body.columns = list(keys)
    body = body.with_columns(pl.int_range(at + 2, at + 2 + body.height, dtype=pl.Int64).alias(LINE))
    body = body.filter(pl.any_horizontal(pl.col(list(keys)).is_not_null()))
    typed = book.load_sheet(sheet, header_row=None, skip_rows=at + 1).to_polars() if body.height else pl.DataFrame()
    numbers = frozenset(key for key, dtype in zip(keys, typed.dtypes, strict=False) if dtype.is_numeric())
    return Export(name, sha256, header, keys, partial(_slices, body), numbers, is_from_collection=not alone)


def _slices(frame: pl.DataFrame) -> Iterator[Batch]:
    for part in frame.iter_slices(BATCH_ROWS):
        yield Batch(part)


# JSON lines


class _Number(str):
    """A number's own digits: floats never pass through binary."""

    __slots__ = ()


def _open_json_lines(path: Path, name: str, spool: Path, sha256: str) -> Export:
    text = as_utf8(path, name, spool)
    header: dict[str, bool] = {}
    for _line, record in _json_records(text.path, text.offset):
        if record is None:
            if not header:
                raise FileError(
                    f"{name} is not JSON lines: its first line is not one object.",
                    "Write one JSON object on each line.",
                )
            continue
        for field, value in record.items():
            header[field] = header.get(field, True) and (value is None or isinstance(value, _Number))
        if len(header) > MAX_COLUMNS:
            raise FileError(f"{name} has more than {MAX_COLUMNS:,} fields.", "Export only the contract's columns.")
    if not header:
        raise FileError(f"{name} holds no objects.", "Write one JSON object on each line.")
    names = tuple(header)
    keys = keys_of(names)
    numbers = frozenset(key for key, field in zip(keys, names, strict=True) if header[field])
    return Export(name, sha256, names, keys, partial(_json_batches, text.path, text.offset, names, keys), numbers)


def _json_records(path: Path, offset: int) -> Iterator[tuple[int, dict[str, str | None] | None]]:
    with path.open("rb") as stream:
        stream.seek(offset)
        for line, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            try:
                value = json.loads(raw, parse_int=_Number, parse_float=_Number, parse_constant=str)
            except (ValueError, RecursionError):
                yield line, None
                continue
            yield line, _flat(value) if isinstance(value, dict) else None


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str | None]:
    """Nested objects as dotted names, lists as their JSON text."""
    flat: dict[str, str | None] = {}
    for field, item in value.items():
        if isinstance(item, dict):
            flat.update(_flat(item, f"{prefix}{field}."))
        elif item is None or isinstance(item, str):
            flat[prefix + field] = item
        else:
            flat[prefix + field] = json.dumps(item)
    return flat


def _json_batches(path: Path, offset: int, names: tuple[str, ...], keys: tuple[str, ...]) -> Iterator[Batch]:
    rows: list[tuple[int, dict[str, str | None]]] = []
    ragged: list[Ragged] = []
    for line, record in _json_records(path, offset):
        if record is None:
            ragged.append(Ragged(line, (), "not_json"))
        else:
            rows.append((line, record))
        if len(rows) + len(ragged) >= BATCH_ROWS:
            yield _json_batch(rows, ragged, names, keys)
            rows, ragged = [], []
    if rows or ragged:
        yield _json_batch(rows, ragged, names, keys)


def _json_batch(
    rows: list[tuple[int, dict[str, str | None]]], ragged: list[Ragged], names: tuple[str, ...], keys: tuple[str, ...]
) -> Batch:
    columns = [
        pl.Series(key, [record.get(name) for _, record in rows], dtype=pl.String)
        for key, name in zip(keys, names, strict=True)
    ]
    return Batch(pl.DataFrame([*columns, pl.Series(LINE, [line for line, _ in rows], dtype=pl.Int64)]), tuple(ragged))


# Parquet


def _open_parquet(path: Path, name: str, sha256: str) -> Export:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = pl.from_arrow(file.schema_arrow.empty_table())
    except pyarrow.ArrowException as error:
        raise FileError(f"{name} is not a whole Parquet file.", "Export or copy it again.") from error
    if not isinstance(schema, pl.DataFrame):
        raise FileError(f"{name} holds no table.", "Export it again.")
    names = tuple(column for column, dtype in schema.schema.items() if not dtype.is_nested() and dtype != pl.Binary)
    if not 2 <= len(names) <= MAX_COLUMNS:
        raise FileError(f"{name} has {len(names):,} usable columns.", "Export the contract's columns, as plain values.")
    keys = keys_of(names)
    numbers = frozenset(key for key, column in zip(keys, names, strict=True) if schema.schema[column].is_numeric())
    return Export(name, sha256, names, keys, partial(_parquet_batches, path, names, keys, name), numbers)


def _parquet_batches(path: Path, names: tuple[str, ...], keys: tuple[str, ...], name: str) -> Iterator[Batch]:
    line = 1
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for part in file.iter_batches(BATCH_ROWS, columns=list(names)):
                frame = pl.DataFrame(pl.from_arrow(part)).select(names)
                text = frame.select(
                    _as_text(column, dtype).alias(key)
                    for (column, dtype), key in zip(frame.schema.items(), keys, strict=True)
                )
                yield Batch(text.with_columns(pl.int_range(line, line + frame.height, dtype=pl.Int64).alias(LINE)))
                line += frame.height
    except pyarrow.ArrowException as error:
        raise FileError(f"{name} is damaged after row {line - 1:,}.", "Export or copy it again.") from error


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        utc = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else value
        return utc.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    return value.cast(pl.String)
