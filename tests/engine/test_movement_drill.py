"""The deals behind an amount of the movement: by pencil. ``tests/test_movement.py`` has them of random histories."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.engine.movement_drill import DealsBehind, deals_behind
from pipelines.history_contracts import MovementDeals, OwnerScopes
from pipelines.warehouse.store import frame_schema

START = date(2026, 7, 1)
WEEK = {"from_on": date(2026, 7, 8), "to_on": date(2026, 7, 14)}


def row(movement: str, deal: str, amount: int, count: int, day: int | None, **more: Any) -> dict[str, Any]:
    moved_at = None if day is None else datetime(2026, 7, day, 10)  # noqa: DTZ001
    on = START if day is None else date(2026, 7, day)
    return {
        "period_start_on": START, "movement": movement, "opportunity_id": deal, "moved_at": moved_at, "scope": None,
        "owner_id": "ann", "owner_on": on, "name": deal.upper(), "amount": Decimal(amount), "deal_count": count,
        "change_count": 1,
    } | more  # fmt: skip


ROWS = pl.DataFrame(
    [
        row("start", "a", 100, 1, None),
        row("start", "b", 50, 1, None, owner_id="bob"),
        row("increased", "a", 20, 0, 3),
        row("increased", "a", 5, 0, 9),
        row("created", "c", 70, 1, 9),
        row("owner_out", "a", -125, -1, 10, owner_id=None, owner_on=None, scope="ann"),
        row("owner_in", "a", 125, 1, 10, owner_id=None, owner_on=None, scope="bob"),
        row("won", "b", -50, -1, 14, owner_id="bob"),
        row("end", "a", 125, 1, None, owner_id="bob"),
        row("end", "c", 70, 1, None),
    ],
    schema=frame_schema(MovementDeals),
)

OWNERS = pl.DataFrame(
    [
        {"person_id": who, "scope": scope, "from_on": date.min, "to_on": date.max}
        for who in ("ann", "bob")
        for scope in (who, "company")
    ]
    + [
        {"person_id": "ann", "scope": "mia", "from_on": date.min, "to_on": date(2026, 7, 5)},
        {"person_id": "ann", "scope": "max", "from_on": date(2026, 7, 5), "to_on": date.max},
    ],
    schema=frame_schema(OwnerScopes),
)


def opened(scope: str, movement: str, **week: date) -> dict[str, int]:
    found = deals_behind(ROWS, OWNERS, scope=scope, movement=movement, **week)
    return {one["opportunity_id"]: int(one["amount"]) for one in found.to_dicts()}


def test_a_period_and_a_week_of_it() -> None:
    assert opened("company", "increased") == {"a": 25}
    assert opened("company", "increased", **WEEK) == {"a": 5}
    assert opened("company", "won", **WEEK) == {"b": -50}
    assert opened("company", "pushed_out") == {}


def test_what_stood_as_a_week_began_is_the_start_and_every_change_before_it() -> None:
    assert opened("company", "start", **WEEK) == {"a": 120, "b": 50}
    assert opened("company", "end", **WEEK) == {"a": 125, "c": 70}
    assert opened("company", "end") == {"a": 125, "c": 70}


def test_a_deal_handed_over_stands_with_whoever_has_it() -> None:
    assert opened("ann", "owner_out") == {"a": -125}
    assert opened("bob", "owner_in", **WEEK) == {"a": 125}
    assert opened("company", "owner_in") == {}
    assert opened("ann", "end", **WEEK) == {"c": 70}
    assert opened("bob", "end", **WEEK) == {"a": 125} == opened("bob", "end")


def test_a_change_counts_for_those_above_its_owner_on_that_day() -> None:
    assert opened("mia", "increased") == {"a": 20}
    assert opened("max", "increased") == {"a": 5}


def test_the_largest_comes_first_with_its_owner_and_its_last_day() -> None:
    found = deals_behind(ROWS, OWNERS, scope="company", movement="start")
    assert found["opportunity_id"].to_list() == ["a", "b"]
    assert found.select("owner_id", "change_count", "moved_at").rows() == [("ann", None, None), ("bob", None, None)]
    raised = deals_behind(ROWS, OWNERS, scope="company", movement="increased")
    assert raised.select("name", "change_count", "moved_at").rows() == [("A", 2, datetime(2026, 7, 9, 10))]  # noqa: DTZ001


def test_nothing_told_opens_to_nothing() -> None:
    empty = ROWS.clear()
    assert deals_behind(empty, OWNERS.clear(), scope="ann", movement="end", **WEEK).schema == pl.Schema(
        frame_schema(DealsBehind)
    )
