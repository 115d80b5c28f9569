"""First use in words: what a file was understood as, what would be set aside, how far the work is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard import language, theme
from dashboard.inventory import TABLE_NAMES, rule_in_words
from pipelines.ingest.preview import ColumnView, TableView
from pipelines.jobs import Job, Report, Stage

AS_FOUND = "As the file shows"
DATE_ORDERS = {None: AS_FOUND, "d/m/y": "Day, month, year", "m/d/y": "Month, day, year", "y/m/d": "Year, month, day"}
DECIMALS = {None: AS_FOUND, ".": "Point: 1,234.56", ",": "Comma: 1.234,56"}
CORRECT_BELOW = "Say below how it is to be read, and it is looked at again."
NOT_IN_FILE = "Not in this file"
COLUMN_HEADINGS = ("In the file", "Is", "Read as", "For example")
REJECT_HEADINGS = ("Line", "Column", "Rule", "Value", "Money")
REPORT_HEADINGS = ("File", "Is", "Landed", "Set aside", "Known already")
PLAIN_TABLE = "forecaster_id, period_start_on, forecast_amount, actual_amount"

_KINDS = {"bring": "Bringing your files in", "demo": "Making a simulated company", "publish": "Publishing"}


def welcome_title(*, has_landed: bool) -> str:
    """The first page of a workspace with nothing to show yet."""
    return "Files have landed; nothing is published yet" if has_landed else "No forecast to judge yet"


def table_name(table: str | None) -> str:
    return "not recognised" if table is None else TABLE_NAMES.get(table, table)


def view_title(view: TableView) -> str:
    return f"{view.file_name}: {table_name(view.table)}"


def view_sentence(view: TableView) -> str:
    """How many rows would land, by which mapping, and what it was judged on."""
    if view.table is None:
        return "It is left aside unless you say which table it is."
    if view.problem is not None:
        return f"Read by the mapping “{view.mapping_name}”, as far as it could be."
    rows = theme.plural(view.row_count, "row")
    judged = f"{rows} read" if view.is_whole else f"The first {rows} read"
    aside = (
        "none would be set aside"
        if view.rejected_count == 0
        else f"{theme.count(view.rejected_count)} would be set aside"
    )
    whole = "" if view.is_whole else " Landing reads the rest by the same rules."
    return f"{judged[0].upper()}{judged[1:]} by the mapping “{view.mapping_name}”: {aside}.{whole}"


def unused(view: TableView) -> str:
    """What becomes of columns that no rule reads; empty where every column is read."""
    count = sum(not column.columns for column in view.columns)
    if count == 0 or view.table is None:
        return ""
    verb = "is" if count == 1 else "are"
    return f"{theme.plural(count, 'column')} {verb} kept and not used."


def still_needed(view: TableView) -> str:
    """Required columns without a source; empty where there is none."""
    known = {column for column, _ in view.sources}
    missing = [name for name in view.required if name not in known]
    return f"It still needs {', '.join(missing)}." if missing else ""


def column_row(column: ColumnView) -> tuple[str, str, str, str]:
    """Cells of the table of columns."""
    return (
        column.header or "(no name)",
        ", ".join(column.columns) or "not used",
        column.reading or "",
        " · ".join(column.samples) or "empty",
    )


def constant_row(column: str, value: str) -> tuple[str, str, str, str]:
    """A column that the mapping gives every row."""
    return ("(not in the file)", column, "given by the mapping", value)


def reject_row(row: dict[str, object]) -> tuple[str, str, str, str, str]:
    """Cells of one rejected row's fault."""
    amount = row["amount"]
    return (
        str(row["line"]),
        str(row["column_name"] or "the row"),
        rule_in_words(str(row["rule"])),
        str(row["value"] or "(empty)"),
        "" if amount is None else f"{amount:,}",
    )


def rejects_label(view: TableView) -> str:
    shown = view.rejected.height
    faults = theme.plural(shown, "fault")
    return f"What would be set aside: {faults} in {theme.plural(view.rejected_count, 'row')}"


def land_sentence(views: Sequence[TableView]) -> str:
    """What the button below it does."""
    ready = [view for view in views if view.table is not None and view.problem is None]
    left = len(views) - len(ready)
    if not ready:
        return "None of this can land as it stands."
    rows = sum(view.row_count for view in ready)
    more = "" if all(view.is_whole for view in ready) else " or more"
    aside = f" {theme.plural(left, 'table').capitalize()} cannot be read yet and would be left aside." if left else ""
    tables = theme.plural(len(ready), "table")
    return f"{tables[0].upper()}{tables[1:]} with {theme.count(rows)} rows{more} can land.{aside}"


def job_title(job: Job) -> str:
    if job.status == "running":
        return f"{_KINDS[job.kind]} …"
    if job.status == "failed":
        return "That did not work"
    if job.edition_id is None:
        return "Nothing has landed"
    aside = sum(report.rejected_count for report in job.reports)
    return "Landed and published" if aside == 0 else f"Landed and published; {theme.plural(aside, 'row')} set aside"


def stage_line(stage: Stage) -> str:
    """``Reading deals.csv as opportunities · 12,000 rows · 3 s``."""
    rows = f" · {theme.count(stage.rows)} rows" if stage.rows else ""
    return f"{stage.name}{rows} · {stage.seconds:.0f} s"


def is_clean(job: Job) -> bool:
    """Whether all of it landed and was published, so that there is nothing to be told before the verdict."""
    told = [report for report in job.reports if report.rejected_count or report.status in {"failed", "skipped"}]
    return job.status == "done" and job.edition_id is not None and (job.kind == "demo" or not told)


def report_row(report: Report) -> tuple[str, str, str, str, str]:
    """Cells of one table of one file after landing."""
    if report.status in {"failed", "skipped"}:
        return (report.file_name, "left aside", "", "", "")
    money = f", {report.rejected_amount}" if report.rejected_amount and report.rejected_count else ""
    return (
        report.file_name,
        table_name(report.table_name),
        "as before" if report.status == "unchanged" else theme.count(report.accepted_count),
        f"{theme.count(report.rejected_count)}{money}",
        theme.count(report.unchanged_count),
    )


language.take(__name__, globals())
