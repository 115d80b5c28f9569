"""The range, the odds and the record of ranges: what the sentences say and what the charts count."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import theme, wording, wording_landing, wording_trust
from dashboard.charts.coverage import coverage_strip
from dashboard.charts.dots import Across, dotplot, stacked
from pipelines.engine.coverage import coverage_verdict, telling_limits
from pipelines.engine.outlook import Held, Line, Outlook, Swing, in_twenty, is_material, misses
from tests.dashboard import editions
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words
from tests.dashboard.test_wording import FRAME, GROUNDS

DOTS = tuple(Decimal(1_000_000 + 100_000 * place) for place in range(20))
QUOTA, CALL = Line("quota", Decimal(1_450_000), 5), Line("call", Decimal(2_000_000), 10)
HELD = Held(10, 12, 0.8, 7, 12, "consistent")
SWING = Swing("d1", "Harbour *renewal*", Decimal(400_000), 0.3, 9, 4)
OUTLOOK = Outlook(
    week=5,
    level=0.8,
    estimate=Decimal(1_950_000),
    lower=Decimal(1_200_000),
    upper=Decimal(2_700_000),
    closed_amount=Decimal(400_000),
    period_count=12,
    status="ok",
    dots=DOTS,
    lines=(QUOTA, CALL),
    held=HELD,
    swing=SWING,
)


# Sentences


def test_line_two_is_one_number_one_range_and_the_odds() -> None:
    said = wording.plain(wording_landing.outlook_sentence(OUTLOOK, FRAME))
    assert said == (
        "We expect $1.95M; 4 times in 5 between $1.20M and $2.70M. "
        "5 in 20 miss the $1.45M quota, 10 in 20 miss the $2.00M called."
    )


def test_the_range_stands_in_the_same_weight_as_the_number() -> None:
    marked = wording_landing.outlook_sentence(OUTLOOK, FRAME).split(wording.BOLD)[1::2]
    assert marked[:2] == ["$1.95M", "4 times in 5 between $1.20M and $2.70M"]


def test_without_a_line_there_are_no_odds() -> None:
    assert "in 20" not in wording_landing.outlook_sentence(replace(OUTLOOK, lines=()), FRAME)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "fewer than 1 in 20 miss"), (1, "1 in 20 miss"), (19, "19 in 20 miss"), (20, "fewer than 1 in 20 reach")],
)
def test_odds_never_claim_certainty(count: int, said: str) -> None:
    assert wording_landing.odds(replace(QUOTA, miss_count=count), FRAME).startswith(said)


@pytest.mark.parametrize("count", range(21))
def test_titles_fit(count: int) -> None:
    for name in ("quota", "call"):
        line = Line(name, Decimal(1), count)
        assert len(wording_landing.dots_title(replace(OUTLOOK, lines=(line,)), "quarter")) <= wording.TITLE_LENGTH
    assert len(wording_landing.held_title(Held(count, 20, 0.8, 13, 20, "x"), "quarter")) <= wording.TITLE_LENGTH


@pytest.mark.parametrize(
    ("hits", "count", "title"),
    [
        (1, 1, "The range held in 1 of 1 quarter: too few to judge"),
        (2, 3, "The range held in 2 of 3 quarters: too few to judge"),
        (4, 4, "The range held in 4 of 4 quarters; 4 in 5 is asked"),
        (6, 7, "The range held in 6 of 7 quarters; 4 in 5 is asked"),
    ],
)
def test_so_few_ranges_are_no_finding(hits: int, count: int, title: str) -> None:
    assert wording_landing.held_title(Held(hits, count, 0.8, None, None, "x"), "quarter") == title


def test_an_exact_hit_reaches_the_line() -> None:
    assert misses(DOTS, DOTS[5]) == 5
    assert misses(DOTS, DOTS[5] + Decimal("0.01")) == 6


def test_one_deal_is_spoken_of_only_when_it_moves_the_odds() -> None:
    said = wording_landing.swing_sentence(SWING, FRAME)
    assert said is not None
    assert "If it is won, 9 in 20 reach the call; if not, 4 in 20." in said
    assert not is_material(replace(SWING, won_count=6))
    assert wording_landing.swing_sentence(replace(SWING, won_count=6), FRAME) is None
    assert wording_landing.swing_sentence(None, FRAME) is None
    assert [in_twenty(rate) for rate in (0.0, 0.024, 0.026, 0.5, 1.0)] == [0, 0, 1, 10, 20]


@pytest.mark.parametrize(
    ("hits", "count", "said"),
    [
        (4, 8, "it has been too narrow"),
        (12, 12, "wider than it need be"),
        (7, 8, "too wide could not be seen at all"),
        (10, 12, "7 or fewer would have shown it too narrow; 12 or more too wide"),
        (6, 7, "7 quarters are too few to judge a range by: 8 are the least"),
        (1, 1, "1 quarter is too few"),
    ],
)
def test_what_n_can_tell_is_said(hits: int, count: int, said: str) -> None:
    narrow, wide = telling_limits(count, 0.8)
    held = Held(hits, count, 0.8, narrow, wide, coverage_verdict(hits, count, 0.8))
    assert said in wording_landing.held_detail(held, "quarter")


def test_a_range_that_did_not_hold_is_named_as_the_reason() -> None:
    failed = replace(GROUNDS, held=Held(7, 12, 0.8, 7, 12, "too_narrow"))
    assert (
        wording_trust.reason("range_failed", FRAME, failed)
        == "the range held in 7 of 12 quarters only, where 4 in 5 is asked"
    )


def test_alts_hold_every_number() -> None:
    alt = wording_landing.dots_alt(OUTLOOK, FRAME)
    for said in ("5 in 20", "10 in 20", "$1.20M", "$2.70M", "$1.95M", "$1.00M", "$2.90M"):
        assert said in alt
    rows = [("Q1 2026", Decimal(1_000), Decimal(2_000), Decimal(3_000), False)]
    assert "Q1 2026 $1.00K to $2.00K, landed $3.00K (outside)" in wording_landing.held_alt(rows, HELD, FRAME)


# Charts


amounts = st.decimals(min_value=0, max_value=10_000_000, places=2)


@given(
    dots=st.lists(amounts, min_size=20, max_size=20),
    lines=st.lists(amounts, max_size=2),
    width=st.floats(min_value=1.0, max_value=2_000_000.0),
)
def test_no_dot_is_carried_across_a_line(dots: list[Decimal], lines: list[Decimal], width: float) -> None:
    """What is drawn left of a line lies below it, however wide a dot is; all twenty are drawn."""
    drawn = stacked(dots, lines, width)
    assert [dot.amount for dot in drawn] == sorted(dots)
    for line in lines:
        for dot in drawn:
            assert (dot.at < float(line)) == (dot.amount < line) or len(set(lines)) == 2
    if len(lines) < 2:
        assert all(abs(dot.at - float(line)) >= width / 2 - 1e-6 for line in lines for dot in drawn)


@given(dots=st.lists(amounts, min_size=20, max_size=20), width=st.floats(min_value=1.0, max_value=2_000_000.0))
def test_stacks_stand_apart_and_begin_at_one(dots: list[Decimal], width: float) -> None:
    drawn = stacked(dots, [], width)
    places: dict[float, list[int]] = {}
    for dot in drawn:
        places.setdefault(dot.at, []).append(dot.place)
    assert all(place == list(range(1, len(place) + 1)) for place in places.values())
    ends = sorted(places)
    assert all(right - left >= 0.9 * width - 1e-6 for left, right in pairwise(ends))


@pytest.mark.parametrize("dark", [False, True])
def test_shape_doubles_colour_and_the_counts_are_the_odds(dark: bool) -> None:
    across = [Across(line.amount, "x", line is QUOTA) for line in OUTLOOK.lines]
    span = (OUTLOOK.lower, OUTLOOK.estimate, OUTLOOK.upper)
    fig = dotplot(dots=DOTS, across=across, span=span, currency="USD", dark=dark)
    missed, reached = (trace for trace in fig.data if trace.name in ("misses", "reaches"))
    assert (len(missed.x), len(reached.x)) == (5, 15)
    assert max(missed.x) < float(QUOTA.amount) < min(reached.x)
    assert (missed.marker.symbol, reached.marker.symbol) == ("diamond", "circle")
    colours = theme.palette(dark)
    for trace in (missed, reached):
        assert theme.contrast(trace.marker.color, colours.background) >= 3
    assert not fig.layout.showlegend


def test_all_outcomes_alike_still_draw() -> None:
    same = (Decimal(5),) * 20
    fig = dotplot(dots=same, across=[], span=(Decimal(5),) * 3, currency="USD", dark=False)
    assert sum(len(trace.x) for trace in fig.data if trace.name in ("misses", "reaches")) == 20


def test_out_is_another_shape_and_colour_than_in() -> None:
    rows = pl.DataFrame(
        {
            "label": ["Q1 2026", "Q2 2026"],
            "lower": [Decimal(10), Decimal(12)],
            "estimate": [Decimal(15), Decimal(16)],
            "upper": [Decimal(20), Decimal(22)],
            "actual_amount": [Decimal(18), Decimal(30)],
            "is_inside": [True, False],
        }
    )
    fig = coverage_strip(rows=rows, currency="USD", dark=False)
    (landed,) = (trace for trace in fig.data if trace.name == "landed")
    assert list(landed.marker.symbol) == ["circle", "diamond"]
    assert landed.marker.color[0] != landed.marker.color[1]
    (bars,) = (trace for trace in fig.data if trace.name == "range")
    assert [low + high for low, high in zip(bars.base, bars.y, strict=True)] == [20, 22]


# The page


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editions.workspace_of(tmp_path_factory.mktemp("held"), "held").root


def test_the_page_says_range_odds_and_record(open_app: Open, held: Path) -> None:
    at = open_app(held)
    assert not at.exception
    said = words(at)
    assert "We expect" in said
    assert "4 times in 5 between" in said
    assert "The range held in 10 of 12 quarters; 4 in 5 is asked" in said
    assert "equally likely outcomes miss the quota" in said
    assert "One deal moves the odds" in said
    assert [metric.label for metric in at.metric][2] == "Range held"
    assert at.metric[2].value == "10 of 12"
    assert "Trust:" in at.title[0].value.replace("]", "")


def test_the_odds_said_are_the_dots_drawn(open_app: Open, held: Path) -> None:
    at = open_app(held)
    said = wording.plain(next(block.value for block in at.markdown if "We expect" in block.value)).replace("\\", "")
    title = next(block.value for block in at.header if "equally likely" in block.value)
    assert said.split(" in 20")[0].split()[-1].strip("*") == title.split()[0]


def test_a_range_that_failed_forbids_trust(open_app: Open, tmp_path: Path) -> None:
    at = open_app(editions.workspace_of(tmp_path, "failed").root)
    assert not at.exception
    assert "Trust with care" in at.title[0].value
    assert "the range held in 4 of 12 quarters only" in at.title[0].value.replace("\\", "")


def test_without_a_range_the_page_speaks_of_the_record(open_app: Open, full_workspace: Path) -> None:
    said = words(open_app(full_workspace))
    assert "Expect about" in said
    assert "in 20" not in said


def test_deals_alone_can_give_a_range_but_no_verdict(open_app: Open, tmp_path: Path) -> None:
    at = open_app(editions.workspace_of(tmp_path, "deals_with_range").root)
    assert not at.exception
    said = words(at)
    assert "Not enough history to say" in at.title[0].value
    assert "We expect" in said
    assert "The range held in 10 of 12 quarters" in said
    assert "rests on the open deals and 12 quarters alone" in said
    assert "called" not in said.split("We expect")[1].split("\n")[0]
