"""What landing, history and editions share: opening DuckDB, statements in files, contract types in SQL."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path

import dataframely as dy
import duckdb
import polars as pl

from pipelines.errors import WorkspaceError
from pipelines.settings import Settings

OWNER_ONLY = 0o600

STORAGE_FAULTS = (
    duckdb.OperationalError,
    duckdb.InternalError,
    duckdb.FatalException,
    duckdb.PermissionException,
)
"""What a file, disk or memory may do; a statement that is wrong is a fault of the program and is not dressed up."""


def is_storage_fault(error: BaseException | None) -> bool:
    """Whether a file, disk or memory failed. Of a block that is damaged DuckDB has only its bare error."""
    return isinstance(error, STORAGE_FAULTS) or type(error) is duckdb.Error


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Within it, what a file, disk or memory does is a ``WorkspaceError`` about the database ``path``."""
    try:
        yield
    except duckdb.Error as error:
        if not is_storage_fault(error):
            raise
        raise trouble(path, error) from error


def sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    """The DuckDB type that holds a contract's dtype without loss."""
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    plain = {
        pl.String: "VARCHAR",
        pl.Date: "DATE",
        pl.Datetime: "TIMESTAMP",
        pl.Float64: "DOUBLE",
        pl.Int64: "BIGINT",
        pl.Boolean: "BOOLEAN",
    }
    return plain[dtype.base_type()]


def column_types(schema: type[dy.Schema]) -> dict[str, str]:
    """Column → DuckDB type, in the contract's order."""
    return {name: sql_type(column.dtype) for name, column in schema.columns().items()}


def frame_schema(schema: type[dy.Schema]) -> dict[str, pl.DataType]:
    """Column → polars dtype, in the contract's order."""
    return {name: column.dtype for name, column in schema.columns().items()}


@cache
def statement(table: str) -> str:
    """The statement that makes ``table``, from ``sql/<table>.sql``."""
    return resources.files("pipelines.warehouse").joinpath("sql", f"{table}.sql").read_text(encoding="utf-8")


def frame(con: duckdb.DuckDBPyConnection, query: str, params: dict[str, object] | None = None) -> pl.DataFrame:
    """The rows of one query, on a cursor of its own: a connection shared between threads may return nothing."""
    with con.cursor() as cursor:
        rows: pl.DataFrame = cursor.sql(query, params=params or {}).pl()
    return rows


def hash_expression(columns: Iterable[str]) -> str:
    """128 bits of a row's content. Nulls are left out, so that a column added to a contract changes no old row."""
    parts = ", ".join(f"'{name}=' || cast({name} as varchar)" for name in columns)
    return f"md5_number(concat_ws(chr(31), {parts}))"


def content_sums(
    con: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str], *, row_hash: str | None = None
) -> tuple[int, int, int]:
    """Count, exclusive or and sum of the rows' hashes: rows that come or go can be added to them and taken off.

    ``row_hash``: the column that holds ``hash_expression`` of these columns, where the table has one already.
    """
    # The sum is of h modulo p = 2⁶⁴ − 59. DuckDB divides 128 bits bit by bit, a hundred times slower than folding the
    # upper half in twice (2⁶⁴ ≡ 59), which leaves less than 2p.
    half, prime = "18446744073709551615::uhugeint", "18446744073709551557::uhugeint"
    query = f"""
        with hashes as (select {row_hash or hash_expression(columns)} as h from {table}),
        once as (select h, (h >> 64) * 59 + (h & {half}) as folded from hashes),
        twice as (select h, (folded >> 64) * 59 + (folded & {half}) as folded from once)
        select count(*) as n, bit_xor(h) as x,
            sum(cast(folded - case when folded >= {prime} then {prime} else 0::uhugeint end as hugeint)) as s
        from twice
    """
    with con.cursor() as cursor:
        ((count, folded, total),) = cursor.sql(query).fetchall()
    return (count, folded, total) if count else (0, 0, 0)


def sums_digest(sums: Sequence[int]) -> str:
    """One text for ``content_sums``."""
    return hashlib.sha256(repr([tuple(sums) if sums[0] else (0, None, None)]).encode()).hexdigest()


def content_digest(
    con: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str], *, row_hash: str | None = None
) -> str:
    """Digest of a table's rows, whatever their order: equal rows give equal digests on every machine.

    ``row_hash``: as for ``content_sums``.
    """
    return sums_digest(content_sums(con, table, columns, row_hash=row_hash))


def connect(path: Path, settings: Settings, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a database file with the workspace's limits; extensions are neither fetched nor loaded.

    Errors: WorkspaceError when another process holds the file, when it is damaged, or when the folder to spill to
    cannot be used.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    if settings.threads:
        config["threads"] = settings.threads
    if settings.spill_directory:
        config["temp_directory"] = str(_spill_folder(settings.spill_directory))
    with faults_of(path):
        return duckdb.connect(str(path), read_only=read_only, config=config)


def _spill_folder(stated: str) -> Path:
    """The folder to spill to, made where there is none: DuckDB would find it missing only once memory runs short, and
    says it then of whatever database is open."""
    remedy = "Name a folder you may write to as spill_directory in settings.toml, or leave it out."
    try:
        folder = Path(stated).expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WorkspaceError(f"The spill_directory {stated} cannot be made: {why}.", remedy) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkspaceError(f"The spill_directory {stated} may not be written.", remedy)
    return folder


def trouble(path: Path, error: duckdb.Error) -> WorkspaceError:
    """Two sentences for what DuckDB says about a file."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WorkspaceError(
            f"The work on {path.name} needs more memory than memory_limit allows.",
            "Raise memory_limit in settings.toml, or name a disk with room as spill_directory.",
        )
    if re.search(r"\block\b", text.lower()) or "different configuration" in text:
        return WorkspaceError(
            f"{path.name} is in use by another process.",
            "Wait until its ingest or publish has ended, then run the command again.",
        )
    if re.search(r"No space left|File too large|quota exceeded|Could not write", text):
        return WorkspaceError(f"The disk of {path.name} is full.", "Make room and run the command again.")
    if "Read-only file system" in text or "Permission denied" in text:
        return WorkspaceError(
            f"{path.name} may not be written here.", "Change the folder's permissions, or choose another --workspace."
        )
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return WorkspaceError(
        f"{path.name} cannot be read as a database: {first_line[:200]}.",
        "Restore it from a backup, or move it away and ingest the exports again.",
    )
