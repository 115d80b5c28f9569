"""The weekly cube: by pencil, against a slow replay in plain Python, and as sums over scopes."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.settings import Workspace
from tests.test_history import BEGIN, TODAY, a_company, everything
from tests.test_movement import above, changed, deal, land_pencil
from tests.warehouse_help import at, day, land, land_all, prepared

FEW = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Q3 = day("2026-07-01")
COUNTED = (
    "open_count", "open_amount", "unvalued_count", "due_count", "due_amount", "won_count", "won_amount", "lost_count",
    "lost_amount",
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def tables(workspace: Workspace, as_of: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    with prepared(workspace, as_of) as built:
        return built.table("pipeline_cube"), built.table("pipeline_weekly")


def test_by_pencil(workspace: Workspace) -> None:
    """The seven deals of the third quarter: what stood open on 1 July, in September, and when the quarter was over."""
    land_pencil(workspace)
    cube, weekly = tables(workspace, "2026-10-15")
    told = weekly.filter(period_start_on=Q3, scope="company").sort("week_of_period")
    assert told["week_of_period"].to_list() == list(range(14))
    assert told["week_end_on"][-1] == day("2026-09-30")
    first, last = told.row(0, named=True), told.row(-1, named=True)
    # On 1 July: grown, pushed, gone, idle and back are due; early is open too, due in November.
    assert (first["open_count"], first["open_amount"]) == (6, 100 + 200 + 40 + 60 + 70 + 300)
    assert (first["due_count"], first["due_amount"]) == (5, 100 + 200 + 40 + 60 + 70)
    # On 30 September: the pushed one that came back, and the reopened one.
    assert (last["open_count"], last["due_amount"]) == (2, 200 + 70)
    assert (told["won_count"].sum(), told["won_amount"].sum()) == (2, 150 + 300)
    assert (told["lost_count"].sum(), told["lost_amount"].sum()) == (3, 80 + 70 + 60)
    won = cube.filter(pl.col("won_count") > 0).select("week_of_period", "owner_id", "stage", "won_amount")
    assert won.rows() == [(11, "ann", "Signed", Decimal(150)), (13, "ann", "Signed", Decimal(300))]
    bob = weekly.filter(period_start_on=Q3, scope="bob").sort("week_of_period")
    assert bob.filter(pl.col("open_count") > 0)["week_of_period"].to_list() == [5, 6]


def test_what_closed_before_the_first_week_told_is_not_told(workspace: Workspace) -> None:
    old = [deal(f"d{year}", f"{year}-01-05", f"{year}-02-01", 1, stage="Closed Won") for year in (2020, 2021)]
    land(workspace, "opportunities", [*old, deal("now", "2026-07-05", "2026-09-30", 7)])
    _, weekly = tables(workspace, "2026-08-01")
    assert weekly["won_count"].sum() == 0
    assert weekly.filter(scope="company")["open_amount"].max() == 7


def test_a_deal_without_an_amount_weighs_nothing_and_is_counted(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("d", "2026-07-05", "2026-09-30", None)])
    land(workspace, "opportunity_history", [changed("d", "2026-07-20", "stage", "Proposal", "Closed Lost")])
    cube, _ = tables(workspace, "2026-08-12")
    rows = cube.sort("week_of_period").select(
        "week_of_period", "open_count", "open_amount", "unvalued_count", "lost_count", "closed_unvalued_count"
    )
    assert rows.rows() == [(1, 1, 0, 1, 0, 0), (2, 1, 0, 1, 0, 0), (3, 0, 0, 0, 1, 1)]


@FEW
@given(seed=st.integers(0, 10_000), days=st.integers(60, 312))
def test_the_cube_agrees_with_a_slow_replay(seed: int, days: int) -> None:
    as_of = min(BEGIN + timedelta(days=days, seconds=-1), TODAY)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        exports = everything(Random(seed), a_company(Random(seed), deals=30), TODAY, TODAY)
        land_all(workspace, exports)
        with prepared(workspace, as_of) as built:
            cube, weekly = built.table("pipeline_cube").to_dicts(), built.table("pipeline_weekly").to_dicts()
            versions = built.versions().to_dicts()
            periods = built.table("periods").to_dicts()
    looks = week_ends(periods, as_of)
    expected = replay(versions, looks)
    key = ("period_start_on", "week_of_period", "owner_id", "forecast_category", "stage")
    found = {tuple(row[name] for name in key): tuple(row[name] for name in COUNTED) for row in cube}
    assert found == {cell: tuple(counts[name] for name in COUNTED) for cell, counts in expected.items()}
    known = [
        row for row in exports["people"] if row.get("valid_from_on") is None or at(str(row["valid_from_on"])) <= as_of
    ]
    sums: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    ends = {(start, week): (until - timedelta(days=1)).date() for start, week, until, _ in looks}
    for (start, week, owner, *_), counts in expected.items():
        for scope in above(known, owner, ends[start, week]):
            for name in COUNTED:
                sums[start, week, scope][name] += counts[name]
    told = {(row["period_start_on"], row["week_of_period"], row["scope"]): row for row in weekly}
    assert sums.keys() <= told.keys()
    for place, row in told.items():
        assert {name: row[name] for name in COUNTED} == sums[place], place
        assert row["week_end_on"] == ends[place[0], place[1]]


def week_ends(periods: list[dict[str, Any]], as_of: datetime) -> list[tuple[date, int, datetime, datetime]]:
    """Period, week, its exclusive end, and the end of the week before (or the beginning of the first period told)."""
    begun = sorted(row["period_start_on"] for row in periods if at(str(row["period_start_on"])) <= as_of)[-5:]
    looks: list[tuple[date, int, datetime]] = []
    for row in sorted(periods, key=lambda row: row["period_start_on"]):
        start, end = row["period_start_on"], row["period_end_on"]
        if start not in begun:
            continue
        days = [start + timedelta(days=7 * week) for week in range(13)] + [end]
        looks += [
            (start, week, at(str(on)) + timedelta(days=1))
            for week, on in enumerate(days)
            if at(str(on)) + timedelta(seconds=86_399) <= as_of
        ]
    before = [at(str(begun[0])), *(until for _, _, until in looks)] if looks else []
    return [(*look, since) for look, since in zip(looks, before, strict=False)]


def replay(
    versions: list[dict[str, Any]], looks: list[tuple[date, int, datetime, datetime]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Look at every deal at every week's end, and walk its versions for what closed since the week before."""
    cells: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    by_deal = defaultdict(list)
    for row in versions:
        by_deal[row["opportunity_id"]].append(row)
    for start, week, until, since in looks:
        quarter_end = (start + timedelta(days=95)).replace(day=1)
        for states in by_deal.values():
            before = "new"
            for row in sorted(states, key=lambda row: row["valid_from_at"]):
                now = standing(row)
                cell = (start, week, row["owner_id"], row["forecast_category"], row["stage"])
                amount, is_valued = row["reporting_amount"] or 0, row["reporting_amount"] is not None
                if now == "open" and row["valid_from_at"] < until <= row["valid_to_at"]:
                    cells[cell]["open_count"] += 1
                    cells[cell]["open_amount"] += amount
                    cells[cell]["unvalued_count"] += not is_valued
                    if start <= row["close_on"] < quarter_end:
                        cells[cell]["due_count"] += 1
                        cells[cell]["due_amount"] += amount
                if now in ("won", "lost") and now != before and since <= row["valid_from_at"] < until:
                    cells[cell][f"{now}_count"] += 1
                    cells[cell][f"{now}_amount"] += amount
                before = now
    return cells


def standing(row: dict[str, Any]) -> str:
    if row["is_deleted"]:
        return "gone"
    return "won" if row["is_won"] else "lost" if row["is_closed"] else "open"
