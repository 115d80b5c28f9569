"""Landing tables for the small editions of the page tests: ranges by arithmetic, judged by the real engine."""

from __future__ import annotations

import base64
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
from scipy import special

from pipelines.engine.coverage import coverage
from pipelines.landing_contracts import LANDING_TABLES, Coverage
from pipelines.scenario_contracts import SCENARIO_TABLES

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
        **scenario_tables(open_start, week, scopes, centre, closed_amount=0.3 * call, worth=0.2 * call),
    }


DRAWS = 400


def scenario_tables(
    start: date, week: int, scopes: tuple[str, ...], centre: float, *, closed_amount: float, worth: float
) -> dict[str, pl.DataFrame]:
    """Draws around the centre, and two deals: ``whale-1``, won in every other draw, and ``minnow~2``, in the first."""
    level = (np.arange(DRAWS) + 0.5) / DRAWS
    amounts = centre * np.exp(SPREAD * special.ndtri(level))
    scope_rows = [
        {"period_start_on": start, "week_of_period": week, "scope": scope, "closed_amount": closed_amount,
         "deal_weight": 1.0, "call_correction": None, "call_scale": None, "call_df": None, "call_offset": None,
         "call_line": None, "shift": 0.0}
        for scope in scopes
    ]  # fmt: skip
    draws = [
        {"scope": scope, "draw": draw, "amount": float(amount), "shock": 0.0 if place == 0 else None}
        for place, scope in enumerate(scopes)
        for draw, amount in enumerate(amounts)
    ]
    deals = [
        {"opportunity_id": name, "owner_id": "r00", "amount": money, "worth_amount": money,
         "win_probability_rate": chance, "threshold": float(special.ndtri(chance)), "is_due": True,
         "threshold_if_moved": moved, "won_bits": base64.b64encode(np.packbits(won).tobytes()).decode()}
        for name, money, chance, moved, won in (
            ("whale-1", worth, 0.5, -1.0, np.arange(DRAWS) % 2 == 0),
            ("minnow~2", worth / 100, 0.01, None, np.arange(DRAWS) < 4),
        )
    ]  # fmt: skip
    found = {"scenario_scopes": scope_rows, "scenario_draws": draws, "scenario_deals": deals}
    return {
        name: pl.DataFrame(rows, schema={key: kind.dtype for key, kind in SCENARIO_TABLES[name].columns().items()})
        for name, rows in found.items()
    }
