"""Take it with you: the page's numbers as a board paper or a QBR deck, made when asked for and not before."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import wording_packs
from dashboard.filters import Filters
from dashboard.packs import brief


def offer(filters: Filters) -> None:
    """A button per format, over the edition, scope and calls that the reader has chosen; the period of the URL."""
    period = st.query_params.get("period")
    with st.popover(wording_packs.TAKE, icon=":material/download:", help=wording_packs.TAKE_HELP):
        for file_format in brief.MAKERS:
            name, holds = wording_packs.FORMATS[file_format]
            st.download_button(
                name,
                partial(brief.make, file_format, filters, brief.known_or_none(filters, period)),
                file_name=brief.file_name(file_format, filters),
                mime=brief.MEDIA[file_format],
                on_click="ignore",
                width="stretch",
                key=f"take-{file_format}",
            )
            st.caption(holds)
