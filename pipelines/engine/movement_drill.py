"""Which deals an amount of ``pipeline_movement`` is made of: any movement, of any scope, in any span that is told."""

from __future__ import annotations

from datetime import date

import dataframely as dy
import polars as pl

from pipelines.policy import COMPANY_SCOPE

ENDS = ("start", "end")


class DealsBehind(dy.Schema):
    """Opportunity: what it is of one movement's amount. ``moved_at``: the last such change; null for what stood.

    ``owner_id``: at that change, or, at a period's two ends, then; null where it is told of the scope alone, and for
    what stood as a week began or ended. ``change_count``: how many changes; null for what stood.
    """

    opportunity_id = dy.String(nullable=False)
    name = dy.String(nullable=True)
    owner_id = dy.String(nullable=True)
    amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)
    change_count = dy.Int64(nullable=True)
    moved_at = dy.Datetime(nullable=True, time_unit="us")


def deals_behind(
    rows: pl.DataFrame,
    owners: pl.DataFrame,
    *,
    scope: str,
    movement: str,
    from_on: date | None = None,
    to_on: date | None = None,
) -> pl.DataFrame:
    """**The deals behind a movement.** The deals whose amounts add up to one amount of the pipeline's movement.

    ``rows``: ``movement_deals`` of one period; ``owners``: ``owner_scopes`` of the scope, which the company does not
    need. ``from_on``, ``to_on``: both days of a week of that period; none of them for the whole period. A change counts
    for everybody its owner belonged to that day. What stood as a week began is what stood at the period's start and
    every change before it; what stood at its end, every change until then.

    Amounts are in the reporting currency, outflows negative, and sum to the movement's to the cent; largest first.
    """
    ours = _of_scope(rows, owners, scope)
    on, is_step = pl.col("moved_at").dt.date(), ~pl.col("movement").is_in(ENDS)
    if from_on is None or to_on is None:
        kept = pl.col("movement") == movement
    elif movement in ENDS:
        reach = on < from_on if movement == "start" else on <= to_on
        kept = (pl.col("movement") == "start") | (is_step & reach)
    else:
        kept = (pl.col("movement") == movement) & on.is_between(from_on, to_on)
    stands = movement in ENDS
    is_summed = stands and from_on is not None
    nothing = pl.lit(None)
    summed = (
        ours.filter(kept)
        .sort("opportunity_id", "moved_at", nulls_last=False)
        .group_by("opportunity_id", maintain_order=True)
        .agg(
            pl.col("name").last(),
            (nothing if is_summed else pl.col("owner_id").last()).alias("owner_id"),
            pl.col("amount").sum().cast(pl.Decimal(18, 2)),
            pl.col("deal_count").sum(),
            (nothing if stands else pl.col("change_count").sum()).alias("change_count"),
            (nothing if stands else pl.col("moved_at").max()).alias("moved_at"),
        )
    )
    found = summed.filter(pl.col("deal_count") != 0) if stands else summed
    return DealsBehind.validate(
        found.select(DealsBehind.column_names()).sort(
            pl.col("amount").abs(), "opportunity_id", descending=[True, False]
        ),
        cast=True,
    )


def _of_scope(rows: pl.DataFrame, owners: pl.DataFrame, scope: str) -> pl.DataFrame:
    """Rows that count for the scope: of it alone, or of somebody who belonged to it on the row's day."""
    alone = pl.col("scope") == scope
    if scope == COMPANY_SCOPE:
        # Whoever owns a deal belongs to the company, always.
        return rows.filter(pl.col("scope").is_null() | alone)
    spans = owners.filter(pl.col("scope") == scope).select("person_id", "from_on", "to_on")
    belonged = (
        rows.with_row_index("place")
        .filter(pl.col("scope").is_null() & pl.col("owner_id").is_in(spans["person_id"].unique().implode()))
        .join(spans, left_on="owner_id", right_on="person_id", how="inner")
        .filter((pl.col("from_on") <= pl.col("owner_on")) & (pl.col("owner_on") < pl.col("to_on")))
    )
    places = belonged["place"]
    return rows.with_row_index("place").filter(alone | pl.col("place").is_in(places.implode())).drop("place")
