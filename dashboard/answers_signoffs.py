"""Sign-off notes beside the breaks they belong to. Never cached with an edition: notes stand outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers_miss, shelf, wording_signoffs
from dashboard.filters import Filters
from pipelines import runs
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef
from pipelines.warehouse.signoffs import Signoff, Unreadable, latest, read_signoffs

OFFERED = 500


@dataclass(frozen=True)
class Signed:
    """``notes``: every note, oldest first; ``unreadable``: lines of the file that are none."""

    notes: tuple[Signoff, ...]
    unreadable: tuple[Unreadable, ...]

    def among(self, rows: pl.DataFrame, currency: str) -> pl.DataFrame:
        """One row per break of ``rows`` with a note: ``signed``, who signed it and when, or what it was then;
        ``holds``: whether the break is still as signed. In no order."""
        last = latest(list(self.notes))
        noted = rows.filter(pl.col("record_id").is_in([key.partition(":")[2] for key in last]))
        told = []
        for row in noted.select("record_kind", "record_id", "break_kind", "difference_amount").iter_rows(named=True):
            note = last.get(break_key(row))
            if note is not None:
                holds = note.holds_for(row["break_kind"], row["difference_amount"])
                words = wording_signoffs.signed(note, holds=holds, currency=currency)
                told.append((row["record_kind"], row["record_id"], words, holds))
        schema = {"record_kind": pl.String, "record_id": pl.String, "signed": pl.String, "holds": pl.Boolean}
        return pl.DataFrame(told, schema=schema, orient="row")


def break_key(row: dict[str, Any]) -> str:
    """What a note calls the break of this row of the tie-out."""
    return f"{row['record_kind']}:{row['record_id']}"


def offered(filters: Filters, period: str | None, kinds: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(key, label) of the largest breaks of a period, of some kinds or of all: those that a page offers to sign."""
    return _offered(shelf.edition(Workspace.at(), filters.edition_id), filters, period, kinds)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _offered(
    ref: EditionRef, filters: Filters, period: str | None, kinds: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    rows = answers_miss.reconcile(filters, period).of_kinds(kinds).head(OFFERED).iter_rows(named=True)
    return tuple((break_key(row), wording_signoffs.choice(row, ref.reporting_currency)) for row in rows)


def signed() -> Signed:
    """The notes of the workspace, as they are on disk now."""
    notes, unreadable = read_signoffs(Workspace.at())
    return Signed(tuple(notes), tuple(unreadable))


def sign(edition_id: str, key: str, *, signed_by: str, note: str) -> Signoff:
    """Add a note on a break as it stands in this edition: the one thing that these pages write about the books."""
    return runs.sign_off(Workspace.at(), key, signed_by=signed_by, note=note, edition_id=edition_id)
