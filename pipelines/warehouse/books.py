"""Finance's ledger beside the CRM's, and the lines that count as landed where the settings say that bookings do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl

from pipelines.contracts import MONEY
from pipelines.errors import EditionError
from pipelines.policy import Policy
from pipelines.warehouse.engines import Engine
from pipelines.warehouse.store import statement

LINES: dict[str, pl.DataType | type[pl.DataType]] = {
    "booking_id": pl.String,
    "opportunity_id": pl.String,
    "owner_id": pl.String,
    "closed_on": pl.Date,
    "booked_on": pl.Date,
    "booked_amount": MONEY,
}

Matching = Callable[[pl.DataFrame, pl.DataFrame, Policy], pl.DataFrame]
"""Won ledger, booking ledger and policy in; one row per line and won deal it belongs to out (engine.matching)."""


def ledgers_of(engine: Engine, reporting_currency: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Won deals and booking lines, each with its amount in the reporting currency; null where no rate converts it."""
    money: dict[str, object] = {"reporting_currency": reporting_currency}
    return (
        engine.frame(statement("won_ledger"), money).sort("opportunity_id"),
        engine.frame(statement("booking_ledger"), money).sort("booking_id", "booked_on", "own_amount"),
    )


def lay_booked_lines(
    engine: Engine, actual_source: str, reporting_currency: str, policy: Policy, match: Matching | None
) -> None:
    """Table ``booked_lines``: one row per booking line and won deal it belongs to; empty where the CRM is believed.

    Errors: EditionError where bookings are to count as landed and none is known by then.
    """
    if actual_source != "bookings":
        engine.lay("booked_lines", pl.DataFrame(schema=LINES))
        return
    won, bookings = ledgers_of(engine, reporting_currency)
    if match is None or bookings.is_empty():
        raise EditionError(
            "settings.toml says that bookings count as landed, and no booking is known.",
            'Bring finance\'s bookings with `forecast-trust ingest PATH`, or set actual_source = "closed_won".',
        )
    engine.lay("booked_lines", match(won, bookings, policy).select(*LINES).cast(LINES))  # type: ignore[arg-type]


def booked_amounts(engine: Engine, actual_source: str) -> pl.DataFrame | None:
    """Period × person (null: tied to no deal) × line: ``end_amount``; None where closed won counts as landed."""
    if actual_source != "bookings":
        return None
    query = "select period_start_on, reporting_amount as end_amount, owner_id as person_id from actual_rows"
    return engine.frame(query).sort("period_start_on", "person_id", "end_amount")


def covered_periods(engine: Engine, actual_source: str) -> pl.DataFrame | None:
    """The periods the books cover, ``period_start_on``; None where closed won counts as landed."""
    if actual_source != "bookings":
        return None
    return engine.frame("select period_start_on from actual_periods").sort("period_start_on")


def booked_periods(engine: Engine, policy: Policy) -> list[date]:
    """First days of the periods that the books cover, whatever counts as landed, oldest first."""
    params: dict[str, object] = {"actual_source": "bookings", "gap_days": policy.books_gap_days}
    found: list[date] = engine.frame(statement("actual_periods"), params)["period_start_on"].sort().to_list()
    return found
