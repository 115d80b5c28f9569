"""Where the open period lands for the scope asked, and what was said at the same week of past periods."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl

from dashboard import shelf
from dashboard.filters import Filters
from pipelines.engine.outlook import Held, Line, Outlook, Swing, in_twenty, misses
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

METHOD = "combined"


def outlook(
    ref: EditionRef, filters: Filters, *, call_amount: Decimal | None, quota_amount: Decimal | None, level: float
) -> Outlook | None:
    """The outlook of the filter's scope; None where no range was issued.

    The range is one for all layers: whose call is asked about changes the line drawn across it, not where it lands.
    """
    where = {"period_start_on": ref.open_period_start_on, "scope": filters.scope}
    rows = editions.read(ref, "landing", where={**where, "method": METHOD})
    rows = rows.filter((pl.col("level") - level).abs() < 1e-9).drop_nulls(["estimate", "lower", "upper"])
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    dots = tuple(editions.read(ref, "landing_dots", where=where).sort("dot")["amount"].to_list())
    named = (("quota", quota_amount), ("call", call_amount))
    same_calls = (row["layer"], row["category"]) == filters.calls
    return Outlook(
        week=row["week_of_period"],
        level=row["level"],
        estimate=row["estimate"],
        lower=row["lower"],
        upper=row["upper"],
        closed_amount=row["closed_amount"],
        period_count=row["period_count"],
        status=row["status"],
        dots=dots,
        lines=tuple(Line(name, amount, misses(dots, amount)) for name, amount in named if amount),
        held=_held(ref, filters.scope, row),
        swing=_swing(ref, where) if same_calls else None,
    )


def past_ranges(ref: EditionRef, scope: str, found: Outlook) -> pl.DataFrame:
    """One row per past period, oldest first: ``label, lower, estimate, upper, actual_amount, is_inside``, as issued at
    the outlook's week."""
    where = {"scope": scope, "week_of_period": found.week, "method": METHOD}
    rows = editions.read(ref, "landing_backtest", where=where)
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    return (
        rows.filter((pl.col("level") - found.level).abs() < 1e-9)
        .join(labels, on="period_start_on", how="left")
        .sort("period_start_on")
        .select("label", "lower", "estimate", "upper", "actual_amount", "is_inside")
    )


def _held(ref: EditionRef, scope: str, issued: dict[str, Any]) -> Held | None:
    rows = editions.read(
        ref, "coverage", where={"scope": scope, "week_of_period": issued["week_of_period"], "method": METHOD}
    )
    rows = rows.filter((pl.col("level") - issued["level"]).abs() < 1e-9)
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return Held(
        row["hit_count"],
        row["period_count"],
        row["level"],
        row["narrow_limit_count"],
        row["wide_limit_count"],
        row["verdict"],
    )


def _swing(ref: EditionRef, where: dict[str, Any]) -> Swing | None:
    rows = editions.read(ref, "landing_swings", where=where)
    rows = rows.drop_nulls(["probability_of_call_if_won_rate", "probability_of_call_if_lost_rate"]).sort("rank")
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    deal = editions.read(
        ref, "deals", where={"opportunity_id": row["opportunity_id"]}, columns=["name", "account_name"]
    )
    named = [value for value in deal.rows()[0] if value] if deal.height else []
    return Swing(
        row["opportunity_id"],
        named[0] if named else row["opportunity_id"],
        row["amount"],
        row["win_probability_rate"],
        in_twenty(row["probability_of_call_if_won_rate"]),
        in_twenty(row["probability_of_call_if_lost_rate"]),
    )
