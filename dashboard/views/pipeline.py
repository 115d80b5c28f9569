"""Pipeline: is it sound, and are the rates people plan with constant?"""

from __future__ import annotations

from functools import partial

import polars as pl
import streamlit as st
from streamlit.column_config import DateColumn, NumberColumn, TextColumn

from dashboard import answers_pipeline, tables, theme, wording_pipeline
from dashboard.answers_pipeline import PipelineAnswer, Rate
from dashboard.charts.intervals import intervals
from dashboard.charts.pacing import pacing
from dashboard.charts.rate_history import rate_history
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import movement, parts
from pipelines.contracts import Deals
from pipelines.engine import health, shares, stability
from pipelines.history_contracts import PipelineWeekly
from pipelines.policy import COMPANY_SCOPE

ACROSS = 3
WORD_COLOURS = {"stable": "blue", "drifting": "orange", "jumpy": "red", "too_little_data": "gray"}


def page(filters: Filters) -> None:
    answer = answers_pipeline.pipeline(filters)
    context = answer.context
    st.title(
        theme.escape(wording_pipeline.title(answer.measures, context.noun, has_deals=answer.has_deals)), anchor=False
    )
    st.caption(
        theme.escape(
            say(
                "{scope_name} · as of {as_of}",
                scope_name=wording_pipeline.opened(context.scope_name),
                as_of=theme.instant(context.as_of_at),
            )
        )
    )
    if not answer.has_deals:
        for sentence in wording_pipeline.no_deals(context.noun):
            parts.said(sentence)
        parts.bring_data()
        return
    said, drawn = st.columns([2, 3], gap="large")
    with said:
        _sentences(answer)
    with drawn:
        _shares(answer)
    _table(answer)
    movement.section(filters, context.scope_name)
    _pacing(answer)
    _rates(answer)
    _splits(answer)
    _reasons(answer)
    _deals(answer)


def _sentences(answer: PipelineAnswer) -> None:
    st.header(say("What the deals say"), anchor=False)
    parts.listed(wording_pipeline.sentences(answer.measures, answer.context.noun, answer.context.currency))
    for sentence in wording_pipeline.missing(has_history=answer.has_history, has_quotas=answer.has_quotas):
        st.caption(theme.escape(sentence))
    parts.how_computed(health.pipeline_health, health.ageing_limits)


def _shares(answer: PipelineAnswer) -> None:
    if answer.shares.is_empty():
        return
    rows = answer.shares.to_dicts()
    parts.finding(
        wording_pipeline.shares_title(rows),
        intervals(rows=answer.shares, dark=is_dark()),
        alt=wording_pipeline.shares_alt(rows),
        key="shares",
        caption=wording_pipeline.shares_caption(answer.context.policy.level, answer.context.noun),
    )
    parts.how_computed(health.pipeline_health, shares.inflation)


def _pacing(answer: PipelineAnswer) -> None:
    rows, currency = answer.pacing.to_dicts(), answer.context.currency
    if not any(row["is_now"] for row in rows):
        return
    parts.finding(
        wording_pipeline.pacing_title(rows, answer.context.noun, currency),
        pacing(rows=answer.pacing, currency=currency, dark=is_dark()),
        alt=wording_pipeline.pacing_alt(rows, currency),
        key="pacing",
        caption=wording_pipeline.pacing_caption(answer.context.noun),
    )
    with st.container(horizontal=True):
        parts.how_computed(PipelineWeekly)
        name = f"open-and-due-{answer.context.edition_id}"
        parts.as_file(say("Every week (CSV)"), lambda: answer.pacing, file_name=name, key="pacing-csv")


def _rates(answer: PipelineAnswer) -> None:
    st.header(say("Are our conversion rates constant?"), anchor=False)
    words = [str(rate.verdict["direction"]) for rate in answer.rates]
    whole = "" if answer.context.scope == COMPANY_SCOPE else say(" (of the whole company)")
    parts.said(f"{wording_pipeline.rates_title(words)}{whole}.")
    if not answer.rates:
        return
    st.caption(theme.escape(wording_pipeline.RATES_CAPTION))
    is_split = [rate.item is not None and rate.measure != "stage_conversion" for rate in answer.rates]
    _grid([rate for rate, split in zip(answer.rates, is_split, strict=True) if not split], answer.context.noun)
    with st.container(horizontal=True):
        parts.how_computed(stability.rate_stability, stability.verdict, stability.coverage_stability)
        name = f"conversion-rates-{answer.context.edition_id}"
        parts.as_file(
            say("Every rate, period by period (CSV)"), partial(_periods, answer), file_name=name, key="rates-csv"
        )
    if any(is_split):
        with st.expander(say("The same by sales motion")):
            _grid([rate for rate, split in zip(answer.rates, is_split, strict=True) if split], answer.context.noun)


def _periods(answer: PipelineAnswer) -> pl.DataFrame:
    return pl.concat([rate.rows for rate in answer.rates])


def _grid(rates: list[Rate], noun: str) -> None:
    for start in range(0, len(rates), ACROSS):
        for column, rate in zip(st.columns(ACROSS, gap="large"), rates[start : start + ACROSS], strict=False):
            with column:
                _rate(rate, noun)


def _rate(rate: Rate, noun: str) -> None:
    name = wording_pipeline.rate_name(rate.measure, rate.item)
    direction = str(rate.verdict["direction"])
    word, icon = wording_pipeline.STABILITY[direction]
    st.markdown(f"**{theme.escape(name)}** :{WORD_COLOURS[direction]}[{icon} {word}]")
    ends = (rate.verdict["next_lower"], rate.verdict["next_upper"])
    st.plotly_chart(
        rate_history(
            rows=rate.rows,
            overall=rate.verdict["overall"],
            # Where the sentence gives nothing to plan with, the picture does not either.
            ahead=None if None in ends or rate.verdict["status"] == "not_enough_history" else ends,
            written=partial(wording_pipeline.rate_written, rate.measure),
            dark=is_dark(),
        ),
        key=f"rate-{rate.measure}-{rate.item}",
        alt=wording_pipeline.rate_alt(
            name, rate.measure, list(zip(rate.rows["label"], rate.rows["estimate"], strict=True))
        ),
        theme=None,
        config=theme.CHART_CONFIG,
    )
    parts.said(wording_pipeline.rate_sentence(rate.measure, rate.verdict, noun))


def _splits(answer: PipelineAnswer) -> None:
    if answer.splits.is_empty():
        return
    st.header(say("Which deals are won?"), anchor=False)
    st.caption(theme.escape(wording_pipeline.splits_caption(answer.context.policy.level)))
    top = answers_pipeline.common_top(answer.splits)
    groups = answer.splits.partition_by("measure", maintain_order=True)
    half = (len(groups) + 1) // 2
    for column, side in zip(st.columns(2, gap="large"), (groups[:half], groups[half:]), strict=True):
        with column:
            for rows in side:
                _split(rows, top)
    parts.how_computed(health.pipeline_health, shares.inflation)
    parts.in_full(
        say("Every win rate, with its deals"),
        _columns(answer.context.noun),
        [wording_pipeline.table_row(f"{row['split']}: {row['label']}", row) for row in answer.splits.to_dicts()],
    )


def _reasons(answer: PipelineAnswer) -> None:
    if answer.reasons.is_empty():
        return
    rows = answer.reasons.to_dicts()
    silent = answer.measures.get("missing_reason_rate")
    parts.finding(
        wording_pipeline.reasons_title(rows),
        intervals(rows=answer.reasons, dark=is_dark()),
        alt=wording_pipeline.reasons_title(rows) + ". " + wording_pipeline.shares_alt(rows),
        key="reasons",
        caption=wording_pipeline.reasons_caption(silent, answer.context.policy.level),
    )
    parts.how_computed(health.pipeline_health)
    parts.in_full(
        say("Every stated reason, with its deals"),
        _columns(answer.context.noun),
        [wording_pipeline.table_row(row["label"], row) for row in rows],
    )


def _split(rows: pl.DataFrame, top: float) -> None:
    split = str(rows["split"][0])
    st.markdown(say("**By {split}**", split=theme.escape(split)))
    st.plotly_chart(
        intervals(rows=rows, dark=is_dark(), top=top),
        key=f"split-{rows['measure'][0]}",
        alt=say("Win rate by {split}: ", split=split) + wording_pipeline.shares_alt(rows.to_dicts()),
        theme=None,
        config=theme.CHART_CONFIG,
    )


def _deals(answer: PipelineAnswer) -> None:
    st.header(wording_pipeline.deals_title(answer.flagged_count, answer.open_count), anchor=False)
    if answer.deals.is_empty():
        return
    context = answer.context
    unit = "" if context.currency == theme.NO_CURRENCY else f", {context.currency}"
    if answer.deals.height < answer.flagged_count:
        st.caption(say("The {count} largest are listed; the export has all.", count=theme.count(answer.deals.height)))
    parts.choose_deal(answer.deals.select("opportunity_id", "name").rows(), key="open-flagged")
    st.dataframe(
        tables.grid(answer.deals.drop("opportunity_id")),
        column_config={
            "name": TextColumn(say("Deal"), pinned=True),
            "account_name": TextColumn(say("Account")),
            "owner": TextColumn(say("Owner")),
            "stage": TextColumn(say("Stage")),
            "amount": NumberColumn(say("Amount{unit}", unit=unit), format="accounting"),
            "close_on": DateColumn(say("Close date"), format="D MMM YYYY"),
            "age_days": NumberColumn(say("Age, days")),
            "push_count": NumberColumn(say("Pushes")),
            "why": TextColumn(say("Why")),
        },
        hide_index=True,
        placeholder=theme.MISSING,
        key="worth-a-look",
        alt=say("Open deals with a reason to look at them, largest first"),
    )
    parts.how_computed(Deals, health.ageing_limits)


def _columns(noun: str) -> tuple[Column, ...]:
    return (
        Column(say("Measure")),
        *(Column(name, is_number=True) for name in map(say, ("Now", "Range", "Deals"))),
        Column(say("The four {noun}s before, latest first", noun=noun), is_number=True),
    )


def _table(answer: PipelineAnswer) -> None:
    rows = [
        wording_pipeline.table_row(label, answer.measures[measure])
        for measure, label in wording_pipeline.TABLE.items()
        if measure in answer.measures
    ]
    if rows:
        parts.in_full(say("Every measure, with what it rests on"), _columns(answer.context.noun), rows)
