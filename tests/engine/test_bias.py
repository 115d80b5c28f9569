"""Bias of forecasters and teams: published frames, odd cases, axioms, planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from pipelines.contracts import ForecasterBias, TeamBias
from pipelines.engine.bias import anybody_leans, classify, forecaster_bias, nothing_landed_posterior, team_bias
from pipelines.engine.pooling import Evidence, pool
from pipelines.engine.team import heterogeneity_p_value
from pipelines.policy import DEFAULT_POLICY, Policy
from tests.engine.records_made import Call, made_up, members_of, pairs_of, steady

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "bias.json").read_text(encoding="utf-8"))["rep_quarter"]
NUMBERS = ["landing_rate", "estimate", "lower", "upper", "own_weight_rate", "probability_high_rate", "wrong_sign_rate"]
NO_MEMBERS = members_of(pairs_of({}), {})


def reference() -> pl.DataFrame:
    """The twelve forecasters of the reference vector over eight quarters."""
    return pairs_of({rep: list(zip(VECTOR["call"][rep], VECTOR["actual"][rep], strict=True)) for rep in VECTOR["call"]})


def one(frame: pl.DataFrame, forecaster: str) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("forecaster_id") == forecaster, named=True)


# The published frame


def test_published_bias_of_the_reference_forecasters() -> None:
    frame = forecaster_bias(reference(), DEFAULT_POLICY)
    ForecasterBias.validate(frame)
    assert frame.columns == list(ForecasterBias.columns())
    np.testing.assert_allclose(frame["lower"], np.exp(VECTOR["lo80"]), atol=1e-7)
    np.testing.assert_allclose(frame["upper"], np.exp(VECTOR["hi80"]), atol=1e-7)
    np.testing.assert_allclose(1.0 - frame["probability_high_rate"], VECTOR["p_pos"], atol=1e-7)
    np.testing.assert_allclose(frame["landing_rate"], VECTOR["ratio"], atol=1e-8)
    np.testing.assert_allclose(frame["own_variance"], VECTOR["v"], atol=1e-8)
    # lfsr .0005 .0019 .0306 .0421 .0601: running mean .027, the next is above .10.
    words = dict(zip(frame["forecaster_id"], frame["direction"], strict=True))
    assert {rep for rep, word in words.items() if word == "runs_high"} == {"R03", "R04", "R06"}
    assert {rep for rep, word in words.items() if word == "runs_low"} == {"R07", "R11"}
    assert set(frame["status"]) == {"ok"}
    assert set(frame["horizon_bucket"]) == {"lock"}


def test_the_row_order_is_the_grain_and_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = pl.concat([reference(), made_up().with_columns(layer=pl.lit("manager"))])
    shuffled = pairs.sample(fraction=1.0, shuffle=True, seed=4)
    frame = forecaster_bias(pairs, DEFAULT_POLICY)
    assert forecaster_bias(shuffled, DEFAULT_POLICY).equals(frame)
    assert frame.equals(frame.sort("layer", "forecaster_id", "category", "week_of_period"))
    teams = team_bias(pairs, members_of(pairs, {f"R{i:02d}": "m" for i in range(1, 7)}), DEFAULT_POLICY)
    again = team_bias(shuffled, members_of(shuffled, {f"R{i:02d}": "m" for i in range(1, 7)}), DEFAULT_POLICY)
    assert teams.equals(again)


def test_nothing_in_gives_nothing_out_with_the_right_columns() -> None:
    empty = pairs_of({})
    for frame, contract in (
        (forecaster_bias(empty, DEFAULT_POLICY), ForecasterBias),
        (team_bias(empty, NO_MEMBERS, DEFAULT_POLICY), TeamBias),
    ):
        assert frame.is_empty()
        contract.validate(frame)


def test_every_horizon_has_its_bucket_and_only_the_lock_week_has_labels() -> None:
    leaning = {"a": steady(0.6), "b": steady(0.6), "c": steady(0.6)}
    pairs = pl.concat([pairs_of(leaning, week=week) for week in range(13)])
    frame = forecaster_bias(pairs, DEFAULT_POLICY)
    buckets = dict(frame.select("horizon_bucket", "week_of_period").unique().iter_rows())
    assert buckets == {"start": 0, "lock": 3, "middle": 6, "late": 9, "end": 12}
    labels = frame.filter(pl.col("direction") != "not_enough_evidence")
    assert set(labels["horizon_bucket"]) == {"lock"}
    assert len(labels) == 3
    moved = forecaster_bias(pairs, Policy(lock_week=2))
    assert set(moved.filter(pl.col("horizon_bucket") == "lock")["week_of_period"]) == {2}


# Axioms


def test_perfect_calls_have_no_lean() -> None:
    records = {name: [(100.0 + 7 * t, 100.0 + 7 * t) for t in range(8)] for name in "abc"}
    frame = forecaster_bias(pairs_of(records), DEFAULT_POLICY)
    ForecasterBias.validate(frame)
    np.testing.assert_allclose(frame["estimate"], 1.0, atol=1e-6)
    assert set(frame["direction"]) == {"fair"}
    team = team_bias(pairs_of(records), NO_MEMBERS, DEFAULT_POLICY).row(0, named=True)
    assert (team["estimate"], team["lower"], team["upper"]) == (1.0, 1.0, 1.0)
    assert team["heterogeneity_p_value"] == 1.0


def test_everybody_the_same_without_any_noise_is_one_lean() -> None:
    frame = forecaster_bias(pairs_of({name: [(100.0, 80.0)] * 8 for name in "abcd"}), DEFAULT_POLICY)
    np.testing.assert_allclose(frame["estimate"], 0.8, atol=1e-4)
    assert set(frame["direction"]) == {"runs_high"}


def test_swapping_forecast_and_actual_turns_the_words_around() -> None:
    pairs = reference()
    swapped = pairs.rename({"forecast_amount": "actual_amount", "actual_amount": "forecast_amount"}).select(
        pairs.columns
    )
    there, back = forecaster_bias(pairs, DEFAULT_POLICY), forecaster_bias(swapped, DEFAULT_POLICY)
    np.testing.assert_allclose(there["landing_rate"] * back["landing_rate"], 1.0)
    clear = there["wrong_sign_rate"] < 0.05
    high_then, high_now = (
        there.filter(clear)["probability_high_rate"] > 0.5,
        back.filter(clear)["probability_high_rate"],
    )
    assert ((high_now > 0.5) != high_then).all()
    team, other = (team_bias(one_way, NO_MEMBERS, DEFAULT_POLICY)["landing_rate"][0] for one_way in (pairs, swapped))
    assert team * other == pytest.approx(1.0)


def test_the_currency_scales_out() -> None:
    pairs = reference()
    money = pl.col("forecast_amount", "actual_amount", "error_amount")
    yen = pairs.with_columns(money * 100)
    frame, scaled = forecaster_bias(pairs, DEFAULT_POLICY), forecaster_bias(yen, DEFAULT_POLICY)
    for column in NUMBERS:
        np.testing.assert_allclose(scaled[column], frame[column], rtol=1e-8)
    assert scaled["direction"].equals(frame["direction"])
    teams, wider = team_bias(pairs, NO_MEMBERS, DEFAULT_POLICY), team_bias(yen, NO_MEMBERS, DEFAULT_POLICY)
    for column in ("estimate", "lower", "upper", "between_sd", "heterogeneity_p_value", "shock_sd"):
        np.testing.assert_allclose(wider[column], teams[column], rtol=1e-8)


def test_a_higher_level_is_wider_and_holds_the_lower_one() -> None:
    pairs = reference()
    for measure in (
        lambda policy: forecaster_bias(pairs, policy),
        lambda policy: team_bias(pairs, NO_MEMBERS, policy),
    ):
        narrow, wide = measure(Policy(level=0.5)), measure(Policy(level=0.95))
        assert (wide["lower"] < narrow["lower"]).all()
        assert (wide["upper"] > narrow["upper"]).all()
        np.testing.assert_allclose(wide["estimate"], narrow["estimate"])


def test_the_estimate_lies_between_the_own_record_and_the_peers() -> None:
    records = {f"r{i}": steady(0.95, wobble=0.3) for i in range(6)} | {"odd": steady(0.55, wobble=0.3)}
    frame = forecaster_bias(pairs_of(records), DEFAULT_POLICY)
    odd = one(frame, "odd")
    assert 0.55 < odd["estimate"] < 0.95
    assert 0.0 < odd["own_weight_rate"] < 1.0
    longer = records | {"odd": steady(0.55, wobble=0.3, quarters=16)}
    assert one(forecaster_bias(pairs_of(longer), DEFAULT_POLICY), "odd")["estimate"] < odd["estimate"]


def test_somebody_who_left_stays_in_the_fit() -> None:
    stayed = {f"r{i}": steady(0.95) for i in range(5)}
    with_departed = forecaster_bias(pairs_of(stayed | {"gone": steady(0.5)[:6]}), DEFAULT_POLICY)
    assert "gone" in set(with_departed["forecaster_id"])
    without = forecaster_bias(pairs_of(stayed), DEFAULT_POLICY)
    assert one(with_departed, "r0")["own_weight_rate"] > one(without, "r0")["own_weight_rate"]


# Odd cases


@pytest.mark.parametrize(
    ("quarters", "won_count", "status", "labelled"),
    [
        (1, None, "not_enough_history", False),
        (5, None, "not_enough_history", False),
        (6, None, "ok", True),
        (6, 1, "not_enough_history", False),
        (6, 2, "ok", True),
    ],
)
def test_no_label_under_six_quarters_or_ten_deals(
    quarters: int, won_count: int | None, status: str, labelled: bool
) -> None:
    pairs = pairs_of({name: steady(0.5, quarters=quarters) for name in "abc"}, won_count=won_count)
    frame = forecaster_bias(pairs, DEFAULT_POLICY)
    assert set(frame["status"]) == {status}
    assert set(frame["direction"]) == {"runs_high" if labelled else "not_enough_evidence"}
    assert frame["estimate"].is_null().all() == (quarters < DEFAULT_POLICY.min_periods_value)
    assert (frame["landing_rate"].round(2) <= 0.53).all()


def test_one_quarter_has_no_estimate_beside_peers_who_have_one() -> None:
    frame = forecaster_bias(pairs_of({f"r{i}": steady(0.8) for i in range(4)} | {"x": [(100.0, 90.0)]}), DEFAULT_POLICY)
    x = one(frame, "x")
    assert (x["pair_count"], x["landing_rate"], x["estimate"], x["own_variance"]) == (1, 0.9, None, None)
    assert one(frame, "r0")["estimate"] is not None


def test_a_missing_call_is_dropped_and_a_call_of_zero_is_not() -> None:
    peers = {f"r{i}": steady(0.9) for i in range(5)}
    missing = forecaster_bias(pairs_of(peers | {"x": [*steady(0.9)[:7], (None, 50_000.0)]}), DEFAULT_POLICY)
    zero = forecaster_bias(pairs_of(peers | {"x": [*steady(0.9)[:7], (0.0, 50_000.0)]}), DEFAULT_POLICY)
    dropped, kept = one(missing, "x"), one(zero, "x")
    assert (dropped["pair_count"], dropped["expected_count"]) == (7, 8)
    assert (kept["pair_count"], kept["expected_count"]) == (8, 8)
    assert float(dropped["unforecast_amount"]) == 0.0
    assert float(kept["unforecast_amount"]) == 50_000.0
    assert kept["landing_rate"] > dropped["landing_rate"]
    assert kept["own_variance"] > dropped["own_variance"]


def test_a_quarter_in_which_nothing_landed_needs_no_care() -> None:
    records = {f"r{i}": steady(0.9) for i in range(4)} | {"x": [*steady(0.9)[:7], (100_000.0, 0.0)]}
    x = one(forecaster_bias(pairs_of(records), DEFAULT_POLICY), "x")
    assert x["status"] == "ok"
    assert 0.7 < x["landing_rate"] < 0.9


def test_no_call_and_open_quarters() -> None:
    records: dict[str, list[Call]] = {
        "silent": [(None, 80_000.0)] * 6,
        "zeros": [(0.0, 80_000.0)] * 6,
        "new": [(100_000.0, None)],
        "a": steady(0.9),
        "b": steady(0.8),
    }
    frame = forecaster_bias(pairs_of(records, open_last=True), DEFAULT_POLICY)
    ForecasterBias.validate(frame)
    silent, zeros, new = (one(frame, name) for name in ("silent", "zeros", "new"))
    assert (silent["status"], silent["pair_count"], silent["expected_count"]) == ("no_call", 0, 6)
    assert silent["forecast_amount"] is None
    assert silent["actual_amount"] is None
    assert (zeros["status"], zeros["landing_rate"], zeros["estimate"]) == ("no_call", None, None)
    assert float(zeros["unforecast_amount"]) == 480_000.0
    assert (new["status"], new["pair_count"], new["estimate"], new["level"]) == ("not_enough_history", 0, None, None)
    assert {silent["direction"], zeros["direction"], new["direction"]} == {"not_enough_evidence"}


def test_nobody_but_forecasters_without_a_landing_has_no_estimate() -> None:
    frame = forecaster_bias(pairs_of({"x": [(100.0, 0.0)] * 8}), DEFAULT_POLICY)
    x = frame.row(0, named=True)
    assert (x["status"], x["landing_rate"], x["estimate"]) == ("nothing_landed", 0.0, None)
    assert x["direction"] == "not_enough_evidence"


@pytest.mark.parametrize(
    ("quarters", "word"), [(3, "not_enough_evidence"), (5, "not_enough_evidence"), (8, "runs_high")]
)
def test_nothing_landed_is_told_by_the_count_of_quarters(quarters: int, word: str) -> None:
    peers = {f"r{i}": steady(1.0, wobble=0.2) for i in range(6)}
    x = one(forecaster_bias(pairs_of(peers | {"x": [(100_000.0, 0.0)] * quarters}), DEFAULT_POLICY), "x")
    assert (x["status"], x["landing_rate"], x["direction"]) == ("nothing_landed", 0.0, word)
    assert 0.0 < x["lower"] < x["estimate"] < x["upper"] < 1.0


def test_nothing_landed_leaves_the_peers_alone() -> None:
    peers = {f"r{i}": steady(0.9, wobble=0.2) for i in range(6)}
    alone = forecaster_bias(pairs_of(peers), DEFAULT_POLICY)
    joined = forecaster_bias(pairs_of(peers | {"x": [(1_000.0, 0.0)] * 4}), DEFAULT_POLICY)
    np.testing.assert_allclose(joined.filter(pl.col("forecaster_id") != "x")["estimate"], alone["estimate"])


def test_more_quarters_without_a_landing_say_more() -> None:
    """Compound Poisson (p = 1.5): P(nothing lands in n periods) = exp(−2n·√R/φ), checked against a simulated
    Tweedie."""
    evidence = Evidence.with_intercept(np.array([-0.1, 0.1, 0.0]), np.full(3, 0.02), np.zeros((3, 1)), 0.0)
    pooled = pool(evidence, prior_scale=0.5, points=121)
    medians = []
    for count in (1, 4, 8):
        theta, cumulative = nothing_landed_posterior(pooled, count, np.array([0.4]), DEFAULT_POLICY)
        medians.append(float(np.interp(0.5, cumulative, theta)))
    assert medians == sorted(medians, reverse=True)
    rng = np.random.default_rng(8)
    phi, mean = 1.6, 0.7
    rate = mean**0.5 / (0.5 * phi)
    lands = [rng.gamma(1.0, phi * 0.5 * mean**0.5, rng.poisson(rate)).sum() for _ in range(20_000)]
    assert np.mean(lands) == pytest.approx(mean, abs=0.03)
    assert np.var(lands) == pytest.approx(phi * mean**1.5, rel=0.06)
    assert np.mean(np.array(lands) == 0.0) == pytest.approx(np.exp(-2.0 * np.sqrt(mean) / phi), abs=0.012)


def test_nothing_landed_averages_over_the_dispersion_of_peers() -> None:
    """By a slow loop; half of the peers with many small deals (φ = .1) do not outvote those with few (φ = 4)."""
    evidence = Evidence.with_intercept(np.array([-0.1, 0.1, 0.0]), np.full(3, 0.02), np.zeros((3, 1)), 0.0)
    pooled = pool(evidence, prior_scale=0.5, points=121)
    mean, sd = pooled.newcomer()
    mixed = np.repeat([0.1, 4.0], 200)
    theta, cumulative = nothing_landed_posterior(pooled, 6, mixed, DEFAULT_POLICY)
    density = [
        float(stats.norm.pdf(x, mean[0], sd[0]) @ pooled.weight)
        * (49.5 / 99 * np.exp(-12 * np.exp(x / 2) / 0.1) + 49.5 / 99 * np.exp(-12 * np.exp(x / 2) / 4.0))
        for x in theta[::10]
    ]
    slow = integrate.cumulative_trapezoid(density, initial=0.0)
    np.testing.assert_allclose(cumulative[::10], slow / slow[-1], atol=0.01)
    sure, unsure = (
        1.0 - float(np.interp(0.0, *nothing_landed_posterior(pooled, 6, phi, DEFAULT_POLICY)))
        for phi in (np.full(400, 0.1), mixed)
    )
    assert sure < 0.001
    assert unsure > 0.1


def test_who_sells_one_large_deal_a_year_is_not_accused_for_a_year_without_it() -> None:
    rng = np.random.default_rng(4)
    many = {f"m{i}": [(100.0, 100.0 * rng.gamma(10.0, 0.1)) for _ in range(8)] for i in range(10)}
    rare = {f"r{i}": [(100.0, 400.0 * (rng.random() < 0.25)) for _ in range(8)] for i in range(10)}
    frame = forecaster_bias(pairs_of({**many, **rare, "x": [(100.0, 0.0)] * 8}), DEFAULT_POLICY)
    x = one(frame, "x")
    assert (x["status"], x["direction"]) == ("nothing_landed", "not_enough_evidence")


@pytest.mark.parametrize("wobble", [0.0, 0.01, 0.05])
def test_nothing_landed_beside_steady_peers_keeps_off_the_end_of_the_grid(wobble: float) -> None:
    peers = {f"r{i}": steady(0.6 + 0.2 * i, wobble=wobble) for i in range(6)}
    x = one(forecaster_bias(pairs_of(peers | {"x": [(100.0, 0.0)] * 8}), DEFAULT_POLICY), "x")
    assert x["direction"] == "runs_high"
    assert np.log(x["upper"] / x["lower"]) > 0.2
    assert x["lower"] > np.exp(-39.0)


def test_negative_sums_are_no_ratio() -> None:
    records: dict[str, list[Call]] = {
        "debooked": [(100.0, -50.0)] * 6,
        "negative": [(-100.0, 50.0)] * 6,
        "a": steady(0.9),
        "b": steady(0.9),
    }
    frame = forecaster_bias(pairs_of(records), DEFAULT_POLICY)
    assert one(frame, "debooked")["status"] == "nothing_landed"
    assert one(frame, "negative")["status"] == "no_call"
    assert one(frame, "negative")["landing_rate"] is None


def test_rows_that_are_not_closed_pairs_change_nothing() -> None:
    pairs = reference()
    extra = pairs_of({"R01": [(1e6, 5.0)] * 3}).with_columns(
        period_start_on=pl.col("period_start_on").dt.offset_by("10y"),
        status=pl.Series(["open", "no_rate", "no_actual"]),
    )
    frame, more = forecaster_bias(pairs, DEFAULT_POLICY), forecaster_bias(pl.concat([pairs, extra]), DEFAULT_POLICY)
    assert more.equals(frame)


def test_forgetting_old_quarters_follows_a_change() -> None:
    changed = {f"r{i}": steady(0.6, quarters=8) + steady(1.0, quarters=8) for i in range(4)}
    pairs = pairs_of(changed)
    forgetful = forecaster_bias(pairs, Policy(half_life_periods=3.0))
    assert (forgetful["estimate"] > forecaster_bias(pairs, DEFAULT_POLICY)["estimate"]).all()
    assert (forgetful["landing_rate"] == forecaster_bias(pairs, DEFAULT_POLICY)["landing_rate"]).all()


# The words


def test_the_words_by_pencil() -> None:
    # lfsr .01 .06 .09 .099 .12: means .01 .035 .0533 …: the first two are flagged, .12 is out whatever the mean.
    below = np.array([0.99, 0.06, 0.91, 0.099, 0.88, 0.6, 0.999])
    fair = np.array([0.0, 0.1, 0.1, 0.1, 0.1, 0.81, 0.9])
    everybody = np.ones(7, dtype=bool)
    assert classify(below, fair, everybody, DEFAULT_POLICY) == [
        "runs_high", "runs_low", *["not_enough_evidence"] * 3, "fair", "fair",
    ]  # fmt: skip
    assert set(classify(below, fair, ~everybody, DEFAULT_POLICY)) == {"not_enough_evidence"}
    nobody_leans = classify(below, fair, everybody, DEFAULT_POLICY, may_lean=~everybody)
    assert nobody_leans == [*["not_enough_evidence"] * 5, "fair", "fair"]
    unknown = np.full(2, np.nan)
    assert set(classify(unknown, unknown, everybody[:2], DEFAULT_POLICY)) == {"not_enough_evidence"}


def test_nobody_is_spoken_of_while_nobody_leans_beyond_chance() -> None:
    unit, period = np.divmod(np.arange(48), 8)
    forecast = np.full(48, 100.0)
    rng = np.random.default_rng(2)
    noise = rng.gamma(10.0, 0.1, 48)
    variance = np.full(6, 0.1 / 8)
    alike = (forecast, forecast * noise)
    lean = (forecast, 0.6 * forecast * noise)
    differ = (forecast, forecast * noise * np.repeat([0.5, 0.7, 0.9, 1.1, 1.3, 1.5], 8))
    assert not anybody_leans(unit, period, alike, variance, DEFAULT_POLICY)
    assert anybody_leans(unit, period, lean, variance, DEFAULT_POLICY)
    assert anybody_leans(unit, period, differ, variance, DEFAULT_POLICY)
    assert (
        heterogeneity_p_value(unit, period, lean, variance)
        > 0.05
        > heterogeneity_p_value(unit, period, differ, variance)
    )


def test_heterogeneity_against_a_slow_loop() -> None:
    rng = np.random.default_rng(6)
    forecast, actual = rng.uniform(50, 150, (5, 7)), rng.uniform(50, 150, (5, 7)) * np.linspace(0.7, 1.3, 5)[:, None]
    variance = rng.uniform(0.01, 0.03, 5)
    unit, period = np.divmod(np.arange(35), 7)
    p_value = heterogeneity_p_value(unit, period, (forecast.ravel(), actual.ravel()), variance)
    rates = actual.sum(axis=0) / forecast.sum(axis=0)
    total = total_variance = third = 0.0
    for i in range(5):
        x = (actual[i] - rates * forecast[i]) / (rates * forecast[i]).sum()
        products = [x[t] * x[s] for t in range(7) for s in range(7) if s != t]
        squares = sum(product**2 for product in products)
        total += sum(products) / variance[i]
        total_variance += 2.0 * squares / variance[i] ** 2
        third += 8.0 * squares**1.5 / variance[i] ** 3
    df = 8.0 / (third / total_variance**1.5) ** 2
    assert p_value == pytest.approx(stats.chi2.sf(df + total / np.sqrt(total_variance) * np.sqrt(2 * df), df))
    assert 1e-6 < p_value < 0.9
