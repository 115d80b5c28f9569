"""Formats by pencil; colours against WCAG; the chart template keeps its promises."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal

import plotly.graph_objects as go
import pytest

from dashboard import theme

NB = theme.NO_BREAK


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("12412345.67"), "$12.4M"),
        (Decimal(412345), "$412K"),
        (Decimal(4123), "$4.12K"),
        (412, "$412"),
        (99.5, "$99.50"),
        (4, "$4"),
        (0, "$0"),
        (Decimal("0.004"), "$0"),
        (Decimal("-0.004"), "$0"),
        (-412345, "−$412K"),
        # Rounding decides the step: 999 950 is a million, not 1000K.
        (999_950, "$1.00M"),
        (999_499, "$999K"),
        (1_250_000_000, "$1.25B"),
        (Decimal("2.5e12"), "$2.50T"),
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "—"),
    ],
)
def test_headline_money_has_three_significant_digits(amount: theme.Number | None, text: str) -> None:
    assert theme.money(amount, "USD") == text


def test_money_of_other_currencies() -> None:
    assert theme.money(12_412_345, "EUR") == "€12.4M"
    assert theme.money(12_412_345, "CHF") == f"CHF{NB}12.4M"
    assert theme.money(12_412_345, "XXX") == "12.4M"
    assert theme.money(-5, "XXX") == "−5"


def test_signed_money() -> None:
    assert theme.money(412_345, "USD", signed=True) == "+$412K"
    assert theme.money(0, "USD", signed=True) == "$0"
    assert theme.money_full(Decimal("-1234.5"), "USD", signed=True) == "−$1,234.50"


def test_full_money_keeps_every_cent() -> None:
    assert theme.money_full(Decimal("12412345.67"), "USD") == "$12,412,345.67"
    assert theme.money_full(Decimal("12412345.50"), "USD", cents=False) == "$12,412,346"
    assert theme.money_full(None, "USD") == "—"
    assert theme.money_full(Decimal("-0.001"), "USD") == "$0.00"


def test_ranges() -> None:
    assert theme.money_range(12_412_345, 13_700_000, "USD") == "$12.4M–$13.7M"
    assert theme.money_range(None, 1, "USD") == "—"
    assert theme.percent_range(0.12, 0.24) == f"12–24{NB}%"
    assert theme.percent_range(-0.03, 0.05) == f"−3 to 5{NB}%"
    assert theme.percent_range(0.121, 0.119) == f"12{NB}%"
    assert theme.percent_range(0.1, None) == "—"


def test_rates() -> None:
    assert theme.per_unit(0.82, "USD") == "$0.82 of each $1.00"
    assert theme.per_unit(0.825, "XXX") == "0.83 of each 1.00"
    assert theme.per_unit(None, "USD") == "—"
    assert theme.unit(1.234, "GBP") == "£1.23"
    assert theme.percent(0.825) == f"83{NB}%"
    assert theme.percent(-0.0049) == f"0{NB}%"
    assert theme.percent(-0.031, 1) == f"−3.1{NB}%"
    assert theme.percent(0.03, signed=True) == f"+3{NB}%"
    assert theme.percent(None) == "—"
    assert theme.decimal(-0.157) == "−0.16"
    assert theme.decimal(None) == "—"


def test_counts_and_plurals() -> None:
    assert theme.count(12345) == "12,345"
    assert theme.count(-2) == "−2"
    assert theme.count(None) == "—"
    assert theme.plural(1, "period") == "1 period"
    assert theme.plural(1200, "period") == "1,200 periods"
    assert theme.plural(0, "entry", "entries") == "no entries"


def test_dates() -> None:
    assert theme.month(date(2026, 10, 31)) == "Oct 2026"
    assert theme.day(date(2026, 11, 9)) == "9 Nov 2026"
    assert theme.instant(datetime(2026, 11, 9, 4, 5, tzinfo=UTC)) == "9 Nov 2026, 04:05 UTC"
    assert theme.instant(datetime(2026, 11, 9, tzinfo=UTC)) == "end of 8 Nov 2026"
    assert theme.instant(datetime(2026, 11, 8, 23, 59, 59, tzinfo=UTC)) == "end of 8 Nov 2026"
    assert theme.instant(datetime(2026, 11, 9, 0, 0, 1, tzinfo=UTC)) == "9 Nov 2026, 00:00 UTC"
    assert theme.day(None) == theme.month(None) == theme.instant(None) == "—"


def test_sentences_with_two_amounts_are_not_mathematics() -> None:
    assert theme.escape("between $12.4M and $13.7M") == r"between \$12.4M and \$13.7M"
    assert theme.escape("[x](http://e)<b>") == r"\[x\]\(http\://e\)\<b\>"


def test_contrast_formula_on_known_pairs() -> None:
    assert theme.contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert theme.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_marks_can_be_told_from_their_background(dark: bool) -> None:
    colours = theme.palette(dark)
    backgrounds = (colours.background, colours.surface)
    for background in backgrounds:
        assert theme.contrast(colours.ink, background) >= 4.5
        assert theme.contrast(colours.muted, background) >= 4.5
    marks = {"call", "actual", "high", "low", "fair", "unsure", "trust", "care", "distrust", "accent"}
    for name in marks:
        assert theme.contrast(getattr(colours, name), colours.background) >= 3.0, name
    assert {field.name for field in fields(colours)} >= marks


def test_figures_wear_the_house_template() -> None:
    figure = theme.figure_layout(go.Figure(go.Scatter(x=[1, 2], y=[1, 2])), dark=True, height=240)
    assert figure.layout.showlegend is False
    assert figure.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"
    assert figure.layout.font.color == theme.DARK.ink
    assert figure.layout.height == 240
    assert figure.layout.xaxis.fixedrange is True
    assert "http" not in figure.to_json()
