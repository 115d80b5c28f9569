"""Long work started from a page: a process of its own, one at a time, that says how far it is in a file.

A page never waits for it: it reads that file. A process of its own leaves the pages their interpreter, and whatever it
uses of memory is gone with it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import inbox, runs
from pipelines.errors import TrustError, WorkspaceError
from pipelines.ingest import FileReport
from pipelines.settings import Workspace

KINDS = ("bring", "demo", "publish")
BEAT_SECONDS = 2.0
SILENT_SECONDS = 60.0
"""A process that has not written for so long is taken for dead; another may start."""

log = logging.getLogger("forecast_trust")
_starting = threading.Lock()
_running: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Stage:
    """One stage: the rows it has read so far (0 where it counts none) and its seconds."""

    name: str
    rows: int
    seconds: float
    is_done: bool


@dataclass(frozen=True)
class Report:
    """One table of one file after landing; money as text, null where none was stated. See ``ingest.FileReport``."""

    file_name: str
    table_name: str | None
    status: str
    accepted_count: int
    rejected_count: int
    unchanged_count: int
    rejected_amount: str | None
    problem: str | None
    remedy: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Work as it stands. ``status``: ``running``, ``done`` or ``failed`` (``problem``, ``remedy`` say why).

    ``edition_id``: what was published; null when nothing was.
    """

    kind: str
    status: str
    began_at: datetime
    stages: tuple[Stage, ...] = ()
    reports: tuple[Report, ...] = ()
    edition_id: str | None = None
    problem: str | None = None
    remedy: str | None = None
    token: str | None = None


def start(workspace: Workspace, kind: str, *, token: str | None = None) -> None:
    """Begin ``bring`` (land the batch ``token``, then publish), ``demo`` or ``publish`` in a process of its own.

    Errors: WorkspaceError when work is going on already, or the workspace cannot be written.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    workspace.create()
    with _starting:
        before = look(workspace)
        if before is not None and before.status == "running":
            raise WorkspaceError(
                f"This workspace is being written already, since {before.began_at:%H:%M} UTC.",
                "Wait until that is done: this page shows how far it is.",
            )
        job = Job(kind, "running", datetime.now(UTC).replace(tzinfo=None, microsecond=0), token=token)
        _write(workspace, job)
        command = [sys.executable, "-m", "pipelines.jobs", str(workspace.root.resolve()), kind, token or ""]
        _running[workspace.root.resolve()] = subprocess.Popen(command, stdin=subprocess.DEVNULL)


def look(workspace: Workspace) -> Job | None:
    """The last work as it stands; None when there was none, or its outcome was taken note of (``forget``)."""
    try:
        job = _job(json.loads(workspace.job.read_text(encoding="utf-8")))
        silent = time.time() - workspace.job.stat().st_mtime
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    own = _running.get(workspace.root.resolve())
    is_gone = silent > SILENT_SECONDS if own is None else own.poll() is not None
    if job.status != "running" or not is_gone:
        return job
    # It may have ended between the two looks.
    again = _job(json.loads(workspace.job.read_text(encoding="utf-8")))
    if again.status != "running":
        return again
    return Job(
        **{
            **job.__dict__,
            "status": "failed",
            "problem": "The work stopped before it was done.",
            "remedy": "Nothing is half landed. Start it again; if it stops again, see the output of "
            "`forecast-trust dashboard`.",
        }
    )


def forget(workspace: Workspace) -> None:
    """Take note of the outcome, so that it is not shown again; work that is going on stays."""
    job = look(workspace)
    if job is not None and job.status != "running":
        workspace.job.unlink(missing_ok=True)


@dataclass
class _Told:
    """Progress into the file, at most a few times a second."""

    workspace: Workspace
    job: Job
    stages: list[Stage] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    _began: float = 0.0
    _written: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def stage(self, name: str) -> None:
        with self._lock:
            self.done()
            self._began = time.monotonic()
            self.stages.append(Stage(name, 0, 0.0, is_done=False))
            self.tell()

    def advance(self, rows: int) -> None:
        with self._lock:
            if not self.stages:
                return
            last = self.stages[-1]
            self.stages[-1] = Stage(last.name, last.rows + rows, time.monotonic() - self._began, is_done=False)
            if time.monotonic() - self._written > 0.3:
                self.tell()

    def done(self) -> None:
        with self._lock:
            if self.stages and not self.stages[-1].is_done:
                last = self.stages[-1]
                self.stages[-1] = Stage(last.name, last.rows, time.monotonic() - self._began, is_done=True)

    def tell(self, **ended: Any) -> None:
        with self._lock:
            self._written = time.monotonic()
            if self.stages and not self.stages[-1].is_done:
                last = self.stages[-1]
                self.stages[-1] = Stage(last.name, last.rows, self._written - self._began, is_done=False)
            parts = {**self.job.__dict__, "stages": tuple(self.stages), "reports": tuple(self.reports), **ended}
            self.job = Job(**parts)
            _write(self.workspace, self.job)


def main(arguments: Sequence[str]) -> int:
    """The process: workspace, kind, token. Everything it has to say goes into the workspace's job file."""
    root, kind, token = arguments
    workspace = Workspace(Path(root))
    began = look(workspace)
    told = _Told(workspace, began or Job(kind, "running", datetime.now(UTC).replace(tzinfo=None), token=token or None))
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(told, over), daemon=True)
    beat.start()
    ended: dict[str, Any]
    try:
        ended = {"status": "done", "edition_id": _work(workspace, kind, token, told)}
    except TrustError as error:
        ended = {"status": "failed", "problem": error.problem, "remedy": error.remedy}
    except Exception:  # the boundary of this process: the page says that it failed, the server's output says how
        log.exception("The work %s failed", kind)
        ended = {
            "status": "failed",
            "problem": "This could not be done, and that is our fault, not yours.",
            "remedy": "Nothing is half landed. The details stand in the output of `forecast-trust dashboard`.",
        }
    over.set()
    beat.join()
    told.done()
    told.tell(**ended)
    return 0 if ended["status"] == "done" else 1


def _work(workspace: Workspace, kind: str, token: str, told: _Told) -> str | None:
    """The id of what was published; None when nothing had landed."""
    if kind == "demo":
        return runs.demo(workspace, told)[1].edition_id
    if kind == "bring" and not _land(workspace, token, told):
        return None
    return runs.publish(workspace, told).edition_id


def _land(workspace: Workspace, token: str, told: _Told) -> bool:
    """Land a batch; whether anything of it has landed, now or before. What landed is removed, what failed waits."""
    inbox.adopt(workspace, token)
    has_landed = False
    for path in inbox.files(workspace, token):
        reports = runs.ingest(workspace, [path], told)
        told.reports += [_report(report) for report in reports]
        has_landed |= any(report.status in {"landed", "unchanged"} for report in reports)
        if all(report.status != "failed" for report in reports):
            path.unlink()
    if not inbox.files(workspace, token):
        inbox.discard(workspace, token)
    return has_landed


def _report(report: FileReport) -> Report:
    amount = report.rejected_amount
    return Report(
        report.file_name,
        report.table_name,
        report.status,
        report.accepted_count,
        report.rejected_count,
        report.unchanged_count,
        None if amount is None else str(amount),
        report.problem,
        report.remedy,
        report.notes,
    )


def _beat(told: _Told, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        told.tell()


def _write(workspace: Workspace, job: Job) -> None:
    stated = asdict(job) | {"began_at": job.began_at.isoformat()}
    scratch = workspace.job.with_name(f"{workspace.job.name}.{os.getpid()}")
    try:
        scratch.touch(mode=0o600)
        scratch.write_text(json.dumps(stated), encoding="utf-8")
        scratch.replace(workspace.job)
    except OSError as error:
        raise WorkspaceError(
            f"The workspace {workspace.root} cannot be written: {error.strerror}.",
            "Make room or change its permissions.",
        ) from error


def _job(stated: dict[str, Any]) -> Job:
    return Job(
        **{
            **stated,
            "began_at": datetime.fromisoformat(stated["began_at"]),
            "stages": tuple(Stage(**stage) for stage in stated["stages"]),
            "reports": tuple(Report(**{**report, "notes": tuple(report["notes"])}) for report in stated["reports"]),
        }
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
