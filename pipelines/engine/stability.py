"""Is a rate that people plan with a law, or does it move? Stage conversion, win rate, coverage needed, cycle time.

Three kinds of input, one result (``RateStability``), each with ``measure`` (text), ``item`` (stage, or null), ``scope``
and ``period_start_on``, one row per closed period:

* ``rate_stability``: ``won_count, trial_count`` (how many of how many went on);
* ``coverage_stability``: ``landed_amount, pipeline_amount`` and, where deals are known, ``chance_variance``: the
  variance of the landed amount that the deals' own chances explain (Σ a²p(1−p));
* ``duration_stability``: ``deal_count, mean_log_days, sd_log_days`` of won deals (natural logs; sd null for one deal).

A word is a claim, so each needs proof: ``drifting`` (slope p < .05 and nothing left over), ``jumpy`` (spread beyond
chance, or about the line), ``stable`` (φ < 1.5 and the drift's 90 % interval within ±20 % a year); anything else is
``too_little_data``, with status ``not_enough_history`` (under six periods of thirty deals) or ``inconclusive``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from pipelines.engine import dispersion
from pipelines.later import Later
from pipelines.policy import Policy
from pipelines.process_contracts import RateStability

proportion = Later("statsmodels.stats.proportion")

Floats = NDArray[np.float64]
Row = dict[str, object]

MIN_PERIODS = 6
MIN_TRIALS = 30
SIGNIFICANT = 0.05
STABLE_PHI = 1.5
STABLE_DRIFT = 0.20
"""Within a fifth a year, either way, a rate may be planned with as if it stood still."""

DRIFT_LEVEL = 0.90
"""A 90 % interval inside the zone is a 5 % equivalence test on each side."""

LARGEST_LOG = 700.0
"""Just under the largest logarithm whose number a float holds."""


@dataclass(frozen=True)
class Evidence:
    """What the verdict is made of; ``left_over_p_value`` spread about the line, None where chance is not known."""

    is_enough: bool
    phi: float | None
    p_value: float | None
    drift_p_value: float | None
    drift_lower: float | None
    drift_upper: float | None
    left_over_p_value: float | None


def verdict(evidence: Evidence) -> tuple[str, str]:
    """(``direction``, ``status``) of a rate.

    Spread is asked about first the line, then the level: a steady drift spreads the periods too, and is not jumpiness.
    """
    if not evidence.is_enough:
        return "too_little_data", "not_enough_history"
    is_drifting = evidence.drift_p_value is not None and evidence.drift_p_value < SIGNIFICANT
    spread = evidence.left_over_p_value if is_drifting else evidence.p_value
    if spread is not None and spread < SIGNIFICANT:
        return "jumpy", "ok"
    if is_drifting:
        return "drifting", "ok"
    if evidence.drift_lower is None or evidence.drift_upper is None:
        return "too_little_data", "inconclusive"
    is_level = evidence.drift_lower > -STABLE_DRIFT and evidence.drift_upper < STABLE_DRIFT
    if is_level and (evidence.phi is None or evidence.phi < STABLE_PHI):
        return "stable", "ok"
    return "too_little_data", "inconclusive"


def rate_stability(counts: pl.DataFrame, policy: Policy, *, periods_per_year: int) -> pl.DataFrame:
    """Rates of counts: frame ``RateStability``. Periods without a trial have no rate and are left out."""
    usable = counts.filter(pl.col("trial_count") > 0)
    return _by_series(usable, lambda part: _rate_rows(part, policy.level, periods_per_year))


def coverage_stability(money: pl.DataFrame, policy: Policy, *, periods_per_year: int) -> pl.DataFrame:
    """Coverage needed = pipeline ÷ landed, a ratio of sums with an interval: frame ``RateStability``."""
    usable = money.filter(pl.col("pipeline_amount") > 0, pl.col("landed_amount").is_not_null())
    return _by_series(usable, lambda part: _coverage_rows(part, policy.level, periods_per_year))


def duration_stability(durations: pl.DataFrame, policy: Policy, *, periods_per_year: int) -> pl.DataFrame:
    """Cycle time on the log scale, in days: frame ``RateStability``."""
    usable = durations.filter(pl.col("deal_count") > 0, pl.col("mean_log_days").is_not_null())
    return _by_series(usable, lambda part: _duration_rows(part, policy.level, periods_per_year))


def _by_series(frame: pl.DataFrame, measure: Callable[[pl.DataFrame], list[Row]]) -> pl.DataFrame:
    keys = ["measure", "item", "scope"]
    rows: list[Row] = []
    for key, part in frame.sort(*keys, "period_start_on").group_by(keys, maintain_order=True):
        label: Row = dict(zip(keys, key, strict=True))
        starts = part["period_start_on"].to_list()
        found = measure(part)
        rows.extend(label | {"period_start_on": on} | row for on, row in zip(starts, found, strict=True))
    if not rows:
        return RateStability.create_empty()
    columns = RateStability.column_names()
    nothing: Row = dict.fromkeys(columns)
    table = pl.DataFrame([nothing | row for row in rows], infer_schema_length=None).select(columns)
    return RateStability.validate(table.sort(*keys, "period_start_on"), cast=True)


def _times(part: pl.DataFrame, periods_per_year: int) -> Floats:
    """Time in periods from dates, so that a missing period leaves its gap."""
    days = part["period_start_on"].to_physical().to_numpy().astype(float)
    return np.asarray(np.round((days - days[0]) / (365.25 / periods_per_year)), dtype=float)


def _drift_columns(drift: dispersion.Drift | None, periods_per_year: int, sign: int = 1) -> Row:
    if drift is None:
        return {"drift_rate": None, "drift_lower": None, "drift_upper": None, "drift_p_value": None}
    lower, upper = sorted(sign * end for end in drift.interval(DRIFT_LEVEL))
    return {
        "drift_rate": _growth(sign * drift.slope * periods_per_year),
        "drift_lower": _growth(lower * periods_per_year),
        "drift_upper": _growth(upper * periods_per_year),
        "drift_p_value": drift.p_value,
    }


def _growth(log_change: float) -> float | None:
    """Relative change; None beyond any number: periods in which nearly nothing landed leave a line without a bound."""
    return float(np.expm1(log_change)) if log_change < LARGEST_LOG else None


def _conclude(common: Row, *, is_enough: bool, left_over_p_value: float | None) -> Row:
    def number(name: str) -> float | None:
        value = common.get(name)
        return float(value) if isinstance(value, float) else None

    word, status = verdict(
        Evidence(
            is_enough,
            number("overdispersion"),
            number("p_value"),
            number("drift_p_value"),
            number("drift_lower"),
            number("drift_upper"),
            left_over_p_value,
        )
    )
    return common | {"direction": word, "status": status}


def _log_ratio_interval(
    numerator: Floats, denominator: Floats, level: float
) -> tuple[float, float, float, float] | None:
    """Ratio of sums, its t interval on the log scale over periods, and one period's own log sd (Cochran 1977)."""
    n = numerator.size
    if n < 2 or numerator.sum() <= 0:
        return None
    ratio = float(numerator.sum() / denominator.sum())
    around = numerator - ratio * denominator
    error = float(np.sqrt(n / (n - 1) * (around**2).sum()) / numerator.sum())
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    return ratio, ratio * float(np.exp(-half)), ratio * float(np.exp(half)), error * float(np.sqrt(n))


def _rate_rows(part: pl.DataFrame, level: float, periods_per_year: int) -> list[Row]:
    k, n = (part[name].to_numpy().astype(float) for name in ("won_count", "trial_count"))
    times = _times(part, periods_per_year)
    lower, upper = proportion.proportion_confint(k, n, alpha=1 - level, method="wilson")
    found = dispersion.pearson_dispersion(k, n)
    overall = _log_ratio_interval(k, n, level)
    limits = dispersion.laney_limits(k, n)
    common: Row = {
        "level": level,
        "next_level": level,
        "period_count": k.size,
        "overall": float(k.sum() / n.sum()),
        "overall_lower": None if overall is None else overall[1],
        "overall_upper": None if overall is None else min(1.0, overall[2]),
        "overdispersion": None if found is None else found.phi,
        "p_value": None if found is None else found.p_value,
        "laney_sigma": None if limits is None else limits[0],
    }
    if found is None:
        word = "one_outcome" if k.size >= 2 else "not_enough_history"
        common |= {"direction": "too_little_data", "status": word}
    else:
        drift = dispersion.binomial_drift(k, n, times)
        common |= _drift_columns(drift, periods_per_year)
        is_enough = int((n >= MIN_TRIALS).sum()) >= MIN_PERIODS
        common = _conclude(
            common, is_enough=is_enough, left_over_p_value=None if drift is None else drift.left_over_p_value
        )
        common |= _next_rate(k, n, times, drift, level, is_drifting=common["direction"] == "drifting")
    rows = []
    for index in range(k.size):
        rate = float(k[index] / n[index])
        row: Row = {"trial_count": int(n[index]), "estimate": rate, "lower": lower[index], "upper": upper[index]}
        if limits is not None:
            low, high = float(limits[1][index]), float(limits[2][index])
            row |= {"limit_lower": low, "limit_upper": high, "is_outside_limits": not low <= rate <= high}
        rows.append(common | row)
    return rows


def _next_rate(
    k: Floats, n: Floats, times: Floats, drift: dispersion.Drift | None, level: float, *, is_drifting: bool
) -> Row:
    trials = max(1, round(float(n.mean())))
    if is_drifting and drift is not None:
        band, basis = dispersion.drifted_band(drift, float(times[-1]) + 1, trials, level), "drift"
    else:
        found = dispersion.next_period_band(k, n, trials, level)
        if found is None:
            return {}
        band, basis = found, "jumps"
    return {"next_lower": band[0], "next_upper": band[1], "next_basis": basis}


def _coverage_rows(part: pl.DataFrame, level: float, periods_per_year: int) -> list[Row]:
    landed, pipeline = (part[name].cast(pl.Float64).to_numpy() for name in ("landed_amount", "pipeline_amount"))
    periods = landed.size
    common: Row = {"level": level, "next_level": level, "period_count": periods}
    found = _log_ratio_interval(landed, pipeline, level)
    if found is None:
        status = "one_outcome" if periods >= 2 else "not_enough_history"
        common |= {"direction": "too_little_data", "status": status}
    else:
        rate, rate_lower, rate_upper, sd = found
        half = float(stats.t.ppf(0.5 + level / 2, periods - 1)) * sd * float(np.sqrt(1 + 1 / periods))
        common |= {
            "overall": 1 / rate,
            "overall_lower": 1 / rate_upper,
            "overall_upper": 1 / rate_lower,
            "next_lower": float(np.exp(-half)) / rate,
            "next_upper": float(np.exp(half)) / rate,
            "next_basis": "jumps",
        }
        chance = part["chance_variance"].cast(pl.Float64) if "chance_variance" in part.columns else None
        if chance is not None and chance.null_count() == 0 and bool((chance > 0).all()):
            x2 = float(((landed - rate * pipeline) ** 2 / chance.to_numpy()).sum())
            df = periods - 1
            common |= {"overdispersion": x2 / df, "p_value": float(stats.chi2.sf(x2, df))}
        drift = dispersion.money_drift(landed, pipeline, _times(part, periods_per_year))
        # Conversion falling means coverage needed rising: the sign turns.
        common |= _drift_columns(drift, periods_per_year, sign=-1)
        common = _conclude(common, is_enough=periods >= MIN_PERIODS, left_over_p_value=None)
    return [
        common | {"estimate": float(pipe / land) if land > 0 else None}
        for land, pipe in zip(landed, pipeline, strict=True)
    ]


def _duration_rows(part: pl.DataFrame, level: float, periods_per_year: int) -> list[Row]:
    n = part["deal_count"].to_numpy().astype(float)
    mean = part["mean_log_days"].to_numpy().astype(float)
    periods = n.size
    spread = part.filter(pl.col("deal_count") > 1, pl.col("sd_log_days").is_not_null())
    df_within = float((spread["deal_count"] - 1).sum())
    common: Row = {"level": level, "next_level": level, "period_count": periods}
    grand = float(np.average(mean, weights=n))
    within = (
        float(((spread["deal_count"] - 1) * spread["sd_log_days"] ** 2).sum()) / df_within if df_within > 0 else 0.0
    )
    common["overall"] = float(np.exp(grand))
    if periods < 2 or within <= 0:
        common |= {"direction": "too_little_data", "status": "not_enough_history"}
        return [common | _typical_days(m, None, level) | {"trial_count": int(c)} for m, c in zip(mean, n, strict=True)]
    between = float((n * (mean - grand) ** 2).sum()) / (periods - 1)
    phi = between / within
    error = float(np.sqrt(periods / (periods - 1) * (n**2 * (mean - grand) ** 2).sum())) / float(n.sum())
    half = float(stats.t.ppf(0.5 + level / 2, periods - 1)) * error
    # Variance of a period's mean beyond its deals' own, by the method of moments (one-way analysis of variance).
    effective = (float(n.sum()) - float((n**2).sum() / n.sum())) / (periods - 1)
    jump = max(0.0, (between - within) / effective)
    ahead = float(np.sqrt(jump + within / float(n.mean()) + error**2))
    reach = float(stats.t.ppf(0.5 + level / 2, periods - 1)) * ahead
    common |= {
        "overall_lower": float(np.exp(grand - half)),
        "overall_upper": float(np.exp(grand + half)),
        "overdispersion": phi,
        "p_value": float(stats.f.sf(phi, periods - 1, df_within)),
        "next_lower": float(np.exp(grand - reach)),
        "next_upper": float(np.exp(grand + reach)),
        "next_basis": "jumps",
    }
    drift = dispersion.mean_drift(mean, n, _times(part, periods_per_year), within)
    common |= _drift_columns(drift, periods_per_year)
    common = _conclude(
        common,
        is_enough=int((n >= MIN_TRIALS).sum()) >= MIN_PERIODS,
        left_over_p_value=None if drift is None else drift.left_over_p_value,
    )
    errors = np.sqrt(within / n)
    return [
        common | _typical_days(m, float(e), level) | {"trial_count": int(c)}
        for m, e, c in zip(mean, errors, n, strict=True)
    ]


def _typical_days(mean_log: float, error: float | None, level: float) -> Row:
    row: Row = {"estimate": float(np.exp(mean_log))}
    if error is None:
        return row
    half = float(stats.norm.ppf(0.5 + level / 2)) * error
    return row | {"lower": float(np.exp(mean_log - half)), "upper": float(np.exp(mean_log + half))}
