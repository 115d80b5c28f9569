"""Was the miss luck, and whose error is it over time?

Reads the ``deals`` frame described in ``attribution``, with ``probability_rate`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy import stats

from pipelines.contracts import Luck
from pipelines.engine.attribution import GRAIN, entries_of, placed_under
from pipelines.engine.deal_draws import PastPeriod, estimate_shock

LUCK_LEVEL = 0.90
"""The range the probabilities allow: nine quarters in ten land inside it if they are right."""


class ErrorShares(dy.Schema):
    """Forecaster: share of the company's mean squared error over the periods (Euler, equal to the Shapley value).

    ``share_amount2`` = mean(eᵢ·E), in money squared; adds up over forecasters to mean(E²). ``share_rate`` the same over
    the total, can be negative (this forecaster's errors offset the others'). ``latest_error_amount`` eᵢ of the newest
    period: show money for one quarter, never a percentage of a miss that may be near zero.
    """

    forecaster_id = dy.String(nullable=False)
    period_count = dy.Int64(nullable=False)
    share_amount2 = dy.Float64(nullable=False)
    share_rate = dy.Float64(nullable=True)
    latest_error_amount = dy.Decimal(18, 2, nullable=True)


def luck(
    deals: pl.DataFrame,
    members_at_lock: pl.DataFrame,
    scopes: Sequence[str],
    *,
    factor_sd: float | Mapping[date, float],
    level: float = LUCK_LEVEL,
) -> pl.DataFrame:
    """**Was it luck?** What the called deals' own probabilities allowed, beside what was won of them: ``Luck``.

    ``deals`` as above with ``probability_rate``: the chance, at lock, to be won in the period. ``factor_sd``:
    sd (probit) of the shock all deals of a period share, one for all periods or one each; a period without one has too
    few others to know it. Without the shock the allowance is far too small and every miss looks dramatic.
    Variance of Σ a·won: Σ p(1−p)a² + s²·[(Σ aφ)² − Σ (aφ)²] with φ = φ(Φ⁻¹(p)), the first-order covariance of pairs
    (one-factor model: Vasicek 1987); a single deal's own variance is p(1−p)a² whatever it shares.
    """
    entries = entries_of(deals).filter(pl.col("called_cents") != 0)
    p = entries["probability_rate"].cast(pl.Float64).to_numpy()
    a = entries["called_cents"].to_numpy() / 100
    rated = entries.with_columns(
        _a=pl.Series(a, dtype=pl.Float64),
        _own=pl.Series(p * (1 - p) * a**2, dtype=pl.Float64, nan_to_null=True),
        _pull=pl.Series(a * stats.norm.pdf(stats.norm.ppf(p)), dtype=pl.Float64, nan_to_null=True),
    )
    placed = placed_under(rated, "lock_side_id", members_at_lock).filter(pl.col("scope").is_in(list(scopes)))
    has_rate = pl.col("probability_rate").is_not_null()
    won = pl.col("_a").filter(has_rate & (pl.col("outcome") == "won"))
    summed = (
        placed.sort(*GRAIN, "scope", "opportunity_id")
        .group_by([*GRAIN, "scope"], maintain_order=True)
        .agg(
            deal_count=pl.len().cast(pl.Int64),
            unrated_count=(~has_rate).sum().cast(pl.Int64),
            expected=(pl.col("_a") * pl.col("probability_rate")).sum(),
            won=won.sum(),
            own=pl.col("_own").sum(),
            shared=pl.col("_pull").sum() ** 2 - (pl.col("_pull") ** 2).sum(),
        )
    )
    if isinstance(factor_sd, Mapping):
        named = {"period_start_on": list(factor_sd), "factor_sd": list(factor_sd.values())}
        sds = pl.DataFrame(named, schema={"period_start_on": pl.Date, "factor_sd": pl.Float64})
        summed = summed.join(sds, on="period_start_on", how="left", maintain_order="left")
    else:
        summed = summed.with_columns(factor_sd=pl.lit(factor_sd, pl.Float64))
    half = float(stats.norm.ppf(0.5 + level / 2))
    is_rated, is_ok = pl.col("unrated_count") < pl.col("deal_count"), pl.col("status") == "ok"
    gap = pl.col("won") - pl.col("expected")
    is_inside = gap.abs() <= half * pl.col("sd")
    word = pl.when(is_inside).then(pl.lit("inside")).when(gap < 0).then(pl.lit("below")).otherwise(pl.lit("above"))
    table = (
        summed.with_columns(sd=(pl.col("own") + pl.col("factor_sd") ** 2 * pl.col("shared")).clip(0).sqrt())
        .with_columns(
            status=pl.when(~is_rated)
            .then(pl.lit("no_probability"))
            .when(pl.col("own") <= 0)
            .then(pl.lit("certain"))
            .when(pl.col("factor_sd").is_null())
            .then(pl.lit("not_enough_history"))
            .otherwise(pl.lit("ok")),
            level=pl.lit(level),
        )
        .with_columns(
            expected_amount=pl.when(is_rated).then(pl.col("expected").round(2)),
            won_amount=pl.when(is_rated).then(pl.col("won").round(2)),
            allowance_sd_amount=pl.when(is_ok).then(pl.col("sd").round(2)),
            z=pl.when(is_ok).then(gap / pl.col("sd")),
            lower=pl.when(is_ok).then((pl.col("expected") - half * pl.col("sd")).round(2)),
            upper=pl.when(is_ok).then((pl.col("expected") + half * pl.col("sd")).round(2)),
            direction=pl.when(is_ok).then(word),
        )
    )
    return Luck.validate(table.select(Luck.column_names()), cast=True)


def shared_shocks(deals: pl.DataFrame, *, least: int) -> dict[date, float]:
    """Period → sd (probit) of the shock its called deals share, estimated from every *other* period.

    A period is never part of its own measure: its luck would widen its own allowance. Moments of landed ÷ expected
    beyond chance (``deal_draws.estimate_shock``), over called deals that were open at the lock and have a probability.
    Empty with fewer than ``least`` other periods (at least five: the widening for n periods needs n > 3).
    """
    undecided = (pl.col("probability_rate") > 0) & (pl.col("probability_rate") < 1)
    rated = entries_of(deals).filter((pl.col("called_cents") != 0) & undecided)
    past: dict[date, PastPeriod] = {}
    for (start,), part in rated.sort("period_start_on", "opportunity_id").group_by("period_start_on"):
        a = part["called_cents"].to_numpy() / 100
        landed = float(a[(part["outcome"] == "won").to_numpy()].sum())
        past[start] = PastPeriod(part["probability_rate"].to_numpy(), a, a**2, landed, 0.0, 0.0, 0.0)
    if len(past) - 1 < max(least, 5):
        return {}
    ordered = sorted(past)
    return {start: estimate_shock([past[other] for other in ordered if other != start]).sd for start in ordered}


def landed_variance(probability: ArrayLike, amount: ArrayLike, factor_sd: float) -> float:
    """Variance of Σ amount·won when the deals share one probit-normal shock, to first order in its variance."""
    p, a = np.asarray(probability, dtype=float), np.asarray(amount, dtype=float)
    pull = a * stats.norm.pdf(stats.norm.ppf(p))
    return float((p * (1 - p) * a**2).sum() + factor_sd**2 * (pull.sum() ** 2 - (pull**2).sum()))


def error_shares(errors: pl.DataFrame) -> pl.DataFrame:
    """Who the error comes from, over time: frame ``ErrorShares``.

    ``errors``: forecaster × period with ``error_amount`` (forecast − actual; null rows are left out: a period without a
    call is no part of the total). Euler allocation mean(eᵢ·E) of the mean square, E the sum over forecasters; equal to
    the Shapley value (Colini-Baldeschi, Scarsini and Vaccari 2018), so no enumeration is needed.
    """
    known = errors.filter(pl.col("error_amount").is_not_null()).with_columns(
        error=pl.col("error_amount").cast(pl.Float64)
    )
    if known.is_empty():
        return ErrorShares.create_empty()
    periods = known["period_start_on"].n_unique()
    newest = known["period_start_on"].max()
    ordered = known.sort("forecaster_id", "period_start_on")
    with_total = ordered.with_columns(total=pl.col("error").sum().over("period_start_on"))
    shares = with_total.group_by("forecaster_id", maintain_order=True).agg(
        period_count=pl.len().cast(pl.Int64),
        share_amount2=(pl.col("error") * pl.col("total")).sum() / periods,
        latest_error_amount=pl.col("error_amount").filter(pl.col("period_start_on") == newest).first(),
    )
    mean_square = float(shares["share_amount2"].sum())
    rate = pl.col("share_amount2") / mean_square if mean_square > 0 else pl.lit(None, pl.Float64)
    return ErrorShares.validate(shares.with_columns(share_rate=rate).select(ErrorShares.column_names()), cast=True)
