"""Editions: immutable, checked, pointed at atomically, and found altered when they have been."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.errors import EditionError
from pipelines.policy import METHOD_VERSION
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.store import content_digest, frame_schema

START, END = date(2026, 7, 1), date(2026, 9, 30)


def edition_row(**changes: object) -> dict[str, object]:
    return {
        "as_of_at": datetime.fromisoformat("2026-10-09T18:00:00"),
        "published_at": datetime.fromisoformat("2026-11-22T06:00:00"),
        "method_version": METHOD_VERSION,
        "reporting_currency": "USD",
        "input_digest": "d" * 64,
        "company_name": None,
        "period_kind": "quarter",
        "fiscal_year_start_month": 1,
        "lock_week": 3,
        "open_period_start_on": None,
        "open_period_week": None,
        "actual_source": "closed_won",
        "is_simulated": True,
    } | changes


def edition_tables() -> dict[str, pl.DataFrame]:
    """Every published table, most of them empty; one period, one rep, one pair."""
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in PUBLISHED_TABLES if name != "edition"}
    rows["policy"] = [{"name": "lock_week", "value": "3"}]
    rows["periods"] = [{"period_start_on": START, "period_end_on": END, "label": "Q3 2026", "status": "closed"}]
    rows["scopes"] = [
        {"scope": "company", "scope_kind": "company", "scope_name": "Company", "parent_scope": None, "depth": 0},
        {"scope": "ann", "scope_kind": "rep", "scope_name": "Ann", "parent_scope": "company", "depth": 1},
    ]
    rows["scope_members"] = [
        {"period_start_on": START, "person_id": "ann", "scope": scope} for scope in ("company", "ann")
    ]
    pair = {
        "layer": "rep",
        "forecaster_id": "ann",
        "period_start_on": START,
        "category": "commit",
        "week_of_period": 3,
        "period_end_on": END,
        "horizon_days": 70,
        "forecast_amount": Decimal("100.00"),
        "actual_amount": Decimal("80.00"),
        "error_amount": Decimal("20.00"),
        "won_count": 2,
        "status": "closed",
        "source": "submissions",
    }
    rows["forecast_pairs"] = [pair, pair | {"week_of_period": 0, "forecast_amount": None, "error_amount": None}]
    rows["forecast_pairs"][1]["status"] = "no_call"
    return {name: pl.DataFrame(some, schema=frame_schema(PUBLISHED_TABLES[name])) for name, some in rows.items()}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_a_published_edition_is_current_read_back_and_sound(workspace: Workspace) -> None:
    assert editions.current(workspace) is None
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    assert ref.edition_id.startswith("20261009T180000Z-")
    assert editions.current(workspace) == ref == editions.find(workspace, ref.edition_id)
    assert editions.list_editions(workspace) == [ref]
    for name, rows in edition_tables().items():
        assert editions.read(ref, name).sort(editions.GRAINS[name]).equals(rows.sort(editions.GRAINS[name]))
        assert editions.read(ref, name).schema == rows.schema
    assert [finding for finding in editions.verify(ref) if not finding.ok] == []
    assert stat.S_IMODE(ref.path.stat().st_mode) == 0o600
    assert [path.name for path in workspace.editions.iterdir()] == [ref.path.name]


def test_rows_are_stored_in_the_order_of_their_grain(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    assert editions.read(ref, "forecast_pairs")["week_of_period"].to_list() == [0, 3]


def test_reading_selects_columns_and_rows(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    one = editions.read(ref, "forecast_pairs", where={"week_of_period": 3, "status": ["closed", "open"]})
    assert one["error_amount"].to_list() == [Decimal("20.00")]
    assert editions.read(ref, "forecast_pairs", where={"forecast_amount": None}, columns=["week_of_period"]).rows() == [
        (0,)
    ]
    assert editions.read(ref, "forecast_pairs", where={"status": []}).is_empty()
    assert editions.read(ref, "scopes", where={"scope": "x' or 1=1 --"}).is_empty()
    with pytest.raises(EditionError, match="no column nonsense"):
        editions.read(ref, "forecast_pairs", where={"nonsense": 1})
    with pytest.raises(EditionError, match="no published table"):
        editions.read(ref, "nonsense")


@pytest.fixture
def held() -> Iterator[None]:
    editions.hold_open(1)
    yield
    editions.hold_open(0)


@pytest.mark.usefixtures("held")
def test_editions_left_open_say_what_stands_in_their_place_now(workspace: Workspace) -> None:
    """The server leaves editions open: many readers, one moved aside and another in its place, and one too many."""
    first = editions.publish_edition(workspace, edition_row(), edition_tables())
    assert editions.read(first, "periods").height == 1
    with ThreadPoolExecutor(max_workers=8) as readers:
        found = list(readers.map(lambda _: editions.read(first, "forecast_pairs").height, range(200)))
    assert found == [2] * 200
    second = editions.publish_edition(workspace, edition_row(company_name="Acme"), edition_tables())
    assert editions.read(second, "edition")["company_name"].to_list() == ["Acme"]
    first.path.unlink()
    with pytest.raises(EditionError, match="cannot be read"):
        editions.read(first, "periods")
    with pytest.raises(EditionError, match="cannot be read"):  # nothing is held of what is gone
        editions.read(first, "periods")
    first.path.write_bytes(b"no database")
    with pytest.raises(EditionError, match="cannot be read"):
        editions.read(first, "periods")
    first.path.write_bytes(second.path.read_bytes())
    assert editions.read(first, "edition")["company_name"].to_list() == ["Acme"]
    assert editions.read(second, "periods").height == 1


def test_the_same_again_is_the_same_file_untouched(workspace: Workspace) -> None:
    first = editions.publish_edition(workspace, edition_row(), edition_tables())
    before = first.path.read_bytes(), first.path.stat().st_mtime_ns
    again = editions.publish_edition(
        workspace, edition_row(published_at=datetime.fromisoformat("2027-01-01T00:00:00")), edition_tables()
    )
    assert again == first
    assert (again.path.read_bytes(), again.path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("change", [{"input_digest": "e" * 64}, {"reporting_currency": "EUR"}, {"lock_week": 4}])
def test_whatever_the_numbers_depend_on_makes_another_edition(workspace: Workspace, change: dict[str, object]) -> None:
    first = editions.publish_edition(workspace, edition_row(), edition_tables())
    second = editions.publish_edition(workspace, edition_row(**change), edition_tables())
    assert second.edition_id != first.edition_id
    assert editions.current(workspace) == second
    assert editions.read(first, "forecast_pairs").height == 2
    assert len(editions.list_editions(workspace)) == 2


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("forecast_pairs", lambda rows: rows.drop("status")),
        ("forecast_pairs", lambda rows: rows.cast({"error_amount": pl.Float64})),
        ("forecast_pairs", lambda rows: pl.concat([rows, rows])),
        ("periods", lambda rows: rows.with_columns(pl.lit(None, pl.Date).alias("period_end_on"))),
    ],
)
def test_a_table_that_breaks_its_contract_publishes_nothing(workspace: Workspace, table: str, damage: object) -> None:
    good = editions.publish_edition(workspace, edition_row(), edition_tables())
    tables = edition_tables()
    tables[table] = damage(tables[table])  # type: ignore[operator]
    with pytest.raises(EditionError, match=table):
        editions.publish_edition(workspace, edition_row(lock_week=5), tables)
    assert editions.current(workspace) == good
    assert len(list(workspace.editions.iterdir())) == 1


def test_an_altered_row_is_found(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    with duckdb.connect(str(ref.path)) as con:
        con.execute("update scopes set scope_name = 'Anna' where scope = 'ann'")
    broken = [finding for finding in editions.verify(ref) if not finding.ok]
    assert [finding.name for finding in broken] == ["content is as published"]
    assert "scopes" in broken[0].detail
    with pytest.raises(EditionError, match="not as it was published"):
        editions.publish_edition(workspace, edition_row(), edition_tables())


@pytest.mark.parametrize(
    ("offence", "invariant"),
    [
        ("update forecast_pairs set error_amount = 19 where week_of_period = 3", "error is forecast minus actual"),
        ("update forecast_pairs set status = 'open'", "a pair's status says what is missing"),
        ("insert into periods values ('2026-09-01', '2026-11-30', 'Q', 'open')", "periods follow one another"),
        ("delete from periods", "pairs stand in published periods"),
        ("update scope_members set scope = 'bob' where scope = 'ann'", "every scope of a member is published"),
        ("update scopes set parent_scope = 'x' where scope = 'ann'", "every scope but the company has a parent"),
        ("delete from scope_members where scope = 'company'", "every member belongs to the company and to themselves"),
        ("insert into scopes select * from scopes", "one row per grain"),
    ],
)
def test_each_invariant_fails_on_a_planted_offence(workspace: Workspace, offence: str, invariant: str) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    with duckdb.connect(str(ref.path)) as con:
        con.execute(offence)
    assert invariant in [finding.name for finding in editions.verify(ref) if not finding.ok]


def test_a_damaged_file_and_a_lost_edition_say_what_to_do(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    ref.path.write_bytes(b"not a database" * 1000)
    with pytest.raises(EditionError, match="cannot be read"):
        editions.current(workspace)
    ref.path.unlink()
    with pytest.raises(EditionError, match="There is no edition"):
        editions.current(workspace)
    with pytest.raises(EditionError, match="There is no edition"):
        editions.find(workspace, "../landing")


def test_a_failure_while_writing_leaves_the_edition_before_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = editions.publish_edition(workspace, edition_row(), edition_tables())

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(EditionError, match="could not be written"):
        editions.publish_edition(workspace, edition_row(lock_week=6), edition_tables())
    monkeypatch.undo()
    assert editions.current(workspace) == good
    assert [path.name for path in workspace.editions.iterdir()] == [good.path.name]


def test_what_a_killed_publication_left_is_cleared_once_it_is_old(workspace: Workspace) -> None:
    workspace.create()
    old, young = (workspace.editions / f".building-{name}.duckdb" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    editions.publish_edition(workspace, edition_row(), edition_tables())
    assert not old.exists()
    assert young.exists()


def test_a_pointer_that_is_no_text_is_a_problem_with_a_remedy(workspace: Workspace) -> None:
    workspace.create()
    workspace.current.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EditionError, match="CURRENT cannot be read"):
        editions.current_id(workspace)
    workspace.current.unlink()
    assert editions.current_id(workspace) is None


def test_one_damaged_file_keeps_nobody_from_the_other_editions(workspace: Workspace) -> None:
    first = editions.publish_edition(workspace, edition_row(), edition_tables())
    second = editions.publish_edition(workspace, edition_row(lock_week=5), edition_tables())
    first.path.write_bytes(b"not a database" * 1000)
    assert editions.list_editions(workspace) == [second]
    (found,) = editions.damaged_editions(workspace)
    assert found.edition_id == first.edition_id
    assert "cannot be read" in found.problem
    assert "backup" in found.remedy


def _as_an_earlier_program_wrote_it(ref: editions.EditionRef) -> None:
    """Without a column and a table that came later, and with the digests that such a program would have written."""
    with duckdb.connect(str(ref.path)) as con:
        con.execute("alter table deals drop column has_no_next_step; drop table selfcheck")
        con.execute("delete from content_digests where table_name = 'selfcheck'")
        columns = [str(row[0]) for row in con.execute("describe deals").fetchall()]
        digest = content_digest(con, "deals", columns)
        con.execute("update content_digests set digest = $digest where table_name = 'deals'", {"digest": digest})


def test_an_edition_of_an_earlier_program_is_held_against_its_own_digests(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    _as_an_earlier_program_wrote_it(ref)
    findings = editions.verify(ref)
    assert [finding for finding in findings if not finding.ok] == []
    assert "made by another version" in [finding.name for finding in findings]
    assert editions.read(ref, "deals").schema == edition_tables()["deals"].schema  # what it lacks is null
    with duckdb.connect(str(ref.path)) as con:
        con.execute("update scopes set scope_name = 'Anna' where scope = 'ann'")
    assert [finding.name for finding in editions.verify(ref) if not finding.ok] == ["content is as published"]


def test_an_edition_of_another_method_is_not_asked_for_what_must_be_true_today(workspace: Workspace) -> None:
    tables = edition_tables()
    tables["forecast_pairs"] = tables["forecast_pairs"].with_columns(pl.lit("closed").alias("status"))
    ref = editions.publish_edition(workspace, edition_row(method_version="0"), tables)
    assert [finding for finding in editions.verify(ref) if not finding.ok] == []
    today = editions.publish_edition(workspace, edition_row(), tables)
    assert [finding for finding in editions.verify(today) if not finding.ok] != []


def test_an_edition_of_another_version_is_not_called_damaged(workspace: Workspace) -> None:
    ref = editions.publish_edition(workspace, edition_row(), edition_tables())
    with duckdb.connect(str(ref.path)) as con:
        con.execute("alter table deals drop column push_count; drop table quotas")
    for table in ("deals", "quotas"):
        with pytest.raises(EditionError, match="published by another version"):
            editions.read(ref, table)
