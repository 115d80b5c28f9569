"""History: from landed facts to the tables an edition is made of, using only what was known at an instant.

Instants are UTC without a zone. A fact is known from: ``extracted_at`` or else the end of ``created_on``
(opportunities); ``changed_at`` (history, states); ``submitted_at`` (submissions); the start of its period for a
quota or a record's call, and the end of its period for a record's actual; ``recorded_at`` else the end of
``booked_on`` (bookings); ``valid_from_on`` (people, rates); ``occurred_at`` (activities); the end of ``created_on``
(leads); stages and periods always. "End of a day" is its last second, so that an as-of of that day includes it. The
as-of is inclusive.

Where a fact's key lands again with another content, the row landed last is in force. Every statement is a file in
``sql/``; this module puts them in order and hands over the frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.contracts import INPUT_TABLES, PUBLISHED_TABLES
from pipelines.errors import EditionError, WorkspaceError
from pipelines.policy import Policy
from pipelines.progress import Progress, Silent
from pipelines.settings import Settings, Workspace
from pipelines.warehouse.books import Matching, lay_booked_lines
from pipelines.warehouse.calendar import Calendar, decide_calendar
from pipelines.warehouse.engines import Engine
from pipelines.warehouse.engines.choice import EMBEDDED, EngineChoice, open_engine
from pipelines.warehouse.kept import Kept
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.movement import lay_movement
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.reported import lay_reported
from pipelines.warehouse.store import is_storage_fault, statement, trouble
from pipelines.warehouse.weekly import lay_weekly

NO_CURRENCY = "XXX"
"""ISO 4217 "no currency": no file states one, and pages show no symbol."""

SIMULATED_MAIL = "@simulated.example"

MOST_FIELD_ROWS = 20_000
"""Deals whose other columns are kept: enough to see whether a column knows the outcome."""

_DAY_END = "interval '86399 seconds'"

KNOWN_AT: dict[str, str] = {
    "opportunities": f"coalesce(extracted_at, cast(created_on as timestamp) + {_DAY_END})",
    "opportunity_history": "coalesce(recorded_at, changed_at)",
    "opportunity_states": "coalesce(recorded_at, changed_at)",
    "forecast_submissions": "submitted_at",
    "forecast_records": "cast(period_start_on as timestamp)",
    "people": "cast(valid_from_on as timestamp)",
    "quotas": "coalesce(recorded_at, cast(period_start_on as timestamp))",
    "bookings": f"coalesce(recorded_at, cast(booked_on as timestamp) + {_DAY_END})",
    "fx_rates": "cast(valid_from_on as timestamp)",
    "stages": "cast(null as timestamp)",
    "activities": "occurred_at",
    "leads": f"cast(created_on as timestamp) + {_DAY_END}",
    "periods": "cast(null as timestamp)",
}
"""When a landed row was known, per input table (null = always)."""

_KNOWN_LATER = ("opportunities", "opportunity_history", "opportunity_states")
"""Tables whose rows after the as-of are looked at, to correct an extract that is carried back."""

_EVENT_TABLES = (
    "opportunities", "opportunity_history", "opportunity_states", "forecast_submissions", "forecast_records",
    "bookings", "activities", "leads",
)  # fmt: skip

_FACTS = {"opportunities": "opportunity_rows", "periods": "stated_periods"}
"""What an input table's facts are called where a statement makes another table of that name."""


def build(
    workspace: Workspace,
    as_of: datetime | None,
    policy: Policy,
    settings: Settings,
    scratch: Path,
    *,
    match: Matching | None = None,
    choice: EngineChoice = EMBEDDED,
    full: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Rebuild everything visible at ``as_of`` (default: the latest landed event) in a scratch database.

    ``scratch``: a folder of the caller's, on a disk with room. ``match``: which booking lines belong to which won deal,
    needed where the settings take actuals from the books. ``choice``: the engine that does it; the embedded one goes on
    from what the last publication left in the workspace, unless ``full``. Errors: EditionError
    when nothing dated has landed, when nothing was known by then, when actuals are to come from books that are not
    there, or when the rebuilt history breaks an invariant; WorkspaceError when the landing file is in use or damaged;
    TrustError when the engine cannot be had.
    """
    Landing.open(workspace).close()  # brings an older landing up to today's contracts, and finds locks and damage
    go = partial(_closing, as_of=as_of, policy=policy, settings=settings, match=match, progress=progress)
    try:
        if choice.name != EMBEDDED.name or choice.history is not None:
            return go(open_engine(choice, workspace.landing, settings, scratch))
        kept = Kept.beside(workspace.landing, workspace.history, settings, scratch, full=full)
        try:
            return go(kept)
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, WorkspaceError) as error:
            if not kept.relies_on_before or not (isinstance(error, WorkspaceError) or is_storage_fault(error)):
                raise
        # What was kept turned out to be damaged: it is only a convenience.
        _empty(scratch)
        return go(Kept.beside(workspace.landing, workspace.history, settings, scratch, full=True))
    except duckdb.Error as error:
        if not is_storage_fault(error):
            raise
        raise trouble(workspace.landing, error) from error


def _empty(folder: Path) -> None:
    """Remove what is in it; the folder itself stays, as the run that made it holds its lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _closing(engine: Engine, **wanted: Any) -> Prepared:
    try:
        prepared = rebuild(engine, **wanted)
        engine.let_go()
    except BaseException:
        engine.close()
        raise
    return prepared


def rebuild(
    engine: Engine,
    as_of: datetime | None,
    policy: Policy,
    settings: Settings,
    match: Matching | None = None,
    *,
    progress: Progress | None = None,
) -> Prepared:
    """``build`` on an engine that is open and has the landing in reach; the engine stays the caller's to close."""
    told = progress or Silent()
    told.stage("Rebuilding history")
    as_of_at = as_of if as_of is not None else _default_as_of(engine, settings)
    if isinstance(engine, Kept):
        engine.begin(as_of_at)
        told.stage(f"Rebuilding history: {engine.told}")
    _take_facts(engine, as_of_at, asked_for=as_of is not None)
    prepared = _build(engine, as_of_at, policy, settings, match)
    if isinstance(engine, Kept):
        engine.keep()
    return prepared


def _build(engine: Engine, as_of_at: datetime, policy: Policy, settings: Settings, match: Matching | None) -> Prepared:
    known = {"as_of_at": as_of_at}
    engine.make("constants", "select cast($as_of_at as timestamp) as as_of_at", known)

    def make(table: str, params: Mapping[str, object]) -> None:
        engine.make(table, statement(table), params)

    make("stage_flags", {})
    make("extract_loads", {})
    make("opportunity_seen", {})
    make("opportunity_extracts", known)
    fields = "select opportunity_id, load_id, line, other_columns from landing.landed_opportunities"
    engine.show("landed_fields", fields)
    make("opportunity_fields", {"most_rows": MOST_FIELD_ROWS})
    # An extract taken after the as-of is used when nothing earlier tells of its deals.
    engine.add("visible_loads", "select distinct load_id from opportunity_extracts")
    currency = settings.reporting_currency or _one(engine, "reporting_currency") or NO_CURRENCY
    money = {**known, "reporting_currency": currency}
    _lay_numbers(engine, as_of_at)
    make("fx_days", known)
    make("opportunity_absences", known)
    make("opportunity_changes", known)
    make("opportunity_openings", {})
    make("opportunity_closings", known)
    make("opportunity_events", known)
    make("opportunity_versions", money)
    lay_reported(engine, money)
    calendar = _lay_calendar(engine, as_of_at, policy, settings)
    weeks = {**known, "last_week": calendar.last_week}
    for table in ("calendar_days", "people_spans", "lineage", "won_deals"):
        make(table, {})
    lay_booked_lines(engine, settings.actual_source, currency, policy, match)
    make("actual_rows", {"actual_source": settings.actual_source})
    make("actual_periods", {"actual_source": settings.actual_source, "gap_days": policy.books_gap_days})
    make("actuals", {})
    make("won_by_period", {})
    make("calls", {"reporting_currency": currency})
    make("record_calls", {"lock_week": policy.lock_week})
    make("quotas_in_force", money)
    make("weeks", weeks)
    make("expected_calls", {})
    make("forecast_pairs", known)
    make("scope_parents", known)
    make("scopes", known)
    make("scope_members", {**known, "lock_week": policy.lock_week})
    make("deals", {**money, "inactive_days": policy.inactive_days})
    lay_movement(engine, weeks, policy)
    lay_weekly(make, known, policy)
    make("inputs", {})
    _gather_rejects(engine, as_of_at, calendar)
    _tell_table_status(engine, as_of_at)
    prepared = Prepared(
        engine=engine,
        as_of_at=as_of_at,
        reporting_currency=currency,
        calendar=calendar,
        actual_source=settings.actual_source,
        input_digest=_digest(engine),
        is_simulated=_is_simulated(engine),
    )
    for invariant in prepared.check():
        if not invariant.ok:
            raise EditionError(
                f"The rebuilt history breaks a rule: {invariant.name} ({invariant.detail}).",
                "Nothing has been published; please report this with the output of `forecast-trust check`.",
            )
    return prepared


def _one(engine: Engine, name: str) -> str | None:
    value = engine.frame(statement(name)).item()
    return None if value is None else str(value)


def _default_as_of(engine: Engine, settings: Settings) -> datetime:
    """The latest instant that any landed event records. Errors: EditionError when nothing dated has landed."""
    as_of_at = engine.frame(statement("default_as_of"), {"record_end_on": _last_record_end(engine, settings)}).item()
    if not isinstance(as_of_at, datetime):
        raise EditionError(
            "Nothing with a date has landed, so there is nothing to publish.",
            "Bring opportunities, forecast submissions or forecast records with `forecast-trust ingest PATH`.",
        )
    return as_of_at


def _last_record_end(engine: Engine, settings: Settings) -> date | None:
    """Last day of the latest period that a landed record has an actual for, by the calendar where no row says it."""
    records = engine.frame("select distinct period_start_on, period_end_on from landing.landed_forecast_records")
    if records.is_empty():
        return None
    stated = engine.frame("select period_start_on, period_end_on, label from landing.landed_periods").rows()
    calendar = decide_calendar(settings, records["period_start_on"].to_list(), stated)
    last: date = records.select(pl.max("period_start_on")).item()
    ends = [period.end_on for period in calendar.covering(last, last) if period.start_on <= last]
    return max([*ends[-1:], *records["period_end_on"].drop_nulls()], default=last)


def _take_facts(engine: Engine, as_of_at: datetime, *, asked_for: bool) -> None:
    """One table per input table with the facts in force. Errors: EditionError when nothing was known yet."""
    known = {"as_of_at": as_of_at}
    loads: list[str] = []
    counts: list[str] = []
    for name, table in INPUT_TABLES.items():
        columns = ", ".join((*table.columns, "load_id", "line", "key_hash", "row_hash"))
        visible_at = "cast(null as timestamp)" if name in _KNOWN_LATER else KNOWN_AT[name]
        engine.show(
            "landed_rows",
            f"select {columns}, corrected_at, {KNOWN_AT[name]} as known_at, {visible_at} as visible_at "
            f"from landing.landed_{name}",
        )
        facts = _FACTS.get(name, name)
        engine.make(facts, statement("facts"), known)
        loads.append(
            f"select distinct load_id from {facts} where known_at is null or known_at <= cast($as_of_at as timestamp)"
        )
        # An extract taken later is carried back: its deals were there from their first day.
        since = (
            f"least(known_at, cast(created_on as timestamp) + {_DAY_END})" if name == "opportunities" else "known_at"
        )
        if name in _EVENT_TABLES:
            counts.append(
                "select count(case when since is null or since <= cast($as_of_at as timestamp) then 1 end) as n, "
                f"min(since) as first_at from (select {since} as since from {facts}) as dated"
            )
    engine.make("visible_loads", " union all ".join(loads), known)
    found = engine.frame(" union all ".join(counts), known)
    visible = found["n"].sum()
    first_known = found["first_at"].drop_nulls().to_list()
    if asked_for and visible == 0 and first_known:
        raise EditionError(
            f"Nothing was known at {as_of_at:%Y-%m-%d %H:%M}: the first landed record is of "
            f"{min(first_known):%Y-%m-%d %H:%M}.",
            "Name a later instant with --as-of, or leave it out for the latest.",
        )


_LONGEST_COUNT = 400
"""Days of the longest fiscal period, and more than its weeks."""


def _lay_numbers(engine: Engine, as_of_at: datetime) -> None:
    """Table ``numbers``: 0, 1, 2 … to the longest count of days that a statement makes rows of.

    Rates hold from day to day until the as-of, periods from their first day to their last; not every engine can make
    a series of rows where it needs one.
    """
    first: date | None = engine.frame("select min(valid_from_on) as first_on from fx_rates").item()
    stated = engine.frame("select period_start_on, period_end_on from stated_periods").rows()
    spans = [(as_of_at.date() - first).days] if first is not None else []
    spans += [(end - start).days for start, end in stated]
    longest = max([_LONGEST_COUNT, *spans]) + 1
    engine.lay("numbers", pl.DataFrame({"n": pl.int_range(longest, dtype=pl.Int32, eager=True)}))


def _lay_calendar(engine: Engine, as_of_at: datetime, policy: Policy, settings: Settings) -> Calendar:
    """Tables ``calendar`` (every period that any date falls in), ``periods`` (those published).

    Published: from the first to the last period that a call, record, quota or won deal touches, through the one that
    contains the as-of. ``freeze_at`` (exclusive): when a period's actual no longer changes, the end of its last day
    plus the grace days; where nothing but records is known there is no grace, as the sheet states the actual.
    """
    starts: list[date] = engine.frame(statement("period_starts"))["period_start_on"].to_list()
    stated = engine.frame("select period_start_on, period_end_on, label from stated_periods").rows()
    calendar = decide_calendar(settings, starts, stated)
    days = engine.frame(statement("visible_days"), {"as_of_at": as_of_at})
    named = days.filter(pl.col("kind") == "period")
    today = as_of_at.date()
    first: date = min([today, *named["first_on"].drop_nulls()])
    last: date = max([today, *named["last_on"].drop_nulls()])
    known_deals = engine.frame(
        "select (select count(*) from opportunity_versions) + (select count(*) from forecast_submissions) as n"
    ).item()
    grace = timedelta(days=policy.grace_days if known_deals else 0)
    rows = []
    for period in calendar.covering(
        min([first, *days["first_on"].drop_nulls()]), max([last, *days["last_on"].drop_nulls()])
    ):
        freeze_at = datetime.combine(period.end_on + grace + timedelta(days=1), time())
        if period.start_on > today:
            status = "future"
        elif as_of_at >= freeze_at - timedelta(seconds=1):
            status = "closed"
        else:
            status = "in_grace" if period.end_on < today else "open"
        is_published = period.end_on >= first and period.start_on <= last
        rows.append((period.index, period.start_on, period.end_on, period.label, freeze_at, status, is_published))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "period_index": pl.Int64, "period_start_on": pl.Date, "period_end_on": pl.Date, "label": pl.String,
        "freeze_at": pl.Datetime("us"), "status": pl.String, "is_published": pl.Boolean,
    }  # fmt: skip
    engine.lay("calendar", pl.DataFrame(rows, schema=schema, orient="row"))
    engine.make("periods", "select period_start_on, period_end_on, label, status from calendar where is_published")
    return calendar


def _gather_rejects(engine: Engine, as_of_at: datetime, calendar: Calendar) -> None:
    """What ingest rejected, and what turned out unusable when the rows met each other."""
    columns = ", ".join(PUBLISHED_TABLES["rejected_rows"].column_names())
    engine.make("rejected_rows", f"select {columns} from landing.rejected_rows")
    engine.add("rejected_rows", statement("bad_history_values"), {"as_of_at": as_of_at})
    engine.add("rejected_rows", statement("misplaced_rows"), {"last_week": calendar.last_week})


def _tell_table_status(engine: Engine, as_of_at: datetime) -> None:
    """One row per input table, missing ones too; amounts of rejected rows are in their own currencies."""
    engine.make("opportunity_facts", statement("opportunity_facts"), {"as_of_at": as_of_at})
    sources = {**_FACTS, "opportunities": "opportunity_facts"}
    facts = (f"select '{name}' as table_name, known_at from {sources.get(name, name)}" for name in INPUT_TABLES)
    engine.show("facts", " union all ".join(facts))
    engine.show("input_names", " union all ".join(f"select '{name}' as table_name" for name in INPUT_TABLES))
    engine.make("table_status", statement("table_status"), {"as_of_at": as_of_at})


def _digest(engine: Engine) -> str:
    """Digest over the content of everything visible, whatever its order and whenever it landed."""
    tables = {
        "opportunity_versions": None,
        "opportunity_extracts": ("opportunity_id", "name", "account_name", "created_on", "next_step"),
        "inputs": ("file_name", "table_name", "sha256", "row_count", "rejected_count"),
        "rejected_rows": None,
        "deals": None,
    }
    digests = [engine.digest(name, columns or engine.columns(name)) for name, columns in tables.items()]
    for name, table in INPUT_TABLES.items():
        if name not in _KNOWN_LATER:
            digests.append(engine.digest(_FACTS.get(name, name), table.columns))
    return sha256(" ".join(digests).encode()).hexdigest()


def _is_simulated(engine: Engine) -> bool:
    found = engine.frame("select 1 from people where email like $pattern limit 1", {"pattern": f"%{SIMULATED_MAIL}"})
    return found.height > 0
