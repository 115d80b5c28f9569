"""What changed between two editions: by pencil, and from a company rebuilt at random instants, exact to the cent."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contracts import Deals
from pipelines.engine.edition_change import Since, Told, edition_change, of_company, owner_changes
from pipelines.history_contracts import MovementDeals
from pipelines.settings import Workspace
from pipelines.warehouse.store import frame_schema
from tests.test_movement import changed, deal, land_pencil
from tests.warehouse_help import land_all, prepared

Q3, Q3_END, Q2 = date(2026, 7, 1), date(2026, 9, 30), date(2026, 4, 1)


def told(workspace: Workspace, as_of: str, start: date = Q3) -> Told:
    """What an edition of that day would say of the period, without the cost of publishing it."""
    with prepared(workspace, as_of) as built:
        moves, deals = of_company(built.table("movement_deals")), built.table("deals")
    before = date(start.year - (start.month < 4), (start.month - 4) % 12 + 1, 1)
    of, ahead = (moves.filter(pl.col("period_start_on") == on) for on in (start, before))
    return Told(datetime.fromisoformat(f"{as_of}T00:00:00"), of, ahead, deals)


def sums(found: Since) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for row in found.changes.to_dicts():
        counted[row["movement"]] += int(row["amount"])
    return dict(counted)


def exact(found: Since) -> bool:
    moved = sum(found.changes["amount"].to_list(), Decimal(0))
    return (
        found.start_amount + moved == found.end_amount
        and found.start_count + int(found.changes["deal_count"].sum()) == found.end_count
    )


@pytest.fixture(scope="module")
def pencil(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("pencil") / "workspace")
    land_pencil(workspace)
    return workspace


def test_by_pencil_between_two_days_of_one_period(pencil: Workspace) -> None:
    # On 1 Aug: grown 150, pushed 200, lost 80, gone 40, idle 60 are open, due in Q3; back is closed, early due in Q4.
    # Until 25 Aug: pushed leaves −200, lost is lost −80, gone shrinks by 10 and is deleted −30, back returns with 70.
    found = edition_change(told(pencil, "2026-08-01"), told(pencil, "2026-08-25"), Q3, Q3_END)
    assert (found.start_amount, found.start_count) == (Decimal(530), 5)
    assert sums(found) == {"pushed_out": -200, "lost": -80, "decreased": -10, "deleted": -30, "reopened": 70}
    assert (found.end_amount, found.end_count) == (Decimal(280), 3)
    assert exact(found)


def test_a_deal_pushed_out_and_pulled_in_again_shows_both_ways_of_its_path(pencil: Workspace) -> None:
    found = edition_change(told(pencil, "2026-08-01"), told(pencil, "2026-09-22"), Q3, Q3_END)
    pushed = found.changes.filter(pl.col("opportunity_id") == "pushed")
    assert dict(pushed.select("movement", "amount").iter_rows()) == {"pushed_out": -200, "pulled_in": 200}
    assert exact(found)


def test_a_period_that_began_since_is_led_to_its_start_by_both_ends_of_each_deal(pencil: Workspace) -> None:
    # On 12 Jun there are grown 100, pushed 200, idle 60 and back 70; gone 40 and lost 80 come later.
    found = edition_change(told(pencil, "2026-06-12"), told(pencil, "2026-08-25"), Q3, Q3_END)
    assert exact(found)
    assert found.start_amount == Decimal(430)  # grown 100, pushed 200, idle 60, back 70
    assert sums(found)["created"] == 40 + 80  # gone in June, lost in July


def test_the_same_edition_twice_has_changed_nothing(pencil: Workspace) -> None:
    one = told(pencil, "2026-08-25")
    found = edition_change(one, one, Q3, Q3_END)
    assert found.changes.is_empty()
    assert found.start_amount == found.end_amount


def test_what_was_entered_late_is_restated_and_not_told_as_happened(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    land_all(workspace, {"opportunities": [deal("a", "2026-06-10", "2026-09-15", 150)]})
    older = told(workspace, "2026-08-01")
    late = [changed("a", "2026-07-10", "amount", "150", "90"), changed("a", "2026-08-10", "amount", "90", "150")]
    land_all(workspace, {"opportunity_history": late})
    newer = told(workspace, "2026-08-20")
    found = edition_change(older, newer, Q3, Q3_END)
    # It shrank in July, which the edition of 1 August did not know; what happened since is that it grew again.
    assert sums(found) == {"restated": -60, "increased": 60}
    assert exact(found)
    assert found.start_amount == found.end_amount == Decimal(150)


def test_a_deal_created_on_the_older_editions_own_day_is_new_and_not_restated(tmp_path: Path) -> None:
    """It is dated by its day alone, and known from the day's end: an edition of that morning could not know it."""
    workspace = Workspace(tmp_path / "workspace")
    old = deal("old", "2026-06-01", "2026-09-15", 5)
    land_all(workspace, {"opportunities": [old, deal("new", "2026-08-01", "2026-09-15", 150)]})
    found = edition_change(told(workspace, "2026-08-01"), told(workspace, "2026-08-20"), Q3, Q3_END)
    assert sums(found) == {"created": 150}
    assert exact(found)


def test_deals_without_an_amount_weigh_nothing_and_are_counted() -> None:
    def one(amount: Decimal | None) -> Told:
        row: dict[str, Any] = dict.fromkeys(frame_schema(Deals)) | {
            "opportunity_id": "a", "owner_id": "ann", "created_on": Q2, "close_on": Q3, "amount": amount, "age_days": 1,
            "push_count": 0, "is_past_due": False, "win_status": "ok",
        }  # fmt: skip
        empty = of_company(MovementDeals.create_empty())
        return Told(datetime(2026, 7, 5), empty, empty, pl.DataFrame([row], schema=frame_schema(Deals)))  # noqa: DTZ001

    found = edition_change(one(None), one(Decimal(5)), Q3, Q3_END)
    assert sums(found) == {"increased": 5}
    assert (found.start_amount, found.start_count, found.end_count) == (Decimal(0), 1, 1)


def test_owners_that_changed_stand_beside_the_sum() -> None:
    was = pl.DataFrame({"opportunity_id": ["a", "b", "gone"], "owner_id": ["ann", "bob", "ann"], "amount": [1, 2, 3]})
    now = pl.DataFrame({"opportunity_id": ["a", "b", "new"], "owner_id": ["eve", "bob", "ann"], "amount": [1, 2, 3]})
    assert owner_changes(was, now).rows() == [("a", "ann", "eve")]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.dates(Q2, date(2026, 10, 20)), second=st.dates(Q2, date(2026, 10, 20)))
def test_the_changes_of_all_deals_are_the_change_of_the_total(pencil: Workspace, first: date, second: date) -> None:
    older, newer = sorted((max(first, date(2026, 6, 2)), max(second, date(2026, 6, 2))))
    start, end = (Q3, Q3_END) if newer < date(2026, 10, 1) else (date(2026, 10, 1), date(2026, 12, 31))
    found = edition_change(told(pencil, str(older), start), told(pencil, str(newer), start), start, end)
    assert exact(found)
