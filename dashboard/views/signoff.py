"""A break of the books, signed: the form that adds a note, and the notes there are."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from dashboard import answers_signoffs, tables, theme, wording_signoffs
from dashboard.answers_signoffs import Signed
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.errors import TrustError
from pipelines.warehouse.signoffs import MOST_NAME, MOST_NOTE

LISTED = 100


def form(breaks: Sequence[tuple[str, str]], edition_id: str) -> None:
    """Choose a break of ``(key, label)``, say who and why; a fault is said beside the form and nothing typed is
    lost."""
    if not breaks:
        return
    labels = dict(breaks)
    with st.expander(say("Sign a break"), icon=":material/signature:"), st.form("signoff", border=False):
        key = st.selectbox(say("Break"), list(labels), format_func=lambda key: labels[key])
        signed_by = st.text_input(say("Your name"), max_chars=MOST_NAME, key="signed-by")
        note = st.text_area(say("Why it is accepted, or what is done about it"), max_chars=MOST_NOTE, key="signed-why")
        st.caption(say("Kept in the workspace, outside every edition; never changed and never removed."))
        if st.form_submit_button(say("Sign")) and key is not None:
            try:
                done = answers_signoffs.sign(edition_id, key, signed_by=signed_by, note=note)
            except TrustError as error:
                st.error(f"{parts.prose(error.problem)} {parts.prose(error.remedy)}", icon=":material/error:")
            else:
                st.success(theme.escape(wording_signoffs.done(done)), icon=":material/check:")


def notes(signed: Signed, noted: pl.DataFrame, count: int, currency: str) -> None:
    """How many breaks of ``count`` are signed (``noted``), what cannot be read, and every note."""
    if signed.unreadable:
        st.warning(theme.escape(wording_signoffs.unreadable(signed.unreadable)))
    if not signed.notes:
        return
    parts.said(wording_signoffs.signed_sentence(noted["holds"].to_list(), count))
    with st.expander(say("Sign-off notes")):
        money = wording_signoffs.COLUMNS[wording_signoffs.DIFFERENCE]
        st.html(
            tables.table(
                tuple(Column(head, is_number=head == money) for head in wording_signoffs.COLUMNS),
                wording_signoffs.note_rows(signed.notes[-LISTED:], currency),
                caption=say("Sign-off notes, the newest first"),
            )
        )
