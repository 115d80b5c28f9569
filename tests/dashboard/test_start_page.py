"""Bringing files on a page: looked over, corrected, landed in a process of their own, every outcome told."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import wording_start
from pipelines import inbox, jobs
from pipelines.contracts import RejectedRows
from pipelines.ingest.mapping import PRESETS, preset
from pipelines.ingest.preview import TableView, preview
from pipelines.jobs import Job, Report, Stage
from pipelines.settings import Workspace
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words
from tests.test_jobs import RECORDS, ended
from tests.test_kept_mappings import MESSY, SOURCES


def press(at: AppTest, label: str) -> None:
    next(button for button in at.button if button.label == label).click().run()


def test_a_messy_file_is_corrected_landed_and_published(open_app: Open, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    many = "".join(
        f"{who};01.{m:02d}.{y};9,5;8,5;\n" for who in ("ann", "bob") for y in (2024, 2025) for m in (1, 4, 7)
    )
    token = inbox.receive(workspace, [("messy.csv", (MESSY + many).encode())])
    at = open_app(workspace.root, batch=token)
    assert at.title[0].value == "This is how your files were understood"
    assert ": not recognised" in words(at)
    (land,) = [button for button in at.button if button.label == "Land and publish"]
    assert land.disabled
    at.selectbox("table-0").set_value("forecast_records").run()
    for column, header in SOURCES:
        at.selectbox(f"source-0-forecast_records-{column}").set_value(header)
    at.selectbox("dates-0").set_value("d/m/y")
    at.selectbox("decimal-0").set_value(",")
    press(at, "Read it this way")
    assert not at.exception
    assert not at.error
    assert ": Forecast records" in words(at)
    assert "2 would be set aside" in words(at)
    table = next(block.proto.body for block in at.get("html") if "would be set aside" in block.proto.body)
    assert "not an amount of money" in table
    assert "n/a money" in table
    press(at, "Land and publish")
    assert at.title[0].value == "Bringing your files in …"
    job = ended(workspace)
    assert job.status == "done", job.problem
    at.run()
    assert at.title[0].value == "Landed and published; 2 rows set aside"
    assert len(list(workspace.mappings.glob("*.toml"))) == 1
    assert not (workspace.inbox / token).exists()
    press(at, "See the verdict")
    assert jobs.look(workspace) is None
    assert not at.exception


def test_files_can_be_taken_back(open_app: Open, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    token = inbox.receive(workspace, [("records.csv", RECORDS.encode())])
    at = open_app(workspace.root, batch=token)
    assert "16 rows read by the mapping" in words(at)
    press(at, "Take them back")
    assert inbox.files(workspace, token) == []
    assert at.title[0].value == "No forecast to judge yet"


@pytest.mark.parametrize("token", ["../..", "0" * 24, "x"])
def test_an_unknown_batch_is_the_place_to_bring_one(open_app: Open, tmp_path: Path, token: str) -> None:
    at = open_app(tmp_path / "ws", batch=token)
    assert not at.exception
    assert at.title[0].value == "No forecast to judge yet"


def test_a_failed_job_is_two_sentences_and_a_way_back(open_app: Open, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.create()
    jobs.main([str(workspace.root), "publish", ""])
    at = open_app(workspace.root)
    assert at.title[0].value == "That did not work"
    assert "Nothing has landed" in at.error[0].value
    at.button[0].click().run()
    assert at.title[0].value == "No forecast to judge yet"


def test_work_that_goes_on_is_shown_with_its_stages(open_app: Open, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.create()
    stages = [
        {"name": "Reading a_b.csv as quotas", "rows": 12000, "seconds": 3.2, "is_done": True},
        {"name": "Rebuilding history", "rows": 0, "seconds": 1.0, "is_done": False},
    ]
    stated = {"kind": "bring", "status": "running", "began_at": "2026-11-22T10:00:00", "stages": stages, "reports": []}
    workspace.job.write_text(json.dumps(stated))
    at = open_app(workspace.root)
    assert at.title[0].value == "Bringing your files in …"
    assert r"Reading a\_b.csv as quotas · 12,000 rows · 3 s" in words(at)
    assert "Rebuilding history · 1 s" in words(at)
    assert not at.button


# Words


def view(tmp_path: Path, text: str, name: str = "records.csv") -> TableView:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return preview([path], [preset(known) for known in PRESETS])[0]


def test_what_can_land_is_counted(tmp_path: Path) -> None:
    good, bad = view(tmp_path, RECORDS), view(tmp_path, "a,b\n1,2\n", "other.csv")
    assert wording_start.land_sentence([good]) == "1 table with 16 rows can land."
    assert wording_start.land_sentence([bad]) == "None of this can land as it stands."
    assert wording_start.land_sentence([good, good, bad]) == (
        "2 tables with 32 rows can land. 1 table cannot be read yet and would be left aside."
    )
    assert wording_start.view_sentence(good) == "16 rows read by the mapping “generic”: none would be set aside."
    assert wording_start.still_needed(good) == ""
    assert wording_start.unused(good) == ""


def test_one_and_many_are_said_right(tmp_path: Path) -> None:
    header, first, *_ = RECORDS.splitlines()
    one = view(tmp_path, f"{header},x,y\n{first},1,2\n")
    assert wording_start.view_sentence(one).startswith("1 row read")
    assert wording_start.unused(one) == "2 columns are kept and not used."
    assert wording_start.rejects_label(one) == "What would be set aside: no faults in no rows"
    row = dict.fromkeys(RejectedRows.columns()) | {"line": 7, "rule": "missing", "column_name": "amount"}
    assert wording_start.reject_row(row) == ("7", "amount", "a required value is empty", "(empty)", "")


def job(**parts: object) -> Job:
    stated = {
        "kind": "bring",
        "status": "done",
        "began_at": datetime(2026, 11, 22, tzinfo=UTC),
        "edition_id": "e",
    } | parts
    return Job(**stated)  # type: ignore[arg-type]


def report(status: str, rejected: int) -> Report:
    return Report("a.csv", "quotas", status, 5, rejected, 1, "12.50" if rejected else None, None, None, ())


def test_an_outcome_is_clean_only_if_there_is_nothing_to_tell() -> None:
    assert wording_start.is_clean(job(reports=(report("landed", 0), report("unchanged", 0))))
    assert not wording_start.is_clean(job(reports=(report("landed", 1),)))
    assert not wording_start.is_clean(job(reports=(report("landed", 0), report("failed", 0))))
    assert not wording_start.is_clean(job(edition_id=None))
    assert not wording_start.is_clean(job(status="failed"))
    assert wording_start.is_clean(job(kind="demo", reports=(report("landed", 6),)))
    assert wording_start.job_title(job(reports=(report("landed", 1),))) == "Landed and published; 1 row set aside"
    assert wording_start.job_title(job(edition_id=None)) == "Nothing has landed"
    assert wording_start.report_row(report("landed", 2)) == ("a.csv", "Quotas", "5", "2, 12.50", "1")
    assert wording_start.report_row(report("unchanged", 0))[2] == "as before"
    assert wording_start.report_row(report("failed", 0))[1:] == ("left aside", "", "", "")
    assert wording_start.stage_line(Stage("Publishing", 0, 2.4, False)) == "Publishing · 2 s"


def test_a_page_run_does_not_wait_for_the_work(open_app: Open, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    token = inbox.receive(workspace, [("records.csv", RECORDS.encode())])
    at = open_app(workspace.root, batch=token)
    began = time.monotonic()
    at.button[0].click().run()
    waited = time.monotonic() - began
    assert at.title[0].value == "Bringing your files in …"
    found = jobs.look(workspace)
    assert found is not None
    assert found.status == "running", f"the page was drawn after {waited:.1f} s, when the work was over already"
    assert ended(workspace).status == "done"
    at.run()
    assert "newest recorded fact" in at.title[0].value, "with nothing to tell, the verdict is next"
