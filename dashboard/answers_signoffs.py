"""Sign-off notes beside the breaks they belong to. Never cached with an edition: notes stand outside of it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dashboard import wording_signoffs
from pipelines import runs
from pipelines.settings import Workspace
from pipelines.warehouse.signoffs import Signoff, Unreadable, latest, read_signoffs

NOW = "now"


@dataclass(frozen=True)
class Signed:
    """``notes``: every note, oldest first; ``unreadable``: lines of the file that are none."""

    notes: tuple[Signoff, ...]
    unreadable: tuple[Unreadable, ...]

    def beside(self, rows: pl.DataFrame, currency: str) -> pl.DataFrame:
        """``rows`` of the tie-out with ``break_key``, and ``signed``: who signed it and when, or what it was then; null
        without a note. ``holds``: whether the break is still as signed."""
        last = latest(list(self.notes))
        told = []
        for row in rows.select("record_kind", "record_id", "break_kind", "difference_amount").iter_rows(named=True):
            key = f"{row['record_kind']}:{row['record_id']}"
            note = last.get(key)
            holds = note is not None and note.holds_for(row["break_kind"], row["difference_amount"])
            words = None if note is None else wording_signoffs.signed(note, holds=holds, currency=currency)
            told.append((key, words, holds if note is not None else None))
        schema = {"break_key": pl.String, "signed": pl.String, "holds": pl.Boolean}
        return rows.hstack(pl.DataFrame(told, schema=schema, orient="row"))


def signed() -> Signed:
    """The notes of the workspace, as they are on disk now."""
    notes, unreadable = read_signoffs(Workspace.at())
    return Signed(tuple(notes), tuple(unreadable))


def sign(edition_id: str, key: str, *, signed_by: str, note: str) -> Signoff:
    """Add a note on a break as it stands in this edition: the one thing that these pages write about the books."""
    return runs.sign_off(Workspace.at(), key, signed_by=signed_by, note=note, edition_id=edition_id)
