"""What an edition says of how deals end: closed deals with what they have in common."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from pipelines.engine.miss import TENURE_BANDS
from pipelines.engine.outcomes import outcome_reasons, win_loss
from pipelines.policy import Policy
from pipelines.warehouse.deal_lives import opportunity_fields
from pipelines.warehouse.prepared import Prepared

CUTS = ("sales_motion", "lead_source", "opportunity_type", "competitor", "team", "tenure")

_ASKED = (
    "opportunity_id", "owner_id", "closed_on", "outcome", "outcome_reason", "amount", "sales_motion", "lead_source",
    "opportunity_type",
)  # fmt: skip

COMPETITOR = "competitor"
"""A column of the export whose name has this word says whom a deal was won or lost against."""


def outcome_tables(
    prepared: Prepared, lives: pl.DataFrame, scopes: pl.DataFrame, closed: list[date], policy: Policy
) -> dict[str, pl.DataFrame]:
    """``win_loss`` and ``outcome_reasons``; empty where no deal has closed in a closed period."""
    ended = lives.filter(pl.col("closed_period_on").is_in(closed)).select(*_ASKED, period_start_on="closed_period_on")
    owners = scopes.select(pl.col("scope").alias("owner_id"), "team", "hired_on")
    described = ended.join(owners, on="owner_id", how="left").join(
        competitors(opportunity_fields(prepared)), on="opportunity_id", how="left"
    )
    days = (pl.col("closed_on") - pl.col("hired_on")).dt.total_days()
    tenure = pl.lit("third year or later")
    for upper, name in reversed(TENURE_BANDS):
        tenure = pl.when(days <= upper).then(pl.lit(name)).otherwise(tenure)
    deals = described.with_columns(tenure=pl.when(days >= 0).then(tenure)).sort("opportunity_id")
    return {
        "win_loss": win_loss(deals, CUTS, level=policy.level),
        "outcome_reasons": outcome_reasons(deals, level=policy.level),
    }


def competitors(kept: pl.DataFrame) -> pl.DataFrame:
    """Opportunity × competitor, from the first column of the export (by name) that names one; none where no does.

    ``kept``: ``opportunity_id``, ``other_columns`` (JSON as written); of a large company a fixed part of its deals.
    """
    rows = []
    for opportunity_id, text in kept.select("opportunity_id", "other_columns").iter_rows():
        fields = json.loads(text)
        named = sorted(name for name in fields if COMPETITOR in name.lower())
        value = next((str(fields[name]).strip() for name in named if str(fields[name] or "").strip()), None)
        if value is not None:
            rows.append((opportunity_id, value))
    return pl.DataFrame(rows, schema={"opportunity_id": pl.String, "competitor": pl.String}, orient="row")
