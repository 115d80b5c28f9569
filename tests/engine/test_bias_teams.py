"""Bias of teams, and planted truth found again over simulated teams."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipelines.contracts import TeamBias
from pipelines.engine.bias import forecaster_bias, team_bias
from pipelines.policy import DEFAULT_POLICY
from tests.engine.deal_company import deal_company
from tests.engine.records_made import Call, made_up, members_of, pairs_of, steady

NO_MEMBERS = members_of(pairs_of({}), {})


# Teams


def test_team_interval_by_pencil() -> None:
    # A 90, 110, 100, 100 on calls of 100: R = 1, Σe² = 200, se = √(4/3·200)/400, t(.9; 3) = 1.6377.
    pairs = pairs_of({"a": [(40.0, 30.0), (40.0, 50.0), (40.0, 40.0), (40.0, 40.0)], "b": [(60.0, 60.0)] * 4})
    team = team_bias(pairs, NO_MEMBERS, DEFAULT_POLICY).row(0, named=True)
    error = np.sqrt(4 / 3 * 200.0) / 400.0
    assert (team["scope"], team["forecaster_count"], team["period_count"]) == ("company", 2, 4)
    assert team["landing_rate"] == 1.0
    assert team["standard_error"] == pytest.approx(error)
    assert team["upper"] == pytest.approx(np.exp(stats.t.ppf(0.9, 3) * error))
    assert team["lower"] == pytest.approx(1.0 / team["upper"])


def test_scopes_count_only_their_own_people_in_their_own_periods() -> None:
    pairs = pairs_of({"a": steady(0.5), "b": steady(0.5), "c": steady(1.0), "d": steady(1.0)})
    members = members_of(pairs, {"a": "low", "b": "low", "c": "high", "d": "high"})
    moved = members.filter(
        (pl.col("scope") != "high") | (pl.col("person_id") != "d") | (pl.col("period_start_on").dt.year() == 2022)
    )
    frame = team_bias(pairs, moved, DEFAULT_POLICY)
    TeamBias.validate(frame)
    rows = {row["scope"]: row for row in frame.iter_rows(named=True)}
    assert rows["low"]["landing_rate"] == pytest.approx(0.5, abs=0.01)
    assert rows["high"]["landing_rate"] == pytest.approx(1.0, abs=0.01)
    assert float(rows["high"]["forecast_amount"]) == 8 * 100_000 + 4 * 100_000
    assert rows["company"]["heterogeneity_p_value"] < 0.01 < rows["low"]["heterogeneity_p_value"]
    assert rows["company"]["between_sd"] > rows["low"]["between_sd"]
    assert rows["company"]["between_lower"] < rows["company"]["between_sd"] < rows["company"]["between_upper"]


@pytest.mark.parametrize(
    ("records", "status", "between_status"),
    [
        ({"a": steady(0.9, quarters=3), "b": steady(0.9, quarters=3)}, "not_enough_history", "ok"),
        ({"a": steady(0.9)}, "ok", "one_forecaster"),
        ({"a": steady(0.9), "b": steady(0.9)[:1]}, "ok", "not_enough_history"),
        ({"a": [(0.0, 5.0)] * 4, "b": [(0.0, 5.0)] * 4}, "no_call", "not_enough_history"),
        ({"a": [(5.0, 0.0)] * 4, "b": [(5.0, 0.0)] * 4}, "nothing_landed", "not_enough_history"),
    ],
)
def test_teams_without_enough_to_say(records: dict[str, list[Call]], status: str, between_status: str) -> None:
    team = team_bias(pairs_of(records), NO_MEMBERS, DEFAULT_POLICY).row(0, named=True)
    assert (team["status"], team["between_status"]) == (status, between_status)
    assert (team["estimate"] is None) == (status != "ok")
    assert (team["level"] is None) == (status != "ok")
    assert (team["between_sd"] is None) == (between_status != "ok")


def test_spread_is_published_for_the_company_every_week_and_for_others_at_the_horizons() -> None:
    records = {"a": steady(0.9), "b": steady(0.8), "c": steady(0.7)}
    pairs = pl.concat([pairs_of(records, week=week) for week in (3, 4)])
    frame = team_bias(pairs, members_of(pairs, {"a": "m", "b": "m"}), DEFAULT_POLICY)
    status = {(row["scope"], row["week_of_period"]): row["between_status"] for row in frame.iter_rows(named=True)}
    assert status == {("company", 3): "ok", ("company", 4): "ok", ("m", 3): "ok", ("m", 4): "not_published"}


# Planted truth


def test_planted_leans_are_covered_and_seldom_told_the_wrong_way_round() -> None:
    rng = np.random.default_rng(20)
    covered = inside = wrong = labels = 0
    for _ in range(60):
        theta, forecast, actual = deal_company(rng, reps=24, quarters=8, lean=-0.05)
        frame = forecaster_bias(
            pairs_of({f"{i:02d}": list(zip(forecast[i], actual[i], strict=True)) for i in range(24)}), DEFAULT_POLICY
        )
        truth = np.exp(theta)
        inside += int(((frame["lower"].to_numpy() <= truth) & (truth <= frame["upper"].to_numpy())).sum())
        covered += 24
        said = frame["direction"].to_numpy()
        labels += int(np.isin(said, ["runs_high", "runs_low"]).sum())
        wrong += int(((said == "runs_high") & (truth > 1)).sum() + ((said == "runs_low") & (truth < 1)).sum())
    # Forecasters of one company share its shocks: the effective count is nearer 60·24/3 than 60·24.
    reach = 2.6 * np.sqrt(0.8 * 0.2 / (covered / 3))
    assert 0.79 - reach < inside / covered < 0.80 + reach
    assert labels > 60
    assert wrong / labels <= 0.10


def test_a_company_of_unbiased_people_alike_is_left_in_peace_and_its_p_value_is_uniform() -> None:
    rng = np.random.default_rng(30)
    runs, accused, below = 80, 0, 0
    for _ in range(runs):
        _, forecast, actual = deal_company(rng, reps=15, quarters=8, spread=0.0)
        pairs = pairs_of({f"{i:02d}": list(zip(forecast[i], actual[i], strict=True)) for i in range(15)})
        said = forecaster_bias(pairs, DEFAULT_POLICY)["direction"]
        accused += bool(said.is_in(["runs_high", "runs_low"]).any())
        below += team_bias(pairs, NO_MEMBERS, DEFAULT_POLICY)["heterogeneity_p_value"][0] < 0.2
    assert accused / runs <= 0.15
    # Binomial(80, .2) ± 2.6 sd, and a little for the approximation.
    assert 0.05 < below / runs < 0.36


def test_everybody_fifteen_percent_high_is_one_common_lean() -> None:
    found = differ = said_high = 0
    for seed in range(40):
        pairs = made_up(reps=20, quarters=8, seed=seed, spread=0.0, lean=float(np.log(1 / 1.15)), shock=0.1)
        team = team_bias(pairs, NO_MEMBERS, DEFAULT_POLICY).row(0, named=True)
        found += team["lower"] <= 1 / 1.15 <= team["upper"]
        differ += team["heterogeneity_p_value"] <= 0.05
        words = forecaster_bias(pairs, DEFAULT_POLICY)["direction"]
        said_high += words.is_in(["runs_high"]).sum() > 0
        assert not words.is_in(["runs_low"]).any()
    assert 26 <= found <= 38, "80 % of 40 ± 2.4 sd"
    assert differ <= 6
    assert said_high >= 24
