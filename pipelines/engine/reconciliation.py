"""Does closed-won tie to the books? Every won opportunity and every booking line in exactly one row, in cents.

Sign: ``difference_amount`` = CRM − booked; positive = the CRM claims more than the books. A side that does not exist
is null, never 0, and the difference is then the side that does. Both ledgers are kept whole::

    Σ crm_amount    = Σ of the won opportunities handed in
    Σ booked_amount = Σ of the booking lines handed in, credits included

Matching, in this order, each booking used once:

1. *By id.* Lines that name a known won opportunity belong to it: many lines to one opportunity.
2. *By account, amount and date.* Of the rest, a line and an unbooked opportunity of the same account (case, spaces and
   legal form aside), within the tolerances of the policy, nearest date first, then nearest amount, then id.
3. *Several lines to one opportunity.* All remaining positive lines of an account within the date tolerance, if together
   they come to one unbooked opportunity of that account.
4. *One line to several opportunities.* A remaining line that comes to all unbooked opportunities of its account
   together within the date tolerance: the line is split over them in proportion, to the cent.

``break_kind``: ``matched`` (within tolerance, same period), ``timing`` (amounts agree, booked in another period than
it was won), ``rate`` (they agree but for the rate of exchange between closing and booking), ``amount`` (they differ),
``credit`` (agrees but for credit lines, or a credit without an opportunity), ``missing_in_finance`` (won, not booked),
``missing_in_crm`` (booked, not won), ``no_amount`` (a side without an amount in the
reporting currency: none is stated, or no rate converts it).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import polars as pl

from pipelines.contracts import MONEY
from pipelines.errors import EditionError
from pipelines.policy import Policy

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "record_id": pl.String,
    "record_kind": pl.String,
    "opportunity_id": pl.String,
    "booking_ids": pl.String,
    "account_name": pl.String,
    "owner_id": pl.String,
    "closed_on": pl.Date,
    "booked_on": pl.Date,
    "period_start_on": pl.Date,
    "crm_amount": MONEY,
    "booked_amount": MONEY,
    "credit_amount": MONEY,
    "difference_amount": MONEY,
    "rate_amount": MONEY,
    "break_kind": pl.String,
    "matched_by": pl.String,
    "age_days": pl.Int64,
}

_LEGAL_FORM = re.compile(r"\b(inc|llc|ltd|gmbh|ag|sa|sas|bv|plc|corp|corporation|company|co|limited|kg|oy|ab)\b\.?")


@dataclass
class _Won:
    """One won opportunity and the lines found for it; amounts in integer cents."""

    opportunity_id: str
    account: str
    account_name: str | None
    owner_id: str | None
    closed_on: date
    cents: int | None
    lines: list[_Line] = field(default_factory=list)
    matched_by: str | None = None


@dataclass(frozen=True)
class _Line:
    """One booking line, or the share of one that was split."""

    booking_id: str
    booked_on: date
    cents: int | None
    account: str
    account_name: str | None
    opportunity_id: str | None
    closing_cents: int | None = None
    """The same at the rate of the day its opportunity closed."""


def reconciliation(
    won: pl.DataFrame, bookings: pl.DataFrame, periods: pl.DataFrame, as_of_on: date, policy: Policy
) -> pl.DataFrame:
    """**Does it tie to the books?** One row per won opportunity, and one per booking line that belongs to none.

    Lines that name the opportunity are its own; the rest are matched by account, amount and date within the policy's
    tolerances, each line once: one to one, several lines to one deal, one line to several deals. What is not matched is
    a row of its own, so both ledgers add up to the cent. ``difference_amount`` = CRM − booked: positive means that the
    CRM claims more than the books.

    ``won``: one row per won opportunity: ``opportunity_id, account_name, owner_id, closed_on, crm_amount``.
    ``bookings``: one row per line: ``booking_id, booked_on, booked_amount, opportunity_id, account_name``, and
    ``closing_amount`` (at the rate of the day its opportunity closed) where rates of exchange are to be told apart.
    ``periods``: ``period_start_on, period_end_on``. Amounts in the reporting currency; null (no rate) stays null.
    ``age_days``: days from the day it was won or booked to ``as_of_on``; null when matched.
    Order of rows in makes no difference. Errors: none; empty frames give an empty frame.
    """
    deals = [
        _Won(
            row["opportunity_id"],
            _account(row["account_name"]),
            row["account_name"],
            row["owner_id"],
            row["closed_on"],
            _cents(row["crm_amount"]),
        )
        for row in won.sort("opportunity_id").iter_rows(named=True)
    ]
    lines = [
        _Line(
            row["booking_id"],
            row["booked_on"],
            _cents(row["booked_amount"]),
            _account(row["account_name"]),
            row["account_name"],
            row["opportunity_id"],
            _cents(row.get("closing_amount")),
        )
        for row in bookings.sort("booking_id", "booked_on").iter_rows(named=True)
    ]
    left = _by_id(deals, lines)
    left = _by_account(deals, left, policy)
    left = _several_lines(deals, left, policy)
    left = _several_deals(deals, left, policy)
    starts = sorted((row["period_start_on"], row["period_end_on"]) for row in periods.iter_rows(named=True))
    rows = [_deal_row(deal, starts, as_of_on, policy) for deal in deals]
    rows += [_line_row(line, starts, as_of_on) for line in left]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("record_kind", "record_id")


def totals(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per break_kind: ``record_count``, ``unvalued_count`` (rows without a difference, as a side has no amount)
    and the three amounts, which add up to both ledgers."""
    return (
        frame.group_by("break_kind")
        .agg(
            pl.len().cast(pl.Int64).alias("record_count"),
            pl.col("difference_amount").is_null().sum().cast(pl.Int64).alias("unvalued_count"),
            *(pl.col(name).sum().cast(MONEY) for name in ("crm_amount", "booked_amount", "difference_amount")),
        )
        .sort("break_kind")
    )


def with_ledger(kinds: pl.DataFrame, won: pl.DataFrame, bookings: pl.DataFrame) -> pl.DataFrame:
    """``totals`` and one row ``ledger``, summed from what was handed in rather than from the rows they became.

    Errors: EditionError if the two disagree by a cent.
    """
    crm, booked = _sum(won["crm_amount"]), _sum(bookings["booked_amount"])
    found = (_sum(kinds["crm_amount"]), _sum(kinds["booked_amount"]))
    if found != (crm, booked):
        raise EditionError(
            f"The tie-out adds up to {found[0]} won and {found[1]} booked, the ledgers to {crm} and {booked}.",
            "Nothing has been published; this is a fault of the program: please report.",
        )
    unvalued = won["crm_amount"].null_count() + bookings["booked_amount"].null_count()
    row = ("ledger", won.height + bookings.height, unvalued, crm, booked, crm - booked)
    return pl.concat([kinds, pl.DataFrame([row], schema=kinds.schema, orient="row")]).sort("break_kind")


def _sum(amounts: pl.Series) -> Decimal:
    """Exact; what has no amount is in no sum, nothing at all sums to exactly nothing."""
    return sum((amount for amount in amounts.to_list() if amount is not None), Decimal("0.00"))


def _by_id(deals: Sequence[_Won], lines: Iterable[_Line]) -> list[_Line]:
    known = {deal.opportunity_id: deal for deal in deals}
    left = []
    for line in lines:
        deal = known.get(line.opportunity_id) if line.opportunity_id is not None else None
        if deal is None:
            left.append(line)
        else:
            deal.lines.append(line)
            deal.matched_by = "id"
    return left


def _by_account(deals: Sequence[_Won], lines: Sequence[_Line], policy: Policy) -> list[_Line]:
    """The nearest pairs first, so that the outcome does not depend on the order of rows."""
    unbooked = _unbooked(deals)
    candidates = sorted(
        (
            abs((line.booked_on - deal.closed_on).days),
            abs(line.cents - deal.cents),
            deal.opportunity_id,
            line.booking_id,
            index,
        )
        for index, line in enumerate(lines)
        if line.cents is not None and line.cents > 0 and line.account
        for deal in unbooked.get(line.account, ())
        if deal.cents is not None
        and _agree(deal.cents, line.cents, policy)
        and abs((line.booked_on - deal.closed_on).days) <= policy.match_days
    )
    by_id = {deal.opportunity_id: deal for deal in deals}
    used: set[int] = set()
    for _, _, opportunity_id, _, index in candidates:
        deal = by_id[opportunity_id]
        if index in used or _is_booked(deal):
            continue
        deal.lines.append(lines[index])
        deal.matched_by = "account"
        used.add(index)
    return [line for index, line in enumerate(lines) if index not in used]


def _several_lines(deals: Sequence[_Won], lines: Sequence[_Line], policy: Policy) -> list[_Line]:
    used: set[str] = set()
    of_account: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        if line.cents is not None and line.cents > 0:
            of_account[line.account].append(line)
    for account, open_deals in sorted(_unbooked(deals).items()):
        for deal in open_deals:
            near = [
                line
                for line in of_account.get(account, ())
                if line.booking_id not in used and abs((line.booked_on - deal.closed_on).days) <= policy.match_days
            ]
            total = sum(line.cents for line in near if line.cents is not None)
            if len(near) > 1 and deal.cents is not None and _agree(deal.cents, total, policy):
                deal.lines.extend(near)
                deal.matched_by = "account, several lines"
                used.update(line.booking_id for line in near)
    return [line for line in lines if line.booking_id not in used]


def _several_deals(deals: Sequence[_Won], lines: Sequence[_Line], policy: Policy) -> list[_Line]:
    left = []
    unbooked = _unbooked(deals)
    for line in lines:
        near = [
            deal
            for deal in unbooked.get(line.account, ())
            if not _is_booked(deal)
            and deal.cents is not None
            and abs((line.booked_on - deal.closed_on).days) <= policy.match_days
        ]
        claimed = [deal.cents for deal in near if deal.cents is not None]
        if line.cents is None or len(near) < 2 or not _agree(sum(claimed), line.cents, policy):
            left.append(line)
            continue
        for deal, share in zip(near, _split(line.cents, claimed), strict=True):
            deal.lines.append(
                _Line(line.booking_id, line.booked_on, share, line.account, line.account_name, line.opportunity_id)
            )
            deal.matched_by = "account, several opportunities"
    return left


def _split(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``weights``, in whole cents that add up (largest remainder, earlier first)."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _unbooked(deals: Sequence[_Won]) -> dict[str, list[_Won]]:
    by_account: dict[str, list[_Won]] = defaultdict(list)
    for deal in deals:
        if not _is_booked(deal) and deal.account and deal.cents is not None and deal.cents > 0:
            by_account[deal.account].append(deal)
    return by_account


def _is_booked(deal: _Won) -> bool:
    """A line of it was found; a credit alone is not the booking that it credits."""
    return any(line.cents is None or line.cents > 0 for line in deal.lines)


def _agree(one: int, other: int, policy: Policy) -> bool:
    return abs(one - other) <= max(policy.match_amount_cents, policy.match_amount_rate * abs(one))


def _deal_row(deal: _Won, periods: Sequence[tuple[date, date]], as_of_on: date, policy: Policy) -> tuple[object, ...]:
    booked = _total(line.cents for line in deal.lines) if deal.lines else None
    credit = _total(line.cents for line in deal.lines if line.cents is not None and line.cents < 0)
    by_rate = _rate_part(deal, booked)
    kind = _kind(deal, booked, credit=credit, by_rate=by_rate, periods=periods, policy=policy)
    return (
        deal.opportunity_id,
        "opportunity",
        deal.opportunity_id,
        ", ".join(sorted({line.booking_id for line in deal.lines})) or None,
        deal.account_name,
        deal.owner_id,
        deal.closed_on,
        _first_booked(deal),
        _period(deal.closed_on, periods),
        _money(deal.cents),
        _money(booked),
        _money(credit) if credit else None,
        _money(None if kind == "no_amount" else _difference(deal.cents, booked)),
        _money(by_rate),
        kind,
        deal.matched_by,
        None if kind == "matched" else (as_of_on - deal.closed_on).days,
    )


def _first_booked(deal: _Won) -> date | None:
    """The day of the first line that is not a credit; of a credit where there is nothing else."""
    days = [line.booked_on for line in deal.lines if line.cents is None or line.cents >= 0]
    return min(days or [line.booked_on for line in deal.lines], default=None)


def _rate_part(deal: _Won, booked: int | None) -> int | None:
    """What the rates did between closing and booking, in cents; null where it cannot be told, or is nothing."""
    at_closing = _total(line.closing_cents for line in deal.lines)
    return None if at_closing is None or booked is None or at_closing == booked else at_closing - booked


def _kind(
    deal: _Won,
    booked: int | None,
    *,
    credit: int | None,
    by_rate: int | None,
    periods: Sequence[tuple[date, date]],
    policy: Policy,
) -> str:
    first = _first_booked(deal)
    if deal.cents is None or (deal.lines and booked is None):
        return "no_amount"
    if first is None or booked is None:
        return "missing_in_finance"
    if _agree(deal.cents, booked, policy):
        return "matched" if _period(first, periods) == _period(deal.closed_on, periods) else "timing"
    if credit and _agree(deal.cents, booked - credit, policy):
        return "credit"
    if by_rate is not None and _agree(deal.cents, booked + by_rate, policy):
        return "rate"
    return "amount"


def _line_row(line: _Line, periods: Sequence[tuple[date, date]], as_of_on: date) -> tuple[object, ...]:
    kind = "no_amount" if line.cents is None else "credit" if line.cents < 0 else "missing_in_crm"
    return (
        line.booking_id,
        "booking",
        line.opportunity_id,
        line.booking_id,
        line.account_name,
        None,
        None,
        line.booked_on,
        _period(line.booked_on, periods),
        None,
        _money(line.cents),
        _money(line.cents) if kind == "credit" else None,
        _money(_difference(None, line.cents)),
        None,
        kind,
        None,
        (as_of_on - line.booked_on).days,
    )


def _difference(crm: int | None, booked: int | None) -> int | None:
    if crm is None:
        return None if booked is None else -booked
    return crm if booked is None else crm - booked


def _total(parts: Iterable[int | None]) -> int | None:
    """Sum in cents; null when any part is unknown or there is none."""
    known = list(parts)
    if not known or any(part is None for part in known):
        return None
    return sum(part for part in known if part is not None)


def _period(day: date, periods: Sequence[tuple[date, date]]) -> date | None:
    return next((start for start, end in periods if start <= day <= end), None)


def _account(name: str | None) -> str:
    if name is None:
        return ""
    words = _LEGAL_FORM.sub(" ", re.sub(r"[^\w\s]", " ", name.casefold()))
    return " ".join(words.split())


def _cents(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 100)


def _money(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents).scaleb(-2)
