"""Pipeline movement: by pencil, against a slow replay in plain Python, and as an identity in every scope and span."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.engine.movement_drill import deals_behind
from pipelines.history_contracts import MOVEMENTS
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.store import frame_schema
from tests.test_editions import edition_row, edition_tables
from tests.test_history import BEGIN, STAGES, TODAY, a_company, everything
from tests.warehouse_help import Rows, at, day, land, land_all, prepared

FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Q3 = day("2026-07-01")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def deal(name: str, created_on: str, close_on: str, amount: object, **more: Any) -> dict[str, Any]:
    return {
        "opportunity_id": name, "owner_id": "ann", "created_on": created_on, "close_on": close_on,
        "stage": "Proposal", "amount": amount, "is_deleted": False, "modified_at": "2026-10-01",
    } | more  # fmt: skip


def changed(name: str, moment: str, field: str, old: str | None, new: str | None) -> dict[str, Any]:
    return {"opportunity_id": name, "changed_at": moment, "field": field, "old_value": old, "new_value": new}


def land_pencil(workspace: Workspace) -> None:
    """Seven deals of the third quarter of 2026, as they are in October, and what happened to them on the way."""
    deals: Rows = [
        deal("grown", "2026-06-10", "2026-09-15", 150, stage="Signed"),
        deal("pushed", "2026-06-01", "2026-09-28", 200),
        deal("lost", "2026-07-10", "2026-09-20", 80, stage="Dropped"),
        deal("early", "2026-06-15", "2026-09-25", 300, stage="Signed"),
        deal("gone", "2026-06-20", "2026-08-30", 30, owner_id="bob", is_deleted=True),
        deal("idle", "2026-06-05", "2026-09-05", 60, stage="Dropped", outcome_reason="No decision"),
        deal("back", "2026-06-05", "2026-09-05", 70),
    ]
    changes: Rows = [
        changed("grown", "2026-07-20", "amount", "100", "150"),
        changed("grown", "2026-09-10", "stage", "Proposal", "Signed"),
        changed("pushed", "2026-08-05", "close_on", "2026-09-30", "2026-11-15"),
        changed("pushed", "2026-09-20", "close_on", "2026-11-15", "2026-09-28"),
        changed("lost", "2026-08-20", "stage", "Proposal", "Dropped"),
        changed("early", "2026-09-25", "close_on", "2026-11-30", "2026-09-25"),
        changed("early", "2026-09-25", "stage", "Proposal", "Signed"),
        changed("gone", "2026-08-01", "owner_id", "ann", "bob"),
        changed("gone", "2026-08-10", "amount", "40", "30"),
        changed("gone", "2026-08-15", "is_deleted", "false", "true"),
        changed("idle", "2026-09-01", "stage", "Proposal", "Dropped"),
        changed("back", "2026-07-15", "stage", "Proposal", "Dropped"),
        changed("back", "2026-08-15", "stage", "Dropped", "Proposal"),
    ]
    people: Rows = [{"person_id": "mia", "name": "Mia"}] + [
        {"person_id": who, "name": who.title(), "manager_id": "mia"} for who in ("ann", "bob")
    ]
    land_all(workspace, {"stages": STAGES, "people": people, "opportunities": deals, "opportunity_history": changes})


def told(workspace: Workspace, as_of: str = "2026-10-15") -> pl.DataFrame:
    with prepared(workspace, as_of) as built:
        table: pl.DataFrame = built.table("pipeline_movement")
    return table


def of(table: pl.DataFrame, scope: str, start: date = Q3, kind: str = "period") -> dict[str, tuple[int, int]]:
    rows = table.filter(span_kind=kind, span_start_on=start, scope=scope)
    return {row["movement"]: (row["amount"], row["deal_count"]) for row in rows.to_dicts()}


def test_by_pencil(workspace: Workspace) -> None:
    """Start: 100 + 200 + 40 + 60 + 70; end: the pushed one that came back and the reopened one."""
    land_pencil(workspace)
    table = told(workspace)
    company = {
        "start": (470, 5),
        "created": (80, 1),
        "pulled_in": (200 + 300, 2),
        "reopened": (70, 1),
        "increased": (50, 0),
        "decreased": (-10, 0),
        "pushed_out": (-200, -1),
        "won": (-150 - 300, -2),
        "lost": (-80 - 70, -2),
        "no_decision": (-60, -1),
        "deleted": (-30, -1),
        "end": (200 + 70, 2),
    }
    assert of(table, "company") == company
    assert of(table, "mia") == company
    assert of(table, "bob") == {
        "start": (0, 0), "owner_in": (40, 1), "decreased": (-10, 0), "deleted": (-30, -1), "end": (0, 0),
    }  # fmt: skip
    assert of(table, "ann")["owner_out"] == (-40, -1)
    # The first week of July saw nothing; the week of 17 September brought the pushed deal back, and won one early.
    assert of(table, "company", Q3, "week") == {"start": (470, 5), "end": (470, 5)}
    week = of(table, "company", Q3 + timedelta(days=77), "week")
    assert week == {"start": (70, 1), "pulled_in": (200, 1), "end": (270, 2)}


def test_the_running_period_ends_with_the_as_of(workspace: Workspace) -> None:
    land_pencil(workspace)
    table = told(workspace, "2026-08-12 12:00")
    spans = table.filter(span_kind="period", scope="company", period_start_on=Q3)
    assert spans["span_end_on"].unique().to_list() == [day("2026-08-12")]
    assert of(table, "company")["end"] == (150 + 80 + 30 + 60, 4)
    assert "deleted" not in of(table, "company")


def test_a_rate_that_moves_is_told_apart_from_an_amount_that_does(workspace: Workspace) -> None:
    """EUR 10 at 1.10 = 11; looked at again at 1.20 = 12; then EUR 20 at 1.25: 10 × (1.25 − 1.20) and 10 × 1.25."""
    rates = [("USD", "2026-01-01", "1"), ("EUR", "2026-01-01", "1.1"), ("EUR", "2026-08-01", "1.2")]
    rates += [("EUR", "2026-09-05", "1.25")]
    names = ("currency", "valid_from_on", "rate_to_reporting")
    land(workspace, "fx_rates", [dict(zip(names, row, strict=True)) for row in rates])
    land(workspace, "opportunities", [deal("d", "2026-06-01", "2026-09-30", 20, currency="EUR")])
    land(
        workspace,
        "opportunity_history",
        [
            changed("d", "2026-09-01", "forecast_category", None, "commit"),
            changed("d", "2026-09-10", "amount", "10", "20"),
        ],
    )
    assert of(told(workspace, "2026-09-29"), "company") == {
        "start": (11, 1), "currency": (Decimal("1.50"), 0), "increased": (Decimal("12.50"), 0), "end": (25, 1),
    }  # fmt: skip


def test_a_deal_without_an_amount_is_counted_and_weighs_nothing(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("d", "2026-07-05", "2026-09-30", None)])
    table = told(workspace, "2026-09-29")
    assert of(table, "company") == {"start": (0, 0), "created": (0, 1), "end": (0, 1)}
    unvalued = table.filter(span_kind="period", span_start_on=Q3, scope="company")
    assert dict(unvalued.select("movement", "unvalued_count").iter_rows()) == {"start": 0, "created": 1, "end": 1}


def test_a_new_manager_takes_the_deals_over(workspace: Workspace) -> None:
    land(workspace, "opportunities", [deal("d", "2026-06-01", "2026-09-30", 50)])
    people = [{"person_id": who, "name": who} for who in ("mia", "max")]
    people += [{"person_id": "ann", "name": "Ann", "manager_id": "mia"}]
    people += [{"person_id": "ann", "name": "Ann", "manager_id": "max", "valid_from_on": "2026-08-03"}]
    land(workspace, "people", people)
    table = told(workspace, "2026-09-29")
    assert of(table, "mia") == {"start": (50, 1), "owner_out": (-50, -1), "end": (0, 0)}
    assert of(table, "max") == {"start": (0, 0), "owner_in": (50, 1), "end": (50, 1)}
    assert of(table, "company") == of(table, "ann") == {"start": (50, 1), "end": (50, 1)}
    with prepared(workspace, "2026-09-29") as built:
        behind, owners = built.table("movement_deals").filter(period_start_on=Q3), built.table("owner_scopes")

    def opened(scope: str, movement: str, *days: date) -> list[tuple[str, Decimal]]:
        week = dict(zip(("from_on", "to_on"), days, strict=False))
        found = deals_behind(behind, owners, scope=scope, movement=movement, **week)
        return [(row["opportunity_id"], row["amount"]) for row in found.to_dicts()]

    assert opened("mia", "owner_out") == [("d", Decimal(-50))]
    assert opened("max", "owner_in") == [("d", Decimal(50))]
    assert opened("max", "owner_in", day("2026-07-27"), day("2026-08-02")) == []
    assert opened("max", "end", day("2026-07-27"), day("2026-08-02")) == [] == opened("mia", "end")
    assert opened("max", "end", day("2026-08-03"), day("2026-08-09")) == [("d", Decimal(50))] == opened("ann", "start")


def test_the_deals_behind_the_companys_movement(workspace: Workspace) -> None:
    land_pencil(workspace)
    with prepared(workspace, "2026-10-15") as built:
        rows = built.table("movement_deals").filter(period_start_on=Q3)
    assert set(rows.filter(movement="won").select("opportunity_id", "amount").rows()) == {
        ("grown", Decimal("-150.00")),
        ("early", Decimal("-300.00")),
    }
    assert rows.filter(movement="increased")["moved_at"].to_list() == [at("2026-07-20")]
    assert rows.filter(movement="start").height == 5


def test_older_periods_are_left_to_older_editions(workspace: Workspace) -> None:
    """A deal was won in every quarter of five years; five quarters are told, whatever the history."""
    ends = [date(2022 + number // 4, number % 4 * 3 + 3, 28) for number in range(18)]
    deals = [deal(f"d{end}", "2022-01-05", str(end), 1, stage="Closed Won", modified_at=str(end)) for end in ends]
    land(workspace, "opportunities", deals)
    starts = told(workspace, "2026-08-01").filter(span_kind="period")["span_start_on"].unique().sort().to_list()
    assert starts == [day(text) for text in ("2025-07-01", "2025-10-01", "2026-01-01", "2026-04-01")]
    with prepared(workspace, "2026-08-01") as built:
        assert built.table("periods").height == 19
        spans = built.engine.con.sql("select span_start_on from movement_spans where span_kind = 'period'").fetchall()
    assert len(spans) == 5


@FEW
@given(seed=st.integers(0, 10_000), days=st.integers(60, 312))
def test_random_histories_add_up_and_agree_with_a_slow_replay(seed: int, days: int) -> None:
    as_of = min(BEGIN + timedelta(days=days, seconds=-1), TODAY)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        tables = everything(Random(seed), a_company(Random(seed), deals=30), TODAY, TODAY)
        land_all(workspace, tables)
        with prepared(workspace, as_of) as built:
            table = built.table("pipeline_movement").to_dicts()
            versions = built.versions().to_dicts()
            spans = built.engine.con.sql("select * from movement_spans").pl().to_dicts()
            behind, owners = built.table("movement_deals"), built.table("owner_scopes")
    drilled(Random(seed).sample(table, min(len(table), 150)), behind, owners)
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    deals: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in table:
        key = (row["span_kind"], row["span_start_on"], row["scope"])
        found[key][row["movement"]], deals[key][row["movement"]] = row["amount"], row["deal_count"]
    assert {movement for amounts in found.values() for movement in amounts} <= set(MOVEMENTS)
    for key, amounts in found.items():
        for of_span in (amounts, deals[key]):
            assert sum(of_span.values()) - of_span["end"] == of_span["end"], key
    replayed, counted = replay(versions, spans, tables["people"], as_of)
    for key in found.keys() | replayed.keys():
        assert without_zeros(found[key]) == without_zeros(replayed[key]), key
        assert without_zeros(deals[key]) == without_zeros(counted[key]), key
    chain(found, spans)
    teams(found, {row["owner_id"] for row in versions})


def drilled(table: Rows, behind: pl.DataFrame, owners: pl.DataFrame) -> None:
    """Each amount, of any scope, span and movement, is the sum of the deals that it is opened to."""
    for row in table:
        is_week = row["span_kind"] == "week"
        deals = deals_behind(
            behind.filter(period_start_on=row["period_start_on"]),
            owners,
            scope=row["scope"],
            movement=row["movement"],
            from_on=row["span_start_on"] if is_week else None,
            to_on=row["span_end_on"] if is_week else None,
        )
        assert sum(deals["amount"].to_list()) == row["amount"], row
        assert deals["deal_count"].sum() == row["deal_count"], row
        if row["movement"] in ("start", "end"):
            assert set(deals["deal_count"]) <= {1}
        else:
            assert deals["change_count"].sum() == row["change_count"], row


def without_zeros(amounts: Counter[str]) -> dict[str, int]:
    return {name: amount for name, amount in amounts.items() if amount}


def chain(found: dict[tuple[Any, ...], Counter[str]], spans: list[dict[str, Any]]) -> None:
    """Where a week ends, the next one begins; the first begins with the period and the last ends with it."""
    scopes = {scope for _, _, scope in found}
    for start in {row["period_start_on"] for row in spans}:
        weeks = sorted(row["span_start_on"] for row in spans if row["period_start_on"] == start)[1:]
        for scope in scopes:
            told_weeks = [found.get(("week", week, scope), Counter()) for week in weeks]
            for before, after in pairwise(told_weeks):
                assert before["end"] == after["start"]
            whole = found.get(("period", start, scope), Counter())
            assert (told_weeks[0]["start"], told_weeks[-1]["end"]) == (whole["start"], whole["end"])


def teams(found: dict[tuple[Any, ...], Counter[str]], owners: set[str]) -> None:
    """Every owner's movement together is the company's; who passes a deal on and who takes it over cancel out."""
    for kind, start, scope in list(found):
        if scope != "company":
            continue
        together: Counter[str] = Counter()
        for owner in owners:
            for movement, amount in found.get((kind, start, owner), Counter()).items():
                together[movement] += amount
        passed_on = together.pop("owner_in", 0) + together.pop("owner_out", 0)
        assert passed_on == 0
        assert without_zeros(together) == without_zeros(found[kind, start, scope])


def replay(
    versions: list[dict[str, Any]], spans: list[dict[str, Any]], people: list[dict[str, Any]], as_of: datetime
) -> tuple[dict[tuple[Any, ...], Counter[str]], dict[tuple[Any, ...], Counter[str]]]:
    """Walk each deal through every instant at which it or the hierarchy changed, one property after the other."""
    known = [row for row in people if row.get("valid_from_on") is None or at(str(row["valid_from_on"])) <= as_of]
    by_deal = defaultdict(list)
    for row in versions:
        by_deal[row["opportunity_id"]].append(row)
    turns = {at(str(row["valid_from_on"])) for row in known if row.get("valid_from_on")}
    amounts: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    counts: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for span in spans:
        first, last = span["period_start_on"], end_of_quarter(span["period_start_on"])

        def note(scopes: set[str], movement: str, amount: Any, count: int, span: dict[str, Any] = span) -> None:
            for scope in scopes:
                amounts[span["span_kind"], span["span_start_on"], scope][movement] += amount
                counts[span["span_kind"], span["span_start_on"], scope][movement] += count

        for states in by_deal.values():
            stands = {name: state_at(states, span[edge]) for name, edge in (("start", "from_at"), ("end", "to_at"))}
            for name, state in stands.items():
                if state and is_in(state, first, last):
                    instant = span["from_at" if name == "start" else "to_at"] - timedelta(microseconds=1)
                    note(above(known, state["owner_id"], instant.date()), name, worth(state), 1)
            moments = {row["valid_from_at"] for row in states} | turns
            for moment in sorted(moments):
                if span["from_at"] <= moment < span["to_at"]:
                    step(states, moment, known, (first, last), note)
    return amounts, counts


def step(states: list[dict[str, Any]], moment: datetime, people: Any, due: tuple[date, date], note: Any) -> None:
    before, after = state_at(states, moment), state_at(states, moment + timedelta(microseconds=1))
    if after is None:
        return
    new = above(people, after["owner_id"], moment.date())
    if before is None or not is_in(before, *due):
        came = (
            "created" if before is None else "reopened" if before["is_closed"] or before["is_deleted"] else "pulled_in"
        )
        if after["is_deleted"]:
            return
        if is_in(after, *due):
            note(new, came, worth(after), 1)
        elif after["is_won"] and due[0] <= after["close_on"] <= due[1] and came != "reopened":
            note(new, came, worth(after), 1)
            note(new, "won", -worth(after), -1)
        return
    old = above(people, before["owner_id"], (moment - timedelta(microseconds=1)).date())
    if after["is_deleted"]:
        note(old, "deleted", -worth(before), -1)
        return
    note(old - new, "owner_out", -worth(before), -1)
    note(new - old, "owner_in", worth(before), 1)
    value = worth(before)
    same_money = before["currency"] == after["currency"]
    if same_money and before["amount"] == after["amount"]:
        revalued = worth(after)
    elif same_money and after["amount"] and None not in (before["reporting_amount"], after["reporting_amount"]):
        exact = before["amount"] * after["reporting_amount"] / after["amount"]
        revalued = exact.quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    else:
        revalued = value
    note(new, "currency", revalued - value, 0)
    value = revalued
    if difference := worth(after) - value:
        note(new, "increased" if difference > 0 else "decreased", difference, 0)
    if after["is_closed"]:
        note(new, "won" if after["is_won"] else "lost", -worth(after), -1)
    elif not is_in(after, *due):
        note(new, "pushed_out", -worth(after), -1)


def state_at(states: list[dict[str, Any]], instant: datetime) -> dict[str, Any] | None:
    """Just before the instant."""
    return next((row for row in states if row["valid_from_at"] < instant <= row["valid_to_at"]), None)


def is_in(state: dict[str, Any], first: date, last: date) -> bool:
    return not state["is_closed"] and not state["is_deleted"] and first <= state["close_on"] <= last


def worth(state: dict[str, Any]) -> Decimal:
    return Decimal(0) if state["reporting_amount"] is None else state["reporting_amount"]


def end_of_quarter(start: date) -> date:
    return date(start.year + (start.month == 10), (start.month + 2) % 12 + 1, 1) - timedelta(days=1)


def above(people: list[dict[str, Any]], who: str, on: date) -> set[str]:
    """The company, the owner, and each manager above them that day."""
    scopes, person = {"company", who}, who
    while True:
        spans = sorted(
            (row for row in people if row["person_id"] == person), key=lambda row: row.get("valid_from_on") or date.min
        )
        begun = [row for row in spans if (row.get("valid_from_on") or date.min) <= on] or spans[:1]
        manager = begun[-1].get("manager_id") if begun else None
        if manager is None or manager in scopes:
            return scopes
        scopes.add(manager)
        person = manager


@pytest.mark.parametrize(
    ("offence", "invariant"),
    [
        (
            "update pipeline_movement set amount = 2 where movement = 'end'",
            "the pipeline's start and movements make its end",
        ),
        ("delete from pipeline_movement where span_kind = 'week'", "the weeks' movements make the period's"),
        (
            "delete from movement_deals where movement = 'created'",
            "the deals behind a movement sum to it, in every scope",
        ),
        ("update pipeline_movement set scope = 'bob'", "every scope of a movement is published"),
    ],
)
def test_an_edition_whose_movement_does_not_add_up_is_found(workspace: Workspace, offence: str, invariant: str) -> None:
    tables = edition_tables()
    rows = [
        {
            "span_kind": kind, "span_start_on": Q3, "span_end_on": Q3, "period_start_on": Q3, "scope": "company",
            "movement": movement, "amount": Decimal(amount), "deal_count": amount, "change_count": 1,
            "unvalued_count": 0,
        }
        for kind in ("period", "week")
        for movement, amount in (("start", 0), ("created", 1), ("end", 1))
    ]  # fmt: skip
    tables["pipeline_movement"] = pl.DataFrame(rows, schema=frame_schema(PUBLISHED_TABLES["pipeline_movement"]))
    behind = [
        {"period_start_on": Q3, "movement": movement, "opportunity_id": "d", "amount": Decimal(amount)}
        | {"deal_count": amount, "change_count": 1, "owner_id": "ann", "owner_on": Q3}
        for movement, amount in (("start", 0), ("created", 1), ("end", 1))
    ]
    everywhere = {"from_on": date.min, "to_on": date.max}
    owners = [{"person_id": "ann", "scope": "company"} | everywhere]
    tables["owner_scopes"] = pl.DataFrame(owners, schema=frame_schema(PUBLISHED_TABLES["owner_scopes"]))
    tables["movement_deals"] = pl.DataFrame(behind, schema=frame_schema(PUBLISHED_TABLES["movement_deals"]))
    ref = editions.publish_edition(workspace, edition_row(), tables)
    assert [finding for finding in editions.verify(ref) if not finding.ok] == []
    with duckdb.connect(str(ref.path)) as con:
        con.execute(offence)
    assert invariant in [finding.name for finding in editions.verify(ref) if not finding.ok]
