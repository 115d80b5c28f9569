"""Data: what was landed, what was set aside and the money in it, what is missing and what it would bring."""

from __future__ import annotations

import streamlit as st

from dashboard import inventory, shelf, tables, theme
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.contracts import Inputs, RejectedRows, TableStatus
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

SHOWN_ROWS = 1_000


def page(filters: Filters) -> None:
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    status, rejected, inputs = (shelf.table(ref, name) for name in ("table_status", "rejected_rows", "inputs"))
    landed = inventory.landed(status)
    st.title(theme.escape(inventory.title(landed, rejected, ref.reporting_currency)), anchor=False)
    st.markdown(theme.escape(inventory.summary(landed, rejected, ref.reporting_currency, inputs.height)))

    parts.bring_data()
    st.header(say("What these pages stand on"), anchor=False)
    st.html(
        tables.table(
            (
                Column(say("Table")),
                Column(say("Rows"), is_number=True),
                Column(say("Set aside"), is_number=True),
                Column(say("Money set aside"), is_number=True),
                Column(say("Facts from … to")),
            ),
            inventory.landed_rows(landed, ref.reporting_currency),
            caption=say("Landed tables"),
        )
    )
    parts.how_computed(TableStatus)
    _set_aside(ref)
    _missing(ref)
    st.header(say("Files"), anchor=False)
    with st.expander(theme.escape(inventory.files_label(inputs))):
        st.html(
            tables.table(
                (
                    Column(say("File")),
                    Column(say("Table")),
                    Column(say("Rows"), is_number=True),
                    Column(say("Set aside"), is_number=True),
                    Column(say("Read as")),
                    Column(say("Landed")),
                    Column(say("SHA-256"), is_code=True),
                ),
                inventory.file_rows(inputs),
                caption=say("Landed files"),
            )
        )
    parts.how_computed(Inputs)


def _set_aside(ref: EditionRef) -> None:
    rejected = shelf.table(ref, "rejected_rows")
    st.header(say("What was set aside"), anchor=False)
    if rejected.is_empty():
        st.markdown(say("Nothing: every row of every file kept the rules."))
        return
    st.html(
        tables.table(
            (
                Column(say("Why")),
                Column(say("Where")),
                Column(say("Rows"), is_number=True),
                Column(say("Money"), is_number=True),
                Column(say("For example")),
            ),
            inventory.fault_rows(inventory.faults(rejected), ref.reporting_currency),
            caption=say("Rows set aside, by rule"),
        )
    )
    st.caption(
        say(
            "Money is the sum of the amounts those rows state, without their sign and before conversion. Correct the "
            "rows "
            "at their source and land the file again."
        )
    )
    with st.expander(theme.escape(inventory.rows_label(rejected.height, SHOWN_ROWS))):
        st.dataframe(
            tables.grid(rejected.head(SHOWN_ROWS)),
            hide_index=True,
            key="rejected",
            alt=say("The rows set aside, with file and line"),
        )
    st.download_button(
        say("Download the rows set aside (CSV)"),
        inventory.as_csv(rejected),
        file_name=f"rejected_rows-{ref.edition_id}.csv",
        mime="text/csv",
        on_click="ignore",
    )
    parts.how_computed(RejectedRows)


def _missing(ref: EditionRef) -> None:
    absent = inventory.missing(shelf.table(ref, "table_status"))
    st.header(say("What is missing, and what it would bring"), anchor=False)
    if not absent:
        st.markdown(say("Nothing: every table that these pages can use has landed."))
        return
    st.html(tables.table((Column(say("Table")), Column(say("Would bring"))), absent, caption=say("Missing tables")))
    st.caption(say("The Method page lists the columns of each table; “Bring a file” above lands it."))
