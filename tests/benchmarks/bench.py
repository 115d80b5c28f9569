"""Performance on one machine: ``python -m tests.benchmarks.bench``. Seconds and peak memory, and ratios within one run.

Ratios say how time grows with size whatever the machine; the seconds have limits for two cores. Each measurement
runs in a fresh process, so that its peak memory is its own. Exits with 1 over a limit.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from multiprocessing import get_context

import numpy as np
import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine.accuracy import accuracy
from pipelines.engine.bias import forecaster_bias
from pipelines.engine.deal_book import LandingPolicy
from pipelines.engine.landing import landing, landing_backtest
from pipelines.engine.team import team_bias
from pipelines.measures.landing import BACKTEST_DRAWS
from pipelines.policy import DEFAULT_POLICY
from tests.benchmarks.planted import Shape, planted_company, target_of

QUARTERS = 12
SMALL, LARGE = 2_000, 20_000
TEAM_SIZE = 8
SECONDS_LIMITS = {"forecaster_bias": 10.0, "team_bias": 30.0, "accuracy": 5.0}
"""Of CPU, all threads together: an idle machine takes no longer, and a busy one does not make the engine slow."""
MEMORY_LIMIT_MB = 1_000.0

LANDING = Shape(reps=1_000, teams=100, deals_per_week=480.0, closed_periods=QUARTERS)
"""A thousand reps in a hundred teams, some 5,400 open deals at week 4 and 1,101 scopes."""
LANDING_DRAWS = 5_000
LANDING_LIMITS = {"landing": 5.0, "backtest": 120.0}
LANDING_MEMORY_MB = 2_000.0


def records(forecasters: int) -> pl.DataFrame:
    """Closed pairs of ``forecasters`` over twelve quarters at the lock week, leaning by N(−0.1, 0.2²)."""
    rng = np.random.default_rng(1)
    shape = (forecasters, QUARTERS)
    called = rng.lognormal(12.0, 0.5, shape)
    shock = np.exp(rng.normal(0.0, 0.1, QUARTERS))
    landed = called * np.exp(rng.normal(-0.1, 0.2, (forecasters, 1))) * rng.gamma(6.0, 1 / 6, shape) * shock
    starts = pl.date_range(date(2023, 1, 1), date(2025, 12, 31), "3mo", eager=True)
    who = pl.Series([f"r{i:06d}" for i in range(forecasters)])
    return pl.DataFrame(
        {
            "forecaster_id": who.gather(np.repeat(np.arange(forecasters), QUARTERS)),
            "period_start_on": starts.gather(np.tile(np.arange(QUARTERS), forecasters)),
            "forecast_amount": pl.Series(called.ravel()).round(2).cast(MONEY),
            "actual_amount": pl.Series(landed.ravel()).round(2).cast(MONEY),
        }
    ).with_columns(
        layer=pl.lit("rep"),
        category=pl.lit("commit"),
        week_of_period=pl.lit(DEFAULT_POLICY.lock_week, dtype=pl.Int64),
        period_end_on=pl.col("period_start_on").dt.offset_by("3mo").dt.offset_by("-1d"),
        horizon_days=pl.lit(69, dtype=pl.Int64),
        error_amount=pl.col("forecast_amount") - pl.col("actual_amount"),
        won_count=pl.lit(5, dtype=pl.Int64),
        status=pl.lit("closed"),
        source=pl.lit("submissions"),
    )


def members(pairs: pl.DataFrame) -> pl.DataFrame:
    """Everybody in the company, in a scope of their own, and in a team of eight."""
    people = pairs.select("period_start_on", person_id="forecaster_id")
    team = pl.format("m{}", pl.col("person_id").str.slice(1).cast(pl.Int64) // TEAM_SIZE)
    return pl.concat(people.with_columns(scope=scope) for scope in (pl.lit("company"), pl.col("person_id"), team))


def measure(name: str, forecasters: int) -> tuple[float, float, float]:
    """Seconds and CPU seconds of one measurement, and the megabytes it added to the process at its peak."""
    pairs = records(forecasters)
    run: dict[str, Callable[[], pl.DataFrame]] = {
        "forecaster_bias": lambda: forecaster_bias(pairs, DEFAULT_POLICY),
        "team_bias": lambda: team_bias(pairs, members(pairs), DEFAULT_POLICY),
        "accuracy": lambda: accuracy(pairs, DEFAULT_POLICY),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_cpu = time.perf_counter(), time.process_time()
    run[name]()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return seconds, cpu, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0


def measure_landing(name: str) -> tuple[float, float, float, int, int]:
    """Seconds, CPU seconds, the process's peak megabytes, open deals and ranges issued.

    ``landing``: one week's range at every scope. ``backtest``: those of every past quarter that has five before it, at
    every horizon week, each estimated anew from what was known then.
    """
    weeks = (4,) if name == "landing" else tuple(week for _, week in DEFAULT_POLICY.horizon_weeks)
    at_week = planted_company(LANDING, 3, weeks)
    target = target_of(at_week[weeks[0]])
    began, began_cpu = time.perf_counter(), time.process_time()
    issued = 0
    for week, inputs in at_week.items():
        if name == "landing":
            policy = LandingPolicy(draws=LANDING_DRAWS)
            found = landing(inputs, period_start_on=target, week_of_period=week, seed=1, policy=policy).landing
        else:
            policy = LandingPolicy(draws=BACKTEST_DRAWS)
            found = landing_backtest(inputs, week_of_period=week, seed_words=("bench",), policy=policy).landing
        issued += found.drop_nulls("lower").height
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    deals = at_week[weeks[0]].deals.filter(pl.col("period_start_on") == target).height
    return seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, deals, issued


def tell_landing() -> bool:
    is_fine = True
    print(f"Landing: {LANDING.reps:,} reps, {1 + LANDING.teams + LANDING.reps:,} scopes, {QUARTERS} closed quarters")
    for name, limit in LANDING_LIMITS.items():
        with get_context("spawn").Pool(1) as pool:
            seconds, cpu, memory, deals, issued = pool.apply(measure_landing, (name,))
        fine = cpu <= limit and memory <= LANDING_MEMORY_MB
        is_fine &= fine
        draws = LANDING_DRAWS if name == "landing" else BACKTEST_DRAWS
        print(
            f"{'ok ' if fine else 'NOT'} {name:16} {deals:,} open deals × {draws:,} draws, {issued:,} ranges:"
            f" {seconds:.2f} s ({cpu:.2f} s of CPU, at most {limit:.0f}), {memory:,.0f} MB at peak"
            f" (at most {LANDING_MEMORY_MB:,.0f})"
        )
    return is_fine


def main() -> int:
    is_fine = tell_landing()
    print(f"One layer, category and week; {QUARTERS} quarters")
    for name in ("forecaster_bias", "team_bias", "accuracy"):
        figures = []
        for forecasters in (SMALL, LARGE):
            with get_context("spawn").Pool(1) as pool:
                figures.append(pool.apply(measure, (name, forecasters)))
        (_, small, _), (seconds, large, memory) = figures
        fine = large <= SECONDS_LIMITS[name] and memory <= MEMORY_LIMIT_MB
        is_fine &= fine
        print(
            f"{'ok ' if fine else 'NOT'} {name:16} {LARGE:,} forecasters {seconds:.2f} s ({large:.2f} s of CPU),"
            f" +{memory:.0f} MB at peak;"
            f" {LARGE // SMALL}× the forecasters take {large / small:.1f}× the CPU time"
        )
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
