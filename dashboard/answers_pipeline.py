"""Is the pipeline sound, and are the rates people plan with constant? One cached answer for the Pipeline page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers, shelf, wording_pipeline
from dashboard.answers import Context
from dashboard.filters import Filters
from pipelines.engine.health import OTHER_REASONS, REASONS
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

MOST_DEALS = 500
"""Deals listed as worth a look: the largest; a longer list is an export."""


@dataclass(frozen=True)
class Rate:
    """One rate over the closed periods. ``verdict``: the last row of its series; ``rows``: oldest first, with
    ``label`` of the period."""

    measure: str
    item: str | None
    verdict: dict[str, Any]
    rows: pl.DataFrame


@dataclass(frozen=True)
class PipelineAnswer:
    """``measures``: measure → its row of ``pipeline_health`` at this scope. ``shares``: those drawn, in order, with
    ``label`` and ``previous`` (latest first). ``splits``: win rates by what deals have in common, with ``label``;
    ``reasons``: why deals are not won, the commonest first, likewise.

    ``deals``: open deals past their close date, without any activity, or with two reasons or more, largest first:
    ``name``, ``account_name``, ``owner``, ``stage``, ``amount``, ``close_on``, ``age_days``, ``push_count``, ``why``,
    ``opportunity_id``; ``flagged_count`` of ``open_count``.
    ``pacing``: what was open and due in each period told, at each of its weeks, oldest first: ``label``,
    ``week_of_period``, ``amount``, ``deal_count``, ``is_now``.
    ``rates``: of the whole company, whatever the scope.
    """

    context: Context
    has_deals: bool
    has_history: bool
    has_quotas: bool
    measures: dict[str, dict[str, Any]]
    shares: pl.DataFrame
    splits: pl.DataFrame
    reasons: pl.DataFrame
    pacing: pl.DataFrame
    rates: tuple[Rate, ...]
    deals: pl.DataFrame
    open_count: int
    flagged_count: int


def pipeline(filters: Filters) -> PipelineAnswer:
    """Is the pipeline sound, and what is true of our conversion rates?"""
    return _pipeline(shelf.edition(Workspace.at(), filters.edition_id), filters)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _pipeline(ref: EditionRef, filters: Filters) -> PipelineAnswer:
    health = editions.read(ref, "pipeline_health", where={"scope": filters.scope})
    landed = dict(shelf.table(ref, "table_status").select("table_name", "row_count").rows())
    whole = health.filter(pl.col("item") == "all")
    open_deals, flagged = _deals(ref, filters)
    return PipelineAnswer(
        context=answers.context_of(ref, filters, ref.lock_week),
        has_deals=landed.get("opportunities", 0) > 0 or not open_deals.is_empty(),
        has_history=landed.get("opportunity_history", 0) + landed.get("opportunity_states", 0) > 0,
        has_quotas=landed.get("quotas", 0) > 0,
        measures={str(row["measure"]): row for row in whole.iter_rows(named=True)},
        shares=_drawn(whole, wording_pipeline.SHARES),
        splits=_splits(health),
        reasons=_reasons(health),
        pacing=_pacing(ref, filters),
        rates=_rates(ref),
        deals=flagged.head(MOST_DEALS),
        open_count=open_deals.height,
        flagged_count=flagged.height,
    )


def common_top(splits: pl.DataFrame) -> float:
    """The end of the scale that all splits share: charts beside each other are compared."""
    ends = [*splits["upper"].drop_nulls(), *splits["estimate"].drop_nulls()]
    return min(1.0, max(ends, default=1.0))


def _drawn(health: pl.DataFrame, labels: dict[str, str]) -> pl.DataFrame:
    order = pl.DataFrame({"measure": list(labels), "label": list(labels.values())})
    rows = order.join(health.drop_nulls("estimate"), on="measure", how="inner", maintain_order="left")
    return rows.with_columns(previous=pl.concat_list("previous_1", "previous_2", "previous_3", "previous_4"))


def _pacing(ref: EditionRef, filters: Filters) -> pl.DataFrame:
    weekly = editions.read(
        ref,
        "pipeline_weekly",
        where={"scope": filters.scope},
        columns=("period_start_on", "week_of_period", "due_amount", "due_count"),
    )
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    return (
        weekly.join(labels, on="period_start_on", how="inner")
        .sort("period_start_on", "week_of_period")
        .select(
            "label",
            "week_of_period",
            amount="due_amount",
            deal_count="due_count",
            is_now=pl.col("period_start_on") == ref.open_period_start_on,
        )
    )


def _splits(health: pl.DataFrame) -> pl.DataFrame:
    """Win rates side by side; a split with one item compares nothing and is left out."""
    order = pl.DataFrame(
        {"measure": list(wording_pipeline.SPLITS), "split": [word for word, _ in wording_pipeline.SPLITS.values()]}
    )
    rows = order.join(health.drop_nulls("estimate"), on="measure", how="inner", maintain_order="left")
    several = rows.filter(pl.len().over("measure") > 1)
    label = pl.struct("measure", "item").map_elements(
        lambda row: wording_pipeline.item_label(row["measure"], row["item"]), return_dtype=pl.String
    )
    return several.with_columns(label=label)


def _reasons(health: pl.DataFrame) -> pl.DataFrame:
    rows = health.filter(pl.col("measure") == REASONS).drop_nulls("estimate")
    in_order = rows.sort(pl.col("item") == OTHER_REASONS, pl.col("estimate"), "item", descending=[False, True, False])
    return in_order.with_columns(label="item")


def _rates(ref: EditionRef) -> tuple[Rate, ...]:
    table = shelf.table(ref, "rate_stability").filter(
        pl.col("scope") == COMPANY_SCOPE, pl.col("status") != "one_outcome"
    )
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    rows = table.join(labels, on="period_start_on", how="left", maintain_order="left").sort("period_start_on")
    found = [
        Rate(str(key[0]), None if key[1] is None else str(key[1]), part.row(-1, named=True), part)
        for key, part in rows.group_by(["measure", "item"], maintain_order=True)
    ]
    stages = shelf.table(ref, "rate_stability").filter(pl.col("measure") == "stage_conversion")
    # Stages in the order deals go through them is not published; the share that goes on rises along the way.
    weight = dict(stages.group_by("item").agg(pl.col("trial_count").sum()).iter_rows())
    place = list(wording_pipeline.RATES)
    found.sort(key=lambda rate: (place.index(rate.measure), rate.item is not None, -weight.get(rate.item, 0)))
    return tuple(found)


def _deals(ref: EditionRef, filters: Filters) -> tuple[pl.DataFrame, pl.DataFrame]:
    deals = shelf.table(ref, "deals")
    if filters.scope != COMPANY_SCOPE:
        members = shelf.table(ref, "scope_members").filter(
            (pl.col("scope") == filters.scope) & (pl.col("period_start_on") == ref.open_period_start_on)
        )
        deals = deals.filter(pl.col("owner_id").is_in(members["person_id"].implode()))
    owners = shelf.table(ref, "scopes").select(owner_id="scope", owner="scope_name")
    reasons = pl.col("flags").str.split(",").list.len()
    flagged = (
        deals.filter(pl.col("is_past_due") | pl.col("is_stalled").fill_null(False) | (reasons > 1))
        .join(owners, on="owner_id", how="left", maintain_order="left")
        .with_columns(
            owner=pl.coalesce("owner", "owner_id"),
            name=pl.coalesce("name", "opportunity_id"),
            why=pl.col("flags").map_elements(wording_pipeline.why, return_dtype=pl.String),
        )
        .sort("amount", "opportunity_id", descending=[True, False], nulls_last=True)
    )
    columns = ["name", "account_name", "owner", "stage", "amount", "close_on", "age_days", "push_count", "why"]
    columns.append("opportunity_id")
    return deals, flagged.select(columns)
