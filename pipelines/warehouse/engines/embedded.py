"""The embedded engine: DuckDB in this process, on a scratch file, with the landing attached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.warehouse.engines import Params
from pipelines.warehouse.store import connect, content_digest, frame

BESIDE_THE_FACT = ("load_id", "line", "key_hash", "row_hash", "known_at", "visible_at", "corrected_at")
"""What a table of facts holds besides the columns of its contract."""

BATCH = 500_000
"""Opportunities at a time where tables are made of each, so that the memory needed does not grow with the company."""

SAMPLED_PER_BATCH = 2_000
"""Ids looked at per batch to divide them: batches then differ in size by a few in a hundred."""

MEASURING_SHARE = 0.5
MOST_MEASURING_MB = 1_200
"""Share of the memory limit that the rebuilt history may go on holding once it stands, and the most of it."""
_MEGABYTES = {"KiB": 1.024e-3, "MiB": 1.048576, "GiB": 1073.741824, "TiB": 1099511.627776}


Found = TypeVar("Found")


class Embedded:
    """Runs the statements as they are written. ``con`` is open to whatever else DuckDB can do."""

    name = "duckdb"

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._limits: tuple[str, str, str] | None = None
        self._alone = Lock()

    @classmethod
    def over(cls, landing: Path, settings: Settings, scratch: Path) -> Embedded:
        """Open a scratch database in the folder ``scratch`` and attach a landing file to it, read-only."""
        con = connect(scratch / "history.duckdb", settings)
        try:
            path = str(landing).replace("'", "''")
            con.execute(f"attach '{path}' as landing (read_only)")
        except BaseException:
            con.close()
            raise
        return cls(con)

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        self._with_room(partial(self.con.execute, f"create table {table} as {query}", dict(params or {})))

    def make_of_each(self, table: str, query: str, inputs: Sequence[str], params: Params | None = None) -> None:
        batches = -(-int(self.one(f"select count(*) from {inputs[0]}")) // BATCH)
        if batches <= 1:
            self.make(table, query, params)
            return
        self.con.execute("create schema if not exists batch")
        try:
            for number, where in enumerate(self.ranges(inputs[0], batches)):
                for name in inputs:
                    self.con.execute(f"create or replace view batch.{name} as select * from main.{name} where {where}")
                verb = f"create or replace table main.{table} as" if number == 0 else f"insert into main.{table}"
                with self.looking_at("batch, main"):
                    self._with_room(partial(self.con.execute, f"{verb} {query}", dict(params or {})))
        finally:
            for name in inputs:
                self.con.execute(f"drop view if exists batch.{name}")

    def add(self, table: str, query: str, params: Params | None = None) -> None:
        self._with_room(partial(self.con.execute, f"insert into {table} {query}", dict(params or {})))

    def show(self, view: str, query: str) -> None:
        self.con.execute(f"create or replace view {view} as {query}")

    def lay(self, table: str, frame: pl.DataFrame) -> None:
        self.con.register("laid_rows", frame)
        try:
            self._with_room(lambda: self.con.execute(f"create or replace table {table} as select * from laid_rows"))
        finally:
            self.con.unregister("laid_rows")

    def frame(self, query: str, params: Params | None = None) -> pl.DataFrame:
        return self._with_room(lambda: frame(self.con, query, dict(params or {})))

    def columns(self, table: str) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in self.con.execute(f"describe {table}").fetchall())

    def digest(self, table: str, columns: Sequence[str]) -> str:
        # A fact brings the hash of its content from the landing.
        is_fact = {*self.columns(table)} == {*columns, *BESIDE_THE_FACT}
        return content_digest(self.con, table, columns, row_hash="row_hash" if is_fact else None)

    def let_go(self) -> None:
        self.con.execute("detach landing")
        # What follows reads small results into frames of its own: both together stay within the limit's order.
        ((limit,),) = self.con.execute("select current_setting('memory_limit')").fetchall()
        size, unit = str(limit).split()
        share = MEASURING_SHARE * float(size) * _MEGABYTES.get(unit, 1.0)
        held = min(share, MOST_MEASURING_MB)
        self._limits = (f"{held:.1f}MB", f"{1.5 * held:.1f}MB", str(limit).replace(" ", ""))
        self.con.execute(f"set memory_limit = '{self._limits[0]}'")

    def _with_room(self, work: Callable[[], Found]) -> Found:
        """``work``, and again with half as much more, then with the whole limit, where it does not fit."""
        try:
            return work()
        except duckdb.OutOfMemoryException:
            if self._limits is None:
                raise
        held, more, whole = self._limits
        with self._alone:
            try:
                self.con.execute(f"set memory_limit = '{more}'")
                try:
                    return work()
                except duckdb.OutOfMemoryException:
                    self.con.execute(f"set memory_limit = '{whole}'")
                    return work()
            finally:
                self.con.execute(f"set memory_limit = '{held}'")

    def ranges(self, table: str, count: int) -> list[str]:
        """Conditions of about as many opportunities of ``table`` each, and of every one once.

        Ranges of ids: exports are mostly in their order, and tables made batch by batch are, so that a batch skips the
        blocks that hold nothing of it. A sample says where the ranges end; what they hold decides nothing.
        """
        ends = self.one(
            f"select quantile_disc(opportunity_id, {[number / count for number in range(1, count)]}) "
            f"from (select opportunity_id from main.{table} using sample {count * SAMPLED_PER_BATCH} rows)"
        )
        marks = [quoted(end) for end in sorted({str(end) for end in ends})]
        froms = ["true", *(f"opportunity_id >= {mark}" for mark in marks)]
        tos = [*(f"opportunity_id < {mark}" for mark in marks), "true"]
        return [f"{begin} and {end}" for begin, end in zip(froms, tos, strict=True)]

    def one(self, query: str) -> Any:
        """The one value of a query."""
        ((value,),) = self.con.execute(query).fetchall()
        return value

    @contextmanager
    def looking_at(self, schemas: str) -> Iterator[None]:
        """A bare name means the table of the first of these schemas that has one."""
        self.con.execute(f"set search_path = '{schemas.replace(' ', '')}'")
        try:
            yield
        finally:
            self.con.execute("set search_path = 'main'")

    def close(self) -> None:
        self.con.close()


def quoted(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
