"""Delimited text → text columns, with the physical line each record starts on.

Encoding: a byte-order mark decides; else strict UTF-8; else Windows-1252 if the bytes make sense in it; else an error.
Delimiter: whichever of comma, semicolon, tab and bar gives the header most fields.

Blocks of whole lines go to polars when every line is one well-formed record (the usual case, quoted or not); any other
block goes through Python's csv module, which alone knows about line breaks inside quotes. Both roads give the same
records and the same lines.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from pipelines.errors import FileError

LINE = "__line__"
BLOCK_BYTES = 8 << 20
LONGEST_LINE_BYTES = 16 << 20
MAX_COLUMNS = 2_000
DELIMITERS = (",", ";", "\t", "|")
HEADER_SEARCH_RECORDS = 10
SAVE_AS_UTF8 = "Save it again as CSV UTF-8 and ingest that."


@dataclass(frozen=True)
class Ragged:
    """A record that does not have the header's number of fields, or cannot be read at all."""

    line: int
    fields: tuple[str, ...]
    rule: str = "wrong_number_of_fields"


@dataclass(frozen=True)
class Batch:
    """Part of a table: ``frame`` has one String column per key and ``__line__``; ``ragged`` what did not fit."""

    frame: pl.DataFrame
    ragged: tuple[Ragged, ...] = ()


@dataclass(frozen=True)
class TextFile:
    """A file known to be UTF-8 from ``offset`` on."""

    path: Path
    offset: int


@dataclass(frozen=True)
class Layout:
    """Where a delimited file's header is and how it is delimited."""

    header: tuple[str, ...]
    delimiter: str
    body_offset: int
    body_line: int


def digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_utf8(path: Path, name: str, spool: Path) -> TextFile:
    """Decide the encoding by reading the whole file once; anything but UTF-8 is written to ``spool`` as UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        raise FileError(f"{name} is empty.", "Export the table again, with its header row, and ingest that file.")
    if start.startswith(codecs.BOM_UTF8):
        _check_utf8(path, name)
        return TextFile(path, 3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _transcode(path, name, "utf-16", spool)
    if _has_control_bytes(path):
        raise FileError(
            f"{name} is not text: it holds bytes that no table contains.",
            "Give a CSV, TSV, Excel, JSON lines or Parquet file, or a zip of such files.",
        )
    try:
        _check_utf8(path, name)
    except FileError as not_utf8:
        _check_windows_1252(path, not_utf8)
        return _transcode(path, name, "cp1252", spool)
    return TextFile(path, 0)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(BLOCK_BYTES):
            yield chunk


def _has_control_bytes(path: Path) -> bool:
    first = True
    for chunk in _chunks(path):
        if b"\0" in chunk or (first and re.search(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]", chunk[:65536])):
            return True
        first = False
    return False


def _check_utf8(path: Path, name: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
            lines += _count(chunk, b"\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n")
        raise FileError(
            f"{name} is neither UTF-8 nor Windows-1252 text: line {line} has byte 0x{error.object[error.start]:02X}.",
            SAVE_AS_UTF8,
        ) from error


def _check_windows_1252(path: Path, not_utf8: FileError) -> None:
    """Bytes undefined in Windows-1252 refuse it; so do UTF-8 pairs, which mean that two encodings were mixed."""
    seen = high = 0
    for chunk in _chunks(path):
        if re.search(rb"[\x81\x8d\x8f\x90\x9d]|[\xc2\xc3][\x80-\xbf]", chunk):
            raise not_utf8
        seen += len(chunk)
        high += len(chunk) - len(chunk.translate(None, bytes(range(128, 256))))
    # Western European text has a few accents in a hundred letters; half of all bytes means another alphabet.
    if high * 3 > seen:
        raise not_utf8


def _transcode(path: Path, name: str, encoding: str, spool: Path) -> TextFile:
    decoder = codecs.getincrementaldecoder(encoding)()
    target = spool / f"{len(list(spool.iterdir()))}.utf8"
    try:
        with target.open("wb") as out:
            for chunk in _chunks(path):
                out.write(decoder.decode(chunk).encode("utf-8"))
            out.write(decoder.decode(b"", final=True).encode("utf-8"))
    except UnicodeError as error:
        raise FileError(f"{name} begins like {encoding.upper()} but is broken further on.", SAVE_AS_UTF8) from error
    return TextFile(target, 0)


class _Lines:
    """Physical lines as text, counted; more are read from the stream only while a record is still open."""

    def __init__(self, block: bytes, stream: BinaryIO, name: str) -> None:
        self._waiting = iter(_split_lines(block))
        self._stream = stream
        self._name = name
        self.count = 0
        self.is_exhausted = False
        self.is_block_done = False
        self._ahead = next(self._waiting, None)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._ahead
        if line is None:
            more = read_line(self._stream, self._name)
            if not more:
                self.is_exhausted = True
                raise StopIteration
            pieces = _split_lines(more)
            line, rest = pieces[0], pieces[1:]
            self._waiting = iter(rest)
        self._ahead = next(self._waiting, None)
        self.is_block_done = self._ahead is None
        self.count += 1
        return line


def _split_lines(block: bytes) -> list[str]:
    # str.splitlines would also break at form feeds and Unicode separators, which editors do not count as lines.
    return re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", block.decode("utf-8"))


def read_line(stream: BinaryIO, name: str) -> bytes:
    """One physical line; a line too long to be one is an error, so that memory stays bounded."""
    line = stream.readline(LONGEST_LINE_BYTES)
    if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
        raise FileError(f"{name} has a line longer than {LONGEST_LINE_BYTES >> 20} MB.", "Export it again as a table.")
    return line


def _records(lines: _Lines, delimiter: str, name: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on, until the block is done at the end of a record."""
    reader = csv.reader(lines, delimiter=delimiter)
    while not (lines.is_block_done and lines.count):
        line = first_line + lines.count
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise FileError(
                f"{name} cannot be read from line {line} on: {error}.",
                "Look there for a quotation mark that is never closed, correct it, and ingest the file again.",
            ) from error
        if record is None:
            return
        if lines.is_exhausted:
            raise FileError(
                f"{name} has a quotation mark on line {line} that is never closed.",
                "Correct that line, or export the file again, and ingest it.",
            )
        yield line, record


def find_header(text: TextFile, name: str) -> Layout:
    """The first record with two or more fields among the first few, under the delimiter that gives it most fields.

    Three fields on an earlier line outrank more on a later one: a title may hold a comma, hardly two.
    """
    found: list[Layout] = []
    trouble: FileError | None = None
    for delimiter in DELIMITERS:
        try:
            layout = _header_under(text, name, delimiter)
        except FileError as error:  # under the wrong delimiter quotes may seem unclosed
            trouble = trouble or error
            continue
        if layout:
            found.append(layout)
    if not found:
        raise trouble or FileError(
            f"{name} has no header: none of its first lines has two or more columns.",
            "Export it as a table with one header row, separated by commas, semicolons, tabs or bars.",
        )
    best = max(found, key=lambda layout: (-layout.body_line if len(layout.header) >= 3 else -1000, len(layout.header)))
    if len(best.header) > MAX_COLUMNS:
        raise FileError(
            f"{name} has {len(best.header):,} columns, more than the {MAX_COLUMNS:,} that a table may have.",
            "Export only the columns that the data contract names.",
        )
    return best


def _header_under(text: TextFile, name: str, delimiter: str) -> Layout | None:
    with text.path.open("rb") as stream:
        stream.seek(text.offset)
        line = 1
        for _ in range(HEADER_SEARCH_RECORDS):
            raw = read_line(stream, name)
            if not raw:
                return None
            if re.fullmatch(rb'"?sep=.?"?\s*', raw):  # Excel's own hint, redundant here
                line += 1
                continue
            lines = _Lines(raw, stream, name)
            for _number, record in _records(lines, delimiter, name, line):
                if len(record) > 1:
                    consumed = stream.tell() if lines.is_block_done else None
                    if consumed is None:  # lines ended by carriage returns alone: count their bytes
                        consumed = text.offset + _bytes_of_lines(text, line - 1 + lines.count)
                    header = tuple(cell.strip().lstrip("﻿") for cell in record)
                    return Layout(header, delimiter, consumed, line + lines.count)
            line += lines.count
    return None


def _bytes_of_lines(text: TextFile, count: int) -> int:
    with text.path.open("rb") as stream:
        stream.seek(text.offset)
        block = stream.read(LONGEST_LINE_BYTES)
    ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r", block)]
    return ends[count - 1]


def read_batches(
    text: TextFile, layout: Layout, keys: tuple[str, ...], name: str, checked: set[int]
) -> Iterator[Batch]:
    """The body in batches of about ``BLOCK_BYTES``, in order.

    ``checked`` remembers the first lines of blocks whose quotes were found well-formed, for the next reading.
    """
    line = layout.body_line
    with text.path.open("rb") as stream:
        stream.seek(layout.body_offset)
        while block := stream.read(BLOCK_BYTES):
            if not block.endswith(b"\n"):
                block += read_line(stream, name)
            frame = _read_fast(block, layout.delimiter, keys, is_checked=line in checked)
            if frame is not None:
                checked.add(line)
                first, line = line, line + frame.height
                yield Batch(frame.with_columns(pl.int_range(first, line, dtype=pl.Int64).alias(LINE)))
                continue
            lines = _Lines(block, stream, name)
            yield _read_slowly(lines, layout.delimiter, keys, name, line)
            line += lines.count


def _read_fast(block: bytes, delimiter: str, keys: tuple[str, ...], *, is_checked: bool = False) -> pl.DataFrame | None:
    """The block by polars, or None unless every physical line is exactly one well-formed record."""
    lines = _count(block, b"\n") + (not block.endswith(b"\n"))
    separators = len(keys) - 1
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return None
    has_quotes = b'"' in block
    if has_quotes:
        if not is_checked and not _every_line_is_a_record(block, delimiter, separators):
            return None
    elif _count(block, delimiter.encode()) != separators * lines:
        return None
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            schema=dict.fromkeys(keys, pl.String),
            separator=delimiter,
            quote_char='"' if has_quotes else None,
            infer_schema=False,
        )
    except pl.exceptions.PolarsError:
        # Too many fields in one line and too few in another, or nothing but empty lines: the slow road tells which.
        return None
    return frame if frame.height == lines else None


def _count(block: bytes, character: bytes) -> int:
    """How often an ASCII character occurs; ``bytes.count`` stops at every hit and takes ten times as long."""
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == character[0]))


def _every_line_is_a_record(block: bytes, delimiter: str, separators: int) -> bool:
    bar = re.escape(delimiter)
    field = rf'(?:"(?:[^"]|"")*"|[^"{bar}]*)'
    lines = pl.Series(block.decode("utf-8").removesuffix("\n").split("\n")).str.strip_suffix("\r")
    if not lines.str.contains(rf"^{field}(?:{bar}{field})*$").all():
        return False
    bare = lines.str.replace_all(r'"(?:[^"]|"")*"', "")
    return bool((bare.str.count_matches(delimiter, literal=True) == separators).all())


def _read_slowly(lines: _Lines, delimiter: str, keys: tuple[str, ...], name: str, first_line: int) -> Batch:
    numbers: list[int] = []
    rows: list[list[str]] = []
    ragged: list[Ragged] = []
    for line, record in _records(lines, delimiter, name, first_line):
        if len(record) == len(keys):
            numbers.append(line)
            rows.append(record)
        elif record:  # an empty line is not a record
            ragged.append(Ragged(line, tuple(record)))
    columns = zip(*rows, strict=True) if rows else ([] for _ in keys)
    data = {key: pl.Series(key, column, dtype=pl.String) for key, column in zip(keys, columns, strict=True)}
    return Batch(pl.DataFrame(data).with_columns(pl.Series(LINE, numbers, dtype=pl.Int64)), tuple(ragged))
