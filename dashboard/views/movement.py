"""How the pipeline moved in a span: the bridge, and the deals behind each of its amounts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import streamlit as st
from streamlit.column_config import DateColumn, NumberColumn, TextColumn

from dashboard import answers_movement, tables, theme, wording_movement
from dashboard.answers_movement import MovementAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from dashboard.wording_record import MOVEMENTS
from pipelines.engine import movement_drill
from pipelines.errors import EditionError
from pipelines.history_contracts import PipelineMovement

MOVED = "moved"
LARGEST = 200


def section(filters: Filters, scope_name: str) -> None:
    """The part of the Pipeline page; nothing where no movement of the scope is told."""
    spans = answers_movement.spans(filters)
    if not spans:
        return
    st.header(say("How did it move?"), anchor=False)
    label = parts.choose_period([span.label for span in spans], key=MOVED)
    answer = answers_movement.movement(filters, next(span for span in spans if span.label == label))
    span, currency = answer.span, answer.currency
    finding = wording_movement.title(span.label, answer.start_amount, answer.end_amount, currency)
    changes = [Step(MOVEMENTS[row.movement][0], row.amount, told=MOVEMENTS[row.movement][1]) for row in answer.totals]
    parts.finding(
        finding,
        waterfall(
            steps=[
                Step(wording_movement.end_name(span.start_on), answer.start_amount, "total"),
                *changes,
                Step(wording_movement.end_name(span.end_on), answer.end_amount, "total"),
            ],
            currency=currency,
            dark=is_dark(),
        ),
        alt=wording_movement.alt(finding, answer.totals, currency),
        key="moved-bridge",
        caption=wording_movement.caption(span.period_label, scope_name),
        nested=True,
    )
    parts.how_computed(PipelineMovement, movement_drill.deals_behind)
    counted = {
        "start": (answer.start_amount, answer.start_count),
        **{row.movement: (row.amount, row.deal_count) for row in answer.totals},
        "end": (answer.end_amount, answer.end_count),
    }
    columns = (Column(say("What happened")), *(Column(name, is_number=True) for name in (say("Amount"), say("Of"))))
    cells = [wording_movement.exact_row(name, *amounts, currency) for name, amounts in counted.items()]
    parts.in_full(say("The movement to the cent"), columns, cells)
    _behind(filters, answer, counted)


def _behind(filters: Filters, answer: MovementAnswer, counted: Mapping[str, tuple[Decimal, int]]) -> None:
    """Any amount of the bridge, opened to its deals."""
    currency = answer.currency
    name = st.selectbox(
        say("The deals behind it"),
        [name for name, (_, count) in counted.items() if count],
        index=None,
        format_func=lambda name: wording_movement.choice(name, *counted[name], currency),
        placeholder=say("Choose an amount of the bridge"),
        key="moved-what",
        width=420,
    )
    if name is None:
        return
    try:
        rows = answers_movement.behind(filters, answer.span, name)
    except EditionError as error:  # of a version that did not publish them: the bridge stands all the same
        st.info(theme.escape(f"{error.problem} {error.remedy}"))
        return
    unit = "" if currency == theme.NO_CURRENCY else f", {currency}"
    shown = rows.head(LARGEST)
    if shown.height < rows.height:
        st.caption(wording_movement.listed(shown.height, rows.height))
    st.dataframe(
        tables.grid(shown.select("name", "owner", "amount", "change_count", "moved_at", "opportunity_id")),
        column_config={
            "name": TextColumn(say("Deal"), pinned=True),
            "owner": TextColumn(say("Owner")),
            "amount": NumberColumn(say("Amount{unit}", unit=unit), format="accounting"),
            "change_count": NumberColumn(say("Times")),
            "moved_at": DateColumn(say("Last on"), format="D MMM YYYY"),
            "opportunity_id": TextColumn(say("Id")),
        },
        hide_index=True,
        placeholder=theme.MISSING,
        key="moved-deals",
        alt=say("The deals behind the chosen amount, largest first"),
    )
    file_name = f"{name}-{answer.span.start_on}-{answer.edition_id}"
    parts.as_file(say("All of them (CSV)"), lambda: rows, file_name=file_name, key="moved-csv")
    deals = [(key, called or key) for key, called in shown.select("opportunity_id", "name").rows()]
    parts.choose_deal(deals, key="moved-deal")
