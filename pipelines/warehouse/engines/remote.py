"""What engines outside this process have in common: translated statements, and a row's digest put together from parts.

A digest is the same as the embedded engine's: of each row the 128 bits of its text's MD5, of all rows their exclusive
or and the sum of their remainders. Engines without whole numbers of 128 bits give each half of it by itself.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from pipelines.warehouse.engines import Params
from pipelines.warehouse.engines.dialects import placed, translate

_MODULUS = 18446744073709551557
"""The largest prime below 2^64, which is 59 more."""


class Remote(ABC):
    """An engine that is spoken to in text: one method that runs a statement, one that brings rows back."""

    name: ClassVar[str]
    barrier: ClassVar[str] = ""
    """What ends a subquery that must not be folded into the query around it, and computed again for each use."""

    @abstractmethod
    def run(self, text: str) -> None:
        """Run one statement in the engine's own dialect."""

    @abstractmethod
    def rows(self, text: str) -> pl.DataFrame:
        """The rows of one query in the engine's own dialect."""

    @abstractmethod
    def make_from(self, table: str, text: str) -> None:
        """Create a table from the rows of a query in the engine's own dialect."""

    @abstractmethod
    def lay(self, table: str, frame: pl.DataFrame) -> None:
        """Create or replace a table from a frame."""

    @abstractmethod
    def extend(self, table: str, frame: pl.DataFrame) -> None:
        """Append a frame's rows to a table that was laid."""

    @abstractmethod
    def settle(self, table: str) -> None:
        """A table is complete: what the engine wants to know of it before it is read."""

    @abstractmethod
    def own_tables(self, history: str, names: Sequence[str]) -> dict[str, set[str]]:
        """Of these tables, those that lie at ``history``, each with its columns, shown as ``own_<name>``."""

    @abstractmethod
    def place(self, history: str) -> str:
        """How to speak of that place, without what it may hold of credentials."""

    @abstractmethod
    def columns(self, table: str) -> tuple[str, ...]:
        """The columns of a table or view, in order."""

    @abstractmethod
    def text_parts(self, table: str, columns: Sequence[str]) -> list[str]:
        """Per column the text that DuckDB would write of it: ``name=`` and the value, null for null."""

    @abstractmethod
    def halves(self, digest: str) -> tuple[str, str]:
        """Of an MD5 in hexadecimal, as an expression: its low and its high 64 bits, as signed whole numbers."""

    @abstractmethod
    def close(self) -> None:
        """End it, and remove every table made."""

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        self.make_from(table, self.said(query, params))

    def make_of_each(self, table: str, query: str, inputs: Sequence[str], params: Params | None = None) -> None:
        """At once: what does not fit its memory, the engine puts aside itself."""
        del inputs
        self.make(table, query, params)

    def add(self, table: str, query: str, params: Params | None = None) -> None:
        self.run(f"insert into {table} {self.said(query, params)}")

    def show(self, view: str, query: str) -> None:
        self.run(f"create or replace temporary view {view} as {self.said(query, {})}")

    def frame(self, query: str, params: Params | None = None) -> pl.DataFrame:
        return self.rows(self.said(query, params))

    def said(self, query: str, params: Params | None) -> str:
        """A statement of the history in this engine's dialect, its values written in."""
        return translate(query, self.name, params or {})

    def landed(self, name: str) -> str:
        """What the landing's table is called here."""
        return placed(name)

    def let_go(self) -> None:
        """Nothing of the landing file is held: the rows were copied."""
        return

    def digest(self, table: str, columns: Sequence[str]) -> str:
        """The embedded engine's ``content_digest`` of the same rows."""
        parts = ", ".join(self.text_parts(table, columns))
        low, high = self.halves("row_md5")
        whole = "(cast({0} as decimal(38, 0)) + case when {0} < 0 then 18446744073709551616 else 0 end)"
        counted = self.rows(
            "select count(*) as n, bit_xor(low_bits) as low_xor, bit_xor(high_bits) as high_xor, "
            f"cast(sum(mod({whole.format('high_bits')} * 59 + {whole.format('low_bits')}, {_MODULUS})) "
            "as decimal(38, 0)) as remainders "
            f"from (select {low} as low_bits, {high} as high_bits "
            f"from (select md5(concat_ws(chr(31), {parts})) as row_md5 from {table} {self.barrier}) as hashed "
            f"{self.barrier}) as halved"
        )
        n, low_xor, high_xor, remainders = counted.row(0)
        if n == 0:
            row: tuple[int, int | None, int | None] = (0, None, None)
        else:
            row = (n, (high_xor % 2**64) << 64 | low_xor % 2**64, int(remainders))
        return hashlib.sha256(repr([row]).encode()).hexdigest()


def reversed_bytes(digest: str, first: int) -> str:
    """Eight bytes of a hexadecimal text from the ``first`` on (1 or 17), the last one first."""
    return " || ".join(f"substr({digest}, {first + 2 * place}, 2)" for place in range(7, -1, -1))
