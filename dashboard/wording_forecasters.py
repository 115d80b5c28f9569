"""Forecasters in words, as ``wording`` puts the rest: who leans which way and how surely, and one person's record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from dashboard import language, theme
from dashboard.wording import CATEGORIES, HORIZONS, LAYERS, Frame, asked, bold, how_often, lean_range, short
from pipelines.policy import Policy


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
    return short(", ".join(parts))


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
