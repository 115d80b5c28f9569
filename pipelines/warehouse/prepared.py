"""The rebuilt history as of one instant: what it holds, and what must be true of it (see ``history``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import duckdb
import polars as pl

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.errors import WorkspaceError
from pipelines.warehouse.calendar import Calendar
from pipelines.warehouse.editions import GRAINS, MAY_REPEAT
from pipelines.warehouse.engines import Engine
from pipelines.warehouse.kept import Kept
from pipelines.warehouse.reported import versions_recorded
from pipelines.warehouse.store import frame_schema, is_storage_fault, trouble

_COPIED = (
    "scopes", "scope_members", "forecast_pairs", "deals", "table_status", "quotas", "inputs", "rejected_rows",
    "pipeline_movement", "movement_deals", "owner_scopes", "pipeline_cube", "pipeline_weekly",
)  # fmt: skip

_SHOWN = (
    "inputs", "rejected_rows", "pipeline_movement", "movement_deals", "owner_scopes", "pipeline_cube",
    "pipeline_weekly",
)  # fmt: skip


class Invariant(NamedTuple):
    """One thing that must hold in the rebuilt history: its name, whether it does, and what was found."""

    name: str
    ok: bool
    detail: str


@dataclass
class Prepared:
    """The rebuilt history as of one instant. A context manager: leaving it closes the engine and its scratch tables.

    ``engine`` holds, beside what is published, ``opportunity_versions`` (one row per opportunity and state),
    ``opportunity_extracts`` (the landed rows used), ``won_deals``, ``actuals``, ``calls``, ``lineage`` and the visible
    facts of every input table under its own name.
    """

    engine: Engine
    as_of_at: datetime
    reporting_currency: str
    calendar: Calendar
    actual_source: str
    input_digest: str
    is_simulated: bool
    laid_weeks: frozenset[int] | None = None
    """Weeks of the periods of which ``deal_states`` has laid down the deals, so that they are looked up once."""
    has_laid_lives: bool = False
    """Whether ``deal_lives`` has laid down what became of every deal."""

    def __enter__(self) -> Prepared:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()
        # What is measured reads this database too: memory or disk may fail it as late as that.
        if isinstance(error, duckdb.Error) and is_storage_fault(error):
            raise trouble(Path("the rebuilt history"), error) from error
        if isinstance(error, MemoryError):
            raise WorkspaceError(
                "This machine has too little memory left to measure the rebuilt history.",
                "Close other programs or lower memory_limit in settings.toml, and publish again.",
            ) from error

    @property
    def period_kind(self) -> str:
        return self.calendar.period_kind

    @property
    def fiscal_year_start_month(self) -> int:
        return self.calendar.fiscal_year_start_month

    @property
    def open_period_start_on(self) -> date | None:
        """First day of the period that contains the as-of; None when the calendar has none."""
        return self._open_period()[0]

    @property
    def open_period_week(self) -> int | None:
        """Whole weeks of that period over at the as-of."""
        return self._open_period()[1]

    def _open_period(self) -> tuple[date | None, int | None]:
        today = self.as_of_at.date()
        rows = self.engine.frame(
            "select period_start_on from periods "
            "where period_start_on <= cast($today as date) and period_end_on >= cast($today as date)",
            {"today": today},
        )["period_start_on"].to_list()
        return (rows[0], (today - rows[0]).days // 7) if rows else (None, None)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Every published table that is not a result of the engine, in its contract's columns and dtypes."""
        return self.asked_tables() | self.shown_tables()

    def asked_tables(self) -> dict[str, pl.DataFrame]:
        """Those that measures are made from."""
        return {name: self.table(name) for name in (*_COPIED, "periods") if name not in _SHOWN}

    def shown_tables(self) -> dict[str, pl.DataFrame]:
        """Those that are published as they stand, and asked for last: a large company's are millions of rows."""
        return {name: self.table(name) for name in _SHOWN}

    def table(self, name: str) -> pl.DataFrame:
        """One published table of this history, in the order of its grain.

        Sums of floats show the order of their terms in the last digit; a database that uses every core has none.
        """
        schema = frame_schema(PUBLISHED_TABLES[name])
        source = "quotas_in_force" if name == "quotas" else name
        rows = self.engine.frame(f"select {', '.join(schema)} from {source}").cast(schema)  # type: ignore[arg-type]
        return rows.sort(list(schema) if name in MAY_REPEAT else GRAINS[name], nulls_last=True)

    def versions(self, recorded_at: datetime | None = None) -> pl.DataFrame:
        """``opportunity_versions`` in order: one row per opportunity and state, half-open, the last until 9999.

        ``recorded_at``: as they were told at that instant, as reported; by default as everything is told now, as
        corrected.
        """
        return versions_recorded(self.engine, recorded_at)

    def check(self) -> list[Invariant]:
        """What must be true of any history, whatever landed."""
        return [_count_offenders(self.engine, name, query) for name, query in INVARIANTS.items()]


INVARIANTS: dict[str, str] = {
    "versions follow one another without gap or overlap": """
        select count(*) from (
            select valid_from_at, valid_to_at,
                lead(valid_from_at, 1, timestamp '9999-12-31 00:00:00')
                    over (partition by opportunity_id order by valid_from_at) as next_from_at
            from opportunity_versions
        ) as followed where valid_from_at >= valid_to_at or valid_to_at <> next_from_at""",
    "every visible opportunity has a version": """
        select count(*) from (select distinct opportunity_id from opportunity_extracts) as known
        left join (select distinct opportunity_id from opportunity_versions) as versions using (opportunity_id)
        where versions.opportunity_id is null""",
    "no version is newer than the as-of": """
        select count(*) from opportunity_versions, constants where valid_from_at > as_of_at""",
    "what owners won sums to what the company won": """
        select count(*) from won_by_period
        where owners_amount is distinct from company_amount or owners_count is distinct from company_count""",
    "no deal is won twice": """
        select count(*) - count(distinct opportunity_id) from won_deals""",
    "everybody in the hierarchy hangs under the company": """
        select count(*) from (
            select owner_id as person_id from opportunity_versions union select forecaster_id from calls
        ) as named left join scopes on named.person_id = scopes.scope where scopes.scope is null""",
}
"""Queries that count offenders; a history is sound when each finds none."""

OF_EACH_DEAL = frozenset(tuple(INVARIANTS)[:3])
"""Those that hold of an opportunity by itself: whichever was not touched has been found sound before."""


def _count_offenders(engine: Engine, name: str, query: str) -> Invariant:
    rows = engine.changed(query) if name in OF_EACH_DEAL and isinstance(engine, Kept) else engine.frame(query)
    offenders = int(rows.item())
    return Invariant(name, offenders == 0, "no offending row" if offenders == 0 else f"{offenders:,} offending rows")
