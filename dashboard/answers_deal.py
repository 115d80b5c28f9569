"""One deal: how it stands, how it moved, in which calls it was, whether it is booked. From published tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers, shelf
from dashboard.answers import Context
from dashboard.filters import Filters
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

OWN_DEALS = 500
"""Deals offered by name on one person's page: the largest."""


@dataclass(frozen=True)
class DealAnswer:
    """One deal. ``current``: its row of ``deals`` while it is open. ``moves``: of the periods told, in the order they
    happened: ``label``, ``movement``, ``amount``, ``moved_at``. ``steps``: its part in closed periods' misses,
    latest first: ``label`` and the columns of ``miss_deals``. ``ties``: its rows of ``reconciliation``.
    ``corrections``: its rows of ``corrected_values``, latest first, owners by their names."""

    context: Context
    opportunity_id: str
    name: str
    account_name: str | None
    owner_id: str | None
    owner: str | None
    current: dict[str, Any] | None
    moves: pl.DataFrame
    steps: pl.DataFrame
    ties: pl.DataFrame
    corrections: pl.DataFrame


def deal(filters: Filters, opportunity_id: str) -> DealAnswer | None:
    """What is this deal's story? None where the edition does not know the id."""
    return _deal(shelf.edition(Workspace.at(), filters.edition_id), filters, opportunity_id)


def deals_of(filters: Filters, person: str) -> list[tuple[str, str]]:
    """(id, name) of a person's open deals and of those in their closed periods' misses, open ones first."""
    return _deals_of(shelf.edition(Workspace.at(), filters.edition_id), person)


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=shelf.KEYS)
def _deal(ref: EditionRef, filters: Filters, opportunity_id: str) -> DealAnswer | None:
    where = {"opportunity_id": opportunity_id}
    current, moves, steps, ties = (
        editions.read(ref, name, where=where) for name in ("deals", "movement_deals", "miss_deals", "reconciliation")
    )
    if current.is_empty() and moves.is_empty() and steps.is_empty() and ties.is_empty():
        return None
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    # What is told of one scope alone is no step of the deal: it went from one to another inside the company.
    moves = (
        moves.filter(pl.col("scope").is_null())
        .join(labels, on="period_start_on", how="left")
        .sort(
            "period_start_on",
            pl.col("movement") == "end",
            "moved_at",
            descending=[True, False, False],
            nulls_last=False,
        )
    )
    steps = steps.join(labels, on="period_start_on", how="left").sort(
        "period_start_on", "cause", descending=[True, False]
    )
    corrections = editions.read(ref, "corrected_values", where=where).sort(
        "corrected_at", "field", descending=[True, False]
    )
    now = None if current.is_empty() else current.row(0, named=True)
    last = {} if steps.is_empty() else steps.row(0, named=True)
    tied = {} if ties.is_empty() else ties.row(0, named=True)
    owner_id = (now or {}).get("owner_id") or last.get("end_owner_id") or tied.get("owner_id")
    people = dict(shelf.table(ref, "scopes").select("scope", "scope_name").rows())
    is_owner = pl.col("field") == "owner_id"
    corrections = corrections.with_columns(
        pl.when(is_owner).then(pl.col(name).replace(people)).otherwise(name).alias(name)
        for name in ("reported_value", "corrected_value")
    )
    return DealAnswer(
        context=answers.context_of(ref, filters, ref.lock_week),
        opportunity_id=opportunity_id,
        name=(now or {}).get("name") or last.get("name") or opportunity_id,
        account_name=(now or {}).get("account_name") or last.get("account_name") or tied.get("account_name"),
        owner_id=owner_id,
        owner=None if owner_id is None else people.get(owner_id, owner_id),
        current=now,
        moves=moves,
        steps=steps,
        ties=ties,
        corrections=corrections,
    )


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=shelf.KEYS)
def _deals_of(ref: EditionRef, person: str) -> list[tuple[str, str]]:
    columns = ["opportunity_id", "name", "amount"]
    ours = editions.read(ref, "deals", where={"owner_id": person}, columns=columns)
    ours = ours.sort("amount", "opportunity_id", descending=[True, False], nulls_last=True)
    past = editions.read(ref, "miss_deals", where={"lock_owner_id": person}, columns=columns)
    past = past.sort(pl.col("amount").abs(), "opportunity_id", descending=[True, False])
    found = pl.concat([ours, past]).unique("opportunity_id", keep="first", maintain_order=True).head(OWN_DEALS)
    return [(key, name or key) for key, name in found.select("opportunity_id", "name").rows()]
