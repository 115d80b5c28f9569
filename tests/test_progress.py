"""Progress is never silent for long, on a terminal or in a log, and says the same at the end of a stage."""

from __future__ import annotations

import io
import re
import threading
import time

from rich.console import Console

from pipelines.progress import SILENT_SECONDS, Spoken


def test_a_log_hears_of_a_long_stage_while_it_runs_and_once_when_it_is_done() -> None:
    log = io.StringIO()
    progress = Spoken(log, every=0.02)
    progress.stage("Rebuilding history")
    progress.advance(1_200)
    deadline = time.monotonic() + 10
    while log.getvalue().count("…") < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    progress.stage("Measuring")
    progress.done()
    lines = log.getvalue().splitlines()
    running = [line for line in lines if line.endswith("…")]
    ended = [line for line in lines if not line.endswith("…")]
    assert len(running) >= 3
    assert all(re.fullmatch(r"Rebuilding history  1,200 rows  \d+\.\d s …", line) for line in running)
    assert [line.split("  ")[0] for line in ended] == ["Rebuilding history", "Measuring"]
    assert SILENT_SECONDS <= 10


def test_a_short_stage_is_one_line_and_leaves_no_thread() -> None:
    log, before = io.StringIO(), threading.active_count()
    progress = Spoken(log)
    progress.stage("Publishing")
    progress.done()
    progress.done()
    assert re.fullmatch(r"Publishing  \d+\.\d s\n", log.getvalue())
    assert threading.active_count() == before


def test_a_terminal_line_is_drawn_as_it_is_now() -> None:
    screen = io.StringIO()
    progress = Spoken(screen)
    progress._console = Console(file=screen, force_terminal=True, width=80)
    progress.stage("Rebuilding history")
    progress.advance(7)
    deadline = time.monotonic() + 10
    while "7 rows" not in screen.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    progress.done()
    seconds = set(re.findall(r"7 rows  (\d+\.\d) s", screen.getvalue()))
    assert len(seconds) >= 2, "the seconds run although no row has come"
