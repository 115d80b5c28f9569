"""One deal in words: how it stands, how it moved, in which calls it was. Pure, like ``wording``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.filters import CATEGORY_NAMES
from dashboard.wording import bold
from dashboard.wording_miss import CAUSES
from dashboard.wording_pipeline import why
from dashboard.wording_reconcile import KINDS
from dashboard.wording_record import MOVEMENTS

MOVE_HEADINGS = ("Period", "What happened", "When", "Amount")
STEP_HEADINGS = ("Period", "At the lock", "What became of it", "At the lock, amount", "Won at", "Step")
TIE_HEADINGS = ("Word", "Won on", "Booked on", "Closed won", "Booked", "Difference")
CORRECTION_HEADINGS = ("What", "As of", "Reported", "Corrected to", "Corrected on")
NOBODY = "Name a deal on the Pipeline, Miss or Reconcile page, or on a forecaster's own."
NO_MOVES = "Nothing about it moved in the periods that are told."
NO_STEPS = "It is among the largest steps of no closed period's miss."
NO_TIES = "It is neither won nor booked."

CORRECTED = {
    "amount": "Amount, in its own currency",
    "close_on": "Close date",
    "forecast_category": "Forecast category",
    "is_deleted": "Deleted",
    "owner_id": "Owner",
    "stage": "Stage",
}

_ENDS = {"start": "open at the start", "end": "open at the end"}
_ODDS = {
    "not_enough_history": "Nothing like it is known, so it has no odds.",
    "new_since": "It was not open at the end of the last whole week, so it has no odds yet.",
    "no_landing": "Too few closed periods are known to give a deal odds.",
}


def unknown_deal(asked: str) -> str:
    return f"There is no deal “{asked}” in this edition. It may be known to another: choose one above."


def deal_line(*, account: str | None, owner: str | None, opportunity_id: str, as_of: str) -> str:
    """Whose it is, and where to find it in the CRM."""
    return " · ".join(part for part in (account, owner, f"id {opportunity_id}", f"as of {as_of}") if part)


def stand(current: Mapping[str, Any] | None, steps: Sequence[Mapping[str, Any]], currency: str) -> str:
    """How it stands: open with its amount and date, or what became of it."""
    if current is not None:
        amount = "without an amount" if current["amount"] is None else theme.money(current["amount"], currency)
        stage = f" in {current['stage']}" if current["stage"] else ""
        due = "without a close date" if current["close_on"] is None else f"due {theme.day(current['close_on'])}"
        return f"Open{stage}, {amount}, {due}"
    if not steps:
        return "No longer open"
    last = steps[0]
    ended = {"won": "Won", "lost": "Lost", "no_decision": "Ended without a decision", "open": "Still open at its end"}
    word = ended.get(str(last["outcome"]), "No longer open")
    return f"{word} in {last['label']}" if word != "No longer open" else word


def chance(current: Mapping[str, Any], noun: str) -> str:
    """Its odds within the period, or why it has none."""
    rate = current["win_probability_rate"]
    if rate is None:
        return _ODDS.get(str(current["win_status"]), "It has no odds.")
    coarse = " (of a wider kind: its own has ended too rarely)" if current["win_status"] == "coarser_group" else ""
    return f"Deals like it are won within the {noun} {bold(theme.percent(rate))} of the time{coarse}."


def flagged(current: Mapping[str, Any]) -> str:
    """Why it is worth a look; said as well when there is no reason."""
    if not current["flags"]:
        return "Nothing about it asks for a look."
    return f"Worth a look: {bold(why(str(current['flags'])))}."


def facts(current: Mapping[str, Any]) -> str:
    """Age, pushes and last activity."""
    pushes = current["push_count"]
    pushed = "never pushed" if pushes == 0 else "pushed once" if pushes == 1 else f"pushed {pushes} times"
    seen = current["last_activity_on"]
    touched = "no activity known" if seen is None else f"last activity {theme.day(seen)}"
    return f"{theme.plural(current['age_days'], 'day')} old · {pushed} · {touched}"


def move_row(row: Mapping[str, Any], currency: str) -> tuple[str | None, ...]:
    """Cells: period, movement, when, amount."""
    at = row["moved_at"]
    return (
        row["label"],
        _ENDS.get(row["movement"]) or MOVEMENTS[row["movement"]][0],
        None if at is None else theme.day(at.date()),
        theme.money_full(row["amount"], currency),
    )


def step_row(row: Mapping[str, Any], currency: str) -> tuple[str | None, ...]:
    """Cells: period, how it stood at the lock, what became of it, its amounts and its step in the bridge."""
    category = CATEGORY_NAMES.get(row["lock_category"] or "", row["lock_category"])
    stood = ", ".join(part for part in (row["lock_stage"], category) if part)
    name, told = CAUSES.get(row["cause"], (row["cause"], ""))
    return (
        row["label"],
        stood or "not there yet",
        f"{name}: {told}" if told else name,
        theme.money_full(row["lock_amount"], currency),
        theme.money_full(row["end_amount"], currency),
        theme.money_full(row["amount"], currency),
    )


def tie_row(row: Mapping[str, Any], currency: str) -> tuple[str | None, ...]:
    """Cells: the break's word, both days, both amounts, their difference."""
    word = KINDS[row["break_kind"]][0] if row["break_kind"] in KINDS else str(row["break_kind"])
    return (
        word,
        None if row["closed_on"] is None else theme.day(row["closed_on"]),
        None if row["booked_on"] is None else theme.day(row["booked_on"]),
        theme.money_full(row["crm_amount"], currency),
        theme.money_full(row["booked_amount"], currency),
        theme.money_full(row["difference_amount"], currency),
    )


def correction_row(row: Mapping[str, Any], currency: str) -> tuple[str | None, ...]:
    """Cells: which value, from when on, what was reported, what it was corrected to, and when."""
    del currency  # an amount was stated in the deal's own
    return (
        CORRECTED[row["field"]],
        theme.day(row["valid_from_at"].date()),
        _value(row["field"], row["reported_value"]),
        _value(row["field"], row["corrected_value"]),
        theme.day(row["corrected_at"].date()),
    )


def _value(field: str, text: str | None) -> str | None:
    if text is None:
        return None
    if field == "close_on":
        return theme.day(date.fromisoformat(text))
    if field == "amount":
        return f"{Decimal(text):,.2f}".replace("-", "\N{MINUS SIGN}")
    if field == "is_deleted":
        return "yes" if text == "true" else "no"
    return CATEGORY_NAMES.get(text, text) if field == "forecast_category" else text


language.take(__name__, globals())
