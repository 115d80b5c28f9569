"""Which booking lines belong to which won opportunity: one walk, used by the tie-out and by actuals from the books.

In this order, each line (or each cent of a line that is split) used once:

1. *By id.* A line that names a won opportunity belongs to it: many lines to one opportunity. One that names several
   (``O1; O2``), all of them won, is split over them in proportion to their amounts, whatever their accounts.
2. *By account, amount and date.* Of the rest, a line and an unbooked opportunity of the same account (case, spaces and
   legal form aside), within the tolerances of the policy, nearest date first, then nearest amount, then id.
3. *Several lines to one opportunity.* All remaining positive lines of an account within the date tolerance, if together
   they come to one unbooked opportunity of that account.
4. *One line to several opportunities.* A remaining line that comes to all unbooked opportunities of its account
   together within the date tolerance: the line is split over them in proportion, to the cent.

Nothing is matched across accounts without ids: among many deals some sum always fits by chance.
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
from pipelines.policy import Policy

LINES_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "booking_id": pl.String,
    "opportunity_id": pl.String,
    "owner_id": pl.String,
    "closed_on": pl.Date,
    "booked_on": pl.Date,
    "booked_amount": MONEY,
    "matched_by": pl.String,
}

_LEGAL_FORM = re.compile(r"\b(inc|llc|ltd|gmbh|ag|sa|sas|bv|plc|corp|corporation|company|co|limited|kg|oy|ab)\b\.?")
_BETWEEN_IDS = re.compile(r"[,;|/\s]+")


@dataclass
class Won:
    """One won opportunity and the lines found for it; amounts in integer cents."""

    opportunity_id: str
    account: str
    account_name: str | None
    owner_id: str | None
    closed_on: date
    cents: int | None
    lines: list[Line] = field(default_factory=list)
    matched_by: str | None = None

    @property
    def is_booked(self) -> bool:
        """A line of it was found; a credit alone is not the booking that it credits."""
        return any(line.cents is None or line.cents > 0 for line in self.lines)


@dataclass(frozen=True)
class Line:
    """One booking line, or the share of one that was split."""

    booking_id: str
    booked_on: date
    cents: int | None
    account: str
    account_name: str | None
    opportunity_id: str | None
    closing_cents: int | None = None
    """The same at the rate of the day its opportunity closed."""


def match(won: pl.DataFrame, bookings: pl.DataFrame, policy: Policy) -> tuple[list[Won], list[Line]]:
    """Every won opportunity with its lines, and the lines that belong to none. Order of rows in makes no difference.

    ``won``: ``opportunity_id, account_name, owner_id, closed_on, crm_amount``; ``bookings``: ``booking_id, booked_on,
    booked_amount, opportunity_id, account_name`` and, where rates are to be told apart, ``closing_amount``.
    """
    deals = [
        Won(
            row["opportunity_id"],
            _account(row["account_name"]),
            row["account_name"],
            row["owner_id"],
            row["closed_on"],
            cents_of(row["crm_amount"]),
        )
        for row in won.sort("opportunity_id").iter_rows(named=True)
    ]
    lines = [
        Line(
            row["booking_id"],
            row["booked_on"],
            cents_of(row["booked_amount"]),
            _account(row["account_name"]),
            row["account_name"],
            row["opportunity_id"],
            cents_of(row.get("closing_amount")),
        )
        for row in bookings.sort("booking_id", "booked_on").iter_rows(named=True)
    ]
    left = _by_id(deals, lines)
    left = _by_account(deals, left, policy)
    left = _several_lines(deals, left, policy)
    return deals, _several_deals(deals, left, policy)


@dataclass(frozen=True)
class Plain:
    """``pairs``: one row per deal that one line alone is booked for, by its id, both with an amount: the columns of
    both, the line's names with ``line_``. ``won``, ``bookings``: all the others, which need a closer look."""

    pairs: pl.DataFrame
    won: pl.DataFrame
    bookings: pl.DataFrame


def plain_pairs(won: pl.DataFrame, bookings: pl.DataFrame) -> Plain:
    """**The deals whose booking leaves no question.** Nearly all of a large company's: one line names the opportunity,
    no other line does, alone or among several, and what it books is more than nothing.

    Such a deal is booked and its line used by the first step of ``match``; neither can be part of any later one.
    """
    named = bookings["opportunity_id"].drop_nulls().value_counts()
    is_known = pl.col("opportunity_id").is_in(won["opportunity_id"].implode())
    texts = named.filter(~is_known)["opportunity_id"].to_list()
    shared = pl.Series([part for text in texts for part in _BETWEEN_IDS.split(text)], dtype=pl.String)
    is_shared = pl.col("opportunity_id").is_in(shared.implode())
    once = named.filter(is_known, ~is_shared, pl.col("count") == 1)["opportunity_id"]
    deals = won.filter(
        pl.col("opportunity_id").is_in(once.implode()),
        pl.col("crm_amount").is_not_null(),
        pl.col("opportunity_id").is_unique(),
    )
    lines = bookings.filter(pl.col("booked_amount") > 0).rename(lambda name: f"line_{name}")
    pairs = deals.join(lines, left_on="opportunity_id", right_on="line_opportunity_id", how="inner")
    paired = pairs["opportunity_id"].implode()
    return Plain(
        pairs,
        won.filter(~pl.col("opportunity_id").is_in(paired)),
        bookings.filter(~pl.col("opportunity_id").is_in(paired).fill_null(value=False)),
    )


def matched_lines(won: pl.DataFrame, bookings: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """One row per booking line and won opportunity it belongs to (null: none), in cents that add up to the ledger.

    ``owner_id, closed_on``: of that opportunity. Columns and types: ``LINES_SCHEMA``.
    """
    plain = plain_pairs(won, bookings)
    deals, left = match(plain.won, plain.bookings, policy)
    rows: list[tuple[object, ...]] = [
        (
            line.booking_id,
            deal.opportunity_id,
            deal.owner_id,
            deal.closed_on,
            line.booked_on,
            money_of(line.cents),
            deal.matched_by,
        )
        for deal in deals
        for line in deal.lines
    ]
    rows += [(line.booking_id, None, None, None, line.booked_on, money_of(line.cents), None) for line in left]
    by_id = plain.pairs.select(
        "opportunity_id",
        "owner_id",
        "closed_on",
        booking_id="line_booking_id",
        booked_on="line_booked_on",
        booked_amount="line_booked_amount",
        matched_by=pl.lit("id"),
    )
    others = pl.DataFrame(rows, schema=LINES_SCHEMA, orient="row")
    found = pl.concat([others, by_id.select(*LINES_SCHEMA).cast(LINES_SCHEMA)])  # type: ignore[arg-type]
    return found.sort("booking_id", "opportunity_id")


def agree(one: int, other: int, policy: Policy) -> bool:
    """Two amounts in cents that count as one: within the policy's share of the first, or its least difference."""
    return abs(one - other) <= max(policy.match_amount_cents, policy.match_amount_rate * abs(one))


def cents_of(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 100)


def money_of(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents).scaleb(-2)


def _by_id(deals: Sequence[Won], lines: Iterable[Line]) -> list[Line]:
    known = {deal.opportunity_id: deal for deal in deals}
    left = []
    for line in lines:
        named = _named(line.opportunity_id, known)
        if not named or not _give(line, named):
            left.append(line)
            continue
        for deal in named:
            deal.matched_by = "id" if len(named) == 1 else "several ids"
    return left


def _named(text: str | None, known: dict[str, Won]) -> list[Won]:
    """The won opportunities a line names; none unless every id in it is one."""
    if text is None:
        return []
    if text in known:
        return [known[text]]
    parts = list(dict.fromkeys(part for part in _BETWEEN_IDS.split(text) if part))
    return [known[part] for part in parts] if len(parts) > 1 and all(part in known for part in parts) else []


def _give(line: Line, deals: Sequence[Won]) -> bool:
    """Lay the line on its deal, or split it over several; False where shares cannot be told."""
    if len(deals) == 1:
        deals[0].lines.append(line)
        return True
    claimed = [deal.cents for deal in deals if deal.cents is not None and deal.cents > 0]
    if line.cents is None or len(claimed) < len(deals):
        return False
    for deal, share in zip(deals, _split(line.cents, claimed), strict=True):
        deal.lines.append(
            Line(line.booking_id, line.booked_on, share, line.account, line.account_name, line.opportunity_id)
        )
    return True


def _by_account(deals: Sequence[Won], lines: Sequence[Line], policy: Policy) -> list[Line]:
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
        and agree(deal.cents, line.cents, policy)
        and abs((line.booked_on - deal.closed_on).days) <= policy.match_days
    )
    by_id = {deal.opportunity_id: deal for deal in deals}
    used: set[int] = set()
    for _, _, opportunity_id, _, index in candidates:
        deal = by_id[opportunity_id]
        if index in used or deal.is_booked:
            continue
        deal.lines.append(lines[index])
        deal.matched_by = "account"
        used.add(index)
    return [line for index, line in enumerate(lines) if index not in used]


def _several_lines(deals: Sequence[Won], lines: Sequence[Line], policy: Policy) -> list[Line]:
    used: set[str] = set()
    of_account: dict[str, list[Line]] = defaultdict(list)
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
            if len(near) > 1 and deal.cents is not None and agree(deal.cents, total, policy):
                deal.lines.extend(near)
                deal.matched_by = "account, several lines"
                used.update(line.booking_id for line in near)
    return [line for line in lines if line.booking_id not in used]


def _several_deals(deals: Sequence[Won], lines: Sequence[Line], policy: Policy) -> list[Line]:
    left = []
    unbooked = _unbooked(deals)
    for line in lines:
        near = [
            deal
            for deal in unbooked.get(line.account, ())
            if not deal.is_booked
            and deal.cents is not None
            and abs((line.booked_on - deal.closed_on).days) <= policy.match_days
        ]
        claimed = sum(deal.cents for deal in near if deal.cents is not None)
        fits = line.cents is not None and len(near) > 1 and agree(claimed, line.cents, policy)
        if not fits or not _give(line, near):
            left.append(line)
            continue
        for deal in near:
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


def _unbooked(deals: Sequence[Won]) -> dict[str, list[Won]]:
    by_account: dict[str, list[Won]] = defaultdict(list)
    for deal in deals:
        if not deal.is_booked and deal.account and deal.cents is not None and deal.cents > 0:
            by_account[deal.account].append(deal)
    return by_account


def _account(name: str | None) -> str:
    if name is None:
        return ""
    words = _LEGAL_FORM.sub(" ", re.sub(r"[^\w\s]", " ", name.casefold()))
    return " ".join(words.split())
