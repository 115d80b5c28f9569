"""Reconcile: does closed won tie to the books, and where not?"""

from __future__ import annotations

import polars as pl
import streamlit as st
from streamlit.column_config import DateColumn, NumberColumn, TextColumn

from dashboard import answers_miss, answers_signoffs, inventory, tables, theme, wording_finance, wording_reconcile
from dashboard.answers_miss import AGES, ReconcileAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import Filters, is_dark
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts, reconcile_calls, reconcile_projection, signoff
from dashboard.wording_reconcile import KINDS
from pipelines.contracts import Reconciliation
from pipelines.engine import reconciliation

EVERY = say("All periods")
SHOWN_ROWS = 2_000
OFFERED_DEALS = 500


def page(filters: Filters) -> None:
    part = st.segmented_control(
        say("What to tie"),
        list(wording_reconcile.PARTS),
        default="deals",
        required=True,
        format_func=lambda part: wording_reconcile.PARTS[part],
        key="tie",
        bind="query-params",
        label_visibility="collapsed",
    )
    if part == "calls":
        reconcile_calls.page(filters)
    elif part == "projection":
        reconcile_projection.page(filters)
    else:
        _deals(filters)


def _deals(filters: Filters) -> None:
    answer = answers_miss.reconcile(filters)
    if answer.status == "no_bookings":
        st.title(say("Does closed won tie to the books?"), anchor=False)
        for sentence in wording_reconcile.no_bookings():
            parts.said(sentence)
        parts.bring_data()
        return
    chosen = parts.choose_period([EVERY, *(label for _, label in answer.periods)], key="booked")
    if chosen != EVERY:
        answer = answers_miss.reconcile(filters, chosen)
    st.title(
        theme.escape(wording_reconcile.tie_title(answer.label, answer.difference_amount, answer.currency)), anchor=False
    )
    if answer.status == "nothing_here":
        parts.said(wording_reconcile.nothing_in(answer.label))
        return
    _first_lines(answer)
    is_drawn = _bridge(answer)
    _kinds(answer, below_bridge=is_drawn)
    _rows(answer, filters)


def _first_lines(answer: ReconcileAnswer) -> None:
    parts.said(
        wording_reconcile.tie_sentence(
            crm=answer.crm_amount,
            booked=answer.booked_amount,
            tied=answer.tied_count,
            won=answer.won_count,
            ties=answer.ties,
            unvalued=answer.unvalued_count,
            currency=answer.currency,
        )
    )
    parts.said(wording_reconcile.breaks_sentence(answer.kinds.to_dicts(), answer.currency))
    st.caption(
        theme.escape(wording_reconcile.tie_caption(answer.first_booked_on, answer.last_booked_on, answer.actual_source))
    )


def _bridge(answer: ReconcileAnswer) -> bool:
    """The difference of the two ledgers, kind by kind; whether there is one to draw."""
    differing = answer.kinds.filter(pl.col("difference_amount") != 0)
    if differing.is_empty():
        return False
    steps = [
        Step(KINDS[row["break_kind"]][0], row["difference_amount"], told=KINDS[row["break_kind"]][1])
        for row in differing.iter_rows(named=True)
    ]
    difference = answer.difference_amount
    parts.finding(
        wording_reconcile.difference_title(difference, answer.currency),
        waterfall(steps=[*steps, Step("difference", difference, "total")], currency=answer.currency, dark=is_dark()),
        alt=wording_reconcile.difference_alt([(step.name, step.amount) for step in steps], difference, answer.currency),
        key="tie-bridge",
        caption=wording_reconcile.difference_caption(),
    )
    return True


def _kinds(answer: ReconcileAnswer, *, below_bridge: bool) -> None:
    (st.subheader if below_bridge else st.header)(say("Breaks by kind"), anchor=False)
    ages = [name for _, name in AGES]
    st.html(
        tables.table(
            (
                Column(say("Kind")),
                Column(say("Which")),
                *(Column(say(name), is_number=True) for name in ("Rows", "Closed won", "Booked", "Difference")),
                *(Column(name.capitalize(), is_number=True) for name in ages),
            ),
            wording_reconcile.kind_rows(answer.kinds.iter_rows(named=True), ages, answer.currency),
            caption=say("Breaks by kind, with money and age"),
        )
    )
    with st.expander(say("The rules of the tie-out")):
        parts.listed(wording_finance.TIE_RULES)
    parts.how_computed(reconciliation.reconciliation)


def _rows(answer: ReconcileAnswer, filters: Filters) -> None:
    st.header(say("Row by row"), anchor=False)
    present = answer.kinds["break_kind"].to_list()
    offered = [kind for kind in KINDS if kind in present and kind != "matched"]
    wanted = st.pills(
        say("Kinds"),
        offered,
        selection_mode="multi",
        format_func=lambda kind: KINDS[kind][0].capitalize(),
        key="kinds",
        label_visibility="collapsed",
    )
    rows = answer.of_kinds(wanted)
    signoff.form(answers_signoffs.offered(filters, answer.label, tuple(wanted)), filters.edition_id)
    signed = answers_signoffs.signed()
    noted = signed.among(rows, answer.currency)
    signoff.notes(signed, noted, rows.height, answer.currency)
    unit = "" if answer.currency == theme.NO_CURRENCY else f", {answer.currency}"
    largest = rows.head(SHOWN_ROWS).join(noted, on=["record_kind", "record_id"], how="left", maintain_order="left")
    known = largest["opportunity_id"].drop_nulls().unique(maintain_order=True).head(OFFERED_DEALS).to_list()
    parts.choose_deal([(deal, deal) for deal in known], key="open-tie")
    shown = largest.select(
        kind=pl.col("break_kind").replace({kind: name for kind, (name, _) in KINDS.items()}),
        deal=pl.col("opportunity_id"),
        bookings=pl.col("booking_ids"),
        account=pl.col("account_name"),
        owner=pl.col("owner"),
        closed_on=pl.col("closed_on"),
        booked_on=pl.col("booked_on"),
        crm_amount=pl.col("crm_amount"),
        booked_amount=pl.col("booked_amount"),
        difference_amount=pl.col("difference_amount"),
        rate_amount=pl.col("rate_amount"),
        signed=pl.col("signed"),
        age_days=pl.col("age_days"),
        matched_by=pl.col("matched_by"),
    )
    st.caption(theme.escape(wording_reconcile.rows_caption(shown.height, rows.height)))
    st.dataframe(
        tables.grid(shown),
        column_config={
            "kind": TextColumn(say("Kind"), pinned=True),
            "deal": TextColumn(say("Deal")),
            "bookings": TextColumn(say("Bookings")),
            "account": TextColumn(say("Account")),
            "owner": TextColumn(say("Owner")),
            "closed_on": DateColumn(say("Won on"), format="D MMM YYYY"),
            "booked_on": DateColumn(say("Booked on"), format="D MMM YYYY"),
            "crm_amount": NumberColumn(say("Closed won{unit}", unit=unit), format="accounting"),
            "booked_amount": NumberColumn(say("Booked{unit}", unit=unit), format="accounting"),
            "difference_amount": NumberColumn(say("Difference{unit}", unit=unit), format="accounting"),
            "rate_amount": NumberColumn(say("Of it by rate{unit}", unit=unit), format="accounting"),
            "signed": TextColumn(say("Signed")),
            "age_days": NumberColumn(say("Age, days")),
            "matched_by": TextColumn(say("Matched by")),
        },
        hide_index=True,
        placeholder=theme.MISSING,
        key="tie_rows",
        alt=say("Won deals and bookings that do not tie, with amounts, owner and age"),
    )
    st.download_button(
        say("Download every row (CSV)"),
        lambda: inventory.as_csv(answers_miss.every_row(filters, answer.label)),
        file_name=f"reconciliation-{filters.edition_id}.csv",
        mime="text/csv",
        on_click="ignore",
    )
    parts.how_computed(Reconciliation)
