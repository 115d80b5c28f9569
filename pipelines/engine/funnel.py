"""Who stands out from the common lean, given how much each own record says."""

from __future__ import annotations

import math

import polars as pl
from scipy import stats

FUNNEL_SCHEMA: dict[str, type[pl.DataType]] = {
    "own_error_rate": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
}


def funnel_limits(own_errors: pl.Series, *, common: float, level: float, points: int = 41) -> pl.DataFrame:
    """**The funnel.** Where raw landing rates fall, ``level`` of the time, if nobody differs from the common lean.

    ``own_errors``: standard errors of the forecasters' ln(landing rate), from their own records. ``common``: the
    landing rate they would share. One row per point from 0 to the largest error: ``own_error_rate``, and ``lower``,
    ``upper`` = common × exp(∓z × error), z the normal quantile of ``level`` (Spiegelhalter, 2005). Inside the funnel is
    what chance alone does; a point outside is a reason to look, not a finding: labels come from the pooled estimate.
    No rows without a usable error.
    """
    largest = max((value for value in own_errors.drop_nulls().to_list() if math.isfinite(value)), default=0.0)
    if largest <= 0 or common <= 0:
        return pl.DataFrame(schema=FUNNEL_SCHEMA)
    z = float(stats.norm.ppf((1 + level) / 2))
    grid = [largest * step / (points - 1) for step in range(points)]
    rows = [(error, common * math.exp(-z * error), common * math.exp(z * error)) for error in grid]
    return pl.DataFrame(rows, schema=FUNNEL_SCHEMA, orient="row")


def distances(rates: pl.DataFrame, *, common: float, level: float) -> pl.DataFrame:
    """``rates`` (``landing_rate``, ``own_error_rate``) with ``distance``: how far out of the funnel, 1 = on its edge.

    |ln(landing rate) − ln(common)| ÷ (z × error). Null where nothing landed or no error is known. Chance alone puts
    1 − ``level`` of people who do not differ beyond 1.
    """
    z = float(stats.norm.ppf((1 + level) / 2))
    usable = (pl.col("landing_rate") > 0) & (pl.col("own_error_rate") > 0) & pl.lit(common > 0)
    log_distance = (pl.col("landing_rate").log() - math.log(common if common > 0 else 1.0)).abs()
    return rates.with_columns(distance=pl.when(usable).then(log_distance / (z * pl.col("own_error_rate"))))
