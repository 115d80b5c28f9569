"""Landing end to end, from files to tables: what is said of a week is what was said in it, whatever came later."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import runs
from pipelines.contracts import INPUT_TABLES
from pipelines.engine.deal_book import LandingPolicy
from pipelines.landing_contracts import LANDING_TABLES
from pipelines.measures.landing import landing_choices, landings, model_forecasts
from pipelines.policy import COMPANY_SCOPE, DEFAULT_POLICY
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse.landing import Landing
from tests.warehouse_help import land, prepared

DRAWS = 200
ISSUED = ["scope", "method", "level", "estimate", "lower", "upper"]

Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four reps, seven closed quarters: the least that lets two of them be forecast from five."""
    folder = tmp_path_factory.mktemp("landing")
    simulate(folder / "files", reps=4, quarters=7, seed=3)
    workspace = Workspace.at(folder / "workspace")
    runs.ingest(workspace, [path for path in sorted((folder / "files").iterdir()) if path.is_file()], Silent())
    return workspace


@pytest.fixture(scope="module")
def tables(company: Workspace) -> Tables:
    return measured(company)


def measured(workspace: Workspace, as_of: datetime | None = None) -> Tables:
    with prepared(workspace, as_of) as built:
        found = built.tables()
        choices = LandingPolicy(draws=DRAWS)
        told = landings(built, found, DEFAULT_POLICY, choices=choices, backtest_draws=DRAWS)
        return {**found, **told.tables, "lock_odds": told.lock_odds}


def end_of_week(start: date, week: int) -> datetime:
    return datetime.combine(start + timedelta(days=7 * week), time(23, 59, 59))


def closed_periods(tables: Tables) -> list[date]:
    return tables["periods"].filter(pl.col("status") == "closed").sort("period_start_on")["period_start_on"].to_list()


def said_of(tables: Tables, start: date, week: int) -> list[tuple[Any, ...]]:
    """What the backtest says was issued for a past period at a week."""
    at = (pl.col("period_start_on") == start) & (pl.col("week_of_period") == week)
    return tables["landing_backtest"].filter(at).select(ISSUED).sort(ISSUED[:3]).rows()


@pytest.mark.parametrize(("back", "week"), [(1, 0), (1, 9), (2, 3)])
def test_the_backtest_says_what_was_said_then(company: Workspace, tables: Tables, back: int, week: int) -> None:
    """An edition as of that evening, with nothing later in it, says the same of every scope to the cent."""
    start = closed_periods(tables)[-back]
    then = measured(company, end_of_week(start, week))
    issued = then["landing"].drop_nulls("lower").select(ISSUED).sort(ISSUED[:3]).rows()
    assert said_of(tables, start, week) == issued
    assert (COMPANY_SCOPE, "combined", 0.8) in {row[:3] for row in issued} or week == 0


@pytest.fixture(scope="module")
def extracted(company: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same company known by an extract every 19 days alone: closings are told up to 19 days late."""
    workspace = Workspace.at(tmp_path_factory.mktemp("extracted") / "workspace")
    with prepared(company) as built:
        versions, last = built.versions(), built.as_of_at
    with Landing.open(company) as landing:
        rows = {name: landing.rows(name).drop("load_id", "line") for name in INPUT_TABLES}
    told = rows["opportunities"].select("opportunity_id", "created_on", "name", "sales_motion")
    taken = [last - timedelta(days=19 * number) for number in range(34)]
    for moment in reversed(taken):
        then = versions.filter(pl.col("valid_from_at") <= moment, pl.col("valid_to_at") > moment)
        then = then.drop("is_closed", "is_won", "reporting_amount", "valid_to_at").rename(
            {"valid_from_at": "modified_at"}
        )
        shown = then.join(told, on="opportunity_id").with_columns(extracted_at=pl.lit(moment))
        land(workspace, "opportunities", shown.to_dicts())
    for name in ("stages", "people", "quotas", "fx_rates", "forecast_submissions"):
        land(workspace, name, rows[name].to_dicts())
    return workspace


@pytest.mark.parametrize(("back", "week"), [(1, 3), (2, 9)])
def test_a_closing_told_by_a_later_extract_was_not_known_then(extracted: Workspace, back: int, week: int) -> None:
    tables = measured(extracted)
    start = closed_periods(tables)[-back]
    then = measured(extracted, end_of_week(start, week))
    issued = then["landing"].drop_nulls("lower").select(ISSUED).sort(ISSUED[:3]).rows()
    assert said_of(tables, start, week) == issued != []


@pytest.fixture(scope="module")
def disturbed(company: Workspace, tables: Tables) -> Iterator[tuple[date, Tables]]:
    """The same company after much that became known only after week 3 of its last but one closed quarter."""
    start = closed_periods(tables)[-2]
    with tempfile.TemporaryDirectory() as folder:
        copy = Workspace.at(Path(folder) / "workspace")
        shutil.copytree(company.root, copy.root)
        disturb(copy, end_of_week(start, 3))
        yield start, measured(copy)


def disturb(workspace: Workspace, origin: datetime) -> None:
    """Changes of deals, calls, quotas and people, and new deals, all dated after the origin; and corrections of what
    was told before it, recorded after it."""
    correct(workspace, origin)
    dice = random.Random(11)
    with prepared(workspace, origin) as built:
        versions = built.versions().filter(pl.col("valid_to_at").dt.year() == 9999, ~pl.col("is_closed"))
        people = built.table("scopes").filter(pl.col("scope_kind") == "rep")["scope"].to_list()
        calls = built.table("forecast_pairs").filter(pl.col("status") == "open").to_dicts()
    later = [origin + timedelta(hours=dice.randrange(1, 24 * 60)) for _ in range(versions.height)]
    changes: list[dict[str, Any]] = []
    for row, moment in zip(versions.iter_rows(named=True), later, strict=True):
        field, value = dice.choice(
            [
                ("amount", str((row["amount"] or Decimal(1000)) * dice.randrange(2, 9))),
                ("stage", "Closed Lost"),
                ("owner_id", dice.choice(people)),
                ("close_on", str(row["close_on"] + timedelta(days=dice.randrange(1, 200)))),
            ]
        )
        old = None if row[field] is None else str(row[field])
        key = {"opportunity_id": row["opportunity_id"], "changed_at": moment, "field": field}
        changes.append({**key, "old_value": old, "new_value": value})
    land(workspace, "opportunity_history", changes)
    land(
        workspace,
        "opportunities",
        [
            {
                "opportunity_id": f"late-{number}",
                "owner_id": dice.choice(people),
                "created_on": (origin + timedelta(days=1 + number)).date(),
                "close_on": (origin + timedelta(days=9 + number)).date(),
                "stage": "Closed Won",
                "amount": 250_000,
            }
            for number in range(12)
        ],
    )
    land(
        workspace,
        "forecast_submissions",
        [
            {
                "forecaster_id": row["forecaster_id"],
                "layer": row["layer"],
                "period_start_on": row["period_start_on"],
                "category": row["category"],
                "submitted_at": origin + timedelta(minutes=5),
                "amount": 7_000_000,
            }
            for row in calls
            if row["week_of_period"] == 3 and row["forecast_amount"] is not None
        ],
    )
    land(
        workspace,
        "people",
        [
            {"person_id": who, "name": who, "manager_id": None, "valid_from_on": origin.date() + timedelta(days=1)}
            for who in people[:2]
        ],
    )


def correct(workspace: Workspace, origin: datetime) -> None:
    """A file tells changes from before the origin otherwise, another tells of some that nobody had written down."""
    with Landing.open(workspace) as landing:
        past = landing.rows("opportunity_history").filter(pl.col("changed_at") < origin)
    past = past.select("opportunity_id", "changed_at", "field", "old_value", "new_value")
    tripled = (pl.col("new_value").cast(pl.Decimal(18, 2), strict=False) * 3).cast(pl.String)
    amounts = past.filter(pl.col("field") == "amount").with_columns(new_value=tripled)
    won = past.filter(pl.col("field") == "stage").group_by("opportunity_id").agg(pl.all().last())
    unwritten = won.filter(~pl.col("new_value").str.starts_with("Closed")).with_columns(
        pl.col("changed_at") + pl.duration(hours=1),
        old_value="new_value",
        new_value=pl.when(pl.col("opportunity_id").hash(seed=1) % 2 == 0)
        .then(pl.lit("Closed Won"))
        .otherwise(pl.lit("Closed Lost")),
        recorded_at=pl.lit(origin + timedelta(days=2, hours=5)),
    )
    for name, rows in {"mended": amounts, "unwritten": unwritten}.items():
        path = workspace.root / f"{name}.csv"
        rows.with_columns(pl.col(pl.Datetime).dt.to_string("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
        (report,) = runs.ingest(workspace, [path], Silent())
        assert report.accepted_count == rows.height > 20, report


def test_what_becomes_known_later_changes_nothing_said_before(tables: Tables, disturbed: tuple[date, Tables]) -> None:
    start, after = disturbed
    before = [
        (period, week)
        for period, week in tables["landing_backtest"].select("period_start_on", "week_of_period").unique().rows()
        if period < start or (period == start and week <= 3)
    ]
    assert (start, 3) in before
    for period, week in before:
        assert said_of(after, period, week) == said_of(tables, period, week)


def test_the_odds_of_a_past_lock_week_are_those_an_edition_of_that_evening_gave(
    company: Workspace, tables: Tables
) -> None:
    """Leak-free by another road: the deals' published odds as of then, deal by deal, and nothing of other weeks."""
    start = closed_periods(tables)[-1]
    then = measured(company, end_of_week(start, 3))
    given = then["deals"].drop_nulls("win_probability_rate").select("opportunity_id", "win_probability_rate")
    kept = tables["lock_odds"].filter(pl.col("period_start_on") == start).drop_nulls("win_probability_rate")
    both = kept.join(given, on="opportunity_id", how="full", suffix="_then")
    assert both.height == kept.height == given.height > 20
    assert (
        both.select((pl.col("win_probability_rate") - pl.col("win_probability_rate_then")).abs().max()).item() < 1e-12
    )
    assert tables["lock_odds"]["period_start_on"].n_unique() == 2, "five closed periods come first"


def test_later_facts_change_no_odds_issued_before(tables: Tables, disturbed: tuple[date, Tables]) -> None:
    start, after = disturbed
    said = [
        found["lock_odds"].filter(pl.col("period_start_on") <= start).sort("period_start_on", "opportunity_id").rows()
        for found in (tables, after)
    ]
    assert said[0] == said[1] != []


def test_the_disturbance_is_felt_afterwards(tables: Tables, disturbed: tuple[date, Tables]) -> None:
    """The test above can fail: the same facts move what is said a few weeks later, and what landed."""
    start, after = disturbed
    assert said_of(after, start, 9) != said_of(tables, start, 9)
    actual = pl.col("scope") == COMPANY_SCOPE, pl.col("period_start_on") == start, pl.col("week_of_period") == 3
    (now,), (was,) = (
        found["landing_backtest"].filter(*actual)["actual_amount"].unique().to_list() for found in (after, tables)
    )
    assert now != was


def test_the_same_facts_give_the_same_tables(company: Workspace, tables: Tables) -> None:
    again = measured(company)
    for name in [*LANDING_TABLES, "deals"]:
        grain = [column for column in again[name].columns if column in ("scope", "method", "level", "opportunity_id")]
        order = [*grain, *(c for c in ("period_start_on", "week_of_period", "quantile", "dot") if c in again[name])]
        assert again[name].sort(order).equals(tables[name].sort(order)), name


def test_people_add_up_to_the_company(tables: Tables) -> None:
    """Draws are summed, so means add up over reps to the company; quantiles do not."""
    rows = tables["landing"].filter(pl.col("method") == "deals", pl.col("level") == 0.8)
    reps = tables["scopes"].filter(pl.col("scope_kind") == "rep")["scope"].implode()
    own, whole = rows.filter(pl.col("scope").is_in(reps)), rows.filter(pl.col("scope") == COMPANY_SCOPE)
    for column in ("mean_amount", "closed_amount", "call_amount", "quota_amount"):
        assert float(own[column].sum()) == pytest.approx(float(whole[column].item()), abs=0.01 * (own.height + 1))
    assert own["lower"].sum() < whole["lower"].item()


def test_odds_agree_with_the_quantiles(tables: Tables) -> None:
    """The chance of the call, read off the hundred quantiles, is the one stated."""
    rows = tables["landing"].filter(pl.col("level") == 0.8).drop_nulls(["probability_of_call_rate", "call_amount"])
    curves = tables["landing_quantiles"]
    for scope, method, call, stated in rows.select(
        "scope", "method", "call_amount", "probability_of_call_rate"
    ).iter_rows():
        curve = curves.filter(pl.col("scope") == scope, pl.col("method") == method)
        if curve.height:
            assert curve.filter(pl.col("amount") >= call).height / 99 == pytest.approx(stated, abs=0.02)


def test_every_open_deal_says_where_its_odds_come_from(tables: Tables) -> None:
    deals = tables["deals"]
    assert set(deals["win_status"].unique()) <= {"ok", "coarser_group", "not_enough_history", "new_since"}
    told = deals["win_status"].is_in(["ok", "coarser_group"])
    assert (deals["win_probability_rate"].is_not_null() == (told & (deals["amount"] > 0).fill_null(False))).all()


def test_the_model_can_be_held_against_the_people(tables: Tables) -> None:
    found = model_forecasts(tables["landing_backtest"])
    assert not found.select("scope", "week_of_period", "period_start_on").is_duplicated().any()
    assert found.filter(pl.col("scope") == COMPANY_SCOPE).height > 0


def test_choices_are_stated_once() -> None:
    names = [row["name"] for row in landing_choices()]
    assert len(names) == len(set(names))
    assert {"landing_draws", "landing_min_periods", "landing_win_min_events"} <= set(names)


def records(count: int) -> list[dict[str, Any]]:
    starts = [date(2020 + quarter // 4, 1 + 3 * (quarter % 4), 1) for quarter in range(count)]
    return [
        {
            "forecaster_id": who,
            "period_start_on": start,
            "forecast_amount": 100_000 + 1_000 * place,
            "actual_amount": (90_000 + 7_000 * ((place * 5 + len(who)) % 4)),
        }
        for place, start in enumerate(starts)
        for who in ("ann", "bob")
    ]


def test_a_spreadsheet_is_judged_by_its_calls_alone(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path)
    land(workspace, "forecast_records", records(9))
    found = measured(workspace)
    backtest = found["landing_backtest"]
    assert set(backtest["method"].unique()) == {"call", "combined"}
    assert (
        backtest.filter(pl.col("scope") == COMPANY_SCOPE, pl.col("method") == "call", pl.col("level") == 0.8).height
        == 4
    )
    assert found["landing"].drop_nulls("lower").is_empty()


def closed_deals(quarters: int) -> list[dict[str, Any]]:
    """Two deals a month, won or lost, as one export at the end shows them: the last values, no history."""
    created = [date(2020 + month // 12, 1 + month % 12, 3) for month in range(3 * quarters)]
    return [
        {
            "opportunity_id": f"d{month}-{owner}",
            "owner_id": owner,
            "created_on": day,
            "close_on": day + timedelta(days=40 + 9 * (month % 5)),
            "stage": "Closed Won" if (month + len(owner)) % 3 else "Closed Lost",
            "amount": 10_000 + 100 * month,
        }
        for month, day in enumerate(created)
        for owner in ("ann", "robert")
    ]


def test_an_export_without_history_makes_no_range_of_hindsight(tmp_path: Path) -> None:
    """Carried back, the last close date says of every won deal that it was due: a range of that would be a marvel."""
    workspace = Workspace.at(tmp_path)
    land(workspace, "opportunities", closed_deals(10))
    found = measured(workspace)
    assert found["periods"].filter(pl.col("status") == "closed").height >= 8
    assert found["landing_backtest"].is_empty()
    assert set(found["landing"]["status"].unique()) <= {"not_enough_history", "no_call"}


def test_what_has_landed_is_not_forecast(tmp_path: Path) -> None:
    """The last quarter of a spreadsheet holds the as-of, its call and its actual: it is over."""
    workspace = Workspace.at(tmp_path)
    land(workspace, "forecast_records", [{**row, "week_of_period": 12} for row in records(9)])
    found = measured(workspace)
    assert found["periods"]["status"].unique().to_list() == ["closed"]
    assert found["landing_backtest"].height > 0
    assert found["landing"].is_empty()


def test_under_five_closed_periods_nothing_is_issued(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path)
    land(workspace, "forecast_records", records(5))
    found = measured(workspace)
    assert found["landing_backtest"].is_empty()
    assert found["coverage"].is_empty()
    assert found["landing"].drop_nulls("lower").is_empty()
