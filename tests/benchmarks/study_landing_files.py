"""Ranges of whole companies, from files: ``python -m tests.benchmarks.study_landing_files [COMPANIES] [FIRST_SEED]``
(default 40, 1).

Each company is the product's simulator, whose deals, shocks and calls share nothing with the engine. Its exports are
ingested and its history rebuilt as a user's would be; the ranges are those of the published backtest, every past
quarter from what was known at its week. Prints, per week and kind of scope, how many 80 % ranges held of how many, and
the interval score and CRPS against the naive forecast. Quarters of one company are not independent looks, so the error
of a share is taken over companies.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipelines import runs
from pipelines.engine.deal_book import LandingPolicy
from pipelines.measures.landing import landings
from pipelines.policy import DEFAULT_POLICY
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse import history

WEEKS = (0, 4, 8, 11)
POLICY = replace(DEFAULT_POLICY, horizon_weeks=tuple((f"week {week}", week) for week in WEEKS))
REPS, QUARTERS = 12, 11


def one_company(seed: int) -> pl.DataFrame:
    """The backtest of one company at the weeks asked, with each scope's kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "files", reps=REPS, quarters=QUARTERS, seed=seed)
        workspace = Workspace.at(folder / "workspace")
        exports = [path for path in sorted((folder / "files").iterdir()) if path.is_file()]
        runs.ingest(workspace, exports, Silent())
        (folder / "scratch").mkdir()
        with history.build(workspace, None, POLICY, workspace.settings(), folder / "scratch") as prepared:
            tables = prepared.tables()
            choices = LandingPolicy(draws=1000)
            found = landings(prepared, tables, POLICY, choices=choices).tables["landing_backtest"]
    kinds = tables["scopes"].select("scope", "scope_kind")
    return (
        found.join(kinds, on="scope").filter(pl.col("week_of_period").is_in(WEEKS)).with_columns(company=pl.lit(seed))
    )


def summary(rows: pl.DataFrame, level: float = 0.8) -> pl.DataFrame:
    """Kind of scope × method × week: share of ranges that held with its error over companies, and scores."""
    keys = ["scope_kind", "method", "week_of_period"]
    issued = rows.filter((pl.col("level") - level).abs() < 1e-9)
    per_company = issued.group_by(*keys, "company").agg(hits=pl.col("is_inside").sum(), n=pl.len())
    spread = per_company.group_by(keys).agg(
        held=pl.col("hits").sum() / pl.col("n").sum(),
        se=((pl.col("hits") - pl.col("n") * pl.col("hits").sum() / pl.col("n").sum()) ** 2).sum().sqrt()
        / pl.col("n").sum(),
        ranges=pl.col("n").sum(),
        companies=pl.len(),
    )
    scores = issued.group_by(keys).agg(
        interval_score=pl.col("interval_score").mean() / pl.col("actual_amount").cast(pl.Float64).mean(),
        skill=1 - pl.col("crps").sum() / pl.col("naive_crps").sum(),
    )
    return spread.join(scores, on=keys).sort(keys)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    begin, parts = time.perf_counter(), []
    for number, seed in enumerate(range(first, first + count), start=1):
        parts.append(one_company(seed))
        if number % 5 == 0 or number == count:
            print(f"\n{number} companies of {REPS} reps and {QUARTERS} quarters, {time.perf_counter() - begin:.0f} s")
            with pl.Config(
                tbl_rows=-1,
                tbl_cols=-1,
                float_precision=3,
                tbl_width_chars=160,
                tbl_hide_dataframe_shape=True,
                tbl_hide_column_data_types=True,
            ):
                print(summary(pl.concat(parts)), flush=True)
    told = summary(pl.concat(parts)).filter(pl.col("scope_kind") == "company", pl.col("method") == "combined")
    worst = max(told["held"].to_list(), key=lambda share: abs(share - 0.8))
    sys.exit(0 if 0.76 <= worst <= 0.88 or math.isnan(worst) else 1)


if __name__ == "__main__":
    main()
