"""Forecasters: do they differ at all, who leans, which way, how surely?"""

from __future__ import annotations

import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from dashboard import answers, tables, theme, wording, wording_forecasters, wording_trust
from dashboard.answers import ForecastersAnswer
from dashboard.charts.caterpillar import caterpillar
from dashboard.charts.funnel import funnel
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.views import parts
from pipelines.engine import bias, team, verdict
from pipelines.engine import funnel as funnel_engine

FEW = 18
"""Rows up to which the caterpillar leaves room below it."""

FEWEST = 3
"""Own records that make a funnel."""


def page(filters: Filters) -> None:
    answer = answers.forecasters(filters)
    st.title(say("Who leans, which way, and how surely?"), anchor=False)
    if not answer.has_calls:
        for sentence in wording_trust.without_calls(True):
            parts.said(sentence)
        return
    _first_line(answer)
    if answer.rows.is_empty():
        return
    few = answer.drawn.height < FEW
    parts.choose_forecaster(answer.rows.select("forecaster_id", "name").rows())
    left, right = st.columns([3, 2], gap="large")
    with left:
        _caterpillar(answer)
    with right:
        _funnel(answer)
    with left if few else right:
        _words(answer)
    _table(answer)


def _first_line(answer: ForecastersAnswer) -> None:
    context, frame = answer.context, answer.context.frame
    sentence = wording_forecasters.differ_sentence(
        answer.differ,
        frame,
        forecaster_count=answer.forecaster_count,
        period_count=answer.period_count,
        common=answer.common,
        layer=context.layer,
    )
    st.header(wording.markdown(wording.plain(sentence)), anchor=False)
    parts.said(wording_forecasters.differ_detail(answer.differ, answer.between_sd))
    as_of = theme.instant(context.as_of_at)
    line = wording_forecasters.lock_line(frame, context.layer, context.category, context.scope_name, as_of)
    st.caption(theme.escape(line))


def _caterpillar(answer: ForecastersAnswer) -> None:
    context, counts, drawn = answer.context, answer.counts, answer.drawn
    if drawn.is_empty():
        parts.said(wording_forecasters.too_young(context.policy.min_periods_value, context.noun))
        return
    level = context.policy.level
    title = wording_forecasters.counts_title(
        counts.get("runs_high", 0),
        counts.get("runs_low", 0),
        counts.get("fair", 0),
        counts.get("not_enough_evidence", 0),
    )
    parts.finding(
        title,
        caterpillar(
            rows=drawn,
            common=answer.common[:3] if answer.common else None,
            fair_bounds=context.fair_bounds,
            currency=context.currency,
            words=wording.DIRECTIONS,
            dark=is_dark(),
        ),
        alt=wording_forecasters.caterpillar_alt(
            drawn.select("name", "estimate", "lower", "upper", "word").rows(), level
        ),
        key="caterpillar",
        nested=True,
        caption=wording_forecasters.caterpillar_caption(
            level, has_common=answer.common is not None, fair_zone=context.policy.fair_zone
        ),
    )
    remark = wording_forecasters.shown_of(
        drawn.height,
        answer.drawable_count,
        listed=answer.rows.height,
        ranked=answer.differ == "differ",
        departed=answer.departed_count,
    )
    if remark:
        st.caption(theme.escape(remark))


def _funnel(answer: ForecastersAnswer) -> None:
    context = answer.context
    title = wording_forecasters.funnel_title(answer.outside_count, answer.records.height, answer.funnel_level)
    if answer.records.height >= FEWEST:
        parts.finding(
            title,
            funnel(
                rows=answer.records,
                limits=answer.limits,
                common=answer.common[0] if answer.common else None,
                currency=context.currency,
                words=wording.DIRECTIONS,
                dark=is_dark(),
            ),
            alt=title,
            key="funnel",
            nested=True,
            caption=wording_forecasters.funnel_caption(answer.funnel_level),
        )


def _words(answer: ForecastersAnswer) -> None:
    context = answer.context
    st.subheader(say("What a word takes"), anchor=False)
    parts.said(wording_forecasters.what_a_word_takes(context.policy, context.noun))
    parts.how_computed(
        bias.forecaster_bias, bias.classify, verdict.differ, team.heterogeneity_p_value, funnel_engine.funnel_limits
    )


def _table(answer: ForecastersAnswer) -> None:
    context = answer.context
    st.subheader(say("Everybody"), anchor=False)
    rates = {
        "estimate": say("Lands at"),
        "lower": say("from"),
        "upper": say("to"),
        "landing_rate": say("Raw rate"),
        "sure_rate": say("Sure of direction, at least"),
        "own_weight_rate": say("Own record's weight"),
    }
    unit = "" if context.currency == theme.NO_CURRENCY else f", {context.currency}"
    st.dataframe(
        tables.grid(answer.table),
        column_config={
            "name": TextColumn(say("Forecaster"), pinned=True),
            "team": TextColumn(say("Team")),
            "word": TextColumn(say("Calls")),
            "period_count": NumberColumn(f"{context.noun.capitalize()}s"),
            **{name: NumberColumn(label, format="percent") for name, label in rates.items()},
            "forecast_amount": NumberColumn(say("Called{unit}", unit=unit), format="accounting"),
            "actual_amount": NumberColumn(say("Landed{unit}", unit=unit), format="accounting"),
        },
        hide_index=True,
        placeholder=theme.MISSING,
        key="everybody",
        alt=say("Every forecaster with the landing rate of their calls, its range and the record behind it"),
    )
