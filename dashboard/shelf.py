"""Which editions there are, which one is read, and what it lets a reader choose.

The pointer is resolved once per script run, by ``on_offer``, and what it named is handed down from there: a page that
asked again could mix two editions, as another may be published at any moment. What an edition holds never changes, so
its rows are cached for good.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import streamlit as st

from dashboard import theme
from dashboard.filters import Choices, Filters, calls_in_order, unique_labels
from dashboard.language import say
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

_NAME = re.compile(r"^(\d{8}T\d{6}Z)-[0-9a-f]{12}$")


KEYS: dict[str | type, Callable[[Any], Any]] = {EditionRef: repr, Filters: repr}
"""How the caches tell their arguments apart: by all of their fields, written in one go instead of one by one."""

current_id = editions.current_id
"""The edition that CURRENT names, unopened."""


@dataclass(frozen=True)
class Offered:
    """The shelf at one moment. ``current_id``: what CURRENT named, None where nothing is published yet; ``editions``:
    (edition id, label) of every edition, the current one first and then the newest as-of; labels are unique."""

    current_id: str | None
    editions: tuple[tuple[str, str], ...]

    def judged_on(self, ref: EditionRef) -> date | None:
        """The day freshness is judged on: today for the current edition of a real company, else its own (None)."""
        if ref.is_simulated or ref.edition_id != self.current_id:
            return None
        return max(datetime.now(UTC).date(), ref.as_of_at.date())


@dataclass(frozen=True)
class Asked:
    """One run of a page: the edition it reads, what is asked of it, and the shelf as it stood when the run began."""

    ref: EditionRef
    filters: Filters
    offered: Offered


def on_offer(workspace: Workspace) -> Offered:
    """The shelf as it stands now: once per run of a page.

    Named from the files alone: one damaged edition must not keep a reader from the others.
    """
    current = current_id(workspace)
    names = sorted((path.stem for path in workspace.editions.glob("*.duckdb") if _NAME.match(path.stem)), reverse=True)
    names.sort(key=lambda name: name != current)
    if current is not None and current not in names:
        names.insert(0, current)
    return Offered(current, unique_labels(_labels(names)))


def edition(workspace: Workspace, edition_id: str) -> EditionRef:
    """One edition by its id. Errors: EditionError when it is not there or damaged."""
    return _edition(str(workspace.root.absolute()), edition_id, _stamp(workspace, edition_id))


def choices(ref: EditionRef) -> Choices:
    """What this edition lets a reader choose: the company and those who manage, and the calls that were made."""
    return _choices(ref)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=KEYS)
def _choices(ref: EditionRef) -> Choices:
    scopes = table(ref, "scopes")
    leading = scopes.filter((pl.col("scope_kind") != "rep") & (pl.col("scope") != COMPANY_SCOPE))
    leading = leading.sort("depth", "scope_name")
    calls = table(ref, "team_bias").select("layer", "category").unique()
    return Choices(
        scopes=((COMPANY_SCOPE, say("Whole company")), *unique_labels(leading.select("scope", "scope_name").rows())),
        calls=calls_in_order(calls.rows()),
    )


def table(ref: EditionRef, name: str) -> pl.DataFrame:
    """One published table of an edition, whole. Read-only: the cached frame is shared between sessions."""
    return _table(ref, name)


@st.cache_resource(max_entries=64, show_spinner=False)
def _edition(root: str, edition_id: str, stamp: tuple[int, int] | None) -> EditionRef:
    return editions.find(Workspace.at(root), edition_id)


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=KEYS)
def _table(ref: EditionRef, name: str) -> pl.DataFrame:
    return editions.read(ref, name)


def _stamp(workspace: Workspace, edition_id: str) -> tuple[int, int] | None:
    """Size and time of the file, so that one that vanished or was replaced by hand is looked at again."""
    try:
        found = (workspace.editions / f"{edition_id}.duckdb").stat()
    except FileNotFoundError:
        return None
    return (found.st_size, found.st_mtime_ns)


def _labels(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each edition by the day of its as-of, the hour only where two are of one day, and the start of its digest only
    where two are of one hour: a phone has no room for more."""
    found = {name: _as_of(name) for name in names}
    days = Counter(day for day, _ in found.values())
    hours = Counter(hour for _, hour in found.values())
    return [
        (name, day if days[day] == 1 else hour if hours[hour] == 1 else f"{hour} · {name.rpartition('-')[2][:4]}")
        for name, (day, hour) in found.items()
    ]


def _as_of(edition_id: str) -> tuple[str, str]:
    """The day and the instant of an edition as they are offered."""
    found = _NAME.match(edition_id)
    if found is None:
        return (edition_id, edition_id)
    written = theme.instant(datetime.strptime(found[1] + "+0000", "%Y%m%dT%H%M%SZ%z"))
    as_of = written.removeprefix(say("end of ")).removesuffix(" UTC")
    return (say("As of {instant}", instant=as_of.partition(",")[0]), say("As of {instant}", instant=as_of))
