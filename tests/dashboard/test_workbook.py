"""Finance's workbook: formulas that are live, and come to what the edition says, by an evaluator of the test's own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from dashboard import answers_finance, wording_finance
from dashboard.filters import Filters
from dashboard.packs.workbook import BOOKS, CALLS, CARRY, IN_BOOKS, PLAN, SHEETS, workbook
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.test_books import line
from tests.test_pairs import call, won
from tests.warehouse_help import at, land_all

TERM = r"SUMIF\([^)]*\)|SUM\([^)]*\)|(?:'[^']+'!)?\$?[A-Z]+\$?\d+"
CELL = r"(?:'([^']+)'!)?\$?([A-Z]+)\$?(\d+)"


class Evaluator:
    """SUM, SUMIF, + and − over the cells of one workbook, formulas followed to the figures they rest on; text is 0."""

    def __init__(self, formulas: Workbook) -> None:
        self._book = formulas

    def value(self, sheet: str, at: str) -> Decimal:
        held = self._book[sheet][at].value
        if isinstance(held, str) and held.startswith("="):
            return self.formula(sheet, held[1:])
        return Decimal(repr(held)) if isinstance(held, int | float) else Decimal(0)

    def formula(self, sheet: str, text: str) -> Decimal:
        total = Decimal(0)
        for sign, term in re.findall(rf"([+-]?)({TERM})", text):
            total += (-1 if sign == "-" else 1) * self._term(sheet, term)
        return total

    def _term(self, sheet: str, term: str) -> Decimal:
        if term.startswith("SUMIF("):
            where, wanted, what = term[6:-1].split(",")
            name = self._book[sheet][wanted].value
            pairs = zip(self._cells(sheet, where), self._cells(sheet, what), strict=True)
            return sum((self.value(*cell) for held, cell in pairs if self._text(*held) == name), Decimal(0))
        if term.startswith("SUM("):
            return sum((self.value(*cell) for cell in self._cells(sheet, term[4:-1])), Decimal(0))
        found = re.fullmatch(CELL, term)
        assert found is not None, term
        return self.value(found[1] or sheet, found[2] + found[3])

    def _text(self, sheet: str, at: str) -> object:
        return self._book[sheet][at].value

    def _cells(self, sheet: str, span: str) -> list[tuple[str, str]]:
        name = re.match(r"'([^']+)'!", span)
        place = name[1] if name else sheet
        rows = self._book[place][span.partition("!")[2].replace("$", "") if name else span]
        return [(place, cell.coordinate) for row in rows for cell in row]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("workbook") / "workspace")
    runs.demo(workspace, Silent(), reps=8, quarters=7, seed=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
        yield workspace


@pytest.fixture(scope="module")
def ref(company: Workspace) -> EditionRef:
    found = editions.current(company)
    assert found is not None
    return found


def opened(made: bytes, *, values: bool) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(made), data_only=values)


def figures(sheet: Worksheet, heading: str, column: int) -> dict[str, Decimal | None]:
    """First cell of each row under a heading → the figure in one column."""
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    first = next(place for place, row in enumerate(rows) if row[0] == heading)
    return {
        str(row[0]): Decimal(repr(row[column])).quantize(Decimal("0.01"))
        for row in rows[first + 1 :]
        if row[0] and isinstance(row[column], int | float)
    }


def test_every_formula_comes_to_the_value_beside_it_and_refers_to_no_other_file(ref: EditionRef) -> None:
    made = workbook(ref, Filters(ref.edition_id))
    formulas, values = opened(made, values=False), opened(made, values=True)
    assert tuple(formulas.sheetnames) == SHEETS
    evaluator, count = Evaluator(formulas), 0
    for sheet in formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type != "f":
                    continue
                count += 1
                assert "[" not in cell.value
                come_to = evaluator.value(sheet.title, cell.coordinate).quantize(Decimal("0.01"))
                shown = values[sheet.title][cell.coordinate].value
                assert come_to == Decimal(repr(shown)).quantize(Decimal("0.01")), (sheet.title, cell.coordinate)
    assert count > 300
    assert not any(cell.data_type == "f" for name in SHEETS[5:] for row in formulas[name].iter_rows() for cell in row)


def test_the_carried_number_is_the_editions_and_the_pages(ref: EditionRef) -> None:
    filters = Filters(ref.edition_id)
    book = opened(workbook(ref, filters), values=True)
    steps = figures(book[CARRY], "Step", 2)
    published = editions.read(
        ref, "projection_bridge", where={"scope": "company", "layer": "rep", "category": "commit"}
    )
    for row in published.iter_rows(named=True):
        if row["amount"] is not None:
            assert steps[wording_finance.STEPS[row["step"]][0].capitalize()] == row["amount"]
    assert steps["Check"] == 0
    assert answers_finance.projection(filters).carry == steps["Carry"]
    name = book.defined_names["number_to_carry"]
    sheet, place = next(iter(name.destinations))
    assert Decimal(repr(book[sheet][place].value)).quantize(Decimal("0.01")) == steps["Carry"]


def test_each_call_ties_to_the_books_with_nothing_left(ref: EditionRef) -> None:
    filters = Filters(ref.edition_id)
    tied = answers_finance.call_tie(filters)
    book = opened(workbook(ref, filters, tied.label), values=True)
    booked, apart = figures(book[CALLS], "Who", 11), figures(book[CALLS], "Who", 13)
    assert tied.rows.height > 5
    for row in tied.rows.iter_rows(named=True):
        who = "Whole company" if row["forecaster_id"] == "company" else row["name"]
        assert (booked[who], apart[who]) == (row["booked_amount"], 0)
    people = tied.rows.filter(pl.col("forecaster_id") != "company")["booked_amount"].sum()
    assert booked["Reps together"] == people


def test_the_kinds_add_up_to_both_ledgers(ref: EditionRef) -> None:
    book = opened(workbook(ref, Filters(ref.edition_id)), values=True)
    ledger = editions.read(ref, "reconciliation_totals", where={"break_kind": "ledger"}).row(0, named=True)
    for column, name in ((2, "crm_amount"), (3, "booked_amount"), (4, "difference_amount")):
        told = figures(book[BOOKS], "Kind", column)
        assert told["Together"] == told["Ledgers"] == ledger[name]
        assert told["Left out"] == 0
    months = figures(book[PLAN], "Month", 1)
    assert months["less the period"] == 0


def test_the_same_edition_gives_the_same_cells(ref: EditionRef) -> None:
    one, other = (workbook(ref, Filters(ref.edition_id)) for _ in range(2))
    assert one == other


def test_panes_are_frozen_and_money_has_its_format(ref: EditionRef) -> None:
    book = opened(workbook(ref, Filters(ref.edition_id)), values=False)
    assert all(book[name].freeze_panes for name in SHEETS[1:])
    carried = book["Carry"]["C4"]
    assert "#,##0.00" in carried.number_format


def test_a_name_that_looks_like_a_formula_is_text_and_little_data_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Workspace(tmp_path / "small")
    land_all(
        place,
        {
            "opportunities": [won("=1+1", amount=100, account_name='=HYPERLINK("http://x")'), won("b", amount=5)],
            "forecast_submissions": [call("=cmd|' /C calc'!A0")],
            "bookings": [line("early", 1, booked_on="2026-07-03"), line("+late", 4, "2026-10-02", opportunity_id="b")],
        },
    )
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(place.root))
    small = runs.publish(place, Silent(), as_of=at("2026-10-20"))
    book = opened(workbook(small, Filters(small.edition_id)), values=False)
    cells = [cell for row in book[IN_BOOKS].iter_rows() for cell in row if cell.value is not None]
    assert not any(cell.data_type == "f" for cell in cells)
    assert "=1+1" in {cell.value for cell in cells}
    assert book[CALLS]["A5"].value == "=cmd|' /C calc'!A0"
    assert book[CALLS]["A5"].data_type == "s"


def test_without_bookings_or_calls_the_workbook_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Workspace(tmp_path / "bare")
    land_all(place, {"opportunities": [won("a", amount=5)]})
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(place.root))
    bare = runs.publish(place, Silent(), as_of=at("2026-10-20"))
    book = opened(workbook(bare, Filters(bare.edition_id)), values=True)
    said = {str(cell.value) for name in (CARRY, CALLS, BOOKS) for row in book[name].iter_rows() for cell in row}
    assert "No bookings have landed." in said
    assert any("No call in a closed period" in text for text in said)
