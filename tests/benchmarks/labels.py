"""How often labels are given, right, and wrong: the table "How sure are we?" of the Method page.

``python -m tests.benchmarks.labels [RUNS]`` simulates sales teams deal by deal and measures them with the engine. 24
forecasters lean by ln(landing rate) ~ N(0, 0.20²); a shock that all share moves each quarter by N(0, 0.15²); each
quarter a forecaster calls the expected value of about 12 deals whose amounts are lognormal (σ = 1) and whose odds are
Beta(2, 3). Compared with what a spreadsheet does: flag whoever's raw landing rate is more than 10 % off.
"""

from __future__ import annotations

import csv
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.contracts import MONEY, ForecastPairs
from pipelines.engine.bias import forecaster_bias
from pipelines.policy import DEFAULT_POLICY

FORECASTERS = 24
SPREAD = 0.20
SHOCK = 0.15
DEALS = 12
QUARTERS = (4, 6, 8, 12)
TARGET = Path(__file__).resolve().parents[2] / "dashboard" / "assets" / "operating_characteristics.csv"
HEADINGS = ("rule", "quarters", "runs", "flags", "wrong_sign_rate", "power_rate", "coverage_rate")


def team(quarters: int, rng: np.random.Generator) -> tuple[np.ndarray, pl.DataFrame]:
    """(θ per forecaster, closed pairs at the lock week) of one simulated team."""
    theta = rng.normal(0.0, SPREAD, FORECASTERS)
    # Centred so that the shock is 1 on average: no lean of its own.
    shock = rng.normal(-(SHOCK**2) / 2, SHOCK, quarters)
    rows = []
    for quarter in range(quarters):
        start = date(2020 + quarter // 4, 1 + 3 * (quarter % 4), 1)
        for forecaster in range(FORECASTERS):
            deals = max(rng.poisson(DEALS), 1)
            amount = rng.lognormal(10.0, 1.0, deals)
            odds = rng.beta(2.0, 3.0, deals)
            won = rng.random(deals) < np.minimum(odds * np.exp(shock[quarter]), 1.0)
            call = float(amount @ odds / np.exp(theta[forecaster]))
            rows.append((f"f{forecaster:02d}", start, call, float(amount[won].sum()), int(won.sum())))
    pairs = pl.DataFrame(
        rows, schema=["forecaster_id", "period_start_on", "forecast_amount", "actual_amount", "won_count"], orient="row"
    )
    money = [pl.col(name).round(2).cast(MONEY) for name in ("forecast_amount", "actual_amount")]
    return theta, pairs.with_columns(money).with_columns(
        pl.lit("rep").alias("layer"),
        pl.lit("commit").alias("category"),
        pl.lit(DEFAULT_POLICY.lock_week, dtype=pl.Int64).alias("week_of_period"),
        pl.col("period_start_on").dt.offset_by("3mo").dt.offset_by("-1d").alias("period_end_on"),
        pl.lit(70, dtype=pl.Int64).alias("horizon_days"),
        (pl.col("forecast_amount") - pl.col("actual_amount")).cast(MONEY).alias("error_amount"),
        pl.lit("closed").alias("status"),
        pl.lit("submissions").alias("source"),
    ).select(ForecastPairs.column_names())


def measure(quarters: int, runs: int, seed: int) -> list[dict[str, object]]:
    """One row per rule: flags a team, share with the wrong sign, share of leans beyond ±15 % found, coverage."""
    counts = {"spreadsheet": np.zeros(4), "forecast_trust": np.zeros(4)}
    covered = 0
    for run in range(runs):
        theta, pairs = team(quarters, np.random.default_rng([seed, quarters, run]))
        found = forecaster_bias(pairs, DEFAULT_POLICY).sort("forecaster_id")
        covered += int(
            ((found["lower"].to_numpy() <= np.exp(theta)) & (np.exp(theta) <= found["upper"].to_numpy())).sum()
        )
        raw = np.log(found["landing_rate"].to_numpy())
        labels = found["direction"].to_numpy()
        signs = {
            "spreadsheet": np.where(np.abs(np.expm1(raw)) > 0.10, np.sign(raw), 0.0),
            "forecast_trust": np.select([labels == "runs_high", labels == "runs_low"], [-1.0, 1.0], 0.0),
        }
        real = np.abs(theta) > 0.15
        for rule, sign in signs.items():
            wrong = (sign != 0) & (sign != np.sign(theta))
            hit = (sign == np.sign(theta)) & real
            counts[rule] += [(sign != 0).sum(), wrong.sum(), hit.sum(), real.sum()]
    return [
        {
            "rule": rule,
            "quarters": quarters,
            "runs": runs,
            "flags": round(float(flags) / runs, 2),
            "wrong_sign_rate": round(float(wrong / flags), 4) if flags else None,
            "power_rate": round(float(hits / real), 4),
            "coverage_rate": round(covered / runs / FORECASTERS, 4) if rule == "forecast_trust" else None,
        }
        for rule, (flags, wrong, hits, real) in counts.items()
    ]


def main(runs: int = 250) -> None:
    started = time.perf_counter()
    rows = [row for quarters in QUARTERS for row in measure(quarters, runs, seed=1)]
    with TARGET.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADINGS)
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
