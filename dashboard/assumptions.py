"""What a reader assumes of single deals, as the URL states it, and what comes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipelines.engine.outlook import Line
from pipelines.engine.scenario import Assumption, Scenario

KINDS = ("out", "won", "cut", "rate", "date")


@dataclass(frozen=True)
class Said:
    """One assumption as it stands in the URL. ``kind``: ``out`` (not in this period), ``won``, ``cut`` (``value``
    percent off its amount), ``rate`` (``value`` percent chance), ``date`` (``value`` its new close date)."""

    kind: str
    opportunity_id: str
    value: str = ""

    @property
    def text(self) -> str:
        return "~".join(part for part in (self.kind, self.value, self.opportunity_id) if part)


@dataclass(frozen=True)
class NamedDeal:
    """A deal that can be named, with what a reader knows it by."""

    opportunity_id: str
    name: str
    amount: Decimal
    chance: float
    close_on: date | None
    can_move: bool


@dataclass(frozen=True)
class ScenarioAnswer:
    """The issued landing and the assumed one. ``assumed`` holds what was understood, with each deal's chance then;
    ``unknown`` what was not. ``before``, ``after``: (line, of twenty that miss it) of each line."""

    deals: tuple[NamedDeal, ...]
    assumed: tuple[tuple[Said, NamedDeal, float], ...]
    unknown: tuple[str, ...]
    issued: Scenario
    scenario: Scenario
    before: tuple[Line, ...]
    after: tuple[Line, ...]
    period_end_on: date


def read(text: str) -> Said | None:
    """One assumption as the URL states it; None for what cannot be one."""
    kind, _, rest = text.partition("~")
    if kind in {"out", "won"} and rest:
        return Said(kind, rest)
    value, _, deal = rest.partition("~")
    if kind not in KINDS or kind in {"out", "won"} or not deal:
        return None
    if kind == "date":
        try:
            return Said(kind, deal, date.fromisoformat(value).isoformat())
        except ValueError:
            return None
    return Said(kind, deal, value) if value.isdecimal() and len(value) <= 3 and int(value) <= 100 else None


def as_engine(said: Said, period_end_on: date) -> Assumption:
    """What the engine is asked; a new date says on which side of the period's end it lies."""
    if said.kind == "cut":
        return Assumption(said.opportunity_id, kept_rate=1 - int(said.value) / 100)
    if said.kind == "rate":
        return Assumption(said.opportunity_id, win_rate=int(said.value) / 100)
    if said.kind == "date":
        return Assumption(said.opportunity_id, is_due=date.fromisoformat(said.value) <= period_end_on)
    return Assumption(said.opportunity_id, win_rate=1.0 if said.kind == "won" else 0.0)
