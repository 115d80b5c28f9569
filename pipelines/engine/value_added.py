"""Forecast value added: does each step of the process land nearer than the step before it, beyond chance?

One loss, ℓ = |actual − forecast|, one lock week, one pairing: by period. A step that adds value has a positive
``fva_amount``: the loss of the reference step minus the loss of the step itself.

Input of every public function is the ``calls`` frame, one row per scope × step × week_of_period × period:

=====================  =======  ====================================================================================
``scope``              text     ``company``, and any set of teams that do not overlap (managers of one level)
``step``               text     one of ``LADDER``
``week_of_period``     int      the week at whose end the forecast was in force; all steps of a row share it
``period_start_on``    date
``forecast_amount``    money    null: the step said nothing by then
``actual_amount``      money    null: the period is not closed
``target_amount``      money    null: no quota known
=====================  =======  ====================================================================================

Sources: Gilliland (2002) for the ladder; Diebold and Mariano (1995) with Harvey, Leybourne and Newbold (1997), which at
one step ahead is the paired t test; Fisher (1935) for the sign flip; Davydenko and Fildes (2013) for AvgRelMAE;
Blattberg and Hoch (1990) for half model, half human.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipelines.contracts import MONEY
from pipelines.policy import COMPANY_SCOPE, Policy
from pipelines.process_contracts import ValueAdded

LADDER = (
    "naive_last_year",
    "naive_last_period",
    "stage_weighted",
    "rep_rollup",
    "manager",
    "executive",
    "half_and_half",
    "model",
)
"""Steps in the order a forecast passes through them; every step is compared with each one before it."""

ALL_TEAMS = "all_teams"
"""Scope of the panel row: differences averaged over teams within a period first, then tested over periods."""

VERDICT_LEVEL = 0.90
"""The verdict asks whether the 90 % interval excludes nothing: a tenth of idle steps would be called something."""

MIN_PERIODS_VERDICT = 6
"""Below six periods the smallest possible sign-flip p is .06: numbers are shown, no verdict."""

EXACT_FLIPS = 40
"""Periods up to which the sign flip is enumerated; beyond, its distribution is the normal one to two decimals."""


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its t interval; parts that need two periods are None below two."""

    count: int
    mean: float | None
    lower: float | None
    upper: float | None
    t_statistic: float | None
    t_p_value: float | None
    sign_flip_p_value: float | None


def paired_difference(differences: ArrayLike, level: float = VERDICT_LEVEL) -> Difference:
    """Mean, t interval, t and exact sign-flip p of one difference per period.

    Differences that are all equal have no t statistic (its denominator is zero); the interval is then the point.
    """
    d = np.asarray(differences, dtype=float)
    n = d.size
    if n == 0:
        return Difference(0, None, None, None, None, None, None)
    mean = float(d.mean())
    flip = sign_flip_p_value(d)
    if n == 1:
        return Difference(1, mean, None, None, None, None, flip)
    if np.ptp(d) <= 1e-12 * max(1.0, float(np.abs(d).max())):
        return Difference(n, mean, mean, mean, None, None, flip)
    error = float(d.std(ddof=1)) / float(np.sqrt(n))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    t = mean / error
    return Difference(n, mean, mean - half, mean + half, t, 2 * float(stats.t.sf(abs(t), n - 1)), flip)


def sign_flip_p_value(differences: ArrayLike) -> float | None:
    """Two-sided exact p: the share of the 2ⁿ sign patterns whose |sum| reaches the one observed (Fisher 1935).

    Enumerated in two halves, so forty periods cost 2²⁰ sums and not 2⁴⁰. Smallest possible value 2/2ⁿ. Above forty
    periods the normal limit of the same statistic is returned.
    """
    d = np.asarray(differences, dtype=float)
    if d.size == 0:
        return None
    size = float(np.abs(d).sum())
    tolerance = 1e-9 * size
    observed = abs(float(d.sum()))
    if observed <= tolerance:
        return 1.0
    if d.size > EXACT_FLIPS:
        return 2 * float(stats.norm.sf(observed / float(np.sqrt((d**2).sum()))))
    left, right = (_signed_sums(half) for half in np.array_split(d, 2))
    right.sort()
    at_least = right.size - np.searchsorted(right, observed - tolerance - left, side="left")
    return 2 * float(at_least.sum()) / 2.0**d.size


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def diebold_mariano(differences: ArrayLike, horizon: int = 1) -> tuple[float, float] | None:
    """Diebold–Mariano statistic with the small-sample factor of Harvey, Leybourne and Newbold (1997), and its t p.

    ``differences`` are loss differences in time order; ``horizon`` the steps ahead, whose overlap the long-run
    variance allows for. At horizon 1 it is the paired t test. None if the variance estimate is not positive (it can
    be negative above horizon 1) or there are not more differences than steps.
    """
    d = np.asarray(differences, dtype=float)
    n, h = d.size, horizon
    if n <= h:
        return None
    centred = d - d.mean()
    autocovariance = [float(centred[k:] @ centred[: n - k]) / n for k in range(h)]
    variance = (autocovariance[0] + 2 * sum(autocovariance[1:])) / n
    if variance <= 0:
        return None
    factor = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = float(d.mean() / np.sqrt(variance) * factor)
    return statistic, 2 * float(stats.t.sf(abs(statistic), n - 1))


def average_relative_mae(before: ArrayLike, after: ArrayLike, counts: ArrayLike) -> float | None:
    """AvgRelMAE = exp(Σ n ln(MAE after ÷ MAE before) ÷ Σ n) over teams (Davydenko and Fildes 2013, eq. 5).

    Below 1 the step lands nearer. Teams whose mean error is zero on either side have no ratio and are left out; None
    when none remains.
    """
    m0, m1, n = (np.asarray(values, dtype=float) for values in (before, after, counts))
    usable = (m0 > 0) & (m1 > 0) & (n > 0)
    if not usable.any():
        return None
    return float(np.exp((n[usable] * np.log(m1[usable] / m0[usable])).sum() / n[usable].sum()))


def adjustment_slope(before: ArrayLike, after: ArrayLike, actual: ArrayLike) -> float | None:
    """Slope of actual − after on after − before: above 0 the adjustment was too timid, below 0 too bold.

    None with fewer than three periods or when every adjustment is the same.
    """
    f0, f1, a = (np.asarray(values, dtype=float) for values in (before, after, actual))
    x = f1 - f0
    if x.size < 3 or np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return None
    centred = x - x.mean()
    return float(centred @ (a - f1) / (centred @ centred))


def murphy_curve(forecast: ArrayLike, actual: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Mean elementary score ½|A − θ|·1[min(F, A) ≤ θ < max(F, A)] per threshold θ (Ehm et al. 2016).

    A forecast whose curve lies below another's everywhere is better under every loss consistent for the mean.
    """
    f, a, theta = (np.asarray(values, dtype=float) for values in (forecast, actual, thresholds))
    missed = (np.minimum(f, a)[:, None] <= theta) & (theta < np.maximum(f, a)[:, None])
    return np.asarray((0.5 * np.abs(a[:, None] - theta) * missed).mean(axis=0), dtype=float)


def naive_forecasts(actuals: pl.DataFrame, periods_per_year: int) -> pl.DataFrame:
    """The compulsory first steps: one row per scope × period × step (``naive_last_year``, ``naive_last_period``).

    ``actuals``: ``scope, period_start_on, actual_amount``, one row per scope and consecutive period, including the open
    one (actual null). ``naive_last_year`` is the same period last year × trailing growth, the growth being the sum of
    the periods before this one (up to a year of them, at least two) over the same ones a year earlier; where history
    is shorter, or the earlier sum is not positive, growth is 1. Frozen actuals are used: at the very start of a
    period last period's frozen figure is up to ``grace_days`` ahead of what was then recorded. A missing basis gives no
    row, never a zero.
    """
    keys = ["scope", "period_start_on"]
    rows: list[tuple[str, date, str, float]] = []
    for (scope,), group in actuals.sort(keys).group_by(["scope"], maintain_order=True):
        starts = group["period_start_on"].to_list()
        values = [None if value is None else float(value) for value in group["actual_amount"].to_list()]
        for index, start in enumerate(starts):
            last = values[index - 1] if index >= 1 else None
            if last is not None:
                rows.append((str(scope), start, "naive_last_period", last))
            year_ago = values[index - periods_per_year] if index >= periods_per_year else None
            if year_ago is not None:
                rows.append(
                    (str(scope), start, "naive_last_year", year_ago * _growth(values[:index], periods_per_year))
                )
    schema = {"scope": pl.String, "period_start_on": pl.Date, "step": pl.String, "forecast_amount": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("forecast_amount").round(2).cast(MONEY))


def _growth(past: list[float | None], periods_per_year: int) -> float:
    recent: list[float] = []
    earlier: list[float] = []
    for back in range(1, periods_per_year + 1):
        if back + periods_per_year > len(past):
            break
        now, then = past[-back], past[-back - periods_per_year]
        if now is not None and then is not None:
            recent.append(now)
            earlier.append(then)
    if len(recent) < 2 or sum(earlier) <= 0 or sum(recent) <= 0:
        return 1.0
    return sum(recent) / sum(earlier)


def half_and_half(calls: pl.DataFrame, human: str = "executive", model: str = "model") -> pl.DataFrame:
    """Rows of the challenge step ``half_and_half``: midway between a human call and the model (Blattberg–Hoch 1990).

    Same columns as ``calls``; a row only where both have spoken.
    """
    keys = ["scope", "week_of_period", "period_start_on"]
    ours = calls.filter(pl.col("step") == human, pl.col("forecast_amount").is_not_null())
    theirs = calls.filter(pl.col("step") == model).select(*keys, pl.col("forecast_amount").alias("model_amount"))
    midway = ((pl.col("forecast_amount").cast(pl.Float64) + pl.col("model_amount").cast(pl.Float64)) / 2).round(2)
    return (
        ours.join(theirs, on=keys, how="inner", nulls_equal=False)
        .filter(pl.col("model_amount").is_not_null())
        .with_columns(step=pl.lit("half_and_half"), forecast_amount=midway.cast(MONEY))
        .select(calls.columns)
    )


def value_added(calls: pl.DataFrame, policy: Policy, *, level: float = VERDICT_LEVEL) -> pl.DataFrame:
    """Every step against each step before it, per scope and week: frame ``ValueAdded``, sorted by its grain.

    The scale of ``fva_rate`` is the period's target where every paired period has one, else the mean actual of the
    paired periods (never the period's own actual, whose smallness would make a quarter weigh more). Company rows
    carry AvgRelMAE over all other scopes; ``all_teams`` rows the panel test.
    """
    del policy  # every choice of this statistic is named above; the argument keeps the engine's one calling form
    paired = _paired(calls)
    if paired.is_empty():
        return ValueAdded.create_empty()
    group = ["scope", "week_of_period", "step", "reference_step"]
    panel = _panel(paired)
    rows = []
    for key, part in pl.concat([paired, panel]).sort([*group, "period_start_on"]).group_by(group, maintain_order=True):
        rows.append(dict(zip(group, key, strict=True)) | _compare(part, level))
    result = pl.DataFrame(rows, infer_schema_length=None)
    teams = _team_ratio(result)
    ordered = result.join(teams, on=["week_of_period", "step", "reference_step"], how="left", maintain_order="left")
    is_company = pl.col("scope") == COMPANY_SCOPE
    return ValueAdded.validate(
        ordered.with_columns(
            pl.when(is_company).then(pl.col("average_relative_mae_rate")),
            pl.when(is_company).then(pl.col("team_count")),
        ).select(ValueAdded.column_names()),
        cast=True,
    )


def _paired(calls: pl.DataFrame) -> pl.DataFrame:
    """Scope × week × period × (reference step, later step), both having spoken and the actual known; floats."""
    unknown = sorted(set(calls["step"].unique()) - set(LADDER))
    if unknown:
        msg = f"step {unknown[0]!r} is not on the ladder {', '.join(LADDER)}"
        raise ValueError(msg)
    keys = ["scope", "week_of_period", "period_start_on"]
    known = calls.filter(pl.col("forecast_amount").is_not_null(), pl.col("actual_amount").is_not_null()).select(
        "scope",
        pl.col("week_of_period").cast(pl.Int64),
        "period_start_on",
        "step",
        pl.col("step").replace_strict(LADDER, range(len(LADDER)), return_dtype=pl.Int64).alias("rank"),
        *(pl.col(f"{name}_amount").cast(pl.Float64).alias(name) for name in ("forecast", "actual", "target")),
    )
    return (
        known.join(known, on=keys, suffix="_before")
        .filter(pl.col("rank_before") < pl.col("rank"))
        .rename({"step_before": "reference_step"})
        .select(
            *keys,
            "step",
            "reference_step",
            pl.col("forecast_before").alias("before"),
            pl.col("forecast").alias("after"),
            "actual",
            "target",
            (pl.col("forecast_before") - pl.col("actual")).abs().alias("loss_before"),
            (pl.col("forecast") - pl.col("actual")).abs().alias("loss_after"),
        )
    )


def _panel(paired: pl.DataFrame) -> pl.DataFrame:
    """Teams averaged within a period: the row over which a panel may be tested (Timmermann and Zhu 2019)."""
    values = ["before", "after", "actual", "loss_before", "loss_after"]
    return (
        paired.filter(pl.col("scope") != COMPANY_SCOPE)
        .group_by("week_of_period", "period_start_on", "step", "reference_step")
        .agg(
            *(pl.col(name).mean() for name in values),
            pl.when(pl.col("target").is_not_null().all()).then(pl.col("target").mean()).alias("target"),
        )
        .with_columns(scope=pl.lit(ALL_TEAMS))
        .select(paired.columns)
    )


def _compare(part: pl.DataFrame, level: float) -> dict[str, object]:
    loss_before, loss_after = part["loss_before"].to_numpy(), part["loss_after"].to_numpy()
    gain = loss_before - loss_after
    scale_kind, scale = _scale(part)
    n = gain.size
    found = paired_difference(gain / scale, level) if scale is not None else paired_difference(gain[:0], level)
    enough = n >= MIN_PERIODS_VERDICT
    mae_before, mae_after = float(loss_before.mean()), float(loss_after.mean())
    return {
        "period_count": n,
        "mae_amount": round(mae_after, 2),
        "reference_mae_amount": round(mae_before, 2),
        "fva_amount": round(float(gain.mean()), 2),
        "fva_rate": found.mean,
        "lower": found.lower,
        "upper": found.upper,
        "level": level,
        "t_statistic": found.t_statistic,
        "t_p_value": found.t_p_value,
        "p_value": found.sign_flip_p_value,
        "relative_mae_rate": mae_after / mae_before if mae_before > 0 else None,
        "adjustment_slope": adjustment_slope(part["before"], part["after"], part["actual"]),
        "scale": scale_kind,
        "direction": verdict(found) if enough else "not_enough_evidence",
        "status": "ok" if enough else "not_enough_history",
        "_ratio_before": mae_before,
        "_ratio_after": mae_after,
    }


def _scale(part: pl.DataFrame) -> tuple[str | None, NDArray[np.float64] | None]:
    target = part["target"]
    if target.null_count() == 0 and bool((target > 0).all()):
        return "target", target.to_numpy()
    mean = float(part["actual"].to_numpy().mean())
    return ("mean_actual", np.full(part.height, mean)) if mean > 0 else (None, None)


def verdict(found: Difference) -> str:
    """The word for a difference: its interval against nothing."""
    if found.lower is None or found.upper is None:
        return "not_enough_evidence"
    if found.lower > 0:
        return "adds_value"
    return "hurts" if found.upper < 0 else "no_detectable_effect"


def _team_ratio(result: pl.DataFrame) -> pl.DataFrame:
    keys = ["week_of_period", "step", "reference_step"]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "week_of_period": pl.Int64,
        "step": pl.String,
        "reference_step": pl.String,
        "average_relative_mae_rate": pl.Float64,
        "team_count": pl.Int64,
    }
    rows = []
    teams = result.filter(~pl.col("scope").is_in([COMPANY_SCOPE, ALL_TEAMS]))
    for key, part in teams.group_by(keys, maintain_order=True):
        ratio = average_relative_mae(part["_ratio_before"], part["_ratio_after"], part["period_count"])
        usable = part.filter(pl.col("_ratio_before") > 0, pl.col("_ratio_after") > 0).height
        rows.append((*key, ratio, usable))
    return pl.DataFrame(rows, schema=schema, orient="row")
