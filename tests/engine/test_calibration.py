"""Calibration, proven six ways. R figures: ``reliabilitydiag`` 0.2.1 and ``rms::val.prob`` 6.5 on the Niamey forecasts
(GPL data: read from the shared folder only), and a hand vector of twelve deals with ties."""

from __future__ import annotations

import json
import math
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from pipelines.contracts import MONEY
from pipelines.engine import calibration, leaks
from pipelines.policy import DEFAULT_POLICY

HAND_P = [0.1, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.9]
HAND_Y = [0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1]


@pytest.fixture(scope="module")
def niamey(shared: Path) -> tuple[pl.DataFrame, dict[str, dict[str, float]]]:
    expected = json.loads((shared / "vectors" / "expected.json").read_text())["niamey_corp"]
    return pl.read_csv(shared / "vectors" / "precip_niamey_2016.csv"), expected


def chances_of(
    predicted: list[float | None],
    outcomes: list[str | None],
    quarters: list[int] | None = None,
    amounts: list[float | None] | None = None,
) -> pl.DataFrame:
    size = len(predicted)
    quarters = [n % 4 for n in range(size)] if quarters is None else quarters
    return pl.DataFrame(
        {
            "source": ["rep"] * size,
            "week_of_period": [3] * size,
            "opportunity_id": [f"D{n:05d}" for n in range(size)],
            "period_start_on": [date(2020 + q // 4, 1 + 3 * (q % 4), 1) for q in quarters],
            "predicted_rate": predicted,
            "outcome": outcomes,
            "amount": [100.0] * size if amounts is None else amounts,
        },
        schema_overrides={"predicted_rate": pl.Float64, "outcome": pl.String, "week_of_period": pl.Int64},
    ).with_columns(pl.col("amount").cast(MONEY))


def simulated(rng: np.random.Generator, *, deals: int, quarters: int, shock: float, tilt: float = 0.0) -> pl.DataFrame:
    """Deals with true chances x + tilt; a probit shock shared by each quarter."""
    stated = rng.choice([0.1, 0.3, 0.5, 0.7, 0.9], deals)
    true = np.clip(stated + tilt, 0.01, 0.99)
    quarter = rng.integers(0, quarters, deals)
    z = rng.standard_normal(quarters)[quarter]
    won = rng.random(deals) < stats.norm.cdf(stats.norm.ppf(true) * math.sqrt(1 + shock**2) + shock * z)
    return chances_of(stated.tolist(), np.where(won, "won", "lost").tolist(), quarter.tolist())


# By pencil


def test_corp_by_pencil() -> None:
    """Twelve deals with ties. Pooled steps: 0 0 | ⅓ ⅓ ⅓ | ½ ½ | ¾ ¾ ¾ ¾ | 1."""
    found = calibration.corp(HAND_P, HAND_Y)
    third, half, most = Fraction(1, 3), Fraction(1, 2), Fraction(3, 4)
    steps = [0, 0, third, third, third, half, half, most, most, most, most, 1]
    assert found.recalibrated.tolist() == pytest.approx([float(step) for step in steps])
    # Misses after pooling: ⅔ + ½ + ¾ = 23/12 in all, over 12 deals.
    best = Fraction(23, 12) / 12
    assert found.brier == pytest.approx(2.39 / 12)
    assert found.uncertainty == pytest.approx(0.25)
    assert found.miscalibration == pytest.approx(2.39 / 12 - float(best))
    assert found.discrimination == pytest.approx(0.25 - float(best))


def test_gap_by_pencil() -> None:
    # Two quarters of two deals at ½: 2 of 2 won, 1 of 2 won. Gap = ½ − ¾ = −¼; around it −½ and +½ over 4 deals:
    # se = √(2·(¼+¼))/4 = ¼, t with one degree of freedom.
    gap, lower, upper, p = calibration.clustered_gap([0.5] * 4, [1, 1, 1, 0], [1, 1, 2, 2], level=0.8)
    half = stats.t.ppf(0.9, 1) / 4
    assert (gap, lower, upper) == pytest.approx((-0.25, -0.25 - half, -0.25 + half))
    assert p == pytest.approx(0.5)


# By the literature


@pytest.mark.parametrize("name", ["EMOS", "Logistic", "ENS", "EPC"])
def test_corp_matches_reliabilitydiag(name: str, niamey: tuple[pl.DataFrame, dict[str, dict[str, float]]]) -> None:
    """R: ``summary(reliabilitydiag(precip_Niamey_2016[c("Logistic", "EMOS", "ENS", "EPC")], y = obs))``."""
    data, expected = niamey
    found = calibration.corp(data[name], data["obs"])
    assert found.miscalibration == pytest.approx(expected[name]["MCB"], abs=1e-9)
    assert found.discrimination == pytest.approx(expected[name]["DSC"], abs=1e-9)
    assert found.brier == pytest.approx(expected[name]["S"], abs=1e-9)
    assert found.uncertainty == pytest.approx(expected["UNC"], abs=1e-9)


def test_the_hand_vector_matches_reliabilitydiag() -> None:
    found = calibration.corp(HAND_P, HAND_Y)
    parts = (found.brier, found.miscalibration, found.discrimination, found.uncertainty)
    assert parts == pytest.approx((0.1991666667, 0.0394444444, 0.0902777778, 0.25), abs=1e-9)


@pytest.mark.parametrize("name", ["EMOS", "Logistic", "EPC"])
def test_cox_and_spiegelhalter_match_rms(name: str, niamey: tuple[pl.DataFrame, dict[str, dict[str, float]]]) -> None:
    """R: ``glm(y ~ offset(lp), binomial)``, ``glm(y ~ lp, binomial)``, ``rms::val.prob(p, y)``."""
    data, expected = niamey
    line, figures = calibration.cox(data[name], data["obs"]), expected[f"cox_{name}"]
    assert line.in_the_large == pytest.approx(figures["citl"], abs=1e-6)
    assert line.slope == pytest.approx(figures["slope"], abs=1e-6)
    assert line.lr == pytest.approx(figures["LR01"], abs=1e-6)
    z = calibration.spiegelhalter(data[name], data["obs"])
    assert z == pytest.approx(figures["spiegelhalter_z"], abs=1e-6)
    if name == "EMOS":
        assert line.intercept == pytest.approx(figures["intercept"], abs=1e-6)
        assert [line.intercept_se, line.slope_se] == pytest.approx(figures["se"], abs=1e-6)
        assert line.in_the_large_se == pytest.approx(figures["citl_se"], abs=1e-6)
        assert line.lr_p_value == pytest.approx(figures["LR_p"], abs=1e-6)
    # Certain forecasts add no variance: with them ENS would read 9.16.
    ens = calibration.spiegelhalter(data["ENS"], data["obs"])
    assert ens == pytest.approx(5.477447, abs=1e-6)


# By another road


def slow_pool(x: list[float], y: list[int], w: list[float]) -> dict[float, float]:
    """Isotonic regression by its min–max formula: max over lower sets of min over upper sets of the mean."""
    values = sorted(set(x))

    def mean(low: float, high: float) -> float:
        inside = [n for n, value in enumerate(x) if low <= value <= high]
        return sum(w[n] * y[n] for n in inside) / sum(w[n] for n in inside)

    return {v: max(min(mean(a, b) for b in values if b >= v) for a in values if a <= v) for v in values}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1), st.integers(1, 5)), min_size=1, max_size=12))
def test_corp_is_the_min_max_formula(rows: list[tuple[int, int, int]]) -> None:
    x, y, w = [r[0] / 10 for r in rows], [r[1] for r in rows], [float(r[2]) for r in rows]
    found = calibration.corp(x, y, w)
    expected = slow_pool(x, y, w)
    assert found.recalibrated.tolist() == pytest.approx([expected[value] for value in x])
    assert found.brier == pytest.approx(found.miscalibration - found.discrimination + found.uncertainty)
    assert found.miscalibration >= -1e-12
    assert found.discrimination >= -1e-12
    # Whole weights are copies of the deal.
    copies = calibration.corp(np.repeat(x, [r[2] for r in rows]), np.repeat(y, [r[2] for r in rows]))
    assert found.miscalibration == pytest.approx(copies.miscalibration)


def test_cox_cluster_error_is_statsmodels_logit_sandwich() -> None:
    rng = np.random.default_rng(4)
    x, quarter = rng.uniform(0.05, 0.95, 200), rng.integers(0, 8, 200)
    y = (rng.random(200) < x).astype(float)
    line = calibration.cox(x, y, quarter)
    logit = sm.Logit(y, sm.add_constant(special.logit(x)))
    keywords = {"groups": quarter, "use_correction": False}
    robust = logit.fit(disp=0, tol=1e-12, cov_type="cluster", cov_kwds=keywords)
    assert line.slope_cluster_se == pytest.approx(robust.bse[1] * math.sqrt(8 / 7), rel=1e-6)


def test_separation_is_the_share_of_pairs_told_apart() -> None:
    rng = np.random.default_rng(6)
    won = rng.random(80) < 0.5
    score = rng.normal(0, 1, 80).round(1) + won
    ahead = score[won][:, None] - score[~won][None, :]
    pairs = float(((ahead > 0) + 0.5 * (ahead == 0)).mean())
    found = leaks.separation(pl.Series(score), won)
    assert found is not None
    assert found.rate >= pairs - 1e-12
    if found.how == "order":
        assert found.rate == pytest.approx(pairs)


# By axiom


def test_parts_add_up_and_neither_order_nor_currency_matters() -> None:
    rng = np.random.default_rng(2)
    frame = simulated(rng, deals=300, quarters=6, shock=0.2).with_columns(
        amount=pl.Series(rng.lognormal(9, 1, 300)).round(2).cast(MONEY)
    )
    table = calibration.probability_calibration(frame, DEFAULT_POLICY, seed=1, draws=60)
    error = pl.col("brier") - (pl.col("miscalibration") - pl.col("discrimination") + pl.col("uncertainty"))
    assert table.select(error.abs().max()).item() < 1e-12
    yen = frame.with_columns((pl.col("amount") * 100).cast(MONEY)).sample(fraction=1, shuffle=True, seed=1)
    pl.testing.assert_frame_equal(
        table, calibration.probability_calibration(yen, DEFAULT_POLICY, seed=1, draws=60), abs_tol=1e-12
    )
    assert table["weighting"].unique().sort().to_list() == ["count", "money"]
    by_count = table.filter(pl.col("weighting") == "count")
    assert by_count["deal_count"].sum() == 300
    assert by_count["predicted_rate"].to_list() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_turning_won_and_lost_round_turns_the_gap() -> None:
    x, y, q = [0.2, 0.7, 0.6, 0.4], [0, 1, 0, 1], [1, 1, 2, 2]
    one = calibration.clustered_gap(x, y, q, level=0.8)
    two = calibration.clustered_gap([1 - p for p in x], [1 - w for w in y], q, level=0.8)
    assert two[0] == pytest.approx(-one[0])
    assert calibration.corp(x, y).brier == pytest.approx(calibration.corp([1 - p for p in x], [1 - w for w in y]).brier)


def test_a_field_worse_the_surer_it_is_reads_over_confident() -> None:
    rng = np.random.default_rng(3)
    true = rng.uniform(0.2, 0.8, 4000)
    stated = special.expit(2 * special.logit(true))
    line = calibration.cox(stated, (rng.random(4000) < true).astype(float))
    assert line.slope == pytest.approx(0.5, abs=0.06)


# By simulation


def test_the_gap_test_holds_its_size_under_a_shared_shock_and_finds_a_planted_tilt() -> None:
    """250 companies, 8 quarters of 60 deals, shock .3: 80 % intervals hold 80 %; the independent test would not."""
    rng = np.random.default_rng(10)
    inside, naive, found = [], [], []
    for _ in range(250):
        for tilt in (0.0, -0.15):
            frame = simulated(rng, deals=480, quarters=8, shock=0.3, tilt=tilt)
            x, y = frame["predicted_rate"].to_numpy(), (frame["outcome"] == "won").to_numpy().astype(float)
            quarter = frame["period_start_on"].to_physical().to_numpy()
            gap, lower, upper, _ = calibration.clustered_gap(x, y, quarter, level=0.8)
            assert lower is not None
            assert upper is not None
            if tilt == 0.0:
                inside.append(lower <= 0 <= upper)
                naive.append(abs(gap) <= 1.2816 * math.sqrt((x * (1 - x)).sum()) / x.size)
            else:
                found.append(lower > 0)
    assert abs(np.mean(inside) - 0.8) < 3 * math.sqrt(0.16 / 250)
    assert np.mean(naive) < 0.7
    assert np.mean(found) > 0.9


def test_the_band_holds_true_probabilities() -> None:
    """Share of stage points inside their own 90 % band, 60 companies × 5 stages, shock .3 known: at least 85 %."""
    rng = np.random.default_rng(12)
    inside, p_values = [], []
    for _ in range(60):
        frame = simulated(rng, deals=300, quarters=6, shock=0.3)
        table = calibration.probability_calibration(
            frame.drop("amount").with_columns(amount=pl.lit(None, MONEY)),
            DEFAULT_POLICY,
            seed=int(rng.integers(2**31)),
            factor_sd=0.3,
            draws=80,
        )
        curve = calibration.corp(frame["predicted_rate"], frame["outcome"] == "won").recalibrated
        _, first = np.unique(frame["predicted_rate"].to_numpy(), return_index=True)
        inside.append(
            (table["band_lower"].to_numpy() <= curve[first]) & (curve[first] <= table["band_upper"].to_numpy())
        )
        p_values.append(table["miscalibration_p_value"][0])
    assert 0.85 < np.mean(inside) < 0.95
    assert np.mean(np.array(p_values) <= 0.1) < 0.1 + 3 * math.sqrt(0.09 / 60)


def test_a_shock_leaves_true_probabilities_true_on_average() -> None:
    curves, _ = calibration.consistency_draws([0.2] * 20, np.arange(20), factor_sd=1.0, seed=3, draws=2000)
    assert curves.mean() == pytest.approx(0.2, abs=3 * math.sqrt(0.16 / 40_000))
    shared_luck, _ = calibration.consistency_draws([0.2] * 20, np.zeros(20), factor_sd=1.0, seed=3, draws=2000)
    assert shared_luck.std() > 2 * curves.std()


def test_calibrated_miscalibration_is_never_zero() -> None:
    """Mean MCB of true probabilities: .032 at 60 deals, .012 at 300 (uniform chances)."""
    rng = np.random.default_rng(13)
    for deals, expected in ((60, 0.032), (300, 0.012)):
        scores = []
        for _ in range(300):
            x = rng.uniform(0, 1, deals)
            scores.append(calibration.corp(x, rng.random(deals) < x).miscalibration)
        assert np.mean(scores) == pytest.approx(expected, abs=0.004)


# At the edges


def measured(frame: pl.DataFrame) -> dict[str, object]:
    table = calibration.probability_calibration(frame, DEFAULT_POLICY, seed=1, draws=20)
    return table.filter(pl.col("weighting") == "count").row(0, named=True)


def test_edges() -> None:
    assert calibration.probability_calibration(chances_of([], []), DEFAULT_POLICY, seed=1).is_empty()
    one = measured(chances_of([0.4], ["won"]))
    assert (one["status"], one["direction"], one["gap_lower"]) == ("one_outcome", "not_enough_evidence", None)
    nulls = measured(chances_of([0.4, None, 0.6, 0.5], ["won", "won", None, "lost"]))
    assert (nulls["total_count"], nulls["unrated_count"]) == (2, 1)
    certain = measured(chances_of([0.0, 1.0, 1.0, 0.5], ["won", "won", "lost", "lost"]))
    assert (certain["certain_count"], certain["certain_wrong_count"], certain["clipped_count"]) == (3, 2, 3)
    assert calibration.spiegelhalter([0.5, 0.5], [1, 0]) is None
    assert calibration.cox([0.2, 0.3, 0.6, 0.7], [0, 0, 1, 1]).slope is None, "a perfect parting has no finite slope"
    assert calibration.cox([0.4] * 4, [0, 1, 1, 0]).slope is None
    with pytest.raises(ValueError, match="at least one deal"):
        calibration.corp([], [])


def test_open_deals_are_not_won_and_pushed_ones_count() -> None:
    frame = chances_of([0.5] * 4, ["won", "open", "no_decision", "lost"])
    row = measured(frame)
    assert (row["deal_count"], row["won_count"], row["observed_rate"]) == (4, 1, 0.25)


def test_words_need_sixty_deals_over_three_quarters() -> None:
    rng = np.random.default_rng(1)
    high = simulated(rng, deals=400, quarters=6, shock=0.0, tilt=-0.2)
    assert measured(high)["direction"] == "runs_high"
    assert measured(high.with_columns(period_start_on=pl.lit(date(2024, 1, 1))))["direction"] == "not_enough_evidence"
    assert measured(high.head(59))["status"] == "not_enough_history"


def test_continuous_chances_are_binned_by_pooled_steps() -> None:
    rng = np.random.default_rng(8)
    x = rng.uniform(0.05, 0.95, 400)
    frame = chances_of(x.tolist(), np.where(rng.random(400) < x, "won", "lost").tolist())
    table = calibration.probability_calibration(frame, DEFAULT_POLICY, seed=1, draws=30)
    curve = table.filter(pl.col("weighting") == "count")
    assert 5 < curve.height < 40
    assert curve["observed_rate"].is_sorted()


# Leaks


def test_a_leak_is_refused_by_name() -> None:
    rng = np.random.default_rng(9)
    frame = simulated(rng, deals=200, quarters=4, shock=0.0)
    won = (frame["outcome"] == "won").to_numpy()
    score = np.where(won, rng.uniform(0.45, 0.9, 200), rng.uniform(0.0, 0.45, 200))
    leaking = frame.with_columns(source=pl.lit("model"), predicted_rate=pl.Series(score))
    table = calibration.probability_calibration(pl.concat([frame, leaking]), DEFAULT_POLICY, seed=1, draws=20)
    refused = table.filter(pl.col("source") == "model")
    assert refused["status"].to_list() == ["refused_as_leak"]
    assert refused["brier"].to_list() == [None]
    assert "refused_as_leak" not in table.filter(pl.col("source") == "rep")["status"].to_list()


def test_leaks_of_every_kind() -> None:
    rng = np.random.default_rng(14)
    won = rng.random(400) < 0.4
    frame = pl.DataFrame(
        {
            "is_won": won,
            "honest": rng.normal(0, 1, 400) + 0.8 * won,
            "score": rng.normal(0, 1, 400) + 6 * won,
            "middle": np.where(won, rng.uniform(4, 6, 400), rng.choice([1.0, 9.0], 400)),
            "reason": np.where(won, None, "Price"),
            "verdict": np.where(won, "happy", "sad"),
            "serial": [f"id-{n}" for n in range(400)],
            "constant": 1,
        }
    )
    fields = [name for name in frame.columns if name != "is_won"]
    table = leaks.leaks(frame, fields)
    status = dict(table.select("field", "status").iter_rows())
    assert status == {
        "score": "refused_as_leak",
        "middle": "refused_as_leak",
        "reason": "refused_as_leak",
        "verdict": "refused_as_leak",
        "honest": "usable",
        "serial": "constant",
        "constant": "constant",
    }
    how = dict(table.select("field", "how").iter_rows())
    assert (how["middle"], how["reason"], how["verdict"]) == ("level", "emptiness", "word")
    few = leaks.leaks(frame.head(30), ["score"])
    assert few["status"].to_list() == ["not_enough_history"]
    assert leaks.leaks(frame, []).is_empty()


def test_the_one_impossible_column_of_regional_sales_is_named(shared: Path) -> None:
    data = pl.read_csv(shared / "data" / "regional_sales" / "opportunities.csv", infer_schema_length=None)
    resolved = data.filter(pl.col("Status") != "Open").with_columns(is_won=pl.col("Status") == "Won")
    table = leaks.leaks(resolved, [name for name in resolved.columns if name not in {"is_won", "Status"}])
    assert table.filter(pl.col("status") == "refused_as_leak")["field"].to_list() == ["Probability (raw)"]
