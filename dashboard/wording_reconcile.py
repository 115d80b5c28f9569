"""The tie-out in words, as ``wording`` puts the rest: pure, English, one sentence per finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.wording import bold
from dashboard.wording_miss import in_a_row

KINDS = {
    "matched": ("ties", "amount and period agree"),
    "timing": ("other period", "booked in another period than won; the amounts agree"),
    "rate": ("exchange rate", "agrees but for the rate between closing and booking"),
    "partial": ("booked in part", "linked, and the books hold less than the CRM"),
    "amount": ("booked above", "linked, and the books hold more than the CRM"),
    "booked_twice": ("booked twice", "two lines or more, each of the deal's whole amount"),
    "credit": ("credits", "agrees but for a credit, or a credit without a deal"),
    "over_credited": ("over-credited", "credits exceed what was booked"),
    "awaiting": ("awaited", "won lately, or after the last day the books tell of"),
    "missing_in_finance": ("not booked", "closed won in the CRM, no booking found in time"),
    "missing_in_crm": ("not won", "a booking without a won deal"),
    "no_amount": ("no amount", "a side without an amount in the reporting currency"),
}

PARTS = {"deals": "Deals", "calls": "Calls", "projection": "Projection"}
"""What is tied: won deals to bookings, calls to bookings; and what finance carries."""


def tie_title(label: str | None, difference: Decimal, currency: str) -> str:
    """The finding: how far apart the two ledgers are."""
    where = f"{label}: closed" if label else "Closed"
    if difference == 0:
        return f"{where} won and bookings agree to the cent"
    side = "above" if difference > 0 else "below"
    return f"{where} won stands {theme.money(abs(difference), currency)} {side} bookings"


def tie_sentence(
    *, crm: Decimal, booked: Decimal, tied: int, won: int, ties: bool, unvalued: int, currency: str
) -> str:
    """Both ledgers, how many deals tie, and that the rows add up to them."""
    said = (
        f"The CRM states {bold(theme.money_full(crm, currency))} closed won, the books "
        f"{bold(theme.money_full(booked, currency))}; {bold(f'{theme.count(tied)} of {theme.count(won)}')} won deals "
        "tie."
    )
    whole = " Every row below adds up to both ledgers, to the cent." if ties else ""
    rest = f" {theme.plural(unvalued, 'row')} without an amount in no sum." if unvalued else ""
    return said + whole + rest


def breaks_sentence(kinds: Sequence[Mapping[str, Any]], currency: str) -> str:
    """The breaks with the most money, largest first."""
    breaks = [row for row in kinds if row["break_kind"] != "matched" and row["difference_amount"] != 0]
    if not breaks:
        return "Nothing that is matched differs."
    told = [
        f"{KINDS[row['break_kind']][0]} {bold(theme.money(row['difference_amount'], currency, signed=True))} "
        f"({theme.count(row['record_count'])})"
        for row in breaks[:3]
    ]
    return f"Where they part: {in_a_row(told)}. Plus means that the CRM claims more than the books."


def kind_rows(kinds: Iterable[Mapping[str, Any]], ages: Sequence[str], currency: str) -> list[tuple[str | None, ...]]:
    """Kind, what it is, rows, CRM, booked, difference, and how many of each age (a tie does not age)."""
    return [
        (
            KINDS[row["break_kind"]][0].capitalize(),
            KINDS[row["break_kind"]][1],
            theme.count(row["record_count"]),
            theme.money_full(row["crm_amount"], currency),
            theme.money_full(row["booked_amount"], currency),
            theme.money_full(row["difference_amount"], currency, signed=True),
            *(None if row["break_kind"] == "matched" else theme.count(row[age]) for age in ages),
        )
        for row in kinds
    ]


def actual_source(source: str) -> str:
    """What counts as landed, in a few words for the foot of every page."""
    return "landed = booked by finance" if source == "bookings" else "landed = closed won in the CRM"


def tie_caption(first: date | None, last: date | None, source: str = "closed_won") -> str:
    """What counts as the actual on every page, and the days the books cover."""
    span = f" Bookings run from {theme.day(first)} to {theme.day(last)}." if first and last else ""
    meant = (
        "“Landed” means booked by finance on every page, in the period of the booking; this one holds closed won "
        "against it. A deal's bookings are its owner's, what belongs to no deal the company's alone."
        if source == "bookings"
        else "“Landed” means closed won in the CRM on every page; this one holds it against the books."
    )
    return f"{meant} Foreign amounts are converted at the rate of the day they were won or booked.{span}"


def no_bookings() -> list[str]:
    return [
        "No bookings have landed, so closed won cannot be held against the books.",
        "Bring finance's bookings: booking_id, booked_on and amount are enough; opportunity_id and account_name make "
        "matches surer. Credits are negative amounts.",
    ]


def nothing_in(label: str | None) -> str:
    return f"Nothing was won or booked in {label}."


def difference_title(difference: Decimal, currency: str) -> str:
    return f"What makes the difference of {theme.money(difference, currency, signed=True)}"


def difference_caption() -> str:
    return "Blue: the CRM claims more than the books. Orange: the books hold more than the CRM."


def difference_alt(steps: Sequence[tuple[str, Decimal]], difference: Decimal, currency: str) -> str:
    """``steps``: kind of break, difference."""
    said = [f"{name} {theme.money(amount, currency, signed=True)}" for name, amount in steps]
    return (
        f"Closed won less bookings, {theme.money(difference, currency, signed=True)}, by kind of break: "
        f"{', '.join(said) or 'none'}."
    )


def rows_caption(shown: int, total: int) -> str:
    if total == 0:
        return "Nothing of that kind."
    if shown == total:
        return f"{theme.plural(total, 'row')} that do not tie, the largest difference first."
    return f"The {theme.count(shown)} largest of {theme.count(total)} rows that do not tie; the download has all."


language.take(__name__, globals())
