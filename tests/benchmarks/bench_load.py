"""Many readers at once: ``python -m tests.benchmarks.bench_load WORKSPACE``; of a small company in ``make bench``.

The real command serves the workspace on this machine, and sessions read its pages over Streamlit's own protocol. Four
questions: how long a page takes one reader and many; what a session holds in memory; whether publishing under load
ever shows a page made of two editions; and how soon a cold browser has drawn its first figure.

A page is torn when it names more than one edition, or says anything else than the same page said at rest of the
edition that it names: every run is compared whole. Bounded: so many sessions, so many seconds, then it stops by itself.
CURRENT is as it was afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import polars as pl
from websockets.exceptions import WebSocketException

from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.benchmarks.reader import Asked, Reader, Told
from tests.benchmarks.stages import load
from tests.browser.harness import DRAW_MS, Server, browsing, chromium, serving, visiting

P95_MS = 300.0
WARM_MS = 60.0
FIRST_CHART_SECONDS = 4.0
SESSION_MB = 1.0

PUBLICATIONS = 25
WARM_VISITS = 5
SMALL = ["--sessions", "10", "--seconds", "10", "--think", "1"]

PAGES = (
    "",
    "forecasters",
    "pipeline",
    "miss",
    "win-loss",
    "value-added",
    "reconcile",
    "record",
    "data",
    "start",
    "method",
)
LEADERS = 2
"""Every page is asked of the company and of so many who lead, the widest."""
NAMED = 2
"""Pages of one forecaster and of one deal: so many of each."""


MOST_TOLD = 40
"""Faults printed of one kind: enough for the whole of one traceback."""


@dataclass(frozen=True)
class Fault:
    """What went wrong, on which page."""

    where: str
    what: str


@dataclass
class Crowd:
    """What many sessions saw together."""

    told: list[Told] = field(default_factory=list)
    broken: list[Fault] = field(default_factory=list)

    @property
    def faults(self) -> list[Fault]:
        return [*self.broken, *(Fault(str(told.asked), what) for told in self.told for what in told.faults)]


Rest = dict[tuple[str, Asked], str]
"""What each page says at rest, per edition: the digest of its words and figures."""


def two_editions(workspace: Workspace) -> list[EditionRef]:
    """The two newest editions, the current one last; where there is one, another is published as of a week before."""
    current = editions.current(workspace)
    if current is None:
        sys.exit(f"{workspace.root} has no edition: make one with `forecast-trust demo --workspace {workspace.root}`.")
    found = [ref for ref in editions.list_editions(workspace) if ref != current]
    usable = [ref for ref in found if ref.method_version == current.method_version]
    if not usable:
        usable = [runs.publish(workspace, Silent(), as_of=current.as_of_at - timedelta(days=7))]
        editions.make_current(workspace, current)
    return [usable[-1], current]


def questions(ref: EditionRef) -> list[Asked]:
    """Every page, of the company and of some who lead; one period back; some people and some deals."""
    people = editions.read(ref, "scopes")
    leading = people.filter(
        pl.col("scope_name").is_unique() & (pl.col("scope_kind") != "rep") & (pl.col("scope_kind") != "company")
    ).sort("depth", "scope_name")
    names = leading["scope_name"].head(LEADERS).to_list()
    asked = [Asked(page, query) for page in PAGES for query in ((), *((("scope", name),) for name in names))]
    closed = editions.read(ref, "periods", where={"status": "closed"})["label"].to_list()
    asked += [Asked("miss", (("period", label),)) for label in closed[-3:-1]]
    reps = people.filter(pl.col("scope_kind") == "rep")["scope"].head(NAMED).to_list()
    deals = editions.read(ref, "deals", columns=["opportunity_id"])["opportunity_id"].head(NAMED).to_list()
    asked += [Asked("forecaster", (("forecaster", rep),)) for rep in reps]
    return asked + [Asked("deal", (("deal", deal),)) for deal in deals]


async def at_rest(port: int, asked: Sequence[Asked], edition_id: str) -> tuple[Rest, list[Told]]:
    """Each page once, of the current edition, nobody else reading: what it says, and how long it took from nothing."""
    async with Reader(port) as reader:
        told = [await reader.ask(each) for each in asked]
    return {(edition_id, each.asked): each.digest for each in told}, told


async def one_reader(port: int, asked: Sequence[Asked]) -> dict[Asked, float]:
    """Median milliseconds of each page for one session alone, every answer already made."""
    async with Reader(port) as reader:
        rounds = [[await reader.ask(each) for each in asked] for _ in range(WARM_VISITS)]
    return {each: median(told[place].seconds for told in rounds) * 1000 for place, each in enumerate(asked)}


async def crowd(port: int, asked: Sequence[Asked], sessions: int, seconds: float, think: float) -> Crowd:
    """So many sessions for so long, each asking for a page, reading it, and thinking before the next."""
    seen = Crowd()
    until = time.monotonic() + seconds

    async def session(number: int) -> None:
        chance = random.Random(number)
        await asyncio.sleep(chance.uniform(0, min(think, seconds)))
        each = asked[0]
        try:
            async with Reader(port) as reader:
                while time.monotonic() < until:
                    each = chance.choice(asked)
                    seen.told.append(await reader.ask(each))
                    await asyncio.sleep(min(think, max(until - time.monotonic(), 0)))
        except (OSError, TimeoutError, WebSocketException) as error:
            seen.broken.append(Fault(str(each), f"{type(error).__name__}: {error}"))

    await asyncio.gather(*(session(number) for number in range(sessions)))
    return seen


async def publishing(workspace: Workspace, refs: Sequence[EditionRef], seconds: float) -> int:
    """Make another edition the current one ``PUBLICATIONS`` times, evenly over so many seconds."""
    for turn in range(PUBLICATIONS):
        await asyncio.sleep(seconds / (PUBLICATIONS + 1))
        await asyncio.to_thread(editions.make_current, workspace, refs[turn % len(refs)])
    return PUBLICATIONS


def torn(told: Iterable[Told], rest: Rest) -> list[Fault]:
    """Pages that name no edition or two, or that say something else than at rest of the edition they name."""
    found = []
    for each in told:
        if len(each.editions) != 1:
            found.append(Fault(str(each.asked), f"names {len(each.editions)} editions"))
        elif rest[min(each.editions), each.asked] != each.digest:
            found.append(Fault(str(each.asked), f"differs from what {min(each.editions)} says at rest"))
    return found


def first_chart(server: Server) -> float:
    """Seconds from opening Trust in a browser that has never been there to its first drawn figure."""
    with browsing() as browser, visiting(browser, server) as visit:
        began = time.perf_counter()
        visit.page.goto(server.url)
        visit.page.wait_for_selector(".stPlotlyChart .trace", timeout=DRAW_MS)
        return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    """Memory of a process now, in MB of 10⁶."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def said(label: str, value: float, limit: float, unit: str, *, also: str = "") -> bool:
    """One figure against its target."""
    holds = value <= limit
    print(f"{'ok ' if holds else 'NOT'} {label:44} {value:,.1f} {unit} (at most {limit:,.0f}){also}", flush=True)
    return holds


def nothing(label: str, faults: Sequence[Fault], of: str) -> bool:
    """That there are no faults, or the first of them."""
    print(f"{'NOT' if faults else 'ok '} {label:44} {len(faults)} {of}", flush=True)
    for fault in faults[:MOST_TOLD]:
        print(f"      {fault.where}: {' '.join(fault.what.split())[:160]}")
    return not faults


def latencies(label: str, told: Sequence[Told]) -> bool:
    times = sorted(each.seconds * 1000 for each in told)
    p95 = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    also = f"; p50 {median(times):,.0f}, max {times[-1]:,.0f} ms of {len(times)} pages; {load()}"
    return said(label, p95, P95_MS, "ms", also=also)


async def measured(server: Server, workspace: Workspace, refs: list[EditionRef], options: argparse.Namespace) -> bool:
    port = urlsplit(server.url).port
    assert port is not None
    asked = questions(refs[-1])
    rest: Rest = {}
    cold: list[Told] = []
    for ref in refs:
        editions.make_current(workspace, ref)
        digests, told = await at_rest(port, asked, ref.edition_id)
        rest |= digests
        cold += told
    slowest = max(cold, key=lambda each: each.seconds)
    print(
        f"    first time each page is made: p50 {median(each.seconds for each in cold) * 1000:,.0f} ms,"
        f" slowest {slowest.seconds * 1000:,.0f} ms on {slowest.asked}"
    )
    is_fine = nothing("errors at rest", Crowd(cold).faults, f"of {len(cold)} pages")
    pages = await one_reader(port, [each for each in asked if not each.query])
    for page, milliseconds in pages.items():
        print(f"    {page!s:41} {milliseconds:8,.1f} ms")
    is_fine &= said("one reader, p50 of the slowest page, warm", max(pages.values()), WARM_MS, "ms", also=f"; {load()}")

    before = resident_mb(server.pid)
    seen = await crowd(port, asked, options.sessions, options.seconds, options.think)
    growth = (resident_mb(server.pid) - before) / options.sessions
    is_fine &= latencies(f"{options.sessions} readers, p95 of a page", seen.told)
    is_fine &= nothing("errors", seen.faults, f"of {len(seen.told)} pages")
    is_fine &= nothing("pages unlike themselves at rest", torn(seen.told, rest), f"of {len(seen.told)} pages")
    is_fine &= said("memory growth per session", growth, SESSION_MB, "MB", also=f"; {before:,.0f} MB before")

    seen, swaps = await asyncio.gather(
        crowd(port, asked, options.sessions, options.seconds, options.think),
        publishing(workspace, refs, options.seconds),
    )
    is_fine &= latencies(f"p95 while publishing {swaps} times", seen.told)
    is_fine &= nothing("errors while publishing", seen.faults, f"of {len(seen.told)} pages")
    return is_fine & nothing("torn pages", torn(seen.told, rest), f"of {len(seen.told)} pages")


def bench(workspace: Workspace, options: argparse.Namespace) -> bool:
    refs = two_editions(workspace)
    size = editions.read(refs[-1], "table_status").filter(pl.col("table_name") == "opportunities")["row_count"].sum()
    print(f"{size:,} opportunities; {load()}")
    with tempfile.TemporaryDirectory() as folder, serving(workspace.root, Path(folder) / "log") as server:
        is_fine = True
        if chromium() is None:
            print("    first chart in a cold browser: not measured, as there is no Chromium")
        else:
            print(f"    first chart, browser and server cold: {first_chart(server):.1f} s; {load()}")
            is_fine = said("first chart in a cold browser", first_chart(server), FIRST_CHART_SECONDS, "s")
        try:
            is_fine &= asyncio.run(measured(server, workspace, refs, options))
        finally:
            editions.make_current(workspace, refs[-1])
        grumbles = [Fault("the server's own output", line) for line in server.output.splitlines()[1:]]
        return is_fine & nothing("lines of complaint in the server's log", grumbles, "lines")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_load", description=__doc__)
    parser.add_argument("workspace", type=Path, nargs="?", help="by default a small simulated company")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two loads")
    parser.add_argument("--think", type=float, default=5.0, help="seconds a reader waits before the next page")
    options = parser.parse_args()
    if options.workspace is not None:
        return 0 if bench(Workspace.at(options.workspace), options) else 1
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        runs.demo(workspace, Silent(), reps=12)
        return 0 if bench(workspace, parser.parse_args(SMALL)) else 1


if __name__ == "__main__":
    sys.exit(main())
