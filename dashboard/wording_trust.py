"""The Trust page in words, as ``wording`` puts the rest: the verdict, its reasons, the tiles and the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.wording import (
    CATEGORIES,
    LAYERS,
    VERDICTS,
    Card,
    Frame,
    all_or_some,
    asked,
    bold,
    how_often,
    lean_point,
    lean_range,
    short,
)
from pipelines.engine.expectation import Expectation, RecordSummary
from pipelines.engine.freshness import Freshness
from pipelines.engine.outlook import Held
from pipelines.engine.verdict import Check, Verdict


@dataclass(frozen=True)
class Grounds:
    """What the verdict was made from, for the sentences that give its reasons."""

    summary: RecordSummary
    expected: Expectation
    fresh: Freshness
    caller_count: int
    missing_count: int
    held: Held | None = None


def _held(held: Held, frame: Frame) -> str:
    return f"held in {held.hit_count} of {frame.periods(held.period_count)}"


def _naive(frame: Frame, kind: str | None) -> str:
    """What the naive forecast repeats: ``RecordSummary.naive_kind``, which a short history decides."""
    if kind == "previous_period":
        return f"repeating the {frame.noun} before"
    if kind == "mixed":
        return f"repeating last year's same {frame.noun} (or the one before)"
    return f"repeating last year's same {frame.noun}"


def reason(code: str, frame: Frame, grounds: Grounds) -> str:
    """One reason of the verdict as a clause with its numbers."""
    summary, expected = grounds.summary, grounds.expected
    total = frame.periods(summary.period_count)
    naive = _naive(frame, summary.naive_kind)
    within = f"within {theme.percent(frame.fair_zone)} of the call"
    fair = f"{summary.fair_count} of {total} landed {within}"
    lean = ""
    if expected.lower is not None and expected.upper is not None:
        lean = lean_range(expected.lower, expected.upper)
    usual = grounds.missing_count + grounds.caller_count
    days = grounds.fresh.age_days
    clauses = {
        "no_calls": "no calls have landed, so there is nothing to hold against what closed",
        "few_periods": f"{total} closed with calls at this week, {frame.min_periods} are needed",
        "lean_uncertain": f"on average, calls at this week {lean}; {total} cannot say it closer",
        "scattered": f"only {fair}",
        "nothing_called": f"every call of the {total} closed at this week was zero",
        "nothing_landed": f"nothing landed of what was called in {total}",
        "worse_than_naive": f"{naive} would have been closer",
        "no_better_than_naive": f"the calls came no closer than {naive} would have",
        "range_failed": f"the range {_held(grounds.held, frame)} only, where {asked(grounds.held.level)} is asked"
        if grounds.held
        else "the range has not held as often as it promised",
        "skill_unknown": "the calls cannot be held against a naive forecast yet",
        "missing_calls": f"{theme.count(grounds.missing_count)} of {usual} who usually call by now have not",
        "stale": "nothing tells how old the data are"
        if days is None
        else f"the newest recorded fact is {lapse(days)} old",
        "no_call_now": f"no call has been made for {frame.period_label or 'the open ' + frame.noun}",
        "on_record": fair,
    }
    return clauses.get(code, f"on average, calls at this week {lean}")


def verdict_sentence(verdict: Verdict, frame: Frame, grounds: Grounds) -> str:
    """Line 1: the state, and its weightiest reason."""
    return f"{VERDICTS[verdict.state][0]}: {verdict_reason(verdict, frame, grounds)}"


def verdict_reason(verdict: Verdict, frame: Frame, grounds: Grounds) -> str:
    """What stands behind the state's word; staleness never hides the reason behind it."""
    return f"{', and '.join(_said(verdict, frame, grounds))}."


def _said(verdict: Verdict, frame: Frame, grounds: Grounds) -> list[str]:
    codes = [code for code in verdict.reasons if code != "no_call_now"] or ["on_record"]
    kept = codes[:2] if codes[0] == "stale" else codes[:1]
    return [reason(code, frame, grounds) for code in kept]


def check_sentence(check: Check, frame: Frame, grounds: Grounds) -> str:
    """One condition of Trust with what was found, after the colon what is asked."""
    summary, expected, fresh = grounds.summary, grounds.expected, grounds.fresh
    zone = theme.percent(frame.fair_zone)
    n = frame.periods(summary.period_count)
    naive = _naive(frame, summary.naive_kind)
    if check.holds is None:
        return {
            "lean": f"Average lean: {frame.min_periods} {frame.noun}s are needed to say it."
            if summary.period_count < frame.min_periods
            else "Average lean: nothing that was called has landed, or nothing was called.",
            "close": f"Single {frame.noun}s: {frame.min_periods} are needed to judge them.",
            "range": f"The range {_held(grounds.held, frame)}: too few to judge it by." if grounds.held else "",
            "skill": f"Against {naive}: cannot be compared yet.",
            "complete": "Who has called: nobody yet.",
            "fresh": "Freshness: unknown.",
        }[check.name]
    usual = theme.count(grounds.caller_count + grounds.missing_count)
    lean = ""
    if expected.lower is not None and expected.upper is not None:
        lean = lean_range(expected.lower, expected.upper)
    skill = f"{theme.percent(summary.wape_rate, 1)} off"
    if summary.naive_wape_rate is not None and summary.skill_rate is not None:
        closer = "Closer" if summary.skill_rate > 0 else "No closer"
        skill = f"{closer} than {naive}, which was {theme.percent(summary.naive_wape_rate, 1)} off"
    days = "of unknown age" if fresh.age_days is None else f"{lapse(fresh.age_days)} old"
    return {
        "lean": f"On average, calls {lean}; within {zone} is asked.",
        "close": f"{summary.fair_count} of {n} landed within {zone}; more than half is asked.",
        "range": f"The range {_held(grounds.held, frame)}; {asked(grounds.held.level)} is asked."
        if grounds.held
        else "",
        "skill": f"{skill}.",
        "complete": f"{theme.count(grounds.caller_count)} of {usual} who usually call have called.",
        "fresh": f"The newest fact is {days}." if fresh.age_days else "The newest fact is of the same day.",
    }[check.name]


def expected_sentence(
    expected: Expectation,
    frame: Frame,
    *,
    summary: RecordSummary,
    lowest_amount: Decimal | None,
    highest_amount: Decimal | None,
) -> str:
    """Line 2: one expected number, and what single periods did, at equal weight; never the average's interval alone."""

    def cash(amount: Decimal | None) -> str:
        return theme.money(amount, frame.currency)

    spread = ""
    if summary.lowest_rate is not None and summary.highest_rate is not None:
        past = all_or_some(summary.inside_count, summary.period_count, frame.noun)
        rates = theme.percent_range(summary.lowest_rate, summary.highest_rate)
        if summary.period_count == 1:
            rates = theme.percent(summary.lowest_rate)
            spread = f"{past.capitalize()} at this week landed at {rates} of the call."
        else:
            spread = f"{bold(past.capitalize())} at this week landed at {rates} of the call"
            here = f": here {bold(f'{cash(lowest_amount)} to {cash(highest_amount)}')}" if lowest_amount else ""
            spread += here + "."
    if expected.status == "no_call":
        lead = f"No call has been made for {frame.period_label or 'the open ' + frame.noun} at this week."
        if expected.estimate is not None:
            lead += f" Such calls have landed at {bold(theme.percent(expected.estimate))} on average."
        return f"{lead} {spread}".strip()
    if expected.status == "not_enough_history":
        lead = f"{bold(cash(expected.call_amount))} is called for {frame.period_label}; what such calls land at "
        return f"{lead}cannot be said yet. {spread}".strip()
    lead = (
        f"Expect about {bold(cash(expected.expected_amount))} of the {cash(expected.call_amount)} called: "
        f"calls at week {frame.week} have landed at {theme.percent(expected.estimate)} on average."
    )
    return f"{lead} {spread}".strip()


def trust_cards(
    frame: Frame, *, summary: RecordSummary, expected: Expectation, fresh: Freshness, fair: Sequence[bool | None]
) -> list[Card]:
    """The four tiles: what lands, how far off, how often close, how fresh."""
    n = frame.periods(summary.period_count)
    zone = theme.percent(frame.fair_zone)
    average = (
        f"{theme.percent_range(expected.lower, expected.upper)}, {how_often(expected.level)} · {n}"
        if expected.level is not None
        else f"{n}; {frame.min_periods} needed"
    )
    naive = (
        f"naive {theme.percent(summary.naive_wape_rate, 1)} · {frame.periods(summary.compared_count)}"
        if summary.naive_wape_rate is not None
        else f"nothing to compare with · {n}"
    )
    ticks = "".join("·" if flag is None else "●" if flag else "◇" for flag in fair)
    return [
        Card(
            "Calls land at",
            theme.percent(expected.estimate),
            average,
            "What landed ÷ what was called, over closed periods at this week. The interval is of the average; single "
            "periods scatter more.",
        ),
        Card(
            "Typical miss",
            theme.percent(summary.wape_rate, 1),
            naive,
            f"How far calls were from what landed, as a share of it. Naive: {_naive(frame, summary.naive_kind)}.",
        ),
        Card(
            f"Landed within {zone}",
            f"{summary.fair_count} of {summary.period_count}" if summary.period_count else theme.MISSING,
            ticks or n,
            f"{frame.noun.capitalize()}s, oldest first: ● landed within {zone} of the call, ◇ did not. The larger of "
            f"the two may exceed the smaller by {zone}, so that high and low are judged alike.",
        ),
        Card(
            "Data freshness",
            age(fresh),
            ("stale" if fresh.is_stale else "on time") + f" · newest {theme.day(fresh.newest_at)}",
            f"Days from the newest recorded deal or call to {theme.day(fresh.judged_on)}.",
        ),
    ]


def age(fresh: Freshness) -> str:
    if fresh.age_days is None:
        return theme.MISSING
    return "same day" if fresh.age_days == 0 else lapse(fresh.age_days)


def lapse(days: int) -> str:
    """``12 days``, ``3 months``, ``6 years``: in the largest unit of which two have passed; whole units only."""
    for length, unit in ((365, "year"), (30, "month")):
        if days >= 2 * length:
            return theme.plural(days // length, unit)
    return theme.plural(days, "day")


def trend(summary: RecordSummary) -> str | None:
    """Whether misses grow or shrink: the last four periods beside the four before; null below eight periods."""
    recent, earlier = summary.recent_wape_rate, summary.earlier_wape_rate
    if recent is None or earlier is None:
        return None
    now, then = theme.percent(recent, 1), theme.percent(earlier, 1)
    if now == then:
        return f"The typical miss is unchanged: {now} over the last four and the four before."
    word = "shrank" if recent < earlier else "grew"
    return f"The typical miss {word} from {then} to {now}, the last four against the four before."


def record_title(summary: RecordSummary, noun: str) -> str:
    """The finding of the track record."""
    total, high, low = summary.period_count, summary.high_count, summary.low_count
    if total == 0:
        return f"No closed {noun} has a call at this week yet"
    if total == 1:
        side = "above" if high else "below" if low else "exactly"
        return f"One closed {noun} so far: the call was {side} what landed"
    if total in (high, low):
        which = f"both {noun}s" if total == 2 else f"all {total} {noun}s"
        return f"In {which} the call was {'above' if high else 'below'} what landed"
    if high == low == 0:
        which = f"both {noun}s" if total == 2 else f"all {total} {noun}s"
        return f"In {which} the call was exactly what landed"
    if high == low:
        return f"Calls landed on either side equally: {high} of {total} {noun}s ran high"
    side, times = ("above", high) if high > low else ("below", low)
    return short(f"In {times} of {total} {noun}s the call was {side} what landed")


def record_alt(
    rows: Sequence[tuple[str, Decimal, Decimal, float | None]], frame: Frame, expected: Expectation | None
) -> str:
    """``rows``: label, call, landed, landing rate per period, oldest first."""
    said = [
        f"{label} called {theme.money(call, frame.currency)}, landed {theme.money(landed, frame.currency)}"
        f" ({lean_point(rate)})"
        for label, call, landed, rate in rows
    ]
    if expected is not None and expected.call_amount is not None:
        now = f"{frame.period_label} called {theme.money(expected.call_amount, frame.currency)}"
        if expected.expected_amount is not None:
            now += f", expected to land at about {theme.money(expected.expected_amount, frame.currency)}"
        said.append(now)
    return f"Call at week {frame.week} against what landed, per {frame.noun}: " + "; ".join(said) + "."


def without_calls(has_deals: bool) -> list[str]:
    """What can and cannot be known without a single call, and what would change that."""
    known = (
        "The deals that have landed say what closed, when and for how much; they do not say what anybody expected. "
        if has_deals
        else ""
    )
    return [
        f"{known}Whether a forecast can be believed is a comparison of what was called with what landed, "
        "so without calls there is no verdict, no lean of a forecaster and no track record to show.",
        f"{bold('What would change that:')} forecast submissions (who called what, when), or a spreadsheet of "
        "forecaster, period, call and actual. Four closed periods give a first verdict, six a word on a forecaster.",
    ]


def bare_line(frame: Frame, as_of: str) -> str:
    """What a page without calls is of."""
    return f"{frame.period_label} · as of {as_of}" if frame.period_label else f"As of {as_of}"


def context_line(
    frame: Frame,
    *,
    layer: str,
    category: str,
    scope_name: str,
    days_left: int | None,
    as_of: str,
    quota: Decimal | None,
) -> str:
    """Period, horizon, as-of, whose calls, currency: what every tile below it is of."""
    of = f"{frame.period_label} {CATEGORIES[category]} call" if frame.period_label else f"{CATEGORIES[category]} call"
    parts = [f"{of.capitalize() if not frame.period_label else of}, week {frame.week}"]
    if days_left is not None:
        parts.append(f"{theme.plural(days_left, 'day')} to go" if days_left else "the last day")
    parts += [f"{LAYERS[layer][1]}, {scope_name}", f"as of {as_of}"]
    if frame.currency != theme.NO_CURRENCY:
        parts.append(f"in {frame.currency}")
    if quota is not None:
        parts.append(f"quota {theme.money(quota, frame.currency)}")
    return " · ".join(parts)


def open_deals(count: int, amount: Decimal | None, late_count: int, late_amount: Decimal | None, currency: str) -> str:
    """What deals alone can say of the number: how much is open, and how much of it cannot close as dated."""
    worth = f" worth {bold(theme.money(amount, currency))}" if amount is not None else ""
    verb = "is" if count == 1 else "are"
    said = f"{bold('What is known:')} {theme.plural(count, 'deal')} {verb} open{worth}"
    if late_count == 0:
        return f"{said}; none is past its close date."
    stale = f" ({theme.money(late_amount, currency)})" if late_amount is not None else ""
    return f"{said}; {theme.count(late_count)}{stale} {'is' if late_count == 1 else 'are'} past the close date stated."


def record_caption(frame: Frame, *, shown: int, total: int) -> str:
    """What the marks of the track record mean."""
    latest = f" The latest {shown} of {total} {frame.noun}s." if shown < total else ""
    zone = theme.percent(frame.fair_zone)
    return (
        f"Outline: called at week {frame.week}. Solid: landed. Below, the call against what landed, %: "
        f"above 0 it ran high; the shade is within {zone}.{latest}"
    )


RECORD_COLUMNS = ("Called", "Landed", "Call − landed", "Lands at", "The call ran", "Callers")


def record_rows(rows: Iterable[Mapping[str, Any]], currency: str, *, callers: bool) -> list[list[str]]:
    """Cells of the record's table: the period, then ``RECORD_COLUMNS`` (without callers for one forecaster)."""
    cells = []
    for row in rows:
        missing = f" ({theme.count(row['missing_count'])} missing)" if row["missing_count"] else ""
        cells.append(
            [
                str(row["label"]),
                theme.money_full(row["call_amount"], currency),
                theme.money_full(row["landed_amount"], currency),
                theme.money_full(row["error_amount"], currency, signed=True),
                theme.percent(row["landing_rate"], 1),
                lean_point(row["landing_rate"]),
                *([theme.count(row["caller_count"]) + missing] if callers else []),
            ]
        )
    return cells


language.take(__name__, globals())
