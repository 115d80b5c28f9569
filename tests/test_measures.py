"""From prepared history to the engine's input frames: by pencil, on a handful of deals and calls."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.contracts import MONEY
from pipelines.measures import chances, ladder, process, rates
from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Workspace
from pipelines.warehouse.deal_lives import company_actuals, deal_lives, stage_defaults, stage_exits
from pipelines.warehouse.engines import embedded
from tests.warehouse_help import land_all, prepared

STAGES = [
    {"stage": "Discovery", "stage_order": 1, "is_closed": False, "is_won": False, "default_probability_rate": 0.2},
    {"stage": "Proposal", "stage_order": 2, "is_closed": False, "is_won": False, "default_probability_rate": 0.5},
    {"stage": "Closed Won", "stage_order": 3, "is_closed": True, "is_won": True},
    {"stage": "Closed Lost", "stage_order": 4, "is_closed": True, "is_won": False},
]


def deal(number: str, stage: str, close_on: str, **more: Any) -> dict[str, Any]:
    return {
        "opportunity_id": number, "owner_id": "ann", "created_on": "2026-01-05", "close_on": close_on, "stage": stage,
        "amount": "100",
    } | more  # fmt: skip


def change(number: str, at: str, field: str, old: str, new: str) -> dict[str, Any]:
    return {"opportunity_id": number, "changed_at": at, "field": field, "old_value": old, "new_value": new}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """Three deals: one won after a step back and a push across a quarter's end, one lost late, one still open."""
    workspace = Workspace(tmp_path_factory.mktemp("lived") / "workspace")
    land_all(
        workspace,
        {
            "stages": STAGES,
            "opportunities": [
                deal("won", "Closed Won", "2026-05-10"),
                deal("lost", "Closed Lost", "2026-09-30", owner_id="bo", outcome_reason="Stalled, no decision"),
                deal("open", "Proposal", "2026-08-20"),
            ],
            "opportunity_history": [
                change("won", "2026-02-01 10:00", "stage", "Discovery", "Proposal"),
                change("won", "2026-02-10 10:00", "stage", "Proposal", "Discovery"),
                change("won", "2026-03-01 10:00", "stage", "Discovery", "Proposal"),
                change("won", "2026-03-20 10:00", "close_on", "2026-03-25", "2026-05-10"),
                change("won", "2026-05-10 10:00", "stage", "Proposal", "Closed Won"),
                change("lost", "2026-04-15 10:00", "owner_id", "ann", "bo"),
                change("lost", "2026-06-20 10:00", "stage", "Discovery", "Closed Lost"),
                change("open", "2026-07-01 10:00", "stage", "Discovery", "Proposal"),
            ],
            "leads": [{"lead_id": "l1", "created_on": "2025-12-20", "opportunity_id": "won"}],
        },
    )
    with prepared(workspace) as built:
        return {
            "lives": deal_lives(built, DEFAULT_POLICY),
            "exits": stage_exits(built),
            "defaults": stage_defaults(built),
            "won": company_actuals(built),
        }


def test_lives_laid_down_some_deals_at_a_time_are_those_of_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "BATCH", 3)
    workspace = Workspace(tmp_path / "workspace")
    numbers = [f"deal {number:02d}" for number in range(20)]
    land_all(
        workspace,
        {
            "stages": STAGES,
            "opportunities": [
                deal(number, "Closed Won", f"2026-05-{place + 1:02d}") for place, number in enumerate(numbers)
            ],
            "opportunity_history": [
                change(number, "2026-02-01 10:00", "stage", "Discovery", "Closed Won") for number in numbers[::2]
            ],
            "leads": [
                {"lead_id": f"lead {number}", "created_on": "2025-12-20", "opportunity_id": number}
                for number in numbers[::3]
            ],
        },
    )
    with prepared(workspace) as built:
        whole = deal_lives(built, DEFAULT_POLICY)
        asked = ("opportunity_id", "outcome", "closed_on", "push_count", "handoff_days", "first_stage")
        laid = deal_lives(built, DEFAULT_POLICY, columns=asked)
        assert whole.height == len(numbers)
        assert laid.equals(whole.select(asked))
        again = ("opportunity_id", "amount")
        assert deal_lives(built, DEFAULT_POLICY, columns=again).equals(whole.select(again))


def life(lived: dict[str, pl.DataFrame], number: str) -> dict[str, Any]:
    return lived["lives"].row(by_predicate=pl.col("opportunity_id") == number, named=True)


def test_a_won_deals_life(lived: dict[str, pl.DataFrame]) -> None:
    won = life(lived, "won")
    assert (won["outcome"], won["closed_on"], won["closed_period_on"]) == ("won", date(2026, 5, 10), date(2026, 4, 1))
    assert (won["push_count"], won["went_back"], won["owner_count"]) == (1, True, 1)
    assert (won["cycle_days"], won["handoff_days"]) == (125, 16)
    assert won["first_stage"] == "Discovery"


def test_a_lost_deal_ends_when_it_was_closed_not_at_its_close_date(lived: dict[str, pl.DataFrame]) -> None:
    lost = life(lived, "lost")
    assert lost["outcome"] == "no_decision", "its reason says that the buyer decided nothing"
    assert (lost["closed_on"], lost["closed_period_on"]) == (date(2026, 6, 20), date(2026, 4, 1))
    assert (lost["owner_count"], lost["handoff_days"], lost["has_reason"]) == (2, None, True)


def test_an_open_deal_has_no_end(lived: dict[str, pl.DataFrame]) -> None:
    still = life(lived, "open")
    assert (still["outcome"], still["closed_on"], still["closed_period_on"], still["cycle_days"]) == (
        "open",
        None,
        None,
        None,
    )


def test_stages_left(lived: dict[str, pl.DataFrame]) -> None:
    told = lived["exits"].select("opportunity_id", "stage", "went", "age_days", "is_won_now").rows()
    assert sorted(told, key=str) == sorted(
        [
            ("won", "Discovery", "forward", 27, True),
            ("won", "Proposal", "back", 36, True),
            ("won", "Discovery", "forward", 55, True),
            ("won", "Proposal", "forward", 125, True),
            ("lost", "Discovery", "lost", 166, False),
            ("open", "Discovery", "forward", 177, False),
        ],
        key=str,
    )
    assert lived["defaults"]["stage"].to_list() == ["Discovery", "Proposal"]
    assert lived["won"].rows() == [(date(2026, 4, 1), Decimal(100))]


def test_rates_of_what_left_a_stage_and_of_what_closed(lived: dict[str, pl.DataFrame]) -> None:
    closed = [date(2026, 1, 1), date(2026, 4, 1)]
    counts = rates.outcome_rates(lived["lives"], lived["exits"], closed)
    told = {(row["measure"], row["item"], row["period_start_on"]): row for row in counts.iter_rows(named=True)}
    assert (told["win_rate", None, closed[1]]["won_count"], told["win_rate", None, closed[1]]["trial_count"]) == (1, 2)
    assert told["no_decision_share", None, closed[1]]["won_count"] == 1
    first = told["stage_conversion", "Discovery", closed[0]]
    assert (first["won_count"], first["trial_count"]) == (2, 2), "a step back is neither on nor out"
    second = told["stage_conversion", "Discovery", closed[1]]
    assert (second["won_count"], second["trial_count"]) == (0, 1)


# Coverage and chances


def state(number: str, week: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "period_start_on": date(2026, 1, 1), "week_of_period": week, "opportunity_id": number,
        "period_status": "closed", "existed": True, "won_by_week": False, "is_due": True, "lock_stage": "Proposal",
        "lock_owner_id": "ann",
        "lock_probability_rate": None, "lock_amount": Decimal(100), "end_amount": None, "outcome": "lost",
    } | more  # fmt: skip


def states(rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = {
        "period_start_on": pl.Date, "week_of_period": pl.Int64, "opportunity_id": pl.String, "period_status": pl.String,
        "existed": pl.Boolean, "won_by_week": pl.Boolean, "is_due": pl.Boolean, "lock_stage": pl.String,
        "lock_owner_id": pl.String, "lock_probability_rate": pl.Float64, "lock_amount": MONEY, "end_amount": MONEY,
        "outcome": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def test_coverage_needed_counts_what_was_due_against_all_that_landed_after() -> None:
    # Due at the lock: 100 + 100 + 200 (the second is won at 110). Created later: won at 50. Won before the lock: out.
    looks = states(
        [
            state("a"),
            state("b", outcome="won", end_amount=Decimal(110)),
            state("c", lock_amount=Decimal(200), outcome="open"),
            state("d", existed=False, is_due=None, lock_amount=None, outcome="won", end_amount=Decimal(50)),
            state("e", won_by_week=True, outcome="won", end_amount=Decimal(70)),
        ]
    )
    row = rates.coverage_needed(looks, lock_week=3).row(0, named=True)
    assert (row["pipeline_amount"], row["landed_amount"]) == (Decimal(400), Decimal(160))
    # One in three Proposals won: (100² + 100² + 200²)·⅓·⅔, and 50² for what was created later.
    assert row["chance_variance"] == pytest.approx(60_000 * 2 / 9 + 2_500)


def test_chances_look_once_at_each_deal_and_leave_unfinished_periods_out() -> None:
    later = {"period_start_on": date(2026, 4, 1)}
    looks = states(
        [state("a", outcome="open"), state("a", **later, outcome="won"), state("b", **later), state("c", **later)]
    )
    lives = pl.DataFrame({"opportunity_id": ["a", "b", "c"], "outcome": ["won", "lost", "open"]})
    defaults = pl.DataFrame({"stage": ["Proposal"], "default_probability_rate": [0.5]})
    frame = chances.chances(looks, lives, defaults, lock_week=3)
    assert frame["source"].unique().to_list() == ["stage_default"], "no deal has a probability of its own"
    ever = frame.filter(pl.col("week_of_period").is_null())
    assert ever.select("opportunity_id", "outcome").rows() == [("a", "won")], "half of the later period is unresolved"
    due = frame.filter(pl.col("week_of_period") == 3)
    assert sorted(due.select("opportunity_id", "outcome").rows()) == [
        ("a", "open"),
        ("a", "won"),
        ("b", "lost"),
        ("c", "lost"),
    ]


def test_the_models_own_odds_are_a_source_at_the_lock_week_only() -> None:
    """Deals due, in periods it issued odds for; a deal it could not model counts as one without a probability."""
    later = {"period_start_on": date(2026, 4, 1)}
    looks = states(
        [state("a", outcome="won"), state("a", **later), state("b", **later, outcome="won"), state("c", **later)]
    )
    lives = pl.DataFrame({"opportunity_id": ["a", "b", "c"], "outcome": ["won", "won", "lost"]})
    defaults = pl.DataFrame({"stage": ["Proposal"], "default_probability_rate": [0.5]})
    odds = pl.DataFrame(
        {
            "period_start_on": [date(2026, 4, 1)] * 3,
            "opportunity_id": ["a", "b", "not due"],
            "win_probability_rate": [0.2, 0.7, 0.9],
        }
    )
    frame = chances.chances(looks, lives, defaults, lock_week=3, odds=odds)
    own = frame.filter(pl.col("source") == "model").sort("opportunity_id")
    assert own["week_of_period"].to_list() == [3, 3, 3]
    assert own.select("opportunity_id", "predicted_rate", "outcome").rows() == [
        ("a", 0.2, "lost"),
        ("b", 0.7, "won"),
        ("c", None, "lost"),
    ]


def test_other_columns_of_the_export_are_fields_too(workspace_of_scores: pl.DataFrame) -> None:
    """Numbers are numbers however written; remarks stay words; a column is known by its name in the header."""
    lives = pl.DataFrame({"opportunity_id": ["1", "2", "3", "4"], "outcome": ["won", "lost", "no_decision", "open"]})
    found, names = chances.other_fields(workspace_of_scores, lives)
    assert names == ["Fit", "Lead score", "is_won "]
    assert found["is_won"].to_list() == [True, False, False]
    assert found["Lead score"].to_list() == [97.5, 3.0, None]
    assert found["Fit"].to_list() == ["good", None, "poor, 3"]
    nothing, none = chances.other_fields(workspace_of_scores.clear(), lives)
    assert (nothing.height, none) == (0, [])


@pytest.fixture
def workspace_of_scores() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "opportunity_id": ["1", "2", "3", "4"],
            "other_columns": [
                '{"Fit":"good","Lead score":"97,5 %","is_won":"yes"}',
                '{"Fit":null,"Lead score":"3","is_won":"no"}',
                '{"Fit":"poor, 3","Lead score":null,"is_won":"no"}',
                '{"Fit":"open","Lead score":"50","is_won":"no"}',
            ],
        }
    )


def test_a_shock_shared_by_a_periods_deals_is_found() -> None:
    rows = [
        {
            "predicted_rate": 0.5,
            "period_start_on": date(2024 + q // 4, 1 + 3 * (q % 4), 1),
            "outcome": "won" if n < won else "lost",
        }
        for q, won in enumerate((20, 80, 30, 70, 25, 75, 20, 80))
        for n in range(100)
    ]
    assert chances.shared_shock(pl.DataFrame(rows)) > 0.4
    calm = [row | {"outcome": "won" if n % 2 else "lost"} for n, row in enumerate(rows)]
    assert chances.shared_shock(pl.DataFrame(calm)) == 0
    assert chances.shared_shock(pl.DataFrame(rows[:100])) == 0, "one period says nothing of what periods share"


# The ladder


def pair(layer: str, who: str, amount: int | None, actual: int) -> dict[str, Any]:
    return {
        "layer": layer, "forecaster_id": who, "period_start_on": date(2026, 1, 1), "category": "commit",
        "week_of_period": 3, "forecast_amount": None if amount is None else Decimal(amount),
        "actual_amount": Decimal(actual),
    }  # fmt: skip


def climbed(
    pairs: list[dict[str, Any]], members: dict[str, list[str]], looks: pl.DataFrame | None = None
) -> dict[str, Decimal]:
    """Step → the company's forecast; 200 were won. ``members``: person → those above."""
    start = date(2026, 1, 1)
    above = [{"period_start_on": start, "person_id": who, "scope": scope} for who, over in members.items()
             for scope in (who, "company", *over)]  # fmt: skip
    tables = {
        "periods": pl.DataFrame(
            {"period_start_on": [start], "period_end_on": [date(2026, 3, 31)], "status": ["closed"]}
        ),
        "forecast_pairs": pl.DataFrame(pairs, schema_overrides={"forecast_amount": MONEY, "actual_amount": MONEY}),
        "scope_members": pl.DataFrame(above),
        "scopes": pl.DataFrame(
            {"scope": list(members), "scope_kind": ["rep" if members[who] else "manager" for who in members]}
        ),
        "quotas": pl.DataFrame(
            {"person_id": list(members), "period_start_on": start, "quota_amount": Decimal(90)},
            schema_overrides={"quota_amount": MONEY},
        ),
    }
    calls = ladder.ladder_calls(
        tables,
        states=[states([]) if looks is None else looks],
        defaults=pl.DataFrame({"stage": ["Proposal"], "default_probability_rate": [0.5]}),
        won=pl.DataFrame({"period_start_on": [start], "amount": [Decimal(200)]}, schema_overrides={"amount": MONEY}),
        policy=DEFAULT_POLICY,
        periods_per_year=4,
    )
    company = calls.filter(pl.col("scope") == "company")
    return dict(company.select("step", "forecast_amount").rows())


TEAM = {"ann": ["max"], "bo": ["max"], "max": []}


def test_reps_add_up_and_managers_speak_for_them() -> None:
    steps = climbed([pair("rep", "ann", 100, 120), pair("rep", "bo", 130, 80), pair("manager", "max", 210, 200)], TEAM)
    assert steps == {"rep_rollup": Decimal(230), "manager": Decimal(210)}


def test_a_layer_that_speaks_for_half_the_company_is_not_compared() -> None:
    steps = climbed([pair("rep", "ann", 100, 120), pair("rep", "bo", None, 80), pair("manager", "max", 210, 200)], TEAM)
    assert steps == {"manager": Decimal(210)}


def test_a_manager_below_a_manager_is_not_counted_twice() -> None:
    below = {"ann": ["sub", "max"], "sub": ["max"], "max": []}
    steps = climbed([pair("manager", "max", 210, 200), pair("manager", "sub", 150, 150)], below)
    assert steps == {"manager": Decimal(210)}


def test_the_pipeline_is_weighted_by_the_deals_own_probability_else_the_stages() -> None:
    looks = states(
        [
            state("a"),
            state("b", lock_probability_rate=0.9),
            state("c", won_by_week=True, lock_amount=Decimal(40)),
            state("d", is_due=False),
            state("e", existed=False, lock_amount=None, is_due=None),
        ]
    )
    steps = climbed([pair("rep", "ann", 100, 200)], TEAM, looks)
    assert steps["stage_weighted"] == Decimal("180.00"), "50 + 90 due, 40 closed already"


def test_fields_that_knew_the_outcome_weigh_no_pipeline() -> None:
    def told(field: str, status: str, seen: str = "when_opened") -> pl.DataFrame:
        return pl.DataFrame({"field": [field], "status": [status], "seen": [seen]})

    assert process.trusted(told("probability_rate", "usable"))
    assert process.trusted(told("next_step", "refused_as_leak"))
    assert not process.trusted(told("probability_rate", "suspect"))
    assert not process.trusted(told("stage", "refused_as_leak"))
    assert process.trusted(told("stage", "refused_as_leak", "in_export")), "an unmapped column of that name"


@pytest.mark.parametrize(("days", "expected"), [(90, 4), (30, 12), (364, 1)])
def test_periods_per_year(days: int, expected: int) -> None:
    start = date(2026, 1, 1)
    periods = pl.DataFrame({"period_start_on": [start], "period_end_on": [date.fromordinal(start.toordinal() + days)]})
    assert process.periods_per_year(periods) == expected


def test_an_empty_company_binds_every_statement(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    land_all(workspace, {"opportunities": [deal("o1", "Proposal", "2026-02-10")]})
    with prepared(workspace) as built:
        assert deal_lives(built, DEFAULT_POLICY).height == 1
        assert stage_exits(built).is_empty()
        assert stage_defaults(built).is_empty()
        assert company_actuals(built).is_empty()
