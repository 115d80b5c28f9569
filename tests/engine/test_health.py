"""Pipeline health, proven six ways: by pencil, another road, the literature, axiom, simulation, and at the edges."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from pipelines.contracts import MONEY
from pipelines.engine import health, shares
from pipelines.engine.health import Book
from pipelines.policy import DEFAULT_POLICY

PAST = tuple(date(2026 - (number > 2), (7, 4, 1, 10)[number], 1) for number in range(4))
NOW = date(2026, 10, 1)
LIVES: dict[str, Any] = {
    "opportunity_id": pl.String, "person_id": pl.String, "created_period_on": pl.Date, "closed_period_on": pl.Date,
    "outcome": pl.String, "amount": MONEY, "cycle_days": pl.Int64, "push_count": pl.Int64, "went_back": pl.Boolean,
    "sales_motion": pl.String, "lead_source": pl.String, "has_reason": pl.Boolean, "handoff_days": pl.Int64,
    "outcome_reason": pl.String,
    "is_inherited": pl.Boolean, "tenure_days": pl.Int64,
}  # fmt: skip
LOOKS: dict[str, Any] = {
    "period_start_on": pl.Date, "opportunity_id": pl.String, "sales_motion": pl.String, "age_days": pl.Int64,
    "person_id": pl.String, "stage": pl.String, "amount": MONEY, "is_due": pl.Boolean, "is_past_due": pl.Boolean,
    "slipped": pl.Boolean, "is_pushed": pl.Boolean, "has_no_next_step": pl.Boolean, "is_stalled": pl.Boolean,
}  # fmt: skip
MONEYS: dict[str, Any] = {"period_start_on": pl.Date, "person_id": pl.String, "amount": MONEY}
EXITS: dict[str, Any] = {
    "opportunity_id": pl.String, "stage": pl.String, "sales_motion": pl.String, "age_days": pl.Int64,
    "is_won_now": pl.Boolean,
}  # fmt: skip


def framed(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def life(number: int, outcome: str, closed: date | None = PAST[0], **more: Any) -> dict[str, Any]:
    usual = {"created_period_on": PAST[-1], "amount": Decimal(100), "push_count": 0, "has_reason": True}
    ended = {"outcome": outcome, "closed_period_on": closed, "is_inherited": False, "cycle_days": 30}
    return usual | ended | {"opportunity_id": f"d{number}", "person_id": "ann"} | more


def look(number: int, on: date = NOW, **more: Any) -> dict[str, Any]:
    usual = {"amount": Decimal(100), "is_due": True, "is_past_due": False, "age_days": 10, "stage": "Proposal"}
    return usual | {"opportunity_id": f"o{number}", "person_id": "ann", "period_start_on": on} | more


def book(
    lives: list[dict[str, Any]] | None = None,
    looks: list[dict[str, Any]] | None = None,
    *,
    closed: list[dict[str, Any]] | None = None,
    targets: list[dict[str, Any]] | None = None,
    exits: list[dict[str, Any]] | None = None,
    people: tuple[str, ...] = ("ann",),
    past: tuple[date, ...] = PAST,
) -> Book:
    members = [
        {"period_start_on": on, "person_id": person, "scope": scope}
        for on in (*PAST, NOW)
        for person in people
        for scope in ("company", f"boss of {person}")
    ]
    names = {"period_start_on": pl.Date, "person_id": pl.String, "scope": pl.String}
    return Book(
        lives=framed(lives or [], LIVES),
        looks=framed(looks or [], LOOKS),
        closed=framed(closed or [], MONEYS),
        targets=framed(targets or [], MONEYS),
        members=framed(members, names),
        exits=framed(exits or [], EXITS),
        now=NOW,
        past=past,
    )


def measured(made: Book, measure: str, item: str = "all", scope: str = "company") -> dict[str, Any]:
    table = health.pipeline_health(made, DEFAULT_POLICY)
    return table.row(
        by_predicate=(pl.col("measure") == measure) & (pl.col("item") == item) & (pl.col("scope") == scope), named=True
    )


# By pencil


def test_a_win_rate_by_count_and_by_money() -> None:
    # 3 won of 10; money: 3 × 200 of 3 × 200 + 7 × 100 = 600 of 1,300.
    lives = [life(n, "won", amount=Decimal(200)) for n in range(3)] + [life(n, "lost") for n in range(3, 10)]
    counted, weighed = (measured(book(lives), name) for name in ("win_rate_count", "win_rate_amount"))
    assert counted["estimate"] == pytest.approx(0.3)
    assert (counted["deal_count"], counted["hit_count"], counted["status"]) == (10, 3, "ok")
    assert counted["amount"] == Decimal(600)
    assert weighed["estimate"] == pytest.approx(600 / 1300)


def test_coverage_remaining_and_of_the_quota() -> None:
    # Quota 1,000, won 400, open and due 900: 900 ÷ 600 = 1.5 of what is missing, 1,300 ÷ 1,000 of all. What is due
    # later covers nothing of this period.
    made = book(
        looks=[*(look(n, amount=Decimal(300)) for n in range(3)), look(9, amount=Decimal(5000), is_due=False)],
        closed=[{"period_start_on": NOW, "person_id": "ann", "amount": Decimal(400)}],
        targets=[{"period_start_on": NOW, "person_id": "ann", "amount": Decimal(1000)}],
    )
    assert measured(made, "coverage_remaining")["estimate"] == pytest.approx(1.5)
    assert measured(made, "coverage_quota")["estimate"] == pytest.approx(1.3)
    assert measured(made, "coverage_remaining")["amount"] == Decimal(900)


def test_a_reached_quota_leaves_nothing_to_cover() -> None:
    made = book(
        looks=[look(1)],
        closed=[{"period_start_on": NOW, "person_id": "ann", "amount": Decimal(1000)}],
        targets=[{"period_start_on": NOW, "person_id": "ann", "amount": Decimal(1000)}],
    )
    row = measured(made, "coverage_remaining")
    assert (row["estimate"], row["status"]) == (None, "quota_reached")


def test_old_deals_are_those_four_in_five_won_deals_had_left_behind() -> None:
    # Won deals left Proposal at 10, 20, … 100 days: the 80th percentile (linear) is 82.
    exits = [
        {"opportunity_id": f"w{n}", "stage": "Proposal", "age_days": 10 * n, "is_won_now": True} for n in range(1, 11)
    ]
    assert health.ageing_limits(framed(exits, EXITS))["limit_days"].to_list() == pytest.approx([82.0])
    made = book(
        looks=[look(1, age_days=82), look(2, age_days=83), look(3, stage="Discovery", age_days=900)], exits=exits
    )
    row = measured(made, "ageing_rate")
    assert (row["hit_count"], row["deal_count"]) == (1, 2), "a stage no won deal has left has no limit"


def test_previous_periods_stand_beside_in_order() -> None:
    lives = []
    for place, on in enumerate(PAST):
        lives += [life(100 * place + n, "won" if n < place + 1 else "lost", on) for n in range(10)]
    row = measured(book(lives), "win_rate_count")
    assert [row[f"previous_{n}"] for n in (1, 2, 3, 4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert row["estimate"] == pytest.approx(0.25)
    assert row["period_start_on"] is None


def test_concentration() -> None:
    # 600, 100, 100, 100, 50, 50 of 1,000: the top five are 950; HHI .36 + 3 × .01 + 2 × .0025.
    assert shares.concentration([600, 100, 100, 100, 50, 50]) == pytest.approx((0.95, 0.395))
    row = measured(book(looks=[look(n, amount=Decimal(a)) for n, a in enumerate((600, 100, 100, 100, 50, 50))]), "hhi")
    assert row["estimate"] == pytest.approx(0.395)


def test_pushes_and_what_becomes_of_pushed_deals() -> None:
    lives = [life(n, "won" if n % 2 else "lost", push_count=n // 4) for n in range(16)]
    table = health.pipeline_health(book(lives), DEFAULT_POLICY).filter(
        pl.col("measure") == "win_rate_by_pushes", pl.col("scope") == "company"
    )
    assert table["item"].to_list() == ["0", "1", "2", "3 or more"]
    assert table["estimate"].to_list() == pytest.approx([0.5] * 4)
    assert set(table["status"]) == {"few_deals"}


def test_a_cohort_waits_until_its_deals_are_resolved() -> None:
    # The cohort of PAST[3] is resolved (2 of 10 won), that of PAST[2] half open: only the first is judged.
    lives = [life(n, "won" if n < 2 else "lost", created_period_on=PAST[3]) for n in range(10)]
    lives += [life(20 + n, "lost" if n < 5 else "open", created_period_on=PAST[2]) for n in range(10)]
    row = measured(book(lives), "win_rate_cohort")
    assert (row["estimate"], row["deal_count"], row["period_start_on"]) == (pytest.approx(0.2), 10, PAST[3])


# By another road


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilson_is_statsmodels(hits: int, more: int) -> None:
    trials = hits + more
    ours = shares.wilson([hits], [trials], 0.8)
    theirs = proportion_confint(hits, trials, alpha=0.2, method="wilson")
    assert (ours[0][0], ours[1][0]) == pytest.approx(theirs, abs=1e-12)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_medians_interval_is_the_narrowest_pair_that_holds(values: list[int], level: float) -> None:
    middle, lower, upper = shares.median_interval(values, level)
    assert middle == np.median(values)
    ordered, tail, n = sorted(values), (1 - level) / 2, len(values)
    places = [place for place in range(n // 2 + 1) if stats.binom.cdf(place, n, 0.5) <= tail]
    if not places:
        assert (lower, upper) == (None, None)
    else:
        assert (lower, upper) == (ordered[places[-1]], ordered[n - 1 - places[-1]])


def test_inflation_is_pearsons_over_its_degrees_of_freedom() -> None:
    won, trials = np.array([10, 30, 20, 40]), np.array([50, 60, 70, 80])
    table = np.vstack([won, trials - won])
    x2 = stats.chi2_contingency(table, correction=False).statistic
    assert shares.inflation(won, trials) == pytest.approx(x2 / 3)


# By the literature


def test_wilsons_interval_of_six_of_eight() -> None:
    # R: binom::binom.confint(6, 8, methods = "wilson"), quoted in methods.md section 3.6.
    lower, upper = shares.wilson([6, 8], [8, 8], 0.95)
    assert lower == pytest.approx([0.40928, 0.67559], abs=5e-6)
    assert upper == pytest.approx([0.92852, 1.0], abs=5e-6)


# By axiom


def test_row_order_currency_and_the_scope_of_a_single_boss_change_nothing() -> None:
    random = np.random.default_rng(5)
    lives = [
        life(
            n,
            str(random.choice(["won", "lost", "no_decision"])),
            PAST[n % 4],
            amount=Decimal(int(random.integers(1, 900))),
        )
        for n in range(120)
    ]
    table = health.pipeline_health(book(lives), DEFAULT_POLICY)
    mixed = health.pipeline_health(book([lives[n] for n in random.permutation(120)]), DEFAULT_POLICY)
    dear = health.pipeline_health(book([row | {"amount": row["amount"] * 7} for row in lives]), DEFAULT_POLICY)
    numbers = ["estimate", "lower", "upper", "previous_1"]
    for other in (mixed, dear):
        for name in numbers:
            np.testing.assert_allclose(other[name].to_numpy(), table[name].to_numpy(), atol=1e-9)
    boss = table.filter(pl.col("scope") == "boss of ann").drop("scope")
    assert boss.equals(table.filter(pl.col("scope") == "company").drop("scope"))


def test_teams_hits_add_up_to_the_companys() -> None:
    lives = [life(n, "won" if n % 3 else "lost", PAST[n % 4], person_id=("ann", "bo")[n % 2]) for n in range(60)]
    table = health.pipeline_health(book(lives, people=("ann", "bo")), DEFAULT_POLICY)
    rows = table.filter(pl.col("measure") == "win_rate_count").select("scope", "hit_count", "deal_count")
    parts = rows.filter(pl.col("scope") != "company").sum()
    whole = rows.filter(pl.col("scope") == "company")
    assert parts.select("hit_count", "deal_count").row(0) == whole.select("hit_count", "deal_count").row(0)


def test_periods_that_differ_beyond_chance_widen_the_interval() -> None:
    steady = [life(100 * p + n, "won" if n < 10 else "lost", on) for p, on in enumerate(PAST) for n in range(20)]
    wild = [
        life(100 * p + n, "won" if n < (2, 18, 2, 18)[p] else "lost", on)
        for p, on in enumerate(PAST)
        for n in range(20)
    ]
    calm, jumpy = (measured(book(lives), "win_rate_count") for lives in (steady, wild))
    assert calm["estimate"] == jumpy["estimate"] == pytest.approx(0.5)
    assert jumpy["upper"] - jumpy["lower"] > 2 * (calm["upper"] - calm["lower"])


# By simulation


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    hits = random.binomial(60, 0.3, 2000)
    lower, upper = shares.wilson(hits, np.full(2000, 60), 0.8)
    held = float(((lower <= 0.3) & (upper >= 0.3)).mean())
    assert 0.76 < held < 0.86
    inside = []
    for _ in range(500):
        _, low, high = shares.median_interval(random.lognormal(4, 0.8, 25), 0.8)
        assert low is not None
        assert high is not None
        inside.append(low <= np.exp(4) <= high)
    assert 0.78 < np.mean(inside) < 0.93, "an order statistic cannot hit the level exactly, and errs to the wide side"


def test_shared_luck_of_periods_is_allowed_for() -> None:
    # Rates jump between .2 and .5 from period to period; the mean is .35. Without the inflation the 80 % interval of
    # 4 × 100 deals would hold it in half of the runs.
    random = np.random.default_rng(3)
    held, naive = [], []
    for _ in range(400):
        trials = np.full(4, 100)
        won = random.binomial(trials, random.uniform(0.2, 0.5, 4))
        phi = shares.inflation(won, trials)
        n = trials.sum() / phi
        low, high = shares.wilson([won.sum() / phi], [n], 0.8, [3.0 if phi > 1 else np.inf])
        held.append(low[0] <= 0.35 <= high[0])
        low, high = shares.wilson([won.sum()], [trials.sum()], 0.8)
        naive.append(low[0] <= 0.35 <= high[0])
    assert np.mean(naive) < 0.55
    assert 0.74 < np.mean(held) < 0.88


def test_reasons_of_deals_not_won_by_pencil() -> None:
    """Twelve lost, of which two say nothing: six and four of the ten that speak; wins and silence are no part of it."""
    lives = [life(n, "lost", outcome_reason="Price") for n in range(6)]
    lives += [life(n, "no_decision", outcome_reason="Timing") for n in range(6, 10)]
    lives += [life(n, "lost", has_reason=False) for n in range(10, 12)]
    lives += [life(n, "won", outcome_reason="Great demo", is_inherited=n % 2 == 0) for n in range(12, 20)]
    table = health.pipeline_health(book(lives), DEFAULT_POLICY).filter(pl.col("scope") == "company")
    reasons = table.filter(pl.col("measure") == health.REASONS).sort("estimate", descending=True)
    assert reasons.select("item", "estimate", "hit_count", "deal_count").rows() == [
        ("Price", 0.6, 6, 10),
        ("Timing", 0.4, 4, 10),
    ]
    assert (reasons["lower"] < reasons["estimate"]).all()
    assert (reasons["upper"] > reasons["estimate"]).all()
    silent = table.row(by_predicate=pl.col("measure") == "missing_reason_rate", named=True)
    assert (silent["hit_count"], silent["deal_count"]) == (2, 12)
    inherited = table.row(by_predicate=pl.col("measure") == "inherited_rate", named=True)
    assert (inherited["hit_count"], inherited["deal_count"], inherited["estimate"]) == (4, 20, 0.2)


def test_rare_reasons_are_told_together_and_add_up() -> None:
    lives = [life(n, "lost", outcome_reason=f"reason {n % 11:02d}") for n in range(44)]
    table = health.pipeline_health(book(lives), DEFAULT_POLICY).filter(pl.col("scope") == "company")
    reasons = table.filter(pl.col("measure") == health.REASONS)
    assert reasons.height == health.MOST_ITEMS + 1
    assert reasons["estimate"].sum() == pytest.approx(1.0)
    assert health.OTHER_REASONS in reasons["item"].to_list()


# At the edges


def test_nothing_at_all_says_why_in_every_scope() -> None:
    table = health.pipeline_health(book(), DEFAULT_POLICY)
    assert table.height == 2 * len(health.MEASURES)
    assert table["estimate"].null_count() == table.height
    assert set(table["deal_count"]) == {0}
    told = dict(table.filter(pl.col("scope") == "company").select("measure", "status").iter_rows())
    assert told["win_rate_count"] == "no_deals"
    assert told["ageing_rate"] == "not_recorded"
    assert told["no_next_step_rate"] == "not_recorded"


def test_what_no_export_records_is_not_a_rate_of_zero() -> None:
    row = measured(book(looks=[look(n) for n in range(20)]), "stalled_rate")
    assert (row["estimate"], row["deal_count"], row["status"]) == (None, 0, "not_recorded")


def test_no_quota_is_no_coverage() -> None:
    row = measured(book(looks=[look(1)]), "coverage_remaining")
    assert (row["estimate"], row["status"]) == (None, "no_quota")


def test_nobody_at_all_gives_no_rows() -> None:
    made = book()
    nobody = Book(made.lives, made.looks, made.closed, made.targets, made.members.clear(), made.exits, None, ())
    assert health.pipeline_health(nobody, DEFAULT_POLICY).is_empty()


def test_one_deal_and_all_equal_amounts() -> None:
    row = measured(book([life(1, "won")]), "win_rate_count")
    assert (row["estimate"], row["status"]) == (1.0, "few_deals")
    assert row["lower"] < 0.5
    assert shares.concentration([5, 5, 5, 5]) == pytest.approx((1.0, 0.25))
    assert shares.concentration([0, 0]) is None
    assert shares.effective_count([3, 3, 3]) == pytest.approx(3)
    assert shares.effective_count([]) == 0
    with pytest.raises(ValueError, match="median"):
        shares.median_interval([], 0.8)


def test_what_a_company_never_writes_down_is_not_a_share_of_none() -> None:
    lives = [life(n, "won" if n % 2 else "lost") for n in range(20)]
    looks = [look(n, is_pushed=False, slipped=None) for n in range(20)] + [look(90, PAST[0], slipped=False)]
    silent = {name: measured(book(lives, looks), name) for name in ("no_decision_rate", "pushed_rate", "slipped_rate")}
    assert {row["status"] for row in silent.values()} == {"not_recorded"}
    assert {row["estimate"] for row in silent.values()} == {None}
    told = [*lives, life(50, "no_decision", push_count=2)]
    assert measured(book(told, looks), "no_decision_rate")["estimate"] == pytest.approx(1 / 21)
    assert measured(book(told, looks), "pushed_rate")["estimate"] == 0
    assert measured(book(told, looks), "slipped_rate")["estimate"] == 0
