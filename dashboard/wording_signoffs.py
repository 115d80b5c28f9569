"""Sign-off notes in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard import language, theme
from dashboard.wording_reconcile import KINDS
from pipelines.warehouse.signoffs import Signoff, Unreadable

COLUMNS = ("Signed", "By", "Break", "Kind then", "Difference then", "Note", "Edition")
DIFFERENCE = 4
"""Which of them is money."""


def signed(note: Signoff, *, holds: bool, currency: str) -> str:
    """Who, when and why; where the break has changed since, what it was then."""
    said = f"{note.signed_by}, {theme.day(note.signed_at.date())}: {note.note}"
    if holds:
        return said
    kind = KINDS[note.kind][0] if note.kind in KINDS else note.kind
    was = (
        "had no amount"
        if note.difference is None
        else f"was {theme.money_full(note.difference, currency, signed=True)}"
    )
    return f"signed when it {was} ({kind}) — {said}"


def signed_sentence(holds: Sequence[bool], count: int) -> str:
    """Of ``count`` breaks, how many are signed as they stand and how many have changed since: ``holds`` per note."""
    standing = sum(holds)
    changed = len(holds) - standing
    later = f", {theme.count(changed)} signed when they were something else" if changed else ""
    return f"{theme.count(standing)} of {theme.plural(count, 'break')} signed as they stand{later}."


def choice(row: dict[str, Any], currency: str) -> str:
    """One break in a list to choose from."""
    name = row["account_name"] or row["record_id"]
    amount = theme.money_full(row["difference_amount"], currency, signed=True)
    return f"{name} · {KINDS[row['break_kind']][0]} · {amount} · {row['record_id']}"


def done(note: Signoff) -> str:
    return f"Signed by {note.signed_by}. The note stays with this break, in this edition and in the next ones."


def unreadable(lines: Sequence[Unreadable]) -> str:
    numbers = ", ".join(str(line.line) for line in lines[:5]) + (" …" if len(lines) > 5 else "")
    return (
        f"{theme.plural(len(lines), 'line')} of signoffs.jsonl cannot be read as a note (line {numbers}) and "
        f"{'is' if len(lines) == 1 else 'are'} left as {'it is' if len(lines) == 1 else 'they are'}."
    )


def note_rows(notes: Sequence[Signoff], currency: str) -> list[tuple[str | None, ...]]:
    """Newest first: when, who, break, what it was, note, edition."""
    return [
        (
            theme.instant(note.signed_at),
            note.signed_by,
            note.key,
            KINDS[note.kind][0] if note.kind in KINDS else note.kind,
            theme.money_full(note.difference, currency, signed=True),
            note.note,
            note.edition_id,
        )
        for note in reversed(notes)
    ]


language.take(__name__, globals())
