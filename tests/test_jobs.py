"""Work started from a page: a process of its own, one at a time, whose outcome is told whatever it is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pipelines import inbox, jobs
from pipelines.errors import WorkspaceError
from pipelines.jobs import Job
from pipelines.settings import Workspace
from pipelines.warehouse import editions

RECORDS = "forecaster_id,period_start_on,forecast_amount,actual_amount\n" + "".join(
    f"{who},{year}-{month:02d}-01,{100 + month},{90 + month}\n"
    for who in ("ann", "bob")
    for year in (2024, 2025)
    for month in (1, 4, 7, 10)
)


def ended(workspace: Workspace, seconds: float = 120) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = jobs.look(workspace)
        if job is not None and job.status != "running":
            return job
        time.sleep(0.05)
    raise TimeoutError("the work did not end")


def test_a_batch_lands_and_is_published_and_one_writer_is_enough(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    bad = RECORDS + "eve,2025-01-01,much,5\n"
    token = inbox.receive(workspace, [("records.csv", bad.encode()), ("note.txt", b"not a table at all")])
    jobs.start(workspace, "bring", token=token)
    with pytest.raises(WorkspaceError, match="being written already"):
        jobs.start(workspace, "publish")
    jobs.forget(workspace)
    assert jobs.look(workspace) is not None, "work that is going on is not forgotten"
    job = ended(workspace)
    assert (job.status, job.problem) == ("done", None)
    assert [(report.file_name, report.status, report.rejected_count) for report in job.reports] == [
        ("note.txt", "failed", 0),
        ("records.csv", "landed", 1),
    ]
    assert all(stage.is_done for stage in job.stages)
    assert job.stages[0].name == "Reading records.csv as forecast_records"
    assert job.stages[0].rows == 17
    current = editions.current(workspace)
    assert current is not None
    assert job.edition_id == current.edition_id
    # What landed is gone; what could not be read waits to be corrected.
    assert [path.name for path in inbox.files(workspace, token)] == ["note.txt"]
    assert workspace.job.stat().st_mode & 0o077 == 0
    jobs.forget(workspace)
    assert jobs.look(workspace) is None


def test_a_problem_a_person_can_fix_is_told_in_two_sentences(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.create()
    assert jobs.main([str(workspace.root), "publish", ""]) == 1
    job = ended(workspace)
    assert job.status == "failed"
    assert job.problem is not None
    assert job.problem.startswith("Nothing has landed")
    assert job.remedy


def test_the_unexpected_is_told_without_its_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.create()

    def fails(*_: object) -> None:
        raise ZeroDivisionError("Ann Lee called $120,000")

    monkeypatch.setattr(jobs, "_work", fails)
    assert jobs.main([str(workspace.root), "publish", ""]) == 1
    job = ended(workspace)
    assert job.status == "failed"
    assert "Ann Lee" not in workspace.job.read_text()


def test_work_that_fell_silent_is_taken_for_dead_and_may_be_started_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.create()
    stated = {"kind": "publish", "status": "running", "began_at": "2026-11-22T10:00:00", "stages": [], "reports": []}
    workspace.job.write_text(json.dumps(stated))
    running = jobs.look(workspace)
    assert running is not None
    assert running.status == "running"
    long_ago = time.time() - jobs.SILENT_SECONDS - 1
    os.utime(workspace.job, (long_ago, long_ago))
    dead = jobs.look(workspace)
    assert dead is not None
    assert dead.status == "failed"
    assert dead.problem == "The work stopped before it was done."


def test_a_damaged_note_is_no_work(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for text in ("", "{", "[]", '{"kind": "bring"}'):
        workspace.job.write_text(text)
        assert jobs.look(workspace) is None
