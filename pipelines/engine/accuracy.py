"""How far calls were from what landed, against the naive call of a past period's actual."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipelines.contracts import MONEY, Accuracy
from pipelines.engine.records import is_closed_pair, schema_of
from pipelines.policy import Policy

LAST_YEAR = "same_period_last_year"
PREVIOUS = "previous_period"

GRAIN = ("layer", "category", "week_of_period", "period_start_on")

CALENDAR_SLACK_DAYS = 10
"""52- and 53-week years shift a period's start by a few days from one year to the next."""


def accuracy(pairs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """One row per layer × category × week_of_period × closed period: ``contracts.Accuracy``, sorted by that grain.

    * ``wape_rate`` Σ|error| ÷ Σactual and ``bias_rate`` Σerror ÷ Σactual (positive = ran high) over the forecasters
      with a closed pair; null where nothing landed.
    * The naive call is each forecaster's own actual of the same period last year where more than half of the row's
      forecasters have one, else of the previous period where any has one (``naive_kind`` says which, null = neither).
      ``naive_wape_rate`` is over the forecasters who have it, and ``skill_rate`` = 1 − wape ÷ naive wape over those
      same forecasters: newcomers, who cannot be compared, do not tilt it.
    * ``status``: ``ok``, ``nothing_landed`` (no rates), ``no_naive`` (no past actual, or the naive call was perfect:
      no skill).
    """
    columns = schema_of(Accuracy)
    closed = pairs.filter(is_closed_pair())
    if closed.is_empty():
        return pl.DataFrame(schema=columns)
    links = _earlier_periods(pairs)
    actuals = (
        pairs.filter(pl.col("actual_amount").is_not_null() & pl.col("status").is_in(["closed", "no_call"]))
        .group_by("layer", "forecaster_id", "period_start_on")
        .agg(pl.col("actual_amount").first().cast(pl.Float64).alias("past_actual"))
    )
    known = closed.select(
        *GRAIN,
        "forecaster_id",
        "forecast_amount",
        "actual_amount",
        pl.col("actual_amount").cast(pl.Float64).alias("actual"),
        (pl.col("forecast_amount").cast(pl.Float64) - pl.col("actual_amount").cast(pl.Float64)).alias("error"),
    ).join(links, on="period_start_on", how="left")
    for kind in (LAST_YEAR, PREVIOUS):
        known = known.join(
            actuals.rename({"period_start_on": f"{kind}_on", "past_actual": kind}),
            on=["layer", "forecaster_id", f"{kind}_on"],
            how="left",
        )

    def against(kind: str) -> list[pl.Expr]:
        has = pl.col(kind).is_not_null()
        return [
            has.mean().alias(f"{kind}_share"),
            (pl.col(kind) - pl.col("actual")).abs().sum().alias(f"{kind}_naive_error"),
            pl.col("error").filter(has).abs().sum().alias(f"{kind}_error"),
            pl.col("actual").filter(has).sum().alias(f"{kind}_actual"),
        ]

    rows = known.group_by(*GRAIN).agg(
        pl.col("forecaster_id").n_unique().cast(pl.Int64).alias("forecaster_count"),
        pl.col("forecast_amount").sum().cast(MONEY),
        pl.col("actual_amount").sum().cast(MONEY),
        pl.col("error").abs().sum().alias("absolute_error"),
        pl.col("error").sum().alias("signed_error"),
        pl.col("actual").sum().alias("landed"),
        *against(LAST_YEAR),
        *against(PREVIOUS),
    )
    use_last_year = pl.col(f"{LAST_YEAR}_share") > 0.5
    use_previous = ~use_last_year & (pl.col(f"{PREVIOUS}_share") > 0.0)

    def chosen(part: str) -> pl.Expr:
        return pl.when(use_last_year).then(pl.col(f"{LAST_YEAR}_{part}")).when(use_previous).then(f"{PREVIOUS}_{part}")

    landed = pl.when(pl.col("landed") > 0).then(pl.col("landed"))
    rows = rows.with_columns(
        (pl.col("absolute_error") / landed).alias("wape_rate"),
        (pl.col("signed_error") / landed).alias("bias_rate"),
        pl.when(landed.is_not_null() & (chosen("actual") > 0))
        .then(chosen("naive_error") / chosen("actual"))
        .alias("naive_wape_rate"),
        pl.when(use_last_year).then(pl.lit(LAST_YEAR)).when(use_previous).then(pl.lit(PREVIOUS)).alias("naive_kind"),
    ).with_columns(
        pl.when(pl.col("naive_wape_rate") > 0).then(1.0 - chosen("error") / chosen("naive_error")).alias("skill_rate")
    )
    return (
        rows.with_columns(
            pl.when(landed.is_null())
            .then(pl.lit("nothing_landed"))
            .when(pl.col("skill_rate").is_null())
            .then(pl.lit("no_naive"))
            .otherwise(pl.lit("ok"))
            .alias("status")
        )
        .select(*columns)
        .cast(columns)
        .sort(*GRAIN)
    )


def _earlier_periods(pairs: pl.DataFrame) -> pl.DataFrame:
    """One row per period: when the same period last year and the previous period started, where pairs know them."""
    periods = pairs.select("period_start_on", "period_end_on").unique("period_start_on").sort("period_start_on")
    starts: list[date] = periods["period_start_on"].to_list()
    ends: list[date] = periods["period_end_on"].to_list()
    last_year: list[date | None] = []
    previous: list[date | None] = []
    for place, start in enumerate(starts):
        distance = {other: abs((start - other).days - 365) for other in starts[:place]}
        nearest = min(distance, key=lambda other: distance[other], default=None)
        last_year.append(nearest if nearest is not None and distance[nearest] <= CALENDAR_SLACK_DAYS else None)
        before = starts[place - 1] if place else None
        touches = place > 0 and abs((start - ends[place - 1]).days - 1) <= CALENDAR_SLACK_DAYS
        previous.append(before if touches else None)
    return pl.DataFrame(
        {"period_start_on": starts, f"{LAST_YEAR}_on": last_year, f"{PREVIOUS}_on": previous},
        schema=dict.fromkeys(["period_start_on", f"{LAST_YEAR}_on", f"{PREVIOUS}_on"], pl.Date),
    )
