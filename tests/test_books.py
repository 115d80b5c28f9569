"""Bookings as what counts as landed: whose a line is, in which period, and when a period is known; by pencil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboard import wording_reconcile
from pipelines import contracts, runs
from pipelines.errors import EditionError, WorkspaceError
from pipelines.progress import Silent
from pipelines.settings import ACTUAL_SOURCES, Settings, Workspace
from pipelines.warehouse import editions
from tests.test_pairs import amounts, call, person, won
from tests.warehouse_help import at, land, land_all

AFTER = at("2026-10-20")


def line(key: str, amount: object, booked_on: str = "2026-08-20", **more: Any) -> dict[str, Any]:
    return {"booking_id": key, "booked_on": booked_on, "amount": amount, **more}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Ann and Bob under Mo; Bob's second deal is booked a quarter late, one line is of nobody."""
    place = Workspace(tmp_path / "workspace")
    land_all(
        place,
        {
            "people": [person("mo"), person("ann", "mo"), person("bob", "mo")],
            "opportunities": [
                won("a1", amount=100),
                won("b1", owner="bob", amount=60),
                won("b2", owner="bob", amount=40, close_on="2026-09-30"),
                won("q4", owner="bob", amount=1, close_on="2026-10-05"),
            ],
            "forecast_submissions": [
                call(amount=100),
                call("bob", amount=90),
                call("mo", layer="manager", amount=200),
                call("fin", layer="finance", amount=210),
            ],
            "bookings": [
                line("early", 1, booked_on="2026-07-03"),
                line("A1", 100, opportunity_id="a1"),
                line("A1c", -30, "2026-09-10", opportunity_id="a1"),
                line("B1", 60, opportunity_id="b1"),
                line("B2", 40, "2026-10-02", opportunity_id="b2"),
                line("N1", 7),
            ],
        },
    )
    return place


def believe_the_books(workspace: Workspace) -> None:
    workspace.settings_file.write_text('actual_source = "bookings"\n')


def landed(workspace: Workspace, **where: Any) -> dict[str, tuple[Any, ...]]:
    ref = runs.publish(workspace, Silent(), as_of=AFTER)
    rows = editions.read(ref, "forecast_pairs", where={"week_of_period": 3, **where})
    return {row["forecaster_id"]: (*amounts(row), row["status"]) for row in rows.iter_rows(named=True)}


def test_closed_won_counts_unless_the_settings_say_otherwise(workspace: Workspace) -> None:
    assert {who: row[1] for who, row in landed(workspace).items()} == {"ann": 100, "bob": 100, "mo": 200, "fin": 200}


def test_a_person_lands_what_was_booked_of_their_deals_and_the_company_what_was_booked_at_all(
    workspace: Workspace,
) -> None:
    """Ann 100 less a credit of 30; Bob 60, the 40 booked in October are the next quarter's; 1 + 7 belong to no deal."""
    believe_the_books(workspace)
    assert landed(workspace) == {
        "ann": (100, 70, 30, "closed"),
        "bob": (90, 60, 30, "closed"),
        "mo": (200, 130, 70, "closed"),
        "fin": (210, 138, 72, "closed"),
    }


def test_the_choice_is_recorded_in_the_edition_and_in_its_name(workspace: Workspace) -> None:
    crm = runs.publish(workspace, Silent(), as_of=AFTER)
    believe_the_books(workspace)
    books = runs.publish(workspace, Silent(), as_of=AFTER)
    assert (crm.actual_source, books.actual_source) == ("closed_won", "bookings")
    assert crm.edition_id != books.edition_id
    assert editions.read(books, "edition")["actual_source"].to_list() == ["bookings"]
    assert all(finding.ok for finding in editions.verify(books))
    assert wording_reconcile.actual_source(books.actual_source) == "landed = booked by finance"
    assert wording_reconcile.actual_source(crm.actual_source) == "landed = closed won in the CRM"


def test_what_was_recorded_later_is_not_known_yet(workspace: Workspace) -> None:
    """A line of August entered on 25 October is no part of an edition of the 20th, and is of one of the 26th."""
    believe_the_books(workspace)
    land(workspace, "bookings", [line("late", 500, opportunity_id="b1", recorded_at="2026-10-25 09:00")])
    assert landed(workspace)["bob"][1] == 60
    later = runs.publish(workspace, Silent(), as_of=at("2026-10-26"))
    pair = editions.read(later, "forecast_pairs", where={"forecaster_id": "bob", "week_of_period": 3})
    assert amounts(pair.row(0, named=True))[1] == 560


def test_a_period_that_closes_before_its_bookings_arrive_waits_for_them(tmp_path: Path) -> None:
    """The books end on 20 August: what the third quarter landed is not known on 20 October."""
    place = Workspace(tmp_path / "short")
    believe = {"opportunities": [won("a1", amount=100)], "forecast_submissions": [call()]}
    ahead = line("ahead", 9, "2031-01-01", recorded_at="2026-08-01")
    land_all(place, {**believe, "bookings": [line("e", 1, "2026-07-03"), line("A1", 100, opportunity_id="a1"), ahead]})
    believe_the_books(place)
    assert landed(place)["ann"] == (100, None, None, "no_actual")
    land(place, "bookings", [line("next", 5, "2026-10-01")])
    assert landed(place)["ann"] == (100, 100, 0, "closed")


def test_a_period_the_books_begin_in_the_middle_of_is_not_known(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "late")
    land_all(
        place,
        {
            "opportunities": [won("a1", amount=100)],
            "forecast_submissions": [call()],
            "bookings": [line("A1", 100, opportunity_id="a1"), line("next", 5, "2026-10-01")],
        },
    )
    believe_the_books(place)
    assert landed(place)["ann"] == (100, None, None, "no_actual"), "the books begin 50 days into the quarter"


def test_books_that_are_not_there_stop_the_publication(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "none")
    land_all(place, {"opportunities": [won("a1")], "forecast_submissions": [call()]})
    believe_the_books(place)
    with pytest.raises(EditionError, match="no booking is known"):
        runs.publish(place, Silent(), as_of=AFTER)


def test_a_setting_that_is_none_of_the_two_is_refused(workspace: Workspace) -> None:
    workspace.settings_file.write_text('actual_source = "invoices"\n')
    with pytest.raises(WorkspaceError, match="actual_source is 'invoices'"):
        workspace.settings()
    assert Settings().actual_source == "closed_won"
    assert contracts.ACTUAL_SOURCES == ACTUAL_SOURCES
