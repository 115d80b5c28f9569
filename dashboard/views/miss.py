"""Miss: where did it come from, exactly, and is that out of the ordinary?"""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import streamlit as st
from streamlit.column_config import DateColumn, NumberColumn, TextColumn

from dashboard import answers_miss, tables, theme, wording_miss, wording_outcomes
from dashboard.answers_miss import MissAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from dashboard.wording_miss import CAUSES, CUT_NAMES
from pipelines.engine import attribution, blame, explained, luck, miss

FRACTION_COLUMNS = tuple(map(say, ("Value", "Called", "Missed", "Rest", "Rest missed", "Excess", "Found")))
UNSEEN = ("left_out", "pulled_in", "created_and_won")


CUTS_SHOWN = 12
"""Rows of a cut that a reader takes in at once; the rest unfolds."""


def page(filters: Filters) -> None:
    answer = answers_miss.miss(filters, st.query_params.get("period"))
    if answer.status == "no_period":
        st.title(say("Where did the miss come from?"), anchor=False)
        for sentence in wording_miss.no_bridge(answer.why, answer.noun):
            parts.said(sentence)
        parts.bring_data()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = parts.choose_period([label for _, label in answer.periods], key="period")
        if chosen != answer.label:
            answer = answers_miss.miss(filters, chosen)
        _about(answer)
    problem = _problem(answer)
    if problem:
        st.title(say("Where did the miss come from?"), anchor=False)
        parts.said(problem)
        return
    _first_lines(answer)
    chart, why = st.columns(2, gap="large")
    with chart:
        _bridge(answer)
    with why:
        _blame(answer)
    _cuts(answer)
    _deals(answer)
    _shares(answer)


def _problem(answer: MissAnswer) -> str:
    """What keeps this period's miss from being told, in a sentence; empty when nothing does."""
    return {
        "no_layer": wording_miss.no_layer(answer.layer, answer.scope_name, answer.label),
        "no_call": wording_miss.no_call(answer.label, answer.lock_week),
        "no_rate": wording_miss.no_rate(answer.label),
    }.get(answer.status, "")


def _about(answer: MissAnswer) -> None:
    line = wording_miss.miss_line(
        lock_week=answer.lock_week,
        scope_name=answer.scope_name,
        layer=answer.layer,
        category=answer.category,
        missing=answer.missing_count,
        currency=answer.currency,
    )
    st.caption(theme.escape(line))


def _first_lines(answer: MissAnswer) -> None:
    missed, call = answer.miss_amount, answer.call_amount
    if missed is None or call is None or answer.rollup_amount is None:
        return
    st.title(theme.escape(wording_miss.miss_title(answer.label, missed, call, answer.currency)), anchor=False)
    parts.said(wording_miss.largest_causes(answer.bridge, missed, answer.currency))
    judgement = answer.bridge["judgement"][0]
    unseen = sum((amount for cause in UNSEEN if (amount := answer.bridge[cause][0]) is not None), Decimal(0))
    if judgement is not None:
        sentence = wording_miss.beyond_the_deals(
            judgement,
            unseen,
            rollup=answer.rollup_amount,
            category=answer.category,
            noun=answer.noun,
            basis=answer.rollup_basis,
            currency=answer.currency,
        )
        parts.said(sentence)
    parts.said(wording_miss.luck_sentence(answer.luck, luck.LUCK_LEVEL, answer.currency))
    if answer.asked_category != answer.category:
        st.caption(theme.escape(wording_miss.other_category(answer.asked_category, answer.category)))


def _bridge(answer: MissAnswer) -> None:
    steps = _steps(answer)
    parts.finding(
        say("From the call to what landed"),
        waterfall(steps=steps, currency=answer.currency, dark=is_dark()),
        alt=wording_miss.bridge_alt(
            answer.label, [(step.name, step.amount, step.kind != "change") for step in steps], answer.currency
        ),
        key="bridge",
        caption=wording_miss.bridge_caption(answer.currency),
    )
    parts.how_computed(attribution.miss_attribution, miss.called_deals)
    _exactly(answer)


def _steps(answer: MissAnswer) -> list[Step]:
    """Call, judgement, the called deals, what became of them and came beside them, landed. Empty steps are left out."""
    call, rollup, landed = answer.call_amount, answer.rollup_amount, answer.actual_amount
    if call is None or rollup is None or landed is None:
        return []
    steps = [Step(say("call"), call, "call")]
    for cause, (name, told) in CAUSES.items():
        amount = answer.bridge[cause][0]
        if amount:
            steps.append(Step(name, amount, told=told))
        if cause == "judgement" and amount:
            steps.append(Step(say("called deals"), rollup, "call", say("the deals behind the call")))
    return [*steps, Step(say("landed"), landed, "total")]


def _blame(answer: MissAnswer) -> None:
    rows = answer.parts.to_dicts()
    parts_shown = wording_miss.blame_rows(rows, answer.currency)
    st.header(theme.escape(wording_miss.blame_title(rows)), anchor=False)
    st.html(
        tables.table(
            (
                Column(say("Part")),
                Column(answer.label, is_number=True),
                Column(say("Usual"), is_number=True),
                Column(say("Against usual")),
            ),
            parts_shown,
            caption=say("The miss in parts, each beside its usual range"),
        )
    )
    told = [row for row in rows if row["status"] == "ok"]
    if told:
        caption = wording_miss.blame_caption(told[0]["level"], told[0]["period_count"], len(parts_shown), answer.noun)
        st.caption(theme.escape(caption))
    explains = wording_outcomes.what_explains(answer.fractions.to_dicts(), answer.noun)
    parts.listed([*explains, *wording_outcomes.what_they_take(rows, answer.currency)])
    if answer.fractions.height:
        with st.expander(say("What sourcing, process and data rest on")):
            st.html(
                tables.table(
                    tuple(Column(say(name), is_number=place > 0) for place, name in enumerate(FRACTION_COLUMNS)),
                    wording_outcomes.fraction_rows(answer.fractions.to_dicts()),
                    caption=say("Every value held against the rest, from earlier periods alone"),
                )
            )
            st.caption(theme.escape(wording_outcomes.fractions_caption(answer.fractions["level"][0])))
    parts.how_computed(
        attribution.miss_attribution,
        miss.as_known,
        miss.called_deals,
        miss.scope_calls,
        blame.blame,
        explained.explained_misses,
        luck.luck,
        luck.error_shares,
    )


def _cuts(answer: MissAnswer) -> None:
    if answer.cuts.is_empty():
        return
    offered = [cut for cut in CUT_NAMES if cut in answer.cuts["cut"].to_list()]
    st.header(say("The same bridge, cut"), anchor=False)
    chosen = st.selectbox(say("Cut by"), offered, format_func=lambda cut: CUT_NAMES[cut], key="cut", width=280)
    rows = answer.cuts.filter(pl.col("cut") == chosen).to_dicts()
    st.subheader(theme.escape(wording_miss.cut_title(chosen, rows, answer.currency)), anchor=False)
    columns = (
        Column(CUT_NAMES[chosen]),
        *(Column(name, is_number=True) for name in map(say, ("Called deals", "Landed", "Change"))),
        *(Column(CAUSES[cause][0].capitalize(), is_number=True) for cause in wording_miss.CUT_CAUSES),
    )
    caption = say("The company's bridge by {lower}", lower=CUT_NAMES[chosen].lower())
    widest = sorted((row for row in rows if row["value"] != miss.OTHERS), key=lambda row: -abs(row["change_amount"]))
    shown = rows if len(rows) <= CUTS_SHOWN else [row for row in rows if row in widest[:CUTS_SHOWN]]
    if len(shown) < len(rows):
        st.caption(theme.escape(wording_miss.widest_label(len(shown), len(rows), chosen)))
    st.html(tables.table(columns, wording_miss.cut_rows(shown, answer.currency), caption=caption))
    if len(shown) < len(rows):
        parts.in_full(wording_miss.every_label(len(rows)), columns, wording_miss.cut_rows(rows, answer.currency))
    parts.how_computed(attribution.miss_attribution)


def _deals(answer: MissAnswer) -> None:
    if answer.steps.is_empty():
        return
    named = answer.steps.select("opportunity_id", pl.coalesce("name", "opportunity_id")).unique(maintain_order=True)
    parts.choose_deal(named.rows(), key="open-step")
    unit = "" if answer.currency == theme.NO_CURRENCY else f", {answer.currency}"
    with st.expander(theme.escape(wording_miss.steps_label(answer.steps.height, answer.step_count))):
        st.dataframe(
            tables.grid(
                answer.steps.select(
                    pl.coalesce("name", "opportunity_id").alias("deal"),
                    "account_name",
                    "owner",
                    cause=pl.col("cause").replace({cause: name for cause, (name, _) in CAUSES.items()}),
                    amount=pl.col("amount"),
                    called=pl.col("lock_amount"),
                    landed=pl.col("end_amount"),
                    stage=pl.col("lock_stage"),
                    due=pl.col("lock_close_on"),
                    reason=pl.col("outcome_reason"),
                    id=pl.col("opportunity_id"),
                )
            ),
            column_config={
                "deal": TextColumn(say("Deal"), pinned=True),
                "account_name": TextColumn(say("Account")),
                "owner": TextColumn(say("Owner")),
                "cause": TextColumn(say("Step")),
                "amount": NumberColumn(say("Amount{unit}", unit=unit), format="accounting"),
                "called": NumberColumn(say("At the lock{unit}", unit=unit), format="accounting"),
                "landed": NumberColumn(say("Won at{unit}", unit=unit), format="accounting"),
                "stage": TextColumn(say("Stage at the lock")),
                "due": DateColumn(say("Due at the lock"), format="D MMM YYYY"),
                "reason": TextColumn(say("Reason")),
                "id": TextColumn(say("Id")),
            },
            hide_index=True,
            placeholder=theme.MISSING,
            key="steps",
            alt=say("The largest steps from call to landed, deal by deal"),
        )
        st.caption(theme.escape(wording_miss.steps_caption()))


def _exactly(answer: MissAnswer) -> None:
    with st.expander(say("The bridge to the cent")):
        st.html(
            tables.table(
                (
                    Column(say("Step")),
                    Column(say("Which")),
                    Column(say("Deals"), is_number=True),
                    Column(say("Amount"), is_number=True),
                ),
                [
                    (say("Call"), "", None, theme.money_full(answer.call_amount, answer.currency)),
                    *wording_miss.bridge_rows(answer.bridge, answer.currency),
                    (say("Landed"), "", None, theme.money_full(answer.actual_amount, answer.currency)),
                ],
                caption=say("Call, steps and landed"),
            )
        )


def _shares(answer: MissAnswer) -> None:
    sentence = wording_miss.shares_sentence(answer.shares.to_dicts(), answer.layer) if answer.shares.height else ""
    if sentence:
        parts.said(sentence)
