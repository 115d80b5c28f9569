"""Bias of forecasters: how their calls land, how sure that is, and when it may be said.

A landing rate is Σactual ÷ Σforecast, "for every $1.00 called, $0.82 lands"; θ is its logarithm, below 0 when calls run
high. Calls are added up a hierarchy, so the mean is what they should hit (Gneiting 2011): a mean of log ratios would
call everybody with lumpy deals too high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from pipelines.contracts import MONEY, ForecasterBias
from pipelines.engine.pooling import Evidence, Pooled, pool
from pipelines.engine.ratios import Ratios, landing_ratios, shock_variance
from pipelines.engine.records import Slice, amounts, codes, horizon_weeks, is_closed_pair, schema_of, slices
from pipelines.engine.team import clustered_rate, heterogeneity_p_value, team_bias
from pipelines.policy import Policy
from pipelines.side_by_side import side_by_side

__all__ = ["classify", "forecaster_bias", "nothing_landed_posterior", "team_bias"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

SMALLEST_DISPERSION = 1e-3
"""Peers without any error have dispersion 0, under which landing nothing would be impossible instead of very
telling."""

PEER_QUANTILES = (np.arange(99) + 0.5) / 99.0
"""Where the dispersion of peers is read off: even weights, and thousands of peers cost no more than a hundred."""


def forecaster_bias(pairs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """One row per layer × forecaster × category × horizon bucket: ``contracts.ForecasterBias``, sorted by that grain.

    ``pairs``: ``contracts.ForecastPairs``, any order. Forecasters of a layer, category and week are pooled together,
    departed ones too (leaving them out would keep only survivors).

    * ``pair_count`` closed pairs; ``expected_count`` adds the closed periods without a call; amounts are sums over
      closed pairs, null when there are none; ``unforecast_amount`` what landed in periods called at 0.
    * ``landing_rate`` raw Σactual ÷ Σforecast. ``estimate`` the median and ``lower``, ``upper`` the equal-tailed
      quantiles at ``level`` of the posterior of e^θ. Below 1 the calls run high. All null below
      ``policy.min_periods_value`` closed periods.
    * ``own_weight_rate`` share of the posterior mean that comes from the own record, the rest being peers'.
    * ``own_variance`` sampling variance of the own ln(landing rate), without the shared shock.
    * ``probability_high_rate`` P(θ < 0); ``wrong_sign_rate`` the local false sign rate min(P(θ < 0), P(θ > 0))
      (Stephens 2017).
    * ``direction``: see ``classify`` and ``anybody_leans``. Given at the lock week only, so that nobody gets five
      chances to be accused, and only from ``policy.min_periods_label`` periods and ``policy.min_deals_label`` won
      deals (where deals are known) on.
    * ``status``: ``ok``, ``not_enough_history``, ``nothing_landed`` (Σactual = 0), ``no_call`` (nothing called, or
      zero).
    """
    buckets = horizon_weeks(policy)
    parts = list(slices(pairs, frozenset(buckets)))
    frames = list(side_by_side(lambda part: _measure(part, buckets[part.week_of_period], policy), parts))
    columns = schema_of(ForecasterBias)
    if not frames:
        return pl.DataFrame(schema=columns)
    order = ["layer", "forecaster_id", "category", "week_of_period"]
    return pl.concat(frames).select(*columns).cast(columns).sort(order)


@dataclass(frozen=True)
class _Posterior:
    """Per forecaster of a slice (K); NaN where nothing can be said."""

    median: Floats
    lower: Floats
    upper: Floats
    below_zero: Floats
    in_fair_zone: Floats
    own_weight: Floats
    has_evidence: bool
    """Anybody leans at all, see ``anybody_leans``."""

    @classmethod
    def unknown(cls, size: int, *, has_evidence: bool) -> _Posterior:
        one, two, three, four, five, six = (np.full(size, np.nan) for _ in range(6))
        return cls(one, two, three, four, five, six, has_evidence)


def _measure(part: Slice, bucket: str, policy: Policy) -> pl.DataFrame:
    summary = _sums(part.rows, policy)
    closed = part.closed
    size = len(summary)
    if closed.is_empty():
        posterior, own_variance = _Posterior.unknown(size, has_evidence=False), np.full(size, np.nan)
    else:
        ids = pl.DataFrame({"forecaster_id": summary["forecaster_id"], "code": np.arange(size, dtype=np.int64)})
        unit = closed.select("forecaster_id").join(ids, on="forecaster_id", how="left", maintain_order="left")["code"]
        period, periods = codes(closed["period_start_on"])
        forecast, actual = amounts(closed["forecast_amount"]), amounts(closed["actual_amount"])
        ratios = landing_ratios(
            unit.to_numpy(), period, forecast, actual, unit_count=size, period_count=len(periods), policy=policy
        )
        posterior = _posterior(unit.to_numpy(), period, (forecast, actual), ratios, policy)
        own_variance = np.where(ratios.is_usable, ratios.variance, np.nan)

    lfsr = np.minimum(posterior.below_zero, 1.0 - posterior.below_zero)
    status = summary["status"].to_numpy()
    may_be_labelled = (
        (part.week_of_period == policy.lock_week)
        & np.isin(status, ["ok", "nothing_landed"])
        & (summary["period_count"].to_numpy() >= policy.min_periods_label)
        & np.isfinite(lfsr)
    )
    may_lean = posterior.has_evidence | (status == "nothing_landed")
    direction = classify(
        posterior.below_zero, posterior.in_fair_zone, may_be_labelled, policy, may_lean=np.asarray(may_lean)
    )
    has_value = np.isfinite(posterior.median)
    return summary.with_columns(
        pl.lit(part.layer).alias("layer"),
        pl.lit(part.category).alias("category"),
        pl.lit(bucket).alias("horizon_bucket"),
        pl.lit(part.week_of_period, dtype=pl.Int64).alias("week_of_period"),
        _column("estimate", np.exp(posterior.median)),
        _column("lower", np.exp(posterior.lower)),
        _column("upper", np.exp(posterior.upper)),
        _column("level", np.where(has_value, policy.level, np.nan)),
        _column("own_weight_rate", posterior.own_weight),
        _column("own_variance", own_variance),
        _column("probability_high_rate", posterior.below_zero),
        pl.Series("direction", direction),
        _column("wrong_sign_rate", lfsr),
    )


def _column(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64).fill_nan(None)


def _sums(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Counts, money sums and ``status`` per forecaster, sorted by ``forecaster_id``."""
    closed = is_closed_pair()
    called, landed = pl.col("forecast_amount").filter(closed), pl.col("actual_amount").filter(closed)
    won = pl.col("won_count").filter(closed)
    missed = (pl.col("status") == "no_call") & pl.col("actual_amount").is_not_null()
    has_pairs = pl.col("pair_count") > 0
    return (
        rows.group_by("forecaster_id")
        .agg(
            closed.sum().cast(pl.Int64).alias("pair_count"),
            pl.col("period_start_on").filter(closed).n_unique().cast(pl.Int64).alias("period_count"),
            (closed | missed).sum().cast(pl.Int64).alias("expected_count"),
            pl.when(closed.any() & (won.null_count() == 0)).then(won.sum()).alias("won_count"),
            pl.when(closed.any()).then(called.sum()).cast(MONEY).alias("forecast_amount"),
            pl.when(closed.any()).then(landed.sum()).cast(MONEY).alias("actual_amount"),
            pl.when(closed.any()).then(landed.filter(called == 0).sum()).cast(MONEY).alias("unforecast_amount"),
            pl.col("forecast_amount").is_not_null().any().alias("has_call"),
        )
        .sort("forecaster_id")
        .with_columns(
            pl.when(pl.col("forecast_amount") > 0)
            .then(pl.col("actual_amount").cast(pl.Float64) / pl.col("forecast_amount").cast(pl.Float64))
            .alias("landing_rate"),
            pl.when(~pl.col("has_call") | (has_pairs & (pl.col("forecast_amount") <= 0)))
            .then(pl.lit("no_call"))
            .when(has_pairs & (pl.col("actual_amount") <= 0))
            .then(pl.lit("nothing_landed"))
            .when((pl.col("period_count") < policy.min_periods_label) | (pl.col("won_count") < policy.min_deals_label))
            .then(pl.lit("not_enough_history"))
            .otherwise(pl.lit("ok"))
            .alias("status"),
        )
    )


def _posterior(unit: Whole, period: Whole, money: tuple[Floats, Floats], ratios: Ratios, policy: Policy) -> _Posterior:
    """``money``: the forecasts and the actuals of the closed pairs."""
    forecast, actual = money
    usable = ratios.is_usable
    counted = usable[unit]
    chosen = (unit[counted], period[counted], (forecast[counted], actual[counted]))
    has_evidence = bool(usable.any()) and anybody_leans(*chosen, ratios.variance[usable], policy)
    result = _Posterior.unknown(len(ratios.rate), has_evidence=has_evidence)
    if not usable.any():
        return result
    _, shock = shock_variance(
        period[counted],
        forecast[counted],
        actual[counted],
        sum_forecast=ratios.sum_forecast[usable],
        variance=ratios.variance[usable],
    )
    evidence = Evidence.with_intercept(ratios.y[usable], ratios.variance[usable], ratios.loading[usable], shock)
    pooled = pool(evidence, prior_scale=policy.tau_prior_scale, points=policy.tau_points)
    tail = (1.0 - policy.level) / 2.0
    zone = float(np.log1p(policy.fair_zone))
    result.median[usable] = pooled.quantile(0.5)
    result.lower[usable] = pooled.quantile(tail)
    result.upper[usable] = pooled.quantile(1.0 - tail)
    result.below_zero[usable] = pooled.probability_below(0.0)
    result.in_fair_zone[usable] = pooled.probability_below(zone) - pooled.probability_below(-zone)
    result.own_weight[usable] = pooled.own_weight

    enough = ratios.period_count >= policy.min_periods_value
    zeros = np.flatnonzero(enough & (ratios.sum_forecast > 0.0) & (ratios.sum_actual <= 0.0))
    called = np.bincount(unit, weights=forecast > 0.0, minlength=len(ratios.rate)).astype(np.int64)
    dispersion = ratios.phi_moderated[usable]
    posteriors = {
        n: nothing_landed_posterior(pooled, int(n), dispersion, policy) for n in np.unique(called[zeros]).tolist()
    }
    for k in zeros:
        theta, cumulative = posteriors[int(called[k])]
        result.median[k], result.lower[k], result.upper[k] = np.interp([0.5, tail, 1.0 - tail], cumulative, theta)
        below_low, result.below_zero[k], below_high = np.interp([-zone, 0.0, zone], theta, cumulative)
        result.in_fair_zone[k] = below_high - below_low
    return result


def anybody_leans(unit: Whole, period: Whole, money: tuple[Floats, Floats], variance: Floats, policy: Policy) -> bool:
    """Whether any single forecaster may be spoken of: forecasters differ, or all lean together, beyond chance.

    ``unit`` any whole numbers that tell forecasters apart, in the order of ``variance``. True if
    ``heterogeneity_p_value`` or the two-sided p-value of the common lean (period-clustered t) is at most
    ``policy.flag_mean_lfsr``. Without it, one company in five whose forecasters are all alike and unbiased would see
    somebody labelled: a few bad quarters that all shared pass for a lean of the person who happened to stand at the
    edge.
    """
    _, place = np.unique(unit, return_inverse=True)
    differ = heterogeneity_p_value(place.astype(np.int64), period, money, variance)
    called, landed = np.bincount(period, weights=money[0]), np.bincount(period, weights=money[1])
    seen = np.bincount(period) > 0
    rate, error = clustered_rate(
        np.zeros(int(seen.sum()), dtype=np.int64), called[seen].astype(np.float64), landed[seen].astype(np.float64)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        lean = 2.0 * special.stdtr(float(seen.sum()) - 1.0, -np.abs(np.log(rate[0])) / error[0])
    return bool(differ <= policy.flag_mean_lfsr or lean <= policy.flag_mean_lfsr)


def nothing_landed_posterior(
    pooled: Pooled, called_count: int, dispersion: Floats, policy: Policy
) -> tuple[Floats, Floats]:
    """Posterior of θ for a forecaster of whose ``called_count`` called periods nothing landed: a grid and its cdf.

    ln 0 is no observation for a normal likelihood, and leaving the forecaster out would hide the clearest case of all.
    Under the same variance law (power p between 1 and 2: a Poisson number of gamma-sized deals; Jørgensen 1987) the
    chance of landing nothing at all is exp(−n·e^((2−p)θ) / ((2−p)·φ)). Nothing of the forecaster's own tells φ, so the
    chance is averaged over the moderated φ of peers (``dispersion``, at ``PEER_QUANTILES`` of them): with their mean
    alone, those who close dozens of small deals would make two years of nothing impossible for somebody who, like
    some of them, sells one large deal a year. It multiplies what peers say of somebody without a record. Such
    forecasters do not enter the fit of peers.
    """
    power = policy.variance_power
    mean, sd = pooled.newcomer()
    centre = float(mean[0] @ pooled.weight)
    # Far enough down that even dispersion at its floor keeps the posterior off the end of the grid.
    theta = np.linspace(min(centre, 0.0) - 40.0, max(centre, 0.0) + 6.0, 9201)
    prior = (np.exp(-0.5 * ((theta[:, None] - mean) / sd) ** 2) / sd) @ pooled.weight
    phi = np.maximum(np.quantile(dispersion, PEER_QUANTILES), SMALLEST_DISPERSION)
    scale = called_count * np.exp((2.0 - power) * theta) / (2.0 - power)
    with np.errstate(divide="ignore"):
        log_density = np.log(prior) + special.logsumexp(-scale[:, None] / phi, axis=1)
    density = np.exp(log_density - log_density.max())
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    return theta, cumulative / cumulative[-1]


def classify(
    below_zero: Floats,
    in_fair_zone: Floats,
    may_be_labelled: Flags,
    policy: Policy,
    *,
    may_lean: Flags | None = None,
) -> list[str]:
    """The word for each forecaster (K): ``runs_high``, ``runs_low``, ``fair`` or, by default, ``not_enough_evidence``.

    ``below_zero`` P(θ < 0), ``in_fair_zone`` P(|θ| ≤ ln 1.10) under the default zone. Among those who
    ``may_be_labelled``:

    1. ``fair`` where in_fair_zone ≥ ``policy.fair_probability``: a lean too small to matter is no lean, however sure.
       Were leans named first, nobody could stay fair: with quarters enough, a lean of 1 % is beyond doubt too.
    2. The others in order of local false sign rate: the largest set whose mean rate is ≤ ``policy.flag_mean_lfsr``
       and in which no rate exceeds ``policy.flag_each_lfsr`` gets its direction (Stephens 2017). If the model
       held exactly, at most that mean share of the leans spoken of would have the wrong sign; ``make study`` shows what
       share has it where it does not hold.

    ``may_lean`` (default all): whom rule 2 is open to, see ``anybody_leans``.
    """
    lfsr = np.minimum(below_zero, 1.0 - below_zero)
    fair = may_be_labelled & (np.nan_to_num(in_fair_zone, nan=0.0) >= policy.fair_probability)
    open_to_lean = may_be_labelled & ~fair if may_lean is None else may_be_labelled & ~fair & may_lean
    candidates = np.flatnonzero(open_to_lean & (np.nan_to_num(lfsr, nan=1.0) <= policy.flag_each_lfsr))
    order = candidates[np.argsort(lfsr[candidates], kind="stable")]
    running_mean = np.cumsum(lfsr[order]) / np.arange(1, len(order) + 1)
    flagged = order[: int(np.sum(running_mean <= policy.flag_mean_lfsr))]
    words = np.full(len(below_zero), "not_enough_evidence", dtype=object)
    words[fair] = "fair"
    words[flagged] = np.where(below_zero[flagged] > 0.5, "runs_high", "runs_low")
    return [str(word) for word in words]
