"""What a landing says to somebody who plans: a range, odds in twenty, whether such ranges held, one deal's weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

DOTS = 20
MATERIAL_DOTS = 3
"""A single deal is spoken of when it moves the odds by three dots in twenty or more: less is within the odds' own
error."""


@dataclass(frozen=True)
class Line:
    """An amount somebody is held to. ``name`` is ``quota``, ``call`` or ``typed`` (the reader's own); ``miss_count`` of
    twenty outcomes lie below. ``reach_rate``: chance of landing at or above it, where it was asked for (the reader's
    own line), else None."""

    name: str
    amount: Decimal
    miss_count: int
    reach_rate: float | None = None


@dataclass(frozen=True)
class Held:
    """How many ranges of this kind held, as issued at this week of past periods. ``verdict``: engine.coverage's word.

    ``level`` is what was promised. ``narrow_limit`` hits or fewer would show the range too narrow, ``wide_limit`` or
    more too wide; null where this many periods cannot show it.
    """

    hit_count: int
    period_count: int
    level: float
    narrow_limit: int | None
    wide_limit: int | None
    verdict: str


@dataclass(frozen=True)
class Swing:
    """The one open deal whose outcome weighs most. ``won_count`` and ``lost_count`` of twenty outcomes reach the call
    if it is won and if it is not, all else equal."""

    opportunity_id: str
    name: str
    amount: Decimal
    chance: float
    won_count: int
    lost_count: int


@dataclass(frozen=True)
class Outlook:
    """**Where the period lands.** The middle of the range, and the ends that hold what lands with chance ``level``.

    One part of it is a simulation of the open deals, each with the chance that deals like it have had from this week
    on, all of them moved by one shock that a period's deals share, business not yet opened included; the other is the
    call in force, corrected for how calls at this week have landed. The part whose own range is narrower weighs more.
    ``status`` says which of the two it rests on (``ok``: on both).
    ``dots``: twenty equally likely outcomes, lowest first, counted from the distribution itself.
    """

    week: int
    level: float
    estimate: Decimal
    lower: Decimal
    upper: Decimal
    closed_amount: Decimal
    period_count: int
    status: str
    dots: tuple[Decimal, ...]
    lines: tuple[Line, ...]
    held: Held | None
    swing: Swing | None

    @property
    def plan(self) -> Line | None:
        """The line the outlook is judged by: the reader's own where one was typed, else the quota, else the call."""
        return self.lines[0] if self.lines else None

    def judged_by(self, line: Line) -> Outlook:
        """The same outlook with another line to judge it by, the others kept."""
        return replace(self, lines=(line, *self.lines))


def misses(dots: Sequence[Decimal], amount: Decimal) -> int:
    """**Odds in twenty.** How many of twenty equally likely outcomes lie below ``amount``; exactly on it is reached."""
    return sum(dot < amount for dot in dots)


def in_twenty(rate: float) -> int:
    """A chance in twentieths, half away from zero."""
    return int(rate * DOTS + 0.5)


def is_material(swing: Swing) -> bool:
    """Whether the period is one deal's: its outcome moves the odds of the call by ``MATERIAL_DOTS`` or more."""
    return swing.won_count - swing.lost_count >= MATERIAL_DOTS
