"""Forecast pairs: which call was in force, what landed, for whom; each case small enough for a pencil."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.settings import Settings, Workspace
from pipelines.warehouse.calendar import decide_calendar
from tests.warehouse_help import at, day, land, prepared

AFTER = "2026-10-08"
"""Q3 2026 ends on 30 September and is frozen at the end of 7 October."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def call(who: str = "ann", submitted_at: str = "2026-07-02 10:00", amount: object = 100, **more: Any) -> dict[str, Any]:
    return {
        "forecaster_id": who,
        "layer": "rep",
        "period_start_on": "2026-07-01",
        "category": "commit",
        "submitted_at": submitted_at,
        "amount": amount,
    } | more


def won(key: str, owner: str = "ann", amount: object = 80, close_on: str = "2026-08-15", **more: Any) -> dict[str, Any]:
    return {
        "opportunity_id": key,
        "owner_id": owner,
        "created_on": "2026-06-01",
        "close_on": close_on,
        "stage": "Closed Won",
        "amount": amount,
        "modified_at": close_on,
    } | more


def person(who: str, manager: str | None = None, since: str | None = None, **more: Any) -> dict[str, Any]:
    return {"person_id": who, "name": who.title(), "manager_id": manager, "valid_from_on": since} | more


def pairs(workspace: Workspace, as_of: str | None = AFTER, **where: Any) -> list[dict[str, Any]]:
    """Rows of forecast_pairs in order; of the lock week unless another is asked for."""
    with prepared(workspace, as_of) as built:
        rows: pl.DataFrame = built.table("forecast_pairs")
    wanted = {"week_of_period": 3, **where}
    rows = rows.filter(*(pl.col(name) == value for name, value in wanted.items() if value is not None))
    return rows.sort("layer", "forecaster_id", "period_start_on", "category", "week_of_period").to_dicts()


def amounts(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        None if row[name] is None else float(row[name]) for name in ("forecast_amount", "actual_amount", "error_amount")
    )


def test_a_call_that_ran_high_has_a_positive_error(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1"), won("2", amount="5.50"), won("3", owner="bob", amount=999)])
    (row,) = pairs(workspace)
    assert amounts(row) == (100.0, 85.5, 14.5)
    assert (row["status"], row["won_count"], row["source"]) == ("closed", 2, "submissions")
    assert row["horizon_days"] == 70  # 22 July to 30 September


def test_the_call_in_force_at_each_weeks_end(workspace: Workspace) -> None:
    """Week 0 ends with 1 July, week w with 1 July + 7w days; a call after the lock changes later weeks alone."""
    land(
        workspace,
        "forecast_submissions",
        [
            call(submitted_at="2026-07-01 23:59:59", amount=10),
            call(submitted_at="2026-07-22 23:59:59", amount=30),
            call(submitted_at="2026-07-23 00:00:00", amount=40),
            call(submitted_at="2026-10-02", amount=99),
        ],
    )
    land(workspace, "opportunities", [won("1")])
    rows = pairs(workspace, week_of_period=None)
    assert [row["week_of_period"] for row in rows] == list(range(13))
    assert [float(row["forecast_amount"]) for row in rows] == [10, 10, 10, 30, *[40] * 9]
    assert [row["horizon_days"] for row in rows][:2] == [91, 84]


def test_before_the_first_call_there_is_no_call(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call(submitted_at="2026-07-10")])
    land(workspace, "opportunities", [won("1")])
    first, second = pairs(workspace, week_of_period=None)[:2]
    assert (amounts(first), first["status"]) == ((None, 80.0, None), "no_call")
    assert (amounts(second), second["status"]) == ((None, 80.0, None), "no_call")
    assert pairs(workspace, week_of_period=2)[0]["status"] == "closed"


def test_nothing_won_is_a_real_zero_where_deals_are_known(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1", owner="bob")])
    (row,) = pairs(workspace)
    assert (amounts(row), row["won_count"]) == ((100.0, 0.0, 100.0), 0)


def test_without_deals_there_is_nothing_to_compare_with(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    (row,) = pairs(workspace)
    assert (amounts(row), row["status"], row["won_count"]) == ((100.0, None, None), "no_actual", None)


def test_a_period_before_the_first_deal_has_no_actual(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call(), call(period_start_on="2026-01-01", submitted_at="2026-01-02")])
    land(workspace, "opportunities", [won("1")])
    assert [row["status"] for row in pairs(workspace)] == ["no_actual", "closed"]


@pytest.mark.parametrize(
    ("as_of", "status", "last_week"),
    [
        ("2026-07-02 10:00", "open", 0),
        ("2026-07-15 23:59:59", "open", 2),
        ("2026-09-30 23:59:59", "open", 12),
        ("2026-10-07 23:59:58", "open", 12),
        ("2026-10-07 23:59:59", "closed", 12),
    ],
)
def test_weeks_after_the_as_of_are_left_out_and_actuals_wait_for_the_grace(
    workspace: Workspace, as_of: str, status: str, last_week: int
) -> None:
    land(workspace, "forecast_submissions", [call(submitted_at="2026-07-01 09:00")])
    land(workspace, "opportunities", [won("1", close_on="2026-07-01", modified_at="2026-07-01 10:00")])
    rows = pairs(workspace, as_of, week_of_period=None)
    assert [row["week_of_period"] for row in rows] == list(range(last_week + 1))
    assert {row["status"] for row in rows} == {status}
    assert {row["actual_amount"] is None for row in rows} == {status == "open"}


def test_the_period_of_the_as_of_is_told(workspace: Workspace) -> None:
    land(workspace, "opportunities", [won("1")])
    with prepared(workspace, "2026-10-05 12:00") as built:
        status = dict(built.table("periods").select("label", "status").rows())
        assert (built.open_period_start_on, built.open_period_week) == (date(2026, 10, 1), 0)
    assert status == {"Q3 2026": "in_grace", "Q4 2026": "open"}


def test_an_edit_after_the_grace_changes_no_frozen_actual(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1", amount=200, modified_at="2026-11-01")])
    change = {"opportunity_id": "1", "old_value": "Proposal", "new_value": "Closed Won", "field": "stage"}
    late = {"opportunity_id": "1", "field": "amount", "old_value": "80", "new_value": "200"}
    land(
        workspace,
        "opportunity_history",
        [change | {"changed_at": "2026-08-15 12:00"}, late | {"changed_at": "2026-10-08 00:00"}],
    )
    (row,) = pairs(workspace, None)
    assert amounts(row) == (100.0, 80.0, 20.0)


def test_an_edit_within_the_grace_counts(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1", amount=200, modified_at="2026-11-01")])
    change = {"opportunity_id": "1", "field": "stage", "old_value": "Proposal", "new_value": "Closed Won"}
    land(workspace, "opportunity_history", [change | {"changed_at": "2026-10-07 23:00"}])
    assert amounts(pairs(workspace, None)[0]) == (100.0, 200.0, -100.0)


def test_a_deal_moved_to_the_next_period_after_the_freeze_counts_once(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call(), call(period_start_on="2026-10-01", submitted_at="2026-10-02")])
    land(workspace, "opportunities", [won("1", close_on="2026-10-03", modified_at="2026-10-20")])
    steps = [("stage", "Proposal", "Closed Won", "2026-09-30"), ("close_on", "2026-09-30", "2026-10-03", "2026-10-20")]
    land(
        workspace,
        "opportunity_history",
        [
            {"opportunity_id": "1", "field": name, "old_value": old, "new_value": new, "changed_at": when}
            for name, old, new, when in steps
        ],
    )
    third, fourth = pairs(workspace, "2027-01-15")
    assert (amounts(third), amounts(fourth)) == ((100.0, 80.0, 20.0), (100.0, 0.0, 100.0))


def test_who_owned_the_deal_when_it_was_won_keeps_it(workspace: Workspace) -> None:
    """Ann wins and leaves; Bob inherits within the grace. Before the win, Cid had handed the deal to Ann."""
    land(workspace, "forecast_submissions", [call(), call("bob"), call("cid")])
    land(workspace, "opportunities", [won("1", owner="bob", modified_at="2026-10-01")])
    steps = [
        ("owner_id", "cid", "ann", "2026-07-20"),
        ("stage", "Proposal", "Closed Won", "2026-08-15"),
        ("owner_id", "ann", "bob", "2026-09-01"),
    ]
    land(
        workspace,
        "opportunity_history",
        [
            {"opportunity_id": "1", "field": name, "old_value": old, "new_value": new, "changed_at": when}
            for name, old, new, when in steps
        ],
    )
    assert [(row["forecaster_id"], float(row["actual_amount"])) for row in pairs(workspace)] == [
        ("ann", 80.0), ("bob", 0.0), ("cid", 0.0)
    ]  # fmt: skip


def test_a_reopened_deal_counts_for_who_won_it_last(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call(), call("bob")])
    land(workspace, "opportunities", [won("1", owner="bob", modified_at="2026-09-01")])
    steps = [
        ("stage", "Proposal", "Closed Won", "2026-07-10"),
        ("stage", "Closed Won", "Proposal", "2026-07-20"),
        ("owner_id", "ann", "bob", "2026-08-01"),
        ("stage", "Proposal", "Closed Won", "2026-08-15"),
    ]
    land(
        workspace,
        "opportunity_history",
        [
            {"opportunity_id": "1", "field": name, "old_value": old, "new_value": new, "changed_at": when}
            for name, old, new, when in steps
        ],
    )
    assert [float(row["actual_amount"]) for row in pairs(workspace)] == [0.0, 80.0]


def test_deleted_deals_do_not_count(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1", is_deleted=True, modified_at="2026-09-01"), won("2", amount=7)])
    assert amounts(pairs(workspace)[0]) == (100.0, 7.0, 93.0)


def test_a_managers_actual_is_their_people_as_they_stood_on_each_close_date(workspace: Workspace) -> None:
    """Bob moves from Mia to Max on 1 August: his July win is Mia's, his September win is Max's. Mia sells too."""
    land(workspace, "people", [
        person("eva"), person("mia", "eva"), person("max", "eva"), person("ann", "mia"),
        person("bob", "mia"), person("bob", "max", "2026-08-01"),
    ])  # fmt: skip
    managers = [call(who, layer="manager", amount=50) for who in ("mia", "max")]
    land(workspace, "forecast_submissions", [*managers, call("eva", layer="executive"), call("fin", layer="finance")])
    land(workspace, "opportunities", [
        won("1", "ann", 10), won("2", "bob", 20, "2026-07-15"), won("3", "bob", 40, "2026-09-15"),
        won("4", "mia", 5), won("5", "stranger", 1000),
    ])  # fmt: skip
    actuals = {row["forecaster_id"]: float(row["actual_amount"]) for row in pairs(workspace)}
    assert actuals == {"mia": 35.0, "max": 40.0, "eva": 75.0, "fin": 1075.0}


def test_a_manager_of_nobody_known_has_no_actual(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call("mia", layer="manager"), call("ann")])
    land(workspace, "opportunities", [won("1")])
    assert [row["status"] for row in pairs(workspace)] == ["no_actual", "closed"]


def test_a_cycle_of_managers_is_cut(workspace: Workspace) -> None:
    land(workspace, "people", [person("ann", "mia"), person("mia", "eva"), person("eva", "ann"), person("me", "me")])
    land(workspace, "opportunities", [won("1"), won("2", "me")])
    with prepared(workspace, AFTER) as built:
        scopes = {row["scope"]: (row["parent_scope"], row["depth"]) for row in built.table("scopes").to_dicts()}
    assert scopes == {
        "company": (None, 0), "ann": ("company", 1), "eva": ("ann", 2), "mia": ("eva", 3), "me": ("company", 1)
    }  # fmt: skip


def test_scopes_say_what_people_are_and_whose(workspace: Workspace) -> None:
    land(workspace, "people", [
        person("eva"), person("mia", "eva"), person("ann", "mia", team="North"), person("old", "gone"),
        person("idle", "mia"), person("ann", "mia", "2026-12-01", team="South"),
    ])  # fmt: skip
    land(workspace, "opportunities", [won("1"), won("2", "old"), won("3", "nobody")])
    with prepared(workspace, AFTER) as built:
        rows = built.table("scopes").to_dicts()
        members = set(built.table("scope_members").select("person_id", "scope").rows())
    described = {row["scope"]: (row["scope_kind"], row["scope_name"], row["parent_scope"]) for row in rows}
    assert described == {
        "company": ("company", "Company", None),
        "eva": ("executive", "Eva", "company"),
        "mia": ("manager", "Mia", "eva"),
        "ann": ("rep", "Ann", "mia"),
        "old": ("rep", "Old", "company"),  # whose manager is not in people
        "nobody": ("rep", "nobody", "company"),
    }
    assert [row["team"] for row in rows if row["scope"] == "ann"] == ["North"]
    assert {scope for who, scope in members if who == "ann"} == {"ann", "mia", "eva", "company"}
    assert {scope for who, scope in members if who == "nobody"} == {"nobody", "company"}


def test_members_are_as_they_stood_on_the_lock_day(workspace: Workspace) -> None:
    """The lock day of Q3 is 22 July: who moves that day is already elsewhere, who moves after it is not."""
    land(workspace, "people", [
        person("mia"), person("max"), person("ann", "mia"), person("ann", "max", "2026-07-22"),
        person("bob", "mia"), person("bob", "max", "2026-07-23"),
    ])  # fmt: skip
    land(workspace, "opportunities", [won("1"), won("2", "bob")])
    with prepared(workspace, AFTER) as built:
        rows = built.table("scope_members").filter(pl.col("period_start_on") == day("2026-07-01")).rows()
    managers = {who: scope for _, who, scope in rows if scope in ("mia", "max") and who in ("ann", "bob")}
    assert managers == {"ann": "max", "bob": "mia"}


def test_currencies_convert_a_call_on_the_day_it_was_made(workspace: Workspace) -> None:
    """60 € at 1.5 on 2 July = 90; the deal's 60 € at 2 on its close date = 120."""
    land(workspace, "fx_rates", [
        {"currency": "USD", "valid_from_on": "2026-01-01", "rate_to_reporting": "1"},
        {"currency": "EUR", "valid_from_on": "2026-01-01", "rate_to_reporting": "1.5"},
        {"currency": "EUR", "valid_from_on": "2026-08-01", "rate_to_reporting": "2"},
    ])  # fmt: skip
    land(workspace, "forecast_submissions", [call(amount=60, currency="EUR")])
    land(workspace, "opportunities", [won("1", amount=60, currency="EUR")])
    assert amounts(pairs(workspace)[0]) == (90.0, 120.0, -30.0)


def test_a_currency_without_a_rate_is_missing_and_said(workspace: Workspace) -> None:
    land(workspace, "fx_rates", [{"currency": "USD", "valid_from_on": "2026-01-01", "rate_to_reporting": "1"}])
    land(workspace, "forecast_submissions", [call(currency="GBP"), call("bob"), call("cid")])
    land(workspace, "opportunities", [won("1"), won("2", "bob", currency="GBP"), won("3", "bob"), won("4", "cid")])
    rows = pairs(workspace)
    assert [(amounts(row), row["status"]) for row in rows] == [
        ((None, 80.0, None), "no_rate"),
        ((100.0, None, None), "no_rate"),
        ((100.0, 80.0, 20.0), "closed"),
    ]


def test_a_won_deal_without_an_amount_is_counted_and_kept_as_rejected(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "opportunities", [won("1"), won("2", amount=None)])
    (row,) = pairs(workspace)
    assert (amounts(row), row["won_count"]) == ((100.0, 80.0, 20.0), 2)
    with prepared(workspace, AFTER) as built:
        rejected = built.table("rejected_rows").select("rule", "value", "line").rows()
    assert rejected == [("won_without_amount", "2", 3)]


def test_a_missed_call_is_a_row_so_that_silence_is_seen(workspace: Workspace) -> None:
    """Bob calls in Q2 and is employed in Q3; Cid has left; Dan was not hired yet; Eve became a manager."""
    second = {"period_start_on": "2026-04-01", "submitted_at": "2026-04-02"}
    land(workspace, "people", [
        person("ann"), person("bob"), person("cid", left_on="2026-06-30"), person("dan", hired_on="2026-07-01"),
        person("eve"), person("fay", "eve"),
    ])  # fmt: skip
    land(workspace, "forecast_submissions", [
        *(call(who, **second) for who in ("ann", "bob", "cid", "eve", "guest")),
        call("ann"), call("dan"), call("eve", layer="manager"),
    ])  # fmt: skip
    land(workspace, "opportunities", [won("1"), won("0", "ann", 1, "2026-05-05", created_on="2026-03-01")])
    found = {
        (row["forecaster_id"], row["period_start_on"].month): row["status"] for row in pairs(workspace, layer="rep")
    }
    assert found == {
        ("ann", 4): "closed", ("bob", 4): "closed", ("cid", 4): "closed", ("eve", 4): "closed", ("guest", 4): "closed",
        ("ann", 7): "closed", ("bob", 7): "no_call", ("dan", 7): "closed",
    }  # fmt: skip


def record(who: str = "ann", start: str = "2026-07-01", **more: Any) -> dict[str, Any]:
    return {"forecaster_id": who, "period_start_on": start, "forecast_amount": 100, "actual_amount": 90} | more


def test_records_alone_are_enough(workspace: Workspace) -> None:
    """Layer rep, category commit, the lock week; closed with the period's last day, as the sheet states the actual."""
    land(
        workspace,
        "forecast_records",
        [record(), record("bob", layer="manager", category="best_case", week_of_period=0)],
    )
    with prepared(workspace) as built:
        assert built.as_of_at == datetime.fromisoformat("2026-09-30T23:59:59")
    bob, ann = pairs(workspace, "2026-09-30 23:59:59", week_of_period=None)
    assert (bob["layer"], bob["category"], bob["week_of_period"]) == ("manager", "best_case", 0)
    assert (ann["layer"], ann["category"], ann["week_of_period"], ann["source"]) == ("rep", "commit", 3, "records")
    assert (amounts(ann), ann["status"], ann["won_count"]) == ((100.0, 90.0, 10.0), "closed", None)
    with prepared(workspace, "2026-09-30 23:59:59") as built:
        assert built.table("periods")["status"].to_list() == ["closed"]
    assert {row["status"] for row in pairs(workspace, "2026-09-30 23:59:58", week_of_period=None)} == {"open"}


def test_records_date_themselves_by_the_last_period_they_state(workspace: Workspace) -> None:
    land(workspace, "forecast_records", [record(start="2026-04-01"), record(period_end_on="2026-09-30")])
    with prepared(workspace) as built:
        assert built.as_of_at.isoformat() == "2026-09-30T23:59:59"
        assert set(built.table("forecast_pairs")["status"]) == {"closed"}


def test_submissions_win_over_records(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call()])
    land(workspace, "forecast_records", [record(), record("bob")])
    land(workspace, "opportunities", [won("1")])
    assert [(row["forecaster_id"], row["source"]) for row in pairs(workspace)] == [
        ("ann", "submissions"),
        ("bob", "records"),
    ]


def test_calls_for_no_period_are_rejected_not_lost(workspace: Workspace) -> None:
    land(workspace, "periods", [
        {"period_start_on": "2026-06-29", "period_end_on": "2026-09-27", "label": "P3"},
        {"period_start_on": "2026-09-28", "period_end_on": "2026-12-27", "label": "P4"},
    ])  # fmt: skip
    land(workspace, "forecast_submissions", [call(period_start_on="2026-06-29"), call(amount=55)])
    land(workspace, "opportunities", [won("1")])
    with prepared(workspace, AFTER) as built:
        assert built.table("periods")["label"].to_list() == ["P3", "P4"]
        rejected = built.table("rejected_rows").select("rule", "value", "amount").rows()
        rows = built.table("forecast_pairs")
    assert rejected == [("unknown_period", "2026-07-01", Decimal("55.00"))]
    assert rows.filter(pl.col("week_of_period") == 3)["status"].to_list() == ["closed"]
    assert rows["week_of_period"].max() == 12


def test_quotas_are_the_ones_recorded_last(workspace: Workspace) -> None:
    quota = {"person_id": "ann", "period_start_on": "2026-07-01"}
    land(workspace, "quotas", [
        quota | {"amount": 1, "recorded_at": "2026-06-01"}, quota | {"amount": 2, "recorded_at": "2026-08-01"}
    ])  # fmt: skip
    land(workspace, "opportunities", [won("1")])
    for as_of, amount in (("2026-07-31", 1), ("2026-08-01", 2)):
        with prepared(workspace, as_of) as built:
            assert built.table("quotas")["quota_amount"].to_list() == [amount]


@pytest.mark.parametrize(
    ("starts", "kind", "labels"),
    [
        ([], "quarter", ["Q3 2026", "Q4 2026"]),
        (["2026-01-01", "2026-07-01"], "quarter", ["Q3 2026", "Q4 2026"]),
        (["2026-02-01", "2026-08-01"], "quarter", ["Q2 FY2027", "Q3 FY2027", "Q4 FY2027"]),
        (["2026-07-01", "2026-08-01"], "month", ["Jul 2026", "Aug 2026", "Sep 2026", "Oct 2026", "Nov 2026"]),
    ],
)
def test_the_calendar_is_read_from_the_calls(starts: list[str], kind: str, labels: list[str]) -> None:
    calendar = decide_calendar(Settings(), [day(start) for start in starts], [])
    assert calendar.period_kind == kind
    assert [period.label for period in calendar.covering(day("2026-07-15"), day("2026-11-20"))] == labels


def test_a_stated_fiscal_year_beats_the_inferred_one() -> None:
    calendar = decide_calendar(Settings(fiscal_year_start_month=4), [day("2026-07-01")], [])
    (period,) = calendar.covering(day("2026-07-15"), day("2026-07-15"))
    assert (period.label, period.start_on, period.end_on) == ("Q2 FY2027", day("2026-07-01"), day("2026-09-30"))


def test_monthly_calls_have_four_weeks(workspace: Workspace) -> None:
    land(workspace, "forecast_submissions", [call(), call(period_start_on="2026-08-01", submitted_at="2026-08-01")])
    land(workspace, "opportunities", [won("1", close_on="2026-08-15")])
    rows = pairs(workspace, week_of_period=None)
    assert [row["week_of_period"] for row in rows] == [0, 1, 2, 3] * 2
    assert [row["actual_amount"] for row in rows if row["week_of_period"] == 3] == [Decimal(0), Decimal(80)]


def deals(workspace: Workspace, as_of: str = "2026-09-15 12:00") -> list[dict[str, Any]]:
    with prepared(workspace, as_of) as built:
        rows: list[dict[str, Any]] = built.table("deals").sort("opportunity_id").to_dicts()
    return rows


def test_open_deals_say_why_they_are_worth_a_look(workspace: Workspace) -> None:
    open_deal = {"stage": "Proposal", "close_on": "2026-12-20", "modified_at": "2026-09-01"}
    land(workspace, "opportunities", [
        won("1", **open_deal, next_step="Call back", last_activity_on="2026-09-10"),
        won("2", **open_deal | {"close_on": "2026-09-14"}),
        won("3", **open_deal | {"close_on": "2026-09-15"}, next_step="x", last_activity_on="2026-08-16"),
        won("4"),
        won("5", **open_deal, is_deleted=True),
    ])  # fmt: skip
    pushes = [("2026-06-20", "2026-06-29"), ("2026-06-29", "2026-07-02"), ("2026-07-02", "2026-06-30"),
              ("2026-06-30", "2026-12-20")]  # fmt: skip
    land(workspace, "opportunity_history", [
        {"opportunity_id": "1", "field": "close_on", "old_value": old, "new_value": new, "changed_at": f"2026-07-0{n}"}
        for n, (old, new) in enumerate(pushes, start=1)
    ])  # fmt: skip
    first, second, third = deals(workspace)
    assert first["push_count"] == 2  # past 30 June twice; a move within a quarter and one back do not count
    assert (first["flags"], first["age_days"]) == ("pushed", 106)
    assert (second["is_past_due"], second["has_no_next_step"], second["is_stalled"]) == (True, True, True)
    assert second["flags"] == "past_due,no_next_step,stalled"
    assert (third["is_past_due"], third["is_stalled"], third["flags"]) == (False, False, None)


def test_what_no_export_tells_of_is_missing_not_false(workspace: Workspace) -> None:
    land(workspace, "opportunities", [won("1", stage="Proposal", close_on="2026-12-20", modified_at="2026-09-01")])
    (row,) = deals(workspace)
    assert (row["has_no_next_step"], row["is_stalled"], row["last_activity_on"], row["flags"]) == (
        None,
        None,
        None,
        None,
    )


def test_touches_keep_a_deal_alive(workspace: Workspace) -> None:
    open_deal = won("1", stage="Proposal", close_on="2026-12-20", modified_at="2026-09-01")
    land(workspace, "opportunities", [open_deal, open_deal | {"opportunity_id": "2"}])
    touches = ["2026-09-01 10:00", "2026-10-01 10:00"]
    land(workspace, "activities", [{"opportunity_id": "1", "occurred_at": when, "kind": "call"} for when in touches])
    first, second = deals(workspace)
    assert (first["last_activity_on"], first["is_stalled"]) == (day("2026-09-01"), False)
    assert (second["last_activity_on"], second["is_stalled"]) == (None, True)


def test_missing_tables_are_listed(workspace: Workspace) -> None:
    land(workspace, "opportunities", [won("1")])
    with prepared(workspace, AFTER) as built:
        status = {row["table_name"]: row for row in built.table("table_status").to_dicts()}
        inputs = built.table("inputs")
    assert len(status) == 13
    assert (status["opportunities"]["status"], status["opportunities"]["row_count"]) == ("landed", 1)
    assert (status["leads"]["status"], status["leads"]["row_count"]) == ("missing", 0)
    assert inputs.select("table_name", "row_count", "rejected_count").rows() == [("opportunities", 1, 0)]


def test_an_extract_carried_back_is_listed_as_what_was_used(workspace: Workspace) -> None:
    """A warehouse connector stamps every row with the instant of its sync, long after the as-of."""
    late = {**won("1"), "extracted_at": "2027-03-01 04:00"}
    unborn = {**won("2"), "created_on": "2027-01-15", "close_on": "2027-02-15", "extracted_at": "2027-03-01 04:00"}
    land(workspace, "opportunities", [late, unborn])
    with prepared(workspace, AFTER) as built:
        (status,) = built.table("table_status").filter(pl.col("table_name") == "opportunities").to_dicts()
        inputs = built.table("inputs")
    assert (status["status"], status["row_count"]) == ("landed", 1)
    assert status["last_known_at"] == at(f"{late['created_on']} 23:59:59")
    assert inputs["table_name"].to_list() == ["opportunities"]


def test_simulated_people_mark_the_edition(workspace: Workspace) -> None:
    land(workspace, "opportunities", [won("1")])
    with prepared(workspace, AFTER) as built:
        assert built.is_simulated is False
    land(workspace, "people", [person("ann", email="ann@simulated.example")])
    with prepared(workspace, AFTER) as built:
        assert built.is_simulated is True


def test_no_currency_anywhere_is_no_currency(workspace: Workspace) -> None:
    land(workspace, "opportunities", [won("1")])
    with prepared(workspace, AFTER) as built:
        assert built.reporting_currency == "XXX"


def test_a_spreadsheet_of_records_counts_every_quarter_it_has_an_actual_for(workspace: Workspace) -> None:
    """Without period_end_on the calendar says when the last period ends, and its actual is known by then."""
    starts = [f"{2024 + n // 4}-{3 * (n % 4) + 1:02d}-01" for n in range(8)]
    rows = [
        {"forecaster_id": "ann", "period_start_on": start, "forecast_amount": 10, "actual_amount": 9}
        for start in starts
    ]
    land(workspace, "forecast_records", rows)
    with prepared(workspace) as history:
        assert history.as_of_at == datetime.fromisoformat("2025-12-31T23:59:59")
        assert history.table("periods")["status"].to_list() == ["closed"] * 8
