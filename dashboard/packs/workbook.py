"""Finance's workbook: inputs as the edition has them on sheets of their own, all else a live formula over them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Any

import polars as pl
from xlsxwriter.workbook import Workbook

from dashboard import shelf, theme, wording_finance, wording_reconcile
from dashboard.answers_finance import CallTieAnswer, ProjectionAnswer, call_tie_of, projection_of
from dashboard.filters import Filters, calls_label
from dashboard.language import say
from dashboard.packs.sheets import Cell, Looks, Sheet
from pipelines.finance_contracts import BOOK_STEPS
from pipelines.policy import COMPANY_SCOPE
from pipelines.warehouse.editions import EditionRef

READ_ME, CARRY, PLAN, CALLS, BOOKS = "Read me", "Carry", "Plan and range", "Calls to bookings", "CRM to bookings"
IN_CARRY, IN_PLAN, IN_CALLS, IN_BOOKS = "In carry", "In plan", "In calls", "In ties"
SHEETS = (READ_ME, CARRY, PLAN, CALLS, BOOKS, IN_CARRY, IN_PLAN, IN_CALLS, IN_BOOKS)

RANGES = tuple(f"{side}_{percent}" for percent in (50, 80, 90) for side in ("lower", "upper"))
SPAN_FIGURES = ("plan_amount", "call_amount", "estimate", *RANGES, "crm_amount", "booked_amount", "actual_amount")
TO_LANDING = ("call", "lean", "timing", "deals")
TO_CARRY = ("bookings_lag", "bookings_breaks", "currency")

MOST_TIES = 20_000
"""Breaks listed one by one; the smaller ones beyond it stand together, kind by kind."""


@dataclass(frozen=True)
class _Made:
    """One workbook on its way: what its sheets are filled from."""

    book: Workbook
    looks: Looks
    ref: EditionRef
    filters: Filters
    projected: ProjectionAnswer
    tied: CallTieAnswer
    ties: pl.DataFrame
    ledger: dict[str, Any]

    def sheet(self, name: str, title: str, widths: tuple[int, ...]) -> Sheet:
        return Sheet(self.book, self.looks, name, title, widths)


def workbook(ref: EditionRef, filters: Filters, period: str | None = None) -> bytes:
    """The workbook of one edition, for a scope and a kind of calls; ``period``: the closed one whose calls are tied.

    Every figure agrees with the edition to the cent; no formula refers outside the file. Names from the data are text
    and never run. The same edition and filters give the same cells.
    """
    made = BytesIO()
    book = Workbook(
        made, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    # The edition's own instant, so that the same edition gives the same file.
    book.set_properties({"title": f"Forecast Trust {ref.edition_id}", "created": ref.published_at})
    add(book, ref, filters, period)
    book.close()
    return made.getvalue()


def add(book: Workbook, ref: EditionRef, filters: Filters, period: str | None = None) -> None:
    """Add these sheets to an open workbook, before any other."""
    for name in SHEETS:
        book.add_worksheet(name)
    ties = shelf.table(ref, "reconciliation")
    totals = shelf.table(ref, "reconciliation_totals").filter(pl.col("break_kind") == "ledger")
    work = _Made(
        book,
        Looks.of(book),
        ref,
        filters,
        projection_of(ref, filters),
        call_tie_of(ref, filters, period),
        ties,
        totals.row(0, named=True) if totals.height else {},
    )
    _read_me(work)
    _carry(work, _carry_inputs(work))
    _plan(work, _plan_inputs(work))
    _calls(work, _calls_inputs(work))
    _books(work, *_books_inputs(work))


def _read_me(work: _Made) -> None:
    ref, projected = work.ref, work.projected
    sheet = work.sheet(READ_ME, say("What finance carries, and how it ties"), (28, 110))
    facts = (
        (say("Company"), ref.company_name or "–"),
        (say("Edition"), ref.edition_id),
        (say("As of"), theme.instant(ref.as_of_at)),
        (say("Published"), theme.instant(ref.published_at)),
        (say("Method"), ref.method_version),
        (say("Data"), say("simulated") if ref.is_simulated else say("the company's own")),
        (say("Currency"), ref.reporting_currency),
        (say("Landed means"), wording_reconcile.actual_source(ref.actual_source)),
        (say("Whose number"), projected.scope_name),
        (say("Which calls"), calls_label(work.filters.layer, work.filters.category)),
        (say("Running period"), projected.label or "–"),
        (say("Calls tied"), work.tied.label or "–"),
        (say("Input digest"), ref.input_digest),
    )
    for name, value in facts:
        sheet.text(0, name)
        sheet.text(1, value)
        sheet.next()
    sheet.gap()
    sheet.say(say("Sheets named In … hold figures as the edition has them; every other figure is a formula over them."))
    for sentence in (*wording_finance.METHOD, *wording_finance.TIE_RULES):
        sheet.say(sentence)


def _carry_inputs(work: _Made) -> dict[str, dict[str, Cell]]:
    sheet = work.sheet(IN_CARRY, say("Inputs: the steps as the edition has them"), (18, 60, 18, 18, 18, 8, 9, 34))
    sheet.heads(
        [say(text) for text in ("Step", "What it is", "Amount", "Lower", "Upper", "Level", "Periods", "Remark")]
    )
    found: dict[str, dict[str, Cell]] = {}
    for row in work.projected.steps.iter_rows(named=True):
        name, told = wording_finance.STEPS[row["step"]]
        sheet.text(0, name)
        sheet.text(1, told)
        found[row["step"]] = {
            "amount": sheet.put(2, row["amount"]),
            "lower": sheet.put(3, row["lower"]),
            "upper": sheet.put(4, row["upper"]),
        }
        sheet.put(5, row["level"], "percent")
        sheet.put(6, row["period_count"], "count")
        sheet.text(7, wording_finance.STATUSES[row["status"]])
        sheet.next()
    return found


def _carry(work: _Made, inputs: dict[str, dict[str, Cell]]) -> None:
    """The bridge: its totals are sums of the steps above them, and its last line what the edition says less that."""
    projected = work.projected
    title = wording_finance.carry_title(
        projected.label, projected.carry, _amount(inputs, "call"), work.ref.reporting_currency
    )
    sheet = work.sheet(CARRY, title, (24, 74, 20, 20, 20))
    sheet.heads([say(text) for text in ("Step", "Why", "Amount", "Lower", "Upper")])
    if not inputs:
        sheet.say(say("No period is running, so there is nothing to carry."))
        return

    def step(name: str) -> Cell:
        _named(sheet, name)
        amount = sheet.link(2, inputs[name]["amount"])
        _ends(sheet, inputs[name])
        sheet.next()
        return amount

    led = [step(name) for name in TO_LANDING]
    _named(sheet, "landing", total=True)
    has_call = inputs["call"]["amount"].value is not None
    landing = sheet.sum(2, led) if has_call else sheet.link(2, inputs["landing"]["amount"])
    _define(work, "sales_call", led[0])
    _define(work, "landing_middle", landing)
    _ends(sheet, inputs["landing"])
    sheet.next()
    booked = [step(name) for name in TO_CARRY]
    _named(sheet, "carry", total=True)
    known = inputs["carry"]["amount"].value is not None
    total = landing.amount + sum((cell.amount for cell in booked), Decimal(0))
    formula = f"={landing.at}+SUM({booked[0].at}:{booked[-1].at})"
    carried = sheet.formula(2, formula, total if known else None, total=True)
    _define(work, "number_to_carry", carried)
    _ends(sheet, inputs["carry"])
    sheet.next()
    sheet.gap()
    sheet.text(0, say("Check"))
    sheet.text(1, say("less the number in the edition: 0.00"))
    sheet.difference(2, carried, inputs["carry"]["amount"])


def _plan_inputs(work: _Made) -> list[tuple[dict[str, Any], dict[str, Cell]]]:
    sheet = work.sheet(IN_PLAN, say("Inputs: every span as the edition has it"), (22, 12, 14, 14, *(17,) * 12, 34))
    heads = ("Span", "Kind", "From", "To", *_SPAN_HEADS, "Remark")
    sheet.heads([say(text) for text in heads])
    found = []
    for row in work.projected.spans.iter_rows(named=True):
        sheet.text(0, wording_finance.span_name(row))
        sheet.text(1, row["span_kind"])
        sheet.put(2, row["span_start_on"], "day")
        sheet.put(3, row["span_end_on"], "day")
        found.append((row, {name: sheet.put(4 + place, row[name]) for place, name in enumerate(SPAN_FIGURES)}))
        sheet.text(4 + len(SPAN_FIGURES), wording_finance.STATUSES[row["status"]])
        sheet.next()
    return found


_SPAN_HEADS = (
    "Plan", "Call", "Middle of the range", "50 % from", "50 % to", "80 % from", "80 % to", "90 % from", "90 % to",
    "Closed won", "Booked", "Landed",
)  # fmt: skip


def _plan(work: _Made, inputs: list[tuple[dict[str, Any], dict[str, Cell]]]) -> None:
    sheet = work.sheet(PLAN, say("Plan, call, range and what landed"), (22, *(17,) * 17))
    gaps = ("Call less plan", "Middle less plan", "Landed less plan", "Landed less call", "Booked less closed won")
    sheet.heads([say(text) for text in ("Span", *_SPAN_HEADS, *gaps)])
    wholes: dict[Any, dict[str, Cell]] = {}
    for row, cells in inputs:
        if row["span_kind"] == "month":
            continue
        sheet.text(0, wording_finance.span_name(row))
        shown = {name: sheet.link(1 + place, cells[name]) for place, name in enumerate(SPAN_FIGURES)}
        if row["span_kind"] == "period":
            wholes[row["period_start_on"]] = shown
        pairs = (
            ("call_amount", "plan_amount"),
            ("estimate", "plan_amount"),
            ("actual_amount", "plan_amount"),
            ("actual_amount", "call_amount"),
            ("booked_amount", "crm_amount"),
        )
        for place, (one, other) in enumerate(pairs):
            sheet.difference(1 + len(SPAN_FIGURES) + place, shown[one], shown[other])
        if row["period_start_on"] == work.ref.open_period_start_on and row["span_kind"] == "period":
            _define(work, "plan", shown["plan_amount"])
        sheet.next()
    months = [(row, cells) for row, cells in inputs if row["span_kind"] == "month"]
    if not months:
        return
    sheet.gap()
    heads = ("Month", "Closed won", "Booked", "Middle of the range", "Remark")
    sheet.heads([say(text) for text in heads], freeze=False)
    for start, whole in wholes.items():
        parts = [(row, cells) for row, cells in months if row["period_start_on"] == start]
        columns: dict[str, list[Cell]] = {"crm_amount": [], "booked_amount": [], "estimate": []}
        for row, cells in parts:
            sheet.text(0, wording_finance.span_name(row))
            for place, name in enumerate(columns):
                columns[name].append(sheet.link(1 + place, cells[name]))
            sheet.text(4, wording_finance.STATUSES[row["status"]])
            sheet.next()
        sheet.text(0, say("Together"), total=True)
        sums = {name: sheet.sum(1 + place, column) for place, (name, column) in enumerate(columns.items())}
        sheet.next()
        sheet.text(0, say("less the period"))
        for place, name in enumerate(columns):
            if all(cell.value is not None for cell in columns[name]) and whole[name].value is not None:
                sheet.difference(1 + place, sums[name], whole[name])
        sheet.next()
        sheet.gap()


def _calls_inputs(work: _Made) -> list[tuple[dict[str, Any], dict[str, Cell]]]:
    title = say("Inputs: calls and bookings of {period}", period=work.tied.label or "–")
    sheet = work.sheet(IN_CALLS, title, (30, *(17,) * 10, 30))
    names = ("call_amount", "crm_amount", *BOOK_STEPS, "booked_amount")
    heads = (say("Who"), *(_book_head(name) for name in names), say("Remark"))
    sheet.heads(heads)
    found = []
    for row in work.tied.rows.iter_rows(named=True):
        sheet.text(0, _who(row))
        found.append((row, {name: sheet.put(1 + place, row[name]) for place, name in enumerate(names)}))
        sheet.text(1 + len(names), wording_finance.STATUSES[row["status"]])
        sheet.next()
    return found


def _calls(work: _Made, inputs: list[tuple[dict[str, Any], dict[str, Cell]]]) -> None:
    """Call + miss = closed won; closed won + steps = booked; less what the books say: 0.00 in every row."""
    label = work.tied.label or "–"
    sheet = work.sheet(CALLS, say("From each call to what was booked in {period}", period=label), (30, *(17,) * 13))
    names = ("call_amount", "miss_amount", "crm_amount", *BOOK_STEPS, "booked_amount")
    sheet.heads([say("Who"), *(_book_head(name) for name in names), say("The books say"), say("Difference")])
    if not inputs:
        sheet.say(say("No call in a closed period can be held against bookings."))
    people: dict[int, list[Cell]] = {}
    for row, cells in inputs:
        sheet.text(0, _who(row))
        call = sheet.link(1, cells["call_amount"])
        miss = sheet.difference(2, cells["crm_amount"], cells["call_amount"])
        has_both = call.value is not None and miss.value is not None
        won = (
            sheet.formula(3, f"={call.at}+{miss.at}", call.amount + miss.amount)
            if has_both
            else sheet.link(3, cells["crm_amount"])
        )
        steps = [sheet.link(4 + place, cells[name]) for place, name in enumerate(BOOK_STEPS)]
        is_told = row["booked_amount"] is not None and won.value is not None
        total = won.amount + sum((step.amount for step in steps), Decimal(0))
        booked = sheet.formula(11, f"=SUM({won.at}:{steps[-1].at})", total if is_told else None)
        said = sheet.link(12, cells["booked_amount"])
        sheet.difference(13, booked, said)
        if row["forecaster_id"] != COMPANY_SCOPE:
            for column, cell in enumerate((call, miss, won, *steps, booked, said), start=1):
                people.setdefault(column, []).append(cell)
        sheet.next()
    if people and work.tied.layer == "rep":
        sheet.text(0, say("Reps together"), total=True)
        for column, cells_of in people.items():
            sheet.sum(column, cells_of)
        sheet.next()


def _books_inputs(work: _Made) -> tuple[list[str], tuple[str, str, str] | None, dict[str, Cell]]:
    """Every break as a row; what ties stands together. Returns the kinds, the ranges of cells, and the ledgers."""
    sheet = work.sheet(
        IN_BOOKS, say("Inputs: won deals and bookings that do not tie"), (22, 22, 32, 20, 14, 14, *(17,) * 4, 10)
    )
    heads = (
        "Deal",
        "Bookings",
        "Account",
        "Kind",
        "Won on",
        "Booked on",
        "Closed won",
        "Booked",
        "Difference",
        "Of it by rate",
        "Age, days",
    )
    sheet.heads([say(text) for text in heads])
    breaks = work.ties.filter(pl.col("break_kind") != "matched").sort(
        pl.col("difference_amount").abs(), "record_id", descending=[True, False], nulls_last=True
    )
    listed = breaks.head(MOST_TIES)
    first = sheet.row + 1
    for row in listed.iter_rows(named=True):
        for column, name in enumerate(("opportunity_id", "booking_ids", "account_name")):
            sheet.text(column, row[name])
        sheet.text(3, _kind(row["break_kind"]))
        sheet.put(4, row["closed_on"], "day")
        sheet.put(5, row["booked_on"], "day")
        for column, name in enumerate(("crm_amount", "booked_amount", "difference_amount", "rate_amount"), start=6):
            sheet.put(column, row[name])
        sheet.put(10, row["age_days"], "count")
        sheet.next()
    rest = pl.concat([work.ties.filter(pl.col("break_kind") == "matched"), breaks.slice(MOST_TIES)])
    together = rest.group_by("break_kind").agg(
        pl.len().alias("n"), *(pl.col(name).sum() for name in ("crm_amount", "booked_amount"))
    )
    for row in together.sort("break_kind").iter_rows(named=True):
        sheet.text(0, say("{n} rows together", n=theme.count(row["n"])))
        sheet.text(3, _kind(row["break_kind"]))
        sheet.put(6, row["crm_amount"])
        sheet.put(7, row["booked_amount"])
        sheet.next()
    last = sheet.row
    sheet.gap()
    sheet.text(0, say("Both ledgers as handed in"))
    ledgers = {
        name: sheet.put(column, work.ledger.get(name))
        for column, name in enumerate(("crm_amount", "booked_amount", "difference_amount"), start=6)
    }
    if last < first:
        return [], None, ledgers
    spans = tuple(f"'{IN_BOOKS}'!${letter}${first}:${letter}${last}" for letter in "DGH")
    kinds = [kind for kind in wording_reconcile.KINDS if kind in set(work.ties["break_kind"])]
    return kinds, (spans[0], spans[1], spans[2]), ledgers


def _books(work: _Made, kinds: list[str], spans: tuple[str, str, str] | None, ledgers: dict[str, Cell]) -> None:
    """Both ledgers, kind by kind, whole company and every period; the last line is what the rows leave out: 0.00."""
    sheet = work.sheet(BOOKS, say("Closed won against bookings, kind by kind"), (22, 60, 20, 20, 20))
    sheet.heads([say(text) for text in ("Kind", "Which", "Closed won", "Booked", "Difference")])
    if spans is None:
        sheet.say(say("No bookings have landed."))
        return
    columns: dict[str, list[Cell]] = {"crm_amount": [], "booked_amount": [], "difference_amount": []}
    for kind in kinds:
        rows = work.ties.filter(pl.col("break_kind") == kind)
        named = sheet.text(0, _kind(kind))
        sheet.text(1, wording_reconcile.KINDS[kind][1])
        for column, (name, span) in enumerate(zip(("crm_amount", "booked_amount"), spans[1:], strict=True), start=2):
            total = sum(rows[name].drop_nulls().to_list(), Decimal(0))
            columns[name].append(sheet.formula(column, f"=SUMIF({spans[0]},{named.at},{span})", total))
        columns["difference_amount"].append(
            sheet.difference(4, columns["crm_amount"][-1], columns["booked_amount"][-1])
        )
        sheet.next()
    sheet.text(0, say("Together"), total=True)
    sums = {name: sheet.sum(place, column) for place, (name, column) in enumerate(columns.items(), start=2)}
    sheet.next()
    sheet.text(0, say("Ledgers"))
    handed = {name: sheet.link(place, ledgers[name]) for place, name in enumerate(columns, start=2)}
    sheet.next()
    sheet.text(0, say("Left out"))
    for place, name in enumerate(columns, start=2):
        sheet.difference(place, handed[name], sums[name])


def _named(sheet: Sheet, step: str, *, total: bool = False) -> None:
    name, told = wording_finance.STEPS[step]
    sheet.text(0, name.capitalize(), total=total)
    sheet.text(1, told, total=total)


def _ends(sheet: Sheet, cells: dict[str, Cell]) -> None:
    for column, end in ((3, "lower"), (4, "upper")):
        if cells[end].value is not None:
            sheet.link(column, cells[end])


def _amount(inputs: dict[str, dict[str, Cell]], step: str) -> Decimal | None:
    value = inputs[step]["amount"].value if step in inputs else None
    return value if isinstance(value, Decimal) else None


def _define(work: _Made, name: str, cell: Cell) -> None:
    """A name for a figure that people will use in their own sheets."""
    column, row = cell.at.rstrip("0123456789"), cell.at.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    work.book.define_name(name, f"='{cell.sheet}'!${column}${row}")


def _book_head(name: str) -> str:
    heads = {"call_amount": say("Call"), "booked_amount": say("Booked")}
    return heads.get(name) or wording_finance.BOOK_STEPS[name][0].capitalize()


def _kind(kind: str) -> str:
    return wording_reconcile.KINDS[kind][0].capitalize()


def _who(row: dict[str, Any]) -> str:
    return say("Whole company") if row["forecaster_id"] == COMPANY_SCOPE else str(row["name"])
