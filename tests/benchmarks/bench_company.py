"""The large company, whole: ``python -m tests.benchmarks.bench_company [--folder DIR] [--reps N]``.

A million opportunities with eleven million changes, from CSV to pages on two cores: what each stage cost beside what it
may cost. Ten minutes and 10 GB of disk; a folder that already holds the company's files, landing or edition is taken up
where it is. Seconds are those of the machine as it is: the load is printed, and CPU seconds say what was worked.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pipelines.settings import Workspace
from pipelines.simulate import simulate
from tests.benchmarks.journey import counted, run_ingest, run_pages, run_publish
from tests.benchmarks.stages import alone, load

REPS, QUARTERS = 3_300, 12
MOST_SECONDS = 300.0
MOST_MB = 6_000.0
MOST_QUERY_MS = 100.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench_company", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where files and workspace are kept (else a temporary folder)")
    parser.add_argument("--reps", type=int, default=REPS)
    chosen = parser.parse_args()
    if chosen.folder is not None:
        return told(chosen.folder, chosen.reps)
    with tempfile.TemporaryDirectory() as folder:
        return told(Path(folder), chosen.reps)


def told(folder: Path, reps: int) -> int:
    files, workspace = folder / "files", Workspace(folder / "workspace")
    if not (files / "opportunities.csv").exists():
        alone(_simulated, files, reps)
    size = sum(path.stat().st_size for path in files.glob("*.csv"))
    print(f"{reps:,} reps, {QUARTERS} quarters, {size / 1e9:.2f} GB of CSV; {load()}")
    landed = None if workspace.landing.exists() else run_ingest(workspace, files)
    rows = counted(workspace)
    print("landed: " + ", ".join(f"{count:,} {name}" for name, count in rows.items()))
    legs = [] if landed is None else [landed]
    if landed is not None:
        print(f"ingest {landed.rows / landed.seconds:,.0f} rows/s; {load()}")
    if not workspace.current.exists():
        legs.append(run_publish(workspace))
        print(load())
    is_fine = True
    if len(legs) == 2:
        is_fine &= _held("ingest and publish", sum(leg.seconds for leg in legs), MOST_SECONDS, "s")
        print(f"    of CPU {sum(leg.cpu_seconds for leg in legs):,.0f} s, on two free cores half of it at best")
    for leg in legs:
        is_fine &= _held("peak memory", leg.peak_mb, MOST_MB, "MB")
    edition = max(workspace.editions.glob("*.duckdb"), key=lambda path: path.stat().st_mtime)
    print(f"landing {workspace.landing.stat().st_size / 1e6:,.0f} MB, edition {edition.stat().st_size / 1e6:,.0f} MB")
    for page in run_pages(workspace):
        name = f"{page.name}: slowest of {page.queries} queries, on {page.slowest_table}"
        is_fine &= _held(name, page.slowest_ms, MOST_QUERY_MS, "ms")
        print(f"    the whole answer {page.milliseconds:,.0f} ms")
    print(load())
    return 0 if is_fine else 1


def _simulated(files: Path, reps: int) -> None:
    simulate(files, reps=reps, quarters=QUARTERS, seed=1, layout="canonical")


def _held(name: str, value: float, most: float, unit: str) -> bool:
    fine = value <= most
    print(f"{'ok ' if fine else 'NOT'} {name}: {value:,.0f} {unit} (at most {most:,.0f})", flush=True)
    return fine


if __name__ == "__main__":
    sys.exit(main())
