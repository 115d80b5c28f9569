"""A line of the reader's own across the dots: typed, kept in the URL, answered with a chance."""

from __future__ import annotations

import streamlit as st

from dashboard import answers_line, theme, wording_landing
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.typed import LONGEST, parse_amount
from dashboard.views import parts
from dashboard.wording import Frame
from pipelines.engine.outlook import Line, Outlook

KEY = "line"


def asked_line(filters: Filters, found: Outlook, frame: Frame) -> Line | None:
    """The line the reader typed, with its odds; None where nothing, or nothing that is an amount, was typed."""
    typed = st.text_input(
        say("The odds of any line"),
        key=KEY,
        bind="query-params",
        max_chars=LONGEST,
        placeholder=wording_landing.line_example(found.estimate, frame),
        width=260,
    )
    if not typed:
        return None
    amount = parse_amount(typed)
    if amount is None:
        st.caption(theme.escape(wording_landing.not_an_amount(typed, found.estimate, frame)))
        return None
    line = answers_line.typed_line(filters, amount)
    if line is not None:
        parts.said(wording_landing.line_sentence(line, found, frame))
    return line
