"""What a pack is made of: the answers that the pages show for the same filters, gathered once.

Nothing is computed here that a page does not show; a pack and a page cannot disagree because they read one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dashboard import answers, answers_miss, answers_pipeline, answers_value, inventory, shelf
from dashboard.answers import ForecasterAnswer, ForecastersAnswer, TrustAnswer
from dashboard.answers_miss import MissAnswer, ReconcileAnswer
from dashboard.answers_pipeline import PipelineAnswer
from dashboard.answers_value import ValueAnswer
from dashboard.filters import Filters
from dashboard.inventory import Faults, TableState
from pipelines.contracts import CALL_CATEGORIES, LAYERS
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

MOST_PEOPLE = 24
"""Forecasters with a slide of their own: a review of more is several reviews, one per manager's scope."""

PAST_MISSES = 4


@dataclass(frozen=True)
class Inputs:
    """What the edition stands on: landed tables, rows set aside (largest fault first), tables that are missing."""

    states: list[TableState]
    rejected: pl.DataFrame
    faults: list[Faults]
    missing: list[tuple[str, str]]
    file_count: int


@dataclass(frozen=True)
class Brief:
    """One edition through one set of filters. ``people``: those with a slide of their own, of ``people_count``.

    ``past_misses``: the latest closed periods, newest first. ``leans``: one row per layer and category that the scope
    has a lean of at the lock week: ``layer``, ``category``, ``landing_rate``, ``estimate``, ``lower``, ``upper``,
    ``level``, ``period_count``.
    """

    ref: EditionRef
    filters: Filters
    trust: TrustAnswer
    forecasters: ForecastersAnswer
    people: tuple[ForecasterAnswer, ...]
    people_count: int
    miss: MissAnswer
    past_misses: tuple[MissAnswer, ...]
    pipeline: PipelineAnswer
    value: ValueAnswer
    reconcile: ReconcileAnswer
    leans: pl.DataFrame
    inputs: Inputs

    @property
    def company(self) -> str:
        return self.ref.company_name or "Forecast Trust"


def gather(workspace: Workspace, filters: Filters, period: str | None = None) -> Brief:
    """Ask every page's question once. ``period``: the miss told in full; the latest closed one by default."""
    ref = shelf.edition(workspace, filters.edition_id)
    everybody = answers.forecasters(filters)
    chosen = _with_a_slide(everybody)
    people = (answers.forecaster(filters, person) for person in chosen)
    told = answers_miss.miss(filters, period)
    latest = [label for _, label in told.periods[:PAST_MISSES]]
    return Brief(
        ref=ref,
        filters=filters,
        trust=answers.trust(filters),
        forecasters=everybody,
        people=tuple(person for person in people if person is not None),
        people_count=everybody.rows.height,
        miss=told,
        past_misses=tuple(answers_miss.miss(filters, label) for label in latest),
        pipeline=answers_pipeline.pipeline(filters),
        value=answers_value.value_added(filters),
        reconcile=answers_miss.reconcile(filters),
        leans=_leans(ref, filters.scope),
        inputs=_inputs(ref),
    )


def _with_a_slide(everybody: ForecastersAnswer) -> list[str]:
    """All where they are few; else those of whom something can be said, the surest first, in the order of the page."""
    rows = everybody.rows
    if rows.height > MOST_PEOPLE:
        said = rows.filter(pl.col("kind") != "not_enough_evidence").sort("wrong_sign_rate", nulls_last=True)
        rows = rows.filter(pl.col("forecaster_id").is_in(said["forecaster_id"].head(MOST_PEOPLE).implode()))
    return rows["forecaster_id"].to_list()


def _leans(ref: EditionRef, scope: str) -> pl.DataFrame:
    layer = pl.col("layer").replace_strict(LAYERS, range(len(LAYERS)), return_dtype=pl.Int64)
    category = pl.col("category").replace_strict(CALL_CATEGORIES, range(len(CALL_CATEGORIES)), return_dtype=pl.Int64)
    return (
        shelf.table(ref, "team_bias")
        .filter(pl.col("scope") == scope, pl.col("week_of_period") == ref.lock_week)
        .drop_nulls(["estimate", "lower", "upper"])
        .sort(layer, category)
        .select("layer", "category", "landing_rate", "estimate", "lower", "upper", "level", "period_count")
    )


def _inputs(ref: EditionRef) -> Inputs:
    status, rejected = shelf.table(ref, "table_status"), shelf.table(ref, "rejected_rows")
    return Inputs(
        states=inventory.landed(status),
        rejected=rejected,
        faults=inventory.faults(rejected),
        missing=inventory.missing(status),
        file_count=shelf.table(ref, "inputs").height,
    )
