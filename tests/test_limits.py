"""Out of memory or disk, a publish ends with two sentences; the current edition stays and nothing is left behind."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines import settings as places
from pipelines.errors import WorkspaceError
from pipelines.progress import Silent
from pipelines.runs import publish
from pipelines.settings import Settings, Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.engines import embedded
from pipelines.warehouse.store import connect
from tests.warehouse_help import land, prepared

DEAL = {
    "opportunity_id": "a",
    "owner_id": "ann",
    "created_on": "2026-01-05",
    "close_on": "2026-03-31",
    "stage": "Proposal",
    "amount": "100",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path / "workspace")
    land(found, "opportunities", [DEAL | {"opportunity_id": f"deal {number}"} for number in range(200)])
    return found


def left_behind(workspace: Workspace) -> list[str]:
    return [path.name for path in (*workspace.root.glob(".scratch*"), *workspace.editions.glob(".*"))]


def test_a_memory_limit_that_is_too_small_is_said_and_changes_nothing(workspace: Workspace) -> None:
    ref = publish(workspace, Silent())
    land(workspace, "opportunities", [DEAL | {"opportunity_id": "later"}])
    workspace.settings_file.write_text('memory_limit = "1MB"\n')
    with pytest.raises(WorkspaceError) as caught:
        publish(workspace, Silent())
    assert "memory" in caught.value.problem
    assert "memory_limit" in caught.value.remedy
    assert editions.current_id(workspace) == ref.edition_id
    assert left_behind(workspace) == []


@pytest.mark.parametrize("stated", ["a file", "a file/deeper"])
def test_a_folder_to_spill_to_that_cannot_be_is_named_and_the_landing_is_not_blamed(
    workspace: Workspace, stated: str
) -> None:
    ref = publish(workspace, Silent())
    (workspace.root / "a file").write_text("")
    workspace.settings_file.write_text(f'spill_directory = "{workspace.root / stated}"\n')
    with pytest.raises(WorkspaceError) as caught:
        publish(workspace, Silent())
    assert "spill_directory" in caught.value.problem
    assert "spill_directory" in caught.value.remedy
    assert "landing" not in caught.value.problem
    assert editions.current_id(workspace) == ref.edition_id
    assert left_behind(workspace) == []


def test_a_folder_to_spill_to_that_is_not_there_yet_is_made(workspace: Workspace) -> None:
    folder = workspace.root / "spill" / "deeper"
    connect(workspace.landing, Settings(spill_directory=str(folder))).close()
    assert folder.is_dir()


def test_the_usual_memory_limit_is_a_share_of_what_the_machine_or_its_container_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = tmp_path / "memory.max"
    monkeypatch.setattr(places, "CONTAINER_LIMIT", container)
    container.write_text("2000000000\n")
    assert Settings().memory_limit == "800MB"
    container.write_text("max\n")
    whole = int(Settings().memory_limit.removesuffix("MB"))
    assert 800 < whole <= places.MOST_MEMORY_MB
    container.write_text("9000000000000000000\n")
    assert Settings().memory_limit == f"{whole}MB"


def test_memory_that_runs_out_while_measuring_is_said_too(workspace: Workspace) -> None:
    workspace.settings_file.write_text('memory_limit = "150MB"\n')

    def sort_too_much() -> None:
        with prepared(workspace) as built:
            built.engine.con.execute("set temp_directory = ''")
            built.engine.frame("select i from range(20000000) as numbers(i) order by hash(i)")

    with pytest.raises(WorkspaceError, match="needs more memory than memory_limit allows"):
        sort_too_much()
    with pytest.raises(WorkspaceError, match="too little memory"), prepared(workspace):
        raise MemoryError
    with pytest.raises(ZeroDivisionError), prepared(workspace):
        raise ZeroDivisionError


def test_a_disk_that_takes_no_more_is_said_and_changes_nothing(workspace: Workspace) -> None:
    """The system refuses files beyond a size, as a full disk does."""
    ref = publish(workspace, Silent())
    land(workspace, "opportunities", [DEAL | {"opportunity_id": "later"}])

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "pipelines.cli", "publish", "--workspace", str(workspace.root)]
    told = subprocess.run(command, preexec_fn=small_files, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "The disk of" in told.stderr
    assert "Make room" in told.stderr
    assert "Traceback" not in told.stderr
    assert editions.current_id(workspace) == ref.edition_id
    assert left_behind(workspace) == []
    with duckdb.connect(str(workspace.landing), read_only=True) as con:
        assert con.execute("select count(*) from landed_opportunities").fetchall() == [(201,)]


def test_what_does_not_fit_into_what_measuring_leaves_has_the_whole_limit(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered while measures are made; the statement that needs more is made all the same."""
    monkeypatch.setattr(embedded, "MOST_MEASURING_MB", 20)
    settings = Settings(memory_limit="500MB", threads=1)
    engine = embedded.Embedded.over(workspace.landing, settings, tmp_path)
    many = "select string_agg(cast(n as varchar) || repeat('x', 20), '') as said from range(2000000) as numbers (n)"
    try:
        engine.let_go()
        with pytest.raises(duckdb.OutOfMemoryException):
            engine.con.execute(many).fetchall()
        assert engine.frame(f"select length(said) as size from ({many}) as all_of_it")["size"].item() > 40_000_000
        engine.make("made", f"select length(said) as size from ({many}) as all_of_it")
        engine.add("made", f"select length(said) as size from ({many}) as all_of_it")
        assert engine.frame("select count(*) as n, min(size) as least from made").row(0) == (2, 52_888_890)
        assert engine.frame("select current_setting('memory_limit') as held")["held"].item() == "19.0 MiB"
    finally:
        engine.close()
