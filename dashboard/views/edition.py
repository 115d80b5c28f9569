"""Above every page: which record is being read, and what to do where it is not there or cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import filters, theme, wording, wording_record
from dashboard.language import say
from dashboard.views import parts
from pipelines.errors import TrustError
from pipelines.warehouse.editions import EditionRef


def banner(ref: EditionRef, current_label: str) -> None:
    """An older edition is being read, and the way back to the current one."""
    said = wording_record.older_banner(
        ref.as_of_at, ref.edition_id, current_label.replace(say("As of"), say("as of"), 1)
    )
    with st.container(horizontal=True, vertical_alignment="center", key="older-edition"):
        st.info(wording.markdown(said), icon=":material/history:", width="stretch")
        _way_back()


def not_here(edition_id: str, offered: Sequence[tuple[str, str]]) -> None:
    """The link names an edition that the workspace does not have."""
    title, said = wording_record.no_such_edition(edition_id)
    st.title(title, anchor=False)
    parts.said(said)
    _others(offered)


def unreadable(error: TrustError, offered: Sequence[tuple[str, str]]) -> None:
    """The link names an edition whose file is damaged, or of another version."""
    st.title(say("That edition cannot be read"), anchor=False)
    st.error(f"{parts.prose(error.problem)} {parts.prose(error.remedy)}", icon=":material/error:")
    _others(offered)


def _others(offered: Sequence[tuple[str, str]]) -> None:
    _way_back()
    st.caption(say("On this record:"))
    for edition_id, label in offered[:10]:
        st.button(theme.escape(label), key=f"read-{edition_id}", type="tertiary", on_click=_read, args=(edition_id,))


def _way_back() -> None:
    st.button(say("Back to the current edition"), icon=":material/undo:", key="back", on_click=_read, args=(None,))


def _read(edition_id: str | None) -> None:
    filters.ask_edition(edition_id)
