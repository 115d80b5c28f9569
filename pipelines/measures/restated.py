"""What closed periods were reported at, and what the CRM says of them now."""

from __future__ import annotations

import polars as pl

from pipelines.contracts import MONEY
from pipelines.outcome_contracts import CorrectedValues, RestatedDeals, Restatements
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.restated import corrected_values, frozen_wins, knows_deals, restated_deals


def restatements(prepared: Prepared, periods: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """**As reported, as corrected.** ``restatements``, one row per closed period, and the ``restated_deals`` behind it.

    A period's actual is frozen at its end plus the days of grace and never changes afterwards, whatever is entered
    later: that is what was reported. What its won deals say today, each in the period of its close date as it stands
    today, is what is corrected. The difference is told deal by deal, and adds up to the cent. Pages judge calls against
    what was reported, for that is what everyone was told. ``corrected_values``: each past value of a deal that is told
    otherwise since, both ways.
    """
    closed = periods.filter(pl.col("status") == "closed").select("period_start_on")
    deals = RestatedDeals.validate(restated_deals(prepared).select(RestatedDeals.column_names()), cast=True)
    won = frozen_wins(prepared)
    moved = deals.group_by("period_start_on").agg(
        difference_amount=pl.col("difference_amount").sum().cast(MONEY), deal_count=pl.len().cast(pl.Int64)
    )
    told = closed.join(won, on="period_start_on", how="left").join(moved, on="period_start_on", how="left")
    # A closed period in which nothing was won, or nothing restated, has exactly nothing of it.
    sums = [_none_is_nothing(name) for name in ("reported_amount", "difference_amount", "deal_count")]
    table = (
        told.with_columns(sums)
        .with_columns(pl.col("reported_amount", "difference_amount").cast(MONEY))
        .with_columns(corrected_amount=(pl.col("reported_amount") + pl.col("difference_amount")).cast(MONEY))
        .sort("period_start_on")
    )
    known = table if knows_deals(prepared) else table.clear()
    return {
        "restatements": Restatements.validate(known.select(Restatements.column_names()), cast=True),
        "restated_deals": deals,
        "corrected_values": CorrectedValues.validate(corrected_values(prepared), cast=True),
    }


def _none_is_nothing(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col(name)).alias(name)
