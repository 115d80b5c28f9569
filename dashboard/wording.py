"""Results in words: every sentence, label, title and alternative text about numbers, in English.

Another language is another module with these names. Functions are pure and take engine results or plain values.
Sentences mark what is bold with ``BOLD``; ``markdown`` turns one into safe Markdown, ``plain`` strips it.

How a lean is put: a landing rate R (what lands ÷ what was called) means that the call exceeds what lands by 1 ÷ R − 1.
"Calls run high by 12–24 %" is that share, the house sign of error ÷ actual. A lean is a number, never a motive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from pipelines.engine.expectation import Expectation, RecordSummary
from pipelines.engine.freshness import Freshness
from pipelines.engine.outlook import Held
from pipelines.engine.verdict import Check, Verdict
from pipelines.policy import Policy

BOLD = "\x02"
TITLE_LENGTH = 70

VERDICTS = {
    "trust": ("Trust", ":material/verified:"),
    "trust_with_care": ("Trust with care", ":material/error:"),
    "do_not_rely": ("Do not rely on it", ":material/do_not_disturb_on:"),
    "not_enough_history": ("Not enough history to say", ":material/hourglass_empty:"),
}
DIRECTIONS = {
    "runs_high": "runs high",
    "runs_low": "runs low",
    "fair": "fair",
    "not_enough_evidence": "not enough evidence",
    "not_enough_history": "not enough history",
    "nothing_landed": "nothing landed yet",
    "no_call": "no call made",
}
LAYERS = {
    "rep": ("rep", "reps"),
    "manager": ("manager", "managers"),
    "executive": ("executive", "executives"),
    "finance": ("finance team", "finance"),
}
CATEGORIES = {"commit": "commit", "most_likely": "most likely", "best_case": "best case"}
HORIZONS = {"start": "start", "lock": "lock week", "middle": "middle", "late": "late", "end": "last week"}


@dataclass(frozen=True)
class Frame:
    """What every sentence about calls is said of: the period's noun, the week, the company's currency."""

    noun: str
    week: int
    currency: str
    period_label: str | None
    min_periods: int
    fair_zone: float

    def periods(self, number: int) -> str:
        return theme.plural(number, self.noun)


@dataclass(frozen=True)
class Card:
    """One tile: what it is, its number, what stands beside the number, and how it is computed in a sentence."""

    label: str
    value: str
    note: str
    explanation: str


def bold(text: str) -> str:
    return f"{BOLD}{text}{BOLD}"


def plain(text: str) -> str:
    return text.replace(BOLD, "")


def markdown(text: str) -> str:
    """Safe Markdown: a name or a dollar sign stands as it is, only what was marked is bold."""
    return theme.escape(text).replace(BOLD, "**")


def _short(text: str, length: int = TITLE_LENGTH) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


# Leans


def lean_rate(landing_rate: float) -> float:
    """By what share of what lands the call exceeds it: 1 ÷ R − 1; positive = runs high."""
    return 1.0 / landing_rate - 1.0


def lean_point(landing_rate: float | None) -> str:
    """``12 % high``, ``4 % low``, ``as called``; nothing landed is said so."""
    if landing_rate is None:
        return theme.MISSING
    if landing_rate <= 0:
        return "nothing landed"
    lean = lean_rate(landing_rate)
    size = theme.percent(abs(lean))
    if size == theme.percent(0.0):
        return "as called"
    return f"{size} {'high' if lean > 0 else 'low'}"


def lean_range(lower: float, upper: float) -> str:
    """What calls do, from the interval of the landing rate: ``run high by 12–24 %``, ``run low by up to 5 %`` ..."""
    if lower <= 0:
        return f"run high by at least {theme.percent(max(lean_rate(upper), 0.0))}" if upper > 0 else "land nothing"
    least, most = lean_rate(upper), lean_rate(lower)
    zero = theme.percent(0.0)
    ends = (theme.percent(abs(least)), theme.percent(abs(most)))
    if ends == (zero, zero):
        return "land as called"
    if least < 0 < most and zero not in ends:
        return f"run between {ends[0]} low and {ends[1]} high"
    word = "high" if abs(most) >= abs(least) else "low"
    near, far = sorted((abs(least), abs(most)))
    if theme.percent(near) == zero:
        return f"run {word} by up to {theme.percent(far)}"
    return f"run {word} by {theme.percent_range(near, far)}"


def how_often(level: float) -> str:
    """A level in natural frequency: ``4 times in 5``."""
    for whole in (2, 4, 5, 10, 20):
        times = level * whole
        if abs(times - round(times)) < 1e-9 and 0 < round(times) < whole:
            return f"{round(times)} {'time' if round(times) == 1 else 'times'} in {whole}"
    return f"{theme.percent(level)} of the time"


def all_or_some(inside: int, total: int, noun: str) -> str:
    """``all 12 past quarters``, ``10 of 12 past quarters``, ``both past quarters``, ``the one past quarter``."""
    if inside < total:
        return f"{inside} of {total} past {noun}s"
    if total == 1:
        return f"the one past {noun}"
    return f"both past {noun}s" if total == 2 else f"all {total} past {noun}s"


# The Trust page


@dataclass(frozen=True)
class Grounds:
    """What the verdict was made from, for the sentences that give its reasons."""

    summary: RecordSummary
    expected: Expectation
    fresh: Freshness
    caller_count: int
    missing_count: int
    held: Held | None = None


def asked(level: float) -> str:
    """A promise in short: ``4 in 5``."""
    return how_often(level).replace(" times in ", " in ").replace(" time in ", " in ")


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
    return _short(f"In {times} of {total} {noun}s the call was {side} what landed")


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


# Forecasters


def one_lean(estimate: float, lower: float, upper: float, level: float, currency: str) -> str:
    """``$0.87 of each $1.00 called lands ($0.84–$0.90, 4 times in 5)``."""
    ends = f"{theme.unit(lower, currency)}{theme.EN_DASH}{theme.unit(upper, currency)}"
    lands = theme.per_unit(estimate, currency)
    return f"{bold(lands)} called lands ({ends}, {how_often(level)})"


def differ_sentence(
    answer: str,
    frame: Frame,
    *,
    forecaster_count: int,
    period_count: int,
    common: tuple[float, float, float, float] | None,
    layer: str,
) -> str:
    """First line of Forecasters: whether they differ at all, before anybody is named.

    ``common``: estimate, lower, upper, level of the landing rate they share, or null where it cannot be given.
    """
    people = theme.plural(forecaster_count, *LAYERS[layer])
    n = frame.periods(period_count)
    lean = f" {one_lean(*common, frame.currency)} over {n}." if common else ""
    if answer == "differ":
        return f"Forecasters differ by more than chance.{' Together,' + lean if lean else ''}"
    if answer == "no_evidence":
        if common is None:
            return f"No evidence that the {people} differ, and too few {frame.noun}s for a common lean."
        return f"No evidence that the {people} differ. One lean fits all of them:{lean}"
    if forecaster_count == 0:
        return f"Nobody has called at this layer: no {LAYERS[layer][1]} to speak of."
    if forecaster_count == 1:
        return f"One forecaster: there is nobody to compare with.{lean}"
    return f"Too little history to say whether the {people} differ.{' Together,' + lean if lean else ''}"


def counts_title(high: int, low: int, fair: int, unsure: int) -> str:
    """Finding of the caterpillar: how many lean, and for how many nothing can be said."""
    total = high + low + fair + unsure
    if total == 0:
        return "No forecaster to show"
    if unsure == total:
        return "For nobody is there enough evidence of a lean" if total > 1 else "Not enough evidence of a lean"
    parts = [
        f"{theme.count(number)} {word if number != 1 else one}"
        for number, word, one in ((high, "run high", "runs high"), (low, "run low", "runs low"))
        if number
    ]
    if fair:
        parts.append(f"{theme.count(fair)} {'is' if fair == 1 else 'are'} fair")
    if unsure:
        parts.append(f"for {theme.count(unsure)} not enough evidence")
    return _short(", ".join(parts))


def caterpillar_alt(rows: Sequence[tuple[str, float | None, float | None, float | None, str]], level: float) -> str:
    """``rows``: name, estimate, lower, upper, word, in the order drawn."""
    said = [
        f"{name} {theme.percent(estimate)} ({theme.percent_range(lower, upper)}), {word}"
        for name, estimate, lower, upper, word in rows
    ]
    return f"What lands of each call, with the range that holds {how_often(level)}: " + "; ".join(said) + "."


def shown_of(shown: int, drawable: int, *, listed: int, ranked: bool, departed: int) -> str:
    """Which rows the chart shows, where it cannot show all; who is counted but not listed."""
    parts = []
    if shown < drawable and ranked:
        parts.append(
            f"The {theme.count(shown // 2)} lowest and {theme.count(shown - shown // 2)} highest of "
            f"{theme.count(drawable)} are drawn; the table has all."
        )
    elif shown < drawable:
        parts.append(f"The first {theme.count(shown)} of {theme.count(drawable)} by name are drawn; the table has all.")
    if drawable < listed:
        young = listed - drawable
        parts.append(f"{theme.count(young)} {'has' if young == 1 else 'have'} too short a record to draw.")
    if departed:
        who = "1 who has left counts" if departed == 1 else f"{theme.count(departed)} who have left count"
        parts.append(f"{who} in the pool and {'is' if departed == 1 else 'are'} not listed.")
    return " ".join(parts)


def what_a_word_takes(policy: Policy, noun: str) -> str:
    """How much evidence stands behind a word about a person."""
    wrong = round(1 / policy.flag_mean_lfsr)
    return (
        f"Nobody gets a word under {policy.min_periods_label} closed {noun}s and, where deals are known, "
        f"{policy.min_deals_label} won ones (or none at all: then the {noun}s are counted). Fair comes first: within "
        f"{theme.percent(policy.fair_zone)} of what lands with a chance of {asked(policy.fair_probability)}, "
        "however surely a small lean points one way. Other leans are named from the surest down, as long as the model "
        f"expects at most 1 in {wrong} of those named to point the wrong way; in simulated teams more did (see "
        "Method). For everybody else there is not enough evidence, which is not the same as fair. A lean may have many "
        "causes: a territory, a short tenure, inherited deals."
    )


def sure(wrong_sign_rate: float) -> str:
    """How surely a direction is known, never rounded up to certainty: ``97 %``, ``more than 99 %``."""
    rate = 1 - wrong_sign_rate
    return f"more than {theme.percent(0.99)}" if rate > 0.99 else theme.percent(rate)


def forecaster_word(
    frame: Frame,
    *,
    direction: str,
    status: str,
    lower: float | None,
    upper: float | None,
    wrong_sign_rate: float | None,
    min_periods_label: int,
) -> str:
    """The one thing that is said of a forecaster, or why nothing is."""
    if status == "no_call":
        return f"No call above zero yet that a closed {frame.noun} could be held against."
    if status == "not_enough_history":
        needed = f"{min_periods_label} closed {frame.noun}s and, where deals are known, ten won ones are needed"
        return f"Not enough history for a word: {needed}."
    if status == "nothing_landed":
        # The posterior of somebody with nothing but zeros has no size worth quoting: its direction is what is known.
        return (
            f"Nothing called has landed: {sure(wrong_sign_rate)} sure that calls run high."
            if direction == "runs_high" and wrong_sign_rate is not None
            else "Nothing called has landed yet; that alone is not enough evidence of a lean."
        )
    if direction in ("runs_high", "runs_low") and lower is not None and upper is not None:
        certain = "" if wrong_sign_rate is None else f": {sure(wrong_sign_rate)} sure of the direction"
        return f"Calls {lean_range(lower, upper)}{certain}."
    if direction == "fair":
        return f"Calls are fair: within {theme.percent(frame.fair_zone)} of what lands."
    return "Not enough evidence of a lean either way."


def forecaster_sentence(
    name: str,
    frame: Frame,
    *,
    estimate: float | None,
    lower: float | None,
    upper: float | None,
    level: float | None,
    period_count: int,
    status: str = "ok",
) -> str:
    """``For every $1.00 Ann calls, $0.82 lands (4 times in 5 between $0.71 and $0.94; 7 quarters).``"""
    n = frame.periods(period_count)
    if status == "nothing_landed":
        return f"Nothing of what {name} called in {n} landed; there is no landing to tell the size of a lean from."
    if estimate is None or lower is None or upper is None or level is None:
        return f"{n.capitalize()} with a call and a landing: too little to say what lands of each call."
    one = f"{theme.currency_prefix(frame.currency)}1.00"
    ends = f"{theme.unit(lower, frame.currency)} and {theme.unit(upper, frame.currency)}"
    return (
        f"For every {one} {name} calls, {bold(theme.unit(estimate, frame.currency))} lands "
        f"({how_often(level)} between {bold(ends)}; {n})."
    )


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


def lock_line(frame: Frame, layer: str, category: str, scope_name: str, as_of: str) -> str:
    """What the Forecasters pages are of: closed periods, at the lock week."""
    parts = [
        f"{LAYERS[layer][1].capitalize()}' {CATEGORIES[category]} calls at week {frame.week} of closed {frame.noun}s, "
        f"{scope_name}",
        f"as of {as_of}",
    ]
    if frame.currency != theme.NO_CURRENCY:
        parts.append(f"in {frame.currency}")
    return " · ".join(parts)


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


def open_deals(count: int, amount: Decimal | None, late_count: int, late_amount: Decimal | None, currency: str) -> str:
    """What deals alone can say of the number: how much is open, and how much of it cannot close as dated."""
    worth = f" worth {bold(theme.money(amount, currency))}" if amount is not None else ""
    verb = "is" if count == 1 else "are"
    said = f"{bold('What is known:')} {theme.plural(count, 'deal')} {verb} open{worth}"
    if late_count == 0:
        return f"{said}; none is past its close date."
    stale = f" ({theme.money(late_amount, currency)})" if late_amount is not None else ""
    return f"{said}; {theme.count(late_count)}{stale} {'is' if late_count == 1 else 'are'} past the close date stated."


def differ_detail(answer: str, between_sd: float | None) -> str:
    """What the first line of Forecasters rests on."""
    if answer == "no_evidence":
        return (
            "What separates one record from another is no more than chance makes of people who all lean alike, "
            "so nobody is ranked: the list is by name."
        )
    if answer == "differ" and between_sd is not None:
        spread = theme.percent(between_sd)
        return (
            f"Beyond chance, their leans spread by about ±{spread} around the common one. The list runs from the "
            "lowest landing rate to the highest; a hollow mark says nothing of anybody."
        )
    return "Nobody is ranked: the list is by name."


def caterpillar_caption(level: float, *, has_common: bool, fair_zone: float) -> str:
    common = " Dotted: the common lean, with its range." if has_common else ""
    return (
        f"What lands of each call; bars: {how_often(level)}. "
        f"◆ runs high, ● runs low, ■ fair, ○ not enough evidence. Shade: within {theme.percent(fair_zone)}.{common}"
    )


def funnel_title(outside: int, total: int, level: float) -> str:
    """How many own records lie outside the funnel, beside how many chance alone would put there."""
    if total == 0:
        return "No own record to draw yet"
    by_chance = round((1 - level) * total)
    chance = theme.count(by_chance) if by_chance else "under 1"
    if outside == 0:
        return "Every own record lies where chance alone could put it"
    lie = "lies" if outside == 1 else "lie"
    return f"{theme.count(outside)} of {theme.count(total)} records {lie} outside; chance alone puts {chance} there"


def funnel_caption(level: float) -> str:
    return f"Raw landing rate of each own record. Between the curves, {how_often(level)}, lie those who do not differ."


def too_young(min_periods: int, noun: str) -> str:
    return f"No forecaster has {theme.plural(min_periods, f'closed {noun}')} with a call yet, so no lean is shown."


def nobody_chosen() -> str:
    return "Choose a forecaster above, or start from the list of all of them."


def unknown_forecaster(asked: str) -> str:
    return f"No forecaster {bold(asked)} is known in this edition; the link may be of another. Choose a name above."


def forecaster_facts(
    name: str,
    *,
    own_weight_rate: float | None,
    called: int | None,
    expected: int | None,
    noun: str,
    unforecast_rate: float | None = None,
) -> str:
    """How much the estimate rests on the own record, how regularly calls are made, what landed where 0 was called.

    ``unforecast_rate``: share of what landed in periods called at 0, where it is worth a remark.
    """
    parts = []
    if own_weight_rate is not None:
        own = theme.percent(own_weight_rate)
        rest = "." if own == theme.percent(1.0) else ", the rest on how peers' calls land."
        parts.append(f"{own} of this rests on {name}'s own record{rest}")
    if called is not None and expected:
        parts.append(f"A call was made in {called} of {theme.plural(expected, noun)}.")
    if unforecast_rate is not None:
        parts.append(f"{theme.percent(unforecast_rate)} of what landed came in {noun}s called at zero.")
    return " ".join(parts)


def person_line(
    *, role: str | None, team: str | None, region: str | None, hired_on: date | None, left_on: date | None
) -> str:
    """What is known of the circumstances of a record: where somebody works and since when."""
    parts = [part for part in (role, team, region) if part]
    if hired_on:
        parts.append(f"hired {theme.month(hired_on)}")
    if left_on:
        parts.append(f"left {theme.month(left_on)}")
    return " · ".join(parts) if parts else "No people table has landed: team, tenure and territory are not known"


def horizons_title(noun: str) -> str:
    return f"How calls land by week of the {noun}"


def horizon_rows(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            f"week {row['week_of_period']} ({HORIZONS.get(row['horizon_bucket'], row['horizon_bucket'])})",
            theme.percent(row["estimate"]),
            theme.percent_range(row["lower"], row["upper"]),
            theme.count(row["period_count"]),
        ]
        for row in rows
    ]


def horizons_caption(level: float) -> str:
    return (
        f"Ranges hold {how_often(level)}. A word is given at the lock week only, so that nobody is judged five times."
    )


language.take(__name__, globals())
