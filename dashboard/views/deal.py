"""One deal: how it stands and why it is worth a look, how it moved, in which calls it was, whether it is booked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers_deal, tables, theme, wording_deal
from dashboard.answers_deal import DealAnswer
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.contracts import Deals, MissDeals, Reconciliation
from pipelines.engine import health
from pipelines.history_contracts import MovementDeals
from pipelines.outcome_contracts import CorrectedValues

NUMBERS = frozenset(map(say, ("Amount", "At the lock, amount", "Won at", "Step", "Closed won", "Booked", "Difference")))


def page(filters: Filters) -> None:
    asked = parts.chosen_deal()
    answer = None if asked is None else answers_deal.deal(filters, asked)
    if answer is None:
        st.title(say("Which deal?"), anchor=False)
        parts.said(wording_deal.NOBODY if asked is None else wording_deal.unknown_deal(asked))
        return
    _stand(answer)
    _rows(
        say("In which calls was it?"),
        answer.steps,
        wording_deal.STEP_HEADINGS,
        wording_deal.step_row,
        empty=wording_deal.NO_STEPS,
        currency=answer.context.currency,
        defined_by=MissDeals,
    )
    _rows(
        say("How did it move?"),
        answer.moves,
        wording_deal.MOVE_HEADINGS,
        wording_deal.move_row,
        empty=wording_deal.NO_MOVES,
        currency=answer.context.currency,
        defined_by=MovementDeals,
    )
    _rows(
        say("Is it booked?"),
        answer.ties,
        wording_deal.TIE_HEADINGS,
        wording_deal.tie_row,
        empty=wording_deal.NO_TIES,
        currency=answer.context.currency,
        defined_by=Reconciliation,
    )

    if not answer.corrections.is_empty():
        _rows(
            say("What was corrected later?"),
            answer.corrections,
            wording_deal.CORRECTION_HEADINGS,
            wording_deal.correction_row,
            empty="",
            currency=answer.context.currency,
            defined_by=CorrectedValues,
        )


def _stand(answer: DealAnswer) -> None:
    currency = answer.context.currency
    st.title(theme.escape(answer.name), anchor=False)
    stood = wording_deal.stand(answer.current, answer.steps.to_dicts(), currency)
    st.header(theme.escape(stood), anchor=False)
    as_of = theme.instant(answer.context.as_of_at)
    line = wording_deal.deal_line(
        account=answer.account_name, owner=answer.owner, opportunity_id=answer.opportunity_id, as_of=as_of
    )
    st.caption(theme.escape(line))
    if answer.current is not None:
        parts.said(wording_deal.chance(answer.current, answer.context.noun))
        parts.said(wording_deal.flagged(answer.current))
        st.caption(theme.escape(wording_deal.facts(answer.current)))
        parts.how_computed(Deals, health.pipeline_health)
    if answer.owner_id is not None and answer.owner is not None:
        st.page_link(
            parts.page_at(parts.FORECASTER, "One forecaster"),
            label=theme.escape(say("The calls of {name}", name=answer.owner)),
            icon=":material/person:",
            query_params={parts.FORECASTER: answer.owner_id},
        )


def _rows(
    title: str,
    rows: pl.DataFrame,
    headings: tuple[str, ...],
    cells: Callable[[Mapping[str, Any], str], tuple[str | None, ...]],
    *,
    empty: str,
    currency: str,
    defined_by: Callable[..., object],
) -> None:
    st.header(title, anchor=False)
    if rows.is_empty():
        parts.said(empty)
        return
    columns = [Column(name, is_number=name in NUMBERS) for name in headings]
    st.html(tables.table(columns, [cells(row, currency) for row in rows.iter_rows(named=True)], caption=title))
    parts.how_computed(defined_by)
