"""As reported, as corrected: what is entered after a period was frozen changes no actual, and is told to the cent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dashboard import wording_record
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.warehouse_help import at, land_all

WON, LOST = "Closed Won", "Closed Lost"
WON_IN_TIME = ("kept", "in_grace", "shrunk", "moved", "undone", "again", "gone")


def deal(key: str, amount: object = 100, close_on: str = "2026-09-10", stage: str = WON, **more: Any) -> dict[str, Any]:
    return {
        "opportunity_id": key, "owner_id": "ann", "created_on": "2026-06-10", "close_on": close_on, "stage": stage,
        "amount": amount, "modified_at": "2026-11-01 10:00", "is_deleted": False,
    } | more  # fmt: skip


def change(key: str, moment: str, field: str, old: object, new: object) -> dict[str, Any]:
    return {"opportunity_id": key, "changed_at": moment, "field": field, "old_value": str(old), "new_value": str(new)}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> EditionRef:
    """Q3 2026 is frozen on 8 October; everything but ``kept`` and ``in_grace`` is changed after it."""
    workspace = Workspace(tmp_path_factory.mktemp("restated") / "workspace")
    deals = [
        deal("kept"),
        deal("in_grace", 120),
        deal("shrunk", 60),
        deal("late", 70),
        deal("moved", 80, "2026-10-12"),
        deal("undone", 90, stage=LOST),
        deal("again", 30, stage="Proposal"),
        deal("gone", 40, is_deleted=True),
    ]
    changes = [
        *(change(key, "2026-09-10 12:00", "stage", "Proposal", WON) for key in WON_IN_TIME),
        change("in_grace", "2026-10-05 10:00", "amount", 100, 120),
        change("shrunk", "2026-10-20 10:00", "amount", 100, 60),
        change("late", "2026-10-20 10:00", "stage", "Proposal", WON),
        change("moved", "2026-10-20 10:00", "close_on", "2026-09-10", "2026-10-12"),
        change("undone", "2026-10-20 10:00", "stage", WON, LOST),
        change("again", "2026-10-20 10:00", "stage", WON, "Proposal"),
        change("gone", "2026-10-20 10:00", "is_deleted", "false", "true"),
    ]  # fmt: skip
    land_all(
        workspace,
        {"opportunities": deals, "opportunity_history": changes, "people": [{"person_id": "ann", "name": "Ann"}]},
    )
    return runs.publish(workspace, Silent(), as_of=at("2026-11-01 12:00"))


def test_by_pencil(published: EditionRef) -> None:
    rows = editions.read(published, "restated_deals").to_dicts()
    assert {row["opportunity_id"]: (row["reason"], int(row["difference_amount"])) for row in rows} == {
        "shrunk": ("amount", -40),
        "late": ("late", 70),
        "moved": ("moved", -80),
        "undone": ("lost", -90),
        "again": ("reopened", -30),
        "gone": ("deleted", -40),
    }
    (period,) = editions.read(published, "restatements").to_dicts()
    # Reported: kept 100, in grace 120, shrunk 100, moved 80, undone 90, again 30, gone 40.
    assert (period["reported_amount"], period["corrected_amount"]) == (Decimal(560), Decimal(350))
    assert (period["difference_amount"], period["deal_count"]) == (Decimal(-210), 6)


def test_what_was_reported_is_what_calls_are_judged_against(published: EditionRef, tmp_path: Path) -> None:
    """The same company published when the quarter was frozen: nothing restated, and the same actual."""
    del tmp_path
    workspace = Workspace(published.path.parent.parent)
    then = runs.publish(workspace, Silent(), as_of=at("2026-10-08 00:00"))
    (period,) = editions.read(then, "restatements").to_dicts()
    assert (period["reported_amount"], period["difference_amount"]) == (Decimal(560), Decimal(0))
    assert editions.read(then, "restated_deals").is_empty()


def test_a_planted_cent_is_found(published: EditionRef) -> None:
    kept = published.path.read_bytes()
    try:
        with duckdb.connect(str(published.path)) as con:
            con.execute("update restatements set difference_amount = difference_amount + 0.01")
        failed = [finding.name for finding in editions.verify(published) if not finding.ok]
    finally:
        published.path.write_bytes(kept)
    assert "restated deals are what a period is restated by" in failed


def test_sheets_without_deals_restate_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    record = {"forecaster_id": "ann", "period_start_on": "2026-07-01", "forecast_amount": 9, "actual_amount": 8}
    land_all(workspace, {"forecast_records": [record]})
    ref = runs.publish(workspace, Silent())
    assert editions.read(ref, "restatements").is_empty()


def test_the_finding_says_how_many_and_by_how_much() -> None:
    title = wording_record.restated_title
    assert title(0, 12, Decimal(0), "quarter", "USD") == "No closed quarter has been restated"
    assert title(2, 12, Decimal(-5), "quarter", "USD") == "2 of 12 closed quarters restated, −$5 in all"
    assert title(0, 0, Decimal(0), "month", "USD") == "No month has closed yet, so none can be restated"


def test_every_reason_has_words(published: EditionRef) -> None:
    rows = editions.read(published, "restated_deals").with_columns(label=pl.lit("Q3"), owner=pl.lit(None, pl.String))
    told = wording_record.restated_deal_rows(rows.to_dicts(), "USD")
    assert {row[4] for row in told} == set(wording_record.RESTATED.values())
