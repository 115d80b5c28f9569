"""Small tables as HTML: real header cells, figures to the right, a caption for those who listen. Pure.

For a table a reader takes in at once. Thousands of rows belong in a data grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import polars as pl
import pyarrow as pa

from dashboard import theme

STACKED_FROM = 3


@dataclass(frozen=True)
class Column:
    """``is_number`` puts it to the right; ``is_code`` sets it in the fixed-width font; ``link``: where a cell leads,
    ``{}`` standing for its text."""

    heading: str
    is_number: bool = False
    is_code: bool = False
    link: str = ""

    @property
    def style(self) -> str:
        """Its classes in assets/style.css."""
        return " ".join(name for name, holds in (("number", self.is_number), ("code", self.is_code)) if holds)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | None]], *, caption: str) -> str:
    """One table; every cell is text and shown as it stands, a missing one as an em-dash.

    ``caption`` is read aloud and not shown. The first column heads its row. Errors: ValueError when a row does not
    have one cell per column.
    """
    head = "".join(f'<th scope="col"{_class(column)}>{escape(column.heading)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    # A table too wide for a phone becomes a list there, one block per row, each value under its heading.
    layout = "ft-table ft-stacks" if len(columns) >= STACKED_FROM else "ft-table"
    return (
        f'<div class="{layout}" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f'<caption class="ft-unseen">{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def grid(rows: pl.DataFrame) -> pa.Table:
    """Rows as a data grid is sent them. Handed a frame, the grid would rebuild it cell by cell on the way."""
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def _cells(columns: Sequence[Column], row: Sequence[str | None]) -> str:
    cells = []
    for place, (column, value) in enumerate(zip(columns, row, strict=True)):
        tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
        text = theme.MISSING if value is None or value == "" else value
        label = f' data-label="{escape(column.heading)}"' if place else ""
        shown = escape(text)
        if column.link and value:
            shown = f'<a href="{escape(column.link.format(quote(value)))}" target="_self">{shown}</a>'
        cells.append(f"<{tag}{scope}{_class(column)}{label}>{shown}</{tag}>")
    return "".join(cells)


def _class(column: Column) -> str:
    return f' class="{column.style}"' if column.style else ""
