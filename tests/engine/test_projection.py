"""From the call to the number to carry: sums to the cent, shares by a second road, ends that keep their promise."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.engine.projection import Range, Share, Step, bridge, share_of_base, split_by_weight
from pipelines.engine.spans import landed_by_month, months_of, quarter_start, split_months

NO_SHARE = Share(None, None, None, None, None, 2, "not_enough_history")
BOOKS = ("bookings_lag", "bookings_breaks", "currency")


def share(estimate: float, half: float = 0.01, sd: float = 0.02) -> Share:
    return Share(estimate, estimate - half, estimate + half, 0.8, sd, 8, "ok")


def amounts(steps: list[Step]) -> dict[str, Decimal | None]:
    return {step.step: step.amount for step in steps}


def test_the_bridge_by_pencil() -> None:
    """1,000 called; calls land at 0.90, 0.04 of that by timing; the range's middle is 880; the books hold 1 % less lag,
    3 % breaks, 0.5 % rates of 880."""
    steps = bridge(
        call=Decimal("1000.00"),
        landing_rate=share(0.90, 0.05),
        timing=share(-0.04),
        landing=Range(Decimal("880.00"), Decimal("780.00"), Decimal("1000.00"), 0.8, 12),
        books={"bookings_lag": share(-0.01), "bookings_breaks": share(-0.03), "currency": share(0.005)},
        calls_land_as_booked=False,
    )
    assert {name: None if value is None else float(value) for name, value in amounts(steps).items()} == {
        "call": 1000, "lean": -60, "timing": -40, "deals": -20, "landing": 880,
        "bookings_lag": -8.8, "bookings_breaks": -26.4, "currency": 4.4, "carry": 849.2,
    }  # fmt: skip
    by_name = {step.step: step for step in steps}
    assert (by_name["lean"].lower, by_name["lean"].upper) == (Decimal("-110.00"), Decimal("-10.00"))
    # The range of the landing, 100 below and 120 above, and the books' scatter: three of 2 % of 880, of a ninth period
    # after eight, at 80 %.
    by_books = stats.t.ppf(0.9, 7) * 880 * math.sqrt(3 * (1 + 1 / 8)) * 0.02
    assert float(by_name["carry"].lower or 0) == pytest.approx(849.2 - math.hypot(100, by_books), abs=0.01)
    assert float(by_name["carry"].upper or 0) == pytest.approx(849.2 + math.hypot(120, by_books), abs=0.01)
    assert (by_name["carry"].period_count, by_name["carry"].status) == (8, "ok")


def test_where_calls_land_as_booked_the_books_are_taken_out_of_the_lean_and_not_added_twice() -> None:
    told = bridge(
        call=Decimal("1000.00"),
        landing_rate=share(0.90),
        timing=None,
        landing=Range(Decimal("880.00"), Decimal("780.00"), Decimal("1000.00"), 0.8, 12),
        books={"bookings_lag": share(-0.01), "bookings_breaks": share(-0.03), "currency": share(0.0)},
        calls_land_as_booked=True,
    )
    steps = amounts(told)
    carry = told[-1]
    assert (carry.lower, carry.upper, carry.period_count) == (Decimal("780.00"), Decimal("1000.00"), 12), (
        "and so is its scatter"
    )
    assert steps["carry"] == Decimal("880.00"), "the range is of bookings already"
    assert steps["landing"] == Decimal("915.20"), "what closes won, if 4 % of it never is booked in time"
    assert steps["lean"] == Decimal("-64.80")


@pytest.mark.parametrize(
    ("call", "rate", "landing", "total", "status"),
    [
        (None, share(0.9), Range(Decimal(80), Decimal(70), Decimal(90), 0.8, 9), Decimal("80.00"), "partial"),
        (Decimal(100), NO_SHARE, Range(Decimal(80), Decimal(70), Decimal(90), 0.8, 9), Decimal("80.00"), "partial"),
        (Decimal(100), share(0.9), None, Decimal("90.00"), "partial"),
        (Decimal(100), NO_SHARE, None, None, "none"),
        (None, NO_SHARE, None, None, "none"),
    ],
)
def test_what_is_not_known_is_left_out_and_said(
    call: Decimal | None, rate: Share, landing: Range | None, total: Decimal | None, status: str
) -> None:
    steps = bridge(
        call=call, landing_rate=rate, timing=None, landing=landing, books=dict.fromkeys(BOOKS, NO_SHARE),
        calls_land_as_booked=False,
    )  # fmt: skip
    told = {step.step: step for step in steps}
    assert (told["carry"].amount, told["carry"].status) == (total, status)
    assert all(told[name].status == "not_enough_history" for name in BOOKS)
    assert told["deals"].amount == (Decimal(-20) if call and landing else None)


rates = st.floats(-0.5, 0.5)


@settings(max_examples=200, deadline=None)
@given(
    call=st.integers(0, 10**11).map(lambda c: Decimal(c) / 100),
    middle=st.integers(0, 10**11).map(lambda c: Decimal(c) / 100),
    rate=st.floats(0.2, 1.8),
    moves=st.tuples(rates, rates, rates, rates),
    booked=st.booleans(),
)
def test_the_steps_add_up_to_the_cent_whatever_they_are(
    call: Decimal, middle: Decimal, rate: float, moves: tuple[float, float, float, float], booked: bool
) -> None:
    steps = amounts(
        bridge(
            call=call,
            landing_rate=share(rate),
            timing=share(moves[0]),
            landing=Range(middle, middle, middle, 0.8, 9),
            books={name: share(move) for name, move in zip(BOOKS, moves[1:], strict=True)},
            calls_land_as_booked=booked,
        )
    )
    known = {name: value for name, value in steps.items() if value is not None}
    assert known["call"] + known["lean"] + known["timing"] + known["deals"] == known["landing"]
    assert known["landing"] + sum(known[name] for name in BOOKS) == known["carry"]
    assert all(value == value.quantize(Decimal("0.01")) for value in known.values())
    if booked:
        assert known["carry"] == middle


def test_a_share_by_another_road() -> None:
    """The ratio estimator's t interval against the jackknife of the same ratio, which agrees for near-equal bases."""
    rng = np.random.default_rng(5)
    base = rng.uniform(900, 1100, 12)
    x = base * (-0.05 + rng.normal(0, 0.02, 12))
    found = share_of_base(x.tolist(), base.tolist(), level=0.8, least=4)
    left_out = np.array([(x.sum() - x[i]) / (base.sum() - base[i]) for i in range(12)])
    error = math.sqrt(11 / 12 * ((left_out - left_out.mean()) ** 2).sum())
    assert found.estimate == pytest.approx(x.sum() / base.sum())
    assert found.lower is not None
    assert found.upper is not None
    assert (found.upper - found.lower) / 2 == pytest.approx(stats.t.ppf(0.9, 11) * error, rel=0.03)


def test_intervals_of_a_share_cover_what_they_promise() -> None:
    """400 histories of ten quarters whose true share is −4 %: 80 % intervals hold it in 80 % ± 3 binomial errors."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        base = rng.uniform(500, 1500, 10)
        found = share_of_base((base * (-0.04 + rng.normal(0, 0.03, 10))).tolist(), base.tolist(), level=0.8, least=4)
        hits += found.lower is not None and found.upper is not None and found.lower <= -0.04 <= found.upper
    assert abs(hits / 400 - 0.8) < 3 * math.sqrt(0.8 * 0.2 / 400)


def test_too_few_periods_or_no_base_give_no_share() -> None:
    assert share_of_base([1.0] * 3, [10.0] * 3, level=0.8, least=4).status == "not_enough_history"
    assert share_of_base([1.0] * 6, [0.0] * 6, level=0.8, least=4).estimate is None
    wide, narrow = (share_of_base([1, 2, 3, 4], [9, 10, 11, 12], level=level, least=4) for level in (0.9, 0.5))
    assert (wide.upper or 0) > (narrow.upper or 1)


@given(st.integers(-(10**9), 10**9), st.lists(st.floats(0, 1000), min_size=1, max_size=5))
def test_a_split_adds_up_to_the_cent(cents: int, weights: list[float]) -> None:
    total = Decimal(cents) / 100
    shares = split_by_weight(total, weights)
    assert shares is None if sum(weights) <= 0 else sum(shares or []) == total


def test_months_hold_every_day_of_a_period_once_even_of_a_calendar_of_weeks() -> None:
    """A 52-week quarter from 1 February to 2 May: its parts are February, March, April and two days of May."""
    periods = pl.DataFrame({"period_start_on": [date(2026, 2, 1)], "period_end_on": [date(2026, 5, 2)]})
    months = months_of(periods)
    assert months["span_start_on"].to_list() == [date(2026, m, 1) for m in (2, 3, 4, 5)]
    assert months["span_end_on"].to_list()[-1] == date(2026, 5, 2)
    assert sum((end - start).days + 1 for start, end in months.select("span_start_on", "span_end_on").rows()) == 91


def test_a_month_with_an_amount_without_a_rate_is_unknown() -> None:
    periods = pl.DataFrame({"period_start_on": [date(2026, 1, 1)], "period_end_on": [date(2026, 3, 31)]})
    rows = pl.DataFrame(
        {
            "scope": ["company"] * 3,
            "on": [date(2026, 1, 5), date(2026, 2, 5), date(2026, 4, 1)],
            "amount": [Decimal("1.00"), None, Decimal("9.00")],
            "lacks_rate": [False, True, False],
        },
        schema_overrides={"amount": pl.Decimal(18, 2)},
    )
    found = landed_by_month(rows, months_of(periods), "on", "amount").sort("span_start_on")
    assert found["amount"].to_list() == [Decimal("1.00"), None]


def test_what_is_still_to_land_follows_the_close_dates_of_open_deals() -> None:
    """An overdue deal counts today; one due next quarter counts nowhere; 30 of 40 due in March."""
    months = months_of(pl.DataFrame({"period_start_on": [date(2026, 1, 1)], "period_end_on": [date(2026, 3, 31)]}))
    due = pl.DataFrame(
        {
            "close_on": [date(2026, 1, 20), date(2026, 3, 9), date(2026, 4, 1)],
            "expected_amount": [Decimal("10.00"), Decimal("30.00"), Decimal("500.00")],
        }
    )
    today = date(2026, 2, 10)
    assert split_months(months, still=Decimal("100.01"), due=due, today=today) == [
        Decimal("0.00"), Decimal("25.00"), Decimal("75.01"),
    ]  # fmt: skip
    assert split_months(months, still=Decimal("100.00"), due=due.tail(1), today=today) is None


@pytest.mark.parametrize(
    ("day", "first_month", "start"),
    [
        (date(2026, 2, 5), 2, date(2026, 2, 1)),
        (date(2026, 1, 31), 2, date(2025, 11, 1)),
        (date(2026, 12, 1), 1, date(2026, 10, 1)),
    ],
)
def test_fiscal_quarters(day: date, first_month: int, start: date) -> None:
    assert quarter_start(day, first_month) == start
