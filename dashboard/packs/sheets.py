"""A worksheet of figures: every cell knows its value, so that a formula is written with what it comes to.

Money is computed in cents and shown as a number; a spreadsheet recomputes every formula when it opens the file, and a
reader without one (a viewer, a test) sees the value that stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

Value = Decimal | float | int | str | date | None

NO_VALUE = "–"
"""What stands where a value is missing: text, which a sum passes over."""


@dataclass(frozen=True)
class Cell:
    """Where a figure stands (``sheet``, ``at``) and what it is; ``value`` None where it is missing."""

    sheet: str
    at: str
    value: Value

    @property
    def ref(self) -> str:
        """As another sheet's formula names it."""
        return f"'{self.sheet}'!{self.at}"

    @property
    def amount(self) -> Decimal:
        """For sums: what is missing is passed over, as a spreadsheet's SUM does."""
        return self.value if isinstance(self.value, Decimal) else Decimal(0)


@dataclass(frozen=True)
class Looks:
    """The formats of one workbook."""

    title: Format
    head: Format
    text: Format
    wrapped: Format
    money: Format
    total: Format
    total_text: Format
    percent: Format
    count: Format
    day: Format

    @classmethod
    def of(cls, book: Workbook) -> Looks:
        money = {"num_format": "#,##0.00;−#,##0.00;0.00", "align": "right"}
        rule = {"bold": True, "top": 1}
        return cls(
            title=book.add_format({"bold": True, "font_size": 14}),
            head=book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
            text=book.add_format({}),
            wrapped=book.add_format({"text_wrap": True, "valign": "top"}),
            money=book.add_format(money),
            total=book.add_format({**money, **rule}),
            total_text=book.add_format(rule),
            percent=book.add_format({"num_format": "0 %", "align": "right"}),
            count=book.add_format({"num_format": "0", "align": "right"}),
            day=book.add_format({"num_format": "d mmm yyyy", "align": "left"}),
        )


class Sheet:
    """One worksheet, filled from the top: a title, a heading row that stays in sight, and rows of cells."""

    def __init__(self, book: Workbook, looks: Looks, name: str, title: str, widths: Sequence[int]) -> None:
        self.name, self._looks, self._row = name, looks, 0
        self._sheet: Worksheet = book.get_worksheet_by_name(name) or book.add_worksheet(name)
        for column, width in enumerate(widths):
            self._sheet.set_column(column, column, width)
        self._sheet.hide_gridlines(2)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        self._sheet.write_string(0, 0, title, looks.title)
        self._row = 2

    def say(self, text: str) -> None:
        """A note over the whole width, as text."""
        self._sheet.write_string(self._row, 0, text, self._looks.text)
        self._row += 1

    def gap(self) -> None:
        self._row += 1

    def heads(self, names: Sequence[str], *, freeze: bool = True) -> None:
        for column, name in enumerate(names):
            self._sheet.write_string(self._row, column, name, self._looks.head)
        self._row += 1
        if freeze:
            self._sheet.freeze_panes(self._row, 1)
            self._sheet.repeat_rows(self._row - 1)

    @property
    def row(self) -> int:
        """The row that the next cells go to, from 0."""
        return self._row

    def next(self) -> None:
        self._row += 1

    def text(self, column: int, text: str | None, *, total: bool = False) -> Cell:
        """Always text, whatever it begins with: a name from a CRM is never run as a formula."""
        look = self._looks.total_text if total else self._looks.text
        self._sheet.write_string(self._row, column, text or "", look)
        return Cell(self.name, self._at(column), text)

    def put(self, column: int, value: Value, kind: str = "money") -> Cell:
        """A figure as it is in the edition; a missing one as a dash."""
        look: Format = getattr(self._looks, kind)
        if value is None:
            self._sheet.write_string(self._row, column, NO_VALUE, look)
        elif isinstance(value, date | datetime):
            self._sheet.write_datetime(self._row, column, value, look)
        elif isinstance(value, str):
            self._sheet.write_string(self._row, column, value, look)
        else:
            self._sheet.write_number(self._row, column, float(value), look)
        return Cell(self.name, self._at(column), value)

    def formula(self, column: int, formula: str, value: Decimal | None, *, total: bool = False) -> Cell:
        """A live formula and what it comes to; where that is missing, a dash."""
        look = self._looks.total if total else self._looks.money
        if value is None:
            self._sheet.write_string(self._row, column, NO_VALUE, look)
        else:
            self._sheet.write_formula(self._row, column, formula, look, float(value))
        return Cell(self.name, self._at(column), value)

    def link(self, column: int, source: Cell) -> Cell:
        """The figure of another sheet, by reference."""
        return self.formula(column, f"={source.ref}", source.value if isinstance(source.value, Decimal) else None)

    def sum(self, column: int, parts: Sequence[Cell], *, total: bool = True) -> Cell:
        """The sum of cells that stand one under or beside the other."""
        formula = f"=SUM({parts[0].at}:{parts[-1].at})" if parts else "=0"
        return self.formula(column, formula, sum((part.amount for part in parts), Decimal(0)), total=total)

    def difference(self, column: int, one: Cell, other: Cell) -> Cell:
        """``one`` − ``other``; a dash where either is missing."""
        known = isinstance(one.value, Decimal) and isinstance(other.value, Decimal)
        return self.formula(
            column, f"={_near(one, self)}-{_near(other, self)}", one.amount - other.amount if known else None
        )

    def _at(self, column: int) -> str:
        return str(xl_rowcol_to_cell(self._row, column))


def _near(cell: Cell, sheet: Sheet) -> str:
    return cell.at if cell.sheet == sheet.name else cell.ref
