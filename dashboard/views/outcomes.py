"""Win / loss: which deals are won, lost or never decided, and what reasons are stated?"""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers_outcomes, tables, theme, wording_outcomes
from dashboard.answers_outcomes import MOST_DRAWN, OutcomesAnswer
from dashboard.charts.intervals import intervals
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from dashboard.wording_outcomes import CUTS, OUTCOMES
from pipelines.engine import outcomes


def page(filters: Filters) -> None:
    answer = answers_outcomes.outcomes(filters)
    rows = [row for table in answer.cuts.values() for row in table.to_dicts()]
    st.title(theme.escape(wording_outcomes.outcomes_title(rows, answer.whole)), anchor=False)
    if answer.whole is None:
        for sentence in wording_outcomes.no_outcomes(answer.noun, has_deals=answer.has_deals):
            parts.said(sentence)
        parts.bring_data()
        return
    st.caption(theme.escape(wording_outcomes.window(answer.whole, answer.noun, theme.instant(answer.as_of_at))))
    parts.said(wording_outcomes.whole_sentence(answer.whole, answer.currency))
    parts.said(
        wording_outcomes.unexplained_sentence(
            answer.unexplained_count, answer.unexplained_amount, answer.whole, answer.currency
        )
    )
    _cuts(answer)
    _reasons(answer)


def _cuts(answer: OutcomesAnswer) -> None:
    st.header(say("What do deals that are won have in common?"), anchor=False)
    st.caption(theme.escape(wording_outcomes.cuts_caption(answer.whole)))
    top = _top(list(answer.cuts.values()))
    half = (len(answer.cuts) + 1) // 2
    named = list(answer.cuts.items())
    for column, side in zip(st.columns(2, gap="large"), (named[:half], named[half:]), strict=True):
        with column:
            for cut, rows in side:
                _cut(cut, rows, top)
    if answer.whole is not None:
        parts.listed(wording_outcomes.undecided(answer.cuts, answer.whole))
    for sentence in wording_outcomes.not_stated(answer.missing):
        st.caption(theme.escape(sentence))
    parts.how_computed(outcomes.win_loss)
    _rates(answer)


def _cut(cut: str, rows: pl.DataFrame, top: float) -> None:
    drawn = rows.head(MOST_DRAWN).with_columns(
        label=pl.col("value").fill_null(wording_outcomes.NOT_RECORDED), estimate="win_rate"
    )
    title = wording_outcomes.cut_title(cut, rows.to_dicts())
    st.subheader(theme.escape(title), anchor=False)
    st.plotly_chart(
        intervals(rows=drawn, dark=is_dark(), top=top),
        key=f"win-{cut}",
        alt=wording_outcomes.rates_alt(title, drawn.to_dicts()),
        theme=None,
        config=theme.CHART_CONFIG,
    )


def _reasons(answer: OutcomesAnswer) -> None:
    told = {outcome: answer.reasons[outcome] for outcome in OUTCOMES if outcome in answer.reasons}
    st.header(say("What reasons are stated?"), anchor=False)
    if not any(rows.height for rows in told.values()):
        st.markdown(wording_outcomes.no_reasons())
        return
    top = _top([rows.with_columns(win_rate="share_rate") for rows in told.values()])
    for column, (outcome, rows) in zip(st.columns(len(told), gap="large"), told.items(), strict=True):
        with column:
            _reason(answer, outcome, rows, top)
    parts.how_computed(outcomes.outcome_reasons)
    _stated(answer)


def _reason(answer: OutcomesAnswer, outcome: str, rows: pl.DataFrame, top: float) -> None:
    title = wording_outcomes.reasons_title(outcome, rows.to_dicts())
    st.subheader(theme.escape(title), anchor=False)
    silent: dict[str, Any] | None = answer.unexplained.get(outcome)
    st.caption(theme.escape(wording_outcomes.reasons_caption(outcome, silent, answer.currency)))
    if rows.is_empty():
        return
    drawn = rows.head(MOST_DRAWN).with_columns(label=say("reason"), estimate="share_rate")
    st.plotly_chart(
        intervals(rows=drawn, dark=is_dark(), top=top),
        key=f"reason-{outcome}",
        alt=wording_outcomes.rates_alt(title, drawn.to_dicts()),
        theme=None,
        config=theme.CHART_CONFIG,
    )


def _rates(answer: OutcomesAnswer) -> None:
    numbers = [
        say(name)
        for name in (
            "Won",
            "Lost",
            "No decision",
            "Win rate",
            "Undecided",
            "Won money",
            "Lost money",
            "Undecided money",
        )
    ]
    with st.expander(say("Every rate, with its deals and money")):
        for cut, rows in answer.cuts.items():
            st.html(
                tables.table(
                    (
                        Column(CUTS[cut].capitalize()),
                        *(Column(name, is_number=True) for name in numbers),
                        Column(say("Against the rest")),
                    ),
                    wording_outcomes.rate_rows(rows.to_dicts(), answer.currency),
                    caption=say("How deals ended, by {cut}", cut=CUTS[cut]),
                )
            )


def _stated(answer: OutcomesAnswer) -> None:
    with st.expander(say("Every stated reason, with its deals and money")):
        told = [answer.reasons[outcome].to_dicts() for outcome in OUTCOMES if outcome in answer.reasons]
        reasons = [row for some in told for row in some] + list(answer.unexplained.values())
        columns = (Column(say("Reason")), Column(say("Outcome")))
        st.html(
            tables.table(
                (
                    *columns,
                    *(Column(say(name), is_number=True) for name in ("Deals", "Share", "Money", "Of the money")),
                ),
                wording_outcomes.reason_rows(reasons, answer.currency),
                caption=say("Reasons stated of closed deals"),
            )
        )


def _top(tables_of: list[pl.DataFrame]) -> float:
    """One scale for charts beside each other."""
    ends = [end for rows in tables_of for end in (*rows["upper"].drop_nulls(), *rows["win_rate"].drop_nulls())]
    return min(1.0, max(ends, default=1.0))
