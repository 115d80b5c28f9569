"""The bridge from call to actual, proven. ``attribution_deals.csv`` is our own eleven deals, its parts added by hand.

There is no estimate here, so "by simulation" is a property over random books of deals: the residual is exactly 0.
"""

from __future__ import annotations

import itertools
import math
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from pipelines.contracts import MONEY
from pipelines.engine import attribution, luck
from pipelines.errors import EditionError

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
START, END = date(2025, 1, 1), date(2025, 3, 31)
DEAL_SCHEMA = {
    "period_start_on": pl.Date,
    "week_of_period": pl.Int64,
    "opportunity_id": pl.String,
    "lock_owner_id": pl.String,
    "end_owner_id": pl.String,
    "weight_rate": pl.Float64,
    "lock_amount": MONEY,
    "end_amount": MONEY,
    "end_amount_at_lock_rate": MONEY,
    "outcome": pl.String,
    "is_due": pl.Boolean,
}


@pytest.fixture(scope="module")
def deals() -> pl.DataFrame:
    vector = pl.read_csv(VECTORS / "attribution_deals.csv", try_parse_dates=True)
    is_late_win = (pl.col("outcome") == "won") & (pl.col("close_end") > END)
    return vector.select(
        period_start_on=pl.lit(START),
        week_of_period=pl.lit(3, pl.Int64),
        opportunity_id="deal",
        lock_owner_id="owner_call",
        end_owner_id="owner_end",
        weight_rate=pl.col("weight").cast(pl.Float64) * pl.col("in_call"),
        lock_amount=pl.col("amount_call").cast(MONEY),
        end_amount=pl.col("amount_end").cast(MONEY),
        end_amount_at_lock_rate=pl.lit(None, MONEY),
        outcome=pl.when(is_late_win).then(pl.lit("open")).otherwise(pl.col("outcome")),
        is_due=pl.col("close_call") <= END,
    )


def members(*people: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(people, schema=["person_id", "scope"], orient="row").with_columns(period_start_on=pl.lit(START))


TEAM = members(("ann", "company"), ("bob", "company"), ("ann", "ann"), ("bob", "bob"))


def calls(**amounts: object) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"scope": list(amounts), "call_amount": [None if a is None else Decimal(str(a)) for a in amounts.values()]}
    )
    return frame.select(
        "scope",
        pl.col("call_amount").cast(MONEY),
        period_start_on=pl.lit(START),
        week_of_period=pl.lit(3, pl.Int64),
    )


def steps(table: pl.DataFrame, scope: str = "company") -> dict[str, float]:
    part = table.filter(pl.col("scope") == scope, pl.col("amount") != 0)
    return {cause: float(amount) for cause, amount in part.select("cause", "amount").iter_rows()}


def residuals(table: pl.DataFrame) -> list[Decimal]:
    bridge = table.group_by("scope").agg(
        pl.col("amount").sum(), pl.col("call_amount").first(), pl.col("actual_amount").first()
    )
    return [row["call_amount"] + row["amount"] - row["actual_amount"] for row in bridge.iter_rows(named=True)]


# By pencil and by the vector


def test_the_companys_bridge(deals: pl.DataFrame) -> None:
    table = attribution.miss_attribution(deals, calls(company=520000, ann=385000, bob=170000), TEAM)
    assert steps(table) == {
        "lost": -50000,
        "no_decision": -40000,
        "pushed_out": -155000,
        "shrunk": -15000,
        "grew": 12000,
        "left_out": 30000,
        "pulled_in": 85000,
        "created_and_won": 22000,
        "judgement": 35000,
    }
    company = table.filter(pl.col("scope") == "company")
    assert company["cause"].to_list() == list(attribution.CAUSES)
    assert [float(company[name][0]) for name in ("call_amount", "rollup_amount", "actual_amount")] == [
        520000,
        555000,
        444000,
    ]
    assert residuals(table) == [Decimal(0)] * 3


def test_the_bridge_of_each_owner(deals: pl.DataFrame) -> None:
    table = attribution.miss_attribution(deals, calls(company=520000, ann=385000, bob=170000), TEAM)
    assert steps(table, "ann") == {"shrunk": -15000, "lost": -50000, "pushed_out": -155000, "transferred": 155000}
    assert steps(table, "bob") == {
        "no_decision": -40000,
        "grew": 12000,
        "left_out": 30000,
        "pulled_in": 85000,
        "created_and_won": 22000,
        "transferred": -155000,
    }
    actuals = table.filter(pl.col("cause") == "lost").select("scope", pl.col("actual_amount").cast(pl.Float64))
    assert dict(actuals.iter_rows()) == {"ann": 320000, "bob": 124000, "company": 444000}


def one_deal(**changes: object) -> pl.DataFrame:
    row: dict[str, object] = {
        "period_start_on": START,
        "week_of_period": 3,
        "opportunity_id": "D",
        "lock_owner_id": "ann",
        "end_owner_id": "ann",
        "weight_rate": 1.0,
        "lock_amount": Decimal("100.00"),
        "end_amount": Decimal("100.00"),
        "end_amount_at_lock_rate": None,
        "outcome": "won",
        "is_due": True,
    }
    return pl.DataFrame([row | changes], schema=DEAL_SCHEMA)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"end_amount": Decimal("80.01")}, {"shrunk": -19.99}),
        # Euro deal: 90 at the lock's rate, 99 at the close's: shrank by 10, 9 more by the rate.
        (
            {"end_amount": Decimal(99), "end_amount_at_lock_rate": Decimal(90)},
            {"shrunk": -10.0, "currency": 9.0},
        ),
        # Called at 30 % of 100, won at 110: 70 was left out, 10 grew.
        ({"weight_rate": 0.3, "end_amount": Decimal(110)}, {"left_out": 70.0, "grew": 10.0}),
        ({"weight_rate": 0.3, "outcome": "lost"}, {"lost": -30.0}),
        ({"lock_amount": None}, {"left_out": 100.0}),
        ({"weight_rate": None}, {"left_out": 100.0}),
        ({"weight_rate": 0.0, "is_due": False}, {"pulled_in": 100.0}),
        ({"weight_rate": 0.0, "is_due": None}, {"pulled_in": 100.0}),
        ({"end_amount": None}, {"shrunk": -100.0}),
        ({"outcome": "open", "end_amount": None}, {"pushed_out": -100.0}),
        ({"lock_owner_id": None, "lock_amount": None, "weight_rate": 0.0}, {"created_and_won": 100.0}),
    ],
)
def test_one_deal_takes_one_road(changes: dict[str, object], expected: dict[str, float]) -> None:
    deal = one_deal(**changes)
    rollup = attribution.miss_attribution(deal, calls(ann=0), TEAM)["rollup_amount"][0]
    table = attribution.miss_attribution(deal, calls(ann=rollup), TEAM)
    assert steps(table, "ann") == expected
    assert residuals(table) == [Decimal(0)]


def test_an_owner_who_changes_teams_takes_the_deal_along() -> None:
    before = members(("ann", "company"), ("ann", "east"))
    after = members(("ann", "company"), ("ann", "west"))
    table = attribution.miss_attribution(one_deal(), calls(company=100, east=100, west=0), before, after)
    assert steps(table, "east") == {"transferred": -100}
    assert steps(table, "west") == {"transferred": 100}
    assert steps(table) == {}
    assert residuals(table) == [Decimal(0)] * 3


# By axiom, over random books of deals


PEOPLE = ("ann", "bob", "cem")
ORG = members(
    *itertools.product(PEOPLE, ["company"]), *zip(PEOPLE, PEOPLE, strict=True), ("ann", "east"), ("bob", "east")
)
money = st.integers(-10_000, 10**13).map(lambda cents: Decimal(cents) / 100)
books = st.lists(
    st.fixed_dictionaries(
        {
            "lock_owner_id": st.sampled_from((*PEOPLE, None)),
            "end_owner_id": st.sampled_from(PEOPLE),
            "weight_rate": st.sampled_from([0.0, 1.0, 1.0, None]) | st.floats(0, 1),
            "lock_amount": money | st.none(),
            "end_amount": money | st.none(),
            "end_amount_at_lock_rate": money | st.none(),
            "outcome": st.sampled_from(attribution.OUTCOMES),
            "is_due": st.sampled_from([True, False, None]),
        }
    ),
    max_size=8,
)


def book_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    fixed = {"period_start_on": START, "week_of_period": 3}
    return pl.DataFrame([fixed | {"opportunity_id": f"D{n}"} | row for n, row in enumerate(rows)], schema=DEAL_SCHEMA)


@settings(max_examples=80, deadline=None)
@given(books, money)
def test_the_residual_is_exactly_nothing(rows: list[dict[str, object]], call: Decimal) -> None:
    book = book_of(rows)
    scopes = ("company", *PEOPLE, "east")
    table = attribution.miss_attribution(book, calls(**dict.fromkeys(scopes, call)), ORG)
    assert residuals(table) == [Decimal(0)] * len(scopes)
    # Both ends of the bridge are the very amounts that came in, not numbers near them.
    assert set(table["call_amount"]) == {call}
    won = [row["end_amount"] for row in rows if row["outcome"] == "won" and row["end_amount"] is not None]
    assert table.filter(pl.col("scope") == "company")["actual_amount"][0] == sum(won)
    company = table.filter(pl.col("scope") == "company", pl.col("cause") == "transferred")
    assert company["amount"].to_list() == [Decimal(0)]
    # The people's bridges, judgement apart, are the company's.
    causes = table.filter(pl.col("cause") != "judgement")
    whole = causes.filter(pl.col("scope") == "company").select("cause", "amount")
    parts = (
        causes.filter(pl.col("scope").is_in(PEOPLE)).group_by("cause", maintain_order=True).agg(pl.col("amount").sum())
    )
    assert dict(parts.iter_rows()) == dict(whole.iter_rows())


@settings(max_examples=40, deadline=None)
@given(books)
def test_every_cut_is_exact_and_adds_up(rows: list[dict[str, object]]) -> None:
    book = book_of(rows).with_columns(lead_source=pl.col("opportunity_id").replace({"D0": "web", "D1": None}))
    table = attribution.miss_attribution(book, calls(company=0), ORG)
    whole = {cause: amount for cause, amount in table.select("cause", "amount").iter_rows() if cause != "judgement"}
    for by in ("lead_source", "owner_id"):
        cut = attribution.attribution_cut(book, by)
        tied = cut.group_by("value").agg(
            (pl.col("rollup_amount").first() + pl.col("amount").sum() - pl.col("actual_amount").first()).alias(
                "residual"
            )
        )
        assert set(tied["residual"]) <= {Decimal(0)}
        summed = dict(cut.group_by("cause").agg(pl.col("amount").sum()).iter_rows())
        assert summed == whole if rows else summed == {}


def test_row_order_is_irrelevant_and_each_deal_counts_once(deals: pl.DataFrame) -> None:
    asked = calls(company=520000)
    table = attribution.miss_attribution(deals, asked, TEAM)
    shuffled = attribution.miss_attribution(deals.sample(fraction=1, shuffle=True, seed=4), asked, TEAM)
    pl.testing.assert_frame_equal(table, shuffled)
    outcomes = table.filter(~pl.col("cause").is_in(["judgement", "transferred", "currency"]))
    # D1 and D10 landed as called; the other nine each took one road.
    assert outcomes["deal_count"].sum() == 9


# At the edges


def test_a_scope_without_a_call_or_deals(deals: pl.DataFrame) -> None:
    table = attribution.miss_attribution(deals, calls(ann=None, nobody=50), TEAM)
    ann = table.filter(pl.col("scope") == "ann")
    assert set(ann["status"]) == {"no_call"}
    assert ann.filter(pl.col("cause") == "judgement")["amount"].to_list() == [None]
    assert steps(table, "nobody") == {"judgement": -50}
    assert attribution.miss_attribution(deals.clear(), calls(company=None).clear(), TEAM).is_empty()


def test_deals_that_would_fall_out_of_the_bridge_are_refused() -> None:
    with pytest.raises(EditionError, match="eve owns deal D but belongs to no scope"):
        attribution.miss_attribution(one_deal(end_owner_id="eve"), calls(company=1), TEAM)
    with pytest.raises(EditionError, match="'maybe', which is none of"):
        attribution.miss_attribution(one_deal(outcome="maybe"), calls(company=1), TEAM)
    with pytest.raises(EditionError, match="has no owner"):
        attribution.miss_attribution(one_deal(end_owner_id=None), calls(company=1), TEAM)


# Luck


def test_luck_by_pencil() -> None:
    # Two deals of 100 at ½: expected 100, variance 2·¼·100² = 5000, sd 70.71; one won: z 0.
    book = pl.concat([one_deal(), one_deal(opportunity_id="E", outcome="lost")])
    table = luck.luck(book.with_columns(probability_rate=pl.lit(0.5)), TEAM, ["company"], factor_sd=0.0)
    row = table.row(0, named=True)
    assert (float(row["expected_amount"]), float(row["won_amount"]), row["z"]) == (100.0, 100.0, 0.0)
    assert float(row["allowance_sd_amount"]) == 70.71
    assert row["direction"] == "inside"


def test_the_shared_shock_widens_the_allowance_and_leaves_a_single_deal_alone() -> None:
    assert luck.landed_variance([0.3], [10.0], 0.4) == pytest.approx(0.21 * 100)
    p, a = [0.3, 0.5, 0.7], [10.0, 20.0, 30.0]
    assert luck.landed_variance(p, a, 0.3) > luck.landed_variance(p, a, 0.0)
    assert luck.landed_variance(p, np.multiply(a, 7), 0.3) == pytest.approx(49 * luck.landed_variance(p, a, 0.3))


def test_landed_variance_is_the_exact_one_to_first_order() -> None:
    """Exact variance of Σ a·won under P(z) = Φ(Φ⁻¹(p)√(1+s²) + s·z), integrated over z."""
    p, a, s = np.array([0.2, 0.5, 0.6, 0.8] * 10), np.array([1.0, 3.0, 2.0, 5.0] * 10), 0.2

    def given_z(z: float) -> tuple[float, float]:
        chance = stats.norm.cdf(stats.norm.ppf(p) * math.sqrt(1 + s * s) + s * z)
        return float(a @ chance), float((a**2 * chance * (1 - chance)).sum())

    density = stats.norm.pdf
    mean = integrate.quad(lambda z: given_z(z)[0] * density(z), -8, 8)[0]
    exact = integrate.quad(lambda z: (given_z(z)[1] + (given_z(z)[0] - mean) ** 2) * density(z), -8, 8)[0]
    assert mean == pytest.approx(float(p @ a), abs=1e-6)
    assert luck.landed_variance(p, a, s) == pytest.approx(exact, rel=0.06)


def test_true_probabilities_stay_inside_nine_times_in_ten() -> None:
    """600 quarters of 60 deals with a shared shock of .25: 90 % inside an allowance that knows it, far less without."""
    rng = np.random.default_rng(7)
    p, a = rng.uniform(0.2, 0.9, 60), rng.lognormal(10, 0.7, 60)
    z = rng.standard_normal((600, 1))
    won = rng.random((600, 60)) < stats.norm.cdf(stats.norm.ppf(p) * math.sqrt(1 + 0.25**2) + 0.25 * z)
    landed = won @ a - p @ a
    share = {s: np.mean(np.abs(landed) <= 1.645 * math.sqrt(luck.landed_variance(p, a, s))) for s in (0.0, 0.25)}
    assert abs(share[0.25] - 0.9) < 3 * math.sqrt(0.09 / 600)
    assert share[0.0] < 0.75


def test_luck_says_when_it_cannot_tell() -> None:
    book = pl.concat([one_deal(), one_deal(opportunity_id="E")])
    unrated = luck.luck(book.with_columns(probability_rate=pl.lit(None, pl.Float64)), TEAM, ["ann"], factor_sd=0.2)
    certain = luck.luck(book.with_columns(probability_rate=pl.lit(1.0)), TEAM, ["ann"], factor_sd=0.2)
    assert (unrated["status"][0], unrated["z"][0], unrated["unrated_count"][0]) == ("no_probability", None, 2)
    assert (certain["status"][0], certain["direction"][0]) == ("certain", None)
    assert luck.luck(book.with_columns(probability_rate=pl.lit(0.5)), TEAM, ["nobody"], factor_sd=0.2).is_empty()


# Shares of the error


ERRORS = [[4, -1, 5, -3, 2, 3, -4, 1], [2, -2, 4, -1, -1, 4, 1, 3], [3, -2, 1, -4, 1, 2, 2, -1]]


def error_frame(errors: list[list[int | None]]) -> pl.DataFrame:
    rows = [
        (f"r{i}", date(2020 + t // 4, 1 + 3 * (t % 4), 1), e) for i, row in enumerate(errors) for t, e in enumerate(row)
    ]
    frame = pl.DataFrame(rows, schema=["forecaster_id", "period_start_on", "error_amount"], orient="row")
    return frame.with_columns(pl.col("error_amount").cast(MONEY))


def test_euler_shares_are_shapley_values() -> None:
    """Shapley by enumeration of all orders; by hand in the vector: [19.125, 14.75, 11.75] of 45.625."""
    table = luck.error_shares(error_frame(ERRORS))
    e = np.array(ERRORS, dtype=float)

    def worth(group: tuple[int, ...]) -> float:
        return float((e[list(group)].sum(axis=0) ** 2).mean()) if group else 0.0

    shapley = np.zeros(3)
    for order in itertools.permutations(range(3)):
        for position, player in enumerate(order):
            shapley[player] += (worth(order[: position + 1]) - worth(order[:position])) / math.factorial(3)
    assert table["share_amount2"].to_list() == pytest.approx(shapley.tolist())
    assert shapley.tolist() == pytest.approx([19.125, 14.75, 11.75])
    assert table["share_rate"].sum() == pytest.approx(1.0)


def test_shares_at_the_edges() -> None:
    assert luck.error_shares(error_frame([]).clear()).is_empty()
    silent = luck.error_shares(error_frame([[4, None], [2, -2]]))
    assert silent["period_count"].to_list() == [1, 2]
    assert silent["share_amount2"].sum() == pytest.approx((36 + 4) / 2)
    assert silent["latest_error_amount"].to_list() == [None, Decimal("-2.00")]
    perfect = luck.error_shares(error_frame([[0, 0], [0, 0]]))
    assert perfect["share_rate"].to_list() == [None, None]
