"""Progress that a person can see: a live line on a terminal, plain lines elsewhere, nothing in tests."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.status import Status


class Progress(Protocol):
    """What long work tells while it runs."""

    def stage(self, name: str) -> None:
        """A new stage begins; the one before it is done."""

    def advance(self, rows: int) -> None:
        """So many more rows of this stage are done."""

    def done(self) -> None:
        """All stages are done."""


class Silent:
    """Says nothing."""

    def stage(self, name: str) -> None: ...

    def advance(self, rows: int) -> None: ...

    def done(self) -> None: ...


class Spoken:
    """Stage, rows and elapsed seconds: one live line on a terminal, one plain line per finished stage elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._console = Console(file=self._stream, highlight=False)
        self._live: Status | None = None
        self._name = ""
        self._rows = 0
        self._began = 0.0

    def stage(self, name: str) -> None:
        self.done()
        self._name, self._rows, self._began = name, 0, time.monotonic()
        if self._console.is_terminal:
            self._live = self._console.status(name)
            self._live.start()

    def advance(self, rows: int) -> None:
        self._rows += rows
        if self._live:
            self._live.update(self._line())

    def done(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None
        if self._name:
            self._console.print(self._line(), soft_wrap=True, markup=False)
            self._name = ""

    def _line(self) -> str:
        rows = f"  {self._rows:,} rows" if self._rows else ""
        return f"{self._name}{rows}  {time.monotonic() - self._began:.1f} s"
