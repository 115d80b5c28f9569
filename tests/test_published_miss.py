"""Misses and the tie-out end to end, from landed rows to an edition: a company made by hand, and a simulated one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef
from tests.warehouse_help import at, land_all

Q3 = date(2026, 7, 1)
NEVER_NULL = ("ok", "no_call")


# By hand


def opened(
    key: str, owner: str = "ann", amount: object = 100, close_on: str = "2026-09-10", **more: Any
) -> dict[str, Any]:
    """An opportunity as it stood at the lock, for ``opportunity_states``."""
    return {
        "opportunity_id": key,
        "changed_at": "2026-06-20 09:00",
        "stage": "Proposal",
        "amount": amount,
        "close_on": close_on,
        "forecast_category": "commit",
        "owner_id": owner,
    } | more


def now(key: str, stage: str, owner: str = "ann", amount: object = 100, **more: Any) -> dict[str, Any]:
    """The same at the export."""
    return {
        "opportunity_id": key,
        "owner_id": owner,
        "created_on": "2026-06-10",
        "close_on": "2026-09-10",
        "stage": stage,
        "amount": amount,
        "account_name": f"Account {key}",
        "forecast_category": "closed" if stage == "Closed Won" else "omitted",
        "modified_at": "2026-09-10 12:00",
    } | more


def ended(key: str, stage: str, owner: str = "ann", amount: object = 100, on: str = "2026-09-10") -> dict[str, Any]:
    return opened(key, owner, amount, on, changed_at=f"{on} 10:00", stage=stage, forecast_category=None)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> EditionRef:
    """Ann called 350, Bob 200; their manager Mo 500. Euros at 1.10 at the lock, 1.20 from September."""
    workspace = Workspace(tmp_path_factory.mktemp("by-hand") / "workspace")
    land_all(
        workspace,
        {
            "opportunities": [
                now("won", "Closed Won", amount=120),
                now("lost", "Closed Lost"),
                now("silent", "Closed Lost", outcome_reason="No decision"),
                now("open", "Proposal", close_on="2026-12-10", forecast_category="commit"),
                now("euro", "Closed Won", "bob", 100, currency="EUR"),
                now("early", "Closed Won", "bob", 30),
            ],
            "opportunity_states": [
                opened("won"),
                ended("won", "Closed Won", amount=120),
                opened("lost"),
                ended("lost", "Closed Lost"),
                opened("silent"),
                ended("silent", "Closed Lost"),
                opened("open"),
                opened("open", changed_at="2026-09-20 10:00", close_on="2026-12-10"),
                opened("euro", "bob"),
                ended("euro", "Closed Won", "bob"),
                opened("early", "bob", 30, "2026-11-10"),
                ended("early", "Closed Won", "bob", 30),
            ],
            "forecast_submissions": [
                {
                    "forecaster_id": who,
                    "layer": layer,
                    "period_start_on": "2026-07-01",
                    "category": "commit",
                    "submitted_at": "2026-07-10 10:00",
                    "amount": amount,
                }
                for who, layer, amount in (("ann", "rep", 350), ("bob", "rep", 200), ("mo", "manager", 500))
            ],
            "people": [
                {"person_id": "mo", "name": "Mo"},
                {"person_id": "ann", "name": "Ann", "manager_id": "mo", "team": "East"},
                {"person_id": "bob", "name": "Bob", "manager_id": "mo", "team": "West"},
            ],
            "fx_rates": [
                {"currency": "USD", "valid_from_on": "2020-01-01", "rate_to_reporting": 1},
                {"currency": "EUR", "valid_from_on": "2020-01-01", "rate_to_reporting": "1.10"},
                {"currency": "EUR", "valid_from_on": "2026-09-01", "rate_to_reporting": "1.20"},
            ],
            "bookings": [
                {"booking_id": "B1", "booked_on": "2026-09-12", "amount": 120, "opportunity_id": "won"},
                {"booking_id": "B2", "booked_on": "2026-10-02", "amount": 30, "account_name": "ACCOUNT early, Inc."},
                {"booking_id": "B3", "booked_on": "2026-09-12", "amount": 55, "account_name": "Nobody"},
                {
                    "booking_id": "B3",
                    "booked_on": "2026-09-12",
                    "amount": 50,
                    "account_name": "Nobody",
                    "recorded_at": "2026-09-30",
                },
                {"booking_id": "B4", "booked_on": "2026-09-15", "amount": 9, "currency": "GBP"},
            ],
        },
    )
    return runs.publish(workspace, Silent(), as_of=at("2026-10-20 23:59:59"))


def steps(ref: EditionRef, scope: str, layer: str = "rep") -> dict[str, float]:
    rows = editions.read(ref, "miss_attribution", where={"scope": scope, "layer": layer, "period_start_on": Q3})
    told = {cause: float(amount) for cause, amount in rows.select("cause", "amount").iter_rows() if amount}
    first = rows.row(0, named=True)
    return {"call": float(first["call_amount"]), **told, "landed": float(first["actual_amount"])}


def test_a_bridge_by_pencil(by_hand: EditionRef) -> None:
    """Roll-up: four of Ann's at 100, Bob's euro deal at 110; it closes in September at 120, 10 of that by the rate."""
    assert steps(by_hand, "ann") == {
        "call": 350,
        "judgement": 50,
        "grew": 20,
        "lost": -100,
        "no_decision": -100,
        "pushed_out": -100,
        "landed": 120,
    }
    assert steps(by_hand, "bob") == {"call": 200, "judgement": -90, "pulled_in": 30, "currency": 10, "landed": 150}
    company = {"grew": 20, "lost": -100, "no_decision": -100, "pushed_out": -100, "pulled_in": 30, "currency": 10}
    assert steps(by_hand, "company") == {"call": 550, "judgement": -40, **company, "landed": 270}
    assert steps(by_hand, "mo", "manager") == {"call": 500, "judgement": 10, **company, "landed": 270}
    standing = editions.read(by_hand, "miss_attribution", where={"scope": "company", "is_standing": True})
    assert set(standing["layer"]) == {"manager"}


def test_the_books_by_pencil(by_hand: EditionRef) -> None:
    rows = {row["record_id"]: row for row in editions.read(by_hand, "reconciliation").iter_rows(named=True)}
    assert {key: row["break_kind"] for key, row in rows.items()} == {
        "won": "matched",
        "early": "timing",
        "euro": "awaiting",
        "B3": "missing_in_crm",
        "B4": "no_amount",
    }
    assert rows["B3"]["booked_amount"] == Decimal("50.00"), "what was recorded again replaces what was recorded before"
    assert rows["euro"]["crm_amount"] == Decimal("120.00")
    assert rows["B4"]["booked_amount"] is None
    ledger = editions.read(by_hand, "reconciliation_totals", where={"break_kind": "ledger"}).row(0, named=True)
    assert (ledger["crm_amount"], ledger["booked_amount"], ledger["unvalued_count"]) == (270, 200, 1)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("update miss_attribution set amount = amount + 0.01 where cause = 'lost' and scope = 'ann'", "a call and its"),
        (
            "update miss_attribution set amount = amount - 1, actual_amount = actual_amount - 1 "
            "where cause = 'lost' and scope = 'ann'",
            "a call and its",
        ),
        (
            "update miss_attribution set actual_amount = actual_amount + 1, call_amount = call_amount + 1 "
            "where scope = 'ann'",
            "a bridge ends",
        ),
        ("update attribution_cut set amount = amount + 1 where cause = 'lost' and cut = 'team'", "the parts of a cut"),
        (
            "insert into miss_explained select period_start_on, period_start_on, week_of_period, scope, cause, 'data', "
            "amount - 0.01, amount, amount, 1 from miss_attribution where cause = 'lost' and scope = 'company' limit 1",
            "what explains a miss",
        ),
        ("delete from reconciliation where record_id = 'B3'", "the tie-out holds"),
        ("update reconciliation_totals set crm_amount = crm_amount + 0.01 where break_kind = 'ledger'", "the tie-out"),
    ],
)
def test_a_planted_cent_is_found(by_hand: EditionRef, tmp_path: Path, change: str, broken: str) -> None:
    altered = replace(by_hand, path=Path(shutil.copy(by_hand.path, tmp_path)))
    altered.path.chmod(0o600)
    with duckdb.connect(str(altered.path)) as con:
        con.execute(change)
    failed = [finding.name for finding in editions.verify(altered) if not finding.ok]
    assert any(name.startswith(broken) for name in failed), failed


def test_a_next_step_at_the_lock_is_what_was_written_down_by_then_or_unknown(tmp_path: Path) -> None:
    """From recorded changes, from an extract taken by then, or not known: never from a later export."""

    def value(name: str, **more: list[dict[str, Any]]) -> str | None:
        workspace = Workspace(tmp_path / name)
        call = {"forecaster_id": "ann", "layer": "rep", "period_start_on": "2026-07-01", "category": "commit"}
        tables: dict[str, list[dict[str, Any]]] = {
            "opportunities": [now("lost", "Closed Lost")],
            "opportunity_states": [
                opened("lost"),
                opened("lost", changed_at="2026-06-25 09:00", close_on="2026-09-11"),
                ended("lost", "Closed Lost"),
            ],
            "forecast_submissions": [call | {"amount": 90, "submitted_at": "2026-07-10 10:00"}],
            "people": [{"person_id": "ann", "name": "Ann"}],
        }
        land_all(workspace, tables | more)
        ref = runs.publish(workspace, Silent(), as_of=at("2026-10-20 23:59:59"))
        cut = editions.read(ref, "attribution_cut", where={"cut": "next_step", "cause": "lost"})
        (found,) = cut.filter(pl.col("amount") != 0)["value"].to_list()
        return None if found is None else str(found)

    change = {"opportunity_id": "lost", "field": "next_step"}
    cleared = change | {"changed_at": "2026-07-05 10:00", "old_value": "Demo", "new_value": None}
    later = change | {"changed_at": "2026-09-05 10:00", "old_value": "Demo", "new_value": None}
    other = change | {"opportunity_id": "x", "changed_at": "2026-07-01 10:00", "old_value": None, "new_value": "Call"}
    by_then = now("lost", "Proposal", next_step="Demo", extracted_at="2026-07-15 10:00", forecast_category="commit")
    at_the_end = now("lost", "Closed Lost", extracted_at="2026-10-10 10:00")
    assert value("nowhere") is None
    assert value("cleared", opportunity_history=[cleared]) == "no next step"
    assert value("cleared-later", opportunity_history=[later, other]) == "a next step"
    assert value("extracted", opportunities=[by_then, at_the_end]) == "a next step"
    assert value(
        "extracted-without", opportunities=[by_then | {"next_step": None}, at_the_end | {"next_step": "x"}]
    ) == ("no next step")
    assert value("extracted-later", opportunities=[at_the_end | {"next_step": "Demo"}]) is None


def test_without_a_history_of_deals_no_miss_is_explained_by_hindsight(tmp_path: Path) -> None:
    """The last export knows that the deal was won: bridged from it, the call would have known so too."""
    workspace = Workspace(tmp_path / "workspace")
    call = {"forecaster_id": "ann", "layer": "rep", "period_start_on": "2026-07-01", "category": "commit", "amount": 90}
    tables: dict[str, list[dict[str, Any]]] = {
        "opportunities": [now("won", "Closed Won"), now("lost", "Closed Lost")],
        "forecast_submissions": [call | {"submitted_at": "2026-07-10 10:00"}],
        "people": [{"person_id": "ann", "name": "Ann"}],
    }
    land_all(workspace, tables)
    as_of = at("2026-10-20 23:59:59")
    assert editions.read(runs.publish(workspace, Silent(), as_of=as_of), "miss_attribution").is_empty()
    change = {"opportunity_id": "won", "field": "close_on", "old_value": "2026-11-10", "new_value": "2026-09-10"}
    late = Workspace(tmp_path / "late")
    land_all(late, tables | {"opportunity_history": [change | {"changed_at": "2026-09-09 10:00"}]})
    assert editions.read(runs.publish(late, Silent(), as_of=as_of), "miss_attribution").is_empty()
    known = Workspace(tmp_path / "known")
    other = {"opportunity_id": "lost", "field": "close_on", "old_value": "2026-12-01", "new_value": "2026-09-10"}
    land_all(
        known,
        tables
        | {
            "opportunity_history": [
                change | {"changed_at": "2026-09-09 10:00"},
                other | {"changed_at": "2026-07-01 10:00"},
            ]
        },
    )
    ref = runs.publish(known, Silent(), as_of=as_of)
    assert steps(ref, "ann") == {"call": 90, "judgement": -90, "pulled_in": 100, "landed": 100}
    assert set(editions.read(ref, "miss_attribution")["rollup_basis"]) == {"none"}


def test_deals_without_calls_and_sheets_without_deals_have_no_miss(tmp_path: Path) -> None:
    deals = Workspace(tmp_path / "deals")
    land_all(deals, {"opportunities": [now("won", "Closed Won")]})
    sheet = Workspace(tmp_path / "sheet")
    record = {"forecaster_id": "ann", "period_start_on": "2026-01-01", "forecast_amount": 5, "actual_amount": 4}
    land_all(sheet, {"forecast_records": [record]})
    for workspace in (deals, sheet):
        ref = runs.publish(workspace, Silent())
        for table in ("miss_attribution", "miss_deals", "attribution_cut", "luck", "reconciliation"):
            assert editions.read(ref, table).is_empty(), table
        assert all(finding.ok for finding in editions.verify(ref))


# Simulated


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("company") / "workspace")
    runs.demo(workspace, Silent(), reps=12, quarters=7, seed=5)
    return workspace


@pytest.fixture(scope="module")
def ref(company: Workspace) -> EditionRef:
    found = editions.current(company)
    assert found is not None
    return found


def test_no_bridge_of_the_simulated_company_leaves_a_cent(ref: EditionRef) -> None:
    table = editions.read(ref, "miss_attribution")
    assert set(table["status"]) <= set(NEVER_NULL)
    told = table.filter(pl.col("status") == "ok")
    sums = told.group_by("period_start_on", "scope", "layer").agg(
        residual=pl.col("call_amount").first() + pl.col("amount").sum() - pl.col("actual_amount").first()
    )
    assert sums.height > 100
    assert set(sums["residual"]) == {Decimal("0.00")}
    periods = editions.read(ref, "periods").filter(pl.col("status") == "closed")
    assert set(told["period_start_on"]) == set(periods["period_start_on"])
    kinds = editions.read(ref, "scopes").select("scope", "scope_kind")
    assert set(told.join(kinds, on="scope")["scope_kind"]) == {"company", "executive", "manager", "rep"}


def test_every_bridge_ends_at_the_actual_that_the_callers_are_measured_by(ref: EditionRef) -> None:
    """Reps and managers alike: the pair's call and actual are the bridge's, on every layer that stands for a person."""
    pairs = editions.read(ref, "forecast_pairs", where={"category": "commit", "week_of_period": ref.lock_week})
    standing = editions.read(ref, "miss_attribution", where={"is_standing": True, "cause": "lost", "status": "ok"})
    both = standing.join(
        pairs.filter(pl.col("status") == "closed"),
        left_on=["scope", "layer", "period_start_on"],
        right_on=["forecaster_id", "layer", "period_start_on"],
        suffix="_of_pair",
    )
    assert set(both["layer"]) == {"rep", "manager", "executive"}
    assert both.filter(pl.col("actual_amount") != pl.col("actual_amount_of_pair")).is_empty()
    assert both.filter(pl.col("call_amount") != pl.col("forecast_amount")).is_empty()


def test_the_companys_actual_is_everything_won(ref: EditionRef) -> None:
    """The company's bridge against the rows of the tie-out: the same won deals, counted another way."""
    won = editions.read(ref, "reconciliation", where={"record_kind": "opportunity"})
    landed = dict(won.group_by("period_start_on").agg(pl.col("crm_amount").sum()).iter_rows())
    company = editions.read(ref, "miss_attribution", where={"scope": "company", "layer": "rep", "cause": "lost"})
    assert company.height >= 7
    for start, actual in company.select("period_start_on", "actual_amount").iter_rows():
        assert landed[start] == actual


def test_the_listed_steps_are_the_bridges_own(ref: EditionRef) -> None:
    """No period of so small a company has more steps than are listed: their sums are the causes' amounts."""
    listed = editions.read(ref, "miss_deals").group_by("period_start_on", "cause").agg(pl.col("amount").sum())
    bridge = editions.read(ref, "miss_attribution", where={"scope": "company", "layer": "rep"})
    both = bridge.filter(~pl.col("cause").is_in(["judgement", "transferred"])).join(
        listed, on=["period_start_on", "cause"], how="left", suffix="_listed"
    )
    assert both.filter(pl.col("amount") != pl.col("amount_listed").fill_null(Decimal(0))).is_empty()


def test_the_planted_breaks_of_the_books_are_found(company: Workspace, ref: EditionRef) -> None:
    """Finance's file read by itself: deals it does not name are missing, deals it names at another sum differ."""
    raw = pl.read_csv(company.root / "simulated" / "bookings.csv", infer_schema=False).unique("booking_id")
    known = raw.with_columns(pl.col("amount").cast(pl.Float64, strict=False)).drop_nulls("amount")
    rows = editions.read(ref, "reconciliation", where={"record_kind": "opportunity"})
    named = (
        known.drop_nulls("opportunity_id")
        .group_by("opportunity_id")
        .agg(booked=pl.col("amount").sum(), credits=(pl.col("amount") < 0).any())
    )
    nameless = known.filter(pl.col("opportunity_id").is_null())["account_name"].unique().to_list()
    absent = rows.join(named, on="opportunity_id", how="anti").filter(~pl.col("account_name").is_in(nameless))
    assert absent.height > 5
    assert set(absent["break_kind"]) == {"missing_in_finance", "awaiting"}
    deals = pl.read_csv(company.root / "simulated" / "Opportunity.csv", infer_schema=False, truncate_ragged_lines=True)
    amounts = deals.select(opportunity_id="Id", own=pl.col("Amount").cast(pl.Float64, strict=False)).drop_nulls()
    seen = rows.join(named, on="opportunity_id").join(
        amounts.unique("opportunity_id", keep="last"), on="opportunity_id"
    )
    short = seen.filter((pl.col("own") - pl.col("booked")).abs() > 0.02 * pl.col("own"), ~pl.col("credits"))
    alike = seen.filter((pl.col("own") - pl.col("booked")).abs() < 0.001 * pl.col("own"), ~pl.col("credits"))
    assert short.height > 5
    assert alike.height > 100
    assert set(short["break_kind"]) == {"partial", "amount"}
    assert set(alike["break_kind"]) <= {"matched", "timing", "rate"}
    credited = seen.filter(pl.col("credits") & (pl.col("own") - pl.col("booked") > 0.02 * pl.col("own")))
    assert credited.height > 1
    assert not {"matched", "timing"} & set(credited["break_kind"])


def test_both_ledgers_are_whole(ref: EditionRef) -> None:
    rows = editions.read(ref, "reconciliation")
    totals = editions.read(ref, "reconciliation_totals")
    ledger = totals.filter(pl.col("break_kind") == "ledger").row(0, named=True)
    for side in ("crm_amount", "booked_amount"):
        assert rows[side].sum() == ledger[side]
    assert ledger["crm_amount"] > ledger["booked_amount"] > 0


def test_the_cuts_of_the_simulated_company_name_its_teams_and_sources(ref: EditionRef) -> None:
    cuts = editions.read(ref, "attribution_cut")
    teams = cuts.filter(pl.col("cut") == "team")["value"].drop_nulls().unique()
    assert teams.len() >= 2
    assert set(cuts.filter(pl.col("cut") == "sales_motion")["value"]) == {"transactional", "consultative"}
    assert {"inherited", "created by its owner"} <= set(cuts.filter(pl.col("cut") == "origin")["value"])
    tied = cuts.group_by("period_start_on", "cut", "value").agg(
        pl.col("rollup_amount").first() + pl.col("amount").sum() - pl.col("actual_amount").first()
    )
    assert set(tied["rollup_amount"]) == {Decimal("0.00")}


def test_an_earlier_as_of_gives_the_same_misses_as_it_gave_then(company: Workspace, ref: EditionRef) -> None:
    """Nothing that happened after a period's freeze changes its bridge."""
    current = editions.read(ref, "miss_attribution")
    starts = sorted(set(current["period_start_on"]))
    middle = starts[len(starts) // 2]
    after = next(start for start in starts if start > middle)
    as_of = at(str(after)).replace(day=20, hour=23, minute=59, second=59)
    earlier = editions.read(runs.publish(company, Silent(), as_of=as_of), "miss_attribution")
    runs.publish(company, Silent())
    common = earlier.filter(pl.col("period_start_on") <= middle)
    key = ["period_start_on", "scope", "layer", "cause"]
    both = common.join(current, on=key, suffix="_now")
    assert both.height > 500
    assert both.filter(pl.col("amount").ne_missing(pl.col("amount_now"))).is_empty()
