"""What each stage of a long run costs: seconds, CPU, peak memory; measured in a fresh process of its own."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Stage:
    """One stage: wall and CPU seconds (all threads), the process's peak megabytes during it, rows if it counted any."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    rows: int = 0


def peak_mb() -> float:
    """Peak resident memory since ``forget_peak`` (since the start where the system cannot forget), in MB of 10⁶."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def forget_peak() -> None:
    if CLEAR.exists():
        CLEAR.write_text("5")


@dataclass
class Stages:
    """A ``Progress`` that writes down what each stage cost."""

    finished: list[Stage] = field(default_factory=list)
    _name: str = ""
    _rows: int = 0
    _began: tuple[float, float] = (0.0, 0.0)

    def stage(self, name: str) -> None:
        self.done()
        forget_peak()
        self._name, self._rows, self._began = name, 0, (time.perf_counter(), time.process_time())

    def advance(self, rows: int) -> None:
        self._rows += rows

    def done(self) -> None:
        if self._name:
            seconds, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
            self.finished.append(Stage(self._name, seconds, cpu, peak_mb(), self._rows))
            print(told(self.finished[-1]), flush=True)
            self._name = ""


def told(stage: Stage) -> str:
    rows = f"{stage.rows:>12,} rows" if stage.rows else " " * 17
    return f"  {stage.name:52s}{stage.seconds:8.1f} s{stage.cpu_seconds:8.1f} s CPU{stage.peak_mb:8,.0f} MB{rows}"


def load() -> str:
    """How busy the machine is, for whoever reads seconds: processes waiting for a core over 1, 5 and 15 minutes."""
    waiting = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"load {waiting} on {os.cpu_count()} cores"


def alone(work: Callable[..., Answer], *arguments: object) -> Answer:
    """``work`` in a process of its own, so that what it holds at its peak is its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)
