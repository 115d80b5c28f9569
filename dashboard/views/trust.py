"""Trust: can this call be believed, and how do we know?"""

from __future__ import annotations

import streamlit as st

from dashboard import answers, tables, theme, wording
from dashboard.answers import TrustAnswer
from dashboard.charts.track_record import OpenPeriod, track_record
from dashboard.filters import Filters, is_dark
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.engine import expectation, freshness, verdict

COLOURS = {"trust": "blue", "trust_with_care": "orange", "do_not_rely": "red", "not_enough_history": "gray"}
CHECKED = {True: ":blue[:material/check_circle:]", False: ":orange[:material/error:]", None: ":gray[:material/help:]"}
SHOWN = 16


def page(filters: Filters) -> None:
    answer = answers.trust(filters)
    _verdict(answer)
    if not answer.has_calls:
        _without_calls(answer)
        return
    _cards(answer)
    chart, why = st.columns([2, 1], gap="large")
    with chart:
        _record(answer)
    with why:
        _why(answer)
    _table(answer)


def _verdict(answer: TrustAnswer) -> None:
    context, frame = answer.context, answer.context.frame
    line = wording.context_line(
        frame,
        layer=context.layer,
        category=context.category,
        scope_name=context.scope_name,
        days_left=context.days_left,
        as_of=theme.instant(context.as_of_at),
        quota=answer.quota_amount,
    )
    st.caption(theme.escape(line if answer.has_calls else wording.bare_line(frame, theme.instant(context.as_of_at))))
    word, icon = wording.VERDICTS[answer.verdict.state]
    reason = wording.markdown(wording.verdict_reason(answer.verdict, frame, answer.grounds))
    st.title(f":{COLOURS[answer.verdict.state]}[{icon} {word}]: {reason}", anchor=False)
    if answer.has_calls:
        sentence = wording.expected_sentence(
            answer.expected,
            frame,
            summary=answer.summary,
            lowest_amount=answer.lowest_amount,
            highest_amount=answer.highest_amount,
        )
        parts.said(sentence)


def _cards(answer: TrustAnswer) -> None:
    cards = wording.trust_cards(
        answer.context.frame,
        summary=answer.summary,
        expected=answer.expected,
        fresh=answer.fresh,
        fair=answer.record["is_fair"].to_list(),
    )
    for column, card in zip(st.columns(4), cards, strict=True):
        column.metric(
            card.label,
            card.value,
            delta=card.note,
            delta_color="off",
            delta_arrow="off",
            help=theme.escape(card.explanation),
            border=True,
            height="stretch",
        )


def _record(answer: TrustAnswer) -> None:
    context, frame = answer.context, answer.context.frame
    shown = answer.record.tail(SHOWN)
    call = answer.expected.call_amount
    open_period = None
    if call is not None and context.period_label is not None:
        open_period = OpenPeriod(
            context.period_label, call, answer.expected.expected_amount, answer.lowest_amount, answer.highest_amount
        )
    parts.finding(
        wording.record_title(answer.summary, frame.noun),
        track_record(
            rows=shown,
            open_period=open_period,
            currency=context.currency,
            fair_bounds=context.lean_bounds,
            dark=is_dark(),
        ),
        alt=wording.record_alt(
            shown.select("label", "call_amount", "landed_amount", "landing_rate").rows(), frame, answer.expected
        ),
        key="record",
        caption=wording.record_caption(frame, shown=shown.height, total=answer.record.height),
    )


def _why(answer: TrustAnswer) -> None:
    frame = answer.context.frame
    st.subheader("Why this verdict", anchor=False)
    for check in answer.checks:
        sentence = wording.check_sentence(check, frame, answer.grounds)
        st.markdown(f"{CHECKED[check.holds]} {wording.markdown(sentence)}")
    trend = wording.trend(answer.summary)
    if trend:
        parts.said(trend)
    parts.how_computed(
        verdict.verdict, expectation.expectation, expectation.record, expectation.summarise, freshness.freshness
    )


def _table(answer: TrustAnswer) -> None:
    if answer.record.is_empty():
        return
    frame = answer.context.frame
    columns = (Column(frame.noun.capitalize()), *(Column(name, is_number=True) for name in wording.RECORD_COLUMNS))
    rows = wording.record_rows(answer.record.reverse().iter_rows(named=True), answer.context.currency, callers=True)
    with st.expander(f"Every {frame.noun} at week {frame.week}, to the cent"):
        st.html(tables.table(columns, rows, caption=f"Called and landed per {frame.noun}"))


def _without_calls(answer: TrustAnswer) -> None:
    deals = answer.deals
    if deals.open_count:
        sentence = wording.open_deals(
            deals.open_count,
            deals.open_amount,
            deals.past_due_count,
            deals.past_due_amount,
            answer.context.currency,
        )
        parts.said(sentence)
    for sentence in wording.without_calls(deals.has_deals):
        parts.said(sentence)
