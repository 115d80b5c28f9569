"""A workbook whose figures can be followed: inputs as numbers, results as formulas with the value we computed.

A text from a CRM is always written as text: a name that begins with = + - or @ is never a formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from dashboard import theme
from dashboard.packs.svg import printable

OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
"""Of every workbook: nothing on disk, and no text that is taken for anything else."""

MONEY = "#,##0.00;−#,##0.00"
RATE = "0.0%"
NAME_LENGTH = 31
LINE_HEIGHT = 15


@dataclass(frozen=True)
class Formula:
    """A live cell: the formula as Excel reads it, and what it comes to, for readers that do not calculate."""

    text: str
    value: Decimal | float | int | bool | str | None
    kind: str = "money"


@dataclass(frozen=True)
class Rate:
    """A share of 1, shown in percent."""

    value: float | None


Cell = str | Decimal | float | int | bool | date | Formula | Rate | None


class Book:
    """The house's sheets of one open workbook."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.book = book
        ink, muted, line = (theme.LIGHT.ink, theme.LIGHT.muted, theme.LIGHT.grid)
        base: dict[str, Any] = {"font_name": "Calibri", "font_size": 11, "font_color": ink, "valign": "top"}
        self.formats = {
            "text": self.book.add_format(base),
            "wrapped": self.book.add_format({**base, "text_wrap": True}),
            "title": self.book.add_format({**base, "font_size": 16, "bold": True}),
            "about": self.book.add_format({**base, "font_color": muted}),
            "head": self.book.add_format({**base, "bold": True, "bottom": 1, "bottom_color": muted, "text_wrap": True}),
            "figures": self.book.add_format(
                {**base, "bold": True, "bottom": 1, "bottom_color": muted, "text_wrap": True, "align": "right"}
            ),
            "money": self.book.add_format({**base, "num_format": MONEY}),
            "rate": self.book.add_format({**base, "num_format": RATE}),
            "count": self.book.add_format({**base, "num_format": "#,##0"}),
            "date": self.book.add_format({**base, "num_format": "d mmm yyyy", "align": "left"}),
            "check": self.book.add_format({**base, "bold": True, "bg_color": line}),
        }

    def sheet(self, name: str, title: str, about: str, widths: Sequence[int]) -> Sheet:
        """A sheet with its finding at the top, what it is of below, and room for rows from the fourth on."""
        page = self.book.add_worksheet(name[:NAME_LENGTH])
        page.hide_gridlines(2)
        for place, width in enumerate(widths):
            page.set_column(place, place, width)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        made = Sheet(self, page)
        made.line([title], "title")
        made.line([about], "about")
        made.skip()
        return made


class Sheet:
    """Rows written from the top; ``at`` is the next one, counted from 0."""

    def __init__(self, book: Book, page: Worksheet) -> None:
        self._book = book
        self.page = page
        self.at = 0

    def skip(self, rows: int = 1) -> None:
        self.at += rows

    def head(self, names: Sequence[str], *, texts: int = 1, freeze: bool = False) -> None:
        """Headings: the first ``texts`` over words, the rest over figures, to the right."""
        for place, name in enumerate(names):
            self._write(place, name, "head" if place < texts else "figures")
        self.skip()
        if freeze:
            self.page.freeze_panes(self.at, 1)

    def line(self, cells: Sequence[Cell], style: str | None = None) -> int:
        """Write one row and return its number, counted from 0."""
        for place, value in enumerate(cells):
            self._write(place, value, style)
        self.at += 1
        return self.at - 1

    def sentence(self, said: str, width: int) -> None:
        """A sentence in the second column, on as many lines as ``width`` letters a line make."""
        self.page.set_row(self.at, LINE_HEIGHT * math.ceil(len(said) / width))
        self.line(["", said], "wrapped")

    def cell(self, row: int, column: int, *, absolute: bool = False) -> str:
        """``B4`` or ``$B$4``."""
        return str(xl_rowcol_to_cell(row, column, absolute, absolute))

    def span(self, first: int, last: int, column: int) -> str:
        """``B4:B9``."""
        return f"{self.cell(first, column)}:{self.cell(last, column)}"

    def _write(self, column: int, value: Cell, style: str | None) -> None:
        formats, page, row = self._book.formats, self.page, self.at
        if value is None:
            return
        if isinstance(value, Formula):
            shown = float(value.value) if isinstance(value.value, Decimal) else value.value
            page.write_formula(row, column, value.text, formats[style or value.kind], "" if shown is None else shown)
        elif isinstance(value, Rate):
            if value.value is not None:
                page.write_number(row, column, value.value, formats["rate"])
        elif isinstance(value, bool):
            page.write_boolean(row, column, value, formats["text"])
        elif isinstance(value, Decimal):
            page.write_number(row, column, float(value), formats["money"])
        elif isinstance(value, int):
            page.write_number(row, column, value, formats["count"])
        elif isinstance(value, float):
            page.write_number(row, column, value, formats["money"])
        elif isinstance(value, date):
            page.write_datetime(row, column, datetime(value.year, value.month, value.day), formats["date"])  # noqa: DTZ001 - a day in a sheet has no zone
        else:
            page.write_string(row, column, printable(value), formats[style or "text"])
