"""The record in words: which editions there are, what changed between two, what verifying found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from dashboard import language, theme
from dashboard.wording import DIRECTIONS, TITLE_LENGTH, VERDICTS, bold

MOVEMENTS = {
    "created": ("created", "new deals due in the period"),
    "pulled_in": ("pulled in", "due in another period before"),
    "reopened": ("reopened", "closed before, open again"),
    "increased": ("increased", "the same deals, worth more"),
    "decreased": ("decreased", "the same deals, worth less"),
    "currency": ("currency", "the same amounts at other rates"),
    "owner_in": ("owner in", "came from another owner"),
    "owner_out": ("owner out", "went to another owner"),
    "pushed_out": ("pushed out", "now due in another period"),
    "won": ("won", "left the pipeline by being won"),
    "lost": ("lost", "left the pipeline by being lost"),
    "no_decision": ("no decision", "closed without a decision"),
    "deleted": ("deleted", "deleted in the CRM"),
    "left": ("left before", "closed or deleted before the period began"),
    "restated": ("restated", "told otherwise now of the time before: entered late, corrected"),
}
"""Movement → (its name, what it is)."""


class Moved(NamedTuple):
    """One movement between two editions, summed: its amount and how many deals made it."""

    movement: str
    amount: Decimal
    deal_count: int


@dataclass(frozen=True)
class Latest:
    """How the pipeline of a period moved last: since an older edition, or (null) in the last week."""

    label: str
    older_as_of_at: datetime | None
    start_amount: Decimal
    end_amount: Decimal
    totals: tuple[Moved, ...]


@dataclass(frozen=True)
class Said:
    """What one edition says of the open period, for a comparison. Amounts null where it does not say."""

    verdict: str
    period_label: str | None
    call_amount: Decimal | None
    estimate: float | None
    lower: float | None
    upper: float | None


def record_title(edition_count: int, unreadable_count: int) -> str:
    said = f"{theme.plural(edition_count, 'edition')} on record"
    return f"{said}, {theme.count(unreadable_count)} of them cannot be read" if unreadable_count else said


def record_caption() -> str:
    return (
        "An edition is one file, written once: every number of these pages as of an instant. Follow one to read the "
        "same pages as they stood then; its link can be passed on."
    )


def older_banner(as_of_at: datetime, edition_id: str, current_as_of: str) -> str:
    """Above every page of an older edition."""
    return (
        f"You are reading the record of {bold(theme.instant(as_of_at))} (edition {edition_id}): every number is what "
        f"could be known then. The current edition is {current_as_of}."
    )


def no_such_edition(edition_id: str) -> tuple[str, str]:
    return (
        "That edition is not on this record",
        f"The link names the edition “{edition_id}”, and there is no file of that name in the workspace's editions "
        "folder. It may have been made elsewhere, or moved away; those below can be read.",
    )


def verdict_word(state: str) -> str:
    return VERDICTS[state][0]


def day_of(at: datetime) -> str:
    """``2 Nov 2026``: the day alone, for titles."""
    return theme.day(at.date())


def since_title(start: Decimal, end: Decimal, *, label: str, older: datetime, currency: str) -> str:
    """By how much the pipeline of the period moved since the older edition."""
    when = f"Since {day_of(older)}"
    if start == end:
        return f"{when} the {label} pipeline is worth the same"[:TITLE_LENGTH]
    side = "rose" if end > start else "fell"
    return f"{when} the {label} pipeline {side} by {theme.money(abs(end - start), currency)}"[:TITLE_LENGTH]


def largest_moves(totals: Iterable[Moved], currency: str) -> str:
    """The three largest outflows and inflows, with their deals."""
    rows = sorted((row for row in totals if row.amount), key=lambda row: -abs(row.amount))
    sides = []
    for word, sign in (("Out", -1), ("In", 1)):
        told = ", ".join(
            f"{MOVEMENTS[row.movement][0]} {bold(theme.money(row.amount, currency, signed=True))} "
            f"({theme.plural(row.deal_count, 'deal')})"
            for row in [row for row in rows if sign * row.amount > 0][:3]
        )
        if told:
            sides.append(f"{word}: {told}.")
    return " ".join(sides) or "No deal of it moved."


def said_then_and_now(then: Said, now: Said, currency: str) -> list[str]:
    """Verdict, call and range in the older edition and in the newer one."""
    sentences = []
    was, is_now = VERDICTS[then.verdict][0], VERDICTS[now.verdict][0]
    sentences.append(
        f"Verdict: {bold(is_now)}, as before." if was == is_now else f"Verdict: from {bold(was)} to {bold(is_now)}."
    )
    if then.period_label != now.period_label:
        sentences.append(
            f"The older edition was of {then.period_label or 'no period'}, this one is of "
            f"{now.period_label or 'no period'}: their calls and ranges are of different periods."
        )
    sentences.append(_from_to("Call", then.call_amount, now.call_amount, currency))
    if now.estimate is None and then.estimate is None:
        sentences.append("Range: none was issued in either.")
    else:
        sentences.append(f"Range: from {_range(then, currency)} to {_range(now, currency)}.")
    return sentences


def _range(said: Said, currency: str) -> str:
    if said.lower is None or said.upper is None:
        return "none"
    return bold(theme.money_range(said.lower, said.upper, currency))


def _from_to(name: str, was: Decimal | None, now: Decimal | None, currency: str) -> str:
    if was is None and now is None:
        return f"{name}: none in either."
    if was is None or now is None:
        known, side = (now, "none before") if was is None else (was, "none now")
        return f"{name}: {bold(theme.money(known, currency))}, {side}."
    if was == now:
        return f"{name}: {bold(theme.money(now, currency))}, as before."
    return (
        f"{name}: from {bold(theme.money(was, currency))} to {bold(theme.money(now, currency))} "
        f"({theme.money(now - was, currency, signed=True)})."
    )


def labels_changed(changes: Sequence[tuple[str, str, str]]) -> str:
    """``changes``: name, word then, word now, of forecasters whose word differs."""
    if not changes:
        return "Words for forecasters' leans: all as before."
    told = "; ".join(f"{name} from {DIRECTIONS[was]} to {DIRECTIONS[now]}" for name, was, now in changes[:4])
    more = f"; and {len(changes) - 4} more" if len(changes) > 4 else ""
    return f"Words for forecasters' leans: {told}{more}."


def since_alt(title: str, steps: Sequence[tuple[str, Decimal]], currency: str) -> str:
    said = ", ".join(f"{name} {theme.money(amount, currency, signed=True)}" for name, amount in steps)
    return f"{title}: {said}."


def since_caption(older: datetime, newer: datetime) -> str:
    return (
        f"From the open deals due in the period at {theme.instant(older)} to those at {theme.instant(newer)}: blue "
        "adds, orange takes away. Counted along the path of every deal; amounts sum exactly, to the cent."
    )


def beside_the_sum(owner_count: int, category_count: int, stage_count: int) -> str:
    """What changed without changing a total."""
    return (
        f"Beside the sum: {theme.plural(owner_count, 'open deal')} changed owner, "
        f"{theme.count(category_count)} their forecast category, {theme.count(stage_count)} their stage."
    )


def latest_line(latest: Latest, currency: str) -> str:
    """One line for the Trust page: how the pipeline moved last, and its two largest reasons that way."""
    start, end = latest.start_amount, latest.end_amount
    if latest.older_as_of_at is None:
        size = theme.money(abs(end - start), currency)
        what = "did not change" if start == end else f"{'rose' if end > start else 'fell'} by {size}"
        said = f"In the last week the {latest.label} pipeline {what}"
    else:
        said = since_title(start, end, label=latest.label, older=latest.older_as_of_at, currency=currency)
    same_way = [row for row in latest.totals if row.amount and (row.amount < 0) == (end < start)]
    told = sorted(same_way, key=lambda row: -abs(row.amount))[:2]
    if not told or start == end:
        return f"{said}."
    names = " and ".join(f"{MOVEMENTS[r.movement][0]} {theme.money(r.amount, currency, signed=True)}" for r in told)
    return f"{said}: {names}, less what went the other way."


def verified_title(broken_count: int, unknown: bool) -> str:
    if broken_count:
        return f"{theme.plural(broken_count, 'check')} failed: this edition is not as it was published"
    return "The edition is as published; its files could not be looked up" if unknown else "The edition is as published"


def file_digest(sha256: str, size: int) -> str:
    return f"sha256 of the file: {sha256} ({theme.count(size)} bytes). Compare it with a copy kept elsewhere."


def nothing_older() -> str:
    return (
        "There is no other edition to compare with yet. The next `publish` makes one; `forecast-trust publish --as-of "
        "2026-05-03` makes the edition of a past day from what was known then."
    )


def changes_label(shown: int, total: int) -> str:
    if shown == total:
        return f"Deal by deal: {theme.plural(shown, 'change')}"
    return f"Deal by deal: the {theme.count(shown)} largest of {theme.plural(total, 'change')}"


def owners_label(count: int) -> str:
    return f"Changed owner: {theme.plural(count, 'open deal')}"


def files_added(names: Sequence[str]) -> str:
    """Input files that only the newer edition has."""
    if not names:
        return "Files: the newer edition was made from the same ones."
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Files: {', '.join(names[:3])}{more} came since."


def inputs_label(count: int) -> str:
    return f"Made from {theme.plural(count, 'file')}"


def verify_caption() -> str:
    return (
        "Recomputes every digest that was written into the file when it was published, asks what must be true in every "
        "edition, and looks its input files up in the landing by their sha256."
    )


def download_caption() -> str:
    return (
        "Every table of this edition as it was published, or the whole edition: one DuckDB file that any copy of the "
        "program opens."
    )


def listed_from(start: int, length: int, count: int) -> str:
    return f"{start + 1}{theme.EN_DASH}{min(start + length, count)} of {theme.count(count)}"


def no_pipeline() -> str:
    return "Neither edition holds an open deal, so no pipeline can be compared."


RESTATED = {
    "amount": "worth another amount now",
    "moved": "dated into another period",
    "late": "entered after the period was frozen",
    "reopened": "open again",
    "lost": "lost after all",
    "deleted": "deleted",
}


def restated_title(restated_count: int, period_count: int, difference: Decimal, noun: str, currency: str) -> str:
    """How many closed periods the CRM tells otherwise now, and by how much together."""
    if not period_count:
        return f"No {noun} has closed yet, so none can be restated"[:TITLE_LENGTH]
    if not restated_count:
        return f"No closed {noun} has been restated"
    size = theme.money(difference, currency, signed=True)
    return f"{theme.count(restated_count)} of {theme.plural(period_count, f'closed {noun}')} restated, {size} in all"


def restated_caption(noun: str) -> str:
    return (
        f"As reported: closed won when the {noun} was frozen, its days of grace over. As corrected: what the CRM says "
        "of the same days now."
    )


def restated_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str, ...]]:
    return [
        (
            str(row["label"]),
            theme.money_full(row["reported_amount"], currency),
            theme.money_full(row["corrected_amount"], currency),
            theme.money_full(row["difference_amount"], currency, signed=True),
            theme.count(row["deal_count"]),
        )
        for row in rows
    ]


def restated_deals_label(count: int) -> str:
    return f"The {theme.plural(count, 'deal')} behind it"


def restated_deal_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str | None, ...]]:
    return [
        (
            row["name"] or row["opportunity_id"],
            row["account_name"],
            row["owner"] or row["owner_id"],
            row["label"],
            RESTATED[row["reason"]],
            theme.money_full(row["reported_amount"], currency),
            theme.money_full(row["corrected_amount"], currency),
        )
        for row in rows
    ]


language.take(__name__, globals())
