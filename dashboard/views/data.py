"""Data: what was landed, what was set aside and the money in it, what is missing and what it would bring."""

from __future__ import annotations

import streamlit as st

from dashboard import inventory, shelf, tables, theme
from dashboard.filters import Filters
from dashboard.tables import Column
from dashboard.views import parts
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

SHOWN_ROWS = 1_000


def page(filters: Filters) -> None:
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    status, rejected, inputs = (shelf.table(ref, name) for name in ("table_status", "rejected_rows", "inputs"))
    landed = inventory.landed(status)
    st.title(theme.escape(inventory.title(landed, rejected, ref.reporting_currency)), anchor=False)
    st.markdown(theme.escape(inventory.summary(landed, rejected, ref.reporting_currency, inputs.height)))

    st.page_link(parts.page_at("start", "Bring data"), label="Bring a file", icon=":material/upload_file:")
    st.header("What these pages stand on", anchor=False)
    st.html(
        tables.table(
            (
                Column("Table"),
                Column("Rows", is_number=True),
                Column("Set aside", is_number=True),
                Column("Money set aside", is_number=True),
                Column("Facts from … to"),
            ),
            inventory.landed_rows(landed, ref.reporting_currency),
            caption="Landed tables",
        )
    )
    _set_aside(ref)
    _missing(ref)
    st.header("Files", anchor=False)
    with st.expander(theme.escape(inventory.files_label(inputs))):
        st.html(
            tables.table(
                (
                    Column("File"),
                    Column("Table"),
                    Column("Rows", is_number=True),
                    Column("Set aside", is_number=True),
                    Column("Read as"),
                    Column("Landed"),
                    Column("SHA-256", is_code=True),
                ),
                inventory.file_rows(inputs),
                caption="Landed files",
            )
        )


def _set_aside(ref: EditionRef) -> None:
    rejected = shelf.table(ref, "rejected_rows")
    st.header("What was set aside", anchor=False)
    if rejected.is_empty():
        st.markdown("Nothing: every row of every file kept the rules.")
        return
    st.html(
        tables.table(
            (
                Column("Why"),
                Column("Where"),
                Column("Rows", is_number=True),
                Column("Money", is_number=True),
                Column("For example"),
            ),
            inventory.fault_rows(inventory.faults(rejected), ref.reporting_currency),
            caption="Rows set aside, by rule",
        )
    )
    st.caption(
        "Money is the sum of the amounts those rows state, without their sign and before conversion. Correct the rows "
        "at their source and land the file again."
    )
    with st.expander(theme.escape(inventory.rows_label(rejected.height, SHOWN_ROWS))):
        st.dataframe(
            rejected.head(SHOWN_ROWS), hide_index=True, key="rejected", alt="The rows set aside, with file and line"
        )
    st.download_button(
        "Download the rows set aside (CSV)",
        inventory.as_csv(rejected),
        file_name=f"rejected_rows-{ref.edition_id}.csv",
        mime="text/csv",
        on_click="ignore",
    )


def _missing(ref: EditionRef) -> None:
    absent = inventory.missing(shelf.table(ref, "table_status"))
    st.header("What is missing, and what it would bring", anchor=False)
    if not absent:
        st.markdown("Nothing: every table that these pages can use has landed.")
        return
    st.html(tables.table((Column("Table"), Column("Would bring")), absent, caption="Missing tables"))
    st.caption("The Method page lists the columns of each table; “Bring a file” above lands it.")
