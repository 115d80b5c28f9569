"""History as intervals: against a slow replay in plain Python, at random instants, from every kind of source."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.contracts import INPUT_TABLES, PUBLISHED_TABLES
from pipelines.errors import EditionError, WorkspaceError
from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Settings, Workspace
from pipelines.warehouse import history
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.prepared import INVARIANTS
from pipelines.warehouse.store import frame_schema
from tests.warehouse_help import at, day, land, land_all, prepared

STAGES = [
    {"stage": "Discovery", "stage_order": 1, "is_closed": False, "is_won": False},
    {"stage": "Proposal", "stage_order": 2, "is_closed": False, "is_won": False},
    {"stage": "Signed", "stage_order": 3, "is_closed": True, "is_won": True},
    {"stage": "Dropped", "stage_order": 4, "is_closed": True, "is_won": False},
]
CLOSED = {"Signed", "Dropped"}
TRACKED = ("owner_id", "stage", "amount", "close_on", "forecast_category", "probability_rate", "is_deleted")
STATED = tuple(name for name in TRACKED if name != "is_deleted")
BEGIN, TODAY = at("2026-01-01"), at("2026-11-09 23:59:59")
SPAN_HOURS = int((TODAY - BEGIN).total_seconds() // 3600)
FEW = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a seed does not shrink
    suppress_health_check=[HealthCheck.too_slow],
)
SEEDS = st.integers(0, 1_000_000)


def a_value(random: Random, name: str) -> Any:
    choices: dict[str, Callable[[], Any]] = {
        "owner_id": lambda: random.choice(["ann", "bob", "cid"]),
        "stage": lambda: random.choice([row["stage"] for row in STAGES]),
        "amount": lambda: random.choice([None, Decimal(random.randrange(1, 10_000_000)).scaleb(-2)]),
        "close_on": (BEGIN + timedelta(days=random.randrange(400))).date,
        "forecast_category": lambda: random.choice([None, "commit", "pipeline", "best_case"]),
        "probability_rate": lambda: random.choice([None, 0.25, 0.9]),
        "is_deleted": lambda: random.random() < 0.3,
    }
    return choices[name]()


@dataclass
class Deal:
    """The truth about one opportunity: its state at birth, and every change in order."""

    opportunity_id: str
    born_at: datetime
    birth: dict[str, Any]
    changes: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def state(self, instant: datetime) -> dict[str, Any]:
        """Replay: the birth, then each change up to and including the instant."""
        state = dict(self.birth)
        for moment, change in self.changes:
            if moment <= instant:
                state |= change
        return state

    def row(self, exported_at: datetime, extracted_at: datetime | None) -> dict[str, Any]:
        moments = [self.born_at] + [moment for moment, _ in self.changes if moment <= exported_at]
        return {
            "opportunity_id": self.opportunity_id,
            "created_on": self.born_at.date(),
            "name": f"Deal {self.opportunity_id}",
            "modified_at": max(moments),
            "extracted_at": extracted_at,
            **self.state(exported_at),
        }

    def field_history(self, until: datetime) -> list[dict[str, Any]]:
        rows, state = [], dict(self.birth)
        for moment, change in self.changes:
            for name, value in change.items():
                row = {"opportunity_id": self.opportunity_id, "changed_at": moment, "field": name}
                rows.append(row | {"old_value": as_text(state[name]), "new_value": as_text(value)})
            state |= change
        return [row for row in rows if row["changed_at"] <= until]

    def state_history(self, until: datetime) -> list[dict[str, Any]]:
        moments = [self.born_at] + [moment for moment, change in self.changes if set(change) & set(STATED)]
        return [
            {"opportunity_id": self.opportunity_id, "changed_at": moment}
            | {name: self.state(moment)[name] for name in STATED}
            for moment in moments
            if moment <= until
        ]


def as_text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def a_company(random: Random, *, deals: int, fields: tuple[str, ...] = TRACKED, empties: bool = True) -> list[Deal]:
    """Random deals whose changes really change something, on distinct instants."""
    made = []
    for number in range(deals):
        born_at = BEGIN + timedelta(days=random.randrange(250))
        birth = {name: a_value(random, name) for name in TRACKED} | {"is_deleted": False}
        if not empties:  # a state row that leaves a column empty says nothing of it
            birth |= {"amount": Decimal(number + 1), "forecast_category": "pipeline", "probability_rate": 0.5}
        deal = Deal(f"d{number}", born_at, birth)
        deal.birth["stage"] = random.choice(["Discovery", "Proposal"])  # nothing is born closed
        hours = sorted(random.sample(range(1, SPAN_HOURS), random.randrange(7)))
        for moment in (born_at + timedelta(hours=hour) for hour in hours):
            before = deal.state(moment)
            change = {name: a_value(random, name) for name in random.sample(fields, random.randrange(1, 3))}
            change = {
                name: value
                for name, value in change.items()
                if value != before[name] and (empties or value is not None)
            }
            if change and moment <= TODAY:
                deal.changes.append((moment, change))
        made.append(deal)
    return made


def version_at(versions: dict[str, list[dict[str, Any]]], deal: Deal, instant: datetime) -> dict[str, Any]:
    found = [row for row in versions[deal.opportunity_id] if row["valid_from_at"] <= instant < row["valid_to_at"]]
    assert len(found) == 1
    return found[0]


def by_deal(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    return {str(key[0]): rows.to_dicts() for key, rows in frame.group_by("opportunity_id")}


def instants(random: Random, deal: Deal, until: datetime) -> Iterable[datetime]:
    """Random ones, and both sides of each change."""
    edges = [moment + step for moment, _ in deal.changes for step in (timedelta(0), timedelta(microseconds=-1))]
    several = [BEGIN + timedelta(hours=random.randrange(SPAN_HOURS)) for _ in range(5)]
    return [moment for moment in edges + several if deal.born_at <= moment <= until]


def workspace_in(folder: str) -> Workspace:
    return Workspace(Path(folder) / "workspace")


@FEW
@given(seed=SEEDS, source=st.sampled_from(["fields", "states", "both", "split"]))
def test_versions_replay_the_history_from_any_source(seed: int, source: str) -> None:
    random = Random(seed)
    fields = TRACKED if source == "fields" else STATED
    company = a_company(random, deals=8, fields=fields, empties=source == "fields")
    as_of = random.choice([TODAY, BEGIN + timedelta(hours=random.randrange(24 * 30, SPAN_HOURS))])
    extracted_at = random.choice([None, TODAY])
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_in(folder)
        land(workspace, "stages", STAGES)
        land(workspace, "opportunities", [deal.row(TODAY, extracted_at) for deal in company])
        changes = [row for deal in company for row in deal.field_history(TODAY)]
        states = [row for deal in company for row in deal.state_history(TODAY)]
        if source == "split":  # a stage history in states, the other fields in field history
            changes = [row for row in changes if row["field"] != "stage"]
            states = [
                {key: value for key, value in row.items() if key in ("opportunity_id", "changed_at", "stage")}
                for row in states
            ]
        land_all(workspace, {"opportunity_history": changes if source != "states" else []})
        land_all(workspace, {"opportunity_states": states if source != "fields" else []})
        visible = [deal for deal in company if deal.born_at.date() <= (as_of - timedelta(hours=23.9997)).date()]
        if not visible:
            return
        with prepared(workspace, as_of) as built:
            versions = by_deal(built.versions())
        assert set(versions) == {deal.opportunity_id for deal in visible}
        for deal in visible:
            for instant in instants(random, deal, as_of):
                truth, row = deal.state(instant), version_at(versions, deal, instant)
                assert {name: row[name] for name in TRACKED} == truth, (source, instant, deal)
                assert row["is_closed"] is (truth["stage"] in CLOSED)
                assert row["is_won"] is (truth["stage"] == "Signed")


@FEW
@given(seed=SEEDS)
def test_successive_extracts_become_history(seed: int) -> None:
    """Between extracts a deal is as the last one saw it, until the day it says it closed."""
    random = Random(seed)
    company = a_company(random, deals=8)
    taken = sorted(BEGIN + timedelta(hours=hour) for hour in random.sample(range(24 * 20, SPAN_HOURS), 4))
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_in(folder)
        land(workspace, "stages", STAGES)
        seen: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
        for moment in taken:
            rows = [deal.row(moment, moment) for deal in company if deal.born_at <= moment]
            land_all(workspace, {"opportunities": rows})
            for row in rows:
                seen.setdefault(row["opportunity_id"], []).append((moment, row))
        if not seen:
            return
        with prepared(workspace) as built:
            versions = by_deal(built.versions())
        for deal in company:
            if deal.opportunity_id not in seen:
                continue
            extracts = seen[deal.opportunity_id]
            for instant in instants(random, deal, taken[-1]):
                expected, is_closed = seen_state(extracts, instant, deal)
                row = version_at(versions, deal, instant)
                assert row["is_closed"] is is_closed
                assert row["stage"] == expected["stage"]
                if expected["stage"] is not None:
                    assert row["amount"] == expected["amount"]
                    assert row["owner_id"] == expected["owner_id"]


def seen_state(
    extracts: list[tuple[datetime, dict[str, Any]]], instant: datetime, deal: Deal
) -> tuple[dict[str, Any], bool]:
    """The slow rule: walk the extracts in order, letting a closing take effect from its close date."""
    first = extracts[0][1]
    state = dict(first)
    if first["stage"] in CLOSED:
        state["stage"] = None
    is_closed = False
    previous: tuple[datetime, dict[str, Any]] | None = None
    for moment, row in extracts:
        effective = moment
        if row["stage"] in CLOSED and not (previous and previous[1]["stage"] in CLOSED):
            close = min(at(str(row["close_on"])) + timedelta(seconds=86_399), row["modified_at"], moment)
            floor = previous[0] + timedelta(seconds=1) if previous else at(str(deal.born_at.date()))
            effective = max(close, floor)
        if effective <= instant:
            state, is_closed = dict(row), row["stage"] in CLOSED
        previous = (moment, row)
    return state, is_closed


CONTENT = ("periods", "scopes", "scope_members", "forecast_pairs", "quotas", "deals")


def content(workspace: Workspace, as_of: datetime) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables that hold numbers, and the versions they come from."""
    with prepared(workspace, as_of) as built:
        tables = {name: built.table(name) for name in CONTENT}
        tables["opportunity_versions"] = built.versions()
        tables["digest"] = pl.DataFrame({"digest": [built.input_digest]})
    return {name: sorted(rows.rows(), key=repr) for name, rows in tables.items()}


def everything(random: Random, company: list[Deal], until: datetime, extracted_at: datetime | None) -> dict[str, Any]:
    """All exports of one company as they would be made at ``until``. Draws the same whatever ``until`` is."""
    starts = [day("2026-01-01"), day("2026-04-01"), day("2026-07-01"), day("2026-10-01")]
    calls = [
        {
            "forecaster_id": who,
            "layer": layer,
            "period_start_on": start,
            "category": "commit",
            "submitted_at": at(str(start)) + timedelta(hours=random.randrange(24 * 80)),
            "amount": random.randrange(1_000_000),
            "currency": random.choice(["USD", "EUR", None]),
        }
        for start in starts
        for who, layer in [("ann", "rep"), ("bob", "rep"), ("cid", "rep"), ("mia", "manager")]
        for _ in range(random.randrange(4))
    ]
    people = [
        {"person_id": "mia", "name": "Mia"},
        {"person_id": "max", "name": "Max"},
        *(
            {"person_id": who, "name": who.title(), "manager_id": random.choice(["mia", "max"]), "valid_from_on": since}
            for who in ("ann", "bob", "cid")
            for since in (None, day("2026-05-15"), day("2026-09-01"))
        ),
    ]
    quotas = [
        {"person_id": who, "period_start_on": start, "amount": 1000 + number, "recorded_at": at(str(start)) + delay}
        for start in starts
        for who in ("ann", "bob")
        for number, delay in enumerate([timedelta(days=-5), timedelta(days=random.randrange(60))])
    ]
    rates = [
        {"currency": "EUR", "valid_from_on": start, "rate_to_reporting": Decimal("1.1") + number}
        for number, start in enumerate([day("2025-10-01"), *starts])
    ]
    moments = [(deal.opportunity_id, deal.born_at + timedelta(hours=random.randrange(2000))) for deal in company]
    activities = [{"opportunity_id": key, "occurred_at": moment, "kind": "call"} for key, moment in moments]
    return {
        "stages": STAGES,
        "opportunities": [
            deal.row(until, extracted_at) | {"currency": "EUR" if number % 3 else "USD"}
            for number, deal in enumerate(company)
            if deal.born_at <= until
        ],
        "opportunity_history": [row for deal in company for row in deal.field_history(until)],
        "forecast_submissions": unique(
            [row for row in calls if row["submitted_at"] <= until], INPUT_TABLES["forecast_submissions"].key
        ),
        "people": [row for row in people if row.get("valid_from_on") is None or at(str(row["valid_from_on"])) <= until],
        "quotas": [row for row in quotas if row["recorded_at"] <= until],
        "fx_rates": [row for row in rates if at(str(row["valid_from_on"])) <= until],
        "activities": [row for row in activities if row["occurred_at"] <= until],
    }


def unique(rows: list[dict[str, Any]], key: tuple[str, ...]) -> list[dict[str, Any]]:
    return list({tuple(row[name] for name in key): row for row in rows}.values())


@FEW
@given(seed=SEEDS, days=st.integers(40, 300), says_when=st.booleans())
def test_an_earlier_edition_of_a_full_export_equals_one_of_the_export_made_that_day(
    seed: int, days: int, says_when: bool
) -> None:
    as_of = BEGIN + timedelta(days=days, seconds=-1)
    company = a_company(Random(seed), deals=12)
    with tempfile.TemporaryDirectory() as folder:
        full, truncated = Workspace(Path(folder) / "full"), Workspace(Path(folder) / "truncated")
        land_all(full, everything(Random(seed), company, TODAY, TODAY if says_when else None))
        land_all(truncated, everything(Random(seed), company, as_of, as_of if says_when else None))
        full_content, truncated_content = content(full, as_of), content(truncated, as_of)
        for name in (*CONTENT, "opportunity_versions"):
            assert full_content[name] == truncated_content[name], name


@FEW
@given(seed=SEEDS, days=st.integers(40, 300))
def test_what_was_recorded_later_never_changes_an_earlier_edition(seed: int, days: int) -> None:
    as_of = BEGIN + timedelta(days=days, seconds=-1)
    company = a_company(Random(seed), deals=12)
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_in(folder)
        land_all(workspace, everything(Random(seed), company, as_of, as_of))
        before = content(workspace, as_of)
        land_all(workspace, everything(Random(seed), company, TODAY, TODAY))
        assert content(workspace, as_of) == before
        assert content(workspace, TODAY) != before


def small_deal(**more: Any) -> dict[str, Any]:
    return {
        "opportunity_id": "d1",
        "owner_id": "ann",
        "created_on": "2026-01-05",
        "close_on": "2026-06-30",
        "stage": "Proposal",
        "amount": 100,
    } | more


def the_versions(workspace: Workspace, *columns: str, as_of: str | None = None) -> list[tuple[Any, ...]]:
    with prepared(workspace, as_of) as built:
        rows: list[tuple[Any, ...]] = built.versions().select(columns).rows()
    return rows


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_a_deal_won_without_history_was_open_in_an_unknown_stage_until_it_closed(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(stage="Engaging", is_won=True, is_closed=True)])
    assert the_versions(workspace, "valid_from_at", "stage", "is_closed", "is_won") == [
        (at("2026-01-05"), None, False, False),
        (at("2026-06-30 23:59:59"), "Engaging", True, True),
    ]
    assert the_versions(workspace, "stage", "is_won", as_of="2026-06-01") == [(None, False)]


def test_what_closes_a_deal_when_no_stages_are_listed(workspace: Workspace) -> None:
    cases: list[tuple[str, dict[str, bool], bool, bool]] = [
        ("Closed Won", {}, True, True),
        ("closedwon", {}, True, True),
        ("Closed - Lost", {}, True, False),
        ("No decision", {}, True, False),
        ("Handover", {}, False, False),
        ("Handover", {"is_won": True}, True, True),
        ("Won", {"is_closed": True, "is_won": False}, True, False),
        ("Closed Won", {"is_closed": False, "is_won": False}, False, False),
    ]
    rows = [
        small_deal(opportunity_id=f"d{number}", stage=stage, modified_at="2026-07-01", **flags)
        for number, (stage, flags, _, _) in enumerate(cases)
    ]
    land(workspace, "opportunities", rows)
    found = {
        key: (closed, won) for key, closed, won in the_versions(workspace, "opportunity_id", "is_closed", "is_won")
    }
    assert found == {f"d{number}": (closed, won) for number, (_, _, closed, won) in enumerate(cases)}


def test_a_listed_stage_decides_for_the_past_and_the_rows_own_flags_for_now(workspace: Workspace) -> None:
    land(workspace, "stages", STAGES)
    land(
        workspace, "opportunities", [small_deal(stage="Signed", is_closed=True, is_won=False, modified_at="2026-07-02")]
    )
    land(
        workspace,
        "opportunity_history",
        [
            {
                "opportunity_id": "d1",
                "changed_at": "2026-05-05",
                "field": "stage",
                "old_value": "Proposal",
                "new_value": "Signed",
            }
        ],
    )
    assert the_versions(workspace, "stage", "is_won") == [("Proposal", False), ("Signed", True)]


def test_a_bad_value_in_history_is_ignored_for_its_field_and_kept_as_rejected(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(extracted_at="2026-09-01")])
    change = {"opportunity_id": "d1", "changed_at": "2026-05-05"}
    land(
        workspace,
        "opportunity_history",
        [
            change | {"field": "amount", "old_value": "80", "new_value": "a lot"},
            change | {"field": "close_on", "old_value": "2026-03-31", "new_value": "31.06.2026"},
            change | {"field": "forecast_category", "old_value": None, "new_value": "commit"},
            change | {"field": "account_id", "old_value": "x", "new_value": "y"},
        ],
    )
    with prepared(workspace) as built:
        rejected = built.table("rejected_rows")
        status = {row["table_name"]: row for row in built.table("table_status").to_dicts()}
        versions = built.versions()
    assert sorted(rejected.select("rule", "column_name", "value", "line").rows()) == [
        ("history_value", "amount", "a lot", 2),
        ("history_value", "close_on", "31.06.2026", 3),
    ]
    assert status["opportunity_history"]["rejected_count"] == 2
    assert set(versions["amount"]) == {Decimal("100.00")}
    assert versions["forecast_category"].to_list()[:2] == [None, "commit"]


def test_a_deleted_deal_was_there_until_it_was_last_modified(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(is_deleted=True, modified_at="2026-04-01 10:00")])
    assert the_versions(workspace, "valid_from_at", "is_deleted") == [
        (at("2026-01-05"), False),
        (at("2026-04-01 10:00"), True),
    ]


def test_amounts_are_converted_at_the_rate_of_the_close_once_closed(workspace: Workspace) -> None:
    rates = [("USD", "2026-01-01", "1"), ("EUR", "2026-01-01", "1.10"), ("EUR", "2026-04-01", "1.20")]
    rates += [("EUR", "2026-07-01", "1.255")]
    names = ("currency", "valid_from_on", "rate_to_reporting")
    land(workspace, "fx_rates", [dict(zip(names, row, strict=True)) for row in rates])
    land(
        workspace,
        "opportunities",
        [
            small_deal(amount="10.02", currency="EUR", stage="Won", close_on="2026-07-10", modified_at="2026-07-11"),
            small_deal(opportunity_id="d2", currency="JPY", modified_at="2026-07-12"),
        ],
    )
    with prepared(workspace) as built:
        assert built.reporting_currency == "USD"
        rows = built.versions().select("opportunity_id", "reporting_amount", "is_won").rows()
    # Open since 5 January: 10.02 × 1.10 = 11.022. Won in July: 10.02 × 1.255 = 12.5751. No rate for yen.
    assert rows == [("d1", Decimal("11.02"), False), ("d1", Decimal("12.58"), True), ("d2", None, False)]


def test_cents_are_rounded_half_away_from_zero(workspace: Workspace) -> None:
    """At 0.5: 10.01 → 5.005 → 5.01, and −10.01 → −5.01; 10.02 → 5.01 exactly."""
    rates = [("EUR", "0.5"), ("USD", "1")]
    land(workspace, "fx_rates", [
        {"currency": currency, "valid_from_on": "2026-01-01", "rate_to_reporting": rate} for currency, rate in rates
    ])  # fmt: skip
    amounts = ("10.01", "-10.01", "10.02")
    land(workspace, "opportunities", [
        small_deal(opportunity_id=f"d{number}", amount=amount, currency="EUR") for number, amount in enumerate(amounts)
    ])  # fmt: skip
    assert the_versions(workspace, "reporting_amount") == [(Decimal("5.01"),), (Decimal("-5.01"),), (Decimal("5.01"),)]


def test_an_amount_of_billions_is_converted_exactly_and_one_beyond_all_digits_has_no_amount(
    workspace: Workspace,
) -> None:
    names = ("currency", "valid_from_on", "rate_to_reporting")
    rates = [("EUR", "2026-01-01", "1.23456789"), ("USD", "2026-01-01", "1")]
    land(workspace, "fx_rates", [dict(zip(names, row, strict=True)) for row in rates])
    amounts = ("99999999999.99", "9999999999999999.99")
    land(workspace, "opportunities", [
        small_deal(opportunity_id=f"d{number}", amount=amount, currency="EUR") for number, amount in enumerate(amounts)
    ])  # fmt: skip
    assert the_versions(workspace, "reporting_amount") == [(Decimal("123456788999.99"),), (None,)]


def test_the_as_of_defaults_to_the_latest_record_and_ignores_plans(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(stage="Won", close_on="2099-12-31", modified_at="2026-07-11 09:00")])
    land(workspace, "fx_rates", [{"currency": "USD", "valid_from_on": "2027-01-01", "rate_to_reporting": "1"}])
    land(workspace, "quotas", [{"person_id": "ann", "period_start_on": "2027-01-01", "amount": 1}])
    with prepared(workspace) as built:
        assert built.as_of_at == at("2026-07-11 09:00")


def test_without_stamps_the_last_won_deal_dates_the_data(workspace: Workspace) -> None:
    won = small_deal(stage="x", is_won=True, close_on="2026-06-30")
    land(workspace, "opportunities", [won, small_deal(opportunity_id="d2", close_on="2027-02-01")])
    with prepared(workspace) as built:
        assert built.as_of_at == at("2026-06-30 23:59:59")


def test_an_as_of_before_everything_says_when_records_begin(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal()])
    with (
        pytest.raises(EditionError, match=r"Nothing was known at 2020-01-01 00:00: .* 2026-01-05") as caught,
        prepared(workspace, "2020-01-01"),
    ):
        pass
    assert "--as-of" in caught.value.remedy


def test_nothing_dated_is_said(workspace: Workspace) -> None:
    land(workspace, "stages", STAGES)
    with pytest.raises(EditionError, match="Nothing with a date has landed"), prepared(workspace):
        pass


def test_a_damaged_landing_stops_the_build(workspace: Workspace) -> None:
    workspace.create()
    workspace.landing.write_bytes(b"not a database" * 1000)
    with pytest.raises(WorkspaceError, match=r"landing\.duckdb"), prepared(workspace):
        pass


def test_a_landing_with_a_damaged_block_is_named_and_not_called_a_fault_of_the_program(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(stage="Won", modified_at="2026-07-11")])
    content = bytearray(workspace.landing.read_bytes())
    for place in range(12_288 + 100, len(content), 1_000):
        content[place] ^= 0xFF
    workspace.landing.write_bytes(bytes(content))
    with pytest.raises(WorkspaceError, match=r"landing\.duckdb cannot be read"), prepared(workspace):
        pass


def test_each_invariant_fails_on_a_planted_offence(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(stage="Won", modified_at="2026-07-11")])
    offences = {
        "versions follow one another without gap or overlap": (
            "opportunity_versions",
            "update opportunity_versions set valid_to_at = '2026-08-01'",
        ),
        "every visible opportunity has a version": ("opportunity_versions", "delete from opportunity_versions"),
        "no version is newer than the as-of": ("constants", "update constants set as_of_at = '2026-01-06'"),
        "what owners won sums to what the company won": ("won_by_period", "update won_by_period set owners_amount = 1"),
        "no deal is won twice": ("won_deals", "insert into won_deals select * from won_deals"),
        "everybody in the hierarchy hangs under the company": ("scopes", "delete from scopes where scope = 'ann'"),
    }
    assert set(offences) == set(INVARIANTS)
    with prepared(workspace) as built:
        for table in ("opportunity_versions", "won_deals"):
            built.engine.con.execute(f"drop view {table}; create table {table} as select * from kept.main.{table}")
        assert all(invariant.ok for invariant in built.check())
        for name, (table, offence) in offences.items():
            built.engine.con.execute(f"create or replace table sound as select * from {table}")
            built.engine.con.execute(offence)
            assert name in [invariant.name for invariant in built.check() if not invariant.ok]
            built.engine.con.execute(f"create or replace table {table} as select * from sound")
        assert all(invariant.ok for invariant in built.check())


STATEMENTS = sorted(path.name for path in resources.files("pipelines.warehouse").joinpath("sql").iterdir())


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_opens_with_its_grain_and_takes_values_by_name_alone(name: str) -> None:
    text = resources.files("pipelines.warehouse").joinpath("sql", name).read_text(encoding="utf-8")
    assert text.startswith("-- One row"), "the first line states the grain"
    assert re.search(r"^with ", text, re.MULTILINE), "import and logic in named steps"
    assert "final as (" in text
    assert "{" not in text
    assert "%s" not in text
    for unwanted in ("qualify", "asof", "ignore nulls", "stddev", "regr_", "quantile", "median(", "avg("):
        assert unwanted not in text.lower(), unwanted


def test_every_statement_binds_against_empty_contract_tables(tmp_path: Path) -> None:
    """An empty landing with one deal that fixes the as-of runs every statement; nothing else is there."""
    workspace = Workspace(tmp_path / "workspace")
    land(workspace, "opportunities", [small_deal()])
    used: set[str] = set()
    original = history.statement

    def noted(name: str) -> str:
        used.add(f"{name}.sql")
        return original(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "statement", noted)
        with prepared(workspace) as built:
            for name in PUBLISHED_TABLES:
                if name in built.tables():
                    assert built.table(name).schema == pl.Schema(frame_schema(PUBLISHED_TABLES[name]))
            assert deal_states(built, [0, 3], DEFAULT_POLICY).is_empty()  # the one deal is due in a later period
    # Statements of other modules than history are bound by those modules' own tests; all must be somebody's.
    sources = [
        path.read_text(encoding="utf-8")
        for path in resources.files("pipelines.warehouse").iterdir()
        if path.name.endswith(".py")
    ]
    named = {f"{name}.sql" for source in sources for name in re.findall(r"""["']([a-z_]+)["']""", source)}
    assert set(STATEMENTS) - used <= named


def test_a_statement_that_names_an_unknown_column_does_not_bind() -> None:
    con = duckdb.connect()
    con.execute("create table calendar (period_index BIGINT, period_start_on DATE)")
    with pytest.raises(duckdb.BinderException):
        con.execute(f"explain {history.statement('calendar_days')}")


def test_settings_override_what_the_data_suggest(workspace: Workspace) -> None:
    land(workspace, "opportunities", [small_deal(currency="EUR")])
    workspace.settings_file.write_text('reporting_currency = "CHF"\nperiod_kind = "month"\n')
    with prepared(workspace) as built:
        assert (built.reporting_currency, built.period_kind) == ("CHF", "month")
        assert built.table("periods")["label"].to_list() == ["Jan 2026"]


def test_limits_from_settings_reach_the_database(workspace: Workspace, tmp_path: Path) -> None:
    land(workspace, "opportunities", [small_deal()])
    limits = Settings(memory_limit="300MB", threads=1)
    with history.build(workspace, None, DEFAULT_POLICY, limits, tmp_path) as built:
        assert built.engine.con.execute("select current_setting('threads')").fetchall() == [(1,)]


def test_the_versions_of_a_deal_meet(workspace: Workspace) -> None:
    land_all(workspace, everything(Random(5), a_company(Random(5), deals=15), TODAY, TODAY))
    with prepared(workspace) as built:
        for rows in by_deal(built.versions()).values():
            assert all(before["valid_to_at"] == after["valid_from_at"] for before, after in pairwise(rows))
            assert rows[-1]["valid_to_at"] == at("9999-12-31")
