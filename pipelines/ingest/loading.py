"""Files in, landing out: each file for itself, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import polars as pl

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import FileError, MappingError
from pipelines.ingest import mapping as mappings_module
from pipelines.ingest.exports import open_exports
from pipelines.ingest.formats import Export, Refused
from pipelines.ingest.kept import in_use
from pipelines.ingest.quarantine import Sorter
from pipelines.ingest.recognition import Plan, is_near_miss, recognise
from pipelines.ingest.survey import survey
from pipelines.progress import Progress
from pipelines.settings import Workspace
from pipelines.side_by_side import ahead
from pipelines.warehouse.landing import Landing, LandResult


@dataclass(frozen=True)
class FileReport:
    """One table of one file. ``status``: ``landed``, ``unchanged`` (this very file had landed), ``failed`` (nothing of
    it has landed) or ``skipped`` (found in a folder or zip and not meant as any table we know); or of a claim that the
    files were a full extract, ``claimed`` or ``failed``.

    ``rejected_amount``: the money that the rejected rows stand for, where an amount could be read; None if nowhere.
    ``notes``: sentences on what was left out, left empty or rounded. ``sha256``: of the file, where it was read.
    """

    file_name: str
    table_name: str | None
    mapping_name: str | None
    accepted_count: int
    rejected_count: int
    unchanged_count: int
    rejected_amount: Decimal | None
    status: str
    problem: str | None = None
    remedy: str | None = None
    skipped_count: int = 0
    notes: tuple[str, ...] = ()
    sha256: str | None = None


class Sink(Protocol):
    """What ingestion asks of the landing."""

    def already_landed(self, sha256: str, table: str, mapping: str, extracted_at: datetime | None = None) -> bool: ...

    def land(
        self,
        *,
        file_name: str,
        table: str,
        mapping_name: str,
        sha256: str,
        batches: Iterable[tuple[pl.DataFrame, pl.DataFrame]],
        extracted_at: datetime | None = None,
        stated_columns: Collection[str] | None = None,
    ) -> LandResult: ...

    def record_failed(
        self, *, file_name: str, sha256: str, table: str | None, mapping_name: str | None, problem: str, remedy: str
    ) -> None: ...


def ingest_paths(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    table: str | None = None,
    mapping: str | None = None,
    extracted_at: datetime | None = None,
    full_extract: bool = False,
    insist: bool = False,
    progress: Progress,
) -> list[FileReport]:
    """Land every table under ``paths`` (files, folders, zips) and report on each.

    Files are tried with the mappings kept in the workspace and with every preset; ``table``, ``mapping`` narrow that.
    ``extracted_at`` is when an opportunities export was made, for rows that do not say. A file that cannot be read is
    reported and does not stop the others; the same file again changes nothing. ``full_extract``: the opportunities
    under ``paths`` are all there were, so that those of earlier extracts that are not among them are deleted; where
    that cannot be believed a last report says so, as failed, and what has landed counts as an extract of a part.
    ``insist``: believe it however many are absent.

    Errors: MappingError for a mapping that does not exist or is wrong; WorkspaceError for a workspace in use.
    """
    if table is not None and table not in INPUT_TABLES:
        raise MappingError(f"There is no table {table!r}.", f"Tables are {', '.join(INPUT_TABLES)}.")
    chosen = [mappings_module.load(mapping)] if mapping else in_use(workspace)
    with Landing.open(workspace) as landing:
        reports = ingest_into(landing, paths, chosen, table=table, extracted_at=extracted_at, progress=progress)
        return [*reports, *_claim_full(landing, reports, insist=insist)] if full_extract else reports


def ingest_into(
    sink: Sink,
    paths: Sequence[Path],
    mappings: Sequence[mappings_module.Mapping],
    *,
    table: str | None = None,
    extracted_at: datetime | None = None,
    progress: Progress,
) -> list[FileReport]:
    """As ``ingest_paths``, into any sink."""
    reports: list[FileReport] = []
    for path in paths:
        # A spool per path: what a zip unpacks to is gone as soon as it has landed.
        with tempfile.TemporaryDirectory(prefix="forecast-trust-") as spool:
            for export in open_exports(path, Path(spool)):
                if isinstance(export, Refused):
                    reports.append(_refuse(sink, export))
                else:
                    reports += _ingest(sink, export, mappings, table, extracted_at, progress)
    progress.done()
    return reports


def _refuse(sink: Sink, refused: Refused) -> FileReport:
    error = refused.error
    if not refused.is_skipped and refused.sha256 is not None:
        sink.record_failed(
            file_name=refused.file_name,
            sha256=refused.sha256,
            table=None,
            mapping_name=None,
            problem=error.problem,
            remedy=error.remedy,
        )
    return _failure(refused.file_name, error, "skipped" if refused.is_skipped else "failed")


def _failure(file_name: str, error: FileError, status: str, plan: Plan | None = None) -> FileReport:
    return FileReport(
        file_name,
        plan.table.name if plan else None,
        plan.label if plan else None,
        0,
        0,
        0,
        None,
        status,
        error.problem,
        error.remedy,
    )


def _ingest(  # noqa: PLR0917
    sink: Sink,
    export: Export,
    mappings: Sequence[mappings_module.Mapping],
    table: str | None,
    extracted_at: datetime | None,
    progress: Progress,
) -> list[FileReport]:
    try:
        plans = recognise(export, mappings, table)
    except FileError as error:
        if export.is_from_collection and not is_near_miss(export, mappings):
            return [_failure(export.file_name, error, "skipped")]
        return [_refuse(sink, Refused(export.file_name, export.sha256, error))]
    return [_ingest_plan(sink, export, plan, extracted_at, progress) for plan in plans]


def _ingest_plan(
    sink: Sink, export: Export, plan: Plan, extracted_at: datetime | None, progress: Progress
) -> FileReport:
    name, table, label = export.file_name, plan.table.name, plan.label
    stamp = extracted_at if table == "opportunities" else None
    if sink.already_landed(export.sha256, table, label, stamp):
        return FileReport(name, table, label, 0, 0, 0, None, "unchanged", sha256=export.sha256)
    progress.stage(f"Reading {name} as {table}")
    try:
        sorter = Sorter(export, plan, survey(export, plan), stamp)
        result = sink.land(
            file_name=name,
            table=table,
            mapping_name=label,
            sha256=export.sha256,
            batches=_told(sorter, progress),
            extracted_at=stamp,
            stated_columns=plan.stated_columns,
        )
    except FileError as error:
        sink.record_failed(
            file_name=name,
            sha256=export.sha256,
            table=table,
            mapping_name=label,
            problem=error.problem,
            remedy=error.remedy,
        )
        return _failure(name, error, "failed", plan)
    return FileReport(
        name,
        table,
        label,
        result.accepted_count,
        result.rejected_count,
        result.unchanged_count,
        result.rejected_amount,
        "landed",
        skipped_count=sorter.tally.skipped_count,
        notes=sorter.tally.notes(),
        sha256=export.sha256,
    )


def _told(sorter: Sorter, progress: Progress) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    for accepted, rejected in ahead(sorter.batches()):
        progress.advance(accepted.height + rejected["line"].n_unique())
        yield accepted, rejected


def _claim_full(landing: Landing, reports: Sequence[FileReport], *, insist: bool) -> list[FileReport]:
    """Note that what these files held was every opportunity, or report why that is not to be believed."""
    held = [report for report in reports if report.table_name == "opportunities" and report.sha256 is not None]
    label = "full extract"
    failed = [report.file_name for report in reports if report.status == "failed"]
    if failed:
        return [_no_claim(label, f"{failed[0]} was refused, and its opportunities may be among those that are absent.")]
    if not held:
        return [_no_claim(label, "None of these files holds opportunities.")]
    instants, rejected = landing.extracts_in([report.sha256 for report in held if report.sha256 is not None])
    moments = [moment for moment in instants if moment is not None]
    if len(moments) != 1 or len(instants) != 1:
        told = "no instant" if not moments else f"{len(instants)} different ones or none"
        return [
            _no_claim(
                label,
                f"A full extract is taken at one instant, and the rows of these files state {told}.",
                "Say with --extracted-at when it was taken, and run the command again.",
            )
        ]
    (extracted_at,) = moments
    label = f"full extract of {extracted_at:%Y-%m-%d %H:%M}"
    if rejected:
        return [
            _no_claim(
                label,
                f"{rejected:,} {'row was' if rejected == 1 else 'rows were'} set aside, so that nobody can tell which "
                "opportunities are absent.",
                "Put them right at their source and bring the file again; until then it counts as an extract of a "
                "part, and nothing is deleted by it.",
            )
        ]
    gone = landing.absence(extracted_at)
    if not gone.is_plausible and not insist:
        return [
            _no_claim(
                label,
                f"{gone.absent_count:,} of the {gone.stood_count:,} opportunities that stood before are not in it, "
                "which looks like a file that was cut off or filtered.",
                "Nothing is deleted, and what landed counts as an extract of a part. If it is whole, run the command "
                "again with --insist.",
            )
        ]
    landing.claim_full(extracted_at)
    note = (
        f"{gone.absent_count:,} of the {gone.stood_count:,} opportunities that stood before are not in it and close as "
        "deleted at that instant."
    )
    return [FileReport(label, "opportunities", None, 0, 0, 0, None, "claimed", notes=(note,))]


def _no_claim(
    label: str, problem: str, remedy: str = "What landed counts as an extract of a part, and nothing is deleted by it."
) -> FileReport:
    return FileReport(label, "opportunities", None, 0, 0, 0, None, "failed", problem, remedy)
