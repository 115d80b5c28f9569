"""One company from its files to its pages, each leg in a process of its own: what it costs, for the benchmarks."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from dashboard import (
    answers,
    answers_line,
    answers_miss,
    answers_movement,
    answers_pipeline,
    answers_record,
    answers_value,
    shelf,
)
from dashboard.filters import Filters
from dashboard.launch import EDITIONS_OPEN
from pipelines.runs import ingest, publish
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.benchmarks.stages import Stage, Stages, alone

ROUNDS = 3
"""Times a page is asked from nothing; the quickest counts, as what else runs on the machine is no part of a query."""

WHOLE_TABLES = ("scopes", "scope_members", "periods", "team_bias", "table_status", "quotas")
"""Tables that any page may want whole; read once per edition and server, then shared by everybody."""


@dataclass(frozen=True)
class Leg:
    """One command: what its stages cost; ``seconds``, ``cpu_seconds`` over all, ``peak_mb`` the highest of any."""

    stages: tuple[Stage, ...]
    seconds: float
    cpu_seconds: float

    @property
    def peak_mb(self) -> float:
        return max(stage.peak_mb for stage in self.stages)

    @property
    def rows(self) -> int:
        return sum(stage.rows for stage in self.stages)


@dataclass
class Page:
    """One page's answer: milliseconds with the edition's whole tables at hand; its slowest single query, on what."""

    name: str
    milliseconds: float
    slowest_ms: float = 0.0
    slowest_table: str = ""
    queries: int = 0


def run_ingest(workspace: Workspace, folder: Path) -> Leg:
    return alone(_leg, _ingest, workspace, folder)


def run_publish(workspace: Workspace) -> Leg:
    return alone(_leg, _publish, workspace)


def run_pages(workspace: Workspace) -> list[Page]:
    return alone(_pages, workspace)


def counted(workspace: Workspace) -> dict[str, int]:
    """Rows landed per table of those that the sizes of a company are told by."""
    names = ("opportunities", "opportunity_history", "activities", "leads", "forecast_submissions")
    with duckdb.connect(str(workspace.landing), read_only=True) as con:
        return {name: int(con.execute(f"select count(*) from landed_{name}").fetchall()[0][0]) for name in names}


def _leg(work: Callable[..., None], *arguments: object) -> Leg:
    stages = Stages()
    began, began_cpu = time.perf_counter(), time.process_time()
    work(*arguments, stages)
    return Leg(tuple(stages.finished), time.perf_counter() - began, time.process_time() - began_cpu)


def _ingest(workspace: Workspace, folder: Path, stages: Stages) -> None:
    failed = [report for report in ingest(workspace, [folder], stages) if report.status == "failed"]
    if failed:
        raise RuntimeError(f"{failed[0].file_name}: {failed[0].problem}")


def _publish(workspace: Workspace, stages: Stages) -> None:
    publish(workspace, stages)


def _pages(workspace: Workspace) -> list[Page]:
    """Every page of the company and of one of its managers, each asked from nothing but the whole tables."""
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    os.environ[WORKSPACE_VARIABLE] = str(workspace.root)
    editions.hold_open(EDITIONS_OPEN)  # as the server does
    edition_id = editions.current_id(workspace)
    if edition_id is None:
        raise RuntimeError(f"{workspace.root} has no edition.")
    ref = shelf.edition(workspace, edition_id)
    times: dict[str, float] = {}
    for name in WHOLE_TABLES:
        began = time.perf_counter()
        shelf.table(ref, name)
        times[name] = 1000 * (time.perf_counter() - began)
    scopes = shelf.table(ref, "scopes")
    led = scopes.filter(scopes["scope_kind"] == "manager")["scope"].head(1).to_list()
    rep = scopes.filter(scopes["scope_kind"] == "rep")["scope"][0]
    found = [Page("whole tables, once", sum(times.values()), max(times.values()), max(times, key=times.__getitem__))]
    for scope in ("company", *led):
        filters = Filters(edition_id, scope)
        found += [_asked(f"{name} ({scope})", work) for name, work in _questions(filters, rep).items()]
    return found


def _questions(filters: Filters, rep: str) -> dict[str, Callable[[], object]]:
    return {
        "Trust": lambda: answers.trust(filters),
        "Trust, a line typed": lambda: answers_line.typed_line(filters, Decimal(1_000_000)),
        "Forecasters": lambda: answers.forecasters(filters),
        "one forecaster": lambda: answers.forecaster(filters, rep),
        "Pipeline": lambda: answers_pipeline.pipeline(filters),
        "Pipeline, a movement opened": lambda: _opened(filters),
        "Miss": lambda: answers_miss.miss(filters),
        "Value added": lambda: answers_value.value_added(filters),
        "Reconcile": lambda: answers_miss.reconcile(filters),
        "Record": lambda: answers_record.record(filters, shelf.on_offer(Workspace.at())),
    }


def _opened(filters: Filters) -> None:
    """The open period's movement, what was pushed out of it, and what stood as its last week but one began."""
    spans = answers_movement.spans(filters)
    for span, names in ((spans[0], ("pushed_out", "end")), (spans[2], ("start",))):
        answers_movement.movement(filters, span)
        for name in names:
            answers_movement.behind(filters, span, name)


def _asked(name: str, work: Callable[[], object]) -> Page:
    pages = [_asked_once(name, work) for _ in range(ROUNDS)]
    return min(pages, key=lambda page: page.milliseconds)


def _asked_once(name: str, work: Callable[[], object]) -> Page:
    """Forget every answer, ask, and time each query on the way."""
    modules = (answers, answers_line, answers_movement, answers_pipeline, answers_miss, answers_value, answers_record)
    for module in modules:
        for each in vars(module).values():
            if hasattr(each, "clear") and hasattr(each, "__wrapped__"):
                each.clear()
    page, plain = Page(name, 0.0), editions.read

    def timed(ref: EditionRef, table: str, **how: Any) -> pl.DataFrame:
        began = time.perf_counter()
        rows = plain(ref, table, **how)
        spent = 1000 * (time.perf_counter() - began)
        page.queries += 1
        if spent > page.slowest_ms:
            page.slowest_ms, page.slowest_table = spent, table
        return rows

    editions.read = timed  # type: ignore[assignment]
    try:
        began = time.perf_counter()
        work()
        page.milliseconds = 1000 * (time.perf_counter() - began)
    finally:
        editions.read = plain
    return page
