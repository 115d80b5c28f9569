"""The record in the finance workbook: figures to the cent, what follows from them as live formulas, each with a check.

Inputs are numbers as published; every difference, rate, sum and count is a formula over them, written with the value
that the engine computed. A check cell holds the two against each other: TRUE means that the sheet's own arithmetic
comes to the published figure.
"""

from __future__ import annotations

import io
from decimal import Decimal

import xlsxwriter

from dashboard import (
    inventory,
    theme,
    wording,
    wording_forecasters,
    wording_landing,
    wording_miss,
    wording_packs,
    wording_trust,
)
from dashboard.packs import parts, workbook
from dashboard.packs.cells import OPTIONS, Book, Cell, Formula, Rate, Sheet
from dashboard.packs.content import Brief
from dashboard.packs.svg import printable


def finance_workbook(brief: Brief) -> bytes:
    """What finance carries and how it ties (``workbook``), and the pages' record behind it, as one XLSX."""
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, OPTIONS)
    trust = brief.trust
    title = wording_packs.document_title(brief.company, trust.context.period_label)
    book.set_properties(
        {
            "title": printable(title),
            "author": printable(brief.company),
            "subject": printable(parts.context_line(trust)),
            # The edition's own instant: the same edition gives the same file.
            "created": brief.ref.published_at,
        }
    )
    workbook.add(book, brief.ref, brief.filters, brief.miss.label or None)
    add(book, brief)
    book.close()
    return made.getvalue()


def add(opened: xlsxwriter.Workbook, brief: Brief) -> None:
    """Add one sheet per answer that the edition has, and one on what it is and how to read it."""
    book, trust = Book(opened), brief.trust
    _verdict(book, brief)
    if not trust.record.is_empty():
        _record(book, brief)
    if trust.outlook is not None:
        _range(book, brief)
    if not trust.ranges.is_empty():
        _past_ranges(book, brief)
    if parts.miss_lines(brief.miss) is not None:
        _miss(book, brief)
    if not brief.forecasters.rows.is_empty():
        _forecasters(book, brief)
    _inputs(book, brief)


def _verdict(book: Book, brief: Brief) -> None:
    trust, frame, ref = brief.trust, brief.trust.context.frame, brief.ref
    title = wording_packs.verdict_title(trust.verdict, frame, trust.grounds)
    sheet = book.sheet(wording_packs.SHEETS["verdict"], title, parts.context_line(trust), (24, 100))
    for sentence in parts.second_lines(trust):
        sheet.sentence(wording.plain(sentence), 90)
    for check in trust.checks:
        sheet.line(
            [parts.CHECKED[check.holds], wording.plain(wording_trust.check_sentence(check, frame, trust.grounds))]
        )
    sheet.skip()
    for name, value in wording_packs.facts_of(
        company=brief.company,
        edition_id=ref.edition_id,
        as_of=ref.as_of_at,
        published=ref.published_at,
        method=ref.method_version,
        digest=ref.input_digest,
        currency=ref.reporting_currency,
        simulated=ref.is_simulated,
    ):
        sheet.line([name, value])
    sheet.skip()
    for sentence in wording_packs.HOW_TO_READ_A_SHEET:
        sheet.sentence(sentence, 90)


def _record(book: Book, brief: Brief) -> None:
    """Called and landed per closed period; what the Trust page says of them, computed here."""
    trust, frame, summary = brief.trust, brief.trust.context.frame, brief.trust.summary
    title = wording_trust.record_title(summary, frame.noun)
    sheet = book.sheet(wording_packs.SHEETS["record"], title, parts.context_line(trust), (40, 18, 18, 18, 12, 20, 12))
    sheet.head([frame.noun.capitalize(), *wording_packs.RECORD_SHEET], freeze=True)
    first = sheet.at
    for row in trust.record.iter_rows(named=True):
        at = sheet.at
        called, landed = sheet.cell(at, 1), sheet.cell(at, 2)
        sheet.line(
            [
                str(row["label"]),
                row["call_amount"],
                row["landed_amount"],
                Formula(f"={called}-{landed}", row["error_amount"]),
                Formula(f'=IF({called}=0,"",{landed}/{called})', row["landing_rate"], "rate"),
                Formula(f'=IF({landed}=0,"",{called}/{landed}-1)', row["lean_rate"], "rate"),
                int(row["caller_count"]),
            ]
        )
    last = sheet.at - 1
    called, landed, error = (sheet.span(first, last, column) for column in (1, 2, 3))
    sums = [sum(trust.record[name].to_list(), Decimal(0)) for name in ("call_amount", "landed_amount", "error_amount")]
    total = sheet.line(
        [
            wording_packs.TOTAL,
            *(Formula(f"=SUM({span})", amount) for span, amount in zip((called, landed, error), sums, strict=True)),
            Formula(
                f'=IF({sheet.cell(sheet.at, 1)}=0,"",{sheet.cell(sheet.at, 2)}/{sheet.cell(sheet.at, 1)})',
                None if not sums[0] else float(sums[1] / sums[0]),
                "rate",
            ),
        ]
    )
    sheet.skip()
    wape = Formula(f'=IF(SUM({landed})=0,"",SUMPRODUCT(ABS({error}))/SUM({landed}))', summary.wape_rate, "rate")
    _checked(sheet, wording_packs.TYPICAL_MISS, wape, summary.wape_rate)
    gap = f"{sheet.cell(total, 1)}-{sheet.cell(total, 2)}-{sheet.cell(total, 3)}"
    _zero(sheet, wording_packs.CALL_LESS_LANDED, gap, sums[0] - sums[1] - sums[2])


def _range(book: Book, brief: Brief) -> None:
    """The range of the open period and its twenty outcomes; the odds are counted from them."""
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    if found is None:
        return
    sheet = book.sheet(
        wording_packs.SHEETS["range"],
        wording_landing.dots_title(found, frame.noun),
        parts.context_line(trust),
        (34, 20, 20, 14),
    )
    for name, amount in zip(
        wording_packs.RANGE_SHEET, (found.lower, found.estimate, found.upper, found.closed_amount), strict=True
    ):
        sheet.line([name, amount])
    lines = [(sheet.line([wording_landing.line_label(line, frame), line.amount]), line) for line in found.lines]
    sheet.skip()
    sheet.head(wording_packs.DOTS_SHEET)
    first = sheet.at
    for place, amount in enumerate(found.dots, start=1):
        sheet.line([place, amount])
    dots = sheet.span(first, sheet.at - 1, 1)
    sheet.skip()
    for at, line in lines:
        odds = Formula(f'=COUNTIF({dots},"<"&{sheet.cell(at, 1)})', line.miss_count, "count")
        _checked(sheet, wording_landing.odds(line, frame), odds, line.miss_count)


def _past_ranges(book: Book, brief: Brief) -> None:
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    if found is None or found.held is None:
        return
    title = wording_landing.held_title(found.held, frame.noun)
    sheet = book.sheet(
        wording_packs.SHEETS["held"], title, wording_landing.held_caption(found), (36, 18, 18, 18, 18, 12)
    )
    sheet.head([frame.noun.capitalize(), *wording_landing.OUTLOOK_COLUMNS], freeze=True)
    first = sheet.at
    cells = trust.ranges.select("label", "lower", "estimate", "upper", "actual_amount", "is_inside").rows()
    for label, lower, estimate, upper, landed, inside in cells:
        at = sheet.at
        low, high, got = sheet.cell(at, 1), sheet.cell(at, 3), sheet.cell(at, 4)
        sheet.line(
            [str(label), lower, estimate, upper, landed, Formula(f"=AND({got}>={low},{got}<={high})", inside, "text")]
        )
    hits = Formula(f"=COUNTIF({sheet.span(first, sheet.at - 1, 5)},TRUE)", found.held.hit_count, "count")
    sheet.skip()
    _checked(sheet, wording_packs.HELD_COUNT, hits, found.held.hit_count)


def _miss(book: Book, brief: Brief) -> None:
    """From call to landed; where each step leads to is a formula, and so is the proof that nothing is left over."""
    answer = brief.miss
    lines = parts.miss_lines(answer)
    if lines is None or answer.call_amount is None or answer.actual_amount is None:
        return
    sheet = book.sheet(wording_packs.SHEETS["miss"], lines[0], wording.plain(lines[1]), (28, 44, 18, 20, 20))
    sheet.head(wording_packs.MISS_SHEET, texts=2, freeze=True)
    call = sheet.line([wording_packs.CALL, "", None, answer.call_amount, Formula(
        f"={sheet.cell(sheet.at, 3)}", answer.call_amount)])  # fmt: skip
    at = answer.call_amount
    for cause, (amount, deals) in answer.bridge.items():
        name, told = wording_miss.CAUSES[cause]
        at += Decimal(0) if amount is None else amount
        reached = f"={sheet.cell(sheet.at - 1, 4)}+{sheet.cell(sheet.at, 3)}"
        sheet.line([name.capitalize(), told, deals, amount, Formula(reached, at)])
    steps = sheet.span(call, sheet.at - 1, 3)
    landed = sheet.line([wording_packs.LANDED, "", None, answer.actual_amount])
    sheet.skip()
    _zero(
        sheet,
        wording_packs.NOTHING_LEFT,
        f"SUM({steps})-{sheet.cell(landed, 3)}",
        at - answer.actual_amount,
    )


def _forecasters(book: Book, brief: Brief) -> None:
    answer, context = brief.forecasters, brief.forecasters.context
    title = wording_forecasters.differ_sentence(
        answer.differ,
        context.frame,
        forecaster_count=answer.forecaster_count,
        period_count=answer.period_count,
        common=answer.common,
        layer=context.layer,
    )
    about = wording_forecasters.lock_line(
        context.frame, context.layer, context.category, context.scope_name, theme.instant(context.as_of_at)
    )
    sheet = book.sheet(
        wording_packs.SHEETS["forecasters"],
        wording.plain(title),
        about,
        (26, 18, 20, 12, 12, 12, 10, 18, 18, 12),
    )
    sheet.head(wording_packs.FORECASTERS_SHEET, texts=3, freeze=True)
    for row in answer.rows.iter_rows(named=True):
        called, landed = sheet.cell(sheet.at, 7), sheet.cell(sheet.at, 8)
        raw = None if not row["forecast_amount"] else float(row["actual_amount"] / row["forecast_amount"])
        sheet.line(
            [
                str(row["name"]),
                row["team"],
                wording.DIRECTIONS[row["word"]],
                Rate(row["estimate"]),
                Rate(row["lower"]),
                Rate(row["upper"]),
                row["period_count"],
                row["forecast_amount"],
                row["actual_amount"],
                Formula(f'=IF({called}=0,"",{landed}/{called})', raw, "rate"),
            ]
        )


def _inputs(book: Book, brief: Brief) -> None:
    """What the edition stands on: landed tables, and what was set aside."""
    found, currency = brief.inputs, brief.ref.reporting_currency
    sheet = book.sheet(
        wording_packs.SHEETS["inputs"],
        inventory.title(found.states, found.rejected, currency),
        inventory.summary(found.states, found.rejected, currency, found.file_count),
        (30, 40, 14, 20, 40),
    )
    sheet.head(wording_packs.INPUTS_SHEET, texts=2)
    for state in found.states:
        days = [moment.date() if moment else None for moment in (state.first_known_at, state.last_known_at)]
        sheet.line([inventory.TABLE_NAMES[state.name], None, state.row_count, state.rejected_amount, *days])
    sheet.skip()
    sheet.head(wording_packs.FAULTS_SHEET, texts=2)
    for fault, cells in zip(found.faults, inventory.fault_rows(found.faults, currency), strict=True):
        sheet.line([cells[0], cells[1], fault.count, fault.amount, cells[4]])


def _checked(sheet: Sheet, name: str, live: Formula, published: Decimal | float | int | None) -> None:
    """The sheet's own figure, the published one, and whether they agree (to the cent, or to a billionth of a rate)."""
    if published is None or live.value is None or isinstance(live.value, str):
        sheet.line([name, live])
        return
    at = sheet.at
    stated: Cell = Rate(published) if isinstance(published, float) else published
    close = 1e-9 if isinstance(published, float) else 0.005
    agrees = abs(float(live.value) - float(published)) < close
    compared = Formula(f"=ABS({sheet.cell(at, 1)}-{sheet.cell(at, 2)})<{close}", agrees, "check")
    sheet.line([name, live, stated, compared])


def _zero(sheet: Sheet, name: str, difference: str, value: Decimal) -> None:
    """A difference that is to be nothing, to the cent, and whether it is."""
    at = sheet.at
    is_zero = Formula(f"={sheet.cell(at, 1)}={sheet.cell(at, 2)}", value == 0, "check")
    sheet.line([name, Formula(f"=ROUND({difference},2)", value), Decimal(0), is_zero])
