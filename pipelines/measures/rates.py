"""Rates that people plan with as if they were laws, period by period: the three frames of ``engine.stability``."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine.health import DIGITS, tells_no_decision
from pipelines.policy import COMPANY_SCOPE

SHORTEST_DAYS = 1
"""A deal won on the day it was entered took a day: a logarithm knows no nothing."""

WHOLE = pl.lit(None, pl.String)
MOTION = pl.col("sales_motion")


def outcome_rates(lives: pl.DataFrame, exits: pl.DataFrame, closed: list[date]) -> pl.DataFrame:
    """``won_count, trial_count`` of the win rate and the no-decision share (whole company, and per motion), and of
    stage conversion: of the deals that left a stage in a period, how many went forward."""
    ended = lives.filter(pl.col("outcome") != "open").rename({"closed_period_on": "period_start_on"})
    won, none = pl.col("outcome") == "won", pl.col("outcome") == "no_decision"
    by_motion = ended.drop_nulls("sales_motion")
    kept = exits.filter(pl.col("went") != "back")
    parts = [
        _counted(ended, "win_rate", WHOLE, won, closed),
        _counted(by_motion, "win_rate", MOTION, won, closed),
        _counted(ended, "no_decision_share", WHOLE, none, closed),
        _counted(by_motion, "no_decision_share", MOTION, none, closed),
        _counted(kept, "stage_conversion", pl.col("stage"), pl.col("went") == "forward", closed),
    ]
    if not tells_no_decision(lives):
        parts = [part.filter(pl.col("measure") != "no_decision_share") for part in parts]
    return pl.concat(parts)


def _counted(frame: pl.DataFrame, measure: str, item: pl.Expr, hit: pl.Expr, closed: list[date]) -> pl.DataFrame:
    return (
        frame.filter(pl.col("period_start_on").is_in(closed))
        .with_columns(item=item, hit=hit)
        .group_by("item", "period_start_on")
        .agg(won_count=pl.col("hit").sum().cast(pl.Int64), trial_count=pl.len().cast(pl.Int64))
        .select(
            pl.lit(measure).alias("measure"),
            "item",
            pl.lit(COMPANY_SCOPE).alias("scope"),
            "period_start_on",
            "won_count",
            "trial_count",
        )
    )


def coverage_needed(states: pl.DataFrame, *, lock_week: int) -> pl.DataFrame:
    """``pipeline_amount``: open at the lock week and due in the period; ``landed_amount``: won after it, whatever had
    been in the pipeline; ``chance_variance``: what the deals' own chances explain of the latter.

    A deal's chance is what due deals of its stage came to over all periods; business created after the lock is a
    compound Poisson sum, whose variance is estimated by its squared amounts, averaged over periods.
    """
    seen = states.filter(
        pl.col("week_of_period") == lock_week, pl.col("period_status") == "closed", ~pl.col("won_by_week")
    ).with_columns(
        money=pl.col("lock_amount").cast(pl.Float64),
        landed=pl.when(pl.col("outcome") == "won").then(pl.col("end_amount").cast(pl.Float64)),
        is_due=pl.col("is_due").fill_null(False) & pl.col("existed"),
    )
    due = seen.filter("is_due").with_columns(chance=(pl.col("outcome") == "won").mean().over("lock_stage"))
    variance = (pl.col("money") ** 2 * pl.col("chance") * (1 - pl.col("chance"))).sum()
    pipeline = due.group_by("period_start_on").agg(pipeline_amount=pl.col("money").sum(), own=variance)
    landed = seen.group_by("period_start_on").agg(
        landed_amount=pl.col("landed").sum(),
        others=(pl.col("landed").filter(~pl.col("is_due")) ** 2).sum(),
    )
    both = pipeline.join(landed, on="period_start_on").with_columns(
        chance_variance=(pl.col("own") + pl.col("others").mean()).round_sig_figs(DIGITS),
        measure=pl.lit("coverage_needed"),
        item=WHOLE,
        scope=pl.lit(COMPANY_SCOPE),
    )
    amounts = pl.col("landed_amount", "pipeline_amount").round(2).cast(MONEY)
    return both.select("measure", "item", "scope", "period_start_on", amounts, "chance_variance")


def cycle_times(lives: pl.DataFrame, closed: list[date]) -> pl.DataFrame:
    """``deal_count, mean_log_days, sd_log_days`` of won deals per period, whole company and per motion."""
    won = lives.filter(pl.col("outcome") == "won", pl.col("closed_period_on").is_in(closed)).drop_nulls("cycle_days")
    log_days = pl.col("cycle_days").clip(SHORTEST_DAYS).cast(pl.Float64).log()
    parts = [
        frame.with_columns(item=item, log_days=log_days)
        .group_by("item", "closed_period_on")
        .agg(
            deal_count=pl.len().cast(pl.Int64),
            mean_log_days=pl.col("log_days").mean().round_sig_figs(DIGITS),
            sd_log_days=pl.col("log_days").std().round_sig_figs(DIGITS),
        )
        for item, frame in ((WHOLE, won), (MOTION, won.drop_nulls("sales_motion")))
    ]
    return pl.concat(parts).select(
        pl.lit("cycle_days").alias("measure"),
        "item",
        pl.lit(COMPANY_SCOPE).alias("scope"),
        pl.col("closed_period_on").alias("period_start_on"),
        "deal_count",
        "mean_log_days",
        "sd_log_days",
    )
