"""The record: editions listed, two compared, one verified, tables taken away; and every sentence about it."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import answers_record, shelf, wording_record
from dashboard.filters import Filters
from dashboard.wording import TITLE_LENGTH
from dashboard.wording_record import MOVEMENTS, Latest, Moved, Said
from pipelines import runs
from pipelines.engine.edition_change import MOVED
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.test_movement import land_pencil

OLDER, NEWER = datetime.fromisoformat("2026-11-02T23:59:59"), datetime.fromisoformat("2026-11-09T18:00:00")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, EditionRef, EditionRef]:
    """Seven deals of a quarter, published as of the first and the twenty-fifth of August."""
    workspace = Workspace(tmp_path_factory.mktemp("record") / "workspace")
    land_pencil(workspace)
    refs = [
        runs.publish(workspace, Silent(), as_of=datetime.fromisoformat(day)) for day in ("2026-08-01", "2026-08-25")
    ]
    return workspace, refs[0], refs[1]


@pytest.fixture(autouse=True)
def in_company(company: tuple[Workspace, EditionRef, EditionRef], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company[0].root))


def _page(edition_id: str) -> None:
    from dashboard import shelf
    from dashboard.filters import Filters
    from dashboard.views import record
    from pipelines.settings import Workspace

    record.page(Filters(edition_id), shelf.on_offer(Workspace.at()))


def drawn(edition_id: str) -> AppTest:
    at = AppTest.from_function(_page, kwargs={"edition_id": edition_id}, default_timeout=60).run()
    assert not at.exception
    return at


def test_editions_are_listed_with_what_they_said(company: tuple[Workspace, EditionRef, EditionRef]) -> None:
    workspace, older, newer = company
    offered = shelf.on_offer(workspace)
    answer = answers_record.record(Filters(newer.edition_id), offered)
    assert [(line.edition_id, line.is_current, line.is_read) for line in answer.lines] == [
        (newer.edition_id, True, True),
        (older.edition_id, False, False),
    ]
    assert {line.verdict for line in answer.lines} == {"not_enough_history"}
    assert [name for name, _ in answer.others] == [older.edition_id]
    assert answers_record.edition_before(Filters(newer.edition_id), offered) == older
    assert answers_record.edition_before(Filters(older.edition_id), offered) is None


def test_one_that_cannot_be_read_is_named_among_them(company: tuple[Workspace, EditionRef, EditionRef]) -> None:
    workspace, _, newer = company
    damaged = workspace.editions / "20200101T000000Z-000000000000.duckdb"
    damaged.write_bytes(b"not a database" * 1000)
    try:
        answer = answers_record.record(Filters(newer.edition_id), shelf.on_offer(workspace))
        at = drawn(newer.edition_id)
    finally:
        damaged.unlink()
    assert answer.unreadable_count == 1
    assert "cannot be read" in answer.lines[-1].problem
    assert at.title[0].value == "3 editions on record, 1 of them cannot be read"
    assert damaged.stem not in [name for name, _ in answer.others]


@pytest.mark.parametrize("reads_newer", [True, False])
def test_the_changes_add_up_whichever_edition_is_read(
    company: tuple[Workspace, EditionRef, EditionRef], reads_newer: bool
) -> None:
    workspace, older, newer = company
    read, other = (newer, older) if reads_newer else (older, newer)
    found = answers_record.since(Filters(read.edition_id), other.edition_id, shelf.on_offer(workspace))
    assert (found.older, found.newer, found.status) == (older, newer, "ok")
    assert found.since is not None
    moved = sum((total.amount for total in found.totals), Decimal(0))
    assert found.since.start_amount + moved == found.since.end_amount == Decimal(280)
    assert sum(found.rows["amount"].to_list(), Decimal(0)) == moved
    at = drawn(read.edition_id)
    assert "Since 1 Aug 2026 the Q3 2026 pipeline fell by" in "\n".join(block.value for block in at.subheader)


def test_the_latest_change_is_since_the_edition_before_or_else_of_the_last_week(
    company: tuple[Workspace, EditionRef, EditionRef],
) -> None:
    workspace, older, newer = company
    offered = shelf.on_offer(workspace)
    since = answers_record.latest_change(Filters(newer.edition_id), offered)
    assert since is not None
    assert since.older_as_of_at == older.as_of_at
    week = answers_record.latest_change(Filters(older.edition_id), offered)
    assert week is not None
    assert week.older_as_of_at is None
    assert week.start_amount + sum((row.amount for row in week.totals), Decimal(0)) == week.end_amount


def test_verifying_finds_the_edition_as_published_and_says_what_cannot_be_looked_up(
    company: tuple[Workspace, EditionRef, EditionRef], tmp_path: Path
) -> None:
    workspace, _, newer = company
    found = answers_record.verify(Filters(newer.edition_id))
    assert found.broken_count == 0
    assert found.lookup_problem == ""
    assert found.sha256 == hashlib.sha256(newer.path.read_bytes()).hexdigest()
    away = tmp_path / "landing"
    workspace.landing.rename(away)
    try:
        without = answers_record.verify(Filters(newer.edition_id))
    finally:
        away.rename(workspace.landing)
    assert without.broken_count == 0
    assert "cannot be looked up" in without.lookup_problem


def test_the_button_verifies_and_finds_what_was_altered(company: tuple[Workspace, EditionRef, EditionRef]) -> None:
    _, older, newer = company
    at = drawn(newer.edition_id)
    at.button(key="verify").click().run()
    assert at.success[0].value == "The edition is as published"
    kept = older.path.read_bytes()
    with duckdb.connect(str(older.path)) as con:
        con.execute("update scopes set scope_name = 'Anna' where scope = 'ann'")
    try:
        at = drawn(older.edition_id)
        at.button(key="verify").click().run()
    finally:
        older.path.write_bytes(kept)
    assert "1 check failed" in at.error[0].value


def test_any_table_can_be_taken_away_and_read_back(company: tuple[Workspace, EditionRef, EditionRef]) -> None:
    newer = company[2]
    moves = editions.read(newer, "movement_deals")
    assert pl.read_parquet(io.BytesIO(answers_record.table_file(newer, "movement_deals", "parquet"))).equals(moves)
    text = answers_record.table_file(newer, "movement_deals", "csv").decode()
    assert len(text.splitlines()) == moves.height + 1
    at = drawn(newer.edition_id)
    assert {button.label for button in at.get("download_button")} >= {"accuracy as CSV", "The edition itself"}


# Words


def test_every_movement_has_a_name() -> None:
    assert set(MOVED) <= set(MOVEMENTS)


def test_titles_fit_and_say_which_way() -> None:
    def title(start: str, end: str, label: str = "Q4 2026") -> str:
        return wording_record.since_title(Decimal(start), Decimal(end), label=label, older=OLDER, currency="USD")

    assert title("10", "8") == "Since 2 Nov 2026 the Q4 2026 pipeline fell by $2"
    assert title("8", "10") == "Since 2 Nov 2026 the Q4 2026 pipeline rose by $2"
    assert title("8", "8") == "Since 2 Nov 2026 the Q4 2026 pipeline is worth the same"
    assert len(title("8", "1e12", "The second fiscal period of the year 2026")) <= TITLE_LENGTH
    assert wording_record.record_title(1, 0) == "1 edition on record"


def test_moves_are_told_largest_first_each_way() -> None:
    totals = (Moved("won", Decimal(-5), 1), Moved("lost", Decimal(-9), 2), Moved("created", Decimal(3), 1))
    said = wording_record.largest_moves(totals, "USD").replace(wording_record.bold("")[0], "")
    assert said == "Out: lost −$9 (2 deals), won −$5 (1 deal). In: created +$3 (1 deal)."
    assert wording_record.largest_moves((), "USD") == "No deal of it moved."


def test_the_latest_line_names_what_pulled_that_way() -> None:
    totals = (Moved("won", Decimal(-5), 1), Moved("created", Decimal(3), 1))
    week = Latest("Q4 2026", None, Decimal(10), Decimal(8), totals)
    assert wording_record.latest_line(week, "USD") == (
        "In the last week the Q4 2026 pipeline fell by $2: won −$5, less what went the other way."
    )
    still = Latest("Q4 2026", OLDER, Decimal(10), Decimal(10), ())
    assert wording_record.latest_line(still, "USD") == "Since 2 Nov 2026 the Q4 2026 pipeline is worth the same."


def test_then_and_now_say_what_changed_and_what_did_not() -> None:
    then = Said("trust", "Q4 2026", Decimal(100), 90.0, 80.0, 100.0)
    now = Said("trust_with_care", "Q4 2026", Decimal(100), None, None, None)
    said = [sentence.replace("\x02", "") for sentence in wording_record.said_then_and_now(then, now, "USD")]
    assert said == [
        "Verdict: from Trust to Trust with care.",
        "Call: $100, as before.",
        "Range: from $80–$100 to none.",
    ]
    other = wording_record.said_then_and_now(Said("trust", "Q3 2026", None, None, None, None), now, "USD")
    assert "of different periods" in other[1]
    assert "none before" in other[2]
    assert wording_record.labels_changed(()) == "Words for forecasters' leans: all as before."
    assert "Ann from fair to runs high" in wording_record.labels_changed((("Ann", "fair", "runs_high"),))
    assert wording_record.files_added(["a", "b", "c", "d"]) == "Files: a, b, c and 1 more came since."
