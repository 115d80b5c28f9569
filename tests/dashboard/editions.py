"""Small editions for the tests of pages: calls and landings made by arithmetic, measured by the real engine.

Every variant is a company of its own state: ``full`` (people who differ), ``alike`` (one common lean), ``one_rep``,
``two_quarters``, ``no_calls`` (deals only), ``stale`` (nothing new for weeks), ``records`` (a spreadsheet of closed
periods, no people, no currency), ``held`` and ``failed`` (ranges are issued, and past ones did or did not hold).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dataframely as dy
import numpy as np
import polars as pl

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.engine.accuracy import accuracy
from pipelines.engine.bias import forecaster_bias, team_bias
from pipelines.engine.selfcheck import selfcheck
from pipelines.policy import DEFAULT_POLICY, METHOD_VERSION
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef, publish_edition
from tests.dashboard.outlooks import landing_tables

AS_OF = datetime.fromisoformat("2026-11-18T18:30")
OPEN_START = date(2026, 10, 1)
NAMES = ("Ann Ohm", "Bo Ødegård", "Cas de Wit", "Dee Ray", "Eli Mo", "Fay $tern", "Gus *Bold*", "Hal Quist")


@dataclass(frozen=True)
class Variant:
    """How a company is made. ``spread``: standard deviation of the planted ln(landing rate) around ``lean``."""

    reps: int = 12
    quarters: int = 12
    lean: float = 0.9
    spread: float = 0.25
    noise: float = 0.12
    has_calls: bool = True
    has_open_call: bool = True
    is_simulated: bool = True
    newest: datetime = AS_OF
    currency: str = "USD"
    has_people: bool = True
    source: str = "submissions"
    quota: int = 1_500_000
    range_misses: int | None = None
    """How many of the past ranges failed; no range is issued where it is left out."""
    seed: int = 7


VARIANTS = {
    "full": Variant(),
    "alike": Variant(spread=0.0, lean=0.87, noise=0.15, seed=11),
    "fair": Variant(spread=0.02, lean=1.0, noise=0.05, reps=8),
    "one_rep": Variant(reps=1),
    "two_quarters": Variant(quarters=2),
    "no_calls": Variant(has_calls=False),
    "stale": Variant(newest=AS_OF - timedelta(days=40)),
    "records": Variant(
        has_open_call=False, is_simulated=False, currency="XXX", has_people=False, source="records", quarters=8, reps=4
    ),
    "held": Variant(range_misses=2, quota=1_330_000, spread=0.02, lean=1.0, noise=0.05, reps=8),
    "failed": Variant(range_misses=8, quota=1_330_000, spread=0.02, lean=1.0, noise=0.05, reps=8),
    "deals_with_range": Variant(has_calls=False, range_misses=2, quota=1_330_000),
    "many": Variant(reps=2_000, quarters=6),
}


def quarter_starts(count: int) -> list[date]:
    """The first days of ``count`` closed quarters before the open one, oldest first."""
    starts = [OPEN_START]
    for _ in range(count):
        year, month = starts[0].year, starts[0].month - 3
        starts.insert(0, date(year - (month < 1), month + 12 * (month < 1), 1))
    return starts[:-1]


def end_of(start: date) -> date:
    month = start.month + 3
    return date(start.year + (month > 12), month - 12 * (month > 12), 1) - timedelta(days=1)


def publish(workspace: Workspace, variant: Variant) -> EditionRef:
    """Make the company, measure it, publish it."""
    pairs, members = _pairs(variant), _members(variant)
    tables: dict[str, pl.DataFrame] = {
        "periods": _periods(variant),
        "scopes": _scopes(variant),
        "scope_members": members,
        "table_status": _table_status(variant),
        "quotas": _quotas(variant),
        "forecast_pairs": pairs,
        "forecaster_bias": forecaster_bias(pairs, DEFAULT_POLICY),
        "team_bias": team_bias(pairs, members, DEFAULT_POLICY),
        "accuracy": accuracy(pairs, DEFAULT_POLICY),
        "policy": pl.DataFrame(DEFAULT_POLICY.as_rows()),
        "selfcheck": selfcheck(pairs, DEFAULT_POLICY, companies=3, seed=1, most_forecasters=300),
    }
    if variant.range_misses is not None:
        tables |= _landing(variant, pairs)
    for name, schema in PUBLISHED_TABLES.items():
        if name != "edition" and name not in tables:
            tables[name] = schema.create_empty()
    row = {
        "as_of_at": AS_OF,
        "published_at": AS_OF,
        "method_version": METHOD_VERSION,
        "reporting_currency": variant.currency,
        "input_digest": repr(variant),
        "company_name": "Example Ltd",
        "period_kind": "quarter",
        "fiscal_year_start_month": 1,
        "lock_week": DEFAULT_POLICY.lock_week,
        "open_period_start_on": OPEN_START,
        "open_period_week": 6,
        "actual_source": "closed_won",
        "is_simulated": variant.is_simulated,
    }
    return publish_edition(workspace, row, tables)


def _landing(variant: Variant, pairs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    now = pairs.filter((pl.col("period_start_on") == OPEN_START) & (pl.col("week_of_period") == 6))
    return landing_tables(
        open_start=OPEN_START,
        week=6,
        closed=quarter_starts(variant.quarters),
        scopes=("company", "m1"),
        call=float(now["forecast_amount"].sum()) if variant.has_calls else 1_500_000.0 * variant.reps,
        has_call=variant.has_calls,
        quota=float(variant.quota * variant.reps),
        misses=variant.range_misses or 0,
    )


def workspace_of(folder: Path, name: str) -> Workspace:
    workspace = Workspace.at(folder / name)
    publish(workspace, VARIANTS[name])
    return workspace


def _fitted(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    schema: type[dy.Schema] = PUBLISHED_TABLES[name]
    columns = {column: kind.dtype for column, kind in schema.columns().items()}
    return pl.DataFrame([{column: row.get(column) for column in columns} for row in rows], schema=columns)


def _ids(variant: Variant) -> list[str]:
    return [f"r{number:02d}" for number in range(variant.reps)]


def _cents(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(Decimal("0.01"))


def _pairs(variant: Variant) -> pl.DataFrame:
    """Calls drift towards what lands as the quarter ages; the last forecaster skips one quarter and leaves."""
    random = np.random.default_rng(variant.seed)
    leans = np.log(variant.lean) + variant.spread * random.standard_normal(variant.reps)
    starts = [*quarter_starts(variant.quarters), OPEN_START]
    weeks = (0, 3, 6) if variant.reps > 100 else range(13)
    weeks = (3,) if variant.source == "records" else weeks
    rows: list[dict[str, object]] = []
    for place, start in enumerate(starts if variant.has_calls else []):
        is_open = start == OPEN_START
        shock = 0.05 * random.standard_normal()
        for number, who in enumerate(_ids(variant)):
            size = 400_000 * (1 + number % 5) * 1.02**place
            landed = size * np.exp(variant.noise * random.standard_normal() + shock)
            missed = not is_open and number == variant.reps - 1 and place == 1 and variant.reps > 1
            for week in weeks:
                if is_open and (week > 6 or not variant.has_open_call):
                    continue
                lean = leans[number] * (1 - week / 26)
                call = None if missed else _cents(size / np.exp(lean))
                actual = None if is_open else _cents(float(landed))
                rows.append(
                    {
                        "layer": "rep",
                        "forecaster_id": who,
                        "period_start_on": start,
                        "category": "commit",
                        "week_of_period": week,
                        "period_end_on": end_of(start),
                        "horizon_days": (end_of(start) - start).days - 7 * week,
                        "forecast_amount": call,
                        "actual_amount": actual,
                        "error_amount": None if call is None or actual is None else call - actual,
                        "won_count": None if is_open else 9,
                        "status": "open" if is_open else "no_call" if missed else "closed",
                        "source": variant.source,
                    }
                )
    return _fitted("forecast_pairs", rows)


def _members(variant: Variant) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for start in [*quarter_starts(variant.quarters), OPEN_START]:
        for who in _ids(variant):
            scopes = ["company", who, *(["m1"] if variant.has_people else [])]
            rows += [{"period_start_on": start, "person_id": who, "scope": scope} for scope in scopes]
    return _fitted("scope_members", rows)


def _scopes(variant: Variant) -> pl.DataFrame:
    rows: list[dict[str, object]] = [
        {"scope": "company", "scope_kind": "company", "scope_name": "Example Ltd", "depth": 0}
    ]
    parent = "company"
    if variant.has_people:
        parent = "m1"
        rows.append(
            {"scope": "m1", "scope_kind": "manager", "scope_name": "Mo Lead", "parent_scope": "company", "depth": 1}
        )
    for number, who in enumerate(_ids(variant)):
        name = NAMES[number] if number < len(NAMES) else f"Forecaster {number}"
        rows.append(
            {
                "scope": who,
                "scope_kind": "rep",
                "scope_name": name if variant.has_people else who,
                "parent_scope": parent,
                "depth": 2,
                "team": "East" if variant.has_people else None,
                "role": "Account executive" if variant.has_people else None,
                "hired_on": date(2022, 5, 2) if variant.has_people else None,
                "left_on": date(2026, 9, 30) if variant.reps > 4 and number == 4 else None,
            }
        )
    return _fitted("scopes", rows)


def _periods(variant: Variant) -> pl.DataFrame:
    rows: list[dict[str, object]] = [
        {
            "period_start_on": start,
            "period_end_on": end_of(start),
            "label": f"Q{(start.month + 2) // 3} {start.year}",
            "status": "open" if start == OPEN_START else "closed",
        }
        for start in [*quarter_starts(variant.quarters), OPEN_START]
    ]
    return _fitted("periods", rows)


def _quotas(variant: Variant) -> pl.DataFrame:
    if not variant.has_people:
        return _fitted("quotas", [])
    return _fitted(
        "quotas",
        [
            {"person_id": who, "period_start_on": OPEN_START, "quota_amount": Decimal(variant.quota)}
            for who in _ids(variant)
        ],
    )


def _table_status(variant: Variant) -> pl.DataFrame:
    calls = "forecast_records" if variant.source == "records" else "forecast_submissions"
    landed = [] if variant.source == "records" else ["opportunities"]
    rows: list[dict[str, object]] = [
        {
            "table_name": name,
            "row_count": 100,
            "rejected_count": 0,
            "first_known_at": datetime.fromisoformat("2023-01-01"),
            "last_known_at": variant.newest,
            "status": "ok",
        }
        for name in [*landed, *([calls] if variant.has_calls else [])]
    ]
    return _fitted("table_status", rows)
