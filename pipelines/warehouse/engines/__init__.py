"""Where the history's statements run: one protocol, and an engine behind it.

The statements are one set of files (``sql/``), written in DuckDB's dialect of what every engine knows. The embedded
engine runs them as they are; another engine runs their translation. What a caller may rely on is ``Engine`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl

Params = Mapping[str, object]
"""Values by name: a statement says ``$name``, mostly inside the cast that gives it its type."""


class Engine(Protocol):
    """A place that holds tables by name and makes more of them. ``close`` ends it and removes what it made.

    Tables of the landing are named ``landing.<table>`` in every statement, wherever the engine keeps them.
    """

    @property
    def name(self) -> str:
        """``duckdb``, ``postgres`` or ``spark``."""

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        """Create ``table`` from the rows of a query."""

    def make_of_each(self, table: str, query: str, inputs: Sequence[str], params: Params | None = None) -> None:
        """As ``make``, of a query whose every row rests on one opportunity's rows of ``inputs``: the engine may make it
        some opportunities at a time. The first of ``inputs`` has few rows per opportunity, and all of these."""

    def add(self, table: str, query: str, params: Params | None = None) -> None:
        """Append a query's rows to a table, by position."""

    def show(self, view: str, query: str) -> None:
        """Create or replace a view; it takes no values."""

    def lay(self, table: str, frame: pl.DataFrame) -> None:
        """Create or replace a table from a small frame (thousands of rows, not millions)."""

    def frame(self, query: str, params: Params | None = None) -> pl.DataFrame:
        """The rows of a query."""

    def columns(self, table: str) -> tuple[str, ...]:
        """The columns of a table or view, in order."""

    def digest(self, table: str, columns: Sequence[str]) -> str:
        """Digest of a table's rows in these columns, whatever their order: equal rows, equal digest on any engine."""

    def let_go(self) -> None:
        """The landed rows are no longer needed: whoever waits to land more may."""

    def close(self) -> None:
        """End it, and remove every table made."""
