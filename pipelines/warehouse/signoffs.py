"""Sign-off notes on breaks of the tie-out: one line per note in ``signoffs.jsonl``, added to and never rewritten.

Notes stand outside the editions, which never change: a note belongs to a break, not to the edition it was read in, and
is shown in every later edition that has the break. Each line is written whole, under a lock and synced, so that two
writers cannot mix and a killed one leaves at most a torn last line, which is reported and does no harm.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from pipelines.errors import TrustError, WorkspaceError
from pipelines.settings import Workspace
from pipelines.warehouse.store import OWNER_ONLY

MOST_NAME, MOST_NOTE = 200, 2_000


@dataclass(frozen=True)
class Signoff:
    """Who signed which break when, what it was then (``difference`` = CRM − booked; null where a side has no amount),
    in which edition, and why it is accepted. ``key``: ``opportunity:<id>`` or ``booking:<id>``."""

    key: str
    signed_at: datetime
    signed_by: str
    edition_id: str
    kind: str
    difference: Decimal | None
    note: str

    def holds_for(self, kind: str, difference: Decimal | None) -> bool:
        """Whether the break is still what was signed."""
        return (self.kind, self.difference) == (kind, difference)


@dataclass(frozen=True)
class Unreadable:
    """A line that is no note: kept as it is, and told."""

    line: int
    why: str


def sign_off(workspace: Workspace, signed: Signoff) -> None:
    """Add one note and see it on disk. Errors: TrustError for a note without a name or words, or too long ones;
    WorkspaceError when the file cannot be written."""
    for what, text, most in (("name", signed.signed_by, MOST_NAME), ("note", signed.note, MOST_NOTE)):
        if not text.strip():
            raise TrustError(f"A sign-off needs a {what}.", "Say who signs and why the break is accepted.")
        if len(text) > most:
            raise TrustError(f"The {what} has {len(text):,} characters.", f"Use at most {most:,}.")
    path = workspace.signoffs
    try:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            # What a killed writer left stays a line of its own.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            _write(descriptor, (b"\n" if torn else b"") + _line(signed))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(workspace)
    except OSError as error:
        raise WorkspaceError(
            f"The sign-off cannot be written to {path.name}: {error.strerror}.",
            "Check the workspace's permissions and its room, and sign again.",
        ) from error


def read_signoffs(workspace: Workspace) -> tuple[list[Signoff], list[Unreadable]]:
    """Every note, oldest first as written, and the lines that are none. No file: no note.

    Errors: WorkspaceError when the file is there and cannot be read.
    """
    try:
        raw = workspace.signoffs.read_bytes()
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise WorkspaceError(
            f"{workspace.signoffs.name} cannot be read: {error.strerror}.", "Make it a file you may read."
        ) from error
    found: list[Signoff] = []
    unreadable: list[Unreadable] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(_signoff(line))
        except (ValueError, KeyError, TypeError, InvalidOperation) as error:
            unreadable.append(Unreadable(number, f"{type(error).__name__}: {error}"[:120]))
    return found, unreadable


def latest(notes: list[Signoff]) -> dict[str, Signoff]:
    """Break → the note on it that was written last."""
    return {note.key: note for note in notes}


def _line(signed: Signoff) -> bytes:
    told = {
        "key": signed.key,
        "signed_at": signed.signed_at.isoformat(timespec="seconds"),
        "signed_by": signed.signed_by.strip(),
        "edition_id": signed.edition_id,
        "kind": signed.kind,
        "difference": None if signed.difference is None else str(signed.difference),
        "note": signed.note.strip(),
    }
    # ASCII alone: no character of a name or note can end the line early.
    return json.dumps(told, ensure_ascii=True).encode("ascii") + b"\n"


def _signoff(line: bytes) -> Signoff:
    told = json.loads(line.decode("utf-8"))
    if not isinstance(told, dict):
        raise TypeError("not an object")
    texts = [told[name] for name in ("key", "signed_by", "edition_id", "kind", "note")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is missing")
    key, signed_by, edition_id, kind, note = texts
    difference = None if told["difference"] is None else Decimal(told["difference"])
    if difference is not None and not difference.is_finite():
        raise ValueError("a difference that is no amount")
    return Signoff(key, datetime.fromisoformat(told["signed_at"]), signed_by, edition_id, kind, difference, note)


def _write(descriptor: int, line: bytes) -> None:
    """All of it: a call may take less than it is given."""
    while line:
        line = line[os.write(descriptor, line) :]


def _sync_folder(workspace: Workspace) -> None:
    folder = os.open(workspace.root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
