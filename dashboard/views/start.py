"""Bring data: files dropped, looked over, corrected, landed and published, without a terminal."""

from __future__ import annotations

import shlex

import streamlit as st

from dashboard import answers_start, tables, theme, wording_start
from dashboard.filters import Filters
from dashboard.language import say
from dashboard.tables import Column
from dashboard.views import parts
from pipelines import inbox, jobs
from pipelines.contracts import INPUT_TABLES
from pipelines.errors import TrustError
from pipelines.ingest.exports import TABLE_SUFFIXES
from pipelines.ingest.kept import Correction
from pipelines.ingest.preview import TableView
from pipelines.jobs import Job
from pipelines.settings import Workspace

BATCH = "batch"
ACROSS = 3
POLL_SECONDS = 1.0


def page(filters: Filters) -> None:
    """Beside an edition: further files, or the same one again."""
    bring(Workspace.at(), say("Bring a file"), is_published=True)


def has_news(workspace: Workspace) -> bool:
    """Whether the files this reader brought are being landed, or have been and the outcome was not told yet."""
    token = st.query_params.get(BATCH)
    job = jobs.look(workspace) if token else None
    return job is not None and job.token == token


def bring(workspace: Workspace, title: str, *, is_published: bool) -> None:
    """Whatever comes next: the work that is going on, its outcome, the files that wait, or a place to drop some."""
    job = jobs.look(workspace)
    token = st.query_params.get(BATCH, "")
    if job is not None and job.status == "running":
        st.title(wording_start.job_title(job), anchor=False)
        _progress(workspace)
    elif job is not None:
        _outcome(workspace, job)
    elif inbox.files(workspace, token):
        _review(workspace, token)
    else:
        st.title(title, anchor=False)
        _offer(workspace, is_published=is_published)


def _offer(workspace: Workspace, *, is_published: bool) -> None:
    has_landed = workspace.landing.exists()
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.header(say("Drop your own files"), anchor=False)
        brought = st.file_uploader(
            say("CSV, TSV, Excel, JSON lines or Parquet, also zipped; several at once"),
            type=sorted(suffix.removeprefix(".") for suffix in TABLE_SUFFIXES),
            accept_multiple_files=True,
            key="brought",
        )
        st.caption(
            say(
                "Nothing leaves this machine. You see how each column was understood, and what would be set aside, "
                "before "
                "anything lands."
            )
        )
        if brought:
            st.query_params[BATCH] = inbox.receive(workspace, [(file.name, file.getbuffer()) for file in brought])
            st.rerun()
    with right:
        if has_landed and not is_published:
            st.header(say("Publish what has landed"), anchor=False)
            if st.button(say("Publish"), type="primary", icon=":material/publish:"):
                _begin(workspace, "publish")
        elif not has_landed:
            st.header(say("Or look at a simulated company"), anchor=False)
            st.markdown(say("40 reps over 12 quarters, with known leans planted in it. It takes about a minute."))
            if st.button(say("Simulate a company"), icon=":material/science:"):
                _begin(workspace, "demo")
        st.header(say("What is enough"), anchor=False)
        st.markdown(
            say(
                "A spreadsheet with one row per forecaster and period: *{columns}*. A CRM export of "
                "opportunities, and of the calls people made, says more.",
                columns=theme.escape(wording_start.PLAIN_TABLE),
            )
        )
        _terminal(workspace)


def _terminal(workspace: Workspace) -> None:
    quoted = shlex.quote(str(workspace.root))
    lines = [f"forecast-trust ingest FILES --workspace {quoted}", f"forecast-trust publish --workspace {quoted}"]
    if not workspace.landing.exists():
        lines.append(f"forecast-trust demo --workspace {quoted}")
    with st.expander(say("The same from a terminal")):
        st.code("\n".join(lines), language=None, wrap_lines=True)


def _begin(workspace: Workspace, kind: str, token: str | None = None) -> None:
    jobs.start(workspace, kind, token=token)
    st.rerun()


# Looking over what waits


def _review(workspace: Workspace, token: str) -> None:
    views = answers_start.waiting(workspace, token)
    st.title(say("This is how your files were understood"), anchor=False)
    parts.said(wording_start.land_sentence(views))
    ready = any(view.table is not None and view.problem is None for view in views)
    with st.container(horizontal=True):
        if st.button(say("Land and publish"), type="primary", disabled=not ready, icon=":material/publish:"):
            _begin(workspace, "bring", token)
        if st.button(say("Take them back"), icon=":material/delete:"):
            inbox.discard(workspace, token)
            del st.query_params[BATCH]
            st.rerun()
    for place, view in enumerate(views):
        _table(workspace, token, view, place)


def _table(workspace: Workspace, token: str, view: TableView, place: int) -> None:
    st.header(theme.escape(wording_start.view_title(view)), anchor=False)
    if view.problem is not None and view.remedy is not None:
        # What can be put right on this page needs no mapping file written by hand.
        remedy = wording_start.CORRECT_BELOW if view.columns else view.remedy
        st.warning(f"{parts.prose(view.problem)}\n\n{parts.prose(remedy)}", icon=":material/error:")
    for sentence in (wording_start.view_sentence(view), wording_start.still_needed(view), *view.notes):
        if sentence:
            parts.said(sentence)
    if view.rejected_count:
        with st.expander(theme.escape(wording_start.rejects_label(view)), icon=":material/block:"):
            columns = (
                *(Column(name) for name in wording_start.REJECT_HEADINGS[:-1]),
                Column(say("Money"), is_number=True),
            )
            rows = [wording_start.reject_row(row) for row in view.rejected.iter_rows(named=True)]
            st.html(
                tables.table(
                    columns, rows, caption=say("Rows of {file_name} that would be set aside", file_name=view.file_name)
                )
            )
    if not view.columns:
        return
    with st.expander(say("Columns"), expanded=place == 0):
        cells = [wording_start.column_row(column) for column in view.columns]
        cells += [wording_start.constant_row(*constant) for constant in view.constants]
        headings = [Column(name) for name in wording_start.COLUMN_HEADINGS]
        st.html(tables.table(headings, cells, caption=say("Columns of {file_name}", file_name=view.file_name)))
        st.caption(theme.escape(wording_start.unused(view)))
    with st.expander(say("Correct how it is read"), expanded=view.problem is not None, icon=":material/edit:"):
        _correct(workspace, token, view, place)


def _correct(workspace: Workspace, token: str, view: TableView, place: int) -> None:
    names = list(INPUT_TABLES)
    table = st.selectbox(
        say("What one row is"),
        names,
        index=names.index(view.table) if view.table else None,
        format_func=wording_start.table_name,
        placeholder=say("Choose a table"),
        key=f"table-{place}",
    )
    if table is None:
        return
    known = dict(view.sources) if table == view.table else answers_start.read_as(workspace, token, view, table)
    required = INPUT_TABLES[table].required
    offered = [None, *dict.fromkeys([*view.offered, *known.values()])]
    with st.form(f"correction-{place}", border=False):
        dates, numbers, _ = st.columns(ACROSS)
        date_format = dates.selectbox(
            say("Order of dates"),
            list(wording_start.DATE_ORDERS),
            index=list(wording_start.DATE_ORDERS).index(view.date_format)
            if view.date_format in wording_start.DATE_ORDERS
            else 0,
            format_func=lambda order: wording_start.DATE_ORDERS[order],
            key=f"dates-{place}",
        )
        decimal = numbers.selectbox(
            say("Decimal sign"),
            list(wording_start.DECIMALS),
            index=list(wording_start.DECIMALS).index(view.decimal),
            format_func=lambda sign: wording_start.DECIMALS[sign],
            key=f"decimal-{place}",
        )
        said: dict[str, str | None] = {}
        grid = st.columns(ACROSS)
        for at, column in enumerate(INPUT_TABLES[table].columns):
            said[column] = grid[at % ACROSS].selectbox(
                f"{column} *" if column in required else column,
                offered,
                index=offered.index(known.get(column)),
                format_func=lambda header: header or wording_start.NOT_IN_FILE,
                key=f"source-{place}-{table}-{column}",
            )
        if st.form_submit_button(say("Read it this way"), icon=":material/refresh:"):
            changed = tuple((column, header) for column, header in said.items() if header != known.get(column))
            answers_start.correction(workspace, token, view, Correction(table, changed, date_format, decimal))
            st.rerun()
    st.caption(
        say(
            "Columns with \\* must come from somewhere. What you say is kept in this workspace and used for the next "
            "file "
            "with the same header."
        )
    )


# Work


@st.fragment(run_every=POLL_SECONDS)
def _progress(workspace: Workspace) -> None:
    """Redraws itself alone, so that no page run waits; once the work is over the whole page is drawn again."""
    job = jobs.look(workspace)
    if job is None or job.status != "running":
        st.rerun()
    for stage in job.stages:
        icon = ":blue[:material/check_circle:]" if stage.is_done else ":gray[:material/pending:]"
        st.markdown(f"{icon} {theme.escape(wording_start.stage_line(stage))}")
    st.caption(say("You may leave this page; the work goes on, and this page shows it when you return."))


def _outcome(workspace: Workspace, job: Job) -> None:
    if wording_start.is_clean(job):
        _on(workspace)
    st.title(theme.escape(wording_start.job_title(job)), anchor=False)
    if job.problem is not None and job.remedy is not None:
        st.error(f"{parts.prose(job.problem)}\n\n{parts.prose(job.remedy)}", icon=":material/error:")
    for report in job.reports:
        if report.problem is not None and report.remedy is not None:
            said = (
                f"**{theme.escape(report.file_name)}**: {parts.prose(report.problem)}\n\n{parts.prose(report.remedy)}"
            )
            st.warning(said, icon=":material/error:")
    if job.reports:
        headings = (*(Column(name) for name in wording_start.REPORT_HEADINGS[:2]),)
        counted = (*(Column(name, is_number=True) for name in wording_start.REPORT_HEADINGS[2:]),)
        rows = [wording_start.report_row(report) for report in job.reports]
        st.html(tables.table((*headings, *counted), rows, caption=say("What became of each file")))
    with st.container(horizontal=True):
        if job.edition_id is not None and st.button(say("See the verdict"), type="primary", icon=":material/verified:"):
            _on(workspace)
        if job.edition_id is not None and st.button(say("See what was set aside"), icon=":material/block:"):
            _on(workspace, "data")
        if st.button(say("Bring another file") if job.edition_id else say("Go back"), icon=":material/upload_file:"):
            jobs.forget(workspace)
            st.rerun()


def _on(workspace: Workspace, url_path: str = "") -> None:
    """Take note of the outcome and open the verdict, or another page of the edition just published."""
    jobs.forget(workspace)
    is_verdict = url_path == ""
    page_ = st.Page(lambda: None, title=say("Trust"), url_path=url_path or "trust", default=is_verdict)
    st.switch_page(page_, query_params={})


def first_use(workspace: Workspace, *, is_published: bool) -> None:
    """The first page of a workspace without an edition. Errors of a page are told by the boundary around it."""
    try:
        title = wording_start.welcome_title(has_landed=workspace.landing.exists())
        bring(workspace, title, is_published=is_published)
    except TrustError:
        # A batch whose mapping is wrong must not lock the reader out of bringing another.
        st.query_params.pop(BATCH, None)
        raise
