"""How the pipeline of a scope moved, in any span that is told, and the deals behind each amount."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl
import streamlit as st

from dashboard import shelf
from dashboard.filters import Filters
from dashboard.wording_movement import span_label
from dashboard.wording_record import Moved
from pipelines.engine.movement_drill import ENDS, deals_behind
from pipelines.history_contracts import MOVEMENTS
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef


@dataclass(frozen=True)
class Span:
    """A period, or a week of one (then ``is_week``). ``end_on``: its last day counted. ``period_label``: of which
    period's pipeline."""

    label: str
    period_label: str
    period_start_on: date
    start_on: date
    end_on: date
    is_week: bool


@dataclass(frozen=True)
class MovementAnswer:
    """``start_amount`` + Σ ``totals.amount`` = ``end_amount``, exactly. ``Moved.deal_count``: how many changes."""

    span: Span
    currency: str
    edition_id: str
    start_amount: Decimal
    end_amount: Decimal
    start_count: int
    end_count: int
    totals: tuple[Moved, ...]


def spans(filters: Filters) -> tuple[Span, ...]:
    """Every span told of the scope: the latest period first, its weeks after it, the latest first."""
    return _spans(shelf.edition(Workspace.at(), filters.edition_id), filters.scope)


def movement(filters: Filters, span: Span) -> MovementAnswer:
    """What came, what left, what changed its worth in one of ``spans``."""
    return _movement(shelf.edition(Workspace.at(), filters.edition_id), filters.scope, span)


def behind(filters: Filters, span: Span, name: str) -> pl.DataFrame:
    """The deals behind one movement of a span, ``start`` and ``end`` too, with their owners' names (``owner``)."""
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    return _behind(ref, filters.scope, span, name)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _spans(ref: EditionRef, scope: str) -> tuple[Span, ...]:
    columns = ["span_kind", "span_start_on", "span_end_on", "period_start_on"]
    told = editions.read(ref, "pipeline_movement", where={"scope": scope, "movement": "start"}, columns=columns)
    labels = dict(shelf.table(ref, "periods").select("period_start_on", "label").iter_rows())
    found = []
    for kind, start_on, end_on, period_start_on in told.iter_rows():
        period_label, is_week = labels.get(period_start_on, str(period_start_on)), kind == "week"
        label = span_label(period_label, start_on if is_week else None)
        found.append(Span(label, period_label, period_start_on, start_on, end_on, is_week))
    return tuple(sorted(found, key=lambda one: (one.period_start_on, not one.is_week, one.start_on), reverse=True))


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _movement(ref: EditionRef, scope: str, span: Span) -> MovementAnswer:
    where = {"span_kind": "week" if span.is_week else "period", "span_start_on": span.start_on, "scope": scope}
    columns = ["movement", "amount", "deal_count", "change_count"]
    rows = {row[0]: row[1:] for row in editions.read(ref, "pipeline_movement", where=where, columns=columns).rows()}
    (start_amount, start_count, _), (end_amount, end_count, _) = (rows[name] for name in ENDS)
    moved = [name for name in MOVEMENTS if name in rows and name not in ENDS]
    return MovementAnswer(
        span=span,
        currency=ref.reporting_currency,
        edition_id=ref.edition_id,
        start_amount=start_amount,
        end_amount=end_amount,
        start_count=start_count,
        end_count=end_count,
        totals=tuple(Moved(name, rows[name][0], rows[name][2]) for name in moved),
    )


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=shelf.KEYS)
def _behind(ref: EditionRef, scope: str, span: Span, name: str) -> pl.DataFrame:
    # What stood as a week began or ended is every change until then; of anything else its own rows do.
    is_path = span.is_week and name in ENDS
    where: dict[str, object] = {"period_start_on": span.period_start_on}
    rows = editions.read(ref, "movement_deals", where=where if is_path else where | {"movement": name})
    owners = editions.read(ref, "owner_scopes", where={"scope": scope})
    days = (span.start_on, span.end_on) if span.is_week else (None, None)
    found = deals_behind(rows, owners, scope=scope, movement=name, from_on=days[0], to_on=days[1])
    people = shelf.table(ref, "scopes").select("scope", owner="scope_name")
    return found.join(people, left_on="owner_id", right_on="scope", how="left", maintain_order="left")
