"""The odds of any line a reader types: what is read, what is answered, what the dots then show."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import theme, wording, wording_landing
from dashboard.charts.dots import Across, dotplot
from dashboard.typed import parse_amount
from pipelines.engine.landing_tables import probability_of_reaching
from pipelines.engine.outlook import Line, misses
from pipelines.settings import Workspace
from pipelines.warehouse import editions as shelf
from tests.dashboard import editions
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words
from tests.dashboard.test_outlook import DOTS, OUTLOOK
from tests.dashboard.test_wording import FRAME

# What is read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("12.5M", "12500000"),
        ("$12.5m", "12500000"),
        ("12,5 Mio", "12500000"),
        ("12.5 million", "12500000"),
        ("12,500,000", "12500000"),
        ("12.500.000,50", "12500000.50"),
        ("€ 3 500 000", "3500000"),
        ("1'000'000", "1000000"),
        ("850k", "850000"),
        ("1,250", "1250"),
        ("1.2bn", "1200000000"),
        (".5M", "500000"),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, read: str) -> None:
    assert parse_amount(typed) == Decimal(read)


@pytest.mark.parametrize("typed", ["", "abc", "-5M", "0", "1.2.3", "1,2,3", "5e6", "9" * 30, "12.5Q", "$", "1.2,3.4"])
def test_what_is_no_amount_is_none(typed: str) -> None:
    assert parse_amount(typed) is None


@given(st.text(max_size=60))
def test_nothing_typed_breaks_it(typed: str) -> None:
    amount = parse_amount(typed)
    assert amount is None or amount > 0


@given(st.integers(min_value=1, max_value=10**14))
def test_every_full_amount_the_pages_print_can_be_typed_back(cents: int) -> None:
    amount = Decimal(cents) / 100
    assert parse_amount(theme.money_full(amount, "USD")) == amount


# What is answered


def test_the_sentence_gives_the_chance_in_percent_and_in_twenty() -> None:
    line = Line("typed", Decimal(1_450_000), misses(DOTS, Decimal(1_450_000)), 0.745)
    said = wording.plain(wording_landing.line_sentence(line, OUTLOOK, FRAME))
    assert said == (
        f"The chance of landing at $1.45M or above is {theme.percent(0.745)}: 5 in 20 miss $1.45M. "
        "As of week 5, from 12 quarters."
    )


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.99, f"over {theme.percent(0.99)}"),
        (0.01, f"under {theme.percent(0.01)}"),
        (0.5, theme.percent(0.5)),
    ],
)
def test_certainty_is_never_claimed(rate: float, said: str) -> None:
    assert wording_landing.chance(rate) == said


def test_what_has_closed_is_reached() -> None:
    line = Line("typed", Decimal(400_000), 0, 0.99)
    assert "has been reached" in wording_landing.line_sentence(line, OUTLOOK, FRAME)


@pytest.mark.parametrize("count", range(21))
def test_the_title_fits(count: int) -> None:
    judged = OUTLOOK.judged_by(Line("typed", Decimal(1), count, 0.5))
    assert len(wording_landing.dots_title(judged, "quarter")) <= wording.TITLE_LENGTH


# The page


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editions.workspace_of(tmp_path_factory.mktemp("typed"), "held").root


def test_a_typed_line_recolours_the_dots_and_says_its_chance(open_app: Open, held: Path) -> None:
    ref = shelf.current(Workspace.at(held))
    assert ref is not None
    quantiles = shelf.read(ref, "landing_quantiles", where={"scope": "company"}).cast({"amount": pl.Float64})
    third = quantiles.filter((pl.col("quantile") - 0.30).abs() < 1e-9)["amount"][0]
    at = open_app(held, line=f"{third:.2f}")
    assert not at.exception
    assert f"is {theme.percent(0.7)}" in wording.plain(words(at)).replace("*", "")
    assert any("6 of 20 equally likely outcomes miss your line" in block.value for block in at.header)
    assert at.text_input[0].value == f"{third:.2f}"


def test_a_line_is_typed_and_judged_by(open_app: Open, held: Path) -> None:
    at = open_app(held)
    assert "your line" not in words(at)
    at.text_input(key="line").set_value("1.2M").run()
    assert not at.exception
    assert "your line" in words(at)


def test_what_is_no_amount_is_said_and_changes_nothing(open_app: Open, held: Path) -> None:
    at = open_app(held, line="a lot")
    assert not at.exception
    said = words(at)
    assert "“a lot” is not an amount" in said
    assert "your line" not in said


def test_the_chance_agrees_with_the_published_one_of_the_quota() -> None:
    """Another road: the chance of the quota as published, from all draws, within what 99 quantiles can tell."""
    levels = [percent / 100 for percent in range(1, 100)]
    amounts = [1_000.0 * (1 + level) ** 2 for level in levels]
    quantiles = pl.DataFrame({"quantile": levels, "amount": amounts})
    for level in (0.105, 0.5, 0.873):
        reach = probability_of_reaching(quantiles, 1_000.0 * (1 + level) ** 2)
        assert reach == pytest.approx(1 - level, abs=1e-4)


def test_a_line_far_off_colours_the_dots_but_does_not_crush_them() -> None:
    span = (OUTLOOK.lower, OUTLOOK.estimate, OUTLOOK.upper)
    far = dotplot(dots=DOTS, across=[Across(DOTS[-1] * 50, "x", True)], span=span, currency="USD", dark=False)
    none = dotplot(dots=DOTS, across=[], span=span, currency="USD", dark=False)
    assert far.layout.xaxis.range == none.layout.xaxis.range
    counts = {trace.name: len(trace.x) for trace in far.data if trace.name in ("misses", "reaches")}
    assert counts == {"misses": 20, "reaches": 0}


def test_three_lines_have_labels_at_three_heights() -> None:
    lines = [Across(amount, "x", place == 0) for place, amount in enumerate((DOTS[4], DOTS[9], DOTS[14]))]
    span = (OUTLOOK.lower, OUTLOOK.estimate, OUTLOOK.upper)
    fig = dotplot(dots=DOTS, across=lines, span=span, currency="USD", dark=False)
    heights = [note.y for note in fig.layout.annotations if note.text == "x"]
    assert len(set(heights)) == 3
    assert max(heights) < fig.layout.yaxis.range[1]


def test_the_outlook_keeps_the_lines_people_are_held_to() -> None:
    own = Line("typed", Decimal(2), 3, 0.8)
    assert OUTLOOK.judged_by(own).lines == (own, *OUTLOOK.lines)
    assert replace(OUTLOOK, lines=()).judged_by(own).plan == own
