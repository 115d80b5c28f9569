"""Plan, call, range and actual by period, by month within it, and by fiscal quarter where periods are months."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine.projection import split_by_weight

KEY = ["scope", "period_start_on"]


def months_of(periods: pl.DataFrame) -> pl.DataFrame:
    """Period × calendar month, clipped to the period, so that every day of it lies in exactly one."""
    rows = []
    for start, end in periods.select("period_start_on", "period_end_on").sort("period_start_on").iter_rows():
        first = start
        while first <= end:
            following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
            rows.append((start, first, min(following - timedelta(days=1), end)))
            first = following
    schema = {"period_start_on": pl.Date, "span_start_on": pl.Date, "span_end_on": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row")


def quarter_start(day: date, fiscal_year_start_month: int) -> date:
    """First day of the fiscal quarter that holds a day."""
    back = (day.month - fiscal_year_start_month) % 3
    month = day.month - back
    return date(day.year, month, 1) if month > 0 else date(day.year - 1, month + 12, 1)


def landed_by_month(amounts: pl.DataFrame, months: pl.DataFrame, day: str, amount: str) -> pl.DataFrame:
    """Scope × month part: the sum of ``amount`` by ``day``; null where one of its amounts has no rate.

    ``amounts``: scope × record, with ``lacks_rate``. Months without a record have no row.
    """
    parts = months.select("period_start_on", "span_start_on", until_on="span_end_on").sort("span_start_on")
    found = (
        amounts.drop_nulls(day)
        .sort(day)
        .join_asof(parts.with_columns(at=pl.col("span_start_on")), left_on=day, right_on="at", strategy="backward")
    )
    inside = found.filter(pl.col(day) <= pl.col("until_on"))
    return inside.group_by("scope", "period_start_on", "span_start_on").agg(
        pl.when(~pl.col("lacks_rate").any()).then(pl.col(amount).sum()).cast(MONEY).alias(amount)
    )


def split_months(months: pl.DataFrame, *, still: Decimal, due: pl.DataFrame, today: date) -> list[Decimal] | None:
    """**By month, from open deals' close dates.** What is still to land in an open period, over its months in cents.

    ``months``: its parts in order; ``due``: open deals, ``close_on`` and ``expected_amount`` (chance × amount). A deal
    due already counts in the running month, one due after the period in none. Deals yet to be created are in the total
    and not in the weights: they are taken to follow the others. None when no open deal is due in the period.
    """
    weights = [0.0] * months.height
    spans = months.select("span_start_on", "span_end_on").rows()
    for close_on, expected in due.select("close_on", "expected_amount").iter_rows():
        at = max(close_on, today)
        for place, (start, end) in enumerate(spans):
            if start <= at <= end and expected is not None:
                weights[place] += float(expected)
    return split_by_weight(still, weights)
