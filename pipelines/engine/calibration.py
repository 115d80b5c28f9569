"""Are the win probabilities true? Of the deals given 60 %, do 60 in 100 come in?

Input ``chances``, one row per source × week_of_period × opportunity (one look at each deal per horizon: several
snapshots of a deal are not independent rows):

=====================  =====  ====================================================================================
``source``             text   ``stage_default``, ``rep``, ``model``: whose probability
``week_of_period``     int    the horizon; null for "ever won", then resolved deals only (open ones are not losses)
``opportunity_id``     text
``period_start_on``    date   the period whose luck the deal shares: the cluster of every standard error
``predicted_rate``     float  0 to 1; null: no probability given
``outcome``            text   ``won`` (in the period), ``lost``, ``no_decision``, ``open``; null: not known, left out
``amount``             money  at the horizon; null: counts, weighs nothing in money
=====================  =====  ====================================================================================

Signs as everywhere: ``gap_rate`` = predicted − observed, positive = the probabilities ran high.

Sources: Dimitriadis, Gneiting and Jordan (2021) for CORP; Bröcker and Smith (2007) for the consistency band; Cox
(1958); Spiegelhalter (1986); Wilson (1927).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from scipy.optimize import isotonic_regression

from pipelines.engine.leaks import is_leak, separation
from pipelines.later import Later
from pipelines.policy import Policy
from pipelines.process_contracts import ProbabilityCalibration

sm = Later("statsmodels.api")
proportion = Later("statsmodels.stats.proportion")

Floats = NDArray[np.float64]

MIN_DEALS_VERDICT = 60
MIN_PERIODS_VERDICT = 3
"""Fewer resolved deals, or fewer quarters of luck, than these cannot tell a wrong probability from a bad quarter."""

CLIP = (0.005, 0.995)
"""Logits of 0 and 1 are infinite; beyond these bounds a probability is clipped for Cox's line, and counted."""

BAND_DRAWS = 500
BAND_LEVEL = 0.90
FEW_VALUES = 12
"""Stage probabilities have 5 to 7 values: then the curve is each value's own rate. Above, the pooled steps are bins."""


@dataclass(frozen=True)
class Corp:
    """brier = miscalibration − discrimination + uncertainty, each ≥ 0; ``recalibrated`` the isotonic fit per row."""

    miscalibration: float
    discrimination: float
    uncertainty: float
    brier: float
    recalibrated: Floats


@dataclass(frozen=True)
class Cox:
    """logit P = intercept + slope·logit x, and calibration in the large (intercept at slope 1).

    ``*_se`` model-based; ``*_cluster_se`` sandwich over periods (None with fewer than two). ``lr`` likelihood ratio of
    (0, 1) on two degrees of freedom. Slope parts are None if x has one value, or parts wins from losses perfectly.
    """

    in_the_large: float
    in_the_large_se: float
    intercept: float | None
    intercept_se: float | None
    intercept_cluster_se: float | None
    slope: float | None
    slope_se: float | None
    slope_cluster_se: float | None
    lr: float | None
    lr_p_value: float | None
    clipped_count: int


def corp(predicted: ArrayLike, won: ArrayLike, weights: ArrayLike | None = None) -> Corp:
    """CORP parts of the (weighted) Brier score; ties in ``predicted`` are averaged before the isotonic fit.

    Raises ``ValueError`` on no rows: there is no score of nothing.
    """
    x, y = np.asarray(predicted, dtype=float), np.asarray(won, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    if x.size == 0 or w.sum() <= 0:
        msg = "a calibration needs at least one deal with weight"
        raise ValueError(msg)
    values, place = np.unique(x, return_inverse=True)
    fitted = _isotonic(place, values.size, y, w)[place]
    base = float(np.average(y, weights=w))
    brier, best, dull = (float(np.average((f - y) ** 2, weights=w)) for f in (x, fitted, np.full_like(x, base)))
    return Corp(brier - best, dull - best, dull, brier, fitted)


def _isotonic(place: NDArray[np.intp], count: int, y: Floats, w: Floats) -> Floats:
    """Isotonic fit at each distinct forecast: ``y`` averaged over ties with weight, then pooled (PAV).

    A distinct value whose weight is nothing takes its neighbour's level below.
    """
    weight = np.bincount(place, w, count)
    has_weight = weight > 0
    mean = np.bincount(place, w * y, count)[has_weight] / weight[has_weight]
    levels = np.asarray(isotonic_regression(mean, weights=weight[has_weight]).x, dtype=float)
    return np.asarray(levels[np.maximum(np.cumsum(has_weight) - 1, 0)], dtype=float)


def consistency_draws(
    predicted: ArrayLike,
    periods: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    factor_sd: float,
    seed: int,
    draws: int = BAND_DRAWS,
) -> tuple[Floats, Floats]:
    """Isotonic curves and miscalibrations that true probabilities would give: (draws × distinct values, draws).

    Outcomes are drawn with a shock shared by the deals of a period: P(z) = Φ(Φ⁻¹(x)·√(1+s²) + s·z), z normal, whose
    mean over z is x exactly, so the forecasts stay true on average whatever the shock (Bröcker and Smith 2007, with the
    quarter's factor added). ``seed`` is passed in: the same edition gives the same band.
    """
    x = np.asarray(predicted, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    values, place = np.unique(x, return_inverse=True)
    _, period = np.unique(np.asarray(periods), return_inverse=True)
    period_count = int(period.max()) + 1
    generator = np.random.default_rng(seed)
    # A draw asks for one chance per distinct forecast and period, and a sum per distinct forecast: of the deals nothing
    # but whether each was won.
    centre = special.ndtri(values) * np.sqrt(1 + factor_sd**2)
    cell = (place * period_count + period).astype(np.int32)
    total = np.bincount(place, w, values.size)
    has_weight = total > 0
    level_of = np.maximum(np.cumsum(has_weight) - 1, 0)
    mass = float(w.sum())
    curves = np.empty((draws, values.size))
    scores = np.empty(draws)
    level, chance = np.empty(x.size), np.empty(x.size)
    for draw in range(draws):
        shock = factor_sd * generator.standard_normal(period_count)
        np.take(special.ndtr(centre[:, None] + shock[None, :]).ravel(), cell, out=chance)
        won = np.flatnonzero(generator.random(out=level) < chance)
        sums = np.bincount(place[won], w[won], values.size)
        mean = sums[has_weight] / total[has_weight]
        curve = np.asarray(isotonic_regression(mean, weights=total[has_weight]).x, dtype=float)[level_of]
        curves[draw] = curve
        # Of an outcome y, 0 or 1, (x − y)² − (f − y)² = x² − f² − 2y(x − f).
        scores[draw] = (total @ (values**2 - curve**2) - 2 * sums @ (values - curve)) / mass
    return curves, scores


def cox(predicted: ArrayLike, won: ArrayLike, periods: ArrayLike | None = None) -> Cox:
    """Cox's (1958) recalibration line; standard errors by the model and clustered by period.

    The cluster sandwich is formed here with G/(G−1): statsmodels' GLM silently gives HC0 when asked for HC1, so its
    small-sample factors are not relied on.
    """
    x, y = np.asarray(predicted, dtype=float), np.asarray(won, dtype=float)
    clipped = np.clip(x, *CLIP)
    logit = special.logit(clipped)
    count = int((clipped != x).sum())
    binomial = sm.families.Binomial()
    large = sm.GLM(y, np.ones((x.size, 1)), family=binomial, offset=logit).fit()
    common = float(large.params[0]), float(large.bse[0])
    if np.ptp(logit) < 1e-12 or _is_separated(logit, y):
        return Cox(*common, None, None, None, None, None, None, None, None, count)
    design = sm.add_constant(logit)
    line = sm.GLM(y, design, family=binomial).fit()
    true_likelihood = float(y @ np.log(clipped) + (1 - y) @ np.log1p(-clipped))
    lr = 2 * (float(line.llf) - true_likelihood)
    cluster = _cluster_errors(design, y - line.fittedvalues, line.fittedvalues, periods)
    return Cox(
        *common,
        float(line.params[0]),
        float(line.bse[0]),
        cluster[0],
        float(line.params[1]),
        float(line.bse[1]),
        cluster[1],
        lr,
        float(stats.chi2.sf(lr, 2)),
        count,
    )


def _is_separated(logit: Floats, y: Floats) -> bool:
    """True if a threshold parts wins from losses (ties at it allowed): the slope's estimate is then infinite."""
    won, lost = logit[y == 1], logit[y == 0]
    return won.size == 0 or lost.size == 0 or bool(won.min() >= lost.max()) or bool(won.max() <= lost.min())


def _cluster_errors(
    design: Floats, residual: Floats, fitted: Floats, periods: ArrayLike | None
) -> tuple[float | None, float | None]:
    """Of intercept and slope."""
    if periods is None:
        return None, None
    _, group = np.unique(np.asarray(periods), return_inverse=True)
    groups = int(group.max()) + 1
    if groups < 2:
        return None, None
    bread = np.linalg.inv(design.T @ (design * (fitted * (1 - fitted))[:, None]))
    scores = np.zeros((groups, design.shape[1]))
    np.add.at(scores, group, design * residual[:, None])
    covariance = groups / (groups - 1) * bread @ scores.T @ scores @ bread
    return float(np.sqrt(covariance[0, 0])), float(np.sqrt(covariance[1, 1]))


def spiegelhalter(predicted: ArrayLike, won: ArrayLike) -> float | None:
    """z = Σ(y−x)(1−2x) ÷ √Σ(1−2x)²x(1−x) over 0 < x < 1 (Spiegelhalter 1986).

    Positive: the Brier score is worse than true probabilities give (too low below ½, too high above: over-confident).
    Forecasts of exactly 0 or 1 add to the numerator and nothing to the variance, so they are left out and counted
    apart. None where the variance is zero (no forecasts, or all of them ½).
    """
    x, y = np.asarray(predicted, dtype=float), np.asarray(won, dtype=float)
    uncertain = (x > 0) & (x < 1)
    x, y = x[uncertain], y[uncertain]
    variance = float(((1 - 2 * x) ** 2 * x * (1 - x)).sum())
    return None if variance <= 0 else float(((y - x) * (1 - 2 * x)).sum() / np.sqrt(variance))


def clustered_gap(
    predicted: ArrayLike, won: ArrayLike, periods: ArrayLike, weights: ArrayLike | None = None, *, level: float
) -> tuple[float, float | None, float | None, float | None]:
    """Predicted − observed, with its t interval over periods and p: (gap, lower, upper, p).

    Ratio estimator over periods (Cochran 1977): deals of one period share its shock, so independent-deal tests reject
    true probabilities 12 to 24 % of the time at a nominal 5 %. Interval parts are None below two periods.
    """
    x, y = np.asarray(predicted, dtype=float), np.asarray(won, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    _, group = np.unique(np.asarray(periods), return_inverse=True)
    groups = int(group.max()) + 1
    total = float(w.sum())
    gap = float(w @ (x - y)) / total
    if groups < 2:
        return gap, None, None, None
    around = np.bincount(group, w * (x - y), groups) - gap * np.bincount(group, w, groups)
    error = float(np.sqrt(groups / (groups - 1) * (around**2).sum())) / total
    half = float(stats.t.ppf(0.5 + level / 2, groups - 1)) * error
    p_value = 2 * float(stats.t.sf(abs(gap) / error, groups - 1)) if error > 0 else None
    return gap, gap - half, gap + half, p_value


def probability_calibration(
    chances: pl.DataFrame, policy: Policy, *, seed: int, factor_sd: float = 0.0, draws: int = BAND_DRAWS
) -> pl.DataFrame:
    """Every source's calibration, by count and by money: frame ``ProbabilityCalibration``, sorted by its grain.

    ``factor_sd``: sd (probit) of the shock shared within a period, for the band. A source whose probabilities part won
    from lost deals too well to have been known beforehand is refused: one row, no numbers, ``refused_as_leak``.
    """
    rows: list[dict[str, object]] = []
    keys = ["source", "week_of_period"]
    resolved = chances.filter(pl.col("outcome").is_not_null())
    for key, part in resolved.sort(*keys, "period_start_on", "opportunity_id").group_by(keys, maintain_order=True):
        label = dict(zip(keys, key, strict=True))
        rated = part.filter(pl.col("predicted_rate").is_not_null())
        decided = rated.filter(pl.col("outcome") != "open")
        apart = separation(decided["predicted_rate"], (decided["outcome"] == "won").to_numpy())
        label |= {
            "total_count": rated.height,
            "unrated_count": part.height - rated.height,
            "period_count": rated["period_start_on"].n_unique(),
            "separation_rate": None if apart is None else apart.rate,
        }
        if is_leak(apart):
            rows.append(label | {"weighting": "count", "direction": "not_enough_evidence", "status": "refused_as_leak"})
            continue
        for weighting in ("count", "money"):
            weighed = rated.with_columns(weight=pl.lit(1.0)) if weighting == "count" else _by_money(rated)
            if weighed.height:
                bins = _measure(weighed, policy, factor_sd=factor_sd, seed=seed, draws=draws)
                rows.extend(label | {"weighting": weighting} | row for row in bins)
    if not rows:
        return ProbabilityCalibration.create_empty()
    columns = ProbabilityCalibration.column_names()
    missing: dict[str, object] = dict.fromkeys(columns)
    frame = pl.DataFrame([missing | row for row in rows], infer_schema_length=None).select(columns)
    order = ["source", "week_of_period", "weighting", "bin"]
    return ProbabilityCalibration.validate(frame.sort(order), cast=True)


def _by_money(rated: pl.DataFrame) -> pl.DataFrame:
    return rated.filter(pl.col("amount") > 0).with_columns(weight=pl.col("amount").cast(pl.Float64))


def _measure(
    rated: pl.DataFrame, policy: Policy, *, factor_sd: float, seed: int, draws: int
) -> list[dict[str, object]]:
    x = rated["predicted_rate"].to_numpy()
    y = (rated["outcome"] == "won").to_numpy().astype(float)
    w = rated["weight"].to_numpy() / float(rated["weight"].to_numpy().mean())
    periods = rated["period_start_on"].to_physical().to_numpy()
    parts = corp(x, y, w)
    curves, scores = consistency_draws(x, periods, w, factor_sd=factor_sd, seed=seed, draws=draws)
    gap, gap_lower, gap_upper, gap_p = clustered_gap(x, y, periods, w, level=policy.level)
    enough = rated.height >= MIN_DEALS_VERDICT and int(np.unique(periods).size) >= MIN_PERIODS_VERDICT
    is_one_outcome = bool(np.ptp(y) == 0)
    common: dict[str, object] = {
        "brier": parts.brier,
        "miscalibration": parts.miscalibration,
        "discrimination": parts.discrimination,
        "uncertainty": parts.uncertainty,
        "miscalibration_p_value": float((1 + (scores >= parts.miscalibration - 1e-12).sum()) / (draws + 1)),
        "gap_rate": gap,
        "gap_lower": gap_lower,
        "gap_upper": gap_upper,
        "gap_p_value": gap_p,
        "spiegelhalter_z": spiegelhalter(x, y),
        "certain_count": int(((x <= 0) | (x >= 1)).sum()),
        "certain_wrong_count": int(((x <= 0) & (y == 1)).sum() + ((x >= 1) & (y == 0)).sum()),
        "direction": _direction(gap_lower, gap_upper, policy) if enough else "not_enough_evidence",
        "status": "one_outcome" if is_one_outcome else ("ok" if enough else "not_enough_history"),
    }
    if not is_one_outcome:
        line = cox(x, y, periods)
        common |= {"cox_intercept": line.intercept, "cox_slope": line.slope, "clipped_count": line.clipped_count}
        for name, value, error in (
            ("intercept", line.intercept, line.intercept_cluster_se),
            ("slope", line.slope, line.slope_cluster_se),
        ):
            if value is not None and error is not None:
                half = float(stats.t.ppf(0.5 + policy.level / 2, np.unique(periods).size - 1)) * error
                common |= {f"cox_{name}_lower": value - half, f"cox_{name}_upper": value + half}
    return [common | row for row in _bins(x, y, w, parts.recalibrated, curves=curves, level=policy.level)]


def _direction(lower: float | None, upper: float | None, policy: Policy) -> str:
    """The gap in words: beyond nothing, or proven within half the policy's fair zone (five points of a hundred)."""
    if lower is None or upper is None:
        return "not_enough_evidence"
    zone = policy.fair_zone / 2
    if -zone <= lower and upper <= zone:
        return "fair"
    if lower > 0:
        return "runs_high"
    return "runs_low" if upper < 0 else "not_enough_evidence"


def _bins(x: Floats, y: Floats, w: Floats, fitted: Floats, *, curves: Floats, level: float) -> list[dict[str, object]]:
    values, place = np.unique(x, return_inverse=True)
    if values.size <= FEW_VALUES:
        bin_of_row = place
    else:
        _, bin_of_row = np.unique(fitted, return_inverse=True)
    tail = 100 * (1 - BAND_LEVEL) / 2
    rows: list[dict[str, object]] = []
    for number in range(int(bin_of_row.max()) + 1):
        inside = bin_of_row == number
        weight = w[inside]
        if weight.sum() <= 0:
            continue
        won, deals = int(y[inside].sum()), int(inside.sum())
        observed = float(np.average(y[inside], weights=weight))
        # Money is lumpy: a bin's interval rests on Kish's effective number of deals, not on their count.
        effective = float(weight.sum() ** 2 / (weight**2).sum())
        lower, upper = proportion.proportion_confint(observed * effective, effective, alpha=1 - level, method="wilson")
        # Deals of one forecast share its curve: their weights are added up, the curve is not repeated for each of them.
        of_value = np.bincount(place[inside], weight)
        told = np.flatnonzero(of_value)
        curve = np.average(curves[:, told], axis=1, weights=of_value[told])
        band = np.percentile(curve, [tail, 100 - tail])
        rows.append(
            {
                "bin": number,
                "predicted_rate": float(np.average(x[inside], weights=weight)),
                "observed_rate": observed,
                "lower": float(lower),
                "upper": float(upper),
                "level": level,
                "band_lower": float(band[0]),
                "band_upper": float(band[1]),
                "deal_count": deals,
                "won_count": won,
            }
        )
    return rows
