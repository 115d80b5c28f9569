"""What the call in force is worth: by pencil, by axiom, at the edges."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from pipelines.engine.expectation import (
    RECORD_SCHEMA,
    callers,
    expectation,
    in_scope,
    is_within,
    kept_rates,
    record,
    share_of,
    summarise,
    total,
)

PAIR_SCHEMA = {
    "forecaster_id": pl.String,
    "period_start_on": pl.Date,
    "period_end_on": pl.Date,
    "forecast_amount": pl.Decimal(18, 2),
    "actual_amount": pl.Decimal(18, 2),
    "status": pl.String,
}
QUARTERS = [
    (date(2025, 1, 1), date(2025, 3, 31)),
    (date(2025, 4, 1), date(2025, 6, 30)),
    (date(2025, 7, 1), date(2025, 9, 30)),
    (date(2025, 10, 1), date(2025, 12, 31)),
    (date(2026, 1, 1), date(2026, 3, 31)),
]


def pairs(rows: list[tuple[str, int, str | None, str | None, str]]) -> pl.DataFrame:
    """(forecaster, index of quarter, call, landed, status) as forecast pairs."""
    return pl.DataFrame(
        [
            (who, *QUARTERS[quarter], call and Decimal(call), landed and Decimal(landed), status)
            for who, quarter, call, landed, status in rows
        ],
        schema=PAIR_SCHEMA,
        orient="row",
    )


FIVE = pairs(
    [
        ("ann", 0, "100", "80", "closed"),
        ("ann", 1, "100", "100", "closed"),
        ("ann", 2, "100", "120", "closed"),
        ("ann", 3, "100", "90", "closed"),
        ("ann", 4, "100", "100", "closed"),
        ("bob", 4, None, "50", "no_call"),
    ]
)


def test_expectation_is_the_call_times_the_landing_rate_in_cents() -> None:
    # 23,400,000.05 × 0.91 = 21,294,000.0455
    worth = expectation(
        call_amount=Decimal("23400000.05"), estimate=0.91, lower=0.88, upper=0.95, level=0.8, has_history=True
    )
    assert worth.expected_amount == Decimal("21294000.05")
    assert (worth.lower_amount, worth.upper_amount) == (Decimal("20592000.04"), Decimal("22230000.05"))
    assert worth.status == "ok"


def test_expectation_says_nothing_without_history_or_call() -> None:
    alone = expectation(call_amount=Decimal(5), estimate=0.9, lower=None, upper=None, level=0.8, has_history=True)
    assert (alone.status, alone.expected_amount, alone.estimate) == ("not_enough_history", None, None)
    young = expectation(call_amount=Decimal(5), estimate=0.9, lower=0.8, upper=1.0, level=0.8, has_history=False)
    assert (young.status, young.expected_amount) == ("not_enough_history", None)
    uncalled = expectation(call_amount=None, estimate=0.9, lower=0.8, upper=1.0, level=0.8, has_history=True)
    assert (uncalled.status, uncalled.expected_amount, uncalled.estimate) == ("no_call", None, 0.9)


def test_share_rounds_half_away_from_zero_and_refuses_nonsense() -> None:
    assert share_of(Decimal("0.05"), 0.5) == Decimal("0.03")
    assert share_of(Decimal("-0.05"), 0.5) == Decimal("-0.03")
    assert share_of(Decimal(1), math.inf) is None
    assert share_of(None, 0.5) is None


def test_record_by_pencil() -> None:
    rows = record(FIVE, fair_zone=0.10)
    assert dict(rows.schema) == RECORD_SCHEMA
    assert rows["error_amount"].to_list() == [Decimal(20), Decimal(0), Decimal(-20), Decimal(10), Decimal(0)]
    # 80/100, 100/100, 120/100, 90/100; 0.90 lies under 1/1.1 = 0.909 and so outside the zone
    assert rows["landing_rate"].to_list() == pytest.approx([0.8, 1.0, 1.2, 0.9, 1.0])
    assert rows["lean_rate"].to_list() == pytest.approx([0.25, 0.0, -1 / 6, 1 / 9, 0.0])
    assert rows["is_fair"].to_list() == [False, True, False, False, True]
    # the first quarter has nothing before it; the fifth has the same quarter a year before
    assert rows["naive_amount"].to_list() == [None, Decimal(80), Decimal(100), Decimal(120), Decimal(80)]
    assert rows["naive_kind"].to_list() == [None, *["previous_period"] * 3, "same_period_last_year"]
    assert rows["missing_count"].to_list() == [0, 0, 0, 0, 1]


def test_a_missing_call_is_not_a_call_of_zero() -> None:
    last = record(FIVE, fair_zone=0.10).row(-1, named=True)
    assert (last["call_amount"], last["landed_amount"], last["caller_count"]) == (Decimal(100), Decimal(100), 1)


def test_few_callers_do_not_make_the_naive_forecast_look_bad() -> None:
    # Everybody lands 100 each quarter, so that the naive forecast is perfect; only ann has called by this week, 10 off.
    quiet = [(who, quarter, None, "100", "no_call") for who in ("bob", "cas") for quarter in range(5)]
    loud = [("ann", quarter, "110", "100", "closed") for quarter in range(5)]
    summary = summarise(record(pairs([*quiet, *loud]), fair_zone=0.10), level=0.8)
    assert summary.naive_wape_rate == 0.0
    assert summary.skill_rate is None
    assert summary.gain_upper == pytest.approx(-0.1)


def test_summary_by_pencil() -> None:
    summary = summarise(record(FIVE, fair_zone=0.10), level=0.8)
    assert (summary.period_count, summary.fair_count, summary.compared_count) == (5, 2, 4)
    assert (summary.high_count, summary.low_count) == (2, 1)
    assert summary.wape_rate == pytest.approx(50 / 490)
    # compared on quarters 2 to 5: calls missed 0 + 20 + 10 + 0 = 30 of the 410 their callers landed, naive missed
    # 20 + 20 + 30 + 70 = 140 of the 460 everyone did
    assert summary.naive_wape_rate == pytest.approx(140 / 460)
    assert summary.skill_rate == pytest.approx(1 - (30 / 410) / (140 / 460))
    # gains (20, 20, 30, 70)/115 − (0, 20, 10, 0)/102.5: mean .231177, sd .267148, t(0.9, 3) = 1.6377
    assert summary.gain_lower == pytest.approx(0.231177 - 1.637744 * 0.267148 / 2, abs=1e-5)
    assert summary.gain_upper == pytest.approx(0.231177 + 1.637744 * 0.267148 / 2, abs=1e-5)
    assert summary.naive_kind == "mixed"
    assert (summary.lowest_rate, summary.highest_rate, summary.inside_count) == (0.8, 1.2, 5)
    assert summary.recent_wape_rate is None


def test_perfect_calls_have_no_miss_and_full_skill() -> None:
    rows = record(FIVE.with_columns(pl.col("actual_amount").alias("forecast_amount")), fair_zone=0.10)
    summary = summarise(rows, level=0.8)
    assert (summary.wape_rate, summary.skill_rate, summary.fair_count) == (0.0, 1.0, 5)


def test_record_does_not_depend_on_row_order_or_currency() -> None:
    rows = record(FIVE, fair_zone=0.10)
    assert record(FIVE.sample(fraction=1.0, shuffle=True, seed=3), fair_zone=0.10).equals(rows)
    dearer = FIVE.with_columns((pl.col("forecast_amount") * 7).cast(pl.Decimal(18, 2)))
    dearer = dearer.with_columns((pl.col("actual_amount") * 7).cast(pl.Decimal(18, 2)))
    assert record(dearer, fair_zone=0.10)["landing_rate"].equals(rows["landing_rate"])


@pytest.mark.parametrize(
    ("count", "inside", "first"), [(1, 1, 0), (8, 8, 0), (12, 12, 0), (18, 18, 0), (19, 17, 1), (29, 25, 2)]
)
def test_kept_rates_leave_out_as_many_at_each_end_as_the_level_allows(count: int, inside: int, first: int) -> None:
    rates = [float(value) for value in range(count)]
    assert kept_rates(rates[::-1], level=0.8) == (rates[first], rates[count - 1 - first], inside)


def test_no_rows_give_no_numbers() -> None:
    empty = record(FIVE.clear(), fair_zone=0.10)
    assert dict(empty.schema) == RECORD_SCHEMA
    summary = summarise(empty, level=0.8)
    assert (summary.period_count, summary.wape_rate, summary.skill_rate, summary.lowest_rate) == (0, None, None, None)


def test_nothing_called_or_nothing_landed_has_no_rate() -> None:
    rows = record(pairs([("ann", 0, "0", "50", "closed"), ("ann", 1, "50", "0", "closed")]), fair_zone=0.10)
    assert rows["landing_rate"].to_list() == [None, 0.0]
    assert rows["lean_rate"].to_list() == [-1.0, None]
    assert rows["is_fair"].to_list() == [None, False]


def test_the_fair_zone_treats_high_and_low_alike() -> None:
    assert is_within(1.1, 0.10)
    assert is_within(1 / 1.1, 0.10)
    assert not is_within(0.905, 0.10)


def test_who_belonged_when() -> None:
    members = pl.DataFrame(
        {"period_start_on": [QUARTERS[0][0], QUARTERS[1][0]], "person_id": ["ann", "ann"], "scope": ["east", "east"]}
    )
    assert in_scope(FIVE, members, "company").equals(FIVE)
    assert in_scope(FIVE, members, "east")["period_start_on"].to_list() == [QUARTERS[0][0], QUARTERS[1][0]]
    assert in_scope(FIVE, members, "west").is_empty()


def test_who_is_missed() -> None:
    rows = pairs(
        [
            ("ann", 2, "1", "1", "closed"),
            ("ann", 3, "1", "1", "closed"),
            ("bob", 3, "1", "1", "closed"),
            ("cas", 3, "1", "1", "closed"),
            ("dee", 2, "1", "1", "closed"),
            ("ann", 4, "1", None, "open"),
            ("eve", 4, "1", None, "open"),
            ("bob", 4, None, None, "no_call"),
        ]
    )
    # bob has not called; cas has left; dee had stopped calling before; eve is new
    assert callers(rows, period=QUARTERS[4][0], departed={"cas"}) == (2, 1)


def test_a_total_of_nothing_is_missing() -> None:
    assert total(pl.Series([None], dtype=pl.Decimal(18, 2))) is None
    assert total(pl.Series([Decimal("0.10"), None, Decimal("0.20")])) == Decimal("0.30")
