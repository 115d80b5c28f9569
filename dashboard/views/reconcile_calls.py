"""Calls against the books: from what was called to what was booked, for the company and everybody who called."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from dashboard import answers_finance, tables, theme, wording_finance
from dashboard.answers_finance import CallTieAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.views import parts
from dashboard.wording_finance import BOOK_STEPS
from pipelines.engine import call_books
from pipelines.policy import COMPANY_SCOPE

SHOWN_ROWS = 2_000


def page(filters: Filters) -> None:
    answer = answers_finance.call_tie(filters)
    if answer.periods:
        chosen = parts.choose_period([label for _, label in answer.periods], key="booked-calls")
        answer = answers_finance.call_tie(filters, chosen)
    if answer.status != "ok":
        st.title(say("Do calls tie to the books?"), anchor=False)
        parts.said(wording_finance.no_calls(answer.layer))
        return
    company = answer.company
    st.title(theme.escape(wording_finance.call_tie_title(answer.label, company, answer.currency)), anchor=False)
    parts.said(wording_finance.call_tie_sentence(company, answer.currency))
    is_drawn = _bridge(answer)
    _people(answer, below_bridge=is_drawn)


def _bridge(answer: CallTieAnswer) -> bool:
    """Whether the company's call and what was booked are known, so that a bridge leads from one to the other."""
    company = answer.company
    if company.get("call_amount") is None or company.get("booked_amount") is None:
        return False
    steps = [Step(say("called"), _money(company, "call_amount"), "call")]
    for name, (word, told) in BOOK_STEPS.items():
        amount = _money(company, name)
        if name == "crm_amount":
            steps.append(Step(word, amount, "total", told=told))
        elif amount != 0:
            steps.append(Step(word, amount, told=told))
    steps.append(Step(say("booked"), _money(company, "booked_amount"), "total"))
    parts.finding(
        say("From the call to what was booked"),
        waterfall(steps=steps, currency=answer.currency, dark=is_dark()),
        alt=wording_finance.call_tie_alt(company, answer.label, answer.currency),
        key="call-tie",
        caption=say("Outline: called. Solid: closed won and booked. Blue adds, orange takes away."),
    )
    return True


def _money(row: dict[str, object], name: str) -> Decimal:
    amount = row.get(name)
    return amount if isinstance(amount, Decimal) else Decimal(0)


def _people(answer: CallTieAnswer, *, below_bridge: bool) -> None:
    """A grid: a company has more callers than a table holds, and more steps than a page is wide."""
    (st.subheader if below_bridge else st.header)(say("Everybody who called"), anchor=False)
    named = {"call_amount": say("Called"), **wording_finance.book_heads(), "booked_amount": say("Booked")}
    shown = answer.rows.select(
        pl.when(pl.col("forecaster_id") == COMPANY_SCOPE)
        .then(pl.lit(say("Whole company")))
        .otherwise("name")
        .alias("who"),
        *named,
        pl.col("status").replace(wording_finance.STATUSES).alias("remark"),
    )
    st.dataframe(
        tables.grid(shown.head(SHOWN_ROWS)),
        column_config={
            "who": TextColumn(say("Who"), pinned=True),
            **{name: NumberColumn(head, format="accounting") for name, head in named.items()},
            "remark": TextColumn(say("Remark")),
        },
        hide_index=True,
        placeholder=theme.MISSING,
        key="call_rows",
        alt=say("From each call to what was booked, step by step"),
    )
    parts.how_computed(call_books.call_bookings, call_books.book_steps)
