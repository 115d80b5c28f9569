"""Whether an edition's files are still landed: found when they are, named when they are not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pipelines import runs
from pipelines.errors import WorkspaceError
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef
from pipelines.warehouse.ledger import verify_inputs

RECORDS = "forecaster_id,period_start_on,forecast_amount,actual_amount\nann,2026-01-01,100,80\nann,2026-04-01,100,90\n"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Workspace, EditionRef]:
    (tmp_path / "records.csv").write_text(RECORDS)
    workspace = Workspace(tmp_path / "workspace")
    runs.ingest(workspace, [tmp_path / "records.csv"], Silent())
    return workspace, runs.publish(workspace, Silent())


def test_files_that_are_still_landed_are_found(published: tuple[Workspace, EditionRef]) -> None:
    findings = verify_inputs(*published)
    assert [finding.ok for finding in findings] == [True, True]
    assert findings[0].detail == "1 file"


@pytest.mark.parametrize(
    ("offence", "place"),
    [("update loads set sha256 = 'another'", 0), ("delete from landed_forecast_records where line = 2", 1)],
)
def test_a_file_that_is_not_is_named(published: tuple[Workspace, EditionRef], offence: str, place: int) -> None:
    workspace, ref = published
    with duckdb.connect(str(workspace.landing)) as con:
        con.execute(offence)
    found = verify_inputs(workspace, ref)[place]
    assert not found.ok
    assert "records.csv" in found.detail


def test_without_a_landing_nothing_is_claimed(published: tuple[Workspace, EditionRef]) -> None:
    workspace, ref = published
    workspace.landing.unlink()
    with pytest.raises(WorkspaceError, match="cannot be looked up"):
        verify_inputs(workspace, ref)
