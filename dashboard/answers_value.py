"""Does each step of judgement help, and are the probabilities true? One cached answer for the Value added page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers, shelf
from dashboard.answers import Context
from dashboard.filters import Filters
from pipelines.engine.value_added import ALL_TEAMS, LADDER
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

NAIVE = ("naive_last_year", "naive_last_period")
WEIGHTED_BY = ("stage", "probability_rate")
JUDGED = ("rep_rollup", "manager", "executive")


@dataclass(frozen=True)
class Calibration:
    """One source at one horizon (``week`` null: ever won), by count. ``figures``: what is repeated on each bin's row;
    ``money``: the same by money, or null. ``bins`` empty where the source is refused."""

    source: str
    week: int | None
    figures: dict[str, Any]
    money: dict[str, Any] | None
    bins: pl.DataFrame


@dataclass(frozen=True)
class ValueAnswer:
    """``steps``: the ladder at the lock week, one row per step after the first: its comparison with the step before
    (``value_added`` columns). ``first``: the step everything starts from, with ``mae_amount``. ``pairs``: every
    comparison at the lock week. ``weeks``: managers, executives and the model against the step before, by week.

    ``scope_used``: whose ladder it is: the filter's if it has one, else the company's. ``teams``: the panel over teams.
    ``crm_is_default``: the CRM's own probabilities are the stages' defaults, and are shown once.
    ``overrides``: rows of ``override_summary`` at the lock week. ``leaks``: fields that know too much.
    ``judged_count``: teams whose manager can be held against the reps, ``worded_count`` of them beyond chance.
    ``tests``: rows of ``rationality`` for the filter's calls.
    """

    context: Context
    scope_used: str
    steps: pl.DataFrame
    pairs: pl.DataFrame
    weeks: pl.DataFrame
    teams: pl.DataFrame
    overrides: pl.DataFrame
    calibrations: tuple[Calibration, ...]
    crm_is_default: bool
    leaks: pl.DataFrame
    tests: pl.DataFrame
    has_calls: bool
    judged_count: int
    worded_count: int

    @property
    def is_company(self) -> bool:
        return self.scope_used == COMPANY_SCOPE

    @property
    def has_judgement(self) -> bool:
        """Whether anybody's call can be held against what came before it."""
        return not self.steps.filter(pl.col("step").is_in(JUDGED)).is_empty()

    @property
    def has_hindsight(self) -> bool:
        """Whether stages or probabilities seem to have known the outcome: their calibration then flatters them."""
        opened = self.leaks.filter(pl.col("seen") == "when_opened")
        return bool(opened["field"].is_in(WEIGHTED_BY).any())


def value_added(filters: Filters) -> ValueAnswer:
    """Does each layer of judgement bring the call nearer to what lands?"""
    return _value_added(shelf.edition(Workspace.at(), filters.edition_id), filters)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _value_added(ref: EditionRef, filters: Filters) -> ValueAnswer:
    ladder = shelf.table(ref, "value_added")
    own = ladder.filter(pl.col("scope") == filters.scope)
    scope = filters.scope if not own.is_empty() else COMPANY_SCOPE
    ladder_of = ladder.filter(pl.col("scope") == scope)
    at_lock = ladder_of.filter(pl.col("week_of_period") == ref.lock_week)
    judged_teams = ladder.filter(
        ~pl.col("scope").is_in([COMPANY_SCOPE, ALL_TEAMS]),
        pl.col("step") == "manager",
        pl.col("reference_step") == "rep_rollup",
        pl.col("week_of_period") == ref.lock_week,
        pl.col("status") == "ok",
    )
    judged = _calibrations(shelf.table(ref, "probability_calibration"))
    same = _crm_is_default(judged)
    summary = shelf.table(ref, "override_summary").filter(pl.col("week_of_period") == ref.lock_week)
    tests = shelf.table(ref, "rationality").filter(
        pl.col("layer") == filters.layer, pl.col("category") == filters.category
    )
    return ValueAnswer(
        context=answers.context_of(ref, filters, ref.lock_week),
        scope_used=scope,
        steps=_steps(at_lock),
        pairs=_in_order(at_lock),
        weeks=_steps(ladder_of).filter(~pl.col("step").is_in([*NAIVE, "stage_weighted"])).sort("week_of_period"),
        teams=_steps(ladder.filter(pl.col("scope") == ALL_TEAMS, pl.col("week_of_period") == ref.lock_week)),
        overrides=summary,
        calibrations=tuple(one for one in judged if not (same and one.source == "rep")),
        crm_is_default=same,
        leaks=shelf.table(ref, "leaks").filter(pl.col("status").is_in(["suspect", "refused_as_leak"])),
        tests=tests,
        has_calls=not shelf.table(ref, "team_bias").is_empty(),
        judged_count=judged_teams.height,
        worded_count=judged_teams.filter(pl.col("direction").is_in(["adds_value", "hurts"])).height,
    )


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    place = {step: number for number, step in enumerate(LADDER)}
    return rows.with_columns(
        place=pl.col("step").replace_strict(place, return_dtype=pl.Int64),
        before=pl.col("reference_step").replace_strict(place, return_dtype=pl.Int64),
    ).sort("week_of_period", "place", "before")


def _steps(rows: pl.DataFrame) -> pl.DataFrame:
    """Each step against the nearest one before it; half-and-half, a challenge and no step of its own, is left out."""
    kept = rows.filter(pl.col("step") != "half_and_half", pl.col("reference_step") != "half_and_half")
    return _in_order(kept).group_by("week_of_period", "step", maintain_order=True).last()


def _crm_is_default(judged: tuple[Calibration, ...]) -> bool:
    """Whether nobody ever set a probability by hand: both sources say the same of every deal."""
    bins = {(one.source, one.week): one.bins.drop("source") for one in judged}
    weeks = {week for source, week in bins if source == "rep"}
    return bool(weeks) and all(
        ("stage_default", week) in bins and bins["rep", week].equals(bins["stage_default", week]) for week in weeks
    )


def _calibrations(table: pl.DataFrame) -> tuple[Calibration, ...]:
    found = []
    counted = table.filter(pl.col("weighting") == "count")
    for key, rows in counted.group_by(["source", "week_of_period"], maintain_order=True):
        money = table.filter(
            pl.col("source") == key[0],
            pl.col("week_of_period").eq_missing(pl.lit(key[1], pl.Int64)),
            pl.col("weighting") == "money",
        )
        found.append(
            Calibration(
                source=str(key[0]),
                week=key[1] if isinstance(key[1], int) else None,
                figures=rows.row(0, named=True),
                money=money.row(0, named=True) if money.height else None,
                bins=rows.drop_nulls("bin"),
            )
        )
    return tuple(found)
