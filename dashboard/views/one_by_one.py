"""One forecaster after the other, in the order of the Forecasters page; projected, or among the other pages."""

from __future__ import annotations

import streamlit as st

from dashboard import theme
from dashboard.language import say
from dashboard.views import parts

PRESENT = "present"

_PROJECTED = """
<style>
[data-testid="stHeader"], .st-key-header, .st-key-footer { display: none; }
.stMainBlockContainer { padding-top: 0.75rem; padding-bottom: 0; max-width: 92vw; }
.stMainBlockContainer [data-testid="stVerticalBlock"] { gap: 0.7rem; }
@media (min-width: 1400px) and (min-height: 880px) { html { font-size: 19px !important; } }
@media (min-width: 1850px) and (min-height: 1000px) { html { font-size: 24px !important; } }
</style>
"""
"""Everything of one person on one screen, as large as it goes: a room reads it from the last row."""


def is_projected() -> bool:
    return st.query_params.get(PRESENT) == "1"


def walk(people: list[str], asked: str) -> None:
    """Previous, next, and the way into and out of the projected page; the filters stay as they are."""
    projected = is_projected()
    if projected:
        st.html(_PROJECTED)
    place = people.index(asked) if asked in people else None
    before = people[place - 1] if place else None
    after = people[0 if place is None else place + 1] if people and place != len(people) - 1 else None
    with st.container(horizontal=True, vertical_alignment="center", key="walk"):
        # The keys of a presenter's remote; only where nothing else on the page takes them.
        _step(say("Previous"), before, ":material/arrow_back:", "Left" if projected else None)
        _step(say("Next"), after, ":material/arrow_forward:", "Right" if projected else None)
        if place is not None:
            st.caption(
                say("{place} of {count}", place=theme.count(place + 1), count=theme.count(len(people))), width="content"
            )
        st.button(
            say("Leave the projection") if projected else say("Project"),
            icon=":material/close_fullscreen:" if projected else ":material/slideshow:",
            shortcut="Esc" if projected else None,
            on_click=_project,
            args=(not projected,),
            type="tertiary",
        )


def _step(label: str, person: str | None, icon: str, shortcut: str | None) -> None:
    st.button(label, icon=icon, shortcut=shortcut, disabled=person is None, on_click=_turn_to, args=(person,))


def _turn_to(person: str) -> None:
    st.query_params[parts.FORECASTER] = person


def _project(on: bool) -> None:
    if on:
        st.query_params[PRESENT] = "1"
    else:
        st.query_params.pop(PRESENT, None)
