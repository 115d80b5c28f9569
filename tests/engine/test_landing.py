"""Where the period lands: proofs of the call, the combination and the frames (the draws: ``test_deal_draws``)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.engine.coverage import backtest_rows, coverage
from pipelines.engine.deal_book import LandingInputs, LandingPolicy
from pipelines.engine.landing import LandingResult, fit_call, landing, landing_backtest, precision_weight, seed_of
from pipelines.engine.landing_tables import probability_of_reaching, quantile_at
from tests.benchmarks.planted import Shape, planted_company, target_of

SMALL = Shape(reps=6, teams=2, deals_per_week=20.0, closed_periods=6)
POLICY = LandingPolicy(draws=800)


@pytest.fixture(scope="module")
def company() -> LandingInputs:
    return planted_company(SMALL, 7, (4,))[4]


@pytest.fixture(scope="module")
def result(company: LandingInputs) -> LandingResult:
    return _land(company)


def _land(company: LandingInputs, seed: int = 11, policy: LandingPolicy = POLICY) -> LandingResult:
    return landing(company, period_start_on=target_of(company), week_of_period=4, seed=seed, policy=policy)


def _row(result: LandingResult, scope: str = "company", method: str = "combined", level: float = 0.8) -> dict[str, Any]:
    is_it = (pl.col("scope") == scope) & (pl.col("method") == method) & (pl.col("level") == level)
    return result.landing.filter(is_it).row(0, named=True)


# By pencil


def test_shrunken_call_by_hand() -> None:
    """ln ratios ±.1 about −.2: s² = .04/3, n = 4: s²/n = 1/300; w = .0225/(.0225 + .003333) = .870968."""
    call = np.full(4, 100.0)
    model = fit_call(call, 100 * np.exp([-0.1, -0.3, -0.1, -0.3]), 0.15)
    weight = 0.0225 / (0.0225 + 1 / 300)
    assert model.correction == pytest.approx(-0.2 * weight)
    assert model.scale == pytest.approx((0.04 / 3) ** 0.5 * (1 + weight / 4) ** 0.5)
    assert (model.df, model.offset) == (3, 0)


def test_quantiles_stand_midway() -> None:
    assert quantile_at(np.array([10.0, 20.0]), 0.5) == 15
    assert quantile_at(np.array([10.0, 20.0, 30.0]), 0.5) == 20


def test_chance_of_a_line_from_quantiles() -> None:
    frame = pl.DataFrame({"quantile": np.arange(1, 100) / 100, "amount": np.maximum(np.arange(1.0, 100.0), 20.0)})
    assert probability_of_reaching(frame, 50.5) == pytest.approx(0.495)
    assert probability_of_reaching(frame, 20.0) == pytest.approx(0.99)  # what has closed cannot be missed
    assert probability_of_reaching(frame, 500.0) == pytest.approx(0.01)
    assert probability_of_reaching(frame.clear(), 500.0) is None


def test_the_narrower_method_weighs_more() -> None:
    """Widths of .8 and 1.6 (levels .1 to .9 of straight lines): precisions 4 to 1, so four fifths to the first."""
    line = np.linspace(0.0, 1.0, 1001)[None, :]
    assert precision_weight(10 + line, 20 + 2 * line, 0.1)[0] == pytest.approx(0.8)
    assert precision_weight(10 + 2 * line, 20 + line, 0.1)[0] == pytest.approx(0.2)
    assert precision_weight(10 + line, 20 + line, 0.1)[0] == pytest.approx(0.5)


def test_neither_method_is_left_alone_and_none_without_a_width_counts_more() -> None:
    line = np.linspace(0.0, 1.0, 101)[None, :]
    assert precision_weight(0 * line, line, 0.1).tolist() == [0.9]
    assert precision_weight(line, 0 * line, 0.1).tolist() == [0.1]
    assert precision_weight(0 * line, 0 * line, 0.1).tolist() == [0.5]
    assert precision_weight(line, np.full_like(line, np.nan), 0.1).tolist() == [0.5]
    scaled = precision_weight(1e6 * line, 3e6 * line, 0.0)
    assert scaled == pytest.approx(precision_weight(line, 3 * line, 0.0)), "currency scales out"


# By the literature


def test_unshrunk_call_is_the_student_predictive() -> None:
    """R: 1000·exp(mean + sd·√(1+1/8)·qt(c(.1,.5,.9), 7)) of eight log ratios."""
    ratio = np.array([0.92, 1.05, 0.81, 0.97, 0.88, 1.1, 0.9, 0.85])
    model = fit_call(np.full(8, 500.0), 500 * ratio, np.inf)
    assert model.correction == pytest.approx(-0.07202179, abs=1e-8)
    found = model.quantiles(1000.0, np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(found, [795.72204192, 930.51061971, 1088.13124154], atol=1e-6)


# By axiom


def test_ranges_widen_with_the_level_and_hold_the_estimate(result: LandingResult) -> None:
    for method in ("deals", "call", "combined"):
        for scope in result.landing["scope"].unique():
            rows = [_row(result, scope, method, level) for level in (0.5, 0.8, 0.9)]
            ends = [rows[2]["lower"], rows[1]["lower"], rows[0]["lower"], rows[0]["estimate"]]
            ends += [rows[0]["upper"], rows[1]["upper"], rows[2]["upper"]]
            assert ends == sorted(ends)


def test_means_add_up_over_the_hierarchy(result: LandingResult) -> None:
    means = dict(
        result.landing.filter((pl.col("method") == "deals") & (pl.col("level") == 0.8))
        .select("scope", "mean_amount")
        .iter_rows()
    )
    reps = sum(value for scope, value in means.items() if scope.startswith("rep"))
    teams = sum(value for scope, value in means.items() if scope.startswith("team"))
    assert means["company"] == pytest.approx(reps, rel=1e-12)
    assert means["company"] == pytest.approx(teams, rel=1e-12)


def test_ranges_of_reps_do_not_add_up_but_cover_less_together(result: LandingResult) -> None:
    rows = result.landing.filter((pl.col("method") == "deals") & (pl.col("level") == 0.8))
    width = dict(rows.select("scope", pl.col("upper") - pl.col("lower")).iter_rows())
    assert width["company"] < sum(value for scope, value in width.items() if scope.startswith("rep"))


def test_combined_lies_between_at_every_quantile_by_the_weight_it_states(result: LandingResult) -> None:
    """The weight by another road: from the published ends of the two methods' own 80 % ranges."""
    wide = result.quantiles.filter(pl.col("scope") == "team1").pivot("method", index="quantile", values="amount")
    stated = _row(result, "team1")["deals_weight_rate"]
    np.testing.assert_allclose(wide["combined"], stated * wide["deals"] + (1 - stated) * wide["call"])
    deals, call = (_row(result, "team1", method) for method in ("deals", "call"))
    precision = [1 / (row["upper"] - row["lower"]) ** 2 for row in (deals, call)]
    assert stated == pytest.approx(precision[0] / sum(precision), rel=1e-6)
    assert deals["deals_weight_rate"] is None


def test_same_seed_same_numbers_in_any_row_order(company: LandingInputs, result: LandingResult) -> None:
    mixed = LandingInputs(
        **{
            name: getattr(company, name).sample(fraction=1, shuffle=True, seed=5)
            for name in company.__dataclass_fields__
        }
    )
    again = _land(mixed)
    for name in ("landing", "quantiles", "dots", "swings", "odds"):
        assert_frame_equal(getattr(result, name), getattr(again, name), rel_tol=1e-12)
    assert _row(_land(company, seed=12))["lower"] != _row(result)["lower"]
    assert seed_of("a", "bc") != seed_of("ab", "c")


def test_currency_scales_out(company: LandingInputs, result: LandingResult) -> None:
    def scaled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("^.*amount$") * 100)

    names = ("deals", "new_business", "closed", "calls")
    other = _land(replace(company, **{name: scaled(getattr(company, name)) for name in names}))
    for column in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(other.landing[column], 100 * result.landing[column], rtol=1e-9)
    assert_frame_equal(
        other.landing.select("probability_of_call_rate"), result.landing.select("probability_of_call_rate")
    )


def test_nothing_known_later_changes_what_is_issued(company: LandingInputs) -> None:
    """The proof against leaks: outcomes of the origin's own period and of later ones are scrambled."""
    starts = company.periods["period_start_on"].sort()
    origin = starts[5]
    later = pl.col("period_start_on") >= origin
    scrambled = replace(
        company,
        deals=company.deals.with_columns(
            outcome=pl.when(later).then(pl.lit("lost")).otherwise("outcome"),
            final_amount=pl.when(later).then(None).otherwise("final_amount"),
            follow_up_days=pl.when(later).then(1.0).otherwise("follow_up_days"),
            amount=pl.when(pl.col("period_start_on") > origin).then(1.0).otherwise("amount"),
        ),
        new_business=company.new_business.filter(~later),
        calls=company.calls.with_columns(
            actual_amount=pl.when(later).then(9e9).otherwise("actual_amount"),
            call_amount=pl.when(pl.col("period_start_on") > origin).then(9e9).otherwise("call_amount"),
        ),
        closed=company.closed.filter(pl.col("period_start_on") <= origin),
    )
    before, after = (
        landing(inputs, period_start_on=origin, week_of_period=4, seed=1, policy=POLICY)
        for inputs in (company, scrambled)
    )
    assert before.shock is not None
    for name in ("landing", "quantiles", "dots", "swings", "odds"):
        assert_frame_equal(getattr(before, name), getattr(after, name))
    earlier = replace(company, deals=company.deals.with_columns(outcome=pl.lit("lost"), final_amount=None))
    third = landing(earlier, period_start_on=origin, week_of_period=4, seed=1, policy=POLICY)
    assert third.landing["lower"].to_list() != before.landing["lower"].to_list()  # the test can see a change


def test_a_period_still_in_grace_is_not_used(company: LandingInputs) -> None:
    origin_at = company.periods.filter(pl.col("period_start_on") == target_of(company))["origin_at"][0]
    last = pl.col("period_start_on") == company.periods["period_start_on"].sort()[5]
    late = pl.when(last).then(pl.lit(origin_at + dt.timedelta(seconds=1))).otherwise("closed_at")
    found = _land(replace(company, periods=company.periods.with_columns(closed_at=late)))
    assert found.shock is not None
    assert found.shock.period_count == 5


# By simulation


def test_the_whole_road_covers_on_simulated_companies() -> None:
    """Twelve small companies, four weeks, reps pooled: a smoke test of calibration; the study does the rest."""
    inside: list[bool] = []
    for seed in range(12):
        for week, inputs in planted_company(SMALL, seed, (0, 8)).items():
            target = target_of(inputs)
            found = landing(inputs, period_start_on=target, week_of_period=week, seed=seed, policy=POLICY)
            known = inputs.calls.filter(pl.col("period_start_on") == target).select("scope", "actual_amount")
            rows = found.landing.filter((pl.col("level") == 0.8) & (pl.col("method") == "combined")).join(
                known, on="scope"
            )
            inside += rows.select(pl.col("actual_amount").is_between("lower", "upper")).to_series().to_list()
    assert 0.72 <= np.mean(inside) <= 0.95


def test_a_past_period_does_not_vouch_for_its_own_odds() -> None:
    """Six periods of 200 like deals of 100, k of them won: odds for period i are the others' (K − k_i)/1000.

    With its own outcomes in, they would be drawn to what happened, and the shock would come out too small.
    """
    wins = np.array([20, 60, 30, 50, 35, 45])
    starts = [dt.date(2025, 1 + month, 1) for month in range(7)]
    deals = pl.DataFrame(
        [
            (start, f"{month}-{i}", "ann", "talks", None, True, 0.0, 100.0)
            + ((None, None, None) if month == 6 else ("won", 5.0, 100.0) if i < wins[month] else ("open", 20.0, None))
            for month, start in enumerate(starts)
            for i in range(200)
        ],
        orient="row",
        schema={
            "period_start_on": pl.Date,
            "opportunity_id": pl.String,
            "owner_id": pl.String,
            "stage": pl.String,
            "sales_motion": pl.String,
            "is_due": pl.Boolean,
            "age_days": pl.Float64,
            "amount": pl.Float64,
            "outcome": pl.String,
            "follow_up_days": pl.Float64,
            "final_amount": pl.Float64,
        },
    )
    instants = [dt.datetime.combine(start, dt.time()) for start in starts]
    inputs = LandingInputs(
        periods=pl.DataFrame(
            {
                "period_start_on": starts,
                "origin_at": instants,
                "closed_at": [*instants[1:], None],
                "horizon_days": [20.0] * 7,
                "run_rate": [None] * 7,
            }
        ),
        deals=deals,
        new_business=pl.DataFrame(schema={"period_start_on": pl.Date, "owner_id": pl.String, "amount": pl.Float64}),
        closed=pl.DataFrame(schema={"period_start_on": pl.Date, "owner_id": pl.String, "closed_amount": pl.Float64}),
        calls=pl.DataFrame(
            schema={
                "period_start_on": pl.Date,
                "scope": pl.String,
                "call_amount": pl.Float64,
                "actual_amount": pl.Float64,
                "quota_amount": pl.Float64,
            }
        ),
        scope_members=pl.DataFrame({"period_start_on": starts, "person_id": ["ann"] * 7, "scope": ["company"] * 7}),
    )
    shock = landing(inputs, period_start_on=starts[6], week_of_period=1, seed=1, policy=POLICY).shock
    odds = (wins.sum() - wins) / 1000
    expected, chance = 20_000 * odds, 200 * 100**2 * odds * (1 - odds)
    between = (6 / 5 * (100 * wins - expected) ** 2 - chance).sum() / (expected**2).sum()
    assert shock is not None
    assert shock.raw_correction == pytest.approx(0.0, abs=1e-12)
    assert shock.relative_sd == pytest.approx(between**0.5)


# The frames, and the edges


def test_odds_and_swings_say_what_they_rest_on(company: LandingInputs, result: LandingResult) -> None:
    target = target_of(company)
    open_deals = company.deals.filter(pl.col("period_start_on") == target)
    assert result.odds.height == open_deals.height
    assert result.odds["win_status"].is_in(["ok", "coarser_group"]).all()
    top = result.swings.filter(pl.col("scope") == "company").row(0, named=True)
    assert top["rank"] == 1
    gap = float(_row(result)["call_amount"]) - float(_row(result)["closed_amount"])
    assert top["share_of_gap_rate"] == pytest.approx(top["swing_amount"] / gap)
    assert top["expected_amount"] == pytest.approx(top["win_probability_rate"] * top["swing_amount"])
    odds = float(_row(result, method="deals")["probability_of_call_rate"])
    assert top["probability_of_call_if_lost_rate"] <= odds <= top["probability_of_call_if_won_rate"]


def test_dots_are_twenty_equally_likely_landings(result: LandingResult) -> None:
    dots = result.dots.filter(pl.col("scope") == "company").sort("dot")
    assert dots["dot"].to_list() == list(range(1, 21))
    middle = (dots["amount"][9] + dots["amount"][10]) / 2
    assert middle == pytest.approx(float(_row(result)["estimate"]), rel=0.02)
    assert (np.diff(dots["amount"]) >= 0).all()


def test_four_closed_periods_refuse_with_a_status(company: LandingInputs) -> None:
    first = company.periods["period_start_on"].sort()[2]
    short = replace(company, periods=company.periods.filter(pl.col("period_start_on") >= first))
    found = _land(short)
    assert set(found.landing["status"]) == {"not_enough_history"}
    for column in ("estimate", "lower", "upper", "probability_of_call_rate"):
        assert found.landing[column].null_count() == found.landing.height
    assert found.landing["period_count"].to_list() == [4] * found.landing.height
    assert (found.quantiles.height, found.dots.height, found.swings.height) == (0, 0, 0)
    assert found.shock is None


def test_without_calls_the_deals_speak_alone(company: LandingInputs) -> None:
    found = _land(replace(company, calls=company.calls.clear()))
    assert _row(found, method="call")["status"] == "no_call"
    assert _row(found, method="call")["lower"] is None
    assert _row(found)["status"] == "deals_only"
    assert _row(found)["lower"] == _row(found, method="deals")["lower"]
    assert _row(found)["probability_of_call_rate"] is None
    assert found.swings["share_of_gap_rate"].null_count() == found.swings.height


def test_without_deals_the_call_speaks_alone(company: LandingInputs, result: LandingResult) -> None:
    """A spreadsheet of calls and actuals is enough: no deals is not a forecast of nothing."""
    nothing = {name: getattr(company, name).clear() for name in ("deals", "new_business", "closed")}
    found = _land(replace(company, **nothing))
    assert _row(found, method="deals")["status"] == "not_enough_history"
    assert _row(found, method="deals")["lower"] is None
    assert _row(found)["status"] == "call_only"
    assert _row(found)["lower"] == _row(found, method="call")["lower"]
    assert _row(found)["upper"] == pytest.approx(_row(result, method="call")["upper"])


def test_single_deals_can_be_left_out(company: LandingInputs, result: LandingResult) -> None:
    found = landing(
        company, period_start_on=target_of(company), week_of_period=4, seed=11, policy=POLICY, with_swings=False
    )
    assert _row(found)["lower"] == _row(result)["lower"]
    assert found.swings.is_empty()


def test_a_call_below_what_has_closed_cannot_pull_the_range_under_it(company: LandingInputs) -> None:
    small = company.calls.with_columns(pl.col("call_amount") * 1e-3, pl.col("actual_amount") * 1e-3)
    found = _land(replace(company, calls=small))
    assert _row(found, method="call")["lower"] == _row(found)["closed_amount"]
    assert _row(found)["probability_of_call_rate"] == 1.0


def test_deals_without_amount_are_counted_not_guessed(company: LandingInputs, result: LandingResult) -> None:
    is_target = pl.col("period_start_on") == target_of(company)
    ids = company.deals.filter(is_target)["opportunity_id"].sort()[:10]
    blank = pl.when(is_target & pl.col("opportunity_id").is_in(ids)).then(None).otherwise("amount")
    found = _land(replace(company, deals=company.deals.with_columns(amount=blank)))
    assert _row(found)["unmodelled_count"] == 10
    assert _row(result)["unmodelled_count"] == 0
    assert _row(found)["open_count"] == _row(result)["open_count"]
    assert found.odds["expected_amount"].null_count() == 10


def test_nothing_open_and_nothing_new_lands_what_has_closed(company: LandingInputs) -> None:
    is_target = pl.col("period_start_on") == target_of(company)
    bare = replace(
        company,
        deals=company.deals.filter(~is_target),
        new_business=company.new_business.clear(),
        calls=company.calls.clear(),
    )
    row = _row(_land(bare))
    assert row["lower"] == pytest.approx(row["closed_amount"])
    assert row["upper"] == pytest.approx(row["closed_amount"])
    assert row["closed_amount"] > 0


def test_an_owner_in_no_scope_counts_for_the_company(company: LandingInputs, result: LandingResult) -> None:
    gone = pl.col("person_id") != "rep000"
    found = _land(replace(company, scope_members=company.scope_members.filter(gone)))
    assert "rep000" not in set(found.landing["scope"])
    assert _row(found)["open_count"] == _row(result)["open_count"]
    assert _row(found)["closed_amount"] == pytest.approx(_row(result)["closed_amount"])


def test_money_may_come_as_decimals(company: LandingInputs, result: LandingResult) -> None:
    money = pl.Decimal(18, 2)
    names = ("deals", "new_business", "closed", "calls")
    frames = {name: getattr(company, name).with_columns(pl.col("^.*amount$").cast(money)) for name in names}
    assert _row(_land(replace(company, **frames)))["estimate"] == pytest.approx(_row(result)["estimate"], rel=1e-3)


def test_an_unknown_period_is_refused(company: LandingInputs) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        landing(company, period_start_on=dt.date(1999, 1, 1), week_of_period=4, seed=1)


def test_backtest_issues_only_where_history_allows_and_can_be_scored(company: LandingInputs) -> None:
    found = landing_backtest(company, week_of_period=4, seed_words=("test",), policy=POLICY)
    starts = company.periods["period_start_on"].sort()
    assert found.landing["period_start_on"].unique().to_list() == [starts[5]]  # five before it, and it has closed
    actuals = company.calls.select("period_start_on", "scope", "actual_amount")
    scored = coverage(backtest_rows(found.landing, found.quantiles, actuals))
    assert scored["period_count"].unique().to_list() == [1]
    assert scored["verdict"].unique().to_list() == ["too_few"]
    assert set(scored["method"]) == {"deals", "call", "combined"}


def test_calls_with_empty_periods_have_no_logarithm_and_still_a_range() -> None:
    model = fit_call(np.array([100.0, 120, 80, 100, 90]), np.array([0.0, 130, 60, 0, 110]), 0.15)
    low, high = model.quantiles(100.0, np.array([0.1, 0.9]))
    assert model.offset == pytest.approx(24.5)
    assert low < 60 < high
