"""The command: parse, call runs, print. Exit 0 done, 1 with problem and remedy on stderr, 2 wrong usage."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from pipelines import runs
from pipelines.contracts import INPUT_TABLES, PUBLISHED_TABLES
from pipelines.engine.selfcheck import in_words, shape_in_words
from pipelines.errors import TrustError
from pipelines.ingest import FileReport
from pipelines.progress import Spoken
from pipelines.settings import DEFAULT_WORKSPACE, WORKSPACE_VARIABLE, Workspace
from pipelines.simulate import simulate as simulate_company
from pipelines.warehouse import editions as edition_store
from pipelines.warehouse.engines.choice import DIALECTS, DSN_VARIABLE, ENGINES, EngineChoice

P = ParamSpec("P")
R = TypeVar("R")


class Instant(click.ParamType[datetime]):
    """A day (its end is meant) or an ISO instant; UTC unless it carries an offset."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if len(value) == len("2026-11-09"):
                return datetime.combine(date.fromisoformat(value), time()) + timedelta(days=1, seconds=-1)
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day or instant such as 2026-11-09 or 2026-11-09T18:00:00Z", param, ctx)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _workspace(function: Callable[P, R]) -> Callable[P, R]:
    return click.option(
        "--workspace",
        envvar=WORKSPACE_VARIABLE,
        default=DEFAULT_WORKSPACE,
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help=f"The folder that holds everything (or ${WORKSPACE_VARIABLE}).",
    )(function)


def _speaks_plainly(function: Callable[P, R]) -> Callable[P, R]:
    """Problem and remedy on stderr, exit 1: never a traceback for something a person can fix."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TrustError as error:
            click.echo(error.problem, err=True)
            click.echo(error.remedy, err=True)
            sys.exit(1)
        except BrokenPipeError:
            sys.exit(0)
        except Exception as error:  # noqa: BLE001 - the one boundary: a fault of ours is told, kept and not shown raw
            click.echo(f"Something failed that is not your doing: {type(error).__name__}.", err=True)
            click.echo(f"Nothing that had landed is lost; please report {_kept(error)} with what you ran.", err=True)
            sys.exit(1)

    return command


def _kept(error: Exception) -> str:
    """The traceback's file: for the report, readable by its owner alone."""
    with tempfile.NamedTemporaryFile("w", prefix="forecast-trust-", suffix=".log", delete=False) as file:
        traceback.print_exception(error, file=file)
    return file.name


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("forecast-trust"), prog_name="forecast-trust")
def main() -> None:
    """Tells a company whether its sales forecast can be believed, and how it knows."""


@main.command()
@_workspace
@click.option("--reps", default=40, show_default=True, type=click.IntRange(1, 20_000), help="How many forecasters.")
@click.option("--quarters", default=12, show_default=True, type=click.IntRange(1, 80), help="Closed quarters.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Same seed, same company.")
@_speaks_plainly
def demo(workspace: Path, reps: int, quarters: int, seed: int) -> None:
    """Simulate a company, ingest it, publish it; prints what to run next."""
    place = Workspace.at(workspace)
    reports, ref = runs.demo(place, Spoken(), reps=reps, quarters=quarters, seed=seed)
    _print_reports(reports)
    click.echo(f"Published edition {ref.edition_id}.")
    click.echo(f"Next: forecast-trust dashboard --workspace {place.root}")


@main.command()
@click.argument("out_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--reps", default=40, show_default=True, type=click.IntRange(1, 20_000), help="How many forecasters.")
@click.option("--quarters", default=12, show_default=True, type=click.IntRange(1, 80), help="Closed quarters.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Same seed, same company.")
@click.option(
    "--layout", default="canonical", show_default=True, type=click.Choice(["canonical", "salesforce"]), help="Headers."
)
@_speaks_plainly
def simulate(out_dir: Path, reps: int, quarters: int, seed: int, layout: str) -> None:
    """Write a simulated company as CRM export files, with truth/ beside them."""
    progress = Spoken()
    progress.stage("Simulating a company")
    try:
        simulate_company(out_dir, reps=reps, quarters=quarters, seed=seed, layout=layout, progress=progress)
    except OSError as error:
        raise TrustError(
            f"{out_dir} cannot be written: {error.strerror}.", "Choose a folder you may write to."
        ) from error
    progress.done()
    click.echo(f"Wrote {out_dir}. Next: forecast-trust ingest {out_dir}")


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@_workspace
@click.option("--as", "table", type=click.Choice(sorted(INPUT_TABLES)), help="What the files are, if not recognised.")
@click.option("--mapping", help="A preset (salesforce, hubspot, dynamics, generic) or a mapping file (TOML).")
@click.option("--extracted-at", type=Instant(), help="When the export was taken, if its rows do not say.")
@click.option("--full-extract", is_flag=True, help="These are all opportunities: those of before that are absent go.")
@click.option("--insist", is_flag=True, help="With --full-extract: believe it however many are absent.")
@_speaks_plainly
def ingest(
    paths: tuple[Path, ...],
    workspace: Path,
    table: str | None,
    mapping: str | None,
    extracted_at: datetime | None,
    *,
    full_extract: bool,
    insist: bool,
) -> None:
    """Land files or folders. The same file twice changes nothing."""
    reports = runs.ingest(
        Workspace.at(workspace),
        paths,
        Spoken(),
        table=table,
        mapping=mapping,
        extracted_at=extracted_at,
        full_extract=full_extract,
        insist=insist,
    )
    _print_reports(reports)
    if any(report.status == "failed" for report in reports):
        sys.exit(1)


def _print_reports(reports: list[FileReport]) -> None:
    for report in reports:
        if report.status in ("failed", "skipped"):
            click.echo(f"{report.file_name}: {report.status}", err=True)
            click.echo(f"  {report.problem}", err=True)
            click.echo(f"  {report.remedy}", err=True)
            continue
        if report.status == "claimed":
            click.echo(f"{report.file_name}: {' '.join(report.notes)}")
            continue
        money = "" if report.rejected_amount is None else f" (standing for {report.rejected_amount:,})"
        line = (
            f"{report.file_name}: {report.table_name} ({report.mapping_name}), {report.accepted_count:,} accepted, "
            f"{report.rejected_count:,} rejected{money}, {report.unchanged_count:,} unchanged"
        )
        click.echo(line)
        for note in report.notes:
            click.echo(f"  {note}")


@main.command()
@_workspace
@click.option("--as-of", type=Instant(), help="Publish exactly what could be known then. Default: the latest record.")
@click.option("--period", help="The period the pages open on: a label or its first day.")
@click.option("--engine", default="duckdb", show_default=True, type=click.Choice(ENGINES), help="Rebuilds the history.")
@click.option("--spark-master", help="Spark: a master or sc:// URL. Default: this machine.")
@click.option("--postgres-dsn", envvar=DSN_VARIABLE, help=f"PostgreSQL: the server (or ${DSN_VARIABLE}).")
@click.option("--history", help="Where your own tables lie: a folder or address (spark), a schema (postgres).")
@click.option("--full", is_flag=True, help="Rebuild the whole history instead of what changed since the last time.")
@_speaks_plainly
def publish(
    workspace: Path, as_of: datetime | None, period: str | None, engine: str, *, full: bool, **places: str | None
) -> None:
    """Build one immutable edition and make it current."""
    choice = EngineChoice(engine, **places)
    ref = runs.publish(Workspace.at(workspace), Spoken(), as_of=as_of, period=period, engine=choice, full=full)
    click.echo(f"Published edition {ref.edition_id}.")


@main.command()
@click.option("--dialect", required=True, type=click.Choice(DIALECTS), help="The engine that is to read it.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="A folder; standard output by default.")
@_speaks_plainly
def sql(dialect: str, out: Path | None) -> None:
    """The history's statements in another engine's dialect, in order, one file per table."""
    text = runs.write_statements(dialect, out)
    click.echo(f"Wrote {out}." if text is None else text)


@main.command()
@_workspace
@_speaks_plainly
def check(workspace: Path) -> None:
    """Integrity and data-quality report of the workspace and the current edition."""
    findings = runs.check(Workspace.at(workspace))
    for finding in findings:
        click.echo(f"{'ok    ' if finding.holds else 'BROKEN'}  {finding.name}: {finding.detail}")
    broken = [finding for finding in findings if not finding.holds]
    if broken:
        raise TrustError(
            f"{len(broken)} of {len(findings)} checks are broken.",
            "Publish again; if it stays broken, restore landing.duckdb from a backup.",
        )


@main.command()
@_workspace
@click.option("--edition", "edition_id", help="An edition's id; the current one by default.")
@click.option("--companies", default=200, show_default=True, type=click.IntRange(20, 10_000), help="How many to draw.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Same seed, same companies.")
@_speaks_plainly
def selfcheck(workspace: Path, edition_id: str | None, companies: int, seed: int) -> None:
    """Simulate companies of this one's shape, measure them, and say how often the engine was right."""
    table = runs.selfcheck(Workspace.at(workspace), Spoken(), edition_id=edition_id, companies=companies, seed=seed)
    click.echo(shape_in_words(table))
    for question, counted, sentence in in_words(table):
        click.echo(f"{question:<40}{counted:>16}  {sentence}")


@main.command()
@_workspace
@_speaks_plainly
def editions(workspace: Path) -> None:
    """List editions: id, as-of, published at, method version, input digest; * the current one, ! a damaged one."""
    place = Workspace.at(workspace)
    refs = edition_store.list_editions(place)
    # A pointer to nowhere is told after the list, which is how one finds an edition to go on with.
    pointer: TrustError | None = None
    current = None
    try:
        current = edition_store.current(place)
    except TrustError as error:
        pointer = error
    for ref in refs:
        mark = "*" if current and ref.edition_id == current.edition_id else " "
        as_of, published = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (ref.as_of_at, ref.published_at))
        line = f"{mark} {ref.edition_id}  as of {as_of}  published {published}"
        click.echo(f"{line}  method {ref.method_version}  inputs {ref.input_digest}")
    damaged = edition_store.damaged_editions(place)
    for name, problem, _ in damaged:
        click.echo(f"! {name}  damaged: {problem}")
    if pointer is not None:
        raise pointer
    if damaged:
        raise TrustError(f"{len(damaged)} of {len(refs) + len(damaged)} editions cannot be read.", damaged[0].remedy)


@main.command()
@click.argument("table", type=click.Choice(sorted(PUBLISHED_TABLES)))
@_workspace
@click.option("--edition", "edition_id", help="An edition's id; the current one by default.")
@click.option(
    "--format", "file_format", default="csv", show_default=True, type=click.Choice(["csv", "parquet", "json"])
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file; standard output by default.")
@_speaks_plainly
def export(table: str, workspace: Path, edition_id: str | None, file_format: str, out: Path | None) -> None:
    """One published table, as is."""
    text = runs.export(Workspace.at(workspace), table, edition_id=edition_id, file_format=file_format, out=out)
    if text is not None:
        click.echo(text, nl=False)


@main.command()
@_workspace
@click.option("--edition", "edition_id", help="An edition's id; the current one by default.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["pdf", "pptx", "xlsx"]),
    help="Board paper, QBR deck or finance workbook; by default what --out ends on, else pdf.",
)
@click.option("--scope", help="A manager's id or name; the whole company by default.")
@click.option("--calls", help="Whose calls and which kind, for example rep:commit.")
@click.option("--period", help="The closed period whose miss is told in full: its label; the latest by default.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file; named for its edition by default."
)
@_speaks_plainly
def brief(workspace: Path, file_format: str | None, out: Path | None, **asked: str | None) -> None:
    """The pages as a file: a board paper (PDF), a QBR deck (PPTX) or a finance workbook (XLSX)."""
    ending = "" if out is None else out.suffix.removeprefix(".").lower()
    kind = file_format or (ending if ending in ("pptx", "xlsx") else "pdf")
    progress = Spoken()
    named = {"pdf": "board paper", "pptx": "QBR deck", "xlsx": "finance workbook"}
    progress.stage(f"Making the {named[kind]}")
    write = entry_points(group="forecast_trust.screens")["brief"].load()
    path = write(Workspace.at(workspace), file_format=kind, out=out, **asked)
    progress.done()
    click.echo(f"Wrote {path}.")


@main.command()
@click.argument("break_key", metavar="BREAK")
@_workspace
@click.option("--by", "signed_by", required=True, help="Who signs.")
@click.option("--note", required=True, help="Why the break is accepted, or what is done about it.")
@click.option("--edition", "edition_id", help="An edition's id; the current one by default.")
@_speaks_plainly
def signoff(break_key: str, workspace: Path, signed_by: str, note: str, edition_id: str | None) -> None:
    """Sign a break of the books (opportunity:ID or booking:ID) as it stands, with a note that stays."""
    place = Workspace.at(workspace)
    signed = runs.sign_off(place, break_key, signed_by=signed_by, note=note, edition_id=edition_id)
    amount = "without an amount" if signed.difference is None else f"{signed.difference:,}"
    click.echo(f"Signed {signed.key} ({signed.kind}, difference {amount}) in {place.signoffs.name}.")


@main.command()
@_workspace
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65_535))
@_speaks_plainly
def dashboard(workspace: Path, port: int) -> None:
    """Serve the pages over the current edition, to this machine alone."""
    # Screens register themselves (pyproject.toml), so that the pipelines never depend on one.
    serve = entry_points(group="forecast_trust.screens")["dashboard"].load()
    sys.exit(serve(Workspace.at(workspace), port))


if __name__ == "__main__":
    main()
