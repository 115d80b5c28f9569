"""Operating characteristics of the landing on simulated companies: ``python -m tests.benchmarks.study_landing 200``.

Prints, per week, the coverage of the nominal 80 % range and its interval score relative to what landed, for the three
methods and four rivals: deals taken as independent, the raw call with a Student-t spread that does not know the bias,
the same with the whole correction, and the naive forecast.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
from scipy import special

from pipelines.engine.coverage import interval_score, naive_forecast
from pipelines.engine.deal_book import LandingInputs, LandingPolicy, make_book
from pipelines.engine.landing import (
    closed_so_far,
    fit_call,
    landing,
    membership,
    seed_of,
    usable_past,
)
from tests.benchmarks.planted import Shape, planted_company, target_of

ENDS = np.array([0.1, 0.9])
KINDS = {"c": "company", "t": "manager", "r": "rep"}


def one_company(
    shape: Shape, seed: int, weeks: tuple[int, ...], draws: int
) -> list[tuple[int, str, str, float, float, float]]:
    """(week, kind of scope, method, lower, upper, actual) of one simulated company."""
    policy = LandingPolicy(draws=draws)
    rows: list[tuple[int, str, str, float, float, float]] = []
    for week, inputs in planted_company(shape, seed, weeks).items():
        target = target_of(inputs)
        result = landing(
            inputs, period_start_on=target, week_of_period=week, seed=seed_of(str(seed), str(week)), policy=policy
        )
        truth = dict(
            inputs.calls.filter(pl.col("period_start_on") == target).select("scope", "actual_amount").iter_rows()
        )
        issued = result.landing.filter(pl.col("level") == 0.8).drop_nulls("lower")
        for scope, method, lower, upper in issued.select("scope", "method", "lower", "upper").iter_rows():
            rows.append((week, KINDS[scope[0]], method, lower, upper, truth[scope]))
        calls = inputs.calls.filter(pl.col("scope") == "company").sort("period_start_on")
        call, actual = calls["call_amount"].to_numpy(), calls["actual_amount"].to_numpy()
        error = np.log(actual[:-1] / call[:-1])
        n = len(error)
        t = special.stdtrit(n, ENDS)
        raw = call[-1] * np.exp(np.sqrt((error**2).mean() * (1 + 1 / n)) * t)
        rows.append((week, "company", "raw call t", *raw, actual[-1]))
        full = fit_call(call[:-1], actual[:-1], np.inf).quantiles(call[-1], ENDS)
        rows.append((week, "company", "full correction t", *full, actual[-1]))
        naive = naive_forecast(actual[:-1]).quantiles(ENDS)
        if naive is not None:
            rows.append((week, "company", "naive", *naive, actual[-1]))
        rows.append(
            (week, "company", "independent deals", *independent_range(inputs, target, policy, seed), actual[-1])
        )
    return rows


def independent_range(inputs: LandingInputs, target: date, policy: LandingPolicy, seed: int) -> np.ndarray:
    """80 % range of the company when deals are taken as independent and their odds are not corrected."""
    scopes, owners, members = membership(inputs, target)
    past = usable_past(inputs.periods, target, policy.max_periods)
    book = make_book(inputs=inputs, period_start_on=target, past=past, owners=owners, members=members, policy=policy)
    unshocked = replace(book, shock=replace(book.shock, correction=0.0, sd=0.0))
    drawn = unshocked.draw(closed_so_far(inputs, target, owners), seed)
    return np.quantile(drawn.amounts[scopes.index("company")], ENDS)


def study_landing(
    companies: int, shape: Shape, weeks: tuple[int, ...] = (0, 4, 8, 11), draws: int = 2000, first_seed: int = 1
) -> pl.DataFrame:
    """Week × kind of scope × method: coverage, interval score relative to the mean actual, and how many ranges."""
    rows = [row for seed in range(first_seed, first_seed + companies) for row in one_company(shape, seed, weeks, draws)]
    frame = pl.DataFrame(rows, orient="row", schema=["week", "kind", "method", "lower", "upper", "actual"])
    return (
        frame.with_columns(
            score=pl.Series(interval_score(frame["actual"], frame["lower"], frame["upper"], 0.8)),
            inside=pl.col("actual").is_between("lower", "upper"),
        )
        .group_by("week", "kind", "method")
        .agg(
            coverage=pl.col("inside").mean(),
            score=pl.col("score").mean() / pl.col("actual").mean(),
            ranges=pl.len(),
        )
        .sort("kind", "week", "method")
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    shapes = {
        "20 reps, 8 quarters": Shape(),
        "20 reps, 8 quarters, stage odds mis-set": Shape(is_misset=True),
        "20 reps, 5 quarters": Shape(closed_periods=5),
        "20 reps, 12 quarters": Shape(closed_periods=12),
        "few lumpy deals, 8 quarters": Shape(deals_per_week=15.0, reps=8, teams=2),
        "no shock": Shape(shock_sd=0.0),
    }
    chosen = sys.argv[2].split(",") if len(sys.argv) > 2 else list(map(str, range(len(shapes))))
    for number, (name, shape) in enumerate(shapes.items()):
        if str(number) not in chosen:
            continue
        begin = time.perf_counter()
        table = study_landing(count, shape)
        print(f"\n{name}: {count} companies, {time.perf_counter() - begin:.0f} s")
        with pl.Config(
            tbl_rows=-1,
            float_precision=3,
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
            tbl_cols=-1,
            tbl_width_chars=200,
        ):
            print(table.pivot("week", index=["kind", "method"], values=["coverage", "score"]))
