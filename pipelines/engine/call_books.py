"""Calls held against the books: call → closed won → booked, in steps that add up to the cent.

Sign: a step is what it adds on the way from the call to the books; the way from closed won to booked is the tie-out's
difference with the sign turned. A deal's steps stand in the period it was won in, but for what is booked in another
period: that leaves the one (``to_other_periods_amount``, negative) and comes to the other
(``from_other_periods_amount``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import polars as pl

from pipelines.contracts import MONEY
from pipelines.finance_contracts import BOOK_STEPS, CallBookings
from pipelines.policy import COMPANY_SCOPE

_NOTHING = pl.lit("0.00").cast(MONEY)
_SUMS = ("crm_amount", *BOOK_STEPS, "booked_amount")

_COLUMN_OF_KIND = {
    "missing_in_finance": "unbooked_amount",
    "awaiting": "unbooked_amount",
    "credit": "credit_amount",
    "over_credited": "credit_amount",
}
"""Where a deal's difference goes, but for the part that rates made; every other kind is ``differing_amount``."""


def book_steps(won: pl.DataFrame, tied: pl.DataFrame, lines: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """Opportunity (null: none) × period it touches: closed won, each step, booked; crm + Σ steps = booked.

    ``won``: the CRM's ledger; ``tied``: engine.reconciliation of the same; ``lines``: engine.matching.matched_lines;
    ``periods``: ``period_start_on, period_end_on``. ``lacks_rate``: a sum it is part of cannot be told. What lies in no
    period is in no row.
    """
    stated = won.select(
        "opportunity_id", lacks_rate=pl.col("own_amount").is_not_null() & pl.col("crm_amount").is_null()
    )
    belonging = _within(lines.drop_nulls("opportunity_id"), periods, "closed_on", "won_in")
    belonging = _within(belonging, periods, "booked_on", "booked_in")
    elsewhere = pl.col("booked_in").ne_missing(pl.col("won_in"))
    of_deal = belonging.group_by("opportunity_id").agg(
        every=_sum("booked_amount"),
        other=_sum(pl.when(elsewhere).then("booked_amount")),
        line_lacks_rate=pl.col("booked_amount").is_null().any(),
    )
    deals = _within(tied.filter(pl.col("record_kind") == "opportunity"), periods, "closed_on", "period")
    at_home = (
        deals.select("opportunity_id", "period", "crm_amount", "rate_amount", "break_kind")
        .join(of_deal, on="opportunity_id", how="left")
        .join(stated, on="opportunity_id", how="left")
        .with_columns(
            _given("crm_amount"),
            _given("every"),
            _given("other"),
            rate=-_given("rate_amount"),
            column=pl.col("break_kind").replace_strict(_COLUMN_OF_KIND, default="differing_amount"),
        )
        .with_columns(rest=pl.col("every") - pl.col("crm_amount") - pl.col("rate"))
    )
    home = at_home.select(
        "opportunity_id",
        "period",
        "crm_amount",
        from_other_periods_amount=_NOTHING,
        to_other_periods_amount=-pl.col("other"),
        **{name: _where(pl.col("column") == name, "rest") for name in _REST},
        rate_amount=pl.col("rate"),
        unmatched_amount=_NOTHING,
        booked_amount=pl.col("every") - pl.col("other"),
        lacks_rate=pl.col("lacks_rate").fill_null(value=False) | pl.col("line_lacks_rate").fill_null(value=False),
    )
    guests = belonging.filter(elsewhere).select(
        "opportunity_id",
        period="booked_in",
        crm_amount=_NOTHING,
        from_other_periods_amount=_given("booked_amount"),
        to_other_periods_amount=_NOTHING,
        **dict.fromkeys(_REST, _NOTHING),
        rate_amount=_NOTHING,
        unmatched_amount=_NOTHING,
        booked_amount=_given("booked_amount"),
        lacks_rate=pl.col("booked_amount").is_null(),
    )
    alone = _within(lines.filter(pl.col("opportunity_id").is_null()), periods, "booked_on", "period").select(
        "opportunity_id",
        "period",
        crm_amount=_NOTHING,
        from_other_periods_amount=_NOTHING,
        to_other_periods_amount=_NOTHING,
        unbooked_amount=_NOTHING,
        differing_amount=_NOTHING,
        credit_amount=_where(pl.col("booked_amount") < 0, "booked_amount"),
        rate_amount=_NOTHING,
        unmatched_amount=_where(pl.col("booked_amount") >= 0, "booked_amount"),
        booked_amount=_given("booked_amount"),
        lacks_rate=pl.col("booked_amount").is_null(),
    )
    rows = pl.concat([frame.cast(dict.fromkeys(_SUMS, MONEY)) for frame in (home, guests, alone)])
    return rows.drop_nulls("period").rename({"period": "period_start_on"})


def call_bookings(
    calls: pl.DataFrame,
    steps: pl.DataFrame,
    placed: pl.DataFrame,
    *,
    closed: Collection[date],
    covered: Collection[date],
) -> pl.DataFrame:
    """**Do the calls tie to the books?** Call, what closed won, what was booked, and every step between, per forecaster
    and for the company, in cents that add up.

    The call is the one in force at the lock. A rep answers for their own deals, a manager or executive for their
    people's as the hierarchy stood on each close date, finance for the company; what was booked without a won deal is
    the company's alone. Frame ``finance_contracts.CallBookings``.

    ``calls``: ``forecast_pairs`` of the lock week; ``steps``: ``book_steps``; ``placed``: opportunity × scope it counts
    for, ``is_owner``; ``closed``: the periods that are over; ``covered``: those the books cover.
    """
    over = calls.filter(pl.col("period_start_on").is_in(list(closed)))
    own = over.filter(pl.col("layer") == "rep").select(*_CALL, basis=pl.lit("own"))
    led = over.filter(pl.col("layer").is_in(["manager", "executive"])).select(*_CALL, basis=pl.lit("subtree"))
    whole = over.filter(pl.col("layer") == "finance").select(*_CALL, basis=pl.lit("company"))
    together = (
        over.filter(pl.col("layer") != "finance")
        .group_by("period_start_on", "layer", "category")
        .agg(
            forecast_amount=pl.when(pl.col("forecast_amount").is_not_null().any())
            .then(pl.col("forecast_amount").sum())
            .cast(MONEY),
            status=pl.when((pl.col("status") == "no_actual").all()).then(pl.lit("no_actual")).otherwise(pl.lit("ok")),
        )
        .with_columns(forecaster_id=pl.lit(COMPANY_SCOPE))
        .select(*_CALL, basis=pl.lit("company"))
    )
    asked = pl.concat([own, led, whole, together]).with_columns(
        person=pl.when(pl.col("basis") == "company").then(pl.lit(COMPANY_SCOPE)).otherwise("forecaster_id")
    )
    sums = pl.concat(
        [
            _summed(steps.with_columns(person=pl.lit(COMPANY_SCOPE)), "company"),
            _summed(steps.join(placed.filter("is_owner"), on="opportunity_id").rename({"scope": "person"}), "own"),
            _summed(steps.join(placed, on="opportunity_id").rename({"scope": "person"}), "subtree"),
        ]
    )
    first = min(covered, default=None)
    is_covered = pl.col("period_start_on").is_in(list(covered))
    is_before = pl.lit(first is not None) & (pl.col("period_start_on") < pl.lit(first, pl.Date))
    lacks_rate = pl.col("lacks_rate").fill_null(value=False) | (pl.col("status") == "no_rate")
    status = (
        pl.when((pl.col("status") == "no_actual") & is_covered)
        .then(pl.lit("no_actual"))
        .when(is_before)
        .then(pl.lit("before_books"))
        .when(~is_covered)
        .then(pl.lit("not_booked_yet"))
        .when(lacks_rate)
        .then(pl.lit("no_rate"))
        .when(pl.col("forecast_amount").is_null())
        .then(pl.lit("no_call"))
        .otherwise(pl.lit("ok"))
    )
    told = (
        asked.join(sums, on=["period_start_on", "basis", "person"], how="left")
        .with_columns(said=status, is_known=(pl.col("status") != "no_actual") & ~lacks_rate)
        .with_columns(has_books=pl.col("said").is_in(["ok", "no_call"]))
    )
    rows = told.select(
        "period_start_on",
        "layer",
        "forecaster_id",
        "category",
        call_amount="forecast_amount",
        miss_amount=pl.when("is_known").then(_given("crm_amount") - pl.col("forecast_amount")),
        crm_amount=pl.when("is_known").then(_given("crm_amount")),
        **{name: pl.when("has_books").then(_given(name)) for name in (*BOOK_STEPS, "booked_amount")},
        status="said",
    )
    return CallBookings.validate(rows.select(CallBookings.column_names()), cast=True)


_CALL = ("period_start_on", "layer", "forecaster_id", "category", "forecast_amount", "status")
_REST = ("unbooked_amount", "differing_amount", "credit_amount")


def _within(frame: pl.DataFrame, periods: pl.DataFrame, day: str, name: str) -> pl.DataFrame:
    """``frame`` with the period that holds ``day``, as ``name``; null outside every period."""
    spans = periods.select(pl.col("period_start_on").alias(name), until_on="period_end_on").sort(name)
    found = frame.sort(day, nulls_last=True).join_asof(
        spans.with_columns(at=pl.col(name)), left_on=day, right_on="at", strategy="backward"
    )
    return found.with_columns(pl.when(pl.col(day) <= pl.col("until_on")).then(name).alias(name)).drop("until_on", "at")


def _given(column: str) -> pl.Expr:
    """A sum over nothing is exactly nothing; what no rate converts is marked before it gets here."""
    return pl.coalesce(pl.col(column), _NOTHING).alias(column)


def _where(condition: pl.Expr, column: str) -> pl.Expr:
    return pl.when(condition).then(pl.col(column)).otherwise(_NOTHING)


def _sum(values: str | pl.Expr) -> pl.Expr:
    return (pl.col(values) if isinstance(values, str) else values).sum()


def _summed(rows: pl.DataFrame, basis: str) -> pl.DataFrame:
    return (
        rows.group_by("period_start_on", "person")
        .agg(*(pl.col(name).sum().cast(MONEY) for name in _SUMS), pl.col("lacks_rate").any())
        .with_columns(basis=pl.lit(basis))
    )
