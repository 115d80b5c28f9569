"""Did our ranges hold? Coverage with what n can tell, proper scores, and the naive forecast to beat.

Coverage alone is cheap (an endless range always holds), so every hit rate stands beside a proper score. Weeks of one
period are not independent looks: nothing here pools them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import special, stats

Floats = npt.NDArray[np.float64]

RANK_GUARD = 1e-9
EXACT_BELOW = 30
LEAST_PERIODS = 8
"""Ranges before any is judged: of fewer, even none that fails is nothing unusual."""


def wilson_interval(hits: npt.ArrayLike, count: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson (1927) interval of a share, recommended at small n by Brown, Cai & DasGupta (2001); nan for no trials."""
    k, n = np.asarray(hits, dtype=float), np.asarray(count, dtype=float)
    z = float(special.ndtri(0.5 + level / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = k / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        # The ends are exact by algebra at no and at all hits; floating point leaves 1e-17 there.
        lower = np.where(k == 0, 0.0, centre - half)
        upper = np.where(k == n, 1.0, centre + half)
    none = n == 0
    return np.where(none, np.nan, lower), np.where(none, np.nan, upper)


@cache
def telling_limits(count: int, nominal: float = 0.8, size: float = 0.1) -> tuple[int | None, int | None]:
    """What n can tell: the most hits that still show too narrow a range, and the fewest that show too wide a one.

    One-sided exact binomial tests of ``size``. None where no number of hits would do (a perfect 8 of 8 happens 17 %
    of the time to an honest 80 % range).
    """
    hits = np.arange(count + 1)
    below, above = stats.binom.cdf(hits, count, nominal), stats.binom.sf(hits - 1, count, nominal)
    narrow, wide = np.flatnonzero(below <= size), np.flatnonzero(above <= size)
    return (int(narrow[-1]) if len(narrow) else None), (int(wide[0]) if len(wide) else None)


@cache
def _exact_p_value(hits: int, count: int, nominal: float) -> float:
    return float(stats.binomtest(hits, count, nominal).pvalue)


def coverage_verdict(hits: int, count: int, nominal: float, *, least: int = LEAST_PERIODS, size: float = 0.1) -> str:
    """**Whether ranges held.** ``too_few`` (under ``least`` periods), ``too_narrow``, ``too_wide`` or ``consistent``.

    A range that keeps its promise holds what lands with chance ``nominal``. So few hits as happen to such a range in at
    most ``size`` of cases show it too narrow, so many show it too wide: of twelve 80 % ranges seven or fewer, or all.
    Between these, n periods cannot tell it from one that keeps its promise.
    """
    if count < least:
        return "too_few"
    narrow, wide = telling_limits(count, nominal, size)
    if narrow is not None and hits <= narrow:
        return "too_narrow"
    if wide is not None and hits >= wide:
        return "too_wide"
    return "consistent"


def interval_score(actual: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, level: float) -> Floats:
    """Winkler (1972): width plus 2/(1−level) times how far outside; money, low is good."""
    y, low, high = (np.asarray(v, dtype=float) for v in (actual, lower, upper))
    score: Floats = (high - low) + 2 / (1 - level) * (np.maximum(low - y, 0) + np.maximum(y - high, 0))
    return score


@dataclass(frozen=True)
class WeightedIntervalScore:
    """WIS and the parts that add up to it: ``dispersion`` (width), ``over`` (range above what landed), ``under``."""

    dispersion: Floats
    over: Floats
    under: Floats
    total: Floats


def weighted_interval_score(
    actual: npt.ArrayLike, quantile: npt.ArrayLike, amount: npt.ArrayLike
) -> WeightedIntervalScore:
    """WIS of forecasts given at symmetric quantile levels (Bracher et al. 2021): mean of twice the pinball loss.

    ``actual`` (n,), ``quantile`` (m,) increasing, symmetric about 0.5, with or without the median; ``amount`` (n, m).
    As m grows this is the CRPS.
    """
    y = np.asarray(actual, dtype=float)
    level, value = np.asarray(quantile, dtype=float), np.asarray(amount, dtype=float)
    if not np.allclose(level, 1 - level[::-1]):
        raise ValueError("quantile levels must be symmetric about one half")
    pairs = len(level) // 2
    tail = level[:pairs]
    low, high = value[:, :pairs], value[:, ::-1][:, :pairs]
    dispersion = ((high - low) * tail).sum(axis=1)
    over = np.maximum(low - y[:, None], 0).sum(axis=1)
    under = np.maximum(y[:, None] - high, 0).sum(axis=1)
    if len(level) % 2:
        median = value[:, pairs]
        over = over + 0.5 * np.maximum(median - y, 0)
        under = under + 0.5 * np.maximum(y - median, 0)
    scale = 2 / len(level)
    total = scale * (dispersion + over + under)
    return WeightedIntervalScore(scale * dispersion, scale * over, scale * under, total)


def crps_of_draws(actual: npt.ArrayLike, draws: npt.ArrayLike) -> Floats:
    """Fair CRPS: E|X − y| − ½·E|X − X′| over different draws (Ferro 2014). ``actual`` (n,), ``draws`` (n, m ≥ 2)."""
    y, x = np.asarray(actual, dtype=float), np.sort(np.asarray(draws, dtype=float), axis=1)
    m = x.shape[1]
    spread = (x * (2 * np.arange(1, m + 1) - m - 1)).sum(axis=1) / (m * (m - 1))
    score: Floats = np.abs(x - y[:, None]).mean(axis=1) - spread
    return score


@dataclass(frozen=True)
class CoverageTest:
    """Likelihood ratio and its chi-square p; ``exact_p_value`` the two-sided binomial one. ``p_value``: which to show.

    Below 30 looks the chi-square is not to be trusted and the exact one is shown.
    """

    statistic: float
    chi_square_p_value: float
    exact_p_value: float
    p_value: float


def _log_likelihood(hits: float, misses: float, miss_rate: float) -> float:
    return float(special.xlogy(misses, miss_rate) + special.xlogy(hits, 1 - miss_rate))


def kupiec_test(misses: npt.ArrayLike, miss_rate: float) -> CoverageTest:
    """Is the share of misses the promised one? Likelihood ratio of Kupiec (1995), one degree of freedom."""
    flags = np.asarray(misses, dtype=int)
    n, x = len(flags), int(flags.sum())
    statistic = -2 * (_log_likelihood(n - x, x, miss_rate) - _log_likelihood(n - x, x, x / n))
    chi = float(stats.chi2.sf(statistic, 1))
    exact = float(stats.binomtest(x, n, miss_rate).pvalue)
    return CoverageTest(statistic, chi, exact, exact if n < EXACT_BELOW else chi)


def christoffersen_test(misses: npt.ArrayLike, miss_rate: float) -> tuple[float, float]:
    """Right share *and* no clustering of misses: statistic and p of Christoffersen (1998), two degrees of freedom.

    Read it only from 30 looks on; below, it is the arithmetic without the meaning.
    """
    flags = np.asarray(misses, dtype=int)
    before, after = flags[:-1], flags[1:]
    count = np.array([[((before == i) & (after == j)).sum() for j in (0, 1)] for i in (0, 1)], dtype=float)
    rows = count.sum(axis=1)
    after_hit, after_miss = (count[i, 1] / rows[i] if rows[i] else 0.0 for i in (0, 1))
    free = _log_likelihood(count[0, 0], count[0, 1], after_hit) + _log_likelihood(count[1, 0], count[1, 1], after_miss)
    pooled = count[:, 1].sum() / count.sum()
    independence = 2 * (free - _log_likelihood(count[:, 0].sum(), count[:, 1].sum(), pooled))
    statistic = kupiec_test(flags, miss_rate).statistic + independence
    return float(statistic), float(stats.chi2.sf(statistic, 2))


def conformal_rank(count: int, level: float) -> int | None:
    """Rank k = ⌈(n+1)·level⌉ of the past error that bounds the next with probability ≥ level; None if n is too small.

    Guarded by 1e-9: 100 · 0.55 is 55.00000000000001 in floating point, and the rank would be one too high.
    """
    rank = int(np.ceil((count + 1) * level - RANK_GUARD))
    return rank if rank <= count else None


KINDS = ("none", "last_period", "same_period_last_year")
FEWEST_ERRORS = 3


@dataclass(frozen=True)
class Naive:
    """``amount`` forecast without judgement; ``kind``: one of ``KINDS``.
    ``log_sd`` and ``df``: spread of its own past errors ln(actual ÷ naive) about 0, None under three of them."""

    amount: float | None
    kind: str
    log_sd: float | None
    df: int

    def quantiles(self, level: npt.ArrayLike) -> Floats | None:
        """Student-t predictive on the log scale around the naive forecast; None without a spread."""
        if self.amount is None or self.log_sd is None:
            return None
        return _on_log_scale(self.amount, self.log_sd, special.stdtrit(self.df, np.asarray(level, dtype=float)))


def _on_log_scale(amount: Floats | float, log_sd: Floats | float, t: Floats) -> Floats:
    """Quantiles around ``amount``; ``t`` those of the Student distribution."""
    quantiles: Floats = amount * np.exp(log_sd * t)
    return quantiles


def naive_forecast(actuals: npt.ArrayLike, season: int = 4) -> Naive:
    """The forecast anyone could make from earlier periods' actuals, oldest first, without gaps (nan = unknown).

    Same period last year × trailing growth, where growth = latest periods ÷ the same periods a year earlier (up to a
    year of them); with less than a year of history, the last period.
    """
    history = np.asarray(actuals, dtype=float)[None, :]
    points = _naive_points(history, season)
    (spread,), (count,) = _past_errors(points, history.shape[1])
    amount = float(points.amount[0, -1])
    if not np.isfinite(amount):
        return Naive(None, "none", None, 0)
    return Naive(amount, KINDS[points.kind[0, -1]], float(spread) if np.isfinite(spread) else None, int(count))


@dataclass(frozen=True)
class _Points:
    """What the naive forecast of each series was before each of its periods and after the last.

    Series × (periods + 1): ``amount`` nan where there is none, ``kind`` a place in ``KINDS``; series × periods:
    ``error`` ln(actual ÷ naive) of each period, nan where it does not exist.
    """

    amount: Floats
    kind: npt.NDArray[np.int64]
    error: Floats


def _naive_points(history: Floats, season: int) -> _Points:
    """``history``: series × periods, oldest first, nan where unknown."""
    history = np.where(np.isfinite(history), history, np.nan)
    count, length = history.shape
    amount = np.full((count, length + 1), np.nan)
    kind = np.full((count, length + 1), KINDS.index("none"))
    for end in range(1, length + 1):
        latest = history[:, end - 1]
        amount[:, end] = latest
        kind[np.isfinite(latest), end] = KINDS.index("last_period")
        if end < season:
            continue
        years = min(season, end - season)
        now, then = history[:, end - years : end], history[:, end - years - season : end - season]
        known = np.isfinite(now) & np.isfinite(then)
        base = np.where(known, then, 0.0).sum(axis=1)
        growth = np.ones(count)
        np.divide(np.where(known, now, 0.0).sum(axis=1), base, out=growth, where=base > 0)
        year_ago = history[:, end - season]
        has_year = np.isfinite(year_ago)
        amount[has_year, end] = (year_ago * growth)[has_year]
        kind[has_year, end] = KINDS.index("same_period_last_year")
    usable = (amount[:, :-1] > 0) & (history > 0)
    error = np.full(history.shape, np.nan)
    error[usable] = np.log(history[usable] / amount[:, :-1][usable])
    return _Points(amount, kind, error)


def _past_errors(points: _Points, end: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Spread about 0 of each series' errors of the kind it would make after ``end`` periods (nan for under three), and
    how many there were. The first period has none: nothing stood before it."""
    before = points.error[:, 1:end]
    counted = (points.kind[:, 1:end] == points.kind[:, end, None]) & np.isfinite(before)
    count = counted.sum(axis=1)
    spread = np.full(len(count), np.nan)
    for row in np.flatnonzero((count >= FEWEST_ERRORS) & np.isfinite(points.amount[:, end])):
        spread[row] = np.sqrt(np.mean(np.square(before[row, counted[row]])))
    return spread, count


GRAIN = ["period_start_on", "week_of_period", "scope", "method"]


def backtest_rows(landing: pl.DataFrame, quantiles: pl.DataFrame, actuals: pl.DataFrame) -> pl.DataFrame:
    """Issued ranges against what landed: the published ``landing_backtest`` with its scores.

    ``landing`` and ``quantiles`` as issued (``landing_tables``), for any number of past periods and weeks; ``actuals``:
    ``period_start_on``, ``scope``, ``actual_amount``, and optionally ``naive_crps`` (see ``naive_crps``).

    One row per period × week × scope × method × level that was issued and has an actual: ``lower, upper, estimate,
    actual_amount, is_inside`` (ends included), ``error_amount`` (estimate − actual, positive = ran high),
    ``interval_score``, ``crps`` (of the 99 quantiles, equal over levels), ``naive_crps``.
    """
    extra = [] if "naive_crps" in actuals.columns else [pl.lit(None, dtype=pl.Float64).alias("naive_crps")]
    known = actuals.with_columns(pl.col("actual_amount").cast(pl.Float64), *extra)
    known = known.select("period_start_on", "scope", "actual_amount", "naive_crps").drop_nulls("actual_amount")
    issued = landing.drop_nulls(["lower", "upper"]).join(known, on=["period_start_on", "scope"])
    crps = (
        quantiles.join(known, on=["period_start_on", "scope"])
        .group_by(GRAIN)
        .agg(
            crps=2
            * (
                pl.max_horizontal(
                    pl.col("quantile") * (pl.col("actual_amount") - pl.col("amount")),
                    (pl.col("quantile") - 1) * (pl.col("actual_amount") - pl.col("amount")),
                )
            ).mean()
        )
    )
    y, low, high = pl.col("actual_amount"), pl.col("lower"), pl.col("upper")
    outside = pl.max_horizontal(low - y, y - high, pl.lit(0.0))
    return (
        issued.with_columns(
            is_inside=y.is_between(low, high),
            error_amount=pl.col("estimate") - y,
            interval_score=(high - low) + 2 / (1 - pl.col("level")) * outside,
        )
        .join(crps, on=GRAIN, how="left")
        .select(
            *GRAIN,
            "level",
            "estimate",
            "lower",
            "upper",
            "actual_amount",
            "is_inside",
            "error_amount",
            "interval_score",
            "crps",
            "naive_crps",
        )
        .sort(*GRAIN, "level")
    )


def naive_crps(actuals: pl.DataFrame, *, season: int = 4) -> pl.DataFrame:
    """What the naive forecast would have scored in each period, from earlier periods only.

    ``actuals``: ``scope``, ``period_start_on``, ``actual_amount``, one row per scope and closed period without gaps.
    Returns them with ``naive_amount``, ``naive_kind`` and ``naive_crps``: of its own predictive where three past errors
    give it a spread, else |actual − naive|, the CRPS of a single number.
    """
    ordered = actuals.select("scope", "period_start_on", "actual_amount").sort("scope", "period_start_on")
    landed = ordered["actual_amount"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    landed = np.where(np.isfinite(landed), landed, np.nan)
    lengths = ordered.group_by("scope", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    first = np.cumsum(lengths) - lengths
    amount, spread = np.full(ordered.height, np.nan), np.full(ordered.height, np.nan)
    kind, count = np.zeros(ordered.height, dtype=np.int64), np.ones(ordered.height)
    for length in np.unique(lengths).tolist():
        starts = first[lengths == length]
        points = _naive_points(landed[starts[:, None] + np.arange(length)], season)
        for end in range(length):
            rows = starts + end
            amount[rows], kind[rows] = points.amount[:, end], points.kind[:, end]
            spread[rows], count[rows] = _past_errors(points, end)
    score = np.abs(landed - amount)
    told = np.isfinite(score) & np.isfinite(spread)
    if told.any():
        level = np.arange(1, 100) / 100
        student = {df: special.stdtrit(df, level) for df in np.unique(count[told]).tolist()}
        t = np.stack([student[df] for df in count[told].tolist()])
        quantiles = _on_log_scale(amount[told, None], spread[told, None], t)
        score[told] = weighted_interval_score(landed[told], level, quantiles).total
    return ordered.with_columns(
        pl.Series("naive_amount", amount).fill_nan(None),
        pl.Series("naive_kind", [KINDS[place] for place in kind.tolist()], dtype=pl.String),
        pl.Series("naive_crps", score).fill_nan(None),
    )


def coverage(backtest: pl.DataFrame, *, least: int = LEAST_PERIODS) -> pl.DataFrame:
    """Realised coverage of the ranges issued: scope × method × level × week_of_period, weeks never pooled.

    ``backtest``: rows of ``backtest_rows``, at most one per period in each group (else ValueError). Returns
    ``hit_count``, ``period_count``, ``coverage_rate`` with its Wilson 95 % ``lower`` and ``upper``;
    ``narrow_limit_count`` and ``wide_limit_count`` (hits at or below / at or above which this n would show a fault;
    null if none would); ``exact_p_value``; mean ``interval_score`` and ``crps``; ``naive_crps`` over the periods that
    have both, else null; ``skill_rate`` = 1 − crps ÷ naive_crps over those; ``verdict`` (see ``coverage_verdict``).
    """
    keys = ["scope", "method", "level", "week_of_period"]
    if backtest.select([*keys, "period_start_on"]).is_duplicated().any():
        raise ValueError(
            "a period may count once per scope, method, level and week: looks within it are not independent"
        )
    both = pl.col("crps").is_not_null() & pl.col("naive_crps").is_not_null()
    groups = (
        backtest.group_by(keys)
        .agg(
            hit_count=pl.col("is_inside").cast(pl.Int64).sum(),
            period_count=pl.len().cast(pl.Int64),
            interval_score=pl.col("interval_score").mean(),
            crps=pl.col("crps").mean(),
            naive_crps=pl.col("naive_crps").filter(both).mean(),
            paired_crps=pl.col("crps").filter(both).mean(),
        )
        .sort(keys)
    )
    hits, count = groups["hit_count"].to_numpy(), groups["period_count"].to_numpy()
    lower, upper = wilson_interval(hits, count)
    levels = groups["level"].to_list()
    limits = [telling_limits(int(n), level) for n, level in zip(count, levels, strict=True)]
    parts = list(zip(hits.tolist(), count.tolist(), levels, strict=True))
    return groups.with_columns(
        coverage_rate=pl.col("hit_count") / pl.col("period_count"),
        lower=pl.Series(lower, dtype=pl.Float64),
        upper=pl.Series(upper, dtype=pl.Float64),
        narrow_limit_count=pl.Series([limit[0] for limit in limits], dtype=pl.Int64),
        wide_limit_count=pl.Series([limit[1] for limit in limits], dtype=pl.Int64),
        exact_p_value=pl.Series([_exact_p_value(*part) for part in parts], dtype=pl.Float64),
        skill_rate=pl.when(pl.col("naive_crps") > 0).then(1 - pl.col("paired_crps") / pl.col("naive_crps")),
        verdict=pl.Series([coverage_verdict(k, n, q, least=least) for k, n, q in parts], dtype=pl.String),
    ).select(
        *keys,
        "hit_count",
        "period_count",
        "coverage_rate",
        "lower",
        "upper",
        "narrow_limit_count",
        "wide_limit_count",
        "exact_p_value",
        "interval_score",
        "crps",
        "naive_crps",
        "skill_rate",
        "verdict",
    )
