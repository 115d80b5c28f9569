"""Take it with you: the page's numbers as a board paper, a QBR deck or a workbook, made when asked for, not before."""

from __future__ import annotations

import streamlit as st

from dashboard import wording_packs
from dashboard.filters import Filters
from dashboard.packs import brief
from dashboard.views.boundary import boundary


@st.fragment
def offer(filters: Filters) -> None:
    """A button per format, over the edition, scope and calls that the reader has chosen; the period of the URL.

    Made first and saved by a second press: a file that is made on its way to the disk can only fail in the browser's
    words, and here a failure is told in ours. Redraws itself alone, so that no page waits for a pack.
    """
    with st.popover(wording_packs.TAKE, icon=":material/download:", help=wording_packs.TAKE_HELP, key="take"):
        for file_format in brief.MAKERS:
            name, holds = wording_packs.FORMATS[file_format]
            if st.button(name, width="stretch", key=f"take-{file_format}"):
                with boundary():
                    _make(file_format, filters)
            st.caption(holds)


def _make(file_format: str, filters: Filters) -> None:
    with st.spinner(wording_packs.MAKING):
        period = brief.known_or_none(filters, st.query_params.get("period"))
        made = brief.make(file_format, filters, period)
    name = brief.file_name(file_format, filters)
    st.download_button(
        wording_packs.save(name.rpartition(".")[2]),
        made,
        file_name=name,
        mime=brief.MEDIA[file_format],
        on_click="ignore",
        type="primary",
        icon=":material/save:",
        width="stretch",
        key=f"save-{file_format}",
    )
