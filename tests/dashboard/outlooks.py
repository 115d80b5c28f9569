"""Landing tables for the small editions of the page tests: ranges by arithmetic, judged by the real engine."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
from scipy import special

from pipelines.engine.coverage import coverage
from pipelines.landing_contracts import LANDING_TABLES, Coverage

LEVELS = (0.5, 0.8, 0.9)
SPREAD = 0.10


def _ends(centre: float, level: float) -> tuple[float, float]:
    reach = SPREAD * float(special.ndtri(0.5 + level / 2))
    return centre * float(np.exp(-reach)), centre * float(np.exp(reach))


def _fitted(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = {column: kind.dtype for column, kind in LANDING_TABLES[name].columns().items()}
    cents = {column for column, kind in schema.items() if isinstance(kind, pl.Decimal)}
    return pl.DataFrame(
        [
            {
                column: Decimal(f"{row[column]:.2f}")
                if column in cents and row.get(column) is not None
                else row.get(column)
                for column in schema
            }
            for row in rows
        ],
        schema=schema,
    )


def landing_tables(
    *,
    open_start: date,
    week: int,
    closed: list[date],
    scopes: tuple[str, ...],
    call: float,
    quota: float,
    misses: int,
    has_call: bool = True,
) -> dict[str, pl.DataFrame]:
    """A range around nine tenths of the call; ranges of ``closed`` periods, of which the first ``misses`` failed."""
    centre = 0.9 * call
    at = datetime.combine(open_start + timedelta(days=7 * week + 1), datetime.min.time())
    landing: list[dict[str, object]] = []
    dots: list[dict[str, object]] = []
    backtest: list[dict[str, object]] = []
    swings: list[dict[str, object]] = []
    quantiles: list[dict[str, object]] = []
    for scope in scopes:
        look = {"period_start_on": open_start, "week_of_period": week, "scope": scope}
        for level in LEVELS:
            lower, upper = _ends(centre, level)
            landing.append(
                {
                    **look,
                    "method": "combined",
                    "level": level,
                    "as_of_at": at,
                    "layer": "rep" if has_call else None,
                    "category": "commit" if has_call else None,
                    "closed_amount": 0.3 * call,
                    "estimate": centre,
                    "lower": lower,
                    "upper": upper,
                    "call_amount": call if has_call else None,
                    "quota_amount": quota,
                    "period_count": len(closed),
                    "status": "ok" if has_call else "deals_only",
                }
            )
            for place, start in enumerate(closed):
                actual = centre * (1.5 if place < misses else 1.01)
                backtest.append(
                    {
                        **look,
                        "period_start_on": start,
                        "method": "combined",
                        "level": level,
                        "estimate": centre,
                        "lower": lower,
                        "upper": upper,
                        "actual_amount": actual,
                        "is_inside": lower <= actual <= upper,
                        "error_amount": float(f"{centre:.2f}") - float(f"{actual:.2f}"),
                        "interval_score": upper - lower,
                    }
                )
        level_of = (np.arange(20) + 0.5) / 20
        for dot, amount in enumerate(centre * np.exp(SPREAD * special.ndtri(level_of)), start=1):
            dots.append({**look, "dot": dot, "amount": float(amount)})
        for percent in range(1, 100):
            amount = float(centre * np.exp(SPREAD * special.ndtri(percent / 100)))
            quantiles.append({**look, "method": "combined", "quantile": percent / 100, "amount": amount})
        swings.append(
            {
                **look,
                "rank": 1,
                "opportunity_id": "whale-1",
                "amount": 0.2 * call,
                "win_probability_rate": 0.4,
                "expected_amount": 0.08 * call,
                "swing_amount": 0.2 * call,
                "share_of_gap_rate": 0.3,
                "probability_of_call_if_won_rate": 0.55,
                "probability_of_call_if_lost_rate": 0.05,
            }
        )
    past = _fitted("landing_backtest", backtest)
    judged = coverage(past.with_columns(pl.col("crps", "naive_crps").cast(pl.Float64))).select(*Coverage.column_names())
    return {
        "landing": _fitted("landing", landing),
        "landing_dots": _fitted("landing_dots", dots),
        "landing_quantiles": _fitted("landing_quantiles", quantiles),
        "landing_swings": _fitted("landing_swings", swings),
        "landing_backtest": past,
        "coverage": judged,
    }
