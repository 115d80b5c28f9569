"""A column that a file does not have says nothing: what was known of it stays in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.ingest import ingest_paths
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse.landing import Landing, LandResult
from tests.warehouse_help import accepted, at, no_rejects, prepared

FILES: Iterator[int] = count(1)
WIDE = {
    "opportunity_id": "d1", "owner_id": "ann", "created_on": "2026-01-05", "close_on": "2026-06-30",
    "stage": "Proposal", "amount": 100, "currency": "EUR", "account_id": "acme", "name": "Acme", "next_step": "call",
    "is_deleted": False, "is_closed": False, "is_won": False, "modified_at": "2026-02-01",
}  # fmt: skip
NARROW = {name: WIDE[name] for name in ("opportunity_id", "owner_id", "created_on", "close_on", "stage", "amount")}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def land(workspace: Workspace, rows: Sequence[Mapping[str, Any]], table: str = "opportunities") -> LandResult:
    """One file whose columns are the keys of its rows."""
    number = next(FILES)
    with Landing.open(workspace) as landing:
        return landing.land(
            file_name=f"{number}.csv",
            table=table,
            mapping_name="generic",
            sha256=f"{number:064d}",
            batches=[(accepted(table, rows), no_rejects())],
            stated_columns=list(rows[0]),
        )


def newest(workspace: Workspace, table: str = "opportunities") -> dict[str, Any]:
    with Landing.open(workspace) as landing:
        return landing.rows(table).row(-1, named=True)


def last_version(workspace: Workspace, as_of: str | None = None) -> dict[str, Any]:
    with prepared(workspace, as_of) as built:
        row: dict[str, Any] = built.versions().row(-1, named=True)
    return row


def test_a_narrower_file_changes_only_what_it_states(workspace: Workspace) -> None:
    land(workspace, [WIDE])
    result = land(workspace, [NARROW | {"amount": 250}])
    assert (result.accepted_count, result.unchanged_count) == (1, 0)
    row = newest(workspace)
    assert (row["amount"], row["currency"], row["account_id"], row["next_step"]) == (250, "EUR", "acme", "call")
    assert (row["is_deleted"], row["is_closed"], row["modified_at"]) == (False, False, at("2026-02-01"))
    with Landing.open(workspace) as landing:
        assert landing.loads()["stated_columns"].to_list()[1].split(",") == [*NARROW]


def test_a_narrower_file_that_agrees_is_unchanged(workspace: Workspace) -> None:
    land(workspace, [WIDE])
    assert land(workspace, [NARROW]).unchanged_count == 1
    assert land(workspace, [WIDE]).unchanged_count == 1


def test_a_column_that_a_file_has_can_be_emptied(workspace: Workspace) -> None:
    land(workspace, [WIDE])
    assert land(workspace, [NARROW | {"currency": None}]).accepted_count == 1
    assert newest(workspace)["currency"] is None


def test_a_wider_file_adds_what_was_missing(workspace: Workspace) -> None:
    land(workspace, [NARROW])
    assert land(workspace, [WIDE]).accepted_count == 1
    assert newest(workspace)["account_id"] == "acme"


def test_flags_of_a_stage_do_not_outlive_it(workspace: Workspace) -> None:
    """Kept, they would hold a deal open that the narrower file says is won."""
    land(workspace, [WIDE | {"outcome_reason": "none"}])
    land(workspace, [NARROW | {"stage": "Closed Won"}])
    row = newest(workspace)
    assert [row[name] for name in ("is_closed", "is_won", "outcome_reason", "modified_at")] == [None] * 4
    assert row["is_deleted"] is False
    version = last_version(workspace, "2026-07-01")
    assert (version["is_closed"], version["is_won"], version["currency"]) == (True, True, "EUR")


def test_each_keyed_table_keeps_what_a_file_leaves_unsaid(workspace: Workspace) -> None:
    land(workspace, [{"person_id": "ann", "name": "Ann", "manager_id": "mia", "region": "West"}], "people")
    land(workspace, [{"person_id": "ann", "name": "Ann B.", "region": None}], "people")
    row = newest(workspace, "people")
    assert (row["name"], row["manager_id"], row["region"]) == ("Ann B.", "mia", None)


def test_a_later_extract_without_a_column_leaves_it_as_it_was(workspace: Workspace) -> None:
    """Extracts have keys of their own; what the second leaves unsaid comes from the first, whichever landed first."""
    first, second = WIDE | {"extracted_at": "2026-02-10"}, NARROW | {"amount": 250, "extracted_at": "2026-03-10"}
    land(workspace, [second])
    land(workspace, [first | {"is_deleted": True}])
    version = last_version(workspace)
    assert (version["amount"], version["currency"], version["is_deleted"]) == (250, "EUR", True)
    with prepared(workspace) as built:
        extracts = built.engine.con.sql("select * from opportunity_extracts where is_last").pl().row(0, named=True)
    assert [extracts[name] for name in ("account_id", "name", "next_step")] == ["acme", "Acme", "call"]
    assert [extracts[name] for name in ("is_closed", "is_won")] == [False, False]
    assert last_version(workspace, "2026-03-01")["amount"] == 100


def test_a_later_extract_in_another_stage_has_no_flags_of_the_one_before(workspace: Workspace) -> None:
    land(workspace, [WIDE | {"extracted_at": "2026-02-10"}])
    land(workspace, [NARROW | {"stage": "Closed Won", "close_on": "2026-03-01", "extracted_at": "2026-03-10"}])
    version = last_version(workspace)
    assert (version["is_closed"], version["is_won"]) == (True, True)


def test_a_later_extract_that_states_a_column_empty_empties_it(workspace: Workspace) -> None:
    land(workspace, [WIDE | {"extracted_at": "2026-02-10"}])
    stated_empty = {"currency": None, "next_step": None, "is_deleted": None, "extracted_at": "2026-03-10"}
    land(workspace, [NARROW | stated_empty])
    assert last_version(workspace)["currency"] is None
    with prepared(workspace) as built:
        assert built.engine.con.sql("select next_step from opportunity_extracts where is_last").fetchall() == [(None,)]


def test_a_deletion_in_the_history_stands_when_extracts_do_not_speak_of_it(workspace: Workspace) -> None:
    land(workspace, [NARROW | {"extracted_at": "2026-04-01"}])
    change = {"opportunity_id": "d1", "changed_at": at("2026-03-01"), "field": "is_deleted"}
    land(workspace, [change | {"old_value": "false", "new_value": "true"}], "opportunity_history")
    assert last_version(workspace)["is_deleted"] is True


def test_a_report_after_the_object_export_takes_nothing_away(workspace: Workspace, tmp_path: Path) -> None:
    """The same deals again in a CRM report with fewer columns, through the door a customer's files take."""
    folder = tmp_path / "company"
    simulate(folder, reps=4, quarters=2, seed=3, layout="salesforce", progress=Silent())
    (export,) = folder.glob("Opportunity.csv")
    ingest_paths(workspace, [export], progress=Silent())
    before, status = kept(workspace), content(workspace)
    (report,) = ingest_paths(workspace, [folder / "reports" / "opportunities_report.csv"], progress=Silent())
    assert report.status == "landed"
    after = kept(workspace)
    assert after.height == before.height
    assert before["account_id"].null_count() < before.height
    for name in ("account_id", "is_deleted", "currency", "probability_rate"):
        assert after[name].equals(before[name]), name
    assert content(workspace).equals(status)


def kept(workspace: Workspace) -> pl.DataFrame:
    """The row in force of each opportunity."""
    with Landing.open(workspace) as landing:
        rows = landing.rows("opportunities")
    return rows.sort("load_id").unique("opportunity_id", keep="last", maintain_order=True).sort("opportunity_id")


def content(workspace: Workspace) -> pl.DataFrame:
    columns = ("opportunity_id", "valid_from_at", "amount", "currency", "reporting_amount", "is_won", "is_deleted")
    with prepared(workspace) as built:
        rows: pl.DataFrame = built.versions().select(columns)
    return rows.with_columns(pl.col("valid_from_at").dt.truncate("1m"))  # a report states when to the minute
