"""Coverage, scores and the naive forecast: six proofs."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from pipelines.engine.coverage import (
    backtest_rows,
    christoffersen_test,
    conformal_rank,
    coverage,
    coverage_verdict,
    crps_of_draws,
    interval_score,
    kupiec_test,
    naive_crps,
    naive_forecast,
    telling_limits,
    weighted_interval_score,
    wilson_interval,
)

QUANTILES = np.arange(1, 100) / 100


def _backtest(inside: list[bool], **columns: object) -> pl.DataFrame:
    n = len(inside)
    return pl.DataFrame(
        {
            "period_start_on": [dt.date(2020 + i // 4, 1 + 3 * (i % 4), 1) for i in range(n)],
            "week_of_period": [3] * n,
            "scope": ["company"] * n,
            "method": ["combined"] * n,
            "level": [0.8] * n,
            "is_inside": inside,
            "interval_score": [10.0] * n,
            "crps": [2.0] * n,
            "naive_crps": [4.0] * n,
        }
    ).with_columns(**columns)


# By pencil


def test_interval_score_by_hand() -> None:
    """Range 3 to 9 at 80 %: inside 6; landing 12 adds 2/0.2·3 = 30; landing 0 adds 30."""
    np.testing.assert_allclose(interval_score([5, 12, 0], 3, 9, 0.8), [6, 36, 36])


def test_naive_by_hand() -> None:
    """Last year 100, 110, 120, 130; this year's first two 120, 132: growth 252/210 = 1.2; next = 120·1.2 = 144."""
    naive = naive_forecast([100, 110, 120, 130, 120, 132])
    assert naive.amount == pytest.approx(144)
    assert naive.kind == "same_period_last_year"


def test_naive_with_little_history() -> None:
    assert naive_forecast([]).kind == "none"
    assert naive_forecast([]).amount is None
    assert (naive_forecast([70, 80]).amount, naive_forecast([70, 80]).kind) == (80, "last_period")
    assert naive_forecast([100, 110, 120, 130]).amount == 100
    assert naive_forecast([100, np.nan]).amount is None


def test_fair_crps_by_hand() -> None:
    """Draws 0, 2, actual 1: mean |x − y| = 1; half the mean |x − x′| of different draws = 1: score 0."""
    assert crps_of_draws([1], [[0, 2]])[0] == pytest.approx(0)


def test_conformal_ranks() -> None:
    assert conformal_rank(9, 0.9) == 9
    assert conformal_rank(8, 0.9) is None
    assert conformal_rank(4, 0.8) == 4
    assert conformal_rank(3, 0.8) is None
    assert conformal_rank(19, 0.95) == 19
    assert conformal_rank(99, 0.55) == 55  # 100 · 0.55 is 55.00000000000001 here: without the guard, 56
    assert conformal_rank(8, 0.8) == 8  # 7.2 rounds up: 80 % asked, 8/9 given


# By another road


def test_wilson_equals_statsmodels() -> None:
    for n in (1, 5, 8, 12, 40):
        hits = np.arange(n + 1)
        lower, upper = wilson_interval(hits, n, 0.9)
        theirs = proportion_confint(hits, n, alpha=0.1, method="wilson")
        np.testing.assert_allclose(lower, np.maximum(theirs[0], 0), atol=1e-12)
        np.testing.assert_allclose(upper, np.minimum(theirs[1], 1), atol=1e-12)


def test_wis_is_twice_the_mean_pinball_loss_and_its_parts_add_up() -> None:
    rng = np.random.default_rng(1)
    amount, actual = np.sort(rng.normal(size=(50, 99)), axis=1), rng.normal(size=50)
    score = weighted_interval_score(actual, QUANTILES, amount)
    loss = np.where(actual[:, None] >= amount, QUANTILES, QUANTILES - 1) * (actual[:, None] - amount)
    np.testing.assert_allclose(score.total, 2 * loss.mean(axis=1))
    np.testing.assert_allclose(score.total, score.dispersion + score.over + score.under)


def test_crps_of_many_draws_is_that_of_the_normal() -> None:
    """Gneiting & Raftery (2007): CRPS(N(0,1), y) = y(2Φ(y)−1) + 2φ(y) − 1/√π; quantiles give it too."""
    y = np.array([-1.5, 0.0, 0.7])
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    draws = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    np.testing.assert_allclose(crps_of_draws(y, np.tile(draws, (3, 1))), exact, atol=1e-3)
    level = (np.arange(2000) + 0.5) / 2000
    quantiles = np.tile(stats.norm.ppf(level), (3, 1))
    np.testing.assert_allclose(weighted_interval_score(y, level, quantiles).total, exact, atol=1e-3)


# By the literature


def test_wilson_of_the_report() -> None:
    """R: binom::binom.wilson / prop.test without correction."""
    for hits, n, lower, upper in (
        (6, 8, 0.4092754303, 0.9285207872),
        (8, 8, 0.6755924351, 1.0),
        (10, 12, 0.5519691377, 0.9530348578),
        (15, 20, 0.5312991224, 0.8881382986),
        (3, 12, 0.08894166839, 0.5323053349),
    ):
        found = wilson_interval(hits, n)
        assert found[0] == pytest.approx(lower, abs=1e-9)
        assert found[1] == pytest.approx(upper, abs=1e-9)


def test_coverage_tests_equal_rugarch() -> None:
    """R rugarch::VaRTest; binom.test(6, 8, .8) and binom.test(3, 12, .8)."""
    twenty = [0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    twelve = [1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1]
    first, second = kupiec_test(twenty, 0.2), kupiec_test(twelve, 0.2)
    assert (first.statistic, first.chi_square_p_value) == pytest.approx((0.295279879, 0.5868567572), abs=1e-8)
    assert (second.statistic, second.chi_square_p_value) == pytest.approx((5.355445232, 0.02065765914), abs=1e-8)
    assert christoffersen_test(twenty, 0.2) == pytest.approx((0.2998404343, 0.8607766489), abs=1e-8)
    assert christoffersen_test(twelve, 0.2) == pytest.approx((6.145361788, 0.04629687132), abs=1e-8)
    assert kupiec_test([1, 1, 0, 0, 0, 0, 0, 0], 0.2).exact_p_value == pytest.approx(0.66445568, abs=1e-8)
    assert kupiec_test([1] * 9 + [0] * 3, 0.2).exact_p_value == pytest.approx(6.219776e-05, rel=1e-6)


def test_few_looks_show_the_exact_p_and_many_the_chi_square() -> None:
    few, many = kupiec_test([1] * 9 + [0] * 20, 0.2), kupiec_test([1] * 9 + [0] * 21, 0.2)
    assert few.p_value == few.exact_p_value
    assert many.p_value == many.chi_square_p_value


def test_wis_equals_scoringutils(shared: Path) -> None:
    """R scoringutils, example_quantile: deaths in Germany two weeks ahead; WIS, over, under, dispersion by model."""
    frame = pl.read_csv(shared / "vectors" / "scoringutils_DE_deaths_h2.csv")
    expected = {
        "EuroCOVIDhub-baseline": (156.39596838, 73.89328063, 0.0, 82.50268775),
        "EuroCOVIDhub-ensemble": (43.27592885, 4.96442688, 3.49407115, 34.81743083),
        "UMass-MechBayes": (68.47600791, 0.0, 37.8458498, 30.6301581),
        "epiforecasts-EpiNow2": (91.96268775, 12.41501976, 34.75889328, 44.7887747),
    }
    for model, numbers in expected.items():
        wide = frame.filter(pl.col("model") == model).pivot(
            "quantile_level", index=["target_end_date", "observed"], values="predicted", sort_columns=False
        )
        level = sorted(float(name) for name in wide.columns[2:])
        amount = wide.select([str(q) for q in level]).to_numpy()
        score = weighted_interval_score(wide["observed"], level, amount)
        parts = (score.total, score.over, score.under, score.dispersion)
        assert [part.mean() for part in parts] == pytest.approx(numbers, abs=1e-7)


def test_wis_equals_covidhubutils() -> None:
    score = weighted_interval_score(
        [1, -15, 22], [0.1, 0.25, 0.5, 0.75, 0.9], [[-1, 0, 1, 2, 3], [-2, 1, 2, 2, 4], [-2, 0, 3, 3, 4]]
    )
    np.testing.assert_allclose(score.total, [0.36, 15.34, 19.14])


def test_what_n_can_tell() -> None:
    """One-sided exact 10 % rule: too narrow at 4 of 8, 5 of 10, 7 of 12, 13 of 20; too wide not before 11 of 11."""
    assert [telling_limits(n)[0] for n in (8, 10, 12, 20)] == [4, 5, 7, 13]
    assert [telling_limits(n)[1] for n in (8, 9, 10, 11, 12)] == [None, None, None, 11, 12]
    assert stats.binom.sf(10, 11, 0.8) == pytest.approx(0.0859, abs=1e-4)


# By axiom


def test_a_wider_level_is_wider_and_swapping_sides_mirrors() -> None:
    narrow, wide = wilson_interval(6, 8, 0.8), wilson_interval(6, 8, 0.95)
    assert wide[0] < narrow[0] < 6 / 8 < narrow[1] < wide[1]
    low, high = wilson_interval(2, 8, 0.95)
    assert (1 - high, 1 - low) == pytest.approx((float(wide[0]), float(wide[1])))


def test_currency_scales_out() -> None:
    rng = np.random.default_rng(2)
    amount, actual = np.sort(rng.normal(size=(5, 99)), axis=1), rng.normal(size=5)
    base, scaled = (weighted_interval_score(k * actual, QUANTILES, k * amount).total for k in (1, 1000))
    np.testing.assert_allclose(scaled, 1000 * base)
    history = np.array([100.0, 110, 120, 130, 120, 132])
    assert naive_forecast(1000 * history).amount == pytest.approx(144_000)


def test_the_past_alone_makes_the_naive_forecast() -> None:
    past = [100.0, 110, 120, 130, 120, 132, 150, 140]
    frames = [
        pl.DataFrame(
            {
                "scope": ["company"] * 9,
                "period_start_on": [dt.date(2020 + i // 4, 1 + 3 * (i % 4), 1) for i in range(9)],
                "actual_amount": [*past, last],
            }
        )
        for last in (10.0, 999.0)
    ]
    one, two = (naive_crps(frame) for frame in frames)
    assert one["naive_amount"].to_list() == two["naive_amount"].to_list()
    assert one["naive_crps"][8] != two["naive_crps"][8]
    assert one["naive_crps"][0] is None


# By simulation


def test_honest_ranges_are_rarely_called_dishonest() -> None:
    rng = np.random.default_rng(3)
    hits = rng.binomial(12, 0.8, 4000)
    words = [coverage_verdict(int(k), 12, 0.8) for k in hits]
    assert np.mean([word == "too_narrow" for word in words]) <= 0.10 + 0.012
    assert np.mean([word == "too_wide" for word in words]) <= 0.10 + 0.012
    half = [coverage_verdict(int(k), 12, 0.8) for k in rng.binomial(12, 0.5, 2000)]
    assert np.mean([word == "too_narrow" for word in half]) > 0.7


def test_proper_scores_prefer_the_truth() -> None:
    rng = np.random.default_rng(4)
    actual = rng.normal(size=4000)
    scores = {
        sd: float(
            weighted_interval_score(actual, QUANTILES, np.tile(sd * stats.norm.ppf(QUANTILES), (4000, 1))).total.mean()
        )
        for sd in (0.6, 1.0, 1.6)
    }
    assert min(scores, key=lambda sd: scores[sd]) == 1.0


def test_split_conformal_covers_its_rank() -> None:
    """Rank k of n covers k/(n+1) exactly for exchangeable errors: 8 of 8 gives .889 where .8 was asked."""
    rng = np.random.default_rng(5)
    errors = np.abs(rng.standard_t(3, (20_000, 9)))
    rank = conformal_rank(8, 0.8)
    assert rank is not None
    bound = np.sort(errors[:, :8], axis=1)[:, rank - 1]
    assert (errors[:, 8] <= bound).mean() == pytest.approx(8 / 9, abs=0.008)


# The published frame


def test_coverage_frame_counts_and_judges() -> None:
    row = coverage(_backtest([True] * 4 + [False] * 4)).row(0, named=True)
    assert (row["hit_count"], row["period_count"], row["coverage_rate"]) == (4, 8, 0.5)
    assert (row["narrow_limit_count"], row["wide_limit_count"], row["verdict"]) == (4, None, "too_narrow")
    assert row["exact_p_value"] == pytest.approx(stats.binomtest(4, 8, 0.8).pvalue)
    assert row["skill_rate"] == pytest.approx(0.5)
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(float(v) for v in wilson_interval(4, 8)))


def test_seven_periods_are_too_few_for_a_verdict() -> None:
    assert coverage(_backtest([False] * 7))["verdict"][0] == "too_few"
    assert coverage(_backtest([False] * 8))["verdict"][0] == "too_narrow"


def test_two_looks_at_one_period_are_refused() -> None:
    rows = _backtest([True] * 8)
    with pytest.raises(ValueError, match="not independent"):
        coverage(pl.concat([rows, rows.head(1)]))
    weeks = pl.concat([rows, rows.with_columns(week_of_period=pl.lit(6, dtype=pl.Int64))])
    assert coverage(weeks)["period_count"].to_list() == [8, 8]


def slow_naive(history: list[float], season: int) -> tuple[float | None, str]:
    """One series, by loops: the same period a year before × what the latest year grew, else the last period."""
    n = len(history)
    if n >= season and math.isfinite(history[n - season]):
        years = min(season, n - season)
        pairs = [(history[n - back], history[n - back - season]) for back in range(1, years + 1)]
        known = [(now, then) for now, then in pairs if math.isfinite(now) and math.isfinite(then)]
        base = sum(then for _, then in known)
        growth = sum(now for now, _ in known) / base if base > 0 else 1.0
        return history[n - season] * growth, "same_period_last_year"
    if n and math.isfinite(history[-1]):
        return history[-1], "last_period"
    return None, "none"


def slow_score(history: list[float], actual: float, season: int) -> float | None:
    amount, kind = slow_naive(history, season)
    if amount is None or not math.isfinite(actual):
        return None
    errors = []
    for end in range(1, len(history)):
        point, way = slow_naive(history[:end], season)
        if way == kind and point is not None and point > 0 and history[end] > 0:
            errors.append(math.log(history[end] / point))
    if len(errors) < 3:
        return abs(actual - amount)
    sd = math.sqrt(sum(error**2 for error in errors) / len(errors))
    quantiles = amount * np.exp(sd * stats.t.ppf(QUANTILES, len(errors)))
    return float(
        np.mean([2 * max(q * (actual - x), (q - 1) * (actual - x)) for q, x in zip(QUANTILES, quantiles, strict=True)])
    )


@pytest.mark.parametrize("season", [4, 12])
def test_naive_scores_of_many_scopes_are_those_of_slow_loops(season: int) -> None:
    """Histories of unequal length, with gaps, zeros and scopes of which nothing is known, one at a time by loops."""
    rng = np.random.default_rng(11)
    series = {f"scope {number:02d}": rng.gamma(2.0, 50.0, size=rng.integers(1, 30)).round(2) for number in range(40)}
    for place, history in enumerate(series.values()):
        history[rng.random(len(history)) < (0.0, 0.1, 0.4, 1.0)[place % 4]] = (np.nan, 0.0)[place % 2]
    rows = [
        (scope, dt.date(2020, 1, 1) + dt.timedelta(days=91 * place), None if np.isnan(actual) else actual)
        for scope, history in series.items()
        for place, actual in enumerate(history)
    ]
    schema = {"scope": pl.String, "period_start_on": pl.Date, "actual_amount": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sample(fraction=1.0, shuffle=True, seed=1)
    told = naive_crps(frame, season=season)
    assert told.select("scope", "period_start_on").rows() == [row[:2] for row in rows]
    kinds = set()
    for scope, history in series.items():
        found = told.filter(pl.col("scope") == scope).rows(named=True)
        for place, (actual, row) in enumerate(zip(history.tolist(), found, strict=True)):
            before = history.tolist()[:place]
            amount, kind = slow_naive(before, season)
            kinds.add(kind)
            assert row["naive_kind"] == kind
            assert row["naive_amount"] == (None if amount is None else pytest.approx(amount, rel=1e-12))
            score = slow_score(before, actual, season)
            assert row["naive_crps"] == (None if score is None else pytest.approx(score, rel=1e-9, abs=1e-9))
    assert len(kinds) == 3


def test_a_missing_naive_stays_missing() -> None:
    row = coverage(_backtest([True] * 8, naive_crps=pl.lit(None, dtype=pl.Float64))).row(0, named=True)
    assert row["naive_crps"] is None
    assert row["skill_rate"] is None


def test_no_backtest_is_an_empty_frame() -> None:
    assert coverage(_backtest([])).height == 0
    assert np.isnan(wilson_interval(0, 0)[0])


def test_backtest_rows_score_what_was_issued() -> None:
    start = dt.date(2026, 1, 1)
    head = {"period_start_on": [start], "week_of_period": [3], "scope": ["company"], "method": ["deals"]}
    issued = pl.DataFrame({**head, "level": [0.8], "estimate": [6.0], "lower": [3.0], "upper": [9.0]})
    quantiles = pl.DataFrame(
        {**{k: v * 99 for k, v in head.items()}, "quantile": QUANTILES, "amount": np.linspace(1, 11, 99)}
    )
    for actual, inside, score in ((9.0, True, 6.0), (12.0, False, 36.0)):
        known = pl.DataFrame({"period_start_on": [start], "scope": ["company"], "actual_amount": [actual]})
        row = backtest_rows(issued, quantiles, known).row(0, named=True)
        assert (row["is_inside"], row["error_amount"]) == (inside, 6.0 - actual)
        assert row["interval_score"] == pytest.approx(score)
        total = weighted_interval_score([actual], QUANTILES, [np.linspace(1, 11, 99)]).total[0]
        assert row["crps"] == pytest.approx(total)
    nobody = pl.DataFrame({"period_start_on": [start], "scope": ["company"], "actual_amount": [None]})
    assert backtest_rows(issued, quantiles, nobody).height == 0
