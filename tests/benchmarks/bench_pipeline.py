"""From files to pages at two sizes: ``python -m tests.benchmarks.bench_pipeline``, part of ``make bench``.

Rows a second of ingest, seconds of each stage of publish, peak memory, and the slowest query of every page. What holds
on any machine is the ratio: three times the company may take little more than three times the CPU, and a page's query
may not grow with the history at all.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pipelines.settings import Workspace
from pipelines.simulate import simulate
from tests.benchmarks.journey import Leg, Page, counted, run_ingest, run_pages, run_publish
from tests.benchmarks.stages import alone, load

REPS = (33, 100)
QUARTERS = 12
"""About 10,000 and 30,000 opportunities with eleven changes each."""

MOST_GROWTH = 1.6
"""CPU of three times the company over three times the CPU of one: above it something grows faster than its data."""

MOST_MB = 1_500.0
MOST_QUERY_MS = 100.0


def measured(reps: int, folder: Path) -> tuple[dict[str, int], Leg, Leg, list[Page]]:
    """Rows landed, and what landing, publishing and asking cost."""
    files, workspace = folder / "files", Workspace(folder / "workspace")
    alone(_simulated, files, reps)
    landed = run_ingest(workspace, files)
    published = run_publish(workspace)
    return counted(workspace), landed, published, run_pages(workspace)


def _simulated(files: Path, reps: int) -> None:
    simulate(files, reps=reps, quarters=QUARTERS, seed=1, layout="canonical")


def main() -> int:
    is_fine = True
    cpu: list[tuple[float, float]] = []
    print(load())
    for reps in REPS:
        with tempfile.TemporaryDirectory() as folder:
            rows, landed, published, pages = measured(reps, Path(folder))
        cpu.append((landed.cpu_seconds, published.cpu_seconds))
        peak = max(landed.peak_mb, published.peak_mb)
        slowest = max(pages, key=lambda page: page.slowest_ms)
        is_fine &= peak <= MOST_MB and slowest.slowest_ms <= MOST_QUERY_MS
        print(
            f"{rows['opportunities']:,} opportunities, {rows['opportunity_history']:,} history rows: "
            f"ingest {landed.rows / landed.seconds:,.0f} rows/s ({landed.seconds:.1f} s), publish "
            f"{published.seconds:.1f} s, {peak:,.0f} MB at peak (at most {MOST_MB:,.0f}), slowest query "
            f"{slowest.slowest_ms:.0f} ms on {slowest.slowest_table} for {slowest.name} (at most {MOST_QUERY_MS:.0f})"
        )
    for name, small, large in zip(("ingest", "publish"), *cpu, strict=True):
        growth = large / small / (REPS[1] / REPS[0])
        fine = growth <= MOST_GROWTH
        is_fine &= fine
        print(f"{'ok ' if fine else 'NOT'} {name}: CPU per opportunity × {growth:.2f} at three times the company")
    print(load())
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
