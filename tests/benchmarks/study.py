"""Operating characteristics of bias over simulated companies: ``python -m tests.benchmarks.study [COMPANIES]``
(default 200).

Each company is the product's simulator (40 reps, 12 closed quarters), measured by the product's engine on its last 6, 8
and 12 quarters: a company that has only so much history. Compared with the planted landing rates:

* do 80 % intervals of forecasters hold the planted rate, and labels have its sign;
* are identical, unbiased forecasters left in peace;
* is a common lean found, and not mistaken for differences between people.

Pairs are taken from the simulator's own view of its calls; a few companies also go through files, ingest and
publish, and must come out with the same bias. Exits with 1 if a requirement is not met.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import polars as pl

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

from pipelines import runs
from pipelines.contracts import MONEY
from pipelines.engine.bias import forecaster_bias, team_bias
from pipelines.policy import DEFAULT_POLICY as POLICY
from pipelines.progress import Spoken
from pipelines.settings import Workspace
from pipelines.simulate import Scenario, pairs_of, simulate, world_of
from pipelines.warehouse import editions

WORKERS = 2
QUARTERS = (6, 8, 12)
LAYERS = ("rep", "manager", "executive")
COMMON_LEAN = 0.15
NOBODY = pl.DataFrame(schema={"period_start_on": pl.Date, "person_id": pl.String, "scope": pl.String})
SAID = pl.col("direction").is_in(["runs_high", "runs_low"])
IS_WRONG = pl.when(pl.col("direction") == "runs_high").then(pl.col("planted") > 1).otherwise(pl.col("planted") < 1)
IS_INSIDE = pl.col("planted").is_between(pl.col("lower"), pl.col("upper"))


@dataclass(frozen=True)
class Company:
    """One company to simulate and how much of its history the engine may see."""

    name: str
    scenario: Scenario


def lock_week_pairs(scenario: Scenario) -> pl.DataFrame:
    """``contracts.ForecastPairs`` of the commit calls at the lock week, with ``planted``, the planted landing rate."""
    world = world_of(scenario)
    for _ in world.chunks():
        pass
    at_lock = (pl.col("week_of_period") == POLICY.lock_week) & (pl.col("category") == "commit")
    return (
        pairs_of(world)
        .filter(at_lock)
        .with_columns(
            pl.col("forecast_amount", "actual_amount").round(2).cast(MONEY),
            pl.col("week_of_period").cast(pl.Int64),
            period_end_on=pl.col("period_start_on").dt.offset_by("3mo").dt.offset_by("-1d"),
            horizon_days=pl.lit(69, dtype=pl.Int64),
            won_count=pl.lit(None, dtype=pl.Int64),
            status=pl.lit("closed"),
            source=pl.lit("submissions"),
        )
        .with_columns(error_amount=pl.col("forecast_amount") - pl.col("actual_amount"))
        .rename({"planted_landing_rate": "planted"})
    )


def measure(company: Company) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Forecasters and company of every layer and length of history."""
    pairs = lock_week_pairs(company.scenario)
    starts = pairs["period_start_on"].unique().sort()
    forecasters, teams = [], []
    for quarters in QUARTERS:
        seen = pairs.filter(pl.col("period_start_on").is_in(starts[-quarters:].to_list()))
        # A manager's planted rate moves with the team; over a history it is the rate of the sums.
        landed, called = pl.col("actual_amount").cast(pl.Float64), pl.col("planted")
        planted = seen.group_by("layer", "forecaster_id").agg(
            planted=pl.when(called.min() == called.max())
            .then(called.first())
            .when(landed.sum() > 0)
            .then(landed.sum() / (landed / called).sum())
        )
        marks = {"company": company.name, "seed": company.scenario.seed, "quarters": quarters}
        columns = [pl.lit(value).alias(name) for name, value in marks.items()]
        bias = forecaster_bias(seen, POLICY).join(planted, on=["layer", "forecaster_id"])
        forecasters.append(bias.with_columns(columns))
        teams.append(team_bias(seen, NOBODY, POLICY).with_columns(columns))
    return pl.concat(forecasters), pl.concat(teams)


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    return float(frame.select(condition.mean()).item()) if len(frame) else math.nan


@dataclass
class Report:
    """Lines printed, and whether every requirement was met."""

    is_met: bool = True

    def require(self, what: str, value: float, is_ok: Callable[[float], bool], wanted: str) -> None:
        met = is_ok(value)
        self.is_met &= met
        print(f"  {'ok ' if met else 'NOT'} {what}: {value:.3f} (wanted {wanted})")


def tell_planted(forecasters: pl.DataFrame, teams: pl.DataFrame, report: Report) -> None:
    print("\nLeaning forecasters (spread 0.20, common lean 6 % high, shared shock 0.15)")
    for layer in LAYERS:
        for quarters in QUARTERS:
            rows = forecasters.filter((pl.col("layer") == layer) & (pl.col("quarters") == quarters))
            known = rows.filter(pl.col("lower").is_not_null())
            whole = known.filter(pl.col("period_count") == quarters)
            labels = rows.filter(SAID)
            team = teams.filter((pl.col("layer") == layer) & (pl.col("quarters") == quarters))
            print(
                f"  {layer:9} {quarters:2} quarters: coverage {share(known, IS_INSIDE):.3f} of {len(known)}"
                f" (whole history {share(whole, IS_INSIDE):.3f}) · labels {len(labels) / rows['seed'].n_unique():.1f}"
                f" a company, wrong sign {share(labels, IS_WRONG):.3f}"
                f" · p ≤ .05 for differences {share(team, pl.col('heterogeneity_p_value') <= 0.05):.2f}"
            )
    reps = forecasters.filter((pl.col("layer") == "rep") & pl.col("lower").is_not_null())
    inside = "0.75 to 0.85"
    report.require("coverage of reps", share(reps, IS_INSIDE), lambda x: 0.75 <= x <= 0.85, inside)
    for quarters in QUARTERS:
        rows = reps.filter(pl.col("quarters") == quarters)
        report.require(
            f"coverage of reps, {quarters} quarters", share(rows, IS_INSIDE), lambda x: 0.75 <= x <= 0.85, inside
        )
        limit = 1 / 8 if quarters < 8 else 1 / 10
        report.require(
            f"wrong sign of reps' labels, {quarters} quarters",
            share(rows.filter(SAID), IS_WRONG),
            lambda x, limit=limit: x <= limit,
            f"at most {limit:.3f}",
        )


def tell_identical(forecasters: pl.DataFrame, teams: pl.DataFrame, report: Report) -> None:
    for name, wanted in (("identical", 1.0), ("identical, 15 % high", 1 / (1 + COMMON_LEAN))):
        print(f"\n{name.capitalize()}")
        for quarters in QUARTERS:
            at = (pl.col("company") == name) & (pl.col("layer") == "rep") & (pl.col("quarters") == quarters)
            rows, team = forecasters.filter(at), teams.filter(at)
            companies = rows["seed"].n_unique()
            labelled = rows.filter(SAID)
            free = 1 - labelled["seed"].n_unique() / companies
            print(
                f"  {quarters:2} quarters: without a label {free:.2f} · labels {len(labelled) / companies:.1f}"
                f" a company · company's interval holds {wanted:.3f} in"
                f" {share(team, pl.lit(wanted).is_between(pl.col('lower'), pl.col('upper'))):.2f}"
                f" · p ≤ .05 for differences {share(team, pl.col('heterogeneity_p_value') <= 0.05):.2f}"
            )
            alike = share(team, pl.col("heterogeneity_p_value") > 0.05)
            report.require(f"no evidence that they differ, {quarters} quarters", alike, lambda x: x >= 0.85, "0.85")
            if wanted == 1.0:
                report.require(f"nobody labelled, {quarters} quarters", free, lambda x: x >= 17 / 20, "17 of 20")
            else:
                wrong = share(labelled, pl.col("direction") == "runs_low")
                report.require(f"labels that say low, {quarters} quarters", wrong, lambda x: not x > 0.01, "none")
                held = share(team, pl.lit(wanted).is_between(pl.col("lower"), pl.col("upper")))
                report.require(f"company's interval, {quarters} quarters", held, lambda x: 0.7 <= x <= 0.9, "0.7–0.9")


@contextmanager
def published(scenario: Scenario) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """The pairs and the bias of a company that came in through files."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:
        files, workspace, quiet = Path(folder) / "files", Workspace.at(Path(folder) / "workspace"), Spoken(nowhere)
        simulate(files, reps=scenario.reps, quarters=scenario.quarters, seed=scenario.seed)
        runs.ingest(workspace, [files], quiet)
        ref = runs.publish(workspace, quiet)
        yield editions.read(ref, "forecast_pairs"), editions.read(ref, "forecaster_bias")


def tell_real_door(seeds: Iterable[int], report: Report) -> None:
    print("\nThe same companies through files, ingest and publish")
    for seed in seeds:
        scenario = Scenario(seed=seed)
        own = lock_week_pairs(scenario)
        with published(scenario) as (pairs, bias):
            keys = ["layer", "forecaster_id", "period_start_on", "category", "week_of_period"]
            both = own.join(pairs.filter(pl.col("status") == "closed"), on=keys, how="left", suffix="_published")
            # People type round calls; what landed is the same to the cent but for what currencies round per deal.
            for name, slack in (("forecast_amount", 0.02), ("actual_amount", 0.0001)):
                mine, theirs = pl.col(name).cast(pl.Float64), pl.col(f"{name}_published").cast(pl.Float64)
                same = share(both, ((mine - theirs).abs() <= 1.0 + slack * mine.abs()).fill_null(value=False))
                report.require(f"seed {seed}: {name} equal to {slack:.2%}", same, lambda x: x >= 0.98, "0.98")
            keys = ["layer", "forecaster_id", "category", "week_of_period"]
            estimates = forecaster_bias(own, POLICY).join(bias, on=keys, suffix="_published").drop_nulls("estimate")
            gap = (pl.col("estimate_published") / pl.col("estimate")).log().abs()
            report.require(
                f"seed {seed}: estimates equal to 1 %", share(estimates, gap <= 0.01), lambda x: x >= 0.9, "0.9"
            )


def main(companies: int, through_files: int = 2) -> int:
    began = time.monotonic()
    some = max(companies // 2, 20)
    jobs = [Company("planted", Scenario(seed=seed)) for seed in range(1, companies + 1)]
    for seed in range(1, some + 1):
        jobs.append(Company("identical", Scenario(seed=seed, identical=True, common_lean=0.0)))
        jobs.append(Company("identical, 15 % high", Scenario(seed=seed, identical=True, common_lean=COMMON_LEAN)))
    print(f"{companies} companies, {some} of identical forecasters, {some} of the same all {COMMON_LEAN:.0%} high")
    with get_context("spawn").Pool(WORKERS) as pool:
        answers = pool.map(measure, jobs, chunksize=4)
    forecasters = pl.concat(one for one, _ in answers)
    teams = pl.concat(one for _, one in answers)
    report = Report()
    is_planted = pl.col("company") == "planted"
    tell_planted(forecasters.filter(is_planted), teams.filter(is_planted), report)
    tell_identical(forecasters, teams, report)
    tell_real_door(range(1, through_files + 1), report)
    print(f"\n{'Every requirement is met' if report.is_met else 'Some requirement is NOT met'}"
          f" ({time.monotonic() - began:.0f} s)")  # fmt: skip
    return 0 if report.is_met else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
