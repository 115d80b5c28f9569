"""Trust: can this call be believed, and how do we know?"""

from __future__ import annotations

import streamlit as st

from dashboard import (
    answers,
    answers_record,
    tables,
    theme,
    wording,
    wording_landing,
    wording_record,
    wording_trust,
)
from dashboard.answers import TrustAnswer
from dashboard.charts.coverage import coverage_strip
from dashboard.charts.dots import Across, dotplot
from dashboard.charts.track_record import OpenPeriod, track_record
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.shelf import Offered
from dashboard.tables import Column
from dashboard.views import parts, scenario
from dashboard.views.typed_line import asked_line
from pipelines.engine import coverage, expectation, freshness, landing_tables, outlook, verdict
from pipelines.engine.outlook import Outlook
from pipelines.landing_contracts import LandingBacktest

COLOURS = {"trust": "blue", "trust_with_care": "orange", "do_not_rely": "red", "not_enough_history": "gray"}
CHECKED = {True: ":blue[:material/check_circle:]", False: ":orange[:material/error:]", None: ":gray[:material/help:]"}
SHOWN = 16


def page(filters: Filters, offered: Offered) -> None:
    answer = answers.trust(filters)
    _verdict(answer)
    # Its place is here, its making last: it asks two editions, and the first chart need not wait for that.
    latest = st.container()
    if answer.has_calls:
        _cards(answer)
        if answer.outlook is None:
            chart, why = st.columns([2, 1], gap="large")
            with chart:
                _record(answer)
            with why:
                _why(answer)
        else:
            _with_outlook(answer, answer.outlook, filters)
    else:
        _without_calls(answer, filters)
    with latest:
        _latest(filters, answer, offered)


def _with_outlook(answer: TrustAnswer, found: Outlook, filters: Filters) -> None:
    """Where it lands beside the record of calls; below, whether ranges held beside the reasons."""
    ahead, behind = st.columns(2, gap="large")
    with ahead:
        _dots(answer, found, filters)
    with behind:
        _record(answer)
    ranges, why = st.columns(2, gap="large")
    with ranges:
        _held(answer, found)
    with why:
        _why(answer)
    scenario.bench(filters, answer.context, found)


def _verdict(answer: TrustAnswer) -> None:
    context, frame = answer.context, answer.context.frame
    line = wording_trust.context_line(
        frame,
        layer=context.layer,
        category=context.category,
        scope_name=context.scope_name,
        days_left=context.days_left,
        as_of=theme.instant(context.as_of_at),
        quota=answer.quota_amount,
    )
    st.caption(
        theme.escape(line if answer.has_calls else wording_trust.bare_line(frame, theme.instant(context.as_of_at)))
    )
    word, icon = wording.VERDICTS[answer.verdict.state]
    reason = wording.markdown(wording_trust.verdict_reason(answer.verdict, frame, answer.grounds))
    st.title(f":{COLOURS[answer.verdict.state]}[{icon} {word}]: {reason}", anchor=False)
    if answer.outlook is not None:
        parts.said(wording_landing.outlook_sentence(answer.outlook, frame))
    elif answer.has_calls:
        sentence = wording_trust.expected_sentence(
            answer.expected,
            frame,
            summary=answer.summary,
            lowest_amount=answer.lowest_amount,
            highest_amount=answer.highest_amount,
        )
        parts.said(sentence)


def _latest(filters: Filters, answer: TrustAnswer, offered: Offered) -> None:
    """What changed since the edition before, or in the last week, in one line; the record tells the rest."""
    latest = answers_record.latest_change(filters, offered)
    if latest is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="latest"):
        st.caption(theme.escape(wording_record.latest_line(latest, answer.context.currency)), width="content")
        st.page_link(parts.page_at("record", "Record"), label=say("What changed"), icon=":material/history:")


def _cards(answer: TrustAnswer) -> None:
    cards = wording_trust.trust_cards(
        answer.context.frame,
        summary=answer.summary,
        expected=answer.expected,
        fresh=answer.fresh,
        fair=answer.record["is_fair"].to_list(),
    )
    found = answer.outlook
    if found is not None and found.held is not None:
        inside = answer.ranges["is_inside"].to_list()
        cards[2] = wording_landing.held_card(found.held, inside, answer.context.frame)
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
    open_period = _open_period(answer)
    parts.finding(
        wording_trust.record_title(answer.summary, frame.noun),
        track_record(
            rows=shown,
            open_period=open_period,
            currency=context.currency,
            fair_bounds=context.lean_bounds,
            dark=is_dark(),
        ),
        alt=wording_trust.record_alt(
            shown.select("label", "call_amount", "landed_amount", "landing_rate").rows(), frame, answer.expected
        ),
        key="record",
        caption=wording_trust.record_caption(frame, shown=shown.height, total=answer.record.height),
    )
    parts.how_computed(expectation.record, expectation.summarise)
    _table(answer)


def _open_period(answer: TrustAnswer) -> OpenPeriod | None:
    call, label, found = answer.expected.call_amount, answer.context.period_label, answer.outlook
    if call is None or label is None:
        return None
    if found is not None:
        span_of = f"{wording.how_often(found.level)} between"
        return OpenPeriod(label, call, found.estimate, found.lower, found.upper, span_of)
    expected = answer.expected.expected_amount
    return OpenPeriod(label, call, expected, answer.lowest_amount, answer.highest_amount)


def _dots(answer: TrustAnswer, issued: Outlook, filters: Filters) -> None:
    context, frame = answer.context, answer.context.frame
    drawn = st.container()
    own = asked_line(filters, issued, frame)
    found = issued if own is None else issued.judged_by(own)
    across = [
        Across(line.amount, wording_landing.line_label(line, frame), is_plan=line is found.plan) for line in found.lines
    ]
    with drawn:
        parts.finding(
            wording_landing.dots_title(found, frame.noun),
            dotplot(
                dots=found.dots,
                across=across,
                span=(found.lower, found.estimate, found.upper),
                currency=context.currency,
                dark=is_dark(),
            ),
            alt=wording_landing.dots_alt(found, frame),
            key="dots",
            caption=wording_landing.dots_caption(found),
        )
    swing = wording_landing.swing_sentence(found.swing, frame)
    for sentence in (swing, wording_landing.basis(found, frame)):
        if sentence:
            parts.said(sentence)
    with st.container(horizontal=True):
        if swing and found.swing is not None:
            parts.open_deal(found.swing.opportunity_id, found.swing.name)
        parts.open_pipeline()
    parts.how_computed(outlook.Outlook, outlook.misses, landing_tables.probability_of_reaching)


def _held(answer: TrustAnswer, found: Outlook) -> None:
    frame, rows = answer.context.frame, answer.ranges
    if found.held is None or rows.is_empty():
        st.caption(theme.escape(wording_landing.nothing_to_hold(frame.noun)))
        return
    parts.finding(
        wording_landing.held_title(found.held, frame.noun),
        coverage_strip(rows=rows, currency=answer.context.currency, dark=is_dark()),
        alt=wording_landing.held_alt(
            rows.select("label", "lower", "upper", "actual_amount", "is_inside").rows(), found.held, frame
        ),
        key="held",
        caption=wording_landing.held_caption(found),
    )
    parts.said(wording_landing.held_detail(found.held, frame.noun))
    parts.how_computed(coverage.coverage_verdict, LandingBacktest)
    with st.expander(say("Every range at week {week}, to the cent", week=found.week)):
        columns = (
            Column(frame.noun.capitalize()),
            *(Column(name, is_number=True) for name in wording_landing.OUTLOOK_COLUMNS[:-1]),
            Column(wording_landing.OUTLOOK_COLUMNS[-1]),
        )
        cells = rows.reverse().select("label", "lower", "estimate", "upper", "actual_amount", "is_inside").rows()
        st.html(
            tables.table(
                columns,
                wording_landing.held_rows(cells, answer.context.currency),
                caption=say("Ranges as issued and what landed, per {noun}", noun=frame.noun),
            )
        )


def _why(answer: TrustAnswer) -> None:
    frame = answer.context.frame
    st.header(say("Why this verdict"), anchor=False)
    for check in answer.checks:
        sentence = wording_trust.check_sentence(check, frame, answer.grounds)
        st.markdown(f"{CHECKED[check.holds]} {wording.markdown(sentence)}")
    trend = wording_trust.trend(answer.summary)
    if trend:
        parts.said(trend)
    parts.how_computed(
        verdict.verdict, expectation.expectation, expectation.record, expectation.summarise, freshness.freshness
    )


def _table(answer: TrustAnswer) -> None:
    if answer.record.is_empty():
        return
    frame = answer.context.frame
    columns = (
        Column(frame.noun.capitalize()),
        *(Column(name, is_number=True) for name in wording_trust.RECORD_COLUMNS),
    )
    rows = wording_trust.record_rows(
        answer.record.reverse().iter_rows(named=True), answer.context.currency, callers=True
    )
    with st.expander(say("Every {noun} at week {week}, to the cent", noun=frame.noun, week=frame.week)):
        st.html(tables.table(columns, rows, caption=say("Called and landed per {noun}", noun=frame.noun)))


def _without_calls(answer: TrustAnswer, filters: Filters) -> None:
    deals = answer.deals
    if deals.open_count:
        sentence = wording_trust.open_deals(
            deals.open_count,
            deals.open_amount,
            deals.past_due_count,
            deals.past_due_amount,
            answer.context.currency,
        )
        parts.said(sentence)
    for sentence in wording_trust.without_calls(deals.has_deals):
        parts.said(sentence)
    parts.bring_data()
    if answer.outlook is not None:
        ahead, ranges = st.columns(2, gap="large")
        with ahead:
            _dots(answer, answer.outlook, filters)
        with ranges:
            _held(answer, answer.outlook)
