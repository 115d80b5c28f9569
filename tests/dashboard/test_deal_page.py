"""One deal's page: every state of a deal, in words and in rows, and the way to it from other pages."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import wording_deal
from pipelines import runs
from pipelines.history_contracts import MOVEMENTS
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions as shelf
from tests.dashboard import editions
from tests.dashboard.test_app import words


def one_deal() -> None:
    from dashboard import shelf
    from dashboard.filters import Filters
    from dashboard.views import deal
    from pipelines.settings import Workspace

    deal.page(Filters(str(shelf.current_id(Workspace.at()))))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("deal") / "ws")
    runs.demo(workspace, Silent(), reps=6, quarters=7, seed=5)
    return workspace


def opened(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, deal: str | None) -> AppTest:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(workspace.root))
    at = AppTest.from_function(one_deal, default_timeout=60)
    if deal is not None:
        at.query_params["deal"] = deal
    return at.run()


def htmls(at: AppTest) -> str:
    return "\n".join(block.proto.body for block in at.get("html"))


def test_what_was_corrected_later_is_shown_both_ways(
    company: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "ws")
    shutil.copytree(company.root, workspace.root)
    ref = shelf.current(workspace)
    assert ref is not None
    key = shelf.read(ref, "deals")["opportunity_id"][0]
    assert "What was corrected later?" not in words(opened(workspace, monkeypatch, key))
    told = [("amount", "1200.00", "-900.50"), ("close_on", "2026-03-31", None), ("is_deleted", "false", "true")]
    ref.path.chmod(0o600)
    with duckdb.connect(str(ref.path)) as con:
        for field, was, now in told:
            con.execute(
                "insert into corrected_values values (?, '2026-08-03 09:00', ?, '2026-05-01', ?, ?)",
                [key, field, was, now],
            )
    st.cache_resource.clear()
    at = opened(workspace, monkeypatch, key)
    assert not at.exception
    assert "What was corrected later?" in words(at)
    body = htmls(at)
    for part in (
        "Amount, in its own currency",
        "1,200.00",
        "−900.50",
        "31 Mar 2026",
        "1 May 2026",
        "3 Aug 2026",
        "yes",
    ):
        assert part in body, part


def test_an_open_deal_tells_how_it_stands_and_why_to_look(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = shelf.current(company)
    assert ref is not None
    row = shelf.read(ref, "deals", where={"is_past_due": True}).row(0, named=True)
    at = opened(company, monkeypatch, row["opportunity_id"])
    assert not at.exception
    said = words(at)
    assert "Open in" in said
    assert "close date passed" in said
    assert row["opportunity_id"] in said.replace("\\", "")


def test_a_deal_of_a_miss_tells_its_step_to_the_cent(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = shelf.current(company)
    assert ref is not None
    row = shelf.read(ref, "miss_deals").row(0, named=True)
    at = opened(company, monkeypatch, row["opportunity_id"])
    assert not at.exception
    assert f"{abs(row['amount']):,.2f}" in htmls(at)


def test_a_won_deal_tells_whether_it_is_booked(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = shelf.current(company)
    assert ref is not None
    ties = shelf.read(ref, "reconciliation", where={"break_kind": "matched"})
    at = opened(company, monkeypatch, ties["opportunity_id"][0])
    assert not at.exception
    assert f"{ties['booked_amount'][0]:,.2f}" in htmls(at)


@pytest.mark.parametrize("asked", [None, "nobody", "'; drop table deals; --", "<script>"])
def test_no_deal_or_an_unknown_one_is_said(
    company: Workspace, monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    at = opened(company, monkeypatch, asked)
    assert not at.exception
    assert at.title[0].value == "Which deal?"


@pytest.mark.parametrize("variant", ["full", "one_rep", "two_quarters", "no_calls", "records"])
def test_editions_without_deals_say_so(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(editions.workspace_of(tmp_path, variant), monkeypatch, "D1")
    assert not at.exception
    assert "There is no deal" in words(at)


# Words

OPEN = {
    "amount": Decimal("1200000.00"), "stage": "Proposal", "close_on": date(2026, 12, 3), "win_probability_rate": 0.43,
    "win_status": "ok", "flags": "past_due,pushed", "push_count": 1, "age_days": 1, "last_activity_on": None,
}  # fmt: skip


def test_how_a_deal_stands() -> None:
    assert wording_deal.stand(OPEN, [], "USD") == "Open in Proposal, $1.20M, due 3 Dec 2026"
    bare = OPEN | {"amount": None, "stage": None, "close_on": None}
    assert wording_deal.stand(bare, [], "USD") == "Open, without an amount, without a close date"
    assert wording_deal.stand(None, [], "USD") == "No longer open"
    assert wording_deal.stand(None, [{"outcome": "won", "label": "Q3 2026"}], "USD") == "Won in Q3 2026"
    assert wording_deal.stand(None, [{"outcome": "gone", "label": "Q3 2026"}], "USD") == "No longer open"


def test_odds_reasons_and_facts() -> None:
    assert "43" in wording_deal.chance(OPEN, "quarter")
    for status in ("not_enough_history", "new_since", "no_landing"):
        assert "odds" in wording_deal.chance(OPEN | {"win_probability_rate": None, "win_status": status}, "quarter")
    assert "wider kind" in wording_deal.chance(OPEN | {"win_status": "coarser_group"}, "quarter")
    assert "close date passed, pushed" in wording_deal.flagged(OPEN)
    assert wording_deal.flagged(OPEN | {"flags": None}) == "Nothing about it asks for a look."
    assert wording_deal.facts(OPEN) == "1 day old · pushed once · no activity known"
    assert "pushed 3 times" in wording_deal.facts(OPEN | {"push_count": 3})
    assert "never pushed" in wording_deal.facts(OPEN | {"push_count": 0})


def test_every_movement_has_a_word() -> None:
    at = datetime(2026, 10, 5, tzinfo=UTC)
    for movement in MOVEMENTS:
        row = {"label": "Q4 2026", "movement": movement, "moved_at": at, "amount": Decimal(5)}
        assert "_" not in str(wording_deal.move_row(row, "USD")[1])
