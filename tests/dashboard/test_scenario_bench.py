"""The scenario bench: what the URL states, what is answered, how fast, and in which words."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import wording_scenario
from dashboard.assumptions import NamedDeal, Said, ScenarioAnswer, as_engine, read
from pipelines.engine.outlook import Line
from pipelines.engine.scenario import Assumption, Scenario
from tests.dashboard import editions
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words
from tests.dashboard.test_wording import FRAME

END = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("out~D1", Assumption("D1", win_rate=0.0)),
        ("won~D1", Assumption("D1", win_rate=1.0)),
        ("cut~20~D1", Assumption("D1", kept_rate=0.8)),
        ("rate~60~D1", Assumption("D1", win_rate=0.6)),
        ("date~2026-12-31~D1", Assumption("D1", is_due=True)),
        ("date~2027-01-01~D1", Assumption("D1", is_due=False)),
        ("out~a~b", Assumption("a~b", win_rate=0.0)),
        ("cut~5~a~b", Assumption("a~b", kept_rate=0.95)),
    ],
)
def test_an_assumption_travels_as_text(text: str, meant: Assumption) -> None:
    said = read(text)
    assert said is not None
    assert said.text == text
    assert as_engine(said, END) == meant


@pytest.mark.parametrize(
    "text",
    ["", "out", "out~", "cut~D1", "cut~101~D1", "cut~-1~D1", "rate~x~D1", "rate~²~D1", "date~soon~D1", "buy~5~D1"],
)
def test_what_is_no_assumption_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=40))
def test_nothing_in_the_url_breaks_it(text: str) -> None:
    said = read(text)
    assert said is None or as_engine(said, END).opportunity_id == said.opportunity_id


def test_the_bench_answers_from_the_url_and_undoes(open_app: Open, tmp_path: Path) -> None:
    root = editions.workspace_of(tmp_path, "held").root
    at = open_app(root)
    assert not at.exception
    assert wording_scenario.UNCHANGED in words(at)
    at = open_app(root, **{"if": "out~whale-1"})
    assert not at.exception
    said = words(at)
    assert "is not won this quarter" in said
    assert "We would then expect" in said
    assert "less than the" in said
    undo = next(button for button in at.button if button.label == "Undo")
    undo.click().run()
    assert wording_scenario.UNCHANGED in words(at)
    assert "if" not in at.query_params


def test_an_assumption_is_made_on_the_page_and_lands_in_the_url(open_app: Open, tmp_path: Path) -> None:
    at = open_app(editions.workspace_of(tmp_path, "held").root)
    at.selectbox("what-if-deal").set_value("whale-1").run()
    at.selectbox("what-if-kind").set_value("rate").run()
    at.number_input("what-if-rate").set_value(80).run()
    next(button for button in at.button if button.label == "Assume it").click().run()
    assert not at.exception
    assert at.query_params["if"] == "rate~80~whale-1"
    assert "more than the" in words(at)


def test_a_deal_that_is_not_there_is_named_and_left_out(open_app: Open, tmp_path: Path) -> None:
    at = open_app(editions.workspace_of(tmp_path, "held").root, **{"if": "out~nobody"})
    assert not at.exception
    assert any("names no deal that can be changed here" in warning.value for warning in at.warning)
    assert wording_scenario.UNCHANGED in words(at)


@pytest.mark.parametrize("variant", ["full", "one_rep", "two_quarters"])
def test_without_a_range_there_is_no_bench(open_app: Open, tmp_path: Path, variant: str) -> None:
    at = open_app(editions.workspace_of(tmp_path, variant).root, **{"if": "out~whale-1"})
    assert not at.exception
    assert wording_scenario.UNCHANGED not in words(at)


def test_it_answers_in_well_under_a_second() -> None:
    """Every deal of a scope changed at once, at the draws of an issued range."""
    from pipelines.engine.scenario import scenario
    from tests.engine.test_scenario import bench

    made = bench(count=25)
    assumptions = [Assumption(name, win_rate=0.3) for name in made.deals]
    began = time.perf_counter()
    scenario(made, assumptions, level=0.8)
    assert time.perf_counter() - began < 1.0


# Words

DEAL = NamedDeal("d", "Acme", Decimal(1_200_000), 0.43, date(2026, 12, 1), can_move=True)


@pytest.mark.parametrize(
    ("said", "chance", "told"),
    [
        (Said("out", "d"), 0.0, "is not won this quarter (it stands at 43 %)."),
        (Said("won", "d"), 1.0, "is won this quarter (it stands at 43 %)."),
        (Said("cut", "d", "20"), 0.43, "is won, if it is, for 20 % less."),
        (Said("rate", "d", "60"), 0.6, "is won with a chance of 60 % (it stands at 43 %)."),
        (Said("date", "d", "2026-12-20"), 0.43, "on the same side of the quarter's end, so its odds stay."),
        (Said("date", "d", "2027-01-15"), 0.1, "deals like it, dated so, are won in the quarter 10 % of the time"),
    ],
)
def test_every_assumption_is_a_sentence(said: Said, chance: float, told: str) -> None:
    sentence = wording_scenario.assumption(said, DEAL, chance, FRAME).replace("\u00a0", " ")
    assert told in sentence
    assert "Acme" in sentence
    assert "$1.20M" in sentence


def answer(estimate: int, missed: int) -> ScenarioAnswer:
    issued = Scenario(Decimal(100), Decimal(80), Decimal(120), (Decimal(1),) * 20)
    after = Scenario(Decimal(estimate), Decimal(estimate - 20), Decimal(estimate + 20), (Decimal(1),) * 20)
    line = Line("quota", Decimal(110), 12)
    return ScenarioAnswer((DEAL,), (), (), issued, after, (line,), (Line("quota", Decimal(110), missed),), END)


def test_more_less_and_the_same_are_told_apart() -> None:
    assert "more than the" in wording_scenario.effect(answer(130, 12), 0.8, FRAME)
    assert "less than the" in wording_scenario.effect(answer(90, 12), 0.8, FRAME)
    assert wording_scenario.effect(answer(100, 12), 0.8, FRAME).endswith("just as it stands.")
    same, fewer = answer(100, 12), answer(130, 5)
    assert "(as before)" in wording_scenario.odds_effect(same.before, same.after, FRAME)
    assert "(now 12)" in wording_scenario.odds_effect(fewer.before, fewer.after, FRAME)
    assert wording_scenario.odds_effect((), (), FRAME) == ""


@pytest.mark.parametrize(
    ("missed", "verb"), [(0, "misses"), (1, "1 of 20 misses"), (12, "12 of 20 miss "), (20, "reaches")]
)
def test_the_dots_have_a_finding(missed: int, verb: str) -> None:
    title = wording_scenario.dots_title(answer(100, missed))
    assert verb in title
    assert len(title) <= 70


def test_a_deal_nothing_is_known_of_keeps_its_odds_in_words_too() -> None:
    fixed = NamedDeal("d", "Acme", Decimal(1), 0.4, None, can_move=False)
    assert "nothing is known" in wording_scenario.assumption(Said("date", "d", "2027-01-01"), fixed, 0.4, FRAME)
    assert wording_scenario.not_understood([]) == ""
    assert wording_scenario.not_understood(["x"]).startswith("One assumption of this link names")
    assert wording_scenario.not_understood(["x", "y"]).startswith("2 assumptions of this link name ")
