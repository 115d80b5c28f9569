"""The record: which editions there are, what changed between two of them, and whether one is as it was published."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import streamlit as st

from dashboard import answers, shelf
from dashboard.filters import Filters
from dashboard.shelf import Offered
from dashboard.wording_record import Latest, Moved, Said
from pipelines.engine.edition_change import MOVED, Since, Told, edition_change, of_company, owner_changes
from pipelines.errors import TrustError
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef, Finding
from pipelines.warehouse.ledger import verify_inputs

LISTED = 12
"""Editions told at once: each one's verdict is computed as its own Trust page would."""

LARGEST = 500
"""Changes listed deal by deal on the screen; the download has all."""


@dataclass(frozen=True)
class Line:
    """One edition of the list. One that cannot be read has a ``problem`` and ``remedy`` alone."""

    edition_id: str
    is_current: bool
    is_read: bool
    as_of_at: datetime | None = None
    published_at: datetime | None = None
    method_version: str = ""
    input_digest: str = ""
    file_count: int = 0
    verdict: str = ""
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class RecordAnswer:
    """``lines``: a page of the editions, current first, then newest as-of; ``unreadable_count`` counts within it.
    ``others``: (id, label) to compare with. ``restated``: closed periods with ``label``, newest first; its deals."""

    read: EditionRef
    edition_count: int
    unreadable_count: int
    lines: tuple[Line, ...]
    others: tuple[tuple[str, str], ...]
    inputs: pl.DataFrame
    restated: pl.DataFrame
    restated_deals: pl.DataFrame


@dataclass(frozen=True)
class SinceAnswer:
    """Two editions side by side, the older first. ``status``: ``ok``, ``no_deals``, ``no_period`` (the newer one has no
    period with deals due in it).

    ``since`` and ``totals``: the period's pipeline, exact. ``rows``: every change with the deal's name, account and
    owner, largest first. ``owners``: deals that changed hands, with names. ``labels``: forecaster, word then, word now.
    ``files``: input files that only the newer edition has.
    """

    status: str
    older: EditionRef
    newer: EditionRef
    period_label: str
    since: Since | None
    totals: tuple[Moved, ...]
    rows: pl.DataFrame
    owners: pl.DataFrame
    category_count: int
    stage_count: int
    then: Said
    now: Said
    labels: tuple[tuple[str, str, str], ...]
    files: pl.DataFrame


@dataclass(frozen=True)
class Verified:
    """What looking at the file found. ``lookup_problem``: why its input files could not be looked up; else empty."""

    findings: tuple[tuple[str, bool, str], ...]
    lookup_problem: str
    sha256: str
    size: int

    @property
    def broken_count(self) -> int:
        return sum(not ok for _, ok, _ in self.findings)


def record(filters: Filters, offered: Offered, first: int = 0) -> RecordAnswer:
    """Which editions are there, and what did each say? ``first``: where this page of the list begins."""
    workspace = Workspace.at()
    lines = []
    for edition_id, _ in offered.editions[first : first + LISTED]:
        line = Line(edition_id, edition_id == offered.current_id, edition_id == filters.edition_id)
        try:
            lines.append(_told_of(line, shelf.edition(workspace, edition_id), filters, offered))
        except TrustError as error:  # damaged, or of a version that lacks what a verdict needs
            lines.append(replace(line, problem=error.problem, remedy=error.remedy))
    read = shelf.edition(workspace, filters.edition_id)
    unreadable = {line.edition_id for line in lines if line.problem}
    return RecordAnswer(
        read=read,
        edition_count=len(offered.editions),
        unreadable_count=len(unreadable),
        lines=tuple(lines),
        others=tuple(entry for entry in offered.editions if entry[0] not in unreadable | {filters.edition_id}),
        inputs=shelf.table(read, "inputs"),
        **_restated(read),
    )


def _restated(ref: EditionRef) -> dict[str, pl.DataFrame]:
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    people = shelf.table(ref, "scopes").select("scope", owner="scope_name")
    periods = shelf.table(ref, "restatements").join(labels, on="period_start_on", how="left")
    deals = shelf.table(ref, "restated_deals").join(labels, on="period_start_on", how="left")
    named = deals.join(people, left_on="owner_id", right_on="scope", how="left")
    size = pl.col("difference_amount").abs()
    return {
        "restated": periods.sort("period_start_on", descending=True),
        "restated_deals": named.sort(size, "opportunity_id", descending=[True, False]),
    }


def _told_of(line: Line, ref: EditionRef, filters: Filters, offered: Offered) -> Line:
    return replace(
        line,
        as_of_at=ref.as_of_at,
        published_at=ref.published_at,
        method_version=ref.method_version,
        input_digest=ref.input_digest,
        file_count=shelf.table(ref, "inputs").height,
        verdict=answers.trust(_company(ref, filters, offered)).verdict.state,
    )


def _company(ref: EditionRef, filters: Filters, offered: Offered) -> Filters:
    """The company's own number in that edition: the calls asked for, or the first it has."""
    known = shelf.choices(ref).calls
    layer, category = filters.calls if not known or filters.calls in known else known[0]
    return Filters(ref.edition_id, COMPANY_SCOPE, layer, category, offered.judged_on(ref))


def edition_before(filters: Filters, offered: Offered) -> EditionRef | None:
    """The readable edition with the latest as-of before the one being read; None where there is none."""
    workspace = Workspace.at()
    read = shelf.edition(workspace, filters.edition_id)
    # An edition's name begins with its as-of, so that none has to be opened to be put in order.
    names = sorted((name for name, _ in offered.editions if name[:16] < read.edition_id[:16]), reverse=True)
    for name in names:
        try:
            return shelf.edition(workspace, name)
        except TrustError:
            continue
    return None


def since(filters: Filters, other_id: str, offered: Offered) -> SinceAnswer:
    """What changed between the edition being read and another one? The older comes first whichever is read."""
    workspace = Workspace.at()
    refs = (shelf.edition(workspace, filters.edition_id), shelf.edition(workspace, other_id))
    older, newer = sorted(refs, key=lambda ref: (ref.as_of_at, ref.published_at))
    then, now = (_said(_company(ref, filters, offered)) for ref in (older, newer))
    return _since(older, newer, replace(filters, scope=COMPANY_SCOPE), then, now)


def _said(filters: Filters) -> Said:
    found = answers.trust(filters)
    ahead = found.outlook
    return Said(
        verdict=found.verdict.state,
        period_label=found.context.period_label,
        call_amount=found.expected.call_amount,
        estimate=None if ahead is None else float(ahead.estimate),
        lower=None if ahead is None else float(ahead.lower),
        upper=None if ahead is None else float(ahead.upper),
    )


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=shelf.KEYS)
def _since(older: EditionRef, newer: EditionRef, filters: Filters, then: Said, now: Said) -> SinceAnswer:
    periods = shelf.table(newer, "periods").sort("period_start_on")
    begun = periods.filter(pl.col("period_start_on") <= newer.as_of_at.date())
    was, now_open = editions.read(older, "deals"), editions.read(newer, "deals")
    status = "no_deals" if was.is_empty() and now_open.is_empty() else "ok" if begun.height else "no_period"
    found, rows, label = None, pl.DataFrame(), ""
    totals: tuple[Moved, ...] = ()
    if status == "ok":
        start, end, label = begun.row(-1)[:3]
        before = begun.row(-2)[0] if begun.height > 1 else start - timedelta(days=1)
        tellings = (_told(older, was, start, before), _told(newer, now_open, start, before))
        found = edition_change(*tellings, start, end)
        totals = _totals(found)
        rows = _named(found.changes, was, now_open, newer)
    return SinceAnswer(
        status=status,
        older=older,
        newer=newer,
        period_label=label,
        since=found,
        totals=totals,
        rows=rows,
        owners=_owners(was, now_open, newer),
        category_count=owner_changes(was, now_open, column="forecast_category").height,
        stage_count=owner_changes(was, now_open, column="stage").height,
        then=then,
        now=now,
        labels=_labels(older, newer, filters),
        files=_files(older, newer),
    )


def _told(ref: EditionRef, deals: pl.DataFrame, start: date, before: date) -> Told:
    moves, earlier = (
        of_company(editions.read(ref, "movement_deals", where={"period_start_on": on})) for on in (start, before)
    )
    return Told(ref.as_of_at, moves, earlier, deals)


def _totals(found: Since) -> tuple[Moved, ...]:
    summed = found.changes.group_by("movement").agg(
        pl.col("amount").sum().cast(pl.Decimal(18, 2)), pl.len().cast(pl.Int64).alias("deal_count")
    )
    rows = {row[0]: Moved(*row) for row in summed.rows()}
    return tuple(rows[movement] for movement in MOVED if movement in rows)


def _named(changes: pl.DataFrame, was: pl.DataFrame, now: pl.DataFrame, newer: EditionRef) -> pl.DataFrame:
    """Every change with what is known of its deal; one that is open in neither edition has its id alone."""
    known = pl.concat([now, was]).unique("opportunity_id", keep="first", maintain_order=True)
    people = shelf.table(newer, "scopes").select("scope", owner="scope_name")
    described = known.select("opportunity_id", "name", "account_name", "owner_id", "stage", "close_on")
    named = changes.join(described, on="opportunity_id", how="left").join(
        people, left_on="owner_id", right_on="scope", how="left"
    )
    return named.sort(pl.col("amount").abs(), "opportunity_id", "movement", descending=[True, False, False])


def _owners(older: pl.DataFrame, newer: pl.DataFrame, ref: EditionRef) -> pl.DataFrame:
    people = shelf.table(ref, "scopes").select("scope", "scope_name")
    moved = owner_changes(older, newer)
    for side in ("was", "now"):
        named = people.rename({"scope": side, "scope_name": f"{side}_name"})
        moved = moved.join(named, on=side, how="left", maintain_order="left")
    known = newer.select("opportunity_id", "name", "account_name", "amount")
    return moved.join(known, on="opportunity_id", how="left", maintain_order="left")


def _labels(older: EditionRef, newer: EditionRef, filters: Filters) -> tuple[tuple[str, str, str], ...]:
    """Forecasters whose word at the lock week differs between the editions, by name."""
    where = {"layer": filters.layer, "category": filters.category, "horizon_bucket": answers.LOCK}
    columns = ["forecaster_id", "direction", "status"]
    word = pl.when(pl.col("status") == "ok").then("direction").otherwise("status")
    then, now = (
        editions.read(ref, "forecaster_bias", where=where, columns=columns).select("forecaster_id", word=word)
        for ref in (older, newer)
    )
    people = shelf.table(newer, "scopes").select("scope", "scope_name")
    both = then.join(now, on="forecaster_id", suffix="_now").filter(pl.col("word") != pl.col("word_now"))
    named = both.join(people, left_on="forecaster_id", right_on="scope", how="left")
    rows = named.select(pl.coalesce("scope_name", "forecaster_id"), "word", "word_now").sort("scope_name").rows()
    return tuple((str(name), str(was), str(is_now)) for name, was, is_now in rows)


def _files(older: EditionRef, newer: EditionRef) -> pl.DataFrame:
    then, now = (shelf.table(ref, "inputs") for ref in (older, newer))
    return now.join(then, on=["sha256", "table_name"], how="anti", nulls_equal=True)


def verify(filters: Filters) -> Verified:
    """Is the edition being read as it was published, and are its input files still landed? Computed anew each time."""
    workspace = Workspace.at()
    ref = shelf.edition(workspace, filters.edition_id)
    findings: list[Finding] = editions.verify(ref)
    problem = ""
    try:
        findings += verify_inputs(workspace, ref)
    except TrustError as error:
        problem = f"{error.problem} {error.remedy}"
    with ref.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Verified(
        tuple((name, ok, detail) for name, ok, detail in findings), problem, digest, ref.path.stat().st_size
    )


def table_file(ref: EditionRef, table: str, file_format: str) -> bytes:
    """One published table, as is: ``csv`` or ``parquet``."""
    rows = editions.read(ref, table)
    if file_format == "csv":
        return rows.write_csv().encode()
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


def latest_change(filters: Filters, offered: Offered) -> Latest | None:
    """What changed last? Since the edition before for the company; else the last week of the scope's pipeline.

    None where no pipeline is told.
    """
    older = edition_before(filters, offered) if filters.scope == COMPANY_SCOPE else None
    if older is not None:
        found = since(filters, older.edition_id, offered)
        if found.since is not None:
            ends = (found.since.start_amount, found.since.end_amount)
            return Latest(found.period_label, older.as_of_at, *ends, found.totals)
    return _last_week(shelf.edition(Workspace.at(), filters.edition_id), filters.scope)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _last_week(ref: EditionRef, scope: str) -> Latest | None:
    weeks = editions.read(ref, "pipeline_movement", where={"span_kind": "week", "scope": scope})
    whole = weeks.filter((pl.col("span_end_on") - pl.col("span_start_on")).dt.total_days() >= 6)
    if whole.is_empty():
        return None
    last = whole.filter(pl.col("span_start_on") == pl.col("span_start_on").max())
    labels = dict(shelf.table(ref, "periods").select("period_start_on", "label").iter_rows())
    moves: dict[str, tuple[Decimal, int]] = {
        name: (amount, count) for name, amount, count in last.select("movement", "amount", "change_count").iter_rows()
    }
    told = tuple(Moved(name, *moves[name]) for name in moves if name not in ("start", "end"))
    label = labels.get(last["period_start_on"][0], "")
    return Latest(label, None, moves["start"][0], moves["end"][0], told)
