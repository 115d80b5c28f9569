"""Reconcile's calls, projection and sign-offs: what they say, draw and write, and each designed state."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import answers_finance, shelf, wording, wording_finance, wording_signoffs
from dashboard.filters import Filters
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions as store
from pipelines.warehouse.signoffs import Signoff, Unreadable, read_signoffs
from tests.dashboard import editions
from tests.dashboard.test_app import words

NOTE = Signoff(
    "opportunity:O1",
    datetime.fromisoformat("2026-10-20T09:00:00"),
    "Fay",
    "e",
    "partial",
    Decimal("40.00"),
    "Rest in Q1",
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace(tmp_path_factory.mktemp("finance-pages") / "workspace")
    runs.demo(workspace, Silent(), reps=8, quarters=7, seed=3)
    return workspace.root


def _reconcile(edition_id: str, layer: str, category: str) -> None:
    from dashboard.filters import Filters
    from dashboard.views import reconcile

    reconcile.page(Filters(edition_id, layer=layer, category=category))


def drawn(
    monkeypatch: pytest.MonkeyPatch, root: Path, part: str = "Deals", *, layer: str = "rep", category: str = "commit"
) -> AppTest:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(root))
    at = AppTest.from_function(
        _reconcile,
        kwargs={"edition_id": str(shelf.current_id(Workspace.at())), "layer": layer, "category": category},
        default_timeout=60,
    )
    at.query_params["tie"] = part
    at.run()
    assert not at.exception
    return at


def html(at: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in at.get("html"))


# Words


def test_titles_are_findings_and_short() -> None:
    most = Decimal("999999999999.99")
    for label in ("Q4 2026", "November 2026"):
        for carry, call in ((Decimal(90), Decimal(100)), (most, -most), (None, None), (Decimal(5), None)):
            assert len(wording_finance.carry_title(label, carry, call, "USD")) <= wording.TITLE_LENGTH
        for row in ({"call_amount": most, "booked_amount": -most}, {}, {"call_amount": most, "booked_amount": most}):
            assert len(wording_finance.call_tie_title(label, row, "USD")) <= wording.TITLE_LENGTH
    assert (
        wording_finance.carry_title("Q4 2026", Decimal(900), Decimal(1000), "USD")
        == "Q4 2026: carry $900, $100 below the call"
    )
    assert (
        wording_finance.carry_title("Q4", Decimal("1000.00"), Decimal("1000.40"), "USD")
        == "Q4: carry $1.00K, as called"
    )
    assert wording_finance.carry_title("", None, None, "USD") == "No period is running to project"
    assert wording_finance.call_tie_title("Q3", {"call_amount": Decimal(5), "booked_amount": Decimal(5)}, "USD") == (
        "Q3: called and booked agree to the cent"
    )


def steps(**changes: Any) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {
        name: {"step": name, "amount": Decimal(10), "lower": None, "upper": None, "level": 0.8, "period_count": 8,
               "status": "ok"}
        for name in wording_finance.STEPS
    }  # fmt: skip
    for name, change in changes.items():
        told[name] |= change
    return told


def test_the_number_and_its_range_stand_together_and_what_is_left_out_is_named() -> None:
    known = steps(
        carry={"amount": Decimal(900), "lower": Decimal(800), "upper": Decimal(1000)}, call={"amount": Decimal(950)}
    )
    said = wording.plain(wording_finance.carry_sentence(known, "rep", "commit", "USD"))
    assert said == "Of Reps: commit at $950.00, carry $900.00, 4 times in 5 between $800–$1.00K (8 closed periods)."
    part = steps(bookings_lag={"amount": None, "status": "not_enough_history"})
    assert "left out: bookings lag" in wording_finance.carry_sentence(part, "rep", "commit", "USD")
    nothing = steps(carry={"amount": None})
    assert "the call stands alone" in wording_finance.carry_sentence(nothing, "rep", "commit", "USD")


def test_a_note_says_what_was_signed_when_the_break_has_changed() -> None:
    assert wording_signoffs.signed(NOTE, holds=True, currency="USD") == "Fay, 20 Oct 2026: Rest in Q1"
    assert wording_signoffs.signed(NOTE, holds=False, currency="USD").startswith(
        "signed when it was +$40.00 (booked in part)"
    )
    assert (
        wording_signoffs.signed_sentence([True, False], 3)
        == "1 of 3 breaks signed as they stand, 1 signed when they were something else."
    )
    assert "line 7" in wording_signoffs.unreadable([Unreadable(7, "x")])


# Pages


@pytest.mark.parametrize("layer", ["rep", "manager", "executive"])
def test_the_calls_of_every_layer_are_led_to_the_books(
    monkeypatch: pytest.MonkeyPatch, company: Path, layer: str
) -> None:
    at = drawn(monkeypatch, company, "Calls", layer=layer)
    assert "the books" in at.title[0].value or "agree" in at.title[0].value
    assert "adds up from call to booked, to the cent" in words(at)
    assert at.dataframe[0].value["who"].iloc[0] == "Whole company"


def test_the_projection_says_number_range_steps_and_spans(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    at = drawn(monkeypatch, company, "Projection")
    answer = answers_finance.projection(Filters(str(shelf.current_id(Workspace.at()))))
    assert at.title[0].value.startswith(answer.label)
    assert "4 times in 5 between" in words(at)
    for name, _ in wording_finance.STEPS.values():
        assert name.capitalize().replace("'", "&#x27;") in html(at)
    assert "By month" in [box.label for box in at.expander]


def test_calls_nobody_made_have_no_bridge(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    at = drawn(monkeypatch, company, "Projection", layer="finance")
    assert "no bridge to a number to carry" in words(at)
    at = drawn(monkeypatch, company, "Calls", layer="finance")
    assert "No call of finance" in words(at)


@pytest.mark.parametrize("part", ["Calls", "Projection", "Deals"])
@pytest.mark.parametrize("variant", ["records", "no_calls", "full", "empty"])
def test_without_books_each_part_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str, variant: str
) -> None:
    known = variant if variant in editions.VARIANTS else "full"
    at = drawn(monkeypatch, editions.workspace_of(tmp_path, known).root, part)
    assert at.title[0].value


def test_a_break_is_signed_on_the_page_and_the_note_stands_beside_it(
    monkeypatch: pytest.MonkeyPatch, company: Path
) -> None:
    at = drawn(monkeypatch, company)
    edition = store.current(Workspace.at())
    assert edition is not None
    before = edition.path.read_bytes()
    at.text_input(key="signed-by").input("Fay $1 *x*")
    at.text_area(key="signed-why").input("Rest in Q1")
    at.button[0].click().run()
    assert not at.exception
    assert at.success
    (note,), unreadable = read_signoffs(Workspace.at())
    assert unreadable == []
    signed = at.dataframe[0].value["signed"].dropna()
    assert list(signed) == [wording_signoffs.signed(note, holds=True, currency="USD")]
    assert "signed as they stand" in words(at)
    assert edition.path.read_bytes() == before
    at.text_input(key="signed-by").input(" ")
    at.button[0].click().run()
    assert "needs a name" in at.error[0].value
    assert len(read_signoffs(Workspace.at())[0]) == 1


def test_a_line_that_is_no_note_is_told(monkeypatch: pytest.MonkeyPatch, company: Path) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company))
    with Workspace.at().signoffs.open("ab") as file:
        file.write(b"not a note\n")
    at = drawn(monkeypatch, company)
    assert any("cannot be read as a note" in box.value for box in at.warning)
