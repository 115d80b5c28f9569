"""Method: how every number is made, read from the code that makes it."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import definitions, shelf, tables, theme
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.tables import Column
from pipelines.settings import Workspace


def page(filters: Filters) -> None:
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    stated = dict(shelf.table(ref, "policy").select("name", "value").rows())
    st.title(say("How every number on these pages is made"), anchor=False)
    st.markdown(
        say(
            "Every text below is read from the code that computes the number, and every choice from the edition "
            "itself: method {method_version}. The sign is one everywhere: **error = forecast − actual**, so a "
            "positive error means that the call ran high. A **landing rate** is what landed ÷ what was called.",
            method_version=theme.escape(ref.method_version),
        )
    )
    _how_sure(stated)
    _your_shape(shelf.table(ref, "selfcheck"))
    for question, entries in definitions.definitions():
        st.header(question, anchor=False)
        for entry in entries:
            with st.expander(entry.heading):
                st.markdown(entry.text)
                st.caption(f"`{entry.source}`")
    st.header(say("The numbers we chose, and why"), anchor=False)
    st.html(
        tables.table(
            (Column(say("Choice"), is_code=True), Column(say("Value"), is_code=True), Column(say("Reason"))),
            [(choice.name, choice.value, choice.reason) for choice in definitions.choices(stated)],
            caption=say("Policy"),
        )
    )
    _bring_your_own()


def _how_sure(stated: dict[str, str]) -> None:
    st.header(say("How sure are we?"), anchor=False)
    st.markdown(say("Below this much evidence a page says so instead of guessing:"))
    st.html(
        tables.table(
            (Column(say("Output")), Column(say("Needs"))),
            definitions.evidence_needed(stated),
            caption=say("Minimum evidence"),
        )
    )
    study = definitions.operating_characteristics()
    st.markdown(theme.escape(study.introduction))
    st.html(
        tables.table(
            [Column(study.headings[0]), *(Column(name, is_number=True) for name in study.headings[1:])],
            study.rows,
            caption=say("Operating characteristics"),
        )
    )
    st.caption(theme.escape(study.source))


def _your_shape(table: pl.DataFrame) -> None:
    st.subheader(say("For a company of your shape"), anchor=False)
    found = definitions.self_check(table)
    st.markdown(theme.escape(found.introduction))
    if found.rows:
        st.html(
            tables.table(
                [Column(found.headings[0]), Column(found.headings[1]), Column(found.headings[2], is_number=True)],
                found.rows,
                caption=say("Self-check"),
            )
        )
    st.caption(theme.escape(found.source))


def _bring_your_own() -> None:
    st.header(say("Bring your own data"), anchor=False)
    st.markdown(
        say(
            "A file is one table: CSV, TSV, Excel, JSON lines or Parquet, also zipped. Columns marked \\* must be "
            "there; "
            "others are welcome. A CRM's own headers are turned into these by a mapping: Salesforce, HubSpot and "
            "Dynamics 365 are known."
        )
    )
    for contract in definitions.input_tables():
        with st.expander(f"`{contract.name}`"):
            st.markdown(definitions.grain(contract))
            st.html(
                tables.table(
                    (Column(say("Column"), is_code=True), Column(say("Holds"))),
                    [
                        (f"{rule.name} *" if rule.is_required else rule.name, rule.kind)
                        for rule in definitions.columns(contract)
                    ],
                    caption=say("Columns of {name}", name=contract.name),
                )
            )
