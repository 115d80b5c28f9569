"""Progress that a person can see: a live line on a terminal, plain lines elsewhere, nothing in tests."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

SILENT_SECONDS = 10.0
"""The longest a plain log says nothing of a stage that runs."""


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
    """Stage, rows and elapsed seconds: one live line on a terminal; elsewhere one plain line per finished stage, and
    while a stage is long one more every ``every`` seconds, so that nobody wonders whether it still runs."""

    def __init__(self, stream: TextIO | None = None, *, every: float = SILENT_SECONDS) -> None:
        self._stream = stream or sys.stderr
        self._console = Console(file=self._stream, highlight=False)
        self._every = every
        self._live: Status | None = None
        self._name = ""
        self._rows = 0
        self._began = 0.0
        self._ended = threading.Event()
        self._ticking: threading.Thread | None = None

    def stage(self, name: str) -> None:
        self.done()
        self._name, self._rows, self._began = name, 0, time.monotonic()
        if self._console.is_terminal:
            self._live = self._console.status(_Now(self._line))
            self._live.start()
        else:
            self._ended = threading.Event()
            # A daemon: a run that fails does not wait for its own progress.
            self._ticking = threading.Thread(target=self._tick, args=(self._ended,), daemon=True)
            self._ticking.start()

    def advance(self, rows: int) -> None:
        self._rows += rows

    def done(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None
        if self._ticking:
            self._ended.set()
            self._ticking.join()
            self._ticking = None
        if self._name:
            self._tell(self._line())
            self._name = ""

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(self._every):
            self._tell(f"{self._line()} …")

    def _tell(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def _line(self) -> str:
        rows = f"  {self._rows:,} rows" if self._rows else ""
        return f"{self._name}{rows}  {time.monotonic() - self._began:.1f} s"


class _Now:
    """The line as it is when the terminal is drawn, ten times a second, whether or not rows have come."""

    def __init__(self, line: Callable[[], str]) -> None:
        self._line = line

    def __rich__(self) -> Text:
        return Text(self._line())
