"""How the pipeline moved, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from dashboard import language, theme
from dashboard.wording import TITLE_LENGTH
from dashboard.wording_record import MOVEMENTS, Moved

ENDS = {"start": "open at the start", "end": "open at the end"}
"""What stood, and is no movement."""


def span_label(period_label: str, week_on: date | None) -> str:
    """What a span is called where one is chosen."""
    return period_label if week_on is None else f"{period_label}, week of {theme.day(week_on)}"


def title(label: str, start: Decimal, end: Decimal, currency: str) -> str:
    """The finding: where the pipeline due in the period stood, and where it came to."""
    was, now = theme.money(start, currency), theme.money(end, currency)
    way = "rose" if end > start else "fell"
    moved = f"{way} from {was} to {now}"
    if was == now:
        moved = f"stayed at {now}" if start == end else f"{way} by {theme.money(abs(end - start), currency)} to {now}"
    said = f"{label}: open and due {moved}"
    return said if len(said) <= TITLE_LENGTH else f"Open and due {moved}"


def caption(period_label: str, scope_name: str) -> str:
    """What is counted, and what the marks mean."""
    return (
        f"Open deals due in {period_label}, {scope_name}: blue adds, orange takes away, and what is won leaves too. "
        "Counted at every change, with owners and hierarchy as they were; amounts sum exactly, to the cent."
    )


def end_name(on: date) -> str:
    """What stands at an end of the bridge."""
    return theme.day(on)


def alt(finding: str, totals: Sequence[Moved], currency: str) -> str:
    """The finding with its numbers, for whoever hears it."""
    told = ", ".join(f"{MOVEMENTS[row.movement][0]} {theme.money(row.amount, currency, signed=True)}" for row in totals)
    return f"{finding}. {told}." if told else f"{finding}."


def exact_row(name: str, amount: Decimal, count: int, currency: str) -> tuple[str, ...]:
    """Cells of one amount of the bridge in full: its name, the amount, and how many changes (at its ends: deals)."""
    counted = theme.plural(count, "deal" if name in ENDS else "change")
    return (ENDS[name] if name in ENDS else MOVEMENTS[name][0], theme.money_full(amount, currency), counted)


def choice(name: str, amount: Decimal, count: int, currency: str) -> str:
    """One amount of the bridge where it is chosen to see its deals."""
    if name in ENDS:
        return f"{ENDS[name]} {theme.money(amount, currency)} · {theme.plural(count, 'deal')}"
    return f"{MOVEMENTS[name][0]} {theme.money(amount, currency, signed=True)} · {theme.plural(count, 'change')}"


def listed(shown: int, total: int) -> str:
    """Above the list of deals, where it has not all of them."""
    return f"The {theme.count(shown)} largest of {theme.count(total)} deals are listed; the file has all."


language.take(__name__, globals())
