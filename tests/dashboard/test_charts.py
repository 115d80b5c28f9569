"""What position, shape and colour mean, read from the figures; no pictures compared."""

from __future__ import annotations

import math
from decimal import Decimal

import plotly.graph_objects as go
import polars as pl
import pytest

from dashboard import theme, wording
from dashboard.charts.caterpillar import caterpillar
from dashboard.charts.funnel import funnel
from dashboard.charts.marks import MANY_POINTS, marks, money_ticks
from dashboard.charts.track_record import OpenPeriod, track_record
from pipelines.engine.expectation import lean_bounds

MONEY = pl.Decimal(18, 2)
RECORD = pl.DataFrame(
    {
        "label": ["Q4 2025", "Q1 2026", "Q2 2026", "Q3 2026"],
        "call_amount": [Decimal(100), Decimal(100), Decimal(100), Decimal(100)],
        "landed_amount": [Decimal(80), Decimal(125), Decimal(100), Decimal(0)],
        "lean_rate": [0.25, -0.2, 0.0, None],
        "is_fair": [False, False, True, False],
    },
    schema_overrides={"call_amount": MONEY, "landed_amount": MONEY},
)
OPEN = OpenPeriod("Q4 2026", Decimal(120), Decimal(108), Decimal(90), Decimal(130))
PEOPLE = pl.DataFrame(
    {
        "name": ["Low Lander", "A Name Far Too Long For A Phone", "Fair", "Hollow"],
        "kind": ["runs_high", "runs_low", "fair", "not_enough_evidence"],
        "estimate": [0.7, 1.3, 1.0, 0.9],
        "lower": [0.6, 1.1, 0.95, 0.5],
        "upper": [0.8, 1.5, 1.05, 1.4],
        "landing_rate": [0.65, 1.4, 1.0, 0.9],
        "own_error_rate": [0.1, 0.1, 0.1, 0.4],
        "label": ["Low Lander", None, None, None],
    }
)
LIMITS = pl.DataFrame({"own_error_rate": [0.0, 0.4], "lower": [0.9, 0.5], "upper": [0.9, 1.6]})


def recorded(*, open_period: OpenPeriod | None = OPEN, rows: pl.DataFrame = RECORD, dark: bool = False) -> go.Figure:
    return track_record(rows=rows, open_period=open_period, currency="USD", fair_bounds=lean_bounds(0.10), dark=dark)


def drawn(rows: pl.DataFrame = PEOPLE, *, dark: bool = False) -> go.Figure:
    return caterpillar(
        rows=rows,
        common=(0.9, 0.85, 0.95),
        fair_bounds=(0.91, 1.1),
        currency="USD",
        words=wording.DIRECTIONS,
        dark=dark,
    )


def trace(fig: go.Figure, name: str) -> go.Scatter:
    (found,) = [part for part in fig.data if part.name == name]
    return found


# Track record


def test_call_is_an_outline_and_landed_is_solid() -> None:
    fig = recorded()
    called, landed = trace(fig, "called"), trace(fig, "landed")
    assert list(called.y) == [100, 100, 100, 100]
    assert list(landed.y) == [80, 125, 100, 0]
    assert called.marker.color == "rgba(0,0,0,0)"
    assert landed.marker.color == theme.LIGHT.actual
    assert called.width > landed.width


def test_a_pin_up_is_a_call_that_ran_high() -> None:
    pins = trace(recorded(), "lean")
    assert list(pins.y) == pytest.approx([math.log(1.25), math.log(0.8), 0.0])
    assert list(pins.x) == [0, 1, 2], "a lean that is missing has no pin"
    assert list(pins.marker.symbol) == ["diamond", "circle", "square"]
    assert list(pins.marker.color) == [theme.LIGHT.high, theme.LIGHT.low, theme.LIGHT.fair]
    assert list(pins.text) == ["+25", "−20", "0"]
    assert list(pins.textposition) == ["top center", "bottom center", "top center"]


def test_twice_and_half_reach_equally_far_and_a_call_of_nothing_has_no_pin() -> None:
    rows = RECORD.with_columns(lean_rate=pl.Series([1.0, -0.5, 6.4, -1.0]))
    pins = trace(recorded(rows=rows), "lean")
    assert pins.y[0] == pytest.approx(-pins.y[1])
    assert list(pins.text) == ["+100", "−50", "+640"]


def test_the_open_call_is_hatched_and_its_expectation_carries_what_the_past_makes_of_it() -> None:
    fig = recorded()
    assert trace(fig, "open").marker.pattern.shape == "/"
    expected = trace(fig, "expected")
    assert (expected.x[0], expected.y[0]) == (4, 108)
    assert (expected.error_y.array[0], expected.error_y.arrayminus[0]) == (22, 18)


def test_without_an_expectation_nothing_is_drawn_for_it() -> None:
    names = {part.name for part in recorded(open_period=OpenPeriod("Q4 2026", Decimal(120), None, None, None)).data}
    assert "open" in names
    assert "expected" not in names
    assert "open" not in {part.name for part in recorded(open_period=None).data}


def test_years_are_written_once_and_never_side_by_side() -> None:
    ticks = recorded().layout.xaxis2.ticktext
    assert list(ticks) == ["Q4", "Q1<br>2026", "Q2", "Q3", "Q4"]


def test_an_empty_record_draws() -> None:
    assert recorded(rows=RECORD.clear(), open_period=None).data


@pytest.mark.parametrize(
    ("top", "last"),
    [(Decimal(19_000_000), "$15M"), (Decimal(950), "$750"), (Decimal(1_740_000), "$1.5M"), (Decimal(0), "$0")],
)
def test_money_ticks_are_round_and_few(top: Decimal, last: str) -> None:
    values, texts = money_ticks(top, "USD")
    assert texts[-1] == last
    assert len(values) <= 5
    assert values[0] == 0


# Caterpillar


def test_rows_stand_in_the_order_given_the_first_on_top() -> None:
    fig = drawn()
    assert trace(fig, "runs high").y[0] == 3
    assert trace(fig, "not enough evidence").y[0] == 0
    assert list(fig.layout.yaxis.ticktext)[::-1] == ["Low Lander", "A Name Far Too Lo…", "Fair", "Hollow"]


def test_intervals_are_always_drawn() -> None:
    for part in drawn().data:
        low, high = part.error_x.arrayminus, part.error_x.array
        assert all(value > 0 for value in (*low, *high)), part.name
    high_runner = trace(drawn(), "runs high")
    assert high_runner.x[0] - high_runner.error_x.arrayminus[0] == pytest.approx(0.6)
    assert high_runner.x[0] + high_runner.error_x.array[0] == pytest.approx(0.8)


def test_too_little_evidence_is_hollow_and_shape_doubles_colour() -> None:
    kinds = marks(dark=False)
    assert kinds["not_enough_evidence"].drawn == "circle-open"
    said = [mark for name, mark in kinds.items() if name != "not_enough_evidence"]
    assert len({mark.symbol for mark in said}) == len(said)
    assert len({mark.colour for mark in said}) == len(said)


@pytest.mark.parametrize("dark", [False, True])
def test_marks_can_be_seen(dark: bool) -> None:
    background = theme.palette(dark).background
    for mark in marks(dark).values():
        assert theme.contrast(mark.colour, background) >= 3


def test_height_grows_with_the_rows() -> None:
    forty = pl.concat([PEOPLE] * 10)
    assert drawn(forty).layout.height > 40 * 20
    assert drawn(PEOPLE.head(1)).layout.height >= 100


def test_thousands_are_drawn_on_a_canvas() -> None:
    many = pl.concat([PEOPLE] * (MANY_POINTS // 4 + 1))
    assert {part.type for part in drawn(many).data} == {"scattergl"}
    assert {part.type for part in drawn().data} == {"scatter"}


# Funnel


def pictured(rows: pl.DataFrame = PEOPLE) -> go.Figure:
    return funnel(rows=rows, limits=LIMITS, common=0.9, currency="USD", words=wording.DIRECTIONS, dark=False)


def test_to_the_right_the_own_record_says_more() -> None:
    left, right = pictured().layout.xaxis.range
    assert left > right
    assert trace(pictured(), "runs high").x[0] == 0.1


def test_only_who_has_a_label_is_named() -> None:
    texts = [text for part in pictured().data if part.text for text in part.text]
    assert [text for text in texts if text] == ["Low Lander"]


def test_an_empty_funnel_draws() -> None:
    assert pictured(PEOPLE.clear()).data


# House rules


@pytest.mark.parametrize("fig", [recorded(), drawn(), pictured()], ids=["record", "caterpillar", "funnel"])
def test_no_figure_has_a_legend_or_a_title(fig: go.Figure) -> None:
    assert fig.layout.showlegend is False
    assert fig.layout.title.text is None
    assert fig.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"
