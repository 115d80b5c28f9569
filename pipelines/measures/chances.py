"""Whose probability, given when, and what came of it: the engine's ``chances`` frame; which fields know too much."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from pipelines.engine.deal_draws import PastPeriod, estimate_shock
from pipelines.engine.health import MATURE_FROM

KNOWN_EARLY = {
    "stage": "first_stage",
    "amount": "first_amount",
    "probability_rate": "first_probability_rate",
    "forecast_category": "first_category",
    "sales_motion": "sales_motion",
    "lead_source": "lead_source",
    "opportunity_type": "opportunity_type",
    "account_name": "account_name",
    "next_step": "next_step",
}
"""Columns of the opportunity export that might serve a forecast, by where they stood when the deal was opened."""

MOST_FIELDS = 60
"""An export has rarely more columns that no table knows; a row of notes split at commas has thousands."""

NUMBER = r"^[-+]?\d+(?:[.,]\d+)?\s*%?$"
MOSTLY = 0.95
"""Share of a column's cells that are numbers before it is taken for one: the rest are remarks."""

MIN_SHOCK_PERIODS = 4
_COLUMNS = ["source", "week_of_period", "opportunity_id", "period_start_on", "predicted_rate", "outcome", "amount"]


def chances(
    states: pl.DataFrame,
    lives: pl.DataFrame,
    defaults: pl.DataFrame,
    *,
    lock_week: int,
    odds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Source × horizon × look at a deal, as ``engine.calibration`` asks for.

    At the lock week: deals due in the period then, and whether they were won in it. Ever (week null): each deal's first
    lock week, and how it ended; only of periods nine in ten of whose deals are resolved, as quick losses come first.

    Sources: ``stage_default``; ``rep``, the probability that stood on the deal then; ``model``, the chance that this
    engine would have issued then (``odds``: period × deal, ``win_probability_rate``, from earlier periods alone), of
    the same deals at the lock week, in the periods it issued any for. It promises nothing of ever.
    """
    looks = (
        states.filter(
            pl.col("week_of_period") == lock_week,
            pl.col("period_status") == "closed",
            "existed",
            ~pl.col("won_by_week"),
        )
        .join(defaults.select("stage", "default_probability_rate"), left_on="lock_stage", right_on="stage", how="left")
        .rename({"lock_amount": "amount"})
    )
    due = looks.filter("is_due")
    first = (
        looks.sort("period_start_on", "opportunity_id")
        .unique("opportunity_id", keep="first", maintain_order=True)
        .with_columns(week_of_period=pl.lit(None, pl.Int64))
        .drop("outcome")
        .join(lives.select("opportunity_id", "outcome"), on="opportunity_id")
        .with_columns(done=(pl.col("outcome") != "open").mean().over("period_start_on"))
        .filter(pl.col("done") >= MATURE_FROM, pl.col("outcome") != "open")
    )
    both = pl.concat([due.select(_common(due)), first.select(_common(due))])
    sources = {"stage_default": "default_probability_rate", "rep": "lock_probability_rate"}
    parts = [
        both.with_columns(source=pl.lit(source), predicted_rate=pl.col(column))
        .filter(pl.col("predicted_rate").is_not_null().any())
        .select(_COLUMNS)
        for source, column in sources.items()
    ]
    if odds is not None:
        issued = due.join(odds.select("period_start_on").unique(), on="period_start_on")
        own = issued.join(odds, on=["period_start_on", "opportunity_id"], how="left")
        parts.append(own.with_columns(source=pl.lit("model"), predicted_rate="win_probability_rate"))
    return pl.concat([part.select(_COLUMNS) for part in parts])


def _common(frame: pl.DataFrame) -> list[str]:
    return [
        "week_of_period",
        "opportunity_id",
        "period_start_on",
        "default_probability_rate",
        "lock_probability_rate",
        "outcome",
        *(["amount"] if "amount" in frame.columns else []),
    ]


def shared_shock(looks: pl.DataFrame) -> float:
    """Sd (probit) of the luck that deals of one period share, by count, for the consistency band; 0 where unknown.

    ``looks``: one source at one horizon. The chance of a deal is what deals of the same probability came to over all
    periods: whether the probabilities themselves are true is the question, so they cannot be the answer's measure.
    """
    rated = looks.drop_nulls(["predicted_rate", "outcome"]).with_columns(won=(pl.col("outcome") == "won").cast(pl.Int8))
    if rated["period_start_on"].n_unique() < MIN_SHOCK_PERIODS or not 0 < int(rated["won"].sum()) < rated.height:
        return 0.0
    usual = rated.with_columns(rate=pl.col("won").mean().over("predicted_rate"))
    past = []
    for _, part in usual.sort("period_start_on").group_by(["period_start_on"], maintain_order=True):
        p, one = part["rate"].to_numpy(), np.ones(part.height)
        past.append(PastPeriod(p, one, one, float(part["won"].sum()), 0.0, 0.0, 0.0))
    return estimate_shock(past).sd


def resolved(lives: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Deals that ended, with the fields as they stood when they were opened, and which fields the export has."""
    ended = lives.filter(pl.col("outcome") != "open").select(
        *(pl.col(column).alias(name) for name, column in KNOWN_EARLY.items()), is_won=pl.col("outcome") == "won"
    )
    return ended, [name for name in KNOWN_EARLY if ended[name].null_count() < ended.height]


def other_fields(kept: pl.DataFrame, lives: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Deals that ended, with the export's columns that no table has (``kept``: warehouse.opportunity_fields), numbers
    where nearly all cells are; and those columns' names as written. They stand as of the export, not of an earlier day:
    one that tells won from lost may have been filled in at the end, and serves no forecast until it is known when.
    """
    ended = lives.filter(pl.col("outcome") != "open").select("opportunity_id", is_won=pl.col("outcome") == "won")
    found = kept.join(ended, on="opportunity_id").sort("opportunity_id")
    cells: dict[str, list[str | None]] = {}
    for place, text in enumerate(found["other_columns"]):
        for name, value in json.loads(text).items():
            if name not in cells:
                if len(cells) == MOST_FIELDS:
                    continue
                cells[name] = [None] * found.height
            cells[name][place] = value
    columns = [_typed(pl.Series(name, values, dtype=pl.String)) for name, values in cells.items()]
    # A column of that very name is judged like any other.
    columns = [column.rename("is_won ") if column.name == "is_won" else column for column in columns]
    return pl.DataFrame([found["is_won"], *columns]), [column.name for column in columns]


def _typed(cells: pl.Series) -> pl.Series:
    known = cells.drop_nulls()
    if known.str.contains(NUMBER).sum() < MOSTLY * known.len():
        return cells
    plain = cells.str.strip_chars("% ").str.replace(",", ".", literal=True)
    return plain.cast(pl.Float64, strict=False)
