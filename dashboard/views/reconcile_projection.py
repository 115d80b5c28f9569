"""The projection: from sales' call to the number finance carries, and plan, call, range and landed by period."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from dashboard import answers_finance, tables, theme, wording_finance
from dashboard.answers_finance import ProjectionAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from dashboard.wording_finance import STEPS
from pipelines.engine import projection, spans

TOTALS = ("landing", "carry")


def page(filters: Filters) -> None:
    answer = answers_finance.projection(filters)
    steps = {row["step"]: row for row in answer.steps.iter_rows(named=True)}
    call = steps.get("call", {}).get("amount")
    st.title(theme.escape(wording_finance.carry_title(answer.label, answer.carry, call, answer.currency)), anchor=False)
    if steps:
        parts.said(wording_finance.carry_sentence(steps, answer.layer, answer.category, answer.currency))
        _bridge(answer)
    else:
        parts.said(wording_finance.no_bridge())
    _spans(answer)


def _bridge(answer: ProjectionAnswer) -> None:
    rows = answer.steps.to_dicts()
    known = [row for row in rows if row["amount"] is not None]
    drawn = [
        Step(STEPS[row["step"]][0], row["amount"], _kind(row["step"]), told=STEPS[row["step"]][1]) for row in known
    ]
    # A bridge leads from a call; the landing alone is no step.
    if drawn and known[0]["step"] == "call":
        parts.finding(
            say("From sales' call to the number to carry"),
            waterfall(steps=drawn, currency=answer.currency, dark=is_dark()),
            alt=wording_finance.carry_alt(rows, answer.label, answer.currency),
            key="carry",
            caption=say("Outline: called. Solid: sums. Blue adds, orange takes away; the table has every interval."),
        )
    st.html(
        tables.table(
            (Column(say("Step")), Column(say("Why")), *_figures(wording_finance.STEP_COLUMNS)),
            wording_finance.step_rows(rows, answer.currency),
            caption=say("Every step with its reason and its interval"),
        )
    )
    st.caption(theme.escape(" ".join(wording_finance.METHOD[:2])))
    parts.how_computed(projection.bridge, projection.share_of_base)


def _figures(heads: Sequence[str]) -> list[Column]:
    return [Column(head, is_number=True) for head in heads]


def _kind(step: str) -> str:
    return "call" if step == "call" else "total" if step in TOTALS else "change"


def _spans(answer: ProjectionAnswer) -> None:
    if answer.spans.is_empty():
        return
    st.header(say("Plan, call, range and landed"), anchor=False)
    st.caption(
        theme.escape(wording_finance.spans_caption(answer.whose, answer.week, answer.noun, answer.actual_source))
    )
    whole = answer.spans.filter(pl.col("span_kind") != "month")
    _table(answer, whole, say("Plan, call, range and landed by period"))
    months = answer.spans.filter(pl.col("span_kind") == "month")
    if months.height:
        with st.expander(say("By month")):
            _table(answer, months, say("Landed and middle of the range by month"))
    parts.how_computed(spans.split_months)


def _table(answer: ProjectionAnswer, rows: pl.DataFrame, caption: str) -> None:
    st.html(
        tables.table(
            (Column(say("Span")), *_figures(wording_finance.SPAN_COLUMNS), Column(say("Remark"))),
            wording_finance.span_rows(rows.sort("span_start_on", descending=True).to_dicts(), answer.currency),
            caption=caption,
        )
    )
