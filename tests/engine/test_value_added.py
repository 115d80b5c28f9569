"""Value added, proven six ways. Vector ``fva_10q.csv`` is our own ten quarters; its figures come from R 4.2
(``t.test(d, conf.level=.9)``, ``forecast::dm.test(h=1, power=1)``, the flip by ``expand.grid`` over ten signs)."""

from __future__ import annotations

import itertools
import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipelines.contracts import MONEY
from pipelines.engine import overrides, value_added
from pipelines.policy import DEFAULT_POLICY

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
STEPS = {"naive": "naive_last_year", "rep": "rep_rollup", "mgr": "manager", "cro": "executive"}


def quarter(number: int) -> date:
    return date(2022 + number // 4, 1 + 3 * (number % 4), 1)


def calls_of(rows: list[tuple[str, str, int, float | None, float | None, float | None]]) -> pl.DataFrame:
    """Rows of (scope, step, quarter number, forecast, actual, target)."""
    schema = ["scope", "step", "quarter", "forecast_amount", "actual_amount", "target_amount"]
    frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
    return frame.with_columns(
        pl.col("^.*_amount$").cast(pl.Float64).cast(MONEY),
        period_start_on=pl.col("quarter").map_elements(quarter, return_dtype=pl.Date),
        week_of_period=pl.lit(3, pl.Int64),
    ).drop("quarter")


@pytest.fixture(scope="module")
def ten_quarters() -> pl.DataFrame:
    vector = pl.read_csv(VECTORS / "fva_10q.csv")
    rows = [
        ("company", step, row["q"] - 1, row[name], row["A"], 100.0)
        for row in vector.iter_rows(named=True)
        for name, step in STEPS.items()
    ]
    return calls_of(rows)


def row_of(table: pl.DataFrame, step: str, reference: str, scope: str = "company") -> dict[str, object]:
    return table.row(
        by_predicate=(pl.col("step") == step) & (pl.col("reference_step") == reference) & (pl.col("scope") == scope),
        named=True,
    )


# By pencil


def test_by_pencil_three_quarters() -> None:
    # |error| before 10, 20, 30; after 5, 20, 45: gains 5, 0, −15, mean −10/3; targets 100: −1/30.
    rows = []
    for number, (before, after) in enumerate([(10, 5), (20, 20), (30, 45)]):
        rows.append(("company", "rep_rollup", number, 100.0 + before, 100.0, 100.0))
        rows.append(("company", "manager", number, 100.0 + after, 100.0, 100.0))
    found = row_of(value_added.value_added(calls_of(rows), DEFAULT_POLICY), "manager", "rep_rollup")
    assert found["fva_rate"] == pytest.approx(-1 / 30)
    assert float(str(found["fva_amount"])) == -3.33
    assert found["relative_mae_rate"] == pytest.approx(70 / 60)
    # |5 + 0 − 15| = 10: of the 8 sign patterns, |±5 ± 0 ± 15| is 20 or 10: every one reaches 10.
    assert found["p_value"] == 1.0
    assert found["direction"] == "not_enough_evidence"
    assert found["status"] == "not_enough_history"


def test_murphy_by_pencil() -> None:
    # F 2, A 4, θ 3: ½·|4 − 3| = ½; θ 5 lies outside; θ 4 is not below the larger.
    assert value_added.murphy_curve([2.0], [4.0], [3.0, 4.0, 5.0]).tolist() == [0.5, 0.0, 0.0]


# By the literature


def test_ten_quarters_match_r(ten_quarters: pl.DataFrame) -> None:
    table = value_added.value_added(ten_quarters, DEFAULT_POLICY)
    manager = row_of(table, "manager", "rep_rollup")
    assert manager["fva_rate"] == pytest.approx(0.075, abs=1e-12)
    assert [manager["lower"], manager["upper"]] == pytest.approx([0.05259065778, 0.09740934222], abs=1e-9)
    assert manager["t_statistic"] == pytest.approx(6.135096185, abs=1e-8)
    assert manager["t_p_value"] == pytest.approx(0.0001717854721, abs=1e-12)
    assert manager["p_value"] == 0.001953125
    assert manager["relative_mae_rate"] == pytest.approx(0.5341614907, abs=1e-9)
    assert manager["adjustment_slope"] == pytest.approx(0.5576, abs=5e-5)
    assert manager["direction"] == "adds_value"
    executive = row_of(table, "executive", "manager")
    assert executive["t_statistic"] == pytest.approx(-10.8544084, abs=1e-6)
    assert executive["direction"] == "hurts"
    reps = row_of(table, "rep_rollup", "naive_last_year")
    assert (reps["period_count"], reps["p_value"]) == (6, 0.75)
    assert reps["t_p_value"] == pytest.approx(0.7173710434, abs=1e-9)
    assert reps["direction"] == "no_detectable_effect"
    assert row_of(table, "executive", "naive_last_year")["p_value"] == 0.09375


def test_average_relative_mae_matches_its_paper() -> None:
    found = value_added.average_relative_mae([12.5, 8.2, 20.1, 5.5], [10.1, 9.0, 15.3, 5.1], [10, 10, 8, 6])
    assert found == pytest.approx(0.8932817742, abs=1e-9)


def test_diebold_mariano_is_the_one_of_scores() -> None:
    """``scores.stats.statistical_tests.diebold_mariano``'s own unit test: d = 1, 2, 3, 4, h = 2 → √5."""
    found = value_added.diebold_mariano([1, 2, 3, 4], horizon=2)
    assert found == pytest.approx((np.sqrt(5), 0.111367), abs=1e-6)


def test_diebold_mariano_matches_r_on_professional_forecasters(shared: Path) -> None:
    """R: ``forecast::dm.test(a - spf, a - michigan, h = h, power = p)`` on ``murphydiagram::inflation_mean``."""
    data = pl.read_csv(shared / "vectors" / "spf_inflation_mean.csv")
    expected = json.loads((shared / "vectors" / "expected.json").read_text())["spf_mz"]
    ours, theirs = ((data["rlz"] - data[name]).to_numpy() for name in ("spf", "michigan"))
    for horizon, power in itertools.product((1, 4), (1, 2)):
        found = value_added.diebold_mariano(np.abs(ours) ** power - np.abs(theirs) ** power, horizon)
        assert found == pytest.approx(expected["dm_spf_vs_mich"][f"h{horizon}_p{power}"], abs=1e-6)
    curve = value_added.murphy_curve(data["spf"], data["rlz"], expected["murphy_theta"])
    assert curve.tolist() == pytest.approx(expected["murphy_spf"], abs=1e-9)


# By another road


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=11))
def test_sign_flip_is_the_slow_enumeration(gains: list[int]) -> None:
    observed = abs(sum(gains))
    sums = [
        abs(sum(s * g for s, g in zip(signs, gains, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(gains))
    ]
    assert value_added.sign_flip_p_value(gains) == pytest.approx(np.mean([total >= observed for total in sums]))


def test_sign_flip_beyond_enumeration_agrees_with_it_at_the_seam() -> None:
    gains = np.random.default_rng(5).normal(0.3, 1, 40)
    exact = value_added.sign_flip_p_value(gains)
    normal = value_added.sign_flip_p_value(np.append(gains, 0.0))
    assert exact is not None
    assert normal == pytest.approx(exact, abs=0.01)


def test_paired_difference_is_scipys_t_test_and_dm_at_one_step() -> None:
    gains = np.random.default_rng(1).normal(0.2, 1, 9)
    found = value_added.paired_difference(gains, 0.9)
    t = stats.ttest_1samp(gains, 0)
    interval = t.confidence_interval(0.9)
    assert (found.t_statistic, found.t_p_value) == pytest.approx((t.statistic, t.pvalue))
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    assert value_added.diebold_mariano(gains, 1) == pytest.approx((t.statistic, t.pvalue))


def test_adjustment_slope_is_scipys() -> None:
    rng = np.random.default_rng(2)
    before, after, actual = rng.normal(100, 10, (3, 12))
    expected = stats.linregress(after - before, actual - after).slope
    assert value_added.adjustment_slope(before, after, actual) == pytest.approx(expected)


# By axiom


def test_swapping_steps_flips_the_sign(ten_quarters: pl.DataFrame) -> None:
    swapped = ten_quarters.with_columns(step=pl.col("step").replace({"manager": "rep_rollup", "rep_rollup": "manager"}))
    one = row_of(value_added.value_added(ten_quarters, DEFAULT_POLICY), "manager", "rep_rollup")
    two = row_of(value_added.value_added(swapped, DEFAULT_POLICY), "manager", "rep_rollup")
    assert two["fva_rate"] == pytest.approx(-float(str(one["fva_rate"])))
    assert two["p_value"] == one["p_value"]
    assert two["direction"] == "hurts"


def test_currency_scales_out_and_row_order_is_irrelevant(ten_quarters: pl.DataFrame) -> None:
    plain = value_added.value_added(ten_quarters, DEFAULT_POLICY)
    yen = ten_quarters.with_columns((pl.col("^.*_amount$") * 150).cast(MONEY)).sample(fraction=1, shuffle=True, seed=3)
    converted = value_added.value_added(yen, DEFAULT_POLICY)
    unscaled = pl.exclude("mae_amount", "reference_mae_amount", "fva_amount")
    pl.testing.assert_frame_equal(plain.select(unscaled), converted.select(unscaled))


def test_a_step_that_copies_adds_nothing_and_a_perfect_one_adds_all(ten_quarters: pl.DataFrame) -> None:
    reps = ten_quarters.filter(pl.col("step") == "rep_rollup")
    copied = pl.concat([reps, reps.with_columns(step=pl.lit("manager"))])
    perfect = pl.concat(
        [reps, reps.with_columns(pl.col("actual_amount").alias("forecast_amount"), step=pl.lit("manager"))]
    )
    nothing = row_of(value_added.value_added(copied, DEFAULT_POLICY), "manager", "rep_rollup")
    assert (nothing["fva_rate"], nothing["p_value"], nothing["direction"]) == (0.0, 1.0, "no_detectable_effect")
    everything = row_of(value_added.value_added(perfect, DEFAULT_POLICY), "manager", "rep_rollup")
    assert everything["fva_amount"] == everything["reference_mae_amount"]


def test_a_wider_level_is_wider() -> None:
    gains = [1.0, 2.0, 0.5, -1.0]
    narrow, wide = (value_added.paired_difference(gains, level) for level in (0.5, 0.9))
    assert narrow.lower is not None
    assert wide.lower is not None
    assert wide.lower < narrow.lower


def test_gains_add_up_along_the_ladder(ten_quarters: pl.DataFrame) -> None:
    table = value_added.value_added(ten_quarters, DEFAULT_POLICY)
    parts = [row_of(table, "manager", "rep_rollup"), row_of(table, "executive", "manager")]
    whole = row_of(table, "executive", "rep_rollup")
    assert sum(float(str(part["fva_rate"])) for part in parts) == pytest.approx(float(str(whole["fva_rate"])))


# By simulation


def test_a_useless_step_is_rarely_given_credit_and_a_useful_one_often_is() -> None:
    """Nominal 10 % two-sided: 400 companies, useless within binomial error of it; halved errors found nearly always."""
    rng = np.random.default_rng(11)
    words = {"useless": [], "useful": []}
    for _ in range(400):
        before, twin = rng.normal(0, 20, (2, 12))
        for name, after in (("useless", twin), ("useful", before / 2)):
            words[name].append(value_added.verdict(value_added.paired_difference(np.abs(before) - np.abs(after))))
    false_share = np.mean([word != "no_detectable_effect" for word in words["useless"]])
    assert abs(false_share - 0.10) < 3 * np.sqrt(0.1 * 0.9 / 400)
    assert np.mean([word == "adds_value" for word in words["useful"]]) > 0.95


# At the edges


def test_edges(ten_quarters: pl.DataFrame) -> None:
    empty = value_added.value_added(ten_quarters.clear(), DEFAULT_POLICY)
    assert empty.is_empty()
    assert set(empty.columns) == set(value_added.ValueAdded.column_names())
    assert value_added.sign_flip_p_value([]) is None
    assert value_added.paired_difference([]).mean is None
    one = value_added.paired_difference([3.0])
    assert (one.mean, one.lower, one.sign_flip_p_value) == (3.0, None, 1.0)
    equal = value_added.paired_difference([2.0] * 6)
    assert (equal.lower, equal.upper, equal.t_statistic, equal.sign_flip_p_value) == (2.0, 2.0, None, 2 / 2**6)
    assert value_added.diebold_mariano([1.0, 1.0, 1.0]) is None
    assert value_added.average_relative_mae([0.0], [1.0], [4]) is None
    assert value_added.adjustment_slope([1, 2, 3], [2, 3, 4], [1, 2, 3]) is None


def test_missing_calls_are_not_zero(ten_quarters: pl.DataFrame) -> None:
    silent = ten_quarters.with_columns(
        forecast_amount=pl.when((pl.col("step") == "manager") & (pl.col("period_start_on") >= quarter(4)))
        .then(None)
        .otherwise(pl.col("forecast_amount"))
    )
    assert row_of(value_added.value_added(silent, DEFAULT_POLICY), "manager", "rep_rollup")["period_count"] == 4


def test_without_targets_the_mean_actual_is_the_scale_and_nothing_landed_is_no_scale(
    ten_quarters: pl.DataFrame,
) -> None:
    untargeted = ten_quarters.with_columns(target_amount=pl.lit(None, MONEY))
    found = row_of(value_added.value_added(untargeted, DEFAULT_POLICY), "manager", "rep_rollup")
    assert found["scale"] == "mean_actual"
    assert found["fva_rate"] == pytest.approx(7.5 / 119.9)
    barren = untargeted.with_columns(actual_amount=pl.lit(0).cast(MONEY))
    none = row_of(value_added.value_added(barren, DEFAULT_POLICY), "manager", "rep_rollup")
    assert (none["fva_rate"], none["scale"], none["direction"]) == (None, None, "not_enough_evidence")
    assert none["fva_amount"] is not None


def test_an_unknown_step_is_refused(ten_quarters: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="'oracle' is not on the ladder"):
        value_added.value_added(ten_quarters.with_columns(step=pl.lit("oracle")), DEFAULT_POLICY)


# Naive, teams, half and half, overrides


def test_naive_forecasts_by_pencil() -> None:
    # Two years of 100, 110, 120, 130 and the second 10 % up; the ninth quarter is open.
    actuals = [100, 110, 120, 130, 110, 121, 132, 143, None]
    frame = pl.DataFrame(
        {"scope": "company", "period_start_on": [quarter(n) for n in range(9)], "actual_amount": actuals}
    ).with_columns(pl.col("actual_amount").cast(MONEY))
    table = value_added.naive_forecasts(frame, periods_per_year=4)
    year = table.filter(pl.col("step") == "naive_last_year")["forecast_amount"].cast(pl.Float64).to_list()
    # Quarter 5: no growth known → 100; 6: one pair only → 110; 7: (121+110)/(110+100) = 1.1 → 132; 9: 110 × 1.1.
    assert year == [100.0, 110.0, 132.0, 143.0, 121.0]
    last = table.filter(pl.col("step") == "naive_last_period")["forecast_amount"].cast(pl.Float64).to_list()
    assert last == [100, 110, 120, 130, 110, 121, 132, 143]


def test_teams_give_a_panel_row_and_the_company_their_ratio(ten_quarters: pl.DataFrame) -> None:
    # Two teams like the vector, in a company twice their size: the panel averages teams only.
    teams = [
        ten_quarters.with_columns((pl.col("^.*_amount$") / 2).cast(MONEY), scope=pl.lit(name))
        for name in ("east", "west")
    ]
    table = value_added.value_added(pl.concat([ten_quarters, *teams]), DEFAULT_POLICY)
    panel = row_of(table, "manager", "rep_rollup", "all_teams")
    assert panel["fva_rate"] == pytest.approx(0.075)
    assert float(str(panel["fva_amount"])) == 3.75
    company = row_of(table, "manager", "rep_rollup")
    assert company["average_relative_mae_rate"] == pytest.approx(0.5341614907)
    assert (company["team_count"], row_of(table, "manager", "rep_rollup", "east")["team_count"]) == (2, None)


def test_half_and_half_is_midway_where_both_speak(ten_quarters: pl.DataFrame) -> None:
    model = ten_quarters.filter(pl.col("step") == "naive_last_year").with_columns(step=pl.lit("model"))
    challenge = value_added.half_and_half(pl.concat([ten_quarters, model]))
    assert challenge.height == 6
    fifth = challenge.filter(pl.col("period_start_on") == quarter(4))["forecast_amount"].cast(pl.Float64)
    assert fifth.to_list() == [(121 + 100) / 2]


def test_override_ledger_and_summary(ten_quarters: pl.DataFrame) -> None:
    ledger = overrides.override_ledger(ten_quarters)
    first = ledger.row(
        by_predicate=(pl.col("step") == "manager") & (pl.col("period_start_on") == quarter(0)), named=True
    )
    # Reps 118, manager 110, actual 100: lowered by 8 of 118 (6.8 %), 8 nearer.
    assert [float(first[name]) for name in ("adjustment_amount", "improvement_amount")] == [-8.0, 8.0]
    assert (first["override_direction"], first["size_band"]) == ("lowered", "middle")
    summary = overrides.override_summary(ledger)
    everything = summary.filter(pl.col("override_direction") == "all", pl.col("size_band") == "all")
    assert everything["override_count"].to_list() == [10, 10]
    assert dict(everything.select("step", "direction").iter_rows()) == {"executive": "hurts", "manager": "adds_value"}
    doubled = pl.concat([ledger, ledger.with_columns(scope=pl.lit("east"))])
    assert overrides.override_summary(doubled).equals(summary), "company and its teams would count an override twice"
    unchanged = ledger.with_columns(override_direction=pl.lit("unchanged"))
    assert overrides.override_summary(unchanged).is_empty()
