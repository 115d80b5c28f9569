"""PostgreSQL: the statements run on a server, in a schema of their own that is dropped at the end.

Text orders byte by byte whatever the database's collation. Tables are unlogged: they outlive no run.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import polars as pl
import psycopg
from psycopg import sql

from pipelines.errors import TrustError
from pipelines.warehouse.engines.remote import Remote, reversed_bytes

_BATCH = 50_000

_KINDS: dict[int, pl.DataType] = {
    16: pl.Boolean(), 20: pl.Int64(), 21: pl.Int64(), 23: pl.Int64(), 25: pl.String(), 700: pl.Float64(),
    701: pl.Float64(), 1042: pl.String(), 1043: pl.String(), 1082: pl.Date(), 1114: pl.Datetime("us"),
}  # fmt: skip
"""The server's types by number; a number with decimals (1700) tells its own digits."""

_NUMERIC = 1700
_UNTOLD = pl.Decimal(38, 10)
"""A number with decimals that the server does not tell the digits of, as of any that went through a condition."""
_CENTS = pl.Decimal(38, 2)


def column_kind(kind: pl.DataType) -> str:
    """How a column of a frame is declared."""
    if isinstance(kind, pl.Decimal):
        return f"numeric({kind.precision}, {kind.scale})"
    plain = {
        pl.String: 'text collate "C"', pl.Date: "date", pl.Datetime: "timestamp", pl.Float64: "double precision",
        pl.Int64: "bigint", pl.Int32: "integer", pl.Boolean: "boolean", pl.Null: "text",
    }  # fmt: skip
    return plain[kind.base_type()]


class Postgres(Remote):
    """One connection, one schema. ``history``: a schema whose tables stand for the landed ones."""

    name: ClassVar[str] = "postgres"
    barrier: ClassVar[str] = "offset 0"

    def __init__(self, dsn: str) -> None:
        """Errors: TrustError when the server cannot be reached, or lets no schema be made."""
        self.schema = f"forecast_trust_{secrets.token_hex(6)}"
        try:
            self._con = psycopg.connect(dsn, autocommit=True, connect_timeout=15, application_name="forecast-trust")
        except psycopg.OperationalError as error:
            raise TrustError(
                f"The PostgreSQL server cannot be reached: {_told(error)}",
                "Check the host, database and user in --postgres-dsn, and that the server is running.",
            ) from None
        except (psycopg.ProgrammingError, UnicodeError):  # its text may repeat the DSN, with the password
            raise TrustError(
                "The PostgreSQL DSN cannot be read.",
                "Write it like postgresql://user@host:5432/database, with the password in PGPASSWORD or ~/.pgpass.",
            ) from None
        with _plainly():
            self.run(f"create schema {self.schema}")
            self.run(f"set search_path to {self.schema}")
            self.run("set client_min_messages to warning")
            self.run("set timezone to 'UTC'")
            self.run("set extra_float_digits to 1")
            self.run("set jit to off")  # compiling a statement takes longer than most of them run

    def run(self, text: str) -> None:
        with _plainly(), self._con.cursor() as cursor:
            cursor.execute(cast(Any, text))

    def rows(self, text: str) -> pl.DataFrame:
        frames: list[pl.DataFrame] = []
        with _plainly(), self._con.transaction(), self._con.cursor(name="rows_wanted") as cursor:
            cursor.itersize = _BATCH
            cursor.execute(cast(Any, text))
            schema = {column.name: _kind(column) for column in cursor.description or ()}
            while batch := cursor.fetchmany(_BATCH):
                frames.append(pl.DataFrame(batch, schema=schema, orient="row"))
        fetched = pl.concat(frames) if frames else pl.DataFrame(schema=schema)
        return fetched.with_columns(
            pl.col(name).cast(_CENTS)
            for name, kind in schema.items()
            if kind == _UNTOLD and (fetched[name] == fetched[name].cast(_CENTS)).all()
        )

    def make_from(self, table: str, text: str) -> None:
        self.run(f"create unlogged table {table} as {text}")
        self.settle(table)

    def show(self, view: str, query: str) -> None:
        self.run(f"drop view if exists {view}")
        self.run(f"create view {view} as {self.said(query, {})}")

    def lay(self, table: str, frame: pl.DataFrame) -> None:
        declared = ", ".join(f"{name} {column_kind(kind)}" for name, kind in frame.schema.items())
        self.run(f"drop table if exists {table}")
        self.run(f"create unlogged table {table} ({declared})")
        self.extend(table, frame)
        self.settle(table)

    def settle(self, table: str) -> None:
        self.run(f"analyze {table}")

    def extend(self, table: str, frame: pl.DataFrame) -> None:
        """Append a frame's rows. A null is an empty field, an empty text a quoted one."""
        if frame.is_empty():
            return
        columns = ", ".join(frame.columns)
        text = cast(Any, f"copy {table} ({columns}) from stdin (format csv)")
        with _plainly(), self._con.cursor() as cursor, cursor.copy(text) as copy:
            for part in frame.iter_slices(_BATCH):
                copy.write(part.write_csv(include_header=False, quote_style="non_numeric").encode())

    def own_tables(self, history: str, names: Sequence[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        with _plainly(), self._con.cursor() as cursor:
            for name in names:
                cursor.execute(
                    "select column_name from information_schema.columns "
                    "where table_schema = %s and table_name = %s and table_catalog = current_database()",
                    (history, name),
                )
                columns = {str(row[0]) for row in cursor.fetchall()}
                if columns:
                    found[name] = columns
                    text = sql.SQL("create view {} as select * from {}")
                    cursor.execute(text.format(sql.Identifier(f"own_{name}"), sql.Identifier(history, name)))
        return found

    def place(self, history: str) -> str:
        return f"schema {history}"

    def columns(self, table: str) -> tuple[str, ...]:
        with _plainly(), self._con.cursor() as cursor:
            cursor.execute(sql.SQL("select * from {} limit 0").format(sql.Identifier(table)))
            return tuple(column.name for column in cursor.description or ())

    def text_parts(self, table: str, columns: Sequence[str]) -> list[str]:
        kinds = self.rows(f"select {', '.join(columns)} from {table} limit 0").schema

        def part(name: str) -> str:
            text = f"cast({name} as text)"
            if kinds[name] == pl.Float64:  # 1 → 1.0, as DuckDB writes it
                text = f"regexp_replace({text}, '^(-?[0-9]+)$', '\\1.0')"
            return f"'{name}=' || {text}"

        return [part(name) for name in columns]

    def halves(self, digest: str) -> tuple[str, str]:
        low, high = (f"cast(cast('x' || {reversed_bytes(digest, first)} as bit(64)) as bigint)" for first in (1, 17))
        return low, high

    def close(self) -> None:
        try:
            if not self._con.closed:
                self._con.execute(cast(Any, f"drop schema if exists {self.schema} cascade"))
        except psycopg.Error:
            pass  # the server is gone, or refuses: the schema's name tells whose it is
        finally:
            self._con.close()


def _kind(column: psycopg.Column) -> pl.DataType:
    if column.type_code == _NUMERIC:
        return _UNTOLD if column.precision is None else pl.Decimal(column.precision, column.scale or 0)
    return _KINDS[column.type_code]


def _told(error: psycopg.Error) -> str:
    """The first line of what the server says, as a sentence."""
    text = str(error).strip()
    line = text.splitlines()[0][:200] if text else type(error).__name__
    return line if line.endswith(".") else f"{line}."


@contextmanager
def _plainly() -> Iterator[None]:
    """What a server may do, in two sentences; a wrong statement is a fault of the program and passes through."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise TrustError(
            f"PostgreSQL does not allow it: {_told(error)}",
            "Grant the user CREATE on the database, and SELECT on the schema that --history names.",
        ) from error
    except psycopg.errors.DiskFull as error:
        raise TrustError(f"The server's disk is full: {_told(error)}", "Make room there and publish again.") from error
    except psycopg.OperationalError as error:
        raise TrustError(
            f"The PostgreSQL server failed: {_told(error)}",
            "Nothing was published; look at the server's log, then publish again.",
        ) from error
