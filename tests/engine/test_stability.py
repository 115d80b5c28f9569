"""Stability, proven six ways. ``conversion_12q.csv`` is our own twelve quarters; figures from R 4.2:
``glm(cbind(won, n - won) ~ quarter, binomial)`` and ``quasibinomial``, ``prop.trend.test``,
``VGAM::vglm(cbind(won, n - won) ~ 1, betabinomial)``. The low-iron rat litters (VGAM's ``lirat``) stay in the shared
folder."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats

from pipelines.contracts import MONEY
from pipelines.engine import dispersion, stability
from pipelines.policy import DEFAULT_POLICY

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def starts(count: int) -> list[date]:
    return [date(2020 + q // 4, 1 + 3 * (q % 4), 1) for q in range(count)]


def counts_of(won: list[int], trials: list[int], measure: str = "win_rate") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "measure": measure,
            "item": pl.Series([None] * len(won), dtype=pl.String),
            "scope": "company",
            "period_start_on": starts(len(won)),
            "won_count": won,
            "trial_count": trials,
        },
        schema_overrides={"won_count": pl.Int64, "trial_count": pl.Int64, "period_start_on": pl.Date},
    )


def rates(won: list[int], trials: list[int]) -> pl.DataFrame:
    return stability.rate_stability(counts_of(won, trials), DEFAULT_POLICY, periods_per_year=4)


@pytest.fixture(scope="module")
def conversion() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = pl.read_csv(VECTORS / "conversion_12q.csv")
    return tuple(data[name].to_numpy() for name in ("won", "n", "quarter"))


# By pencil


def test_dispersion_by_pencil() -> None:
    # 10 and 20 of 50: rate .3, expected 15 each, variance 10.5 each: X² = 25/10.5 · 2.
    found = dispersion.pearson_dispersion([10, 20], [50, 50])
    assert found is not None
    assert (found.x2, found.df) == pytest.approx((50 / 10.5, 1))


def test_laney_by_pencil() -> None:
    # z = −5/√10.5, +5/√10.5: one step of 10/√10.5, σ_z = that ÷ 1.128.
    found = dispersion.laney_limits([10, 20], [50, 50])
    assert found is not None
    sigma, lower, upper = found
    assert sigma == pytest.approx(10 / math.sqrt(10.5) / 1.128)
    assert upper[0] == pytest.approx(0.3 + 3 * sigma * math.sqrt(0.21 / 50))
    assert lower[0] == 0.0, "a rate cannot be negative"


def test_coverage_needed_by_pencil() -> None:
    # 30 of 90 and 20 of 60 landed: three dollars of pipeline for one, both times.
    table = coverage([30, 20], [90, 60])
    assert table["estimate"].to_list() == [3.0, 3.0]
    assert [table[name][0] for name in ("overall", "overall_lower", "overall_upper")] == [3.0, 3.0, 3.0]


# By the literature


def test_twelve_quarters_match_r(conversion: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    won, trials, quarter = conversion
    found, line = dispersion.pearson_dispersion(won, trials), dispersion.binomial_drift(won, trials, quarter)
    assert found is not None
    assert line is not None
    assert found.rate == pytest.approx(0.2578512397, abs=1e-9)
    assert (found.x2, found.p_value, found.phi) == pytest.approx((19.2555282, 0.05665810619, 1.750502564), abs=1e-7)
    assert (line.intercept, line.slope) == pytest.approx((-0.66115575746, -0.06314602628), abs=1e-8)
    assert (line.se, line.quasi_se) == pytest.approx((0.01939136422, 0.0182823031), abs=1e-6)
    # R reports φ from its last but one step (.8888840); at convergence it is .8888771.
    assert line.quasi_phi == pytest.approx(0.8888839869, abs=1e-5)
    mu, rho, log_likelihood = dispersion.betabinomial_fit(won, trials) or (0, 0, 0)
    assert (mu, rho) == pytest.approx((0.256695877722, 0.006204099585), abs=1e-6)
    assert log_likelihood == pytest.approx(-37.48707253, abs=1e-6)
    assert stats.binom.logpmf(won, trials, found.rate).sum() == pytest.approx(-38.35380406, abs=1e-7)
    laney = dispersion.laney_limits(won, trials)
    assert laney is not None
    assert laney[0] == pytest.approx(1.091414379, abs=1e-9)
    # The planner's number: 19 to 33 of 100 by the likeliest parameters; not knowing them costs a deal either way.
    shape = ((1 - rho) / rho * mu, (1 - rho) / rho * (1 - mu))
    assert stats.betabinom(100, *shape).ppf([0.1, 0.9]).tolist() == [19, 33]
    assert stats.betabinom(100, *shape).std() == pytest.approx(0.0555 * 100, abs=0.01)
    assert dispersion.next_period_band(won, trials, 100, 0.8) == pytest.approx((0.18, 0.34), abs=0.011)


def test_the_lesson_of_the_vector(conversion: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """X² alone p = .057 sees nothing; the drift is there (p = .006 to .009), and the words say so."""
    won, trials, _ = conversion
    table = rates(won.tolist(), trials.tolist())
    assert table["direction"].unique().to_list() == ["drifting"]
    assert table["p_value"][0] == pytest.approx(0.0567, abs=1e-4)
    assert table["drift_p_value"][0] == pytest.approx(0.0086, abs=1e-4)
    assert table["drift_rate"][0] == pytest.approx(math.expm1(-0.06314602628 * 4), abs=1e-7)
    assert table["next_basis"][0] == "drift"
    assert table["next_upper"][0] < table["overall"][0], "the next quarter of a falling rate is below its average"


def test_rat_litters_match_direct_maximum_likelihood(shared: Path) -> None:
    data = pl.read_csv(shared / "vectors" / "vgam_lirat.csv")
    won, trials = data["R"].to_numpy(), data["N"].to_numpy()

    def loss(theta: np.ndarray) -> float:
        return -float(stats.betabinom(trials, *np.exp(theta)).logpmf(won).sum())

    direct = optimize.minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-7})
    a, b = np.exp(direct.x)
    found = dispersion.betabinomial_fit(won, trials)
    assert found is not None
    assert found == pytest.approx((a / (a + b), 1 / (1 + a + b), -direct.fun), abs=1e-5)
    # Published for these litters: wildly more alike within than between.
    assert found[1] > 0.5


# By another road


def test_dispersion_is_scipys_chi_square_and_drift_the_trend_test(
    conversion: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    won, trials, quarter = conversion
    found = dispersion.pearson_dispersion(won, trials)
    assert found is not None
    table = stats.chi2_contingency(np.column_stack([won, trials - won]), correction=False)
    assert (found.x2, found.p_value) == pytest.approx((table.statistic, table.pvalue))
    # Cochran–Armitage is the score test of the same line.
    centred = quarter - np.average(quarter, weights=trials)
    trend = (centred @ won) ** 2 / (found.rate * (1 - found.rate) * (trials @ centred**2))
    assert trend == pytest.approx(10.684582, abs=1e-6)


def test_spread_about_the_line_is_owned_up_to_and_its_lack_is_not_credited() -> None:
    jumpy = dispersion.binomial_drift([20, 60, 25, 55, 30, 70], [100] * 6, range(6))
    smooth = dispersion.binomial_drift([30, 31, 32, 33, 34, 35], [100] * 6, range(6))
    assert jumpy is not None
    assert smooth is not None
    assert jumpy.quasi_phi > 10
    assert jumpy.cautious_se == pytest.approx(jumpy.quasi_se)
    assert smooth.quasi_phi < 0.1
    assert smooth.cautious_se == pytest.approx(smooth.se)


def test_the_scale_trap_is_real_and_avoided(conversion: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """statsmodels' (won, lost) form with scale="X2" gives a standard error about ten times too small."""
    won, trials, quarter = conversion
    two_columns = np.column_stack([won, trials - won])
    trapped = sm.GLM(two_columns, sm.add_constant(quarter), family=sm.families.Binomial()).fit(scale="X2")
    line = dispersion.binomial_drift(won, trials, quarter)
    assert line is not None
    assert trapped.bse[1] < line.quasi_se / 5


def test_log_likelihood_is_scipys() -> None:
    ours = dispersion.betabinomial_loglik(np.array([3.0]), np.array([10.0]), 0.4, 0.1)
    assert ours[0] == pytest.approx(stats.betabinom.logpmf(3, 10, 0.4 * 9, 0.6 * 9))
    plain = dispersion.betabinomial_loglik(np.array([3.0]), np.array([10.0]), 0.4, 0.0)
    assert plain[0] == pytest.approx(stats.binom.logpmf(3, 10, 0.4), abs=1e-4)


def test_duration_overdispersion_is_scipys_anova() -> None:
    rng = np.random.default_rng(3)
    groups = [rng.normal(4, 0.8, size) for size in (30, 45, 50, 38, 41, 60, 33)]
    table = durations(groups)
    f = stats.f_oneway(*groups)
    assert (table["overdispersion"][0], table["p_value"][0]) == pytest.approx((f.statistic, f.pvalue))
    assert table["estimate"].to_list() == pytest.approx([math.exp(group.mean()) for group in groups])


def coverage(landed: list[float], pipeline: list[float], chance: list[float] | None = None) -> pl.DataFrame:
    frame = counts_of([0] * len(landed), [1] * len(landed), "coverage_needed").select(
        "measure",
        "item",
        "scope",
        "period_start_on",
        landed_amount=pl.Series(landed, dtype=pl.Float64).cast(MONEY),
        pipeline_amount=pl.Series(pipeline, dtype=pl.Float64).cast(MONEY),
        chance_variance=pl.Series(chance or [None] * len(landed), dtype=pl.Float64),
    )
    return stability.coverage_stability(frame, DEFAULT_POLICY, periods_per_year=4)


def durations(groups: list[np.ndarray]) -> pl.DataFrame:
    frame = counts_of([0] * len(groups), [1] * len(groups), "cycle_time").select(
        "measure",
        "item",
        "scope",
        "period_start_on",
        deal_count=pl.Series([group.size for group in groups], dtype=pl.Int64),
        mean_log_days=pl.Series([float(group.mean()) for group in groups]),
        sd_log_days=pl.Series([float(group.std(ddof=1)) if group.size > 1 else None for group in groups]),
    )
    return stability.duration_stability(frame, DEFAULT_POLICY, periods_per_year=4)


# By axiom


def test_won_and_lost_are_mirror_images() -> None:
    won, trials = [30, 42, 25, 38, 33, 29, 41], [100, 110, 90, 100, 105, 95, 120]
    one, two = rates(won, trials), rates([n - k for k, n in zip(won, trials, strict=True)], trials)
    for name in ("overdispersion", "p_value", "drift_p_value", "laney_sigma"):
        assert one[name][0] == pytest.approx(two[name][0])
    assert one["estimate"].to_list() == pytest.approx([1 - rate for rate in two["estimate"]])
    assert (1 + one["drift_rate"][0]) * (1 + two["drift_rate"][0]) == pytest.approx(1.0)


def test_currency_scales_out_of_coverage_and_row_order_is_irrelevant() -> None:
    landed, pipeline = [30.0, 25, 41, 28, 33, 30, 37], [100.0, 95, 110, 102, 99, 105, 108]
    one, two = coverage(landed, pipeline), coverage([x * 150 for x in landed], [x * 150 for x in pipeline])
    pl.testing.assert_frame_equal(one, two)
    frame = counts_of([30, 42, 25, 38, 33, 29], [100] * 6)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=2)
    pl.testing.assert_frame_equal(
        stability.rate_stability(frame, DEFAULT_POLICY, periods_per_year=4),
        stability.rate_stability(shuffled, DEFAULT_POLICY, periods_per_year=4),
    )


def test_a_falling_conversion_is_a_rising_need() -> None:
    pipeline = [100.0] * 8
    table = coverage([40.0, 38, 35.5, 33, 31.5, 29, 28, 26], pipeline)
    assert table["direction"].unique().to_list() == ["drifting"]
    assert table["drift_rate"][0] > 0.15
    assert table["drift_lower"][0] < table["drift_rate"][0] < table["drift_upper"][0]


def test_a_wider_level_is_wider_and_a_missing_quarter_leaves_its_gap() -> None:
    won, trials = np.array([30, 42, 25, 38, 33, 29]), np.full(6, 100)
    narrow, wide = (dispersion.next_period_band(won, trials, 100, level) for level in (0.5, 0.9))
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    whole = counts_of([30, 35, 40, 45, 50, 55, 60], [100] * 7)
    gap = stability.rate_stability(whole.filter(pl.int_range(7) != 3), DEFAULT_POLICY, periods_per_year=4)
    full = stability.rate_stability(whole, DEFAULT_POLICY, periods_per_year=4)
    assert gap["drift_rate"][0] == pytest.approx(full["drift_rate"][0], abs=0.02)


# By simulation


def words(rng: np.random.Generator, *, rho: float = 0.0, slope: float = 0.0, runs: int = 200) -> dict[str, float]:
    """Share of verdicts over companies of 12 quarters × 150 deals around 30 %."""
    found: list[str] = []
    for _ in range(runs):
        p = special.expit(special.logit(0.3) + slope * (np.arange(12) - 5.5))
        if rho > 0:
            p = rng.beta(p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho)
        won, trials = rng.binomial(150, p), np.full(12, 150)
        level, line = dispersion.pearson_dispersion(won, trials), dispersion.binomial_drift(won, trials, np.arange(12))
        assert level is not None
        assert line is not None
        lower, upper = (math.expm1(4 * end) for end in line.interval(stability.DRIFT_LEVEL))
        evidence = stability.Evidence(
            True, level.phi, level.p_value, line.p_value, lower, upper, line.left_over_p_value
        )
        found.append(stability.verdict(evidence)[0])
    return {word: found.count(word) / runs for word in ("stable", "drifting", "jumpy", "too_little_data")}


def test_planted_truth_is_named() -> None:
    rng = np.random.default_rng(21)
    law, drift, jumps = words(rng), words(rng, slope=-0.08), words(rng, rho=0.03)
    assert law["drifting"] + law["jumpy"] < 0.10 + 3 * math.sqrt(0.09 / 200)
    assert law["stable"] > 0.6
    assert drift["drifting"] > 0.85
    assert jumps["jumpy"] > 0.8
    assert max(drift["stable"], jumps["stable"]) < 0.05


def test_the_next_quarters_band_holds() -> None:
    """80 % bands over 8 quarters of 80 deals: within binomial error of 80 %, or above by what whole deals cost."""
    rng = np.random.default_rng(22)
    for rho in (0.005, 0.02):
        inside = []
        for _ in range(150):
            p = rng.beta(0.3 * (1 - rho) / rho, 0.7 * (1 - rho) / rho, 9)
            won = rng.binomial(80, p)
            lower, upper = dispersion.next_period_band(won[:-1], np.full(8, 80), 80, 0.8) or (0.0, 0.0)
            inside.append(lower <= won[-1] / 80 <= upper)
        assert 0.8 - 3 * math.sqrt(0.16 / 150) < np.mean(inside) < 0.93


def test_the_drifted_band_and_the_coverage_band_hold() -> None:
    rng = np.random.default_rng(23)
    rate_inside, money_inside = [], []
    for _ in range(150):
        p = special.expit(special.logit(0.35) - 0.07 * np.arange(11))
        won = rng.binomial(100, p)
        line = dispersion.binomial_drift(won[:-1], np.full(10, 100), np.arange(10))
        assert line is not None
        lower, upper = dispersion.drifted_band(line, 10, 100, 0.8)
        rate_inside.append(lower <= won[-1] / 100 <= upper)
        pipeline = rng.lognormal(4, 0.1, 11)
        landed = pipeline * 0.3 * rng.lognormal(0, 0.2, 11)
        table = coverage(landed[:-1].tolist(), pipeline[:-1].tolist())
        money_inside.append(table["next_lower"][0] <= pipeline[-1] / landed[-1] <= table["next_upper"][0])
    for inside in (rate_inside, money_inside):
        assert 0.8 - 3 * math.sqrt(0.16 / 150) < np.mean(inside) < 0.9


def test_cycle_times_are_judged() -> None:
    rng = np.random.default_rng(24)
    steady = durations([rng.normal(4, 0.5, 200) for _ in range(12)])
    slower = durations([rng.normal(4 + 0.06 * quarter, 0.5, 60) for quarter in range(12)])
    jumpy = durations([rng.normal(4 + rng.normal(0, 0.3), 0.5, 60) for _ in range(12)])
    assert [table["direction"][0] for table in (steady, slower, jumpy)] == ["stable", "drifting", "jumpy"]
    assert slower["drift_rate"][0] == pytest.approx(math.expm1(0.24), abs=0.1)


# At the edges


def test_edges() -> None:
    assert rates([], []).is_empty()
    assert rates([3], [10])["status"].to_list() == ["not_enough_history"]
    nothing = rates([0] * 8, [50] * 8)
    assert (nothing["status"][0], nothing["direction"][0], nothing["overdispersion"][0]) == (
        "one_outcome",
        "too_little_data",
        None,
    )
    assert nothing["upper"][0] > 0, "none of fifty is not proof of never"
    assert rates([5] * 8, [20] * 8)["status"][0] == "not_enough_history", "twenty deals a quarter are too few"
    assert rates([9, 0, 8], [30, 0, 30]).height == 2, "a quarter without deals has no rate"
    assert rates([30] * 6, [100] * 6)["status"][0] == "inconclusive", "six quarters cannot show that nothing moves"
    assert rates([300] * 12, [1000] * 12)["direction"][0] == "stable"
    assert dispersion.binomial_drift([0, 0, 0, 50, 50, 50], [50] * 6, range(6)) is None, "an infinitely steep line"


def test_coverage_edges() -> None:
    assert coverage([], []).is_empty()
    none_landed = coverage([0.0, 0.0, 0.0], [10.0, 10.0, 10.0])
    assert (none_landed["status"][0], none_landed["estimate"][0]) == ("one_outcome", None)
    gap = coverage([3.0, 0.0, 4.0, 2.0, 3.0, 5.0], [10.0] * 6)
    assert gap["estimate"][1] is None
    assert gap["overall"][0] == pytest.approx(60 / 17)
    known = coverage([3.0, 4.0, 2.0, 3.0, 5.0, 3.0], [10.0] * 6, [1.0] * 6)
    assert known["overdispersion"][0] == pytest.approx(np.var([3, 4, 2, 3, 5, 3], ddof=1))


def test_a_line_too_uncertain_for_any_number_has_no_bound() -> None:
    # A young company: next to nothing, nothing, then its first real quarter. One degree of freedom is left, and the
    # upper end of a year's change is more than any float holds.
    steep = coverage([10.0, 0.0, 80_000.0], [100_000.0] * 3)
    assert steep["drift_upper"].to_list() == [None] * 3
    assert steep["drift_lower"][0] == pytest.approx(-1.0)
    assert (steep["direction"][0], steep["status"][0]) == ("too_little_data", "not_enough_history")


def test_one_period_that_landed_anything_says_nothing_about_a_drift() -> None:
    one = coverage([0.0] * 5 + [70_000.0], [100_000.0] * 6)
    assert one.select("drift_rate", "drift_lower", "drift_upper").row(0) == (None, None, None)
    assert one["direction"][0] != "drifting"


def test_duration_edges() -> None:
    rng = np.random.default_rng(1)
    assert durations([]).is_empty()
    single = durations([rng.normal(4, 1, 1), rng.normal(4, 1, 1)])
    assert (single["status"][0], single["lower"][0]) == ("not_enough_history", None)
