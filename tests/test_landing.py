"""Landing: whole files or nothing, append-only, repeated rows recognised, nothing lost when killed."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.contracts import INPUT_TABLES, RejectedRows
from pipelines.errors import FileError, WorkspaceError
from pipelines.settings import Workspace
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.store import frame_schema, trouble
from tests.warehouse_help import accepted, land, no_rejects


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def deal(opportunity_id: str, amount: object = "100", **more: object) -> dict[str, object]:
    return {
        "opportunity_id": opportunity_id,
        "owner_id": "ann",
        "created_on": "2026-01-05",
        "close_on": "2026-03-31",
        "stage": "Proposal",
        "amount": amount,
    } | more


def rejected(line: int, amount: str | None = None) -> dict[str, object]:
    return {
        "file_name": "deals.csv",
        "line": line,
        "table_name": "opportunities",
        "rule": "not_a_date",
        "column_name": "close_on",
        "value": "soon",
        "amount": None if amount is None else Decimal(amount),
    }


def landed_amounts(workspace: Workspace) -> list[tuple[str, Decimal]]:
    with Landing.open(workspace) as landing:
        return landing.rows("opportunities").select("opportunity_id", "amount").rows()


def test_rows_rejects_and_ledger_of_a_file_land_together(workspace: Workspace) -> None:
    bad = pl.DataFrame(
        [rejected(4, "50"), rejected(4, "50") | {"rule": "too_early"}], schema=frame_schema(RejectedRows)
    )
    with Landing.open(workspace) as landing:
        batches = [
            (accepted("opportunities", [deal("1")]), no_rejects()),
            (accepted("opportunities", [deal("2", None)], first_line=3), bad),
        ]
        result = landing.land(
            file_name="deals.csv", table="opportunities", mapping_name="generic", sha256="a" * 64, batches=batches
        )
        assert (result.accepted_count, result.rejected_count, result.unchanged_count) == (2, 1, 0)
        assert result.rejected_amount == Decimal("50.00")  # one line, though it broke two rules
        ledger = landing.loads().to_dicts()
        assert [(row["file_name"], row["row_count"], row["status"]) for row in ledger] == [("deals.csv", 3, "landed")]
        assert landing.rejected_rows().height == 2
        counts = {row["table_name"]: row for row in landing.summary().to_dicts()}
        assert counts["opportunities"]["row_count"] == 2
        assert counts["opportunities"]["rejected_count"] == 1
        assert counts["leads"]["row_count"] == 0
    assert stat.S_IMODE(workspace.landing.stat().st_mode) == 0o600


def test_a_file_is_known_again_by_digest_table_and_mapping(workspace: Workspace) -> None:
    with Landing.open(workspace) as landing:
        landing.land(
            file_name="x", table="opportunities", mapping_name="generic", sha256="a", batches=[
                (accepted("opportunities", [deal("1")]), no_rejects())
            ],
        )  # fmt: skip
        assert landing.already_landed("a", "opportunities", "generic")
        assert not landing.already_landed("b", "opportunities", "generic")
        assert not landing.already_landed("a", "leads", "generic")
        assert not landing.already_landed("a", "opportunities", "salesforce")
        landing.record_failed(
            file_name="y", sha256="f", table=None, mapping_name=None, problem="No table.", remedy="Send one."
        )
        assert not landing.already_landed("f", "opportunities", "generic")
        assert landing.loads()["problem"].to_list() == [None, "No table."]


def test_only_changed_rows_land_and_a_value_may_return(workspace: Workspace) -> None:
    assert land(workspace, "opportunities", [deal("1"), deal("2")]).accepted_count == 2
    second = land(workspace, "opportunities", [deal("1"), deal("2", "250")])
    assert (second.accepted_count, second.unchanged_count) == (1, 1)
    assert land(workspace, "opportunities", [deal("2", "100")]).accepted_count == 1
    assert land(workspace, "opportunities", [deal("2", "100")]).unchanged_count == 1
    assert [amount for key, amount in landed_amounts(workspace) if key == "2"] == [
        Decimal("100.00"),
        Decimal("250.00"),
        Decimal("100.00"),
    ]


def test_an_emptied_value_is_a_change_and_an_extract_is_a_key_of_its_own(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("1")])
    assert land(workspace, "opportunities", [deal("1", None)]).accepted_count == 1
    assert land(workspace, "opportunities", [deal("1", None, extracted_at="2026-02-01")]).accepted_count == 1


def test_lines_of_one_file_with_the_same_key(workspace: Workspace) -> None:
    """Identical lines are unchanged; of different ones the latest modified wins, else the last; losers are rejected."""
    result = land(
        workspace,
        "opportunities",
        [
            deal("1", "10", modified_at="2026-02-02"),
            deal("1", "20", modified_at="2026-02-01"),
            deal("2", "30"),
            deal("2", "40"),
            deal("2", "30"),
            deal("3"),
            deal("3"),
        ],
    )
    assert (result.accepted_count, result.rejected_count, result.unchanged_count) == (3, 2, 2)
    assert sorted(landed_amounts(workspace)) == [
        ("1", Decimal("10.00")),
        ("2", Decimal("30.00")),
        ("3", Decimal("100.00")),
    ]
    with Landing.open(workspace) as landing:
        rejects = landing.rejected_rows().select("line", "rule", "column_name", "value", "amount").rows()
    assert rejects == [
        (3, "duplicate_id", "opportunity_id", "1", Decimal("20.00")),
        (5, "duplicate_id", "opportunity_id", "2", Decimal("40.00")),
    ]


def test_a_file_lands_alike_as_the_first_of_its_table_and_among_others(tmp_path: Path) -> None:
    """The first file goes straight into the landing, a later one through a comparison with what is in force."""
    rows = [
        deal("a", "1"),
        deal("b", "2", modified_at="2026-02-02"),
        deal("b", "3", modified_at="2026-02-01"),  # the other line of b was modified later and wins
        deal("c", "4"),
        deal("c", "4"),
        deal("d", "5"),
        deal("d", "6"),
        deal("e", None),
    ]
    first, later = Workspace(tmp_path / "first"), Workspace(tmp_path / "later")
    land(later, "opportunities", [deal("elsewhere")])
    found = []
    for workspace in (first, later):
        result = land(workspace, "opportunities", rows)
        with Landing.open(workspace) as landing:
            landed = landing.rows("opportunities").filter(pl.col("opportunity_id") != "elsewhere").drop("load_id")
            hashes = landing._con.execute(
                "select key_hash, row_hash from landed_opportunities where opportunity_id <> 'elsewhere' order by all"
            ).fetchall()
            found.append((result, landed.rows(), landing.rejected_rows().drop("load_id", "file_name").rows(), hashes))
    assert found[0] == found[1]
    assert found[0][0].accepted_count == 5
    assert (found[0][0].rejected_count, found[0][0].unchanged_count) == (2, 1)


def test_a_file_that_fails_half_way_lands_nothing(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("1")])

    def breaks() -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        yield accepted("opportunities", [deal("2")]), pl.DataFrame([rejected(9)], schema=frame_schema(RejectedRows))
        raise FileError("It ends in the middle of a row.", "Export it again.")

    with Landing.open(workspace) as landing:
        with pytest.raises(FileError):
            landing.land(file_name="f", table="opportunities", mapping_name="g", sha256="z", batches=breaks())
        assert landing.rows("opportunities").height == 1
        assert landing.rejected_rows().is_empty()
        assert not landing.already_landed("z", "opportunities", "g")
        again = [(accepted("opportunities", [deal("2")]), no_rejects())]
        assert (
            landing.land(
                file_name="f", table="opportunities", mapping_name="g", sha256="z", batches=again
            ).accepted_count
            == 1
        )


@pytest.mark.parametrize("moment", ["in the middle", "just after"])
def test_a_killed_process_leaves_nothing_half_landed(workspace: Workspace, moment: str) -> None:
    land(workspace, "opportunities", [deal("1")])
    script = f"""
        import os, signal, sys
        from pathlib import Path
        from pipelines.settings import Workspace
        from pipelines.warehouse.landing import Landing
        from tests.warehouse_help import accepted, no_rejects

        def deal(number):
            return dict(opportunity_id=f"n{{number}}", owner_id="ann", created_on="2026-01-05", close_on="2026-03-31",
                        stage="Proposal", amount="5")

        def batches():
            for start in range(0, 20_000, 10_000):
                rows = [deal(number) for number in range(start, start + 10_000)]
                yield accepted("opportunities", rows, start + 2), no_rejects()
            if {moment == "in the middle"}:
                os.kill(os.getpid(), signal.SIGKILL)

        landing = Landing.open(Workspace(Path(sys.argv[1])))
        landing.land(file_name="big.csv", table="opportunities", mapping_name="g", sha256="k", batches=batches())
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).resolve().parents[1]
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(workspace.root)], cwd=root, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    whole = moment == "just after"
    with Landing.open(workspace) as landing:
        assert landing.rows("opportunities").height == 1 + (20_000 if whole else 0)
        assert landing.already_landed("k", "opportunities", "g") is whole
        assert landing.loads().height == 1 + whole


def test_a_second_writer_is_told_to_wait(workspace: Workspace) -> None:
    script = """
        import sys
        from pathlib import Path
        from pipelines.errors import WorkspaceError
        from pipelines.settings import Workspace
        from pipelines.warehouse.landing import Landing
        try:
            Landing.open(Workspace(Path(sys.argv[1])))
        except WorkspaceError as error:
            print(error.problem, "|", error.remedy)
    """
    root = Path(__file__).resolve().parents[1]
    with Landing.open(workspace):
        other = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(workspace.root)],
            cwd=root, check=True, capture_output=True, text=True,
        )  # fmt: skip
    problem, remedy = other.stdout.strip().split(" | ")
    assert problem == "landing.duckdb is in use by another process."
    assert remedy.startswith("Wait until")


def test_a_damaged_landing_is_said_in_two_sentences(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("1")])
    workspace.landing.write_bytes(b"\x89PNG" * 5000)
    with pytest.raises(WorkspaceError) as caught:
        Landing.open(workspace)
    assert "landing.duckdb cannot be read" in caught.value.problem
    assert "backup" in caught.value.remedy


def test_a_landing_that_was_only_begun_is_begun_again(workspace: Workspace) -> None:
    workspace.create()
    workspace.landing.touch()
    assert land(workspace, "opportunities", [deal("1")]).accepted_count == 1


def test_a_landing_of_an_older_contract_gets_the_new_columns_and_knows_its_rows(workspace: Workspace) -> None:
    land(workspace, "leads", [{"lead_id": "l1", "created_on": "2026-01-01"}])
    with Landing.open(workspace) as landing:
        landing._con.execute("alter table landed_leads drop column converted_on")
    assert land(workspace, "leads", [{"lead_id": "l1", "created_on": "2026-01-01"}]).unchanged_count == 1
    changed = land(workspace, "leads", [{"lead_id": "l1", "created_on": "2026-01-01", "converted_on": "2026-02-01"}])
    assert changed.accepted_count == 1


def test_every_input_table_lands_in_its_contracts_types(workspace: Workspace) -> None:
    with Landing.open(workspace) as landing:
        for name, table in INPUT_TABLES.items():
            rows = landing.rows(name)
            assert rows.drop("load_id", "line").schema == pl.Schema(frame_schema(table.schema)), name


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block of size 256.0 KiB"), "more memory"),
        (duckdb.IOException('IO Error: Could not set lock on file "landing.duckdb"'), "in use by another process"),
        (duckdb.IOException("IO Error: No space left on device"), "is full"),
        (duckdb.IOException('Cannot open file "landing.duckdb": Read-only file system'), "may not be written"),
    ],
)
def test_what_the_database_complains_of_is_said_as_what_it_is(error: duckdb.Error, said: str) -> None:
    assert said in trouble(Path("landing.duckdb"), error).problem
