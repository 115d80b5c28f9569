"""Sourcing, process and data: told right where they are planted, silent where not, always exact to the cent."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from pipelines.engine.attribution import entries_of
from pipelines.engine.blame import EXPLAINING, blame
from pipelines.engine.explained import (
    HAND_OFF_LATE,
    WRONG,
    explained_misses,
    fractions_of,
    mantel_haenszel,
    parts_of,
    shared_cents,
)
from pipelines.outcome_contracts import EXPLANATIONS

STARTS = [date(2022 + n // 4, 1 + 3 * (n % 4), 1) for n in range(12)]
SOURCES = ("Event", "Inbound", "Outbound", "Partner", "Referral")


def company(
    seed: int,
    *,
    deals: int = 80,
    periods: int = 12,
    bad_source: float = 0.0,
    drift: float = 0.0,
    stale: float = 0.0,
    late: float = 0.0,
    shock: float = 0.08,
) -> pl.DataFrame:
    """Called deals of a company: each fails to close with chance 0.30, moved by the quarter's own shock, and by what is
    planted: ``bad_source`` for Outbound, ``drift`` for Proposal in the last four quarters, ``stale`` for records wrong
    at the lock (one in four), ``late`` for hand-offs after 30 days (one in five)."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, start in enumerate(STARTS[:periods]):
        luck = shock * rng.standard_normal()
        for number in range(deals):
            source, stage = SOURCES[rng.integers(5)], ("Negotiation", "Proposal")[rng.integers(2)]
            wrong, slow = rng.random() < 0.25, rng.random() < 0.2
            chance = 0.30 + luck + bad_source * (source == "Outbound") + stale * wrong + late * slow
            chance += drift * (stage == "Proposal" and place >= periods - 5)
            outcome = "won"
            if rng.random() < min(max(chance, 0.02), 0.98):
                outcome = ("lost", "no_decision", "open")[rng.integers(3)]
            amount = Decimal(int(rng.lognormal(3, 0.8) * 1e5)) / 100
            rows.append(
                {
                    "period_start_on": start,
                    "week_of_period": 3,
                    "opportunity_id": f"{place}-{number}",
                    "lock_owner_id": f"rep{number % 6}",
                    "end_owner_id": f"rep{number % 6}",
                    "weight_rate": 1.0,
                    "lock_amount": amount,
                    "end_amount": amount if outcome == "won" else None,
                    "end_amount_at_lock_rate": None,
                    "outcome": outcome,
                    "is_due": True,
                    "won_by_week": False,
                    "lead_source": source,
                    "lock_stage": stage,
                    "lock_close_on": start,
                    "lock_on": start,
                    "is_touched": not wrong,
                    "has_no_next_step": None,
                    "handoff_days": 45 if slow else 3,
                }
            )
    money = dict.fromkeys(("lock_amount", "end_amount", "end_amount_at_lock_rate"), pl.Decimal(18, 2))
    return pl.DataFrame(rows, schema_overrides=money | {"has_no_next_step": pl.Boolean, "handoff_days": pl.Int64})


def members_of(deals: pl.DataFrame) -> pl.DataFrame:
    people = deals.select("period_start_on", person_id="lock_owner_id").unique()
    team = pl.when(pl.col("person_id").is_in(["rep0", "rep1", "rep2"])).then(pl.lit("east")).otherwise(pl.lit("west"))
    scopes = (pl.lit("company"), pl.col("person_id"), team)
    return pl.concat([people.with_columns(scope=scope) for scope in scopes])


def claimed(deals: pl.DataFrame) -> set[tuple[str, str]]:
    """What is claimed of the last period."""
    fractions, _ = explained_misses(deals, members_of(deals), level=0.8)
    last = fractions.filter((pl.col("period_start_on") == STARTS[11]) & (pl.col("status") == "claimed"))
    return set(last.select("explanation", "value").rows())


PLANTED = {
    "bad source": ({"bad_source": 0.35}, ("lead_source", "Outbound")),
    "drift": ({"drift": 0.35}, ("stage", "Proposal")),
    "stale records": ({"stale": 0.30}, ("record", WRONG)),
    "late hand-offs": ({"late": 0.30}, ("hand_off", HAND_OFF_LATE)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(name: str) -> None:
    truth, value = PLANTED[name]
    found = [claimed(company(seed, **truth)) for seed in range(5)]
    assert sum(value in one for one in found) >= 4
    assert sum(bool(one - {value}) for one in found) <= 1


def test_where_nothing_differs_nothing_is_claimed_beyond_its_error() -> None:
    """Forty companies where no source, stage or record differs: at most one in twenty claims anything, with room for
    the forty being few (P(more than 5 | 40, 0.05) = 1.4 %)."""
    accused = sum(bool(claimed(company(1_000 + seed))) for seed in range(40))
    assert accused <= 5


def test_a_bad_source_is_not_taken_for_stale_records_or_a_drift() -> None:
    """Outbound fails more, and its records are the stale ones: compared within the source, the record is innocent."""
    deals = company(5, bad_source=0.35, deals=160)
    mixed = deals.with_columns(
        is_touched=pl.when(pl.col("lead_source") == "Outbound").then(False).otherwise("is_touched")
    )
    assert ("record", WRONG) not in claimed(mixed)


def test_the_fraction_recovers_what_was_planted() -> None:
    """0.30 against 0.65: 1 − 0.30 ÷ 0.65 = 54 % of what Outbound missed is its own."""
    deals = company(3, deals=400, bad_source=0.35, shock=0.03)
    fractions, _ = explained_misses(deals, members_of(deals), level=0.8)
    row = fractions.filter(
        (pl.col("period_start_on") == STARTS[11]) & (pl.col("value") == "Outbound") & (pl.col("status") == "claimed")
    ).row(0, named=True)
    assert row["lower"] < 1 - 0.30 / 0.65 < row["upper"]
    assert row["fraction"] == pytest.approx(1 - 0.30 / 0.65, abs=0.06)


def test_no_deal_of_the_period_itself_speaks() -> None:
    deals = company(2, bad_source=0.35)
    flipped = deals.with_columns(
        outcome=pl.when(pl.col("period_start_on") == STARTS[11]).then(pl.lit("lost")).otherwise("outcome")
    )
    one, other = (explained_misses(some, members_of(some), level=0.8)[0] for some in (deals, flipped))
    assert one.equals(other)


# The split


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**12), 10**12), st.lists(st.floats(0, 0.99), min_size=4, max_size=4)),
        min_size=1,
        max_size=20,
    )
)
def test_cents_add_up_in_every_deal_and_never_change_sign(rows: list[tuple[int, list[float]]]) -> None:
    cents = np.array([row[0] for row in rows], dtype=np.int64)
    shares = parts_of(np.array([row[1] for row in rows]))
    split = shared_cents(cents, shares)
    assert (split.sum(axis=1) == cents).all()
    assert ((split == 0) | (np.sign(split) == np.sign(cents)[:, None])).all()
    assert np.abs(split - cents[:, None] * shares).max() <= 1 + 1e-3


def test_the_share_is_the_average_over_every_order() -> None:
    """Shapley by enumeration of the 24 orders in which four explanations can be taken away."""
    fractions = np.array([[0.4, 0.1, 0.25, 0.5]])
    brute = np.zeros(4)
    for order in permutations(range(4)):
        left = 1.0
        for place in order:
            brute[place] += left * fractions[0, place] / 24
            left *= 1 - fractions[0, place]
    sourcing, process, data, rest = parts_of(fractions)[0]
    assert EXPLANATIONS == ("lead_source", "hand_off", "stage", "record")
    assert (sourcing, process, data) == pytest.approx((brute[0] + brute[1], brute[2], brute[3]))
    assert rest == pytest.approx(0.6 * 0.9 * 0.75 * 0.5)


def test_equal_reasons_have_equal_shares_and_no_reason_has_none() -> None:
    sourcing, process, data, rest = parts_of(np.array([[0.3, 0.0, 0.3, 0.3]]))[0]
    assert sourcing == pytest.approx(process) == pytest.approx(data)
    assert parts_of(np.zeros((1, 4))).tolist() == [[0.0, 0.0, 0.0, 1.0]]
    assert rest == pytest.approx(0.343)


def bridge_of(deals: pl.DataFrame, owners: list[str]) -> pl.DataFrame:
    """A bridge by hand, for the owners: their called deals' steps, and a call a third above them."""
    entries = entries_of(deals.filter(pl.col("lock_owner_id").is_in(owners)))
    cents = (
        entries.filter(pl.col("outcome") != "won")
        .group_by("period_start_on", cause="outcome_cause")
        .agg(amount=pl.col("outcome_cents").sum())
    )
    calls = entries.group_by("period_start_on").agg(call=pl.col("called_cents").sum() * 4 // 3)
    steps = cents.join(calls, on="period_start_on")
    judgement = calls.select("period_start_on", cause=pl.lit("judgement"), amount=-(pl.col("call") // 4), call="call")
    every = pl.concat([steps.select(judgement.columns), judgement])
    money = [(pl.col(name).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2)) for name in ("amount", "call")]
    return every.with_columns(money).rename({"call": "call_amount"}).with_columns(status=pl.lit("ok"))


def test_the_parts_of_every_scope_are_its_miss_to_the_cent_whatever_the_order() -> None:
    deals = company(4, bad_source=0.35, stale=0.3)
    members = members_of(deals)
    _, explained = explained_misses(deals, members, level=0.8)
    shuffled = deals.sample(fraction=1, shuffle=True, seed=1)
    assert explained.equals(explained_misses(shuffled, members.sample(fraction=1, shuffle=True, seed=2), level=0.8)[1])
    assert set(explained["scope"]) == {"company", "east", "west"}
    for scope, owners in (("company", [f"rep{n}" for n in range(6)]), ("east", ["rep0", "rep1", "rep2"])):
        bridge = bridge_of(deals, owners)
        of_scope = explained.filter(pl.col("scope") == scope)
        plain, split = blame(bridge, level=0.8, least=4), blame(bridge, of_scope, level=0.8, least=4)
        sums = [
            table.group_by("period_start_on").agg(pl.col("amount").sum()).sort("period_start_on")
            for table in (plain, split)
        ]
        assert sums[0].equals(sums[1])
        last = split.filter(pl.col("period_start_on") == STARTS[11]).rows_by_key("part", named=True, unique=True)
        assert last["sourcing"]["amount"] < 0
        assert last["data"]["claim_lower"] <= last["data"]["amount"] <= last["data"]["claim_upper"] <= 0
        assert last["deals"]["claim_lower"] is None
    parts = explained.filter(pl.col("period_start_on") == pl.col("of_period_start_on"))
    sides = dict(parts.group_by("scope").agg(pl.col("amount").sum()).iter_rows())
    assert sides["company"] == sides["east"] + sides["west"]


def test_a_source_that_was_always_weak_is_no_news() -> None:
    """Split by the same rates, earlier quarters lose to Outbound as much: sourcing takes its usual part."""
    inside = 0
    for seed in range(6):
        deals = company(20 + seed, bad_source=0.35, deals=160)
        _, explained = explained_misses(deals, members_of(deals), level=0.8)
        found = blame(
            bridge_of(deals, [f"rep{n}" for n in range(6)]), explained.filter(scope="company"), level=0.8, least=4
        )
        last = found.filter((pl.col("period_start_on") == STARTS[11]) & (pl.col("part") == "sourcing"))
        assert last["amount"][0] < 0
        inside += last["direction"][0] == "inside"
    assert inside >= 3


def test_a_drift_takes_nothing_of_the_periods_before_it() -> None:
    """Proposal fails more in the last quarters alone: what is usual for process is not made of the years before."""
    deals = company(4, drift=0.4, deals=160)
    assert ("stage", "Proposal") in claimed(deals)
    _, explained = explained_misses(deals, members_of(deals), level=0.8)
    last = explained.filter((pl.col("period_start_on") == STARTS[11]) & (pl.col("part") == "process"))
    assert last["of_period_start_on"].unique().sort().to_list() == STARTS[7:]


def test_amounts_scale_and_the_fractions_do_not_move() -> None:
    deals = company(6, stale=0.35)
    tenfold = deals.with_columns((pl.col(name) * 10).cast(pl.Decimal(18, 2)) for name in ("lock_amount", "end_amount"))
    one, ten = (explained_misses(some, members_of(some), level=0.8) for some in (deals, tenfold))
    assert one[0].equals(ten[0])
    gap = (one[1]["amount"].cast(pl.Float64) * 10 - ten[1]["amount"].cast(pl.Float64)).abs()
    assert gap.max() <= 0.1 * 80  # each deal's share is rounded to a cent before it is added


# The comparison


def test_the_pooled_ratio_by_another_road() -> None:
    """statsmodels pools Mantel–Haenszel risk ratios over the same tables."""
    tables = [np.array([[12, 18], [10, 40]]), np.array([[7, 3], [15, 20]]), np.array([[4, 9], [6, 30]])]
    n1, a = np.array([t[0].sum() for t in tables]), np.array([t[0, 0] for t in tables])
    n0, b = np.array([t[1].sum() for t in tables]), np.array([t[1, 0] for t in tables])
    found = mantel_haenszel(n1, a, n0, b)
    assert found is not None
    assert math.exp(found[0]) == pytest.approx(StratifiedTable(tables).riskratio_pooled)


def test_the_variance_by_pencil() -> None:
    """One stratum: Greenland and Robins' variance is 1/a − 1/n₁ + 1/b − 1/n₀ = 1/12 − 1/30 + 1/10 − 1/50."""
    found = mantel_haenszel(np.array([30]), np.array([12]), np.array([50]), np.array([10]))
    assert found is not None
    assert found[1] == pytest.approx(1 / 12 - 1 / 30 + 1 / 10 - 1 / 50)
    assert mantel_haenszel(np.array([30]), np.array([12]), np.array([50]), np.array([0])) is None


def test_the_variance_covers_the_pooled_ratio_as_often_as_it_says() -> None:
    """500 draws of eight quarters: the 80 % interval of the log ratio holds ln 1.5 within three standard errors."""
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(500):
        n1, n0 = rng.integers(8, 20, 8), rng.integers(30, 60, 8)
        base = rng.uniform(0.2, 0.5, 8)
        found = mantel_haenszel(n1, rng.binomial(n1, base * 1.5), n0, rng.binomial(n0, base))
        assert found is not None
        inside += abs(found[0] - math.log(1.5)) <= 1.2816 * math.sqrt(found[1])
    assert abs(inside / 500 - 0.8) < 3 * math.sqrt(0.16 / 500)


def test_too_little_says_so_and_claims_nothing() -> None:
    few = company(1, periods=3)
    assert explained_misses(few, members_of(few), level=0.8)[0].is_empty()
    thin = company(1, deals=4, bad_source=0.6)
    fractions, explained = explained_misses(thin, members_of(thin), level=0.8)
    assert set(fractions.filter(pl.col("explanation") == "lead_source")["status"]) <= {"too_few", "not_established"}
    assert explained.is_empty()
    nothing = company(1).clear()
    assert explained_misses(nothing, members_of(nothing), level=0.8)[1].is_empty()
    assert fractions_of(
        pl.DataFrame({"period_start_on": []}, schema={"period_start_on": pl.Date}), level=0.8
    ).is_empty()


def test_what_is_not_known_of_a_record_is_no_fault() -> None:
    unknown = company(1, stale=0.4).with_columns(
        is_touched=pl.lit(None, pl.Boolean), lock_close_on=pl.lit(None, pl.Date), handoff_days=pl.lit(None, pl.Int64)
    )
    fractions, _ = explained_misses(unknown, members_of(unknown), level=0.8)
    assert set(fractions["explanation"]) == {"lead_source", "stage"}
    assert len(EXPLAINING) == 3
