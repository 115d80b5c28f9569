"""Landing rates as ratios of sums, how far chance moves them, and the shock that all share in a period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.engine.moderation import VariancePrior, moderate, variance_prior
from pipelines.policy import Policy

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

SMALL_CALL_SHARE = 0.25
"""A call under this share of the forecaster's average call says too little about the size of its own chance error for
the variance law (a call of $1 beside $100,000 landed would claim an infinite one): its squared error is counted as
it is."""

SMALLEST_VARIANCE = 1e-8
"""Records without any error have sampling variance 0, which no interval can be drawn from; this is ±0.01 %."""

HALF_LIFE_FROM_PERIODS = 10


@dataclass(frozen=True)
class Ratios:
    """One entry per unit (a forecaster, or a forecaster within a scope); arrays of shape K.

    ``rate`` Σactual ÷ Σforecast (weighted if a half-life is set) · ``period_count`` periods with a call ·
    ``phi`` dispersion of one period, ``df`` its degrees of freedom, ``phi_moderated`` after moderation ·
    ``variance`` sampling variance of ln(rate) without the shared shock · ``y`` ln(rate) + variance/2 ·
    ``loading`` (K × periods) share of each period in the unit's record · ``is_usable`` a finite y exists.
    """

    rate: Floats
    sum_forecast: Floats
    sum_actual: Floats
    period_count: Whole
    phi: Floats
    df: Floats
    phi_moderated: Floats
    prior: VariancePrior
    variance: Floats
    y: Floats
    loading: Floats
    is_usable: Flags


def period_weights(period_count: int, half_life: float | None) -> Floats:
    """Weight of each period, oldest first: halved every ``half_life`` periods before the newest; all 1 without one.

    A half-life is ignored below ten periods: with fewer, forgetting costs more than drift.
    """
    if half_life is None or period_count < HALF_LIFE_FROM_PERIODS:
        return np.ones(period_count)
    age = np.arange(period_count - 1, -1, -1, dtype=np.float64)
    return np.asarray(0.5 ** (age / half_life), dtype=np.float64)


def landing_ratios(
    unit: Whole,
    period: Whole,
    forecast: Floats,
    actual: Floats,
    *,
    unit_count: int,
    period_count: int,
    policy: Policy,
    peers: Flags | None = None,
) -> Ratios:
    """Ratio-of-sums landing rates of ``unit_count`` units with moderated variances.

    ``unit``, ``period`` (0-based, chronological), ``forecast``, ``actual`` are parallel: one entry per closed pair, any
    order, at most one per unit and period, in any one currency (a common factor changes nothing). ``peers`` marks
    the units the variance prior is learnt from (default all).

        e_t = A_t − R·F_t
        φ   = [Σ e_t² / F_t^p] / [(n − 1)·R²·mean F_t^(2−p)]
        v   = φ̃ · mean F_t^(2−p) · Σ F_t^p / (Σ F_t)²
        y   = ln R + v/2                                  the delta method's −v/2 added back

    Ratio estimator: Cochran (1977, ch. 6); the moderation: Smyth (2004). With weights w: sums of w·F, w·A; n becomes
    (Σw)²/Σw². Periods whose call is 0 or under a quarter of the unit's mean call stay in the sums, but their squared
    error joins the variance directly as n/(n−1)·e²/(ΣA)² instead of through the variance law.
    """
    weight = period_weights(period_count, policy.half_life_periods)[period]

    def total(values: Floats) -> Floats:
        return np.bincount(unit, weights=values, minlength=unit_count).astype(np.float64)

    n = np.bincount(unit, minlength=unit_count).astype(np.int64)
    sum_w, sum_w2 = total(weight), total(weight**2)
    sum_forecast, sum_actual = total(weight * forecast), total(weight * actual)
    has_rate = (sum_forecast > 0.0) & (sum_actual > 0.0)
    rate = np.full(unit_count, np.nan)
    np.divide(sum_actual, sum_forecast, out=rate, where=sum_forecast > 0.0)

    power = policy.variance_power
    error = np.where(has_rate[unit], actual - rate[unit] * forecast, 0.0)
    mean_call = np.divide(sum_forecast, sum_w, out=np.zeros(unit_count), where=sum_w > 0.0)
    follows_law = has_rate[unit] & (forecast >= SMALL_CALL_SHARE * mean_call[unit]) & (forecast > 0.0)
    call = np.where(follows_law, forecast, 1.0)
    law = np.where(follows_law, weight, 0.0)
    law_w, law_w2 = total(law), total(law**2)
    n_law = np.divide(law_w**2, law_w2, out=np.zeros(unit_count), where=law_w2 > 0.0)
    mean_size = np.divide(total(law * call ** (2.0 - power)), law_w, out=np.zeros(unit_count), where=law_w > 0.0)
    df = np.maximum(n_law - 1.0, 0.0)
    scale = np.where(has_rate & (df > 0.0), df / np.maximum(n_law, 1.0) * law_w * rate**2 * mean_size, np.nan)
    phi = total(law * error**2 / call**power) / scale

    informs = has_rate & (df > 0.0)
    learnt_from = informs if peers is None else informs & peers
    prior = variance_prior(phi[learnt_from], df[learnt_from])
    phi_moderated = moderate(np.where(informs, phi, 0.0), np.where(informs, df, 0.0), prior)

    n_effective = np.divide(sum_w**2, sum_w2, out=np.ones(unit_count), where=sum_w2 > 0.0)
    small = np.where(follows_law | ~has_rate[unit], 0.0, (weight * error) ** 2)
    correction = n_effective / np.maximum(n_effective - 1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_law = phi_moderated * mean_size * total(law**2 * call**power) / sum_forecast**2
        direct = correction * total(small) / sum_actual**2
        variance = np.where(has_rate, np.maximum(by_law + direct, SMALLEST_VARIANCE), np.nan)
        y = np.where(has_rate, np.log(np.where(has_rate, rate, 1.0)) + variance / 2.0, np.nan)
    loading = np.zeros((unit_count, period_count))
    np.add.at(loading, (unit, period), weight / sum_w[unit])
    return Ratios(
        rate=rate,
        sum_forecast=sum_forecast,
        sum_actual=sum_actual,
        period_count=n,
        phi=phi,
        df=df,
        phi_moderated=phi_moderated,
        prior=prior,
        variance=variance,
        y=y,
        loading=loading,
        is_usable=has_rate & np.isfinite(y) & (n >= policy.min_periods_value),
    )


def shock_variance(
    period: Whole, forecast: Floats, actual: Floats, *, sum_forecast: Floats, variance: Floats
) -> tuple[float, float]:
    """Variance of the shock that moves every forecaster of a group in the same period, on the log scale.

    ``period``, ``forecast``, ``actual``: the group's closed pairs; ``sum_forecast``, ``variance``: per unit (shape K).

        σ̂_q² = max(0, var_t(c_t) − n·Σ_i w_i² v_i),   c_t = ln(ΣA_t / ΣF_t),   w_i = unit i's share of the calls
        inflated = σ̂_q² · (n − 1)/(n − 3)              n at least 4: few periods hide most of a shock

    Returns (σ̂_q², inflated). Periods in which nothing was called or nothing landed have no c_t; with fewer than two
    others nothing can be learnt and both are 0.
    """
    called = np.bincount(period, weights=forecast)
    landed = np.bincount(period, weights=actual)
    both = (called > 0.0) & (landed > 0.0)
    n = int(both.sum())
    if n < 2:
        return 0.0, 0.0
    common = np.log(landed[both] / called[both])
    share = sum_forecast / sum_forecast.sum()
    raw = max(0.0, float(np.var(common, ddof=1) - n * np.sum(share**2 * variance)))
    at_least_four = max(n, 4)
    return raw, raw * (at_least_four - 1) / (at_least_four - 3)
