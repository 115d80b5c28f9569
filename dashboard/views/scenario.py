"""What if: a reader's assumptions about single deals, and what they do to the range and the odds."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import answers_scenario, theme, wording_landing, wording_scenario
from dashboard.answers import Context
from dashboard.assumptions import KINDS, Said, ScenarioAnswer
from dashboard.charts.dots import Across, dotplot
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.views import parts
from dashboard.views.boundary import boundary
from pipelines.engine import scenario
from pipelines.engine.outlook import Outlook

ASSUMED = "if"


@st.fragment
def bench(filters: Filters, context: Context, outlook: Outlook) -> None:
    """Redraws itself alone: an assumption is answered without drawing the page again."""
    with boundary():
        _bench(filters, context, outlook)


def _bench(filters: Filters, context: Context, outlook: Outlook) -> None:
    texts = st.query_params.get_all(ASSUMED)
    answer = answers_scenario.what_if(filters, outlook, texts)
    if answer is None or not answer.deals:
        return
    with st.expander(wording_scenario.TITLE, expanded=bool(texts), icon=":material/tune:"):
        if answer.unknown:
            st.warning(theme.escape(wording_scenario.not_understood(answer.unknown)))
        asked, told = st.columns(2, gap="large")
        with asked:
            _ask(answer, context)
            _assumed(answer, context)
            st.caption(theme.escape(wording_scenario.HONEST))
        with told:
            _told(answer, context, outlook)
            parts.open_pipeline()
            parts.how_computed(scenario.scenario, label=say("How a scenario is computed"))


def _ask(answer: ScenarioAnswer, context: Context) -> None:
    deals = {deal.opportunity_id: deal for deal in answer.deals}
    chosen = st.selectbox(
        say("Deal"),
        list(deals),
        index=None,
        format_func=lambda key: wording_scenario.deal_label(deals[key], context.currency),
        placeholder=say("Name one of the weightiest open deals"),
        key="what-if-deal",
    )
    left, right = st.columns(2)
    kind = left.selectbox(
        say("Assume that it"),
        KINDS,
        format_func=lambda kind: wording_scenario.kind_label(kind, context.noun),
        key="what-if-kind",
    )
    _value(right, kind, answer.period_end_on)
    kept = [said for said, _, _ in answer.assumed]
    st.button(say("Assume it"), disabled=chosen is None, icon=":material/add:", on_click=_add, args=(kept,))


def _value(place: DeltaGenerator, kind: str, period_end_on: date) -> None:
    if kind == "cut":
        place.number_input(say("Percent off"), 1, 100, 10, key="what-if-cut")
    elif kind == "rate":
        place.number_input(say("Percent"), 0, 100, 50, key="what-if-rate")
    elif kind == "date":
        place.date_input(say("New close date"), period_end_on + timedelta(days=1), key="what-if-date")


def _add(kept: list[Said]) -> None:
    """Called before the page is drawn: what stands in the boxes now, not when the button was drawn."""
    deal, kind = st.session_state["what-if-deal"], st.session_state["what-if-kind"]
    value = st.session_state.get(f"what-if-{kind}", "")
    added = Said(kind, deal, str(value))
    _assume([*(said for said in kept if said.opportunity_id != deal), added])


def _assumed(answer: ScenarioAnswer, context: Context) -> None:
    if not answer.assumed:
        parts.said(wording_scenario.NONE_YET)
        return
    for place, (said, deal, chance) in enumerate(answer.assumed):
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.said(wording_scenario.assumption(said, deal, chance, context.frame))
            others = [other for other, _, _ in answer.assumed if other is not said]
            st.button(
                say("Undo"),
                key=f"what-if-undo-{place}",
                help=theme.escape(say("No longer assume this of {name}", name=deal.name)),
                on_click=_assume,
                args=(others,),
            )


def _told(answer: ScenarioAnswer, context: Context, outlook: Outlook) -> None:
    frame = context.frame
    if not answer.assumed:
        parts.said(wording_scenario.UNCHANGED)
    else:
        parts.said(wording_scenario.effect(answer, outlook.level, frame))
        sentence = wording_scenario.odds_effect(answer.before, answer.after, frame)
        if sentence:
            parts.said(sentence)
    found = answer.scenario
    across = [
        Across(line.amount, wording_landing.line_label(line, frame), is_plan=place == 0)
        for place, line in enumerate(answer.after)
    ]
    parts.finding(
        wording_scenario.dots_title(answer),
        dotplot(
            dots=found.dots,
            across=across,
            span=(found.lower, found.estimate, found.upper),
            currency=context.currency,
            dark=is_dark(),
        ),
        alt=wording_scenario.dots_alt(answer, outlook.level, frame),
        key="what-if-dots",
        caption=wording_landing.dots_caption(outlook),
    )


def _assume(assumed: list[Said]) -> None:
    st.query_params[ASSUMED] = [said.text for said in assumed]
