"""What a table of any format is, and the formats that carry types: workbooks, JSON lines, Parquet.

Everything becomes text; typed dates come out as ISO text, and typed numbers are remembered as such.
"""

from __future__ import annotations

import hashlib
import json
import re
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
from pipelines.ingest.delimited import LINE, MAX_COLUMNS, Batch, Ragged, as_utf8

BATCH_ROWS = 100_000


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


def open_workbook(path: Path, name: str, sha256: str) -> Iterator[Export | Refused]:
    """One table per sheet that holds anything; a sheet alone keeps the file's name and digest."""
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


def open_json_lines(path: Path, name: str, spool: Path, sha256: str) -> Export:
    """One object per line; fields are the union over all lines, nested ones under dotted names."""
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


def open_parquet(path: Path, name: str, sha256: str) -> Export:
    """A Parquet file without its nested columns; the line of a row is its number."""
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
