"""What finance carries, and whether calls tie to the books: one cached answer per question, as in ``answers``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl
import streamlit as st

from dashboard import shelf
from dashboard.filters import Filters
from dashboard.language import say
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef


@dataclass(frozen=True)
class ProjectionAnswer:
    """From the call to the number to carry, for the scope and calls asked for.

    ``steps``: ``projection_bridge`` in order, empty where no period runs. ``spans``: ``projection`` with ``label`` (of
    the period) and ``actual_amount`` (what the setting counts as landed), periods and their months in order of time.
    ``whose``: layer and category of the calls in ``spans``, which are those the range was made from.
    """

    currency: str
    noun: str
    scope_name: str
    layer: str
    category: str
    actual_source: str
    label: str
    week: int | None
    steps: pl.DataFrame
    spans: pl.DataFrame
    whose: tuple[str, str] | None

    def step(self, name: str) -> dict[str, object]:
        """One step as a row; empty where there is no bridge."""
        found = self.steps.filter(pl.col("step") == name)
        return found.row(0, named=True) if found.height else {}

    @property
    def carry(self) -> Decimal | None:
        amount = self.step("carry").get("amount")
        return amount if isinstance(amount, Decimal) else None


@dataclass(frozen=True)
class CallTieAnswer:
    """Call → closed won → booked, of one period, layer and category. ``status``: ``ok``, ``no_bookings``, ``no_calls``.

    ``rows``: ``call_bookings`` with ``name``, the company first; ``periods``: those that have such rows.
    """

    status: str
    currency: str
    noun: str
    layer: str
    category: str
    label: str
    periods: tuple[tuple[date, str], ...]
    rows: pl.DataFrame

    @property
    def company(self) -> dict[str, object]:
        found = self.rows.filter(pl.col("forecaster_id") == COMPANY_SCOPE)
        return found.row(0, named=True) if found.height else {}


def projection(filters: Filters) -> ProjectionAnswer:
    """What number should finance carry, and how does it come from what sales called?"""
    return projection_of(shelf.edition(Workspace.at(), filters.edition_id), filters)


def call_tie(filters: Filters, period: str | None = None) -> CallTieAnswer:
    """Do this layer's calls tie to the books? ``period``: its label; the latest that is told by default."""
    return call_tie_of(shelf.edition(Workspace.at(), filters.edition_id), filters, period)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def projection_of(ref: EditionRef, filters: Filters) -> ProjectionAnswer:
    """``projection`` of an edition already open."""
    steps = editions.read(
        ref,
        "projection_bridge",
        where={"scope": filters.scope, "layer": filters.layer, "category": filters.category},
    ).sort("step_place")
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    actual = "booked_amount" if ref.actual_source == "bookings" else "crm_amount"
    spans = (
        editions.read(ref, "projection", where={"scope": filters.scope})
        .join(labels, on="period_start_on", how="left")
        .with_columns(actual_amount=pl.col(actual))
        .sort("period_start_on", pl.col("span_kind") == "month", "span_start_on")
    )
    whose = spans.drop_nulls("layer").select("layer", "category").rows()
    now = labels.filter(pl.col("period_start_on").eq_missing(pl.lit(ref.open_period_start_on, pl.Date)))
    names = shelf.table(ref, "scopes").filter(pl.col("scope") == filters.scope)["scope_name"].to_list()
    return ProjectionAnswer(
        currency=ref.reporting_currency,
        noun=ref.period_kind,
        scope_name=say("whole company") if filters.scope == COMPANY_SCOPE or not names else names[0],
        layer=filters.layer,
        category=filters.category,
        actual_source=ref.actual_source,
        label=str(now["label"][0]) if now.height else "",
        week=int(steps["week_of_period"][0]) if steps.height else None,
        steps=steps,
        spans=spans,
        whose=whose[0] if whose else None,
    )


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def call_tie_of(ref: EditionRef, filters: Filters, period: str | None) -> CallTieAnswer:
    """``call_tie`` of an edition already open."""
    every = editions.read(ref, "call_bookings", where={"layer": filters.layer, "category": filters.category})
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    known = labels.join(every.select("period_start_on").unique(), on="period_start_on", how="semi")
    periods = tuple(known.sort("period_start_on", descending=True).rows())
    start, label = next((entry for entry in periods if entry[1] == period), periods[0] if periods else (None, ""))
    people = shelf.table(ref, "scopes").select("scope", name="scope_name")
    rows = every.filter(pl.col("period_start_on") == start) if start else every.clear()
    if filters.scope != COMPANY_SCOPE and start:
        inside = shelf.table(ref, "scope_members").filter(
            pl.col("scope") == filters.scope, pl.col("period_start_on") == start
        )
        rows = rows.filter(pl.col("forecaster_id").is_in(inside["person_id"].to_list()))
    is_company = pl.col("forecaster_id") == COMPANY_SCOPE
    named = rows.join(people, left_on="forecaster_id", right_on="scope", how="left").with_columns(
        name=pl.coalesce("name", "forecaster_id")
    )
    nothing_booked = shelf.table(ref, "reconciliation_totals").is_empty()
    return CallTieAnswer(
        status="no_bookings" if nothing_booked else "no_calls" if rows.is_empty() else "ok",
        currency=ref.reporting_currency,
        noun=ref.period_kind,
        layer=filters.layer,
        category=filters.category,
        label=label,
        periods=periods,
        rows=named.sort(~is_company, pl.col("booked_amount") - pl.col("call_amount"), "name", nulls_last=True),
    )
