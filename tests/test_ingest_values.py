"""One cell and one column: dates and money are read exactly or not at all."""

# ruff: noqa: DTZ001 (instants are UTC without a zone throughout)

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import INSTANT, MONEY
from pipelines.ingest.columns import Notation, read_decimals, read_flags, read_instants, read_whole
from pipelines.ingest.mapping import ColumnRule, preset
from pipelines.ingest.sources import as_one_form
from pipelines.ingest.values import (
    DAY_FIRST,
    MONTH_FIRST,
    DateNotation,
    date_evidence,
    dissect,
    number_evidence,
    parse_instant,
    rounded,
)

EITHER = DateNotation(names_periods=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u202f234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1,23,456.00", "123456.00"),
        ("(1,234.00)", "-1234.00"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("5-", "-5"),
        ("\u22125", "-5"),
        ("+1234", "1234"),
        (".5", "0.5"),
        ("1.2E+07", "12000000"),
        ("1,234,567", "1234567"),
        ("0.125", "0.125"),
        ("1234567,891", "1234567.891"),
    ],
)
def test_a_number_that_can_be_read_in_one_way_is(text: str, number: str) -> None:
    written = dissect(text)
    assert written is not None
    assert written.value(None) == Decimal(number)


@pytest.mark.parametrize("text", ["1.234", "1,234", "$12,500", "-1.000"])
def test_one_mark_before_three_digits_needs_the_column(text: str) -> None:
    written = dissect(text)
    assert written is not None
    assert written.value(None) is None
    assert number_evidence(text) == "ambiguous"
    assert abs(written.value(".") or 0) != abs(written.value(",") or 0)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "@SUM(A1)", '=HYPERLINK("http://x")', "+cmd|' /C calc'!A0", "12 34", "1.5.2", "--5", "abc", "TBD",
     "1,234,56", "", "5 apples"],
)  # fmt: skip
def test_what_is_no_number_is_none(text: str) -> None:
    assert dissect(text) is None


@pytest.mark.parametrize(
    ("text", "currency"),
    [("€ 12", "EUR"), ("12 €", "EUR"), ("USD 1,234.00", "USD"), ("CA$5", "CAD"), ("$5", None), ("£1.50", "GBP")],
)
def test_a_symbol_names_the_currency_only_if_it_is_one_currencys(text: str, currency: str | None) -> None:
    written = dissect(text)
    assert written is not None
    assert written.currency == currency


@given(
    st.decimals(min_value=-(10**12), max_value=10**12, places=2), st.sampled_from([(",", "."), (".", ","), (" ", ",")])
)
def test_money_written_in_any_locale_comes_back_to_the_cent(amount: Decimal, marks: tuple[str, str]) -> None:
    group, decimal = marks
    text = f"{amount:,.2f}".replace(",", "\0").replace(".", decimal).replace("\0", group)
    written = dissect(text)
    assert written is not None
    assert written.value(None) == amount


@given(st.lists(st.decimals(min_value=-(10**12), max_value=10**12, places=2), max_size=20))
def test_the_plain_road_and_the_careful_road_read_the_same_money(amounts: list[Decimal]) -> None:
    text = pl.Series("amount", [str(amount) for amount in amounts], dtype=pl.String)
    plain = read_decimals(text, Notation(), ColumnRule(), MONEY, preset("generic"))
    careful = read_decimals(text, Notation(), ColumnRule(multiply=Decimal(1)), MONEY, preset("generic"))
    assert plain.values.to_list() == amounts
    assert careful.values.to_list() == amounts


def test_float_artefacts_are_rounded_half_away_from_zero_and_counted() -> None:
    text = pl.Series("amount", ["1234.560000001", "0.005", "-0.005", "10.00"])
    cells = read_decimals(text, Notation(), ColumnRule(), MONEY, preset("generic"))
    assert cells.values.to_list() == [Decimal("1234.56"), Decimal("0.01"), Decimal("-0.01"), Decimal("10.00")]
    assert cells.rounded_count == 3
    assert rounded(Decimal("2.675"), 2) == Decimal("2.68")


def test_an_enormous_amount_is_refused_by_its_size_not_as_text() -> None:
    text = pl.Series("amount", ["99999999999999", "1e40", "10000000000000", "9" * 30])
    cells = read_decimals(text, Notation(), ColumnRule(), MONEY, preset("generic"))
    assert cells.values.to_list() == [None, None, Decimal(10**13), None]
    assert cells.problems["amount_out_of_range"].to_list() == [True, True, False, True]
    assert "not_money" not in cells.problems


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05", datetime(2026, 1, 5)),
        ("2026-1-5", datetime(2026, 1, 5)),
        ("2026/03/04", datetime(2026, 3, 4)),
        ("20260105", datetime(2026, 1, 5)),
        ("2026-01-05T10:00:00.000+0000", datetime(2026, 1, 5, 10)),
        ("2026-01-05 10:00:00.123-05:00", datetime(2026, 1, 5, 15, 0, 0, 123000)),
        ("2026-01-05T00:30:00+02", datetime(2026, 1, 4, 22, 30)),
        ("13/5/2026", datetime(2026, 5, 13)),
        ("1/13/2026 3:15 PM", datetime(2026, 1, 13, 15, 15)),
        ("1/13/2026 12:05 am", datetime(2026, 1, 13, 0, 5)),
        ("5.1.2026", datetime(2026, 1, 5)),
        ("05.10.2026 09:15", datetime(2026, 10, 5, 9, 15)),
        ("7/7/2026", datetime(2026, 7, 7)),
        ("12-Jan-26", datetime(2026, 1, 12)),
        ("5. März 2026", datetime(2026, 3, 5)),
        ("January 12, 2026", datetime(2026, 1, 12)),
        ("1571868997819", datetime(2019, 10, 23, 22, 16, 37, 819000)),
        ("Q3 2026", datetime(2026, 7, 1)),
        ("2026-07", datetime(2026, 7, 1)),
        ("Jul 2026", datetime(2026, 7, 1)),
    ],
)
def test_a_date_that_can_be_read_in_one_way_is(text: str, moment: datetime) -> None:
    assert parse_instant(text, EITHER) == moment


@pytest.mark.parametrize(
    "text", ["2026-13-01", "31/31/2026", "13.13.2026", "Feb 30, 2026", "12345678", "soon", "1/5/2026", ""]
)
def test_what_is_no_date_or_could_be_two_is_none(text: str) -> None:
    assert parse_instant(text, EITHER) is None


def test_a_period_is_a_date_only_where_periods_are_named() -> None:
    assert parse_instant("Q3 2026", DateNotation()) is None


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 12, 31)), st.sampled_from([DAY_FIRST, MONTH_FIRST]))
def test_a_day_written_in_the_stated_order_comes_back(day: date, order: str) -> None:
    pattern = "%d/%m/%Y" if order == DAY_FIRST else "%m/%d/%Y"
    text = day.strftime(pattern)
    found = parse_instant(text, DateNotation(order))
    assert found is not None
    assert found.date() == day
    assert date_evidence(text) in {order, "ambiguous", None}


@settings(max_examples=50)
@given(st.lists(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 12, 31)), max_size=10))
def test_the_plain_road_and_the_careful_road_read_the_same_instants(moments: list[datetime]) -> None:
    written = [
        text
        for moment in moments
        for text in (
            moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            moment.strftime("%Y-%m-%d %H:%M:%S"),
            moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
            moment.strftime("%Y-%m-%d"),
        )
    ]
    plain = read_instants(pl.Series("at", written, dtype=pl.String), DateNotation())
    assert plain.values.dtype == INSTANT
    assert plain.values.to_list() == [parse_instant(text, DateNotation()) for text in written]


def test_a_stated_zone_moves_naive_instants_to_utc_and_leaves_stated_offsets() -> None:
    text = pl.Series("at", ["2026-07-01 12:00:00", "2026-07-01T12:00:00Z", "2026-01-01 12:00:00"])
    cells = read_instants(text, DateNotation(zone="Europe/Berlin"))
    noon = datetime(2026, 7, 1, 12)
    assert cells.values.to_list() == [noon - timedelta(hours=2), noon, datetime(2026, 1, 1, 11)]


def test_flags_and_whole_numbers_refuse_what_they_are_not() -> None:
    flags = read_flags(pl.Series("won", ["TRUE", "no", "1", "maybe", None]), preset("generic"))
    assert flags.values.to_list() == [True, False, True, None, None]
    assert flags.problems["not_true_or_false"].to_list() == [False, False, False, True, False]
    whole = read_whole(pl.Series("order", ["3", "3.0", "3.5", "x"]), Notation())
    assert whole.values.to_list() == [3, 3, None, None]
    assert whole.problems["not_a_whole_number"].to_list() == [False, False, True, False]
    assert whole.problems["not_a_number"].to_list() == [False, False, False, True]


def test_salesforce_ids_of_15_and_18_characters_meet() -> None:
    # The three letters say which of each five characters are capitals: 006q0 00000 HddoH → 0, 0, 1 + 16 = R.
    ids = pl.Series("id", ["006q000000HddoH", "006q000000HddoHAAR", "006000000013483", "006000000013483AAA", "OPP-1"])
    assert as_one_form(ids).to_list() == [
        "006q000000HddoHAAR",
        "006q000000HddoHAAR",
        "006000000013483",
        "006000000013483",
        "OPP-1",
    ]
