"""A full extract closes what it lacks as deleted, and erases nothing; one that looks cut off is not believed."""

from __future__ import annotations

import csv
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse.landing import Landing
from tests.warehouse_help import at, prepared

HEADER = ("opportunity_id", "owner_id", "created_on", "close_on", "stage", "amount")
JULY, AUGUST, SEPTEMBER = "2026-07-31T18:00:00", "2026-08-31T18:00:00", "2026-09-29T18:00:00"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def export(folder: Path, name: str, keys: str, *, amount: str = "100") -> Path:
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        rows = ([key, "ann", "2026-06-10", "2026-09-30", "Proposal", amount] for key in keys)
        csv.writer(file).writerows([HEADER, *rows])
    return path


def bring(workspace: Workspace, path: Path, moment: str | None, *options: str) -> Result:
    taken = [] if moment is None else ["--extracted-at", moment]
    return CliRunner().invoke(main, ["ingest", str(path), "--workspace", str(workspace.root), *taken, *options])


def deleted_spans(workspace: Workspace) -> dict[str, list[tuple[datetime, datetime]]]:
    with prepared(workspace) as built:
        gone = built.versions().filter("is_deleted").select("opportunity_id", "valid_from_at", "valid_to_at").rows()
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for key, since, until in gone:
        spans.setdefault(key, []).append((since, until))
    return spans


def test_what_a_full_extract_lacks_is_deleted_from_its_instant_until_it_is_back(
    workspace: Workspace, tmp_path: Path
) -> None:
    assert bring(workspace, export(tmp_path, "july", "abcdef"), JULY).exit_code == 0
    said = bring(workspace, export(tmp_path, "august", "abc", amount="200"), AUGUST, "--full-extract")
    assert said.exit_code == 0
    assert "3 of the 6 opportunities that stood before are not in it" in said.stdout
    for_good = at("9999-12-31")
    assert deleted_spans(workspace) == {key: [(at(AUGUST), for_good)] for key in "def"}
    assert bring(workspace, export(tmp_path, "september", "ad"), SEPTEMBER).exit_code == 0
    expected = {key: [(at(AUGUST), for_good)] for key in "ef"} | {"d": [(at(AUGUST), at(SEPTEMBER))]}
    assert deleted_spans(workspace) == expected
    with prepared(workspace) as built:
        moved = built.table("pipeline_movement").filter(scope=COMPANY_SCOPE, movement="deleted")
        assert built.versions().filter(opportunity_id="e")["amount"].to_list() == [Decimal(100), Decimal(100)]
        assert built.versions(at("2026-08-30")).filter("is_deleted").is_empty()
    assert set(moved["amount"]) == {Decimal(-300)}, "three went; one of them came back, which is another movement"


def test_an_extract_without_the_claim_deletes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, export(tmp_path, "july", "abc"), JULY)
    bring(workspace, export(tmp_path, "august", "a"), AUGUST)
    assert deleted_spans(workspace) == {}


def test_in_whatever_order_the_files_come(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, export(tmp_path, "september", "ad"), SEPTEMBER)
    bring(workspace, export(tmp_path, "august", "abc"), AUGUST, "--full-extract")
    bring(workspace, export(tmp_path, "july", "abcdef"), JULY)
    bring(workspace, export(tmp_path, "july", "abcdef"), JULY)
    for_good = at("9999-12-31")
    expected = {key: [(at(AUGUST), for_good)] for key in "ef"} | {"d": [(at(AUGUST), at(SEPTEMBER))]}
    assert deleted_spans(workspace) == expected


def test_a_file_that_was_cut_off_is_not_believed_until_insisted_on(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, export(tmp_path, "july", "abcdefghijkl"), JULY)
    cut = export(tmp_path, "august", "abcd")
    said = bring(workspace, cut, AUGUST, "--full-extract")
    assert said.exit_code == 1
    assert "8 of the 12 opportunities that stood before are not in it" in said.stderr
    assert "--insist" in said.stderr
    with Landing.open(workspace) as landing:
        assert landing.rows("opportunities").height == 16
    assert deleted_spans(workspace) == {}
    again = bring(workspace, cut, AUGUST, "--full-extract", "--insist")
    assert again.exit_code == 0, again.stderr
    assert set(deleted_spans(workspace)) == set("efghijkl")
    # A month later the same four are all there are: the eight are gone already.
    assert bring(workspace, export(tmp_path, "september", "abc"), SEPTEMBER, "--full-extract").exit_code == 0


def test_several_files_of_one_instant_are_one_extract(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, export(tmp_path, "july", "abcdefghijkl"), JULY)
    folder = tmp_path / "parts"
    folder.mkdir()
    export(folder, "opportunities-1", "abcdef")
    export(folder, "opportunities-2", "ghijk")
    assert bring(workspace, folder, AUGUST, "--full-extract").exit_code == 0
    assert set(deleted_spans(workspace)) == {"l"}


@pytest.mark.parametrize(
    ("moment", "harm", "words"),
    [
        (None, "", "A full extract is taken at one instant"),
        (AUGUST, "x,ann,not a day,2026-12-10,Proposal,5\n", "1 row was set aside"),
    ],
)
def test_what_cannot_prove_absence_is_said_and_counts_as_a_part(
    workspace: Workspace, tmp_path: Path, moment: str | None, harm: str, words: str
) -> None:
    bring(workspace, export(tmp_path, "july", "abc"), JULY)
    path = export(tmp_path, "august", "ab")
    path.write_text(path.read_text() + harm)
    said = bring(workspace, path, moment, "--full-extract")
    assert said.exit_code == 1
    assert words in said.stderr
    assert deleted_spans(workspace) == {}


def test_a_file_without_opportunities_is_no_extract(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "stages.csv"
    path.write_text("stage,stage_order,is_closed,is_won\nProposal,1,false,false\n")
    said = bring(workspace, path, None, "--full-extract")
    assert said.exit_code == 1
    assert "None of these files holds opportunities." in said.stderr
