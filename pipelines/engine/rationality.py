"""Do calls use what was known, and has their lean changed? Tests on past calls, each with its own question.

Input of ``rationality``, ``pairs``: the published ``forecast_pairs``, any number of forecasters of a layer, closed rows
used (``forecast_amount`` and ``actual_amount`` known). House sign: error = forecast − actual, positive ran high.

=================  ================================================================================================
``level_bias``     Holden and Peel (1990): mean of (F − A)/F̄ over periods, t with periods − 1
``slope``          Mincer and Zarnowitz (1969), pooled over forecaster × period, clustered by period
``level_share``    Theil (1966): share of the mean squared error that a level correction would remove
``slope_share``    ... that a slope correction would remove
``noise_share``    ... that no correction of this kind removes; the three add to 1
``revision``       Nordhaus (1987): A − F on the last revision of F; above 0 anchoring, below 0 over-reaction
``change``         Ploberger and Krämer (1992): OLS-CUSUM of the company's errors, twelve periods or more
``cusum``          self-starting CUSUM (Hawkins 1987) with its run lengths stated
=================  ================================================================================================

Not here, on purpose: the ±4 tracking signal (cannot fire at 4 periods, false alarms 21 to 37 % at 6 to 12), and
heteroskedasticity-and-autocorrelation errors at these lengths (one locked call a period does not overlap the next).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipelines.engine.change import cusum, cusum_limit, cusum_run_length, ols_cusum, self_starting_scores
from pipelines.later import Later
from pipelines.policy import Policy
from pipelines.process_contracts import Rationality

sm = Later("statsmodels.api")
exceptions = Later("statsmodels.tools.sm_exceptions")

Floats = NDArray[np.float64]
Row = dict[str, object]

MIN_PERIODS = 6
MIN_PERIODS_CHANGE = 12
LEVEL = 0.90
"""The interval a verdict rests on, as for value added."""

CUSUM_ALARM_PERIODS = 40
"""Quarters (ten years) between false alarms of a lean that never changed."""


@dataclass(frozen=True)
class Line:
    """Intercept and slope with covariance; ``statistic`` F of the joint hypothesis asked, ``p_value`` at its df."""

    intercept: float
    slope: float
    intercept_se: float
    slope_se: float
    statistic: float
    p_value: float
    df: int


@dataclass(frozen=True)
class Theil:
    """mse and its shares: level + slope + noise = 1. Population moments throughout."""

    mse: float
    level_share: float
    slope_share: float
    noise_share: float


def holden_peel(errors: ArrayLike, level: float = LEVEL) -> tuple[float, float, float, float, float] | None:
    """(mean, standard error, lower, upper, p) of errors, t with n − 1; None below two or without variation."""
    e = np.asarray(errors, dtype=float)
    if e.size < 2 or np.ptp(e) == 0:
        return None
    fit = sm.OLS(e, np.ones(e.size)).fit()
    lower, upper = fit.conf_int(1 - level)[0]
    return float(fit.params[0]), float(fit.bse[0]), float(lower), float(upper), float(fit.pvalues[0])


def mincer_zarnowitz(forecast: ArrayLike, actual: ArrayLike) -> Line | None:
    """OLS of A on (1, F), H0 (0, 1), F(2, n − 2): the textbook form for one series of one-step forecasts."""
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    if f.size < 3 or np.ptp(f) == 0:
        return None
    fit = sm.OLS(a, sm.add_constant(f)).fit()
    if float(fit.scale) <= 1e-20 * max(1.0, float(np.abs(a).max())) ** 2:
        return None
    test = fit.f_test(([[1.0, 0.0], [0.0, 1.0]], [0.0, 1.0]))
    return Line(
        float(fit.params[0]),
        float(fit.params[1]),
        float(fit.bse[0]),
        float(fit.bse[1]),
        float(test.fvalue),
        float(test.pvalue),
        f.size - 2,
    )


def pooled_mincer_zarnowitz(forecast: ArrayLike, actual: ArrayLike, periods: ArrayLike) -> Line | None:
    """E[A | F] = exp(a + b·ln F), H0 (0, 1), errors clustered by period.

    Estimated by Poisson pseudo-likelihood (Santos Silva and Tenreyro 2006), not by least squares in logs: the call is a
    mean, and a line through ln A targets the geometric mean, so it finds every forecaster with noisy quarters
    irrational (a = −σ²/2), and has no place for a quarter in which nothing landed. Ten periods, twenty honest
    forecasters with σ = .5 and a shared shock of .15, nominal 5 %: logs reject 48 %, this 9 %. The joint test is
    Hotelling's form, F·(G−2)/(G−1) on F(2, G−2): the plain F(2, G−1) rejects 12 %. Rows without a positive call are
    left out. The sandwich carries G/(G−1)·(n−1)/(n−2), formed here because statsmodels' GLM skips such factors. ``df``
    is G − 1, for the slope's own t. None below four periods or with one size of call.
    """
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    _, group = np.unique(np.asarray(periods), return_inverse=True)
    usable = (f > 0) & (a >= 0)
    f, a, group = f[usable], a[usable], np.unique(group[usable], return_inverse=True)[1]
    groups = int(group.max()) + 1 if group.size else 0
    if groups < 4 or a.sum() <= 0:
        return None
    # Centred at a typical call, so that a and b are not two names for one number; a is moved back below.
    centre = float(np.log(f).mean())
    x = np.log(f) - centre
    if np.ptp(x) < 1e-9:
        return None
    design = sm.add_constant(x)
    unit = float(np.exp(centre))
    with warnings.catch_warnings():
        # Perfect calls lie on the line, which statsmodels takes for separation; they are dealt with just below.
        warnings.simplefilter("ignore", exceptions.PerfectSeparationWarning)
        fit = sm.GLM(a / unit, design, family=sm.families.Poisson()).fit(tol=1e-12)
    fitted = np.asarray(fit.fittedvalues, dtype=float)
    bread = np.linalg.inv(design.T @ (design * fitted[:, None]))
    scores = np.zeros((groups, 2))
    np.add.at(scores, group, design * (a / unit - fitted)[:, None])
    covariance = groups / (groups - 1) * (f.size - 1) / (f.size - 2) * bread @ scores.T @ scores @ bread
    gap = np.asarray(fit.params, dtype=float) - np.array([0.0, 1.0])
    if float(np.abs(scores).max()) < 1e-9 or np.linalg.matrix_rank(covariance) < 2:
        return None
    statistic = float(gap @ np.linalg.solve(covariance, gap)) / 2 * (groups - 2) / (groups - 1)
    slope = float(fit.params[1])
    back = np.array([1.0, -centre])
    return Line(
        float(fit.params[0]) + centre * (1 - slope),
        slope,
        float(np.sqrt(back @ covariance @ back)),
        float(np.sqrt(covariance[1, 1])),
        statistic,
        float(stats.f.sf(statistic, 2, groups - 2)),
        groups - 1,
    )


def theil(forecast: ArrayLike, actual: ArrayLike) -> Theil | None:
    """MSE = (F̄−Ā)² + (s_F − r s_A)² + (1−r²)s_A² as shares; None with no error, or fewer than two."""
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    mse = float(((f - a) ** 2).mean()) if f.size else 0.0
    if f.size < 2 or mse <= 0:
        return None
    level = float(f.mean() - a.mean()) ** 2
    spread_f, spread_a = float(f.std()), float(a.std())
    # Without any spread in the calls the slope has nothing to be wrong about.
    pull = float(((f - f.mean()) * (a - a.mean())).mean()) / spread_f if spread_f > 0 else 0.0
    return Theil(mse, level / mse, (spread_f - pull) ** 2 / mse, (spread_a**2 - pull**2) / mse)


def revision_slope(shortfall: ArrayLike, revision: ArrayLike, periods: ArrayLike) -> Line | None:
    """OLS of A − F on F − F before, clustered by period, t and F(1, G − 1) of slope 0.

    Above 0: the move was too small (anchoring); below 0: too large (over-reaction). None below three periods or without
    any revision.
    """
    y, x = np.asarray(shortfall, dtype=float), np.asarray(revision, dtype=float)
    _, group = np.unique(np.asarray(periods), return_inverse=True)
    groups = int(group.max()) + 1 if group.size else 0
    if groups < 3 or y.size < 4 or np.ptp(x) == 0:
        return None
    fit = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": group, "df_correction": True})
    se = float(fit.bse[1])
    if se <= 0 or not np.isfinite(se):
        return None
    statistic = (float(fit.params[1]) / se) ** 2
    p_value = float(stats.f.sf(statistic, 1, groups - 1))
    return Line(float(fit.params[0]), float(fit.params[1]), float(fit.bse[0]), se, statistic, p_value, groups - 1)


def rationality(pairs: pl.DataFrame, policy: Policy, *, week_of_period: int | None = None) -> pl.DataFrame:
    """All tests for each layer × category at one week (the lock week unless given): frame ``Rationality``.

    The revision test reads the week before it too. Company errors are sums over the layer's forecasters, scaled by the
    mean call, so that they read as shares of a call.
    """
    week = policy.lock_week if week_of_period is None else week_of_period
    known = pairs.filter(pl.col("forecast_amount").is_not_null(), pl.col("actual_amount").is_not_null()).select(
        "layer",
        "category",
        "forecaster_id",
        "period_start_on",
        "week_of_period",
        "forecast_amount",
        "actual_amount",
        forecast=pl.col("forecast_amount").cast(pl.Float64),
        actual=pl.col("actual_amount").cast(pl.Float64),
    )
    keys = ["layer", "category"]
    before = known.filter(pl.col("week_of_period") == week - 1).select(
        *keys, "forecaster_id", "period_start_on", forecast_before="forecast"
    )
    now = known.filter(pl.col("week_of_period") == week).join(
        before, on=[*keys, "forecaster_id", "period_start_on"], how="left"
    )
    rows: list[Row] = []
    for key, part in now.sort(*keys, "period_start_on", "forecaster_id").group_by(keys, maintain_order=True):
        label: Row = dict(zip(keys, key, strict=True)) | {"week_of_period": week}
        rows.extend(label | row for row in _all_tests(part))
    if not rows:
        return Rationality.create_empty()
    columns = Rationality.column_names()
    nothing: Row = dict.fromkeys(columns)
    table = pl.DataFrame([nothing | row for row in rows], infer_schema_length=None).select(columns)
    return Rationality.validate(table, cast=True)


def _all_tests(part: pl.DataFrame) -> list[Row]:
    # Money is summed as it is stored: sums of floats depend on the order of rows in their last digits.
    totals = (
        part.group_by("period_start_on")
        .agg(
            forecast=pl.col("forecast_amount").sum().cast(pl.Float64),
            actual=pl.col("actual_amount").sum().cast(pl.Float64),
        )
        .sort("period_start_on")
    )
    typical = float(totals["forecast"].to_numpy().mean())
    if typical <= 0:
        return []
    starts = totals["period_start_on"].to_list()
    errors = (totals["forecast"] - totals["actual"]).to_numpy() / typical
    counts: Row = {"pair_count": part.height, "period_count": totals.height}
    rows = [_level_row(errors), _slope_row(part), *_theil_rows(part), _revision_row(part)]
    rows += [_change_row(errors, starts), _cusum_row(errors, starts)]
    enough = totals.height >= MIN_PERIODS
    finished = []
    for row in rows:
        needed = MIN_PERIODS_CHANGE if row["test"] in {"change", "cusum"} else MIN_PERIODS
        if totals.height < needed:
            row["status"] = "not_enough_history"
            row["direction"] = None if str(row["test"]).endswith("_share") else "not_enough_evidence"
        finished.append(counts | {"status": "ok" if enough else "not_enough_history"} | row)
    return finished


def _word(lower: float, upper: float, above: str, below: str) -> str:
    if lower > 0:
        return above
    return below if upper < 0 else "no_detectable_effect"


def _nothing(test: str) -> Row:
    return {"test": test, "status": "no_variation", "direction": "not_enough_evidence"}


def _level_row(errors: Floats) -> Row:
    found = holden_peel(errors)
    if found is None:
        return _nothing("level_bias")
    mean, se, lower, upper, p_value = found
    row: Row = {"test": "level_bias", "estimate": mean, "lower": lower, "upper": upper, "level": LEVEL}
    return row | {"statistic": mean / se, "p_value": p_value, "direction": _word(lower, upper, "runs_high", "runs_low")}


def _slope_row(part: pl.DataFrame) -> Row:
    line = pooled_mincer_zarnowitz(part["forecast"], part["actual"], part["period_start_on"].to_physical())
    if line is None:
        return _nothing("slope")
    half = float(stats.t.ppf(0.5 + LEVEL / 2, line.df)) * line.slope_se
    word = "no_detectable_effect"
    if line.p_value < 1 - LEVEL:
        word = _word(1 - line.slope - half, 1 - line.slope + half, "too_steep", "too_flat")
        word = "off_the_line" if word == "no_detectable_effect" else word
    row: Row = {"test": "slope", "estimate": line.slope, "lower": line.slope - half, "upper": line.slope + half}
    return row | {"level": LEVEL, "statistic": line.statistic, "p_value": line.p_value, "direction": word}


def _theil_rows(part: pl.DataFrame) -> list[Row]:
    found = theil(part["forecast"], part["actual"])
    if found is None:
        return [
            {"test": name, "status": "no_variation", "direction": None}
            for name in ("level_share", "slope_share", "noise_share")
        ]
    names = ("level_share", "slope_share", "noise_share")
    half = theil_half_widths(part)
    told: list[Row] = []
    for place, name in enumerate(names):
        share: float = getattr(found, name)
        row: Row = {"test": name, "estimate": share}
        if half is not None:
            ends = (max(share - half[place], 0.0), min(share + half[place], 1.0))
            row |= {"lower": ends[0], "upper": ends[1], "level": LEVEL}
        told.append(row)
    return told


def theil_half_widths(part: pl.DataFrame) -> Floats | None:
    """Half widths of the three shares at ``LEVEL``: the jackknife that leaves out a period at a time (Efron and Stein
    1981), as calls of one period share its luck; t with periods − 1 degrees of freedom. None where leaving one out
    leaves nothing to split."""
    starts = part["period_start_on"].unique().sort()
    left = [part.filter(pl.col("period_start_on") != start) for start in starts]
    found = [theil(one["forecast"], one["actual"]) for one in left]
    known = np.array([(one.level_share, one.slope_share, one.noise_share) for one in found if one is not None])
    size = len(starts)
    if size < 2 or len(known) < size:
        return None
    error = np.sqrt((size - 1) / size * ((known - known.mean(axis=0)) ** 2).sum(axis=0))
    half: Floats = float(stats.t.ppf(0.5 + LEVEL / 2, size - 1)) * error
    return half


def _revision_row(part: pl.DataFrame) -> Row:
    moved = part.filter(pl.col("forecast_before").is_not_null())
    if moved.is_empty():
        return _nothing("revision")
    shortfall, revision = moved["actual"] - moved["forecast"], moved["forecast"] - moved["forecast_before"]
    line = revision_slope(shortfall, revision, moved["period_start_on"].to_physical())
    if line is None:
        return _nothing("revision")
    half = float(stats.t.ppf(0.5 + LEVEL / 2, line.df)) * line.slope_se
    lower, upper = line.slope - half, line.slope + half
    row: Row = {"test": "revision", "estimate": line.slope, "lower": lower, "upper": upper, "level": LEVEL}
    row |= {"pair_count": moved.height, "period_count": moved["period_start_on"].n_unique()}
    word = _word(lower, upper, "anchoring", "over_reaction")
    return row | {"statistic": line.statistic, "p_value": line.p_value, "direction": word}


def _change_row(errors: Floats, starts: list[object]) -> Row:
    found = ols_cusum(errors)
    if found is None:
        return _nothing("change")
    supremum, p_value, index = found
    row: Row = {"test": "change", "statistic": supremum, "p_value": p_value, "direction": "no_detectable_effect"}
    if p_value >= 1 - LEVEL or index + 1 >= len(starts):
        return row
    step = float(errors[index + 1 :].mean() - errors[: index + 1].mean())
    return row | {
        "estimate": step,
        "from_period_on": starts[index + 1],
        "direction": "rose" if step > 0 else "fell",
    }


def _cusum_row(errors: Floats, starts: list[object]) -> Row:
    limit = cusum_limit(CUSUM_ALARM_PERIODS)
    high, low, alarm = cusum(self_starting_scores(errors), limit)
    row: Row = {
        "test": "cusum",
        "statistic": float(max(high.max(), low.max())),
        "alarm_limit": limit,
        "in_control_run_count": float(CUSUM_ALARM_PERIODS),
        "shifted_run_count": cusum_run_length(limit, 1.0),
        "direction": "no_detectable_effect",
    }
    if alarm is None:
        return row
    return row | {"from_period_on": starts[alarm], "direction": "rose" if high[alarm] > low[alarm] else "fell"}
