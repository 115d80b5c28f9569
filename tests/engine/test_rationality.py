"""Rationality and change, proven six ways. The professional forecasters' series (``murphydiagram::inflation_mean``, 129
quarters) stays in the shared folder; R figures: ``lm``, ``car::linearHypothesis``, ``strucchange::efp``
(OLS-CUSUM), ``spc::xcusum.arl(k, h, mu, sided = "two")`` and ``spc::xcusum.crit``."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
import statsmodels.api as sm
from scipy import stats

from pipelines.contracts import MONEY
from pipelines.engine import change, rationality
from pipelines.policy import DEFAULT_POLICY


@pytest.fixture(scope="module")
def forecasters(shared: Path) -> tuple[pl.DataFrame, dict[str, dict[str, float]]]:
    expected = json.loads((shared / "vectors" / "expected.json").read_text())["spf_mz"]
    return pl.read_csv(shared / "vectors" / "spf_inflation_mean.csv"), expected


def pairs_of(forecast: np.ndarray, actual: np.ndarray, before: np.ndarray | None = None) -> pl.DataFrame:
    """Arrays of shape quarters × forecasters at week 3, and at week 2 if ``before`` is given."""
    quarters, people = forecast.shape
    starts = [date(2015 + q // 4, 1 + 3 * (q % 4), 1) for q in range(quarters)]
    parts = [
        pl.DataFrame(
            {
                "layer": "rep",
                "category": "commit",
                "forecaster_id": [f"r{i}" for _ in range(quarters) for i in range(people)],
                "period_start_on": [start for start in starts for _ in range(people)],
                "week_of_period": pl.Series([week] * quarters * people, dtype=pl.Int64),
                "forecast_amount": pl.Series(values.ravel()).round(2).cast(MONEY),
                "actual_amount": pl.Series(actual.ravel()).round(2).cast(MONEY),
            }
        )
        for week, values in ((3, forecast), (2, before))
        if values is not None
    ]
    return pl.concat(parts)


def company(rng: np.random.Generator, quarters: int = 12, people: int = 15, lean: float = 0.0) -> pl.DataFrame:
    forecast = rng.lognormal(11, 0.6, (quarters, people))
    shock = rng.normal(0, 0.1, (quarters, 1))
    actual = forecast * np.exp(rng.normal(-0.08, 0.4, (quarters, people)) + shock - 0.005) / (1 + lean)
    return pairs_of(forecast, actual)


def row_of(table: pl.DataFrame, test: str) -> dict[str, object]:
    return table.row(by_predicate=pl.col("test") == test, named=True)


# By pencil


def test_theil_by_pencil() -> None:
    # F 3, 5; A 1, 5: errors 2, 0, mse 2. Means 4 and 3: level 1. s_F 1, s_A 2, r 1: slope (1 − 2)² = 1, noise 0.
    found = rationality.theil([3.0, 5.0], [1.0, 5.0])
    assert found is not None
    assert (found.mse, found.level_share, found.slope_share, found.noise_share) == pytest.approx((2, 0.5, 0.5, 0))


def test_cusum_by_pencil() -> None:
    # Slack ½: 1 → ½, 2 → 2, 3 → 4.5 alarms above 4; then −3 falls to 1 on top and rises to 2.5 below.
    high, low, alarm = change.cusum([1.0, 2.0, 3.0, -3.0], 4.0)
    assert high.tolist() == [0.5, 2.0, 4.5, 1.0]
    assert low.tolist() == [0.0, 0.0, 0.0, 2.5]
    assert alarm == 2


# By the literature


def test_professional_forecasters_match_r(forecasters: tuple[pl.DataFrame, dict[str, dict[str, float]]]) -> None:
    data, expected = forecasters
    figures = expected["spf"]
    line = rationality.mincer_zarnowitz(data["spf"], data["rlz"])
    parts = rationality.theil(data["spf"], data["rlz"])
    level = rationality.holden_peel(data["rlz"] - data["spf"])
    moved = change.ols_cusum(data["rlz"] - data["spf"])
    assert line is not None
    assert parts is not None
    assert level is not None
    assert moved is not None
    assert (line.intercept, line.slope) == pytest.approx((figures["a"], figures["b"]), abs=1e-9)
    assert (line.intercept_se, line.slope_se) == pytest.approx(figures["se"], abs=1e-9)
    assert line.statistic == pytest.approx(figures["F"], abs=1e-5)
    assert line.p_value == pytest.approx(figures["pF"], rel=1e-4)
    assert parts.mse == pytest.approx(figures["mse"], abs=1e-8)
    shares = (parts.level_share, parts.slope_share, parts.noise_share)
    assert shares == pytest.approx((figures["UM"], figures["UR"], figures["UD"]), abs=1e-8)
    assert level[:2] == pytest.approx((figures["mean_err"], figures["hp_se"]), abs=1e-9)
    assert moved[:2] == pytest.approx((figures["ols_cusum"], figures["ols_cusum_p"]), abs=1e-9)
    other = change.ols_cusum(data["rlz"] - data["michigan"])
    assert other is not None
    assert other[0] == pytest.approx(expected["michigan"]["ols_cusum"], abs=1e-8)


def test_newey_west_is_reproduced_only_to_show_that_it_is_not_used(
    forecasters: tuple[pl.DataFrame, dict[str, dict[str, float]]],
) -> None:
    data, expected = forecasters
    fit = sm.OLS(data["rlz"].to_numpy(), sm.add_constant(data["spf"].to_numpy())).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
    )
    assert fit.bse.tolist() == pytest.approx(expected["spf"]["nw4_se"], abs=1e-9)


@pytest.mark.parametrize(
    ("limit", "shift", "length"),
    [(4, 0, 167.683788814), (4, 1, 8.3831318705), (5, 0, 465.443506032), (5, 1, 10.3759699216)],
)
def test_run_lengths_match_spc(limit: float, shift: float, length: float) -> None:
    assert change.cusum_run_length(limit, shift) == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize(
    ("slack", "length", "limit"),
    [
        (0.25, 20, 3.01871990241),
        (0.25, 40, 4.05882644001),
        (0.25, 100, 5.5974245147),
        (0.5, 20, 2.03160822042),
        (0.5, 40, 2.64460967775),
        (0.5, 100, 3.50203709387),
    ],
)
def test_limits_match_spc(slack: float, length: float, limit: float) -> None:
    assert change.cusum_limit(length, slack) == pytest.approx(limit, abs=1e-7)


# By another road


def test_pooled_line_is_statsmodels_gee_with_independence() -> None:
    """The same estimate and, up to the stated factor, the same sandwich by generalised estimating equations."""
    rng = np.random.default_rng(2)
    quarter = np.repeat(np.arange(9), 12)
    f = rng.lognormal(3, 0.5, 108)
    a = f * rng.lognormal(0, 0.4, 108) * rng.lognormal(0, 0.2, 9)[quarter]
    ours = rationality.pooled_mincer_zarnowitz(f, a, quarter)
    gee = sm.GEE(a, sm.add_constant(np.log(f)), quarter, family=sm.families.Poisson()).fit(ctol=1e-12)
    assert ours is not None
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(gee.params), rel=1e-6)
    factor = math.sqrt(9 / 8 * 107 / 106)
    assert (ours.intercept_se, ours.slope_se) == pytest.approx(tuple(gee.bse * factor), rel=1e-5)
    gap = gee.params - np.array([0.0, 1.0])
    wald = float(gap @ np.linalg.solve(gee.cov_params() * factor**2, gap))
    assert ours.statistic == pytest.approx(wald / 2 * 7 / 8, rel=1e-5)
    assert ours.p_value == pytest.approx(stats.f.sf(ours.statistic, 2, 7))


def test_revision_slope_is_a_slow_sandwich() -> None:
    rng = np.random.default_rng(3)
    quarter, x = np.repeat(np.arange(8), 10), rng.normal(0, 1, 80)
    y = 0.4 * x + rng.normal(0, 1, 80) + rng.normal(0, 0.5, 8)[quarter]
    ours = rationality.revision_slope(y, x, quarter)
    design = np.column_stack([np.ones(80), x])
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ design.T @ y
    meat = np.zeros((2, 2))
    for group in range(8):
        score = design[quarter == group].T @ (y - design @ beta)[quarter == group]
        meat += np.outer(score, score)
    covariance = 8 / 7 * 79 / 78 * bread @ meat @ bread
    assert ours is not None
    assert (ours.slope, ours.slope_se) == pytest.approx((beta[1], math.sqrt(covariance[1, 1])))


def test_ols_cusum_is_the_long_way_round() -> None:
    e = np.random.default_rng(4).normal(0, 1, 20)
    total, best = 0.0, 0.0
    for value in e:
        total += value - e.mean()
        best = max(best, abs(total))
    found = change.ols_cusum(e)
    assert found is not None
    assert found[0] == pytest.approx(best / e.std(ddof=1) / math.sqrt(20))
    assert found[1] == pytest.approx(stats.kstwobign.sf(found[0]))


# By axiom


def test_perfect_calls_have_nothing_to_explain() -> None:
    f = np.random.default_rng(5).lognormal(10, 0.4, (8, 6)).round(2)
    table = rationality.rationality(pairs_of(f, f), DEFAULT_POLICY)
    assert set(table["direction"].drop_nulls()) == {"not_enough_evidence"}
    assert "ok" not in table["status"].to_list()
    assert rationality.theil(f.ravel(), f.ravel()) is None


def test_errors_turned_round_turn_the_words() -> None:
    rng = np.random.default_rng(6)
    frame = company(rng, lean=0.3)
    mirrored = frame.with_columns(forecast_amount=pl.col("actual_amount"), actual_amount=pl.col("forecast_amount"))
    one, two = (row_of(rationality.rationality(f, DEFAULT_POLICY), "level_bias") for f in (frame, mirrored))
    assert (one["direction"], two["direction"]) == ("runs_high", "runs_low")


def test_the_shares_of_theil_have_the_jackknifes_ranges() -> None:
    """A slow loop over quarters left out; and a range that holds what the whole population has."""
    rng = np.random.default_rng(4)

    def drawn(quarters: int) -> pl.DataFrame:
        quarter = np.repeat(np.arange(quarters), 12)
        actual = rng.gamma(4.0, 25.0, len(quarter))
        forecast = actual + 15.0 + rng.normal(0, 10.0, quarters)[quarter] + rng.normal(0, 30.0, len(quarter))
        days = pl.Series(quarter).replace_strict(
            list(range(quarters)), [date(2000 + q // 4, 1 + 3 * (q % 4), 1) for q in range(quarters)]
        )
        return pl.DataFrame({"period_start_on": days, "forecast": forecast, "actual": actual})

    part = drawn(8)
    half = rationality.theil_half_widths(part)
    assert half is not None
    without = []
    for start in part["period_start_on"].unique().sort():
        rest = part.filter(pl.col("period_start_on") != start)
        found = rationality.theil(rest["forecast"], rest["actual"])
        assert found is not None
        without.append(found.level_share)
    by_hand = stats.t.ppf(0.95, 7) * math.sqrt(7 / 8 * sum((one - np.mean(without)) ** 2 for one in without))
    assert half[0] == pytest.approx(by_hand)
    many = drawn(400)
    population = rationality.theil(many["forecast"], many["actual"])
    assert population is not None
    held = 0
    for _ in range(120):
        sample = drawn(8)
        found, reach = rationality.theil(sample["forecast"], sample["actual"]), rationality.theil_half_widths(sample)
        assert found is not None
        assert reach is not None
        held += abs(found.noise_share - population.noise_share) <= reach[2]
    assert 0.82 <= held / 120 <= 0.97, "asked: nine in ten"
    assert rationality.theil_half_widths(part.head(12)) is None


def test_currency_scales_out_row_order_is_irrelevant_and_shares_sum_to_one() -> None:
    frame = company(np.random.default_rng(7))
    table = rationality.rationality(frame, DEFAULT_POLICY)
    yen = frame.with_columns((pl.col("^.*_amount$") * 150).cast(MONEY)).sample(fraction=1, shuffle=True, seed=1)
    pl.testing.assert_frame_equal(table, rationality.rationality(yen, DEFAULT_POLICY), rel_tol=1e-6)
    shares = table.filter(pl.col("test").str.ends_with("_share"))
    assert shares["estimate"].sum() == pytest.approx(1.0)
    assert shares["direction"].to_list() == [None] * 3


# By simulation


def test_honest_noisy_forecasters_are_not_called_irrational() -> None:
    """150 companies, 10 quarters × 20 honest forecasters, shock .15: nominal 5 %: logs reject half, this does not."""
    rng = np.random.default_rng(8)
    quarter = np.repeat(np.arange(10), 20)
    ours, logs = [], []
    for _ in range(150):
        f = rng.lognormal(12, 0.6, 200)
        a = f * np.exp(rng.normal(-0.125, 0.5, 200) + rng.normal(0, 0.15, 10)[quarter] - 0.01125)
        line = rationality.pooled_mincer_zarnowitz(f, a, quarter)
        assert line is not None
        ours.append(line.p_value < 0.05)
        fit = sm.OLS(np.log(a / f), sm.add_constant(np.log(f) - 12)).fit(
            cov_type="cluster", cov_kwds={"groups": quarter}
        )
        joint = float(fit.params @ np.linalg.solve(fit.cov_params(), fit.params)) / 2
        logs.append(stats.f.sf(joint, 2, 9) < 0.05)
    assert np.mean(ours) < 0.05 + 0.04 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert np.mean(logs) > 0.3


def test_planted_faults_are_named() -> None:
    rng = np.random.default_rng(9)
    quarters, people = 12, 30
    truth = rng.lognormal(11, 0.6, (quarters, people))
    actual = truth * rng.lognormal(-0.02, 0.2, (quarters, people))
    steep = np.exp(11) * (truth / np.exp(11)) ** 1.4
    found = row_of(rationality.rationality(pairs_of(steep, actual), DEFAULT_POLICY), "slope")
    assert found["direction"] == "too_steep"
    assert found["estimate"] == pytest.approx(1 / 1.4, abs=0.12)
    # Anchored: only half of the way from last week's call to the truth.
    before = truth * rng.lognormal(0, 0.3, (quarters, people))
    anchored = rationality.rationality(pairs_of((before + truth) / 2, actual, before), DEFAULT_POLICY)
    wild = rationality.rationality(pairs_of(before + 1.6 * (truth - before), actual, before), DEFAULT_POLICY)
    assert row_of(anchored, "revision")["direction"] == "anchoring"
    assert row_of(anchored, "revision")["estimate"] == pytest.approx(1.0, abs=0.25)
    assert row_of(wild, "revision")["direction"] == "over_reaction"


def test_self_starting_scores_keep_the_stated_run_length() -> None:
    """1,000 unchanged companies: mean periods to an alarm 40 within 3 standard errors, from the third on."""
    rng = np.random.default_rng(10)
    limit = change.cusum_limit(40)
    lengths = []
    for _ in range(1000):
        _, _, alarm = change.cusum(change.self_starting_scores(rng.normal(5, 3, 500)), limit)
        assert alarm is not None
        lengths.append(alarm - 1)
    assert abs(np.mean(lengths) - 40) < 3 * np.std(lengths) / math.sqrt(1000)


def test_self_starting_scores_the_slow_way() -> None:
    x = np.random.default_rng(16).normal(1e6, 3, 12)
    slow = [0.0, 0.0]
    for index in range(2, 12):
        before = x[:index]
        t = (x[index] - before.mean()) / before.std(ddof=1) * math.sqrt(index / (index + 1))
        slow.append(float(stats.norm.ppf(stats.t.cdf(t, index - 1))))
    assert change.self_starting_scores(x).tolist() == pytest.approx(slow, abs=1e-6)


def test_scores_of_an_unchanged_company_are_standard_normal() -> None:
    rng = np.random.default_rng(11)
    scores = np.concatenate([change.self_starting_scores(rng.normal(-2, 7, 14))[2:] for _ in range(150)])
    assert stats.kstest(scores, "norm").pvalue > 0.01


def test_a_change_of_lean_is_dated() -> None:
    rng = np.random.default_rng(12)
    forecast = np.full((20, 4), 1000.0)
    share = np.where(np.arange(20)[:, None] < 12, 1.0, 0.6) + rng.normal(0, 0.05, (20, 4))
    table = rationality.rationality(pairs_of(forecast, forecast * share), DEFAULT_POLICY)
    moved, alarm = row_of(table, "change"), row_of(table, "cusum")
    assert (moved["direction"], moved["from_period_on"]) == ("rose", date(2018, 1, 1))
    assert moved["estimate"] == pytest.approx(0.4, abs=0.05)
    assert alarm["direction"] == "rose"
    assert date(2018, 1, 1) <= alarm["from_period_on"] <= date(2018, 7, 1)
    assert alarm["in_control_run_count"] == 40
    assert alarm["shifted_run_count"] == pytest.approx(change.cusum_run_length(change.cusum_limit(40), 1.0))


# At the edges


def test_edges() -> None:
    frame = company(np.random.default_rng(13), quarters=5)
    assert rationality.rationality(frame.clear(), DEFAULT_POLICY).is_empty()
    few = rationality.rationality(frame, DEFAULT_POLICY)
    assert set(few["status"]) <= {"not_enough_history"}
    assert set(few["direction"].drop_nulls()) == {"not_enough_evidence"}
    one = rationality.rationality(frame.head(1), DEFAULT_POLICY)
    assert one.height == 8
    silent = frame.with_columns(forecast_amount=pl.lit(None, MONEY))
    assert rationality.rationality(silent, DEFAULT_POLICY).is_empty()
    ten = rationality.rationality(company(np.random.default_rng(14), quarters=10), DEFAULT_POLICY)
    assert (row_of(ten, "change")["status"], row_of(ten, "level_bias")["status"]) == ("not_enough_history", "ok")


def test_quarters_in_which_nothing_landed_stay_in_the_pooled_line() -> None:
    rng = np.random.default_rng(15)
    quarter = np.repeat(np.arange(8), 5)
    f = rng.lognormal(3, 0.5, 40)
    a = np.where(rng.random(40) < 0.3, 0.0, f)
    line = rationality.pooled_mincer_zarnowitz(f, a, quarter)
    assert line is not None
    assert line.intercept < 0
    assert rationality.pooled_mincer_zarnowitz(f, np.zeros(40), quarter) is None
    assert rationality.pooled_mincer_zarnowitz(np.full(40, 3.0), a, quarter) is None
    assert rationality.pooled_mincer_zarnowitz(f[:3], a[:3], [1, 1, 2]) is None
    assert rationality.revision_slope([1.0, 2.0], [0.0, 0.0], [1, 2]) is None
    assert rationality.holden_peel([1.0]) is None
    assert rationality.mincer_zarnowitz([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert change.ols_cusum([1.0, 1.0, 1.0]) is None
    assert change.self_starting_scores([1.0, 1.0, 5.0]).tolist() == [0.0, 0.0, 0.0]
