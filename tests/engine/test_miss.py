"""Which deals a call stands for, whose call is bridged, and the tables an edition publishes of its misses."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipelines.contracts import MONEY
from pipelines.engine import miss
from pipelines.engine.attribution import CAUSES
from pipelines.policy import DEFAULT_POLICY

Q2, Q3 = date(2026, 4, 1), date(2026, 7, 1)
LOCK = DEFAULT_POLICY.lock_week
STATES: dict[str, Any] = {
    "period_start_on": pl.Date,
    "week_of_period": pl.Int64,
    "opportunity_id": pl.String,
    "lock_owner_id": pl.String,
    "lock_stage": pl.String,
    "lock_category": pl.String,
    "lock_probability_rate": pl.Float64,
    "lock_amount": MONEY,
    "lock_close_on": pl.Date,
    "is_due": pl.Boolean,
    "won_by_week": pl.Boolean,
    "existed": pl.Boolean,
    "age_days": pl.Int64,
    "name": pl.String,
    "account_name": pl.String,
    "sales_motion": pl.String,
    "lead_source": pl.String,
    "opportunity_type": pl.String,
    "outcome_reason": pl.String,
    "outcome": pl.String,
    "end_owner_id": pl.String,
    "end_amount": MONEY,
    "end_amount_at_lock_rate": MONEY,
}
FACTS: dict[str, Any] = {
    "period_start_on": pl.Date,
    "opportunity_id": pl.String,
    "lock_on": pl.Date,
    "first_owner_id": pl.String,
    "lock_team": pl.String,
    "end_team": pl.String,
    "lock_region": pl.String,
    "end_region": pl.String,
    "lock_manager": pl.String,
    "end_manager": pl.String,
    "tenure_days": pl.Int64,
    "is_touched": pl.Boolean,
    "has_no_next_step": pl.Boolean,
    "handoff_days": pl.Int64,
    "currency": pl.String,
    "is_valued": pl.Boolean,
}
PAIRS: dict[str, Any] = {
    "layer": pl.String,
    "forecaster_id": pl.String,
    "period_start_on": pl.Date,
    "category": pl.String,
    "week_of_period": pl.Int64,
    "forecast_amount": MONEY,
}


def deal(key: str, **more: Any) -> dict[str, Any]:
    """An open commit deal of Ann's, due in Q3 and lost, unless said otherwise; won ones at their amount."""
    row: dict[str, Any] = {
        "period_start_on": Q3,
        "week_of_period": LOCK,
        "opportunity_id": key,
        "lock_owner_id": "ann",
        "lock_category": "commit",
        "lock_amount": 100,
        "lock_close_on": date(2026, 8, 1),
        "is_due": True,
        "won_by_week": False,
        "existed": True,
        "age_days": 40,
        "outcome": "lost",
    } | more
    if row["outcome"] == "won":
        row = {"end_owner_id": row["lock_owner_id"] or "ann", "end_amount": row["lock_amount"]} | row
    return row


def framed(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    typed = [
        {
            name: None
            if row.get(name) is None
            else Decimal(str(row[name]))
            if isinstance(kind, pl.Decimal)
            else row[name]
            for name, kind in schema.items()
        }
        for row in rows
    ]
    return pl.DataFrame(typed, schema=schema)


def facts_of(states: pl.DataFrame, **more: Any) -> pl.DataFrame:
    rows = [
        {
            "period_start_on": row["period_start_on"],
            "opportunity_id": row["opportunity_id"],
            "lock_on": date(2026, 7, 22),
            "first_owner_id": row["lock_owner_id"],
            "lock_team": "East" if row["lock_owner_id"] == "ann" else "West",
            "end_team": "East" if row["end_owner_id"] == "ann" else "West",
            "is_valued": True,
        }
        | more.get(row["opportunity_id"], {})
        for row in states.iter_rows(named=True)
    ]
    return framed(rows, FACTS)


def call(who: str, amount: object, layer: str = "rep", **more: Any) -> dict[str, Any]:
    return {
        "layer": layer,
        "forecaster_id": who,
        "period_start_on": Q3,
        "category": "commit",
        "week_of_period": LOCK,
        "forecast_amount": amount,
    } | more


MEMBERS = pl.DataFrame(
    [
        (start, person, scope)
        for start in (Q2, Q3)
        for person, scopes in {
            "ann": ("company", "ann", "mo", "ella"),
            "bob": ("company", "bob", "mo", "ella"),
            "mo": ("company", "mo", "ella"),
            "ella": ("company", "ella"),
            "fin": ("company", "fin"),
        }.items()
        for scope in scopes
    ],
    schema={"period_start_on": pl.Date, "person_id": pl.String, "scope": pl.String},
    orient="row",
)


def ends(states: pl.DataFrame, members: pl.DataFrame = MEMBERS) -> pl.DataFrame:
    won = states.filter(pl.col("outcome") == "won").select(
        "period_start_on", "opportunity_id", person_id="end_owner_id"
    )
    return won.join(members, on=["period_start_on", "person_id"]).drop("person_id")


def tables(
    deals: list[dict[str, Any]], calls: list[dict[str, Any]], *, at_end: pl.DataFrame | None = None, **facts: Any
) -> miss.MissTables:
    states = framed(deals, STATES)
    return miss.miss_tables(
        states,
        facts_of(states, **facts),
        framed(calls, PAIRS),
        members=MEMBERS,
        members_at_end=ends(states) if at_end is None else at_end,
        policy=DEFAULT_POLICY,
    )


def bridge(found: miss.MissTables, scope: str = "company", layer: str = "rep") -> dict[str, float]:
    rows = found.miss_attribution.filter(pl.col("scope") == scope, pl.col("layer") == layer)
    return {cause: float(amount) for cause, amount in rows.select("cause", "amount").iter_rows() if amount}


# Which deals a call stands for


def called(*rows: dict[str, Any], category: str = "commit") -> tuple[dict[str, float | None], str]:
    deals, basis = miss.called_deals(framed(list(rows), STATES), category)
    return dict(deals.select("opportunity_id", "weight_rate").iter_rows()), basis


def test_a_commit_call_stands_for_commit_deals_due_and_for_what_was_won() -> None:
    weights, basis = called(
        deal("commit"),
        deal("upside", lock_category="best_case", outcome="won"),
        deal("upside lost", lock_category="best_case"),
        deal("next quarter", is_due=False, lock_close_on=date(2026, 10, 2), outcome="won"),
        deal("already won", lock_category=None, won_by_week=True, outcome="won"),
    )
    assert basis == "category"
    assert weights == {"commit": 1.0, "upside": 0.0, "next quarter": None, "already won": 1.0}


@pytest.mark.parametrize(("category", "expected"), [("commit", 0.0), ("most_likely", 1.0), ("best_case", 1.0)])
def test_a_looser_call_stands_for_surer_deals_too(category: str, expected: float) -> None:
    weights, _ = called(deal("D", lock_category="most_likely", outcome="won"), category=category)
    assert weights == {"D": expected}


def test_without_any_category_deals_count_at_their_probability_and_without_either_not_at_all() -> None:
    plain: dict[str, Any] = {"lock_category": None}
    weights, basis = called(deal("D", lock_probability_rate=0.6, **plain), deal("E", outcome="won", **plain))
    assert (weights, basis) == ({"D": 0.6, "E": None}, "probability")
    weights, basis = called(deal("D", **plain), deal("E", won_by_week=True, outcome="won", **plain))
    assert (weights, basis) == ({"E": 1.0}, "none")


def test_one_overdue_was_left_out_and_one_reopened_was_pulled_in() -> None:
    found = tables(
        [
            deal("overdue", is_due=False, lock_close_on=date(2026, 6, 1), outcome="won"),
            deal(
                "reopened",
                existed=False,
                lock_owner_id=None,
                lock_amount=None,
                is_due=None,
                outcome="won",
                end_amount=7,
            ),
            deal(
                "young",
                existed=False,
                lock_owner_id=None,
                lock_amount=None,
                is_due=None,
                age_days=-9,
                outcome="won",
                end_amount=5,
            ),
            deal("in the call"),
        ],
        [call("ann", 100)],
    )
    assert bridge(found) == {"lost": -100, "left_out": 100, "pulled_in": 7, "created_and_won": 5}


def test_only_what_was_written_down_by_the_lock_is_known_of_it() -> None:
    lock = datetime.fromisoformat("2026-07-23")
    states = framed([deal("D", lock_stage="Proposal", lock_category="closed", lock_probability_rate=1.0)], STATES)
    states = states.with_columns(until_at=pl.lit(lock))
    stages = pl.DataFrame(
        {"stage": ["Proposal"], "forecast_category": ["best_case"], "default_probability_rate": [0.4]}
    )
    before, after = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-08-01")

    def told(**since: datetime) -> tuple[object, object]:
        known = miss.as_known(states, since, stages)
        assert set(known.columns) == set(states.columns)
        return (known["lock_category"][0], known["lock_probability_rate"][0]) if known.height else ("", "")

    assert told(close_on=before, forecast_category=before, probability_rate=before) == ("closed", 1.0)
    assert told(close_on=before, stage=before) == ("best_case", 0.4)
    assert told(close_on=before, stage=before, forecast_category=after) == ("best_case", 0.4)
    assert told(close_on=before) == (None, None)
    assert told(close_on=after, stage=before) == ("", "")
    assert told(stage=before) == ("", "")


# Whose call is bridged


def asked(*rows: dict[str, Any]) -> dict[tuple[str, str], tuple[Any, int, int, bool]]:
    periods = pl.DataFrame({"period_start_on": [Q3], "week_of_period": [LOCK]})
    calls = miss.scope_calls(framed(list(rows), PAIRS), MEMBERS, periods)
    return {
        (row["scope"], row["layer"]): (
            None if row["call_amount"] is None else float(row["call_amount"]),
            row["caller_count"],
            row["missing_count"],
            row["is_standing"],
        )
        for row in calls.iter_rows(named=True)
    }


def test_the_call_nearest_to_the_companys_number_stands() -> None:
    found = asked(call("ann", 60), call("bob", 50), call("mo", 100, "manager"), call("ella", 90, "executive"))
    assert found["company", "executive"] == (90, 1, 0, True)
    assert found["company", "rep"] == (110, 2, 0, False)
    assert found["mo", "manager"] == (100, 1, 0, True)
    assert found["mo", "rep"] == (110, 2, 0, False)
    assert found["ann", "rep"] == (60, 1, 0, True)
    assert asked(call("ann", 60), call("mo", 100, "manager"))["company", "manager"][3]
    assert asked(call("ann", 60), call("mo", None, "manager"))["company", "rep"] == (60, 1, 0, True)


def test_who_has_not_called_is_counted_and_finance_calls_for_the_company_alone() -> None:
    found = asked(call("ann", 60), call("bob", None), call("fin", 200, "finance"))
    assert found["company", "rep"] == (60, 1, 1, True)
    assert found["company", "finance"] == (200, 1, 0, False)
    assert ("fin", "finance") not in found
    assert found["bob", "rep"] == (None, 0, 1, True)


def test_a_call_from_somebody_unknown_counts_for_the_company() -> None:
    assert asked(call("stranger", 5))["company", "rep"] == (5, 1, 0, True)


def test_commit_is_bridged_where_anybody_made_one() -> None:
    rows = framed([call("ann", 1, category="best_case"), call("ann", None, category="commit")], PAIRS)
    assert miss.called_category(rows) == "best_case"
    assert miss.called_category(rows.clear()) is None


# The published tables


def residuals(found: miss.MissTables) -> set[Decimal]:
    told = found.miss_attribution.filter(pl.col("status") == "ok")
    sums = told.group_by("period_start_on", "scope", "layer").agg(
        (pl.col("call_amount").first() + pl.col("amount").sum() - pl.col("actual_amount").first()).alias("residual"),
        pl.len(),
    )
    assert set(sums["len"]) == {len(CAUSES)}
    return set(sums["residual"])


def test_layers_differ_in_the_call_and_the_judgement_alone() -> None:
    deals = [deal("D"), deal("E", lock_owner_id="bob", outcome="won", end_amount="80.25"), deal("F", outcome="open")]
    found = tables(deals, [call("ann", 250), call("bob", 90), call("mo", 310, "manager")])
    assert residuals(found) == {Decimal("0.00")}
    assert bridge(found) == {"judgement": -40, "lost": -100, "pushed_out": -100, "shrunk": -19.75}
    assert bridge(found, layer="manager") == bridge(found) | {"judgement": -10}
    assert bridge(found, "bob") == {"judgement": 10, "shrunk": -19.75}
    assert set(found.miss_attribution["rollup_basis"]) == {"category"}


def test_a_deal_counts_where_its_owner_stood_on_the_day_it_closed() -> None:
    deals = [deal("D", outcome="won")]
    moved = pl.DataFrame(
        {"period_start_on": [Q3] * 2, "opportunity_id": ["D"] * 2, "scope": ["company", "ann"]},
        schema_overrides={"period_start_on": pl.Date},
    )
    found = tables(deals, [call("ann", 100)], at_end=moved)
    assert bridge(found, "mo") == {"transferred": -100}
    assert bridge(found, "ann") == {}
    assert residuals(found) == {Decimal("0.00")}


def test_a_deal_without_a_rate_makes_its_scopes_unknown_and_no_others() -> None:
    deals = [deal("D", lock_amount=None), deal("E", lock_owner_id="bob", outcome="won")]
    found = tables(deals, [call("ann", 100), call("bob", 100)], D={"is_valued": False})
    status = dict(found.miss_attribution.select("scope", "status").unique().iter_rows())
    assert status == {"company": "no_rate", "mo": "no_rate", "ella": "no_rate", "ann": "no_rate", "bob": "ok"}
    assert found.miss_attribution.filter(pl.col("status") == "no_rate")["amount"].null_count() == 4 * len(CAUSES)


def test_no_calls_or_no_closed_deals_give_empty_tables() -> None:
    for found in (tables([deal("D")], []), tables([deal("D", outcome=None)], [call("ann", 1)]), tables([], [])):
        assert all(table.is_empty() for table in found.as_tables().values())


def test_every_cut_adds_up_to_the_companys_bridge() -> None:
    deals = [
        deal("D", lead_source="web", lock_stage="Proposal"),
        deal("E", lock_owner_id="bob", end_owner_id="ann", outcome="won", lead_source="web", age_days=200),
        deal("F", existed=False, lock_owner_id=None, lock_amount=None, age_days=-3, outcome="won", end_amount=5),
        deal("G", outcome="no_decision", lock_close_on=date(2026, 7, 5)),
    ]
    touched = {
        "D": {"is_touched": True, "has_no_next_step": True, "currency": "EUR"},
        "E": {"is_touched": False, "has_no_next_step": False, "first_owner_id": "ann"},
    }
    found = tables(deals, [call("ann", 300)], **touched)
    whole = bridge(found)
    cuts = found.attribution_cut
    assert set(cuts["cut"]) == set(miss.CUTS)
    for name in miss.CUTS:
        part = cuts.filter(pl.col("cut") == name)
        summed = {c: float(a) for c, a in part.group_by("cause").agg(pl.col("amount").sum()).iter_rows() if a}
        assert summed == {cause: amount for cause, amount in whole.items() if cause != "judgement"}, name
    change = cuts.filter(pl.col("cut") == "team", pl.col("cause") == "transferred")
    assert dict(change.select("value", "amount").iter_rows()) == {"East": Decimal(100), "West": Decimal(-100)}
    assert set(cuts.filter(pl.col("cut") == "origin")["value"]) == {"created by its owner", "inherited", miss.LATER}
    assert set(cuts.filter(pl.col("cut") == "age")["value"]) == {"31 to 90 days", "over 180 days", miss.LATER}
    assert set(cuts.filter(pl.col("cut") == "activity")["value"]) == {
        "touched within 30 days",
        "untouched for 30 days",
        miss.LATER,
        None,
    }
    steps = {"no next step", "a next step", miss.LATER, None}
    assert set(cuts.filter(pl.col("cut") == "next_step")["value"]) == steps
    assert set(cuts.filter(pl.col("cut") == "currency")["value"]) == {"EUR", None}
    assert set(cuts.filter(pl.col("cut") == "close_date")["value"]) == {
        "close date already past",
        "close date ahead",
        miss.LATER,
    }


def test_free_text_is_bounded_and_the_largest_steps_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miss, "LARGEST_VALUES", 2)
    monkeypatch.setattr(miss, "LARGEST_STEPS", 3)
    deals = [deal(f"D{n}", lead_source=f"source {n}", lock_amount=100 + n) for n in range(6)]
    found = tables(deals, [call("ann", 600)])
    sources = found.attribution_cut.filter(pl.col("cut") == "lead_source")
    assert set(sources["value"]) == {"source 5", "source 4", miss.OTHERS}
    assert float(sources["amount"].sum()) == bridge(found)["lost"]
    steps = found.miss_deals.sort("step_place")
    assert steps["opportunity_id"].to_list() == ["D5", "D4", "D3"]
    assert steps["amount"].to_list() == [Decimal(-105), Decimal(-104), Decimal(-103)]


def test_luck_is_measured_against_the_other_periods() -> None:
    deals = [
        deal(f"{year}-{month}-{n}", period_start_on=date(year, month, 1), lock_probability_rate=0.5, outcome=outcome)
        for year in (2025, 2026)
        for month in (1, 4, 7)
        for n, outcome in enumerate(("won", "lost", "won", "lost"))
    ]
    starts = sorted({row["period_start_on"] for row in deals})
    members = pl.concat(
        [MEMBERS.filter(pl.col("period_start_on") == Q3).with_columns(period_start_on=pl.lit(s)) for s in starts]
    )
    states = framed(deals, STATES)

    def measured(rows: pl.DataFrame) -> pl.DataFrame:
        calls = [call("ann", 400, period_start_on=start) for start in starts]
        found = miss.miss_tables(
            rows,
            facts_of(rows),
            framed(calls, PAIRS),
            members=members,
            members_at_end=ends(rows, members),
            policy=DEFAULT_POLICY,
        )
        return found.luck.filter(pl.col("scope") == "company").sort("period_start_on")

    table = measured(states)
    assert table["status"].to_list() == ["ok"] * 6
    assert table["direction"].to_list() == ["inside"] * 6
    assert table["won_amount"].to_list() == table["expected_amount"].to_list()
    fewer = measured(states.filter(pl.col("period_start_on") > starts[0]))
    assert set(fewer["status"]) == {"not_enough_history"}
    assert fewer["z"].null_count() == fewer.height
