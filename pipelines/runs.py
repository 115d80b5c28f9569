"""The story in order: land → check → rebuild history → measure → publish."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import polars as pl

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.engine.accuracy import accuracy
from pipelines.engine.bias import forecaster_bias, team_bias
from pipelines.engine.matching import matched_lines
from pipelines.engine.selfcheck import FEWEST_FORECASTERS, FEWEST_PERIODS
from pipelines.engine.selfcheck import selfcheck as simulated_check
from pipelines.errors import EditionError, TrustError, WorkspaceError
from pipelines.ingest import FileReport, ingest_paths
from pipelines.measures.finance import finance_tables
from pipelines.measures.landing import landing_choices, landings, model_forecasts
from pipelines.measures.miss import misses, tie_out
from pipelines.measures.process import process_tables
from pipelines.policy import DEFAULT_POLICY, METHOD_VERSION, Policy
from pipelines.progress import Progress
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse import editions, history, signoffs
from pipelines.warehouse.aside import put_aside
from pipelines.warehouse.editions import EditionRef
from pipelines.warehouse.engines.choice import EMBEDDED, EngineChoice
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.statements import emitted

SIMULATED_FOLDER = "simulated"
SIMULATED_STAMP = "made-with.json"
SIMULATED_BEFORE = timedelta(days=7)

ASKED_OF_THE_PROCESS = ("periods", "scopes", "scope_members", "forecast_pairs", "quotas", "deals")
MODEL, ODDS = "model_forecasts", "lock_odds"
"""What the process is judged by: prepared tables, and what the landing says beside what it publishes."""

PUBLISHED_COMPANIES = 25
"""Companies of its own shape that each edition is checked on: enough for a sentence, and a second or two of work."""

MOST_FORECASTERS = 300
"""Beyond it the check is left to the command, which nobody waits for while publishing."""


def ingest(
    workspace: Workspace,
    paths: Sequence[Path],
    progress: Progress,
    *,
    table: str | None = None,
    mapping: str | None = None,
    extracted_at: datetime | None = None,
    full_extract: bool = False,
    insist: bool = False,
) -> list[FileReport]:
    """Land files or folders. One bad file stops itself alone; the same file twice changes nothing.

    ``full_extract``, ``insist``: see ``ingest_paths``.
    Errors: WorkspaceError when the workspace cannot be written or another process is writing it.
    """
    workspace.create()
    return ingest_paths(
        workspace,
        paths,
        table=table,
        mapping=mapping,
        extracted_at=extracted_at,
        full_extract=full_extract,
        insist=insist,
        progress=progress,
    )


def publish(
    workspace: Workspace,
    progress: Progress,
    *,
    as_of: datetime | None = None,
    period: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    engine: EngineChoice = EMBEDDED,
    full: bool = False,
) -> EditionRef:
    """Build one immutable edition from what was recorded at or before ``as_of`` (UTC), and make it current.

    ``period``: the period the pages open on, by label (``Q4 2026``) or first day (``2026-10-01``); by default the one
    that contains ``as_of``. ``engine``: where the history is rebuilt; ``full``: rely on nothing kept from the last
    publication. Errors: EditionError when nothing has landed,
    when nothing was known by then, or when the period does not exist; TrustError when the engine cannot be had; the
    current edition stays as it was.
    """
    if not workspace.landing.exists() and engine.history is None:
        raise EditionError(
            f"Nothing has landed in {workspace.root}.",
            "Bring files with `forecast-trust ingest PATH`, or try `forecast-trust demo`.",
        )
    with (
        _scratch(workspace) as scratch,
        history.build(
            workspace,
            as_of,
            policy,
            workspace.settings(),
            scratch,
            match=matched_lines,
            choice=engine,
            full=full,
            progress=progress,
        ) as prepared,
    ):
        tables = prepared.asked_tables()
        opened_on, opened_week = _opened_period(tables["periods"], prepared.as_of_at, period)
        progress.stage("Measuring")
        chosen = [*policy.as_rows(), *landing_choices()]
        tables["policy"] = pl.DataFrame(chosen, schema={"name": pl.String, "value": pl.String})
        waiting = put_aside(_measured(prepared, tables, policy, progress), scratch)
        del tables
        progress.stage("Judging the process")
        asked = waiting.take(*ASKED_OF_THE_PROCESS)
        model, odds = (waiting.take(name)[name] for name in (MODEL, ODDS))
        judged = process_tables(prepared, asked, policy, model=model, odds=odds)
        progress.stage("Checking itself")
        judged["selfcheck"] = simulated_check(
            asked["forecast_pairs"], policy, companies=PUBLISHED_COMPANIES, seed=1, most_forecasters=MOST_FORECASTERS
        )
        del asked, model, odds
        progress.stage("Publishing")
        tables = {name: frame for name, frame in waiting.take().items() if name not in {MODEL, ODDS}}
        tables |= judged | prepared.shown_tables()
        row = {
            "as_of_at": prepared.as_of_at,
            "published_at": datetime.now(UTC).replace(tzinfo=None),
            "method_version": METHOD_VERSION,
            "reporting_currency": prepared.reporting_currency,
            "input_digest": prepared.input_digest,
            "company_name": workspace.settings().company_name,
            "period_kind": prepared.period_kind,
            "fiscal_year_start_month": prepared.fiscal_year_start_month,
            "lock_week": policy.lock_week,
            "open_period_start_on": opened_on,
            "open_period_week": opened_week,
            "actual_source": prepared.actual_source,
            "is_simulated": prepared.is_simulated,
        }
        ref = editions.publish_edition(workspace, row, tables)
    progress.done()
    return ref


def _measured(
    prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy, progress: Progress
) -> dict[str, pl.DataFrame]:
    """``tables`` with leans, misses, landings and the tie-out, and what the judgement of the process asks of them."""
    found = dict(tables)
    with ThreadPoolExecutor(max_workers=1) as beside:
        # Of calls and what landed alone: nothing of the deals waits for it, nor it for them.
        of_calls = beside.submit(_of_calls, found["forecast_pairs"], found["scope_members"], policy)
        progress.stage("Explaining misses")
        found |= misses(prepared, found, policy)
        found |= tie_out(prepared, found["periods"], policy)
        progress.stage("Forecasting the landing")
        landed = landings(prepared, found, policy)
        found |= landed.tables
        found |= of_calls.result()
    found |= finance_tables(prepared, found, policy)
    return {**found, MODEL: model_forecasts(found["landing_backtest"]), ODDS: landed.lock_odds}


def _of_calls(pairs: pl.DataFrame, members: pl.DataFrame, policy: Policy) -> dict[str, pl.DataFrame]:
    return {
        "forecaster_bias": forecaster_bias(pairs, policy),
        "team_bias": team_bias(pairs, members, policy),
        "accuracy": accuracy(pairs, policy),
    }


def _opened_period(periods: pl.DataFrame, as_of_at: datetime, period: str | None) -> tuple[date | None, int | None]:
    """The period the pages open on, and the last whole week of it known at ``as_of_at``."""
    rows = periods.sort("period_start_on").to_dicts()
    if period is not None:
        named = [row for row in rows if period in (row["label"], str(row["period_start_on"]))]
        if not named:
            known = ", ".join(str(row["label"]) for row in rows[-4:])
            raise EditionError(f"There is no period {period!r} in the landed data.", f"The latest periods are {known}.")
        chosen = named[0]
    else:
        begun = [row for row in rows if row["period_start_on"] <= as_of_at.date()]
        if not begun:
            return None, None
        chosen = begun[-1]
    start: date = chosen["period_start_on"]
    last_day = min(as_of_at.date(), chosen["period_end_on"])
    return start, max((last_day - start).days // 7, 0)


def write_statements(dialect: str, out: Path | None, policy: Policy = DEFAULT_POLICY) -> str | None:
    """The history's statements in a dialect, one file per table in ``out``; or all of them as one text.

    Errors: TrustError when sqlglot is not installed, or the folder cannot be written.
    """
    files = emitted(dialect, policy)
    if out is None:
        return "\n".join(f"-- {name}\n{text}" for name, text in files.items())
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrustError(f"{out} cannot be written: {error.strerror}.", "Name another folder with --out.") from error
    return None


def demo(
    workspace: Workspace, progress: Progress, *, reps: int = 40, quarters: int = 12, seed: int = 1
) -> tuple[list[FileReport], EditionRef]:
    """Simulate a company, bring it in through the same door as a customer's files, publish it.

    Errors: WorkspaceError when the workspace already holds other data: simulated and real rows are never mixed.
    """
    folder = workspace.root / SIMULATED_FOLDER
    stamp = folder / SIMULATED_STAMP
    made_with = {"reps": reps, "quarters": quarters, "seed": seed, "version": version("forecast-trust")}
    if workspace.landing.exists() and not (stamp.exists() and json.loads(stamp.read_text()) == made_with):
        raise WorkspaceError(
            f"The workspace {workspace.root} already holds other data, and a simulated company is never mixed with it.",
            "Name another folder, for example `forecast-trust demo --workspace demo-2`.",
        )
    workspace.create()
    if not stamp.exists():
        progress.stage("Simulating a company")
        shutil.rmtree(folder, ignore_errors=True)
        simulate(folder, reps=reps, quarters=quarters, seed=seed, layout="salesforce", progress=progress)
        stamp.write_text(json.dumps(made_with))
    progress.done()
    # The object exports are the company; reports/ holds the same deals again, in the layout of a CRM report.
    exports = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".json"]
    reports = ingest(workspace, exports, progress)
    latest = publish(workspace, progress)
    # The record begins a week earlier, so that the first look already shows what changed since.
    publish(workspace, progress, as_of=latest.as_of_at - SIMULATED_BEFORE)
    editions.make_current(workspace, latest)
    return reports, latest


@dataclass(frozen=True)
class Finding:
    """One line of the check: an invariant that holds or not, or a remark on quality that only informs."""

    name: str
    holds: bool
    detail: str


def check(workspace: Workspace) -> list[Finding]:
    """Integrity of the landing and of the current edition: the file as published, and what must be true in it."""
    findings: list[Finding] = []
    ref = editions.current(workspace)
    if ref is None:
        raise EditionError(
            f"No edition has been published in {workspace.root}.",
            "Run `forecast-trust publish` (after `forecast-trust ingest PATH`), or `forecast-trust demo`.",
        )
    for name, holds, detail in editions.verify(ref):
        findings.append(Finding(name, holds, detail))
    return findings


def selfcheck(
    workspace: Workspace,
    progress: Progress,
    *,
    edition_id: str | None = None,
    companies: int = 200,
    seed: int = 1,
    policy: Policy = DEFAULT_POLICY,
) -> pl.DataFrame:
    """``process_contracts.Selfcheck`` rows: the engine measured on simulated companies of the edition's own shape.

    Errors: EditionError without an edition; TrustError where there is too little history to take a shape from.
    """
    ref = editions.find(workspace, edition_id) if edition_id else editions.current(workspace)
    if ref is None:
        raise EditionError(
            f"No edition has been published in {workspace.root}.",
            "Run `forecast-trust publish` first, or name another folder with --workspace.",
        )
    progress.stage(f"Simulating {companies} companies of this shape")
    pairs = editions.read(ref, "forecast_pairs", where={"week_of_period": ref.lock_week, "status": "closed"})
    table = simulated_check(pairs, replace(policy, lock_week=ref.lock_week), companies=companies, seed=seed)
    progress.done()
    status, periods, forecasters = table.select("status", "period_count", "forecaster_count").row(0)
    if status != "ok":
        raise TrustError(
            f"The self-check needs {FEWEST_PERIODS} closed periods and {FEWEST_FORECASTERS} forecasters with calls and "
            f"landings in at least {policy.min_periods_value} of them, and the edition {ref.edition_id} has "
            f"{periods} and {forecasters}.",
            "Bring more history with `forecast-trust ingest PATH` and publish again, or try `forecast-trust demo`.",
        )
    return table


def export(
    workspace: Workspace,
    table: str,
    *,
    edition_id: str | None = None,
    file_format: str = "csv",
    out: Path | None = None,
) -> str | None:
    """One published table, as is. Returns the text when it is not written to ``out``.

    Errors: EditionError for an unknown table or edition; TrustError when Parquet is asked for without a file.
    """
    if table not in PUBLISHED_TABLES:
        raise EditionError(f"There is no published table {table!r}.", f"The tables are {', '.join(PUBLISHED_TABLES)}.")
    ref = editions.find(workspace, edition_id) if edition_id else editions.current(workspace)
    if ref is None:
        raise EditionError(
            f"No edition has been published in {workspace.root}.",
            "Run `forecast-trust publish` first, or name another folder with --workspace.",
        )
    frame = editions.read(ref, table)
    if file_format == "parquet" and out is None:
        raise TrustError("Parquet is not text and cannot be printed.", "Name a file with --out FILE.")
    text = None if file_format == "parquet" else frame.write_csv() if file_format == "csv" else _as_json(frame)
    if out is None:
        return text
    try:
        if text is None:
            frame.write_parquet(out)
        else:
            out.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0][:200]
        raise TrustError(f"{out} cannot be written: {reason}.", "Name another file with --out.") from error
    return None


def sign_off(
    workspace: Workspace, key: str, *, signed_by: str, note: str, edition_id: str | None = None
) -> signoffs.Signoff:
    """Sign a break of the tie-out as it stands in an edition. ``key``: ``opportunity:<id>``, ``booking:<id>``, or the
    id alone where only one of them has it.

    Errors: EditionError without an edition, or for a record that is not in its tie-out or ties; TrustError for a note
    without a name or words.
    """
    ref = editions.find(workspace, edition_id) if edition_id else editions.current(workspace)
    if ref is None:
        raise EditionError(
            f"No edition has been published in {workspace.root}.",
            "Run `forecast-trust publish` first, or name another folder with --workspace.",
        )
    kind, _, record = key.partition(":")
    named = record if kind in ("opportunity", "booking") else key
    rows = editions.read(ref, "reconciliation", where={"record_id": named})
    if named != key:
        rows = rows.filter(pl.col("record_kind") == kind)
    breaks = rows.filter(pl.col("break_kind") != "matched")
    if breaks.height != 1:
        why = "ties" if rows.height == 1 else "is in it twice" if breaks.height else "is not in it"
        raise EditionError(
            f"There is no one break {key!r} in the tie-out of the edition {ref.edition_id}: it {why}.",
            "See the breaks with `forecast-trust export reconciliation`, and name one as opportunity:ID or booking:ID.",
        )
    row = breaks.row(0, named=True)
    signed = signoffs.Signoff(
        key=f"{row['record_kind']}:{row['record_id']}",
        signed_at=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        signed_by=signed_by,
        edition_id=ref.edition_id,
        kind=row["break_kind"],
        difference=row["difference_amount"],
        note=note,
    )
    signoffs.sign_off(workspace, signed)
    return signed


def _as_json(frame: pl.DataFrame) -> str:
    """An array of objects; money as decimal text, so that no cent is lost to binary fractions."""

    def plain(value: object) -> object:
        if isinstance(value, datetime | date):
            return value.isoformat()
        return value if value is None or isinstance(value, bool | int | float | str) else str(value)

    rows = [{name: plain(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


_UNLOCKED_SECONDS, _ABANDONED_SECONDS = 60, 86_400
"""A run that has just begun may not have locked its folder yet; where a disk knows no locks, a day tells."""


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[Path]:
    """A folder inside the workspace (same disk, so that a rename is atomic), gone afterwards.

    It is locked as long as the run lives, so that what a killed run left behind is known by its lock being free, and
    removed: of a large company that may be what the disk lacks.
    """
    for left in workspace.root.glob(".scratch-*"):
        # Somebody else's, or gone by now: neither is this run's concern.
        with suppress(OSError):
            _clear_abandoned(left)
    try:
        folder = Path(tempfile.mkdtemp(prefix=".scratch-", dir=workspace.root))
        lock = _locked(folder)
    except OSError as error:
        raise WorkspaceError(
            f"The workspace {workspace.root} cannot be written: {error.strerror}.",
            "Change its permissions or make room, and publish again.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _clear_abandoned(folder: Path) -> None:
    """Remove a killed run's folder. Errors: OSError."""
    age = time.time() - folder.stat().st_mtime
    if age <= _UNLOCKED_SECONDS:
        return
    try:
        held = _locked(folder)
    except BlockingIOError:
        return
    if held is not None or age > _ABANDONED_SECONDS:
        shutil.rmtree(folder, ignore_errors=True)
    if held is not None:
        os.close(held)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock until it is closed, by the death of its process at the latest.

    None where the disk knows no locks. Errors: BlockingIOError where another run holds it; OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
