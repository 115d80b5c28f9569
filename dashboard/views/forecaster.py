"""One forecaster: what lands of their calls, how sure that is, and the record behind it."""

from __future__ import annotations

import streamlit as st

from dashboard import answers, answers_deal, tables, theme, wording, wording_forecasters, wording_trust
from dashboard.answers import ForecasterAnswer
from dashboard.charts.track_record import OpenPeriod, track_record
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import one_by_one, parts
from pipelines.engine import bias, expectation

SHOWN = 16


def page(filters: Filters) -> None:
    everybody = answers.forecasters(filters)
    asked = parts.chosen_forecaster()
    if asked is None or not one_by_one.is_projected():
        parts.choose_forecaster(everybody.rows.select("forecaster_id", "name").rows())
    if asked is None:
        st.title(say("Whose calls?"), anchor=False)
        parts.said(wording_forecasters.nobody_chosen())
        return
    answer = answers.forecaster(filters, asked)
    if answer is None:
        st.title(say("This forecaster is not in the edition"), anchor=False)
        parts.said(wording_forecasters.unknown_forecaster(asked))
        return
    one_by_one.walk(everybody.rows["forecaster_id"].to_list(), asked)
    _who(answer)
    if answer.record.is_empty():
        return
    left, right = st.columns([2, 1], gap="large")
    with left:
        _record(answer)
    with right:
        _horizons(answer)
    if not one_by_one.is_projected():
        parts.choose_deal(answers_deal.deals_of(filters, asked), key="open-own")
        _table(answer)


def _who(answer: ForecasterAnswer) -> None:
    context, bias_row = answer.context, answer.bias or {}
    interval = {name: bias_row.get(name) for name in ("lower", "upper")}
    st.title(theme.escape(answer.name), anchor=False)
    word = wording_forecasters.forecaster_word(
        context.frame,
        direction=bias_row.get("direction", "not_enough_evidence"),
        status=bias_row.get("status", "no_call"),
        wrong_sign_rate=bias_row.get("wrong_sign_rate"),
        min_periods_label=context.policy.min_periods_label,
        **interval,
    )
    st.header(wording.markdown(word), anchor=False)
    sentence = wording_forecasters.forecaster_sentence(
        answer.name,
        context.frame,
        estimate=bias_row.get("estimate"),
        level=bias_row.get("level"),
        period_count=bias_row.get("period_count", 0),
        status=bias_row.get("status", "no_call"),
        **interval,
    )
    parts.said(sentence)
    parts.said(
        wording_forecasters.forecaster_facts(
            answer.name,
            own_weight_rate=bias_row.get("own_weight_rate"),
            called=bias_row.get("pair_count"),
            expected=bias_row.get("expected_count"),
            noun=context.noun,
            unforecast_rate=bias_row.get("unforecast_rate"),
        )
    )
    st.caption(
        theme.escape(
            wording_forecasters.person_line(
                role=answer.role,
                team=answer.team,
                region=answer.region,
                hired_on=answer.hired_on,
                left_on=answer.left_on,
            )
        )
    )
    as_of = theme.instant(context.as_of_at)
    line = wording_forecasters.lock_line(context.frame, context.layer, context.category, answer.name, as_of)
    st.caption(theme.escape(line))


def _record(answer: ForecasterAnswer) -> None:
    context, frame = answer.context, answer.context.frame
    shown = answer.record.tail(SHOWN)
    open_period = None
    if answer.open_call is not None and context.period_label is not None:
        open_period = OpenPeriod(context.period_label, answer.open_call, None, None, None)
    figure = track_record(
        rows=shown,
        open_period=open_period,
        currency=context.currency,
        fair_bounds=context.lean_bounds,
        dark=is_dark(),
    )
    parts.finding(
        wording_trust.record_title(answer.summary, frame.noun),
        theme.projected(figure) if one_by_one.is_projected() else figure,
        alt=wording_trust.record_alt(
            shown.select("label", "call_amount", "landed_amount", "landing_rate").rows(), frame, None
        ),
        key="own-record",
        caption=wording_trust.record_caption(frame, shown=shown.height, total=answer.record.height),
        nested=True,
    )


def _horizons(answer: ForecasterAnswer) -> None:
    st.subheader(wording_forecasters.horizons_title(answer.context.noun), anchor=False)
    st.html(
        tables.table(
            (
                Column(say("Call made at")),
                *(Column(name, is_number=True) for name in map(say, ("Lands at", "Range", "n"))),
            ),
            wording_forecasters.horizon_rows(answer.horizons.iter_rows(named=True)),
            caption=say("Landing rate by week of the call"),
        )
    )
    st.caption(theme.escape(wording_forecasters.horizons_caption(answer.context.policy.level)))
    parts.how_computed(bias.forecaster_bias, bias.classify, expectation.record)


def _table(answer: ForecasterAnswer) -> None:
    noun = answer.context.noun
    columns = (
        Column(noun.capitalize()),
        *(Column(name, is_number=True) for name in wording_trust.RECORD_COLUMNS[:-1]),
    )
    rows = wording_trust.record_rows(
        answer.record.reverse().iter_rows(named=True), answer.context.currency, callers=False
    )
    with st.expander(say("Every {noun} at week {week}, to the cent", noun=noun, week=answer.context.week)):
        st.html(tables.table(columns, rows, caption=say("Called and landed per {noun}", noun=noun)))
