"""Record: what did we say and when, what changed since, and can it be proved?"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import streamlit as st
from streamlit.column_config import DateColumn, NumberColumn, TextColumn

from dashboard import answers_record, tables, theme, wording_record
from dashboard.answers_record import LARGEST, LISTED, Line, RecordAnswer, SinceAnswer
from dashboard.charts.waterfall import Step, waterfall
from dashboard.filters import EDITION, Filters, is_dark
from dashboard.language import say
from dashboard.shelf import Offered
from dashboard.tables import Column
from dashboard.views import parts
from dashboard.wording_record import MOVEMENTS
from pipelines.contracts import PUBLISHED_TABLES, Inputs
from pipelines.engine import edition_change, verdict
from pipelines.measures import restated
from pipelines.warehouse import editions

SINCE = "since"


def page(filters: Filters, offered: Offered) -> None:
    answer = answers_record.record(filters, offered, _first_listed(len(offered.editions)))
    st.title(wording_record.record_title(answer.edition_count, answer.unreadable_count), anchor=False)
    st.caption(wording_record.record_caption())
    _editions(answer)
    _since(filters, answer, offered)
    _restated(answer)
    _verified(filters, answer)
    _downloads(answer)


def _first_listed(count: int) -> int:
    """Where the list begins: a dozen editions are told at once."""
    if count <= LISTED:
        return 0
    starts = {wording_record.listed_from(start, LISTED, count): start for start in range(0, count, LISTED)}
    return starts[str(st.selectbox(say("Editions"), list(starts), key="listed", bind="query-params", width=280))]


def _editions(answer: RecordAnswer) -> None:
    columns = (
        Column(say("Edition"), is_code=True, link=f"?{EDITION}={{}}"),
        Column(say("As of")),
        Column(say("Published")),
        Column(say("Verdict then")),
        Column(say("Files"), is_number=True),
        Column(say("Method")),
    )
    st.html(tables.table(columns, [_row(line) for line in answer.lines], caption=say("Editions on record")))
    parts.how_computed(verdict.verdict)
    for line in answer.lines:
        if line.problem:
            st.warning(
                f"{theme.escape(line.edition_id)}: {parts.prose(line.problem)} {parts.prose(line.remedy)}",
                icon=":material/error:",
            )


def _row(line: Line) -> tuple[str | None, ...]:
    if line.problem:
        return (line.edition_id, None, None, say("cannot be read"), None, None)
    marks = [word for word, holds in ((say("current"), line.is_current), (say("being read"), line.is_read)) if holds]
    as_of = theme.instant(line.as_of_at) + (f" ({', '.join(marks)})" if marks else "")
    return (
        line.edition_id,
        as_of,
        theme.instant(line.published_at),
        wording_record.verdict_word(line.verdict),
        theme.count(line.file_count),
        line.method_version,
    )


def _since(filters: Filters, answer: RecordAnswer, offered: Offered) -> None:
    st.header(say("What changed since"), anchor=False)
    if not answer.others:
        st.markdown(wording_record.nothing_older())
        return
    ids = {label: edition_id for edition_id, label in answer.others}
    before = answers_record.edition_before(filters, offered)
    labels = list(ids)
    usual = next((place for place, name in enumerate(ids.values()) if before and name == before.edition_id), 0)
    asked = st.query_params.get(SINCE)
    if asked is not None and asked not in ids:
        st.warning(
            theme.escape(say("Edition “{asked}” is not on this record; another one is compared with.", asked=asked))
        )
    chosen = st.selectbox(say("Compared with"), labels, index=usual, key=SINCE, bind="query-params", width=280)
    found = answers_record.since(filters, ids[str(chosen)], offered)
    chart, said = st.columns([3, 2], gap="large")
    with chart:
        if found.status == "ok":
            _moves(found)
        else:
            st.markdown(wording_record.no_pipeline())
    with said:
        _said(found)
    _deals(found)


def _moves(found: SinceAnswer) -> None:
    since, currency = found.since, found.newer.reporting_currency
    if since is None:
        return
    title = wording_record.since_title(
        since.start_amount,
        since.end_amount,
        label=found.period_label,
        older=found.older.as_of_at,
        currency=currency,
    )
    changes = [Step(MOVEMENTS[row.movement][0], row.amount, told=MOVEMENTS[row.movement][1]) for row in found.totals]
    steps = [
        Step(wording_record.day_of(found.older.as_of_at), since.start_amount, "total"),
        *changes,
        Step(wording_record.day_of(found.newer.as_of_at), since.end_amount, "total"),
    ]
    parts.finding(
        title,
        waterfall(steps=steps, currency=currency, dark=is_dark()),
        alt=wording_record.since_alt(title, [(step.name, step.amount) for step in steps], currency),
        key="since-bridge",
        caption=wording_record.since_caption(found.older.as_of_at, found.newer.as_of_at),
        nested=True,
    )
    parts.said(wording_record.largest_moves(found.totals, currency))
    st.caption(
        theme.escape(wording_record.beside_the_sum(found.owners.height, found.category_count, found.stage_count))
    )
    parts.how_computed(edition_change.edition_change)


def _deals(found: SinceAnswer) -> None:
    if found.rows.is_empty():
        return
    currency = found.newer.reporting_currency
    unit = "" if currency == theme.NO_CURRENCY else f", {currency}"
    names = {movement: name for movement, (name, _) in MOVEMENTS.items()}
    shown = found.rows.head(LARGEST).select(
        "name", "account_name", "owner", "movement", "amount", "change_count", "moved_at", "opportunity_id"
    )
    with st.expander(wording_record.changes_label(min(found.rows.height, LARGEST), found.rows.height)):
        st.dataframe(
            tables.grid(shown.with_columns(movement=shown["movement"].replace(names))),
            column_config={
                "name": TextColumn(say("Deal"), pinned=True),
                "account_name": TextColumn(say("Account")),
                "owner": TextColumn(say("Owner")),
                "movement": TextColumn(say("What happened")),
                "amount": NumberColumn(say("Amount{unit}", unit=unit), format="accounting"),
                "change_count": NumberColumn(say("Times")),
                "moved_at": DateColumn(say("Last on"), format="D MMM YYYY"),
                "opportunity_id": TextColumn(say("Id")),
            },
            hide_index=True,
            placeholder=theme.MISSING,
            key="since-deals",
            alt=say("Every deal that changed the pipeline between the two editions, largest first"),
        )
        st.download_button(
            say("All changes as CSV"),
            data=lambda: found.rows.write_csv().encode(),
            file_name=f"changes-{found.older.edition_id}-{found.newer.edition_id}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="since-csv",
        )
    if found.owners.is_empty():
        return
    with st.expander(wording_record.owners_label(found.owners.height)):
        rows = [
            (
                row["name"] or row["opportunity_id"],
                row["account_name"],
                row["was_name"] or row["was"],
                row["now_name"] or row["now"],
                theme.money_full(row["amount"], currency),
            )
            for row in found.owners.head(50).to_dicts()
        ]
        columns = (Column(say("Deal")), Column(say("Account")), Column(say("Owner then")), Column(say("Owner now")))
        st.html(
            tables.table(
                (*columns, Column(say("Amount"), is_number=True)), rows, caption=say("Deals that changed owner")
            )
        )


def _said(found: SinceAnswer) -> None:
    st.subheader(say("What was said, then and now"), anchor=False)
    currency = found.newer.reporting_currency
    parts.listed(
        [
            *wording_record.said_then_and_now(found.then, found.now, currency),
            wording_record.labels_changed(found.labels),
            wording_record.files_added(found.files["file_name"].to_list()),
        ]
    )


def _restated(answer: RecordAnswer) -> None:
    currency, noun = answer.read.reporting_currency, answer.read.period_kind
    changed = answer.restated.filter(answer.restated["deal_count"] > 0)
    title = wording_record.restated_title(
        changed.height, answer.restated.height, sum(changed["difference_amount"].to_list(), Decimal(0)), noun, currency
    )
    st.header(theme.escape(title), anchor=False)
    if answer.restated.is_empty():
        return
    st.caption(theme.escape(wording_record.restated_caption(noun)))
    parts.how_computed(restated.restatements)
    if changed.is_empty():
        return
    heads = (
        Column(noun.capitalize()),
        *(Column(name, is_number=True) for name in (say("As reported"), say("As corrected"))),
    )
    more = (Column(say("Difference"), is_number=True), Column(say("Deals"), is_number=True))
    rows = wording_record.restated_rows(changed.to_dicts(), currency)
    st.html(tables.table((*heads, *more), rows, caption=say("What closed periods were reported at, and are now")))
    with st.expander(wording_record.restated_deals_label(answer.restated_deals.height)):
        names = [say(name) for name in ("Deal", "Account", "Owner", "Period", "What changed")]
        money = (Column(say("As reported"), is_number=True), Column(say("As corrected"), is_number=True))
        st.html(
            tables.table(
                (*(Column(name) for name in names), *money),
                wording_record.restated_deal_rows(answer.restated_deals.head(LARGEST).to_dicts(), currency),
                caption=say("Deals that restate a closed period"),
            )
        )


def _verified(filters: Filters, answer: RecordAnswer) -> None:
    st.header(say("Is it as it was published?"), anchor=False)
    if st.button(say("Verify this edition"), icon=":material/verified:", key="verify"):
        with st.spinner(say("Recomputing digests")):
            found = answers_record.verify(filters)
        said = wording_record.verified_title(found.broken_count, unknown=bool(found.lookup_problem))
        (st.error if found.broken_count else st.success)(theme.escape(said))
        if found.lookup_problem:
            st.warning(theme.escape(found.lookup_problem).replace("\\`", "`"))
        rows = [
            (say(name.capitalize()), say("holds") if ok else say("BROKEN"), detail)
            for name, ok, detail in found.findings
        ]
        st.html(
            tables.table(
                (Column(say("Check")), Column(say("Found")), Column(say("Detail"))), rows, caption=say("Checks")
            )
        )
        st.caption(theme.escape(wording_record.file_digest(found.sha256, found.size)))
    else:
        st.caption(wording_record.verify_caption())
    files = [
        (
            row["file_name"],
            row["table_name"],
            theme.count(row["row_count"]),
            theme.count(row["rejected_count"]),
            theme.instant(row["landed_at"]),
            row["sha256"],
        )
        for row in answer.inputs.to_dicts()
    ]
    with st.expander(wording_record.inputs_label(answer.inputs.height)):
        columns = (
            Column(say("File")),
            Column(say("Table")),
            Column(say("Rows"), is_number=True),
            Column(say("Set aside"), is_number=True),
            Column(say("Landed")),
            Column(say("sha256"), is_code=True),
        )
        st.html(tables.table(columns, files, caption=say("Files this edition was made from")))
        st.caption(
            theme.escape(say("Digest of everything visible in them: {digest}.", digest=answer.read.input_digest))
        )
    parts.how_computed(Inputs, editions.verify)


def _downloads(answer: RecordAnswer) -> None:
    ref = answer.read
    st.header(say("Take it with you"), anchor=False)
    st.caption(wording_record.download_caption())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        table = str(st.selectbox(say("Published table"), sorted(PUBLISHED_TABLES), key="download-table", width=280))
        for file_format, mime in (("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")):
            st.download_button(
                say("{table} as {kind}", table=table, kind=file_format.upper() if file_format == "csv" else "Parquet"),
                data=partial(answers_record.table_file, ref, table, file_format),
                file_name=f"{ref.edition_id}-{table}.{file_format}",
                mime=mime,
                icon=":material/download:",
                key=f"download-{file_format}",
            )
        st.download_button(
            say("The edition itself"),
            data=ref.path.read_bytes,
            file_name=ref.path.name,
            mime="application/octet-stream",
            icon=":material/database:",
            key="download-edition",
        )
