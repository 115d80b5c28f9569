"""Does closed-won tie to the books? Every won opportunity and every booking line in exactly one row, in cents.

Sign: ``difference_amount`` = CRM − booked; positive = the CRM claims more than the books. A side that does not exist
is null, never 0, and the difference is then the side that does. Both ledgers are kept whole::

    Σ crm_amount    = Σ of the won opportunities handed in
    Σ booked_amount = Σ of the booking lines handed in, credits included

Matching: ``engine.matching``. ``break_kind``, the first that applies:

``no_amount``: a side without an amount in the reporting currency (none is stated, or no rate converts it).
``awaiting``: won, not booked, and either no older than the policy's ``match_days`` or won after the last day the books
tell of: a period may close before its bookings arrive. ``missing_in_finance``: won, not booked, older.
``matched``: within tolerance, same period. ``timing``: amounts agree, booked in another period than it was won.
``over_credited``: credits exceed what was booked. ``credit``: agrees but for credit lines, or a credit without an
opportunity. ``booked_twice``: two or more lines, each the whole amount of the deal. ``rate``: agrees but for the rate
of exchange between closing and booking. ``partial``: booked in part. ``amount``: booked above the CRM's amount.
``missing_in_crm``: booked, not won.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine.matching import Line, Won, agree, match, money_of, plain_pairs
from pipelines.errors import EditionError
from pipelines.policy import Policy

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "record_id": pl.String,
    "record_kind": pl.String,
    "opportunity_id": pl.String,
    "booking_ids": pl.String,
    "account_name": pl.String,
    "owner_id": pl.String,
    "closed_on": pl.Date,
    "booked_on": pl.Date,
    "period_start_on": pl.Date,
    "crm_amount": MONEY,
    "booked_amount": MONEY,
    "credit_amount": MONEY,
    "difference_amount": MONEY,
    "rate_amount": MONEY,
    "break_kind": pl.String,
    "matched_by": pl.String,
    "age_days": pl.Int64,
}


def reconciliation(
    won: pl.DataFrame, bookings: pl.DataFrame, periods: pl.DataFrame, as_of_on: date, policy: Policy
) -> pl.DataFrame:
    """**Does it tie to the books?** One row per won opportunity, and one per booking line that belongs to none.

    Lines that name the opportunity are its own (a line that names several won ones is split over them); the rest are
    matched by account, amount and date within the policy's tolerances, each line once: one to one, several lines to one
    deal, one line to several deals of an account. What is not matched is a row of its own, so both ledgers add up to
    the cent. ``difference_amount`` = CRM − booked: positive means that the
    CRM claims more than the books.

    ``won``: one row per won opportunity: ``opportunity_id, account_name, owner_id, closed_on, crm_amount``.
    ``bookings``: one row per line: ``booking_id, booked_on, booked_amount, opportunity_id, account_name``, and
    ``closing_amount`` (at the rate of the day its opportunity closed) where rates of exchange are to be told apart.
    ``periods``: ``period_start_on, period_end_on``. Amounts in the reporting currency; null (no rate) stays null.
    ``age_days``: days from the day it was won or booked to ``as_of_on``; null when matched.
    Order of rows in makes no difference. Errors: none; empty frames give an empty frame.
    """
    plain = plain_pairs(won, bookings)
    deals, left = match(plain.won, plain.bookings, policy)
    starts = sorted((row["period_start_on"], row["period_end_on"]) for row in periods.iter_rows(named=True))
    reach = books_reach(bookings, as_of_on)
    rows = [_deal_row(deal, starts, as_of_on, reach, policy) for deal in deals]
    rows += [_line_row(line, starts, as_of_on) for line in left]
    told = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return pl.concat([told, _plain_rows(plain.pairs, starts, as_of_on, policy)]).sort("record_kind", "record_id")


def _plain_rows(
    pairs: pl.DataFrame, periods: Sequence[tuple[date, date]], as_of_on: date, policy: Policy
) -> pl.DataFrame:
    """``_deal_row`` of deals with one line, both with an amount and the line's above nothing: all of them at once."""
    cents = {"claimed": "crm_amount", "booked": "line_booked_amount"}
    if "line_closing_amount" in pairs.columns:
        cents["at_closing"] = "line_closing_amount"
    known = pairs.with_columns(
        **{name: (pl.col(column).cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64) for name, column in cents.items()},
        won_in=_period_of("closed_on", periods),
        booked_in=_period_of("line_booked_on", periods),
    )
    if "at_closing" not in cents:
        known = known.with_columns(at_closing=pl.lit(None, pl.Int64))
    claimed, booked = pl.col("claimed"), pl.col("booked")
    by_rate = pl.when(pl.col("at_closing") != booked).then(pl.col("at_closing") - booked)
    room = pl.max_horizontal(
        pl.lit(float(policy.match_amount_cents)), policy.match_amount_rate * claimed.abs().cast(pl.Float64)
    )
    kind = (
        pl.when((claimed - booked).abs() <= room)
        .then(
            pl.when(pl.col("won_in").eq_missing(pl.col("booked_in")))
            .then(pl.lit("matched"))
            .otherwise(pl.lit("timing"))
        )
        .when((claimed - booked - pl.col("by_rate")).abs() <= room)
        .then(pl.lit("rate"))
        .when(booked < claimed)
        .then(pl.lit("partial"))
        .otherwise(pl.lit("amount"))
    )
    told = known.with_columns(by_rate=by_rate).with_columns(break_kind=kind)
    age = (pl.lit(as_of_on) - pl.col("closed_on")).dt.total_days()
    return told.select(
        "opportunity_id",
        "account_name",
        "owner_id",
        "closed_on",
        "crm_amount",
        "break_kind",
        record_id="opportunity_id",
        record_kind=pl.lit("opportunity"),
        booking_ids="line_booking_id",
        booked_on="line_booked_on",
        period_start_on="won_in",
        booked_amount="line_booked_amount",
        credit_amount=pl.lit(None, MONEY),
        difference_amount=pl.col("crm_amount") - pl.col("line_booked_amount"),
        rate_amount=(pl.col("by_rate").cast(pl.Decimal(38, 2)) / 100).cast(MONEY),
        matched_by=pl.lit("id"),
        age_days=pl.when(pl.col("break_kind") != "matched").then(age),
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def _period_of(column: str, periods: Sequence[tuple[date, date]]) -> pl.Expr:
    """First day of the period that holds the day; null outside of all."""
    found = pl.lit(None, pl.Date)
    for start, end in reversed(periods):
        found = pl.when(pl.col(column).is_between(start, end)).then(pl.lit(start)).otherwise(found)
    return found


def books_reach(bookings: pl.DataFrame, as_of_on: date) -> date | None:
    """The last day the books tell of: the latest day a line was booked on, never after the edition's own day."""
    days = [day for day in bookings["booked_on"].to_list() if day <= as_of_on]
    return max(days, default=None)


def totals(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per break_kind: ``record_count``, ``unvalued_count`` (rows without a difference, as a side has no amount)
    and the three amounts, which add up to both ledgers."""
    return (
        frame.group_by("break_kind")
        .agg(
            pl.len().cast(pl.Int64).alias("record_count"),
            pl.col("difference_amount").is_null().sum().cast(pl.Int64).alias("unvalued_count"),
            *(pl.col(name).sum().cast(MONEY) for name in ("crm_amount", "booked_amount", "difference_amount")),
        )
        .sort("break_kind")
    )


def with_ledger(kinds: pl.DataFrame, won: pl.DataFrame, bookings: pl.DataFrame) -> pl.DataFrame:
    """``totals`` and one row ``ledger``, summed from what was handed in rather than from the rows they became.

    Errors: EditionError if the two disagree by a cent.
    """
    crm, booked = _sum(won["crm_amount"]), _sum(bookings["booked_amount"])
    found = (_sum(kinds["crm_amount"]), _sum(kinds["booked_amount"]))
    if found != (crm, booked):
        raise EditionError(
            f"The tie-out adds up to {found[0]} won and {found[1]} booked, the ledgers to {crm} and {booked}.",
            "Nothing has been published; this is a fault of the program: please report.",
        )
    unvalued = won["crm_amount"].null_count() + bookings["booked_amount"].null_count()
    row = ("ledger", won.height + bookings.height, unvalued, crm, booked, crm - booked)
    return pl.concat([kinds, pl.DataFrame([row], schema=kinds.schema, orient="row")]).sort("break_kind")


def _sum(amounts: pl.Series) -> Decimal:
    """Exact; what has no amount is in no sum, nothing at all sums to exactly nothing."""
    return sum((amount for amount in amounts.to_list() if amount is not None), Decimal("0.00"))


def _deal_row(
    deal: Won, periods: Sequence[tuple[date, date]], as_of_on: date, reach: date | None, policy: Policy
) -> tuple[object, ...]:
    booked = _total(line.cents for line in deal.lines) if deal.lines else None
    credit = _total(line.cents for line in deal.lines if line.cents is not None and line.cents < 0)
    by_rate = _rate_part(deal, booked)
    kind = _kind(deal, booked, credit=credit, by_rate=by_rate, periods=periods, policy=policy)
    if kind == "missing_in_finance" and _may_still_come(deal, as_of_on, reach, policy):
        kind = "awaiting"
    return (
        deal.opportunity_id,
        "opportunity",
        deal.opportunity_id,
        ", ".join(sorted({line.booking_id for line in deal.lines})) or None,
        deal.account_name,
        deal.owner_id,
        deal.closed_on,
        _first_booked(deal),
        _period(deal.closed_on, periods),
        money_of(deal.cents),
        money_of(booked),
        money_of(credit) if credit else None,
        money_of(None if kind == "no_amount" else _difference(deal.cents, booked)),
        money_of(by_rate),
        kind,
        deal.matched_by,
        None if kind == "matched" else (as_of_on - deal.closed_on).days,
    )


def _first_booked(deal: Won) -> date | None:
    """The day of the first line that is not a credit; of a credit where there is nothing else."""
    days = [line.booked_on for line in deal.lines if line.cents is None or line.cents >= 0]
    return min(days or [line.booked_on for line in deal.lines], default=None)


def _rate_part(deal: Won, booked: int | None) -> int | None:
    """What the rates did between closing and booking, in cents; null where it cannot be told, or is nothing."""
    at_closing = _total(line.closing_cents for line in deal.lines)
    return None if at_closing is None or booked is None or at_closing == booked else at_closing - booked


def _kind(
    deal: Won,
    booked: int | None,
    *,
    credit: int | None,
    by_rate: int | None,
    periods: Sequence[tuple[date, date]],
    policy: Policy,
) -> str:
    first = _first_booked(deal)
    if deal.cents is None or (deal.lines and booked is None):
        return "no_amount"
    if first is None or booked is None:
        return "missing_in_finance"
    if agree(deal.cents, booked, policy):
        return "matched" if _period(first, periods) == _period(deal.closed_on, periods) else "timing"
    return _differing(deal, deal.cents, booked, credit=credit, by_rate=by_rate, policy=policy)


def _differing(deal: Won, claimed: int, booked: int, *, credit: int | None, by_rate: int | None, policy: Policy) -> str:
    """Why the two sides of a deal that is booked do not agree."""
    if booked < 0:
        return "over_credited"
    reasons = {
        "credit": credit is not None and credit < 0 and agree(claimed, booked - credit, policy),
        "rate": by_rate is not None and agree(claimed, booked + by_rate, policy),
        "booked_twice": _is_twice(deal, policy),
        "partial": booked < claimed,
    }
    return next((kind for kind, holds in reasons.items() if holds), "amount")


def _may_still_come(deal: Won, as_of_on: date, reach: date | None, policy: Policy) -> bool:
    is_young = (as_of_on - deal.closed_on).days <= policy.match_days
    return is_young or (reach is not None and deal.closed_on > reach)


def _is_twice(deal: Won, policy: Policy) -> bool:
    """Two lines or more, each of the deal's whole amount."""
    lines = [line.cents for line in deal.lines if line.cents is not None and line.cents > 0]
    return len(lines) > 1 and deal.cents is not None and all(agree(deal.cents, cents, policy) for cents in lines)


def _line_row(line: Line, periods: Sequence[tuple[date, date]], as_of_on: date) -> tuple[object, ...]:
    kind = "no_amount" if line.cents is None else "credit" if line.cents < 0 else "missing_in_crm"
    return (
        line.booking_id,
        "booking",
        line.opportunity_id,
        line.booking_id,
        line.account_name,
        None,
        None,
        line.booked_on,
        _period(line.booked_on, periods),
        None,
        money_of(line.cents),
        money_of(line.cents) if kind == "credit" else None,
        money_of(_difference(None, line.cents)),
        None,
        kind,
        None,
        (as_of_on - line.booked_on).days,
    )


def _difference(crm: int | None, booked: int | None) -> int | None:
    if crm is None:
        return None if booked is None else -booked
    return crm if booked is None else crm - booked


def _total(parts: Iterable[int | None]) -> int | None:
    """Sum in cents; null when any part is unknown or there is none."""
    known = list(parts)
    if not known or any(part is None for part in known):
        return None
    return sum(part for part in known if part is not None)


def _period(day: date, periods: Sequence[tuple[date, date]]) -> date | None:
    return next((start for start, end in periods if start <= day <= end), None)
