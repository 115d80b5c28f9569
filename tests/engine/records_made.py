"""Forecast pairs made by hand for tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.contracts import ForecastPairs
from tests.engine.deal_company import deal_company

FIRST_MONTH = 2022 * 12

Call = tuple[float | None, float | None]


def quarter(place: int) -> date:
    """First day of the quarter that many after 2022-01-01."""
    month = FIRST_MONTH + 3 * place
    return date(month // 12, month % 12 + 1, 1)


def pairs_of(
    records: Mapping[str, Sequence[Call]],
    *,
    week: int = 3,
    layer: str = "rep",
    category: str = "commit",
    won_count: int | None = None,
    open_last: bool = False,
) -> pl.DataFrame:
    """One row per forecaster and quarter from (forecast, actual); a None forecast is a missing call, a None actual an
    open quarter if ``open_last``, else one without an actual."""
    rows = []
    for forecaster, calls in records.items():
        for place, (forecast, actual) in enumerate(calls):
            if forecast is None:
                status = "no_call"
            elif actual is None:
                status = "open" if open_last else "no_actual"
            else:
                status = "closed"
            rows.append(
                {
                    "layer": layer,
                    "forecaster_id": forecaster,
                    "period_start_on": quarter(place),
                    "category": category,
                    "week_of_period": week,
                    "period_end_on": quarter(place + 1) - timedelta(days=1),
                    "horizon_days": 69,
                    "forecast_amount": forecast,
                    "actual_amount": actual,
                    "error_amount": None,
                    "won_count": won_count if status == "closed" else None,
                    "status": status,
                    "source": "submissions",
                }
            )
    schema = {name: column.dtype for name, column in ForecastPairs.columns().items()}
    money = ("forecast_amount", "actual_amount", "error_amount")
    frame = pl.DataFrame(rows, schema={**schema, **dict.fromkeys(money, pl.Float64)})
    return frame.cast(schema).with_columns(error_amount=pl.col("forecast_amount") - pl.col("actual_amount"))


def members_of(pairs: pl.DataFrame, teams: Mapping[str, str]) -> pl.DataFrame:
    """Everybody in ``company`` and in the team ``teams`` names for them."""
    people = pairs.select("period_start_on", pl.col("forecaster_id").alias("person_id")).unique()
    in_team = people.with_columns(scope=pl.col("person_id").replace_strict(teams, default=None)).drop_nulls()
    return pl.concat([people.with_columns(scope=pl.lit("company")), in_team])


def made_up(reps: int = 8, quarters: int = 8, seed: int = 1, **planted: float) -> pl.DataFrame:
    """Pairs of a team simulated deal by deal, see ``deal_company``."""
    rng = np.random.default_rng(seed)
    _, forecast, actual = deal_company(rng, reps=reps, quarters=quarters, **planted)
    return pairs_of(
        {f"r{i:02d}": list(zip(forecast[i].round(2), actual[i].round(2), strict=True)) for i in range(reps)}
    )


def steady(rate: float, *, quarters: int = 8, call: float = 100_000.0, wobble: float = 0.05) -> list[Call]:
    """Calls of one size that land at ``rate``, a little above and below in turn."""
    return [(call, round(call * rate * (1 + wobble * (-1) ** t), 2)) for t in range(quarters)]
