"""Board paper and QBR deck in words: titles that fit a slide, what the record cannot say. Pure, like ``wording``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.wording import (
    CATEGORIES,
    DIRECTIONS,
    LAYERS,
    TITLE_LENGTH,
    VERDICTS,
    Frame,
    how_often,
    lean_range,
    plain,
)
from dashboard.wording_trust import Grounds, verdict_sentence
from pipelines.engine.verdict import Verdict

SHORT_REASONS = {
    "no_calls": "no calls have landed",
    "few_periods": "too few {noun}s have closed",
    "nothing_called": "every call so far was zero",
    "nothing_landed": "nothing that was called has landed",
    "far_high": "calls run far too high",
    "far_low": "calls run far too low",
    "worse_than_naive": "a naive forecast was closer",
    "stale": "the data are old",
    "runs_high": "calls run high",
    "runs_low": "calls run low",
    "lean_uncertain": "the average lean is not yet known",
    "scattered": "single {noun}s land far from the call",
    "range_failed": "past ranges failed too often",
    "no_better_than_naive": "no closer than a naive forecast",
    "skill_unknown": "nothing to compare the calls with",
    "missing_calls": "calls are missing",
    "no_call_now": "no call has been made yet",
    "on_record": "the record supports it",
}
"""Reason of a verdict → a few words: what a slide's title has room for."""

FORMATS = {
    "pdf": ("Board paper (PDF)", "Two pages: the verdict, and the record behind it."),
    "pptx": ("QBR deck (PowerPoint)", "One finding a slide, charts you can edit, the method in the notes."),
    "xlsx": ("Finance workbook (Excel)", "Every figure to the cent, with live formulas."),
}
"""Format → (name of the button, what it holds)."""

TAKE = "Take it with you"
TAKE_HELP = "What these pages show, as a file: for the edition, people and calls chosen here."
MAKING = "Making it"


def save(file_type: str) -> str:
    """The button that saves what was made."""
    return f"Save the {file_type.upper()} file"


HEADINGS = {
    "record": "The record behind it",
    "why": "Why this verdict",
    "held": "Did past ranges hold?",
    "leans": "Who leans",
    "misses": "The latest misses",
    "inputs": "What it stands on",
    "cents": "To the cent",
    "unsaid": "What we cannot say",
}

RECORD_HEADINGS = ("Called", "Landed", "Call − landed", "Lands at", "Range issued", "Held")
LEAN_HEADINGS = ("Calls", "Lands at", "Range", "n")


SHEETS = {
    "verdict": "Verdict",
    "record": "Record",
    "range": "Range and odds",
    "held": "Past ranges",
    "miss": "Miss",
    "forecasters": "Forecasters",
    "inputs": "Inputs",
}
RECORD_SHEET = ("Called", "Landed", "Call − landed", "Lands at", "Call against landed", "Callers")
RANGE_SHEET = ("Lower end of the range", "Expected", "Upper end of the range", "Landed so far")
DOTS_SHEET = ("Outcome", "Amount")
MISS_SHEET = ("Step", "Which", "Deals", "Amount", "Reached")
FORECASTERS_SHEET = (
    "Forecaster",
    "Team",
    "Calls",
    "Lands at",
    "Lower",
    "Upper",
    "Periods",
    "Called",
    "Landed",
    "Raw rate",
)
INPUTS_SHEET = ("Table", "", "Rows", "Money set aside", "Facts from", "Facts to")
FAULTS_SHEET = ("Set aside because", "Where", "Rows", "Money", "For example")
TOTAL = "Total"
CALL, LANDED = "Call", "Landed"
TYPICAL_MISS = "Typical miss: here, as published"
CALL_LESS_LANDED = "Called less landed less their differences"
HELD_COUNT = "Ranges that held: here, as published"
NOTHING_LEFT = "Call and steps less landed"
HOW_TO_READ_A_SHEET = (
    "Figures in black stand as published; differences, rates, sums and counts are formulas over them.",
    "A shaded TRUE is a check: the sheet's own arithmetic comes to the published figure, to the cent.",
    "Sign, everywhere: call less what landed; plus means that the call ran high.",
)


def facts_of(
    *,
    company: str,
    edition_id: str,
    as_of: datetime,
    published: datetime,
    method: str,
    digest: str,
    currency: str,
    simulated: bool,
) -> list[tuple[str, str]]:
    """Which edition a workbook is of, a fact a line."""
    money = "not stated" if currency == theme.NO_CURRENCY else currency
    return [
        ("Company", f"{company} (simulated)" if simulated else company),
        ("Edition", edition_id),
        ("As of", theme.instant(as_of)),
        ("Published", theme.instant(published)),
        ("Method", method),
        ("Digest of the inputs", digest),
        ("Currency", money),
    ]


def fitting(*titles: str) -> str:
    """The first title that fits a line, else the last one cut."""
    for title in titles:
        if len(title) <= TITLE_LENGTH:
            return title
    return titles[-1][: TITLE_LENGTH - 1].rstrip() + "…"


def document_title(company: str, period_label: str | None) -> str:
    """``Example Ltd: can the Q4 2026 forecast be believed?``"""
    of = f"the {period_label} forecast" if period_label else "the forecast"
    return f"{company}: can {of} be believed?"


def verdict_title(verdict: Verdict, frame: Frame, grounds: Grounds) -> str:
    """The state and its weightiest reason, in full where it fits a title."""
    word = VERDICTS[verdict.state][0]
    code = next((code for code in verdict.reasons if code != "no_call_now"), "on_record")
    short = SHORT_REASONS[code].format(noun=frame.noun)
    return fitting(plain(verdict_sentence(verdict, frame, grounds)).removesuffix("."), f"{word}: {short}", word)


def forecaster_title(name: str, row: Mapping[str, Any] | None, word: str) -> str:
    """The one thing that is said of a forecaster beside the name, as a title."""
    said = DIRECTIONS.get(word, "no call made")
    if row is not None and word in ("runs_high", "runs_low") and row["lower"] is not None:
        span = lean_range(row["lower"], row["upper"])
        return fitting(f"{name}: calls {span}", f"{_short(name, 30)}: calls {span}", f"{_short(name, 40)}: {said}")
    return fitting(f"{name}: {said}", f"{_short(name, 40)}: {said}")


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def people_title(high: int, low: int, fair: int, total: int) -> str:
    """The finding of the page before the forecasters' own: how many have a word."""
    said = high + low + fair
    if total == 0:
        return "No forecaster has a record yet"
    if said == 0:
        return "For nobody is there enough evidence of a lean"
    of = theme.plural(total, "forecaster")
    return f"{theme.count(said)} of {of} {'has' if said == 1 else 'have'} enough evidence for a word"


def people_shown(shown: int, total: int) -> str:
    """Whose slides follow, where there are more forecasters than slides."""
    if shown == total:
        return ""
    if shown == 0:
        return f"None of the {theme.count(total)} forecasters has a slide: for nobody is there enough evidence."
    verb = "has a slide" if shown == 1 else "have a slide"
    return (
        f"{theme.count(shown)} of {theme.count(total)} forecasters {verb}: those of whom something can be said most "
        "surely. A deck for one manager shows that manager's people."
    )


def lean_label(layer: str, category: str) -> str:
    """``Reps: commit``."""
    name = LAYERS[layer][1]
    return f"{name[:1].upper()}{name[1:]}: {CATEGORIES[category]}"


def lean_kind(lower: float, upper: float) -> str:
    """Mark of a layer's average: which side of 1 its whole interval lies on."""
    return "runs_high" if upper < 1 else "runs_low" if lower > 1 else "not_enough_evidence"


def leans_title(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many kinds of calls lean on average, beyond their own interval."""
    if not rows:
        return "No layer's calls have a record yet"
    kinds = [lean_kind(row["lower"], row["upper"]) for row in rows]
    high, low = kinds.count("runs_high"), kinds.count("runs_low")
    if len(rows) == 1:
        only = lean_label(rows[0]["layer"], rows[0]["category"])
        return fitting(f"{only} calls {lean_range(rows[0]['lower'], rows[0]['upper'])} on average", only)
    if high == low == 0:
        return f"None of {len(rows)} kinds of calls shows a lean on average"
    said = [
        f"{count} {'runs' if count == 1 else 'run'} {way}" for count, way in ((high, "high"), (low, "low")) if count
    ]
    return f"Of {len(rows)} kinds of calls, {' and '.join(said)} on average"


def leans_caption(level: float, week: int) -> str:
    return f"Average landing rate of calls in force at week {week}, with the range that holds it {how_often(level)}."


def leans_slide_caption(level: float) -> str:
    """Of the forest on a slide: left of the line calls run high."""
    return (
        f"What lands of each call; bars: {how_often(level)}, changing shade at the estimate. Left of "
        f"{theme.percent(1)} calls run high (orange), right of it low (blue); black: fair, grey: not enough evidence."
    )


def gains_caption(level: float) -> str:
    """Of the steps on a slide: right of the line a step came nearer."""
    return f"Right of 0 a step came nearer than the one before it. {range_caption(level)}"


def drawn_of(shown: int, drawable: int) -> str:
    """Which forecasters a slide has room for."""
    if shown == drawable:
        return ""
    return f"{theme.count(shown)} of {theme.count(drawable)} are drawn, half from each end; the page has all."


BARS_CAPTION = "Under each period: by how much the call exceeded what landed."


def opened(text: str) -> str:
    """The first letter large."""
    return text[:1].upper() + text[1:]


def clipped(name: str) -> str:
    """A name beside a chart."""
    return _short(name, 22)


def range_caption(level: float) -> str:
    return f"Bars: where it lies {how_often(level)}; the change of shade is the estimate."


def held_word(inside: bool | None) -> str:
    return theme.MISSING if inside is None else "held" if inside else "did not hold"


def no_range(noun: str) -> str:
    return (
        f"No range was issued for this {noun}, so there are no odds to show: that needs a closed {noun} and open deals."
    )


def footer_line(
    *, edition_id: str, as_of: datetime, method: str, published: datetime, simulated: bool, whose: str
) -> str:
    """What every page of paper carries: which edition, as of when, by which method, of whom."""
    parts = [
        f"Edition {edition_id}",
        f"as of {theme.instant(as_of)}",
        f"published {theme.instant(published)}",
        f"method {method}",
        whose,
    ]
    return " · ".join([*parts, *(["simulated data"] if simulated else [])])


def unsaid_title(count: int) -> str:
    if count == 0:
        return "Every question of this deck has an answer"
    return "What the record cannot say yet" if count > 1 else "One thing the record cannot say yet"


def unsaid_people(unsure: int, total: int) -> str | None:
    """How many forecasters nothing is said of; that is not the same as fair."""
    if unsure == 0 or total == 0:
        return None
    who = "the one forecaster" if total == 1 else f"{theme.count(unsure)} of {theme.count(total)} forecasters"
    return f"Whether {who} {'leans' if total == 1 else 'lean'}: not enough evidence, which is not the same as fair."


NO_SHARE_OF_PROCESS = (
    "Which share of a lost deal sourcing, process or data caused: no exact share of it is theirs, so the bridge has "
    "no such step."
)


def missing_table(name: str, brings: str) -> str:
    """One table that has not landed, and what it would bring."""
    return f"{name}: not landed. It would bring {brings}."


def amount_told(name: str, amount: Decimal | None, currency: str) -> str:
    """For the notes: a figure to the cent."""
    return f"{name}: {theme.money_full(amount, currency)}"


language.take(__name__, globals())
