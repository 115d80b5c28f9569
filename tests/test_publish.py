"""Publishing from end to end: companies with next to nothing, and the same numbers whatever the order of rows."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import time
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.contracts import PUBLISHED_TABLES
from pipelines.errors import WorkspaceError
from pipelines.policy import DEFAULT_POLICY
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions, history
from pipelines.warehouse.editions import GRAINS
from tests.test_history import small_deal
from tests.warehouse_help import Rows, at, land_all

_DEALS = "opportunity_id,owner_id,created_on,close_on,stage,amount\n"
_CALLS = "forecaster_id,layer,period_start_on,category,submitted_at,amount\n"
_RECORDS = "forecaster_id,period_start_on,forecast_amount,actual_amount\n"

THIN = {
    "one open deal, no closed period": {"opportunities": _DEALS + "o1,a,2026-01-05,2026-05-10,Proposal,100\n"},
    "one deal won in a period that still runs": {
        "opportunities": _DEALS + "o1,a,2026-01-05,2026-02-10,Closed Won,100\n"
    },
    "deals without amounts": {
        "opportunities": "opportunity_id,owner_id,created_on,close_on,stage\n"
        "o1,a,2025-01-05,2025-02-10,Closed Lost\no2,a,2026-01-05,2026-02-10,Closed Won\n"
    },
    "everything lost": {"opportunities": _DEALS + "o1,a,2025-01-05,2025-02-10,Closed Lost,5\n"},
    "wins worth nothing": {
        "opportunities": _DEALS + "o1,a,2025-01-05,2025-02-10,Closed Won,0\no2,b,2025-01-05,2025-08-10,Closed Won,0\n"
    },
    "wins below nothing": {
        "opportunities": _DEALS
        + "o1,a,2025-01-05,2025-02-10,Closed Won,-50\no2,b,2025-01-05,2025-08-10,Closed Won,-9\n"
    },
    "calls alone": {"forecast_submissions": _CALLS + "a,rep,2025-01-01,commit,2025-01-03T10:00:00Z,5\n"},
    "calls of nothing": {
        "forecast_submissions": _CALLS
        + "a,rep,2025-01-01,commit,2025-01-03T10:00:00Z,0\nm,manager,2025-04-01,commit,2025-05-03T10:00:00Z,0\n",
        "opportunities": _DEALS + "o1,a,2025-01-05,2025-02-10,Closed Won,0\n",
    },
    "one record of zeros": {"forecast_records": _RECORDS + "a,2025-01-01,0,0\n"},
    "bookings alone": {"bookings": "booking_id,booked_on,amount\nb1,2025-02-01,5\nb2,2025-02-01,-5\n"},
    "quotas alone": {"quotas": "person_id,period_start_on,amount\na,2025-01-01,5\n"},
}


def _bring(folder: Path, files: dict[str, str]) -> Workspace:
    workspace = Workspace.at(folder / "workspace")
    (folder / "exports").mkdir()
    for table, text in files.items():
        (folder / "exports" / f"{table}.csv").write_text(text)
    reports = runs.ingest(workspace, [folder / "exports"], Silent())
    assert {report.status for report in reports} == {"landed"}
    return workspace


@pytest.mark.parametrize("company", THIN)
def test_next_to_nothing_still_makes_a_sound_edition(company: str, tmp_path: Path) -> None:
    workspace = _bring(tmp_path, THIN[company])
    ref = runs.publish(workspace, Silent())
    assert [finding for finding in editions.verify(ref) if not finding.ok] == []
    assert {table: editions.read(ref, table).width for table in PUBLISHED_TABLES} == {
        table: len(schema.column_names()) for table, schema in PUBLISHED_TABLES.items()
    }


def test_tables_reach_the_engine_in_the_order_of_their_grain(tmp_path: Path) -> None:
    """Sums of floats differ in the last digit with the order of terms, and an edition is equal value for value."""
    chance = random.Random(5)
    deals = [f"o{n},r{n % 7},2025-01-05,2025-{n % 9 + 1:02d}-10,Closed Won,{n}.33\n" for n in range(300)]
    calls = [
        f"r{n},rep,2025-0{month}-01,commit,2025-0{month}-03T10:00:00Z,{n}.07\n" for n in range(7) for month in (1, 4, 7)
    ]
    chance.shuffle(deals)
    chance.shuffle(calls)
    workspace = _bring(
        tmp_path, {"opportunities": _DEALS + "".join(deals), "forecast_submissions": _CALLS + "".join(calls)}
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with history.build(workspace, None, DEFAULT_POLICY, workspace.settings(), scratch) as prepared:
        tables = prepared.tables()
    assert tables["forecast_pairs"].height > 100
    for name, rows in tables.items():
        assert rows.equals(rows.sort(GRAINS[name], nulls_last=True, maintain_order=True)), name


def test_a_file_that_was_refused_changes_no_number(tmp_path: Path) -> None:
    """Draws come from seeds that no file can move: what did not land may be told, and nothing else."""
    chance = random.Random(7)
    deals, changes = [], []
    for number in range(120):
        month, rate = 3 * (number % 4) + 1, chance.choice([0.1, 0.5, 0.9])
        stage = "Closed Won" if chance.random() < rate else "Closed Lost"
        closed_on = f"2025-{month + 1:02d}-20"
        deals.append(f"o{number},r{number % 5},2025-{month:02d}-05,{closed_on},{stage},100,{rate}\n")
        changes.append(f"o{number},{closed_on}T10:00:00Z,stage,Proposal,{stage}\n")
    workspace = _bring(
        tmp_path,
        {
            "opportunities": _DEALS.strip() + ",probability_rate\n" + "".join(deals),
            "opportunity_history": "opportunity_id,changed_at,field,old_value,new_value\n" + "".join(changes),
        },
    )
    before = runs.publish(workspace, Silent())
    (tmp_path / "nothing.csv").write_text("")
    assert [report.status for report in runs.ingest(workspace, [tmp_path / "nothing.csv"], Silent())] == ["failed"]
    after = runs.publish(workspace, Silent())
    assert editions.read(before, "probability_calibration")["band_upper"].drop_nulls().len() > 0
    for name in PUBLISHED_TABLES.keys() - {"edition", "inputs"}:
        assert editions.read(before, name).equals(editions.read(after, name)), name


def test_somebody_called_company_is_the_company_and_is_counted_once(tmp_path: Path) -> None:
    """The name of everybody's last scope, as an owner, a forecaster and a manager."""
    workspace = Workspace(tmp_path)
    people: Rows = [{"person_id": "company", "name": "All of us"}]
    people += [{"person_id": "ann", "name": "Ann", "manager_id": "company"}]
    deals: Rows = [
        small_deal(opportunity_id=name, owner_id=owner, created_on="2026-07-05", close_on="2026-09-15", amount=amount)
        for name, owner, amount in (("a", "ann", 100), ("b", "company", 20))
    ]
    calls: Rows = [
        {"forecaster_id": who, "period_start_on": "2026-04-01", "forecast_amount": 10, "actual_amount": 9}
        for who in ("company", "ann")
    ]
    land_all(workspace, {"people": people, "opportunities": deals, "forecast_records": calls})
    ref = runs.publish(workspace, Silent(), as_of=at("2026-08-20"))
    assert [finding for finding in editions.verify(ref) if not finding.ok] == []
    assert editions.read(ref, "scopes")["scope"].to_list() == ["ann", "company"]
    whole = {"scope": "company"}
    moved = editions.read(ref, "pipeline_movement", where=whole | {"span_kind": "period", "movement": "end"})
    assert moved.sort("span_start_on")["amount"][-1] == 120
    weekly = editions.read(ref, "pipeline_weekly", where=whole).sort("period_start_on", "week_of_period")
    assert (weekly["due_amount"][-1], weekly["due_count"][-1]) == (120, 2)


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    killed, young, living = (tmp_path / f".scratch-{name}" for name in ("killed", "young", "living"))
    for folder in (killed, young, living):
        (folder / "spilled").mkdir(parents=True)
    for folder in (killed, living):
        os.utime(folder, (1, 1))
    held = os.open(living, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with runs._scratch(workspace) as own:
            os.utime(own, (1, 1))
            assert sorted(tmp_path.iterdir()) == sorted([young, living, own])
            with runs._scratch(workspace):
                assert own.exists()
    finally:
        os.close(held)
    assert not own.exists()


def test_where_a_disk_knows_no_locks_a_day_tells_what_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    left, recent = tmp_path / ".scratch-left", tmp_path / ".scratch-recent"
    for folder, age in ((left, 90_000), (recent, 3_600)):
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    with runs._scratch(Workspace(tmp_path)) as own:
        assert sorted(tmp_path.iterdir()) == sorted([recent, own])


def test_what_belongs_to_somebody_else_keeps_nobody_from_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def theirs(*_: object) -> int:
        raise PermissionError(errno.EACCES, "theirs")

    (tmp_path / ".scratch-theirs").mkdir()
    os.utime(tmp_path / ".scratch-theirs", (1, 1))
    monkeypatch.setattr(runs, "_clear_abandoned", theirs)
    with runs._scratch(Workspace(tmp_path)) as own:
        assert own.is_dir()


def test_a_workspace_that_may_not_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = _bring(tmp_path, THIN["one open deal, no closed period"])

    def refuse(*_: object, **__: object) -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    # The user who runs the tests may be root, whom no permission stops.
    monkeypatch.setattr("pipelines.runs.tempfile.mkdtemp", refuse)
    with pytest.raises(WorkspaceError, match="cannot be written: Read-only file system"):
        runs.publish(workspace, Silent())
