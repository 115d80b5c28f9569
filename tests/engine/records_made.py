"""Forecast pairs made by hand for tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl

from pipelines.contracts import ForecastPairs

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
