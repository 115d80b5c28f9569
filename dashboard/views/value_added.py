"""Value added: does each step of judgement bring the call nearer, and are the probabilities true?"""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import answers_value, tables, theme, wording, wording_value
from dashboard.answers_value import Calibration, ValueAnswer
from dashboard.charts.intervals import intervals
from dashboard.charts.reliability import reliability
from dashboard.charts.stairs import stairs
from dashboard.filters import Filters, calls_label, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.engine import calibration, leaks, overrides, rationality, value_added
from pipelines.policy import COMPANY_SCOPE


def page(filters: Filters) -> None:
    answer = answers_value.value_added(filters)
    steps = answer.steps.to_dicts()
    team = None if answer.is_company else answer.context.scope_name
    st.title(theme.escape(wording_value.title(steps, has_judgement=answer.has_judgement, team=team)), anchor=False)
    _context(answer)
    if not answer.has_judgement:
        for sentence in wording_value.without_judgement(answer.context.noun, has_calls=answer.has_calls):
            parts.said(sentence)
        parts.bring_data()
    if steps:
        _ladder(answer)
    _overrides(answer)
    _calibrations(answer)
    _tests(answer)


def _context(answer: ValueAnswer) -> None:
    context = answer.context
    whose = say("Whole company") if answer.is_company else context.scope_name
    line = say(
        "{whose} · calls in force at week {week} · as of {as_of}",
        whose=whose,
        week=context.lock_week,
        as_of=theme.instant(context.as_of_at),
    )
    if answer.scope_used != context.scope:
        line += say(" · {scope} has no ladder of its own", scope=context.scope_name)
    st.caption(theme.escape(line))


def _ladder(answer: ValueAnswer) -> None:
    context, rows = answer.context, answer.steps.to_dicts()
    chart, said = st.columns([3, 2], gap="large")
    with chart:
        drawn = pl.DataFrame(
            {
                "label": [wording_value.STEPS[row["step"]] for row in rows],
                "note": [
                    say("off by {amount}", amount=theme.money(row["mae_amount"], context.currency)) for row in rows
                ],
                "gain": [row["fva_rate"] for row in rows],
                "lower": [row["lower"] for row in rows],
                "upper": [row["upper"] for row in rows],
                "direction": [row["direction"] for row in rows],
            },
            infer_schema_length=None,
        )
        parts.finding(
            say("Each step against the one before, {noun} by {noun}", noun=context.noun),
            stairs(rows=drawn, first=wording_value.STEPS[rows[0]["reference_step"]], dark=is_dark()),
            alt=wording_value.stairs_alt(rows, context.currency),
            key="stairs",
            caption=wording_value.stairs_caption(value_added.VERDICT_LEVEL, rows[-1]["scale"]),
        )
    with said:
        st.subheader(say("Does it help?"), anchor=False)
        parts.listed(wording_value.step_sentence(row, context.noun, context.currency) for row in rows)
        for sentence in (
            wording_value.teams_sentence(answer.teams.to_dicts(), context.noun),
            wording_value.ratio_sentence(answer.pairs.to_dicts()),
        ):
            if sentence and answer.is_company:
                parts.said(sentence)
        remark = wording_value.teams_remark(answer.worded_count, answer.judged_count)
        if remark:
            parts.said(remark)
        parts.how_computed(value_added.value_added, value_added.naive_forecasts, value_added.sign_flip_p_value)
    _pairs(answer)


def _pairs(answer: ValueAnswer) -> None:
    currency = answer.context.currency
    figures = [Column(name, is_number=True) for name in wording_value.PAIR_COLUMNS]
    with st.expander(say("Every step against every step before it")):
        st.html(
            tables.table(
                (Column(say("Step")), Column(say("Against")), *figures, Column(say("Word"))),
                [wording_value.pair_row(row, currency) for row in answer.pairs.iter_rows(named=True)],
                caption=say("Every step against every step before it"),
            )
        )
    if answer.weeks["week_of_period"].n_unique() < 2:
        return
    with st.expander(say("The same at other weeks of the {noun}", noun=answer.context.noun)):
        st.html(
            tables.table(
                (
                    Column(say("Week and step")),
                    Column(say("Against")),
                    Column(say("Off by"), is_number=True),
                    Column(say("Before, off by"), is_number=True),
                    Column(say("Word")),
                ),
                [wording_value.week_row(row, currency) for row in answer.weeks.iter_rows(named=True)],
                caption=say("Steps at other weeks"),
            )
        )


def _whole(answer: ValueAnswer) -> str:
    """Said where a reader who chose one team meets figures of everybody."""
    return "" if answer.context.scope == COMPANY_SCOPE else say(" (whole company)")


def _overrides(answer: ValueAnswer) -> None:
    rows = answer.overrides.to_dicts()
    said = wording_value.override_sentences(rows, answer.context.currency)
    if not said:
        return
    st.header(say("What do overrides bring?{whole}", whole=_whole(answer)), anchor=False)
    parts.listed(said)
    with st.expander(say("By direction and size")):
        st.html(
            tables.table(
                (
                    Column(say("Override")),
                    *(Column(name, is_number=True) for name in map(say, ("Made", "Helped", "Gain each", "Range"))),
                    Column(say("Word")),
                ),
                [
                    wording_value.override_row(row, answer.context.currency)
                    for row in rows
                    if row["step"] in ("manager", "executive")
                ],
                caption=say("Overrides by direction and size"),
            )
        )
    parts.how_computed(overrides.override_ledger, overrides.override_summary)


def _calibrations(answer: ValueAnswer) -> None:
    st.header(say("Are the probabilities true?{whole}", whole=_whole(answer)), anchor=False)
    for row in answer.leaks.iter_rows(named=True):
        parts.said(wording_value.leak_sentence(row))
    if not answer.calibrations:
        parts.said(wording_value.NO_PROBABILITIES)
        return
    if answer.crm_is_default:
        parts.said(wording_value.SAME_PROBABILITIES)
    st.caption(theme.escape(wording_value.CALIBRATION_CAPTION))
    for start in range(0, len(answer.calibrations), 2):
        for column, shown in zip(st.columns(2, gap="large"), answer.calibrations[start : start + 2], strict=False):
            with column:
                _calibration(shown, answer.context.noun, hindsight=answer.has_hindsight)
    _scores(answer)
    parts.how_computed(calibration.probability_calibration, calibration.consistency_draws, leaks.leaks)


def _scores(answer: ValueAnswer) -> None:
    noun = answer.context.noun
    judged = [one for one in answer.calibrations if one.figures["brier"] is not None]
    if not judged:
        return
    rows = [
        wording_value.score_row(one.source, one.week, weighting, figures, noun)
        for one in judged
        for weighting, figures in (("count", one.figures), ("money", one.money))
        if figures is not None
    ]
    with st.expander(say("Scores of every probability, by count and by money")):
        columns = (Column(say("Probability")), *(Column(name, is_number=True) for name in wording_value.SCORE_COLUMNS))
        st.html(tables.table(columns, rows, caption=say("Scores of the probabilities")))
        often = wording.how_often(judged[0].figures["level"])
        st.caption(theme.escape(wording_value.SCORES_NOTE.format(noun=noun, often=often)))


def _calibration(shown: Calibration, noun: str, *, hindsight: bool) -> None:
    title = wording_value.calibration_title(shown.source, shown.week, shown.figures, noun, hindsight=hindsight)
    st.subheader(theme.escape(title), anchor=False)
    parts.said(wording_value.calibration_sentence(shown.source, shown.figures, shown.money, noun))
    if shown.bins.is_empty():
        return
    st.plotly_chart(
        reliability(bins=shown.bins, dark=is_dark()),
        key=f"reliability-{shown.source}-{shown.week}",
        alt=wording_value.calibration_alt(shown.source, shown.bins.to_dicts()),
        theme=None,
        config=theme.CHART_CONFIG,
    )


def _theil(answer: ValueAnswer) -> None:
    """Theil's parts of the error: a lean, a slope, and what is left."""
    noun = answer.context.noun
    rows = {row["test"]: row for row in answer.tests.iter_rows(named=True) if row["test"] in wording_value.THEIL}
    if len(rows) < len(wording_value.THEIL) or any(row["estimate"] is None for row in rows.values()):
        return
    drawn = pl.DataFrame(
        [
            {"label": label, **{name: rows[test][name] for name in ("estimate", "lower", "upper")}}
            for test, label in wording_value.THEIL.items()
        ],
        schema={"label": pl.String, "estimate": pl.Float64, "lower": pl.Float64, "upper": pl.Float64},
    )
    st.subheader(theme.escape(wording_value.theil_title(rows)), anchor=False)
    parts.said(wording_value.theil_sentence(rows, noun))
    st.plotly_chart(
        intervals(rows=drawn, dark=is_dark(), top=1.0),
        key="theil",
        alt=wording_value.theil_alt(rows, noun),
        theme=None,
        config=theme.CHART_CONFIG,
    )


def _tests(answer: ValueAnswer) -> None:
    rows = [row for row in answer.tests.iter_rows(named=True) if row["test"] in wording_value.TESTS]
    if not rows:
        return
    context = answer.context
    st.header(say("Do calls use what was known?{whole}", whole=_whole(answer)), anchor=False)
    st.caption(
        theme.escape(
            say(
                "{calls} · week {week}",
                calls=calls_label(context.layer, context.category),
                week=rows[0]["week_of_period"],
            )
        )
    )
    rows.sort(key=lambda row: list(wording_value.TESTS).index(row["test"]))
    parts.listed(wording_value.test_sentence(row, context.noun) for row in rows)
    _theil(answer)
    parts.how_computed(
        rationality.rationality,
        rationality.theil,
        rationality.pooled_mincer_zarnowitz,
        rationality.revision_slope,
    )
    name = f"tests-of-calls-{context.edition_id}"
    parts.as_file(say("Every test with its interval (CSV)"), lambda: answer.tests, file_name=name, key="tests-csv")
