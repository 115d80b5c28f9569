"""Where a period lands, in words: the range, the odds, whether such ranges held. Pure, like ``wording``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from dashboard import language, theme
from dashboard.wording import TITLE_LENGTH, Card, Frame, asked, bold, how_often
from pipelines.engine.coverage import LEAST_PERIODS
from pipelines.engine.outlook import DOTS, Held, Line, Outlook, Swing, is_material


def _cash(amount: Decimal, frame: Frame) -> str:
    return theme.money(amount, frame.currency)


def _named(line: Line, frame: Frame) -> str:
    if line.name == "typed":
        return _cash(line.amount, frame)
    return f"the {_cash(line.amount, frame)} {'called' if line.name == 'call' else line.name}"


def odds(line: Line, frame: Frame) -> str:
    """``10 in 20 miss the $16.4M quota``; the ends are said as what they are, less than one dot."""
    if line.miss_count == 0:
        return f"fewer than 1 in {DOTS} miss {_named(line, frame)}"
    if line.miss_count == DOTS:
        return f"fewer than 1 in {DOTS} reach {_named(line, frame)}"
    return f"{line.miss_count} in {DOTS} miss {_named(line, frame)}"


def outlook_sentence(outlook: Outlook, frame: Frame) -> str:
    """Line 2: one expected number, one range at equal weight, one set of odds per line."""
    ends = f"{_cash(outlook.lower, frame)} and {_cash(outlook.upper, frame)}"
    lead = f"We expect {bold(_cash(outlook.estimate, frame))}; {bold(f'{how_often(outlook.level)} between {ends}')}."
    if not outlook.lines:
        return lead
    said = [odds(line, frame) for line in outlook.lines]
    said[0] = bold(said[0][0].upper() + said[0][1:])
    return f"{lead} {', '.join(said)}."


def basis(outlook: Outlook, frame: Frame) -> str:
    """What the range rests on, where it is not both."""
    past = frame.periods(outlook.period_count)
    return {
        "deals_only": f"It rests on the open deals and {past} alone: no call of this kind has enough of a record.",
        "call_only": f"It rests on the call and how {past} landed alone: too few deals are known.",
    }.get(outlook.status, "")


def swing_sentence(swing: Swing | None, frame: Frame) -> str | None:
    """Whether it is one deal's period; null where no single deal moves the odds by much."""
    if swing is None or not is_material(swing):
        return None
    return (
        f"{bold(f'One deal moves the odds: {swing.name}')}, {_cash(swing.amount, frame)}. If it is won, "
        f"{swing.won_count} in {DOTS} reach the call; if not, {swing.lost_count} in {DOTS}. "
        f"Deals like it are won {theme.percent(swing.chance)} of the time."
    )


# The dots


def dots_title(outlook: Outlook, noun: str) -> str:
    """The finding of the dotplot, ≤ 70 characters."""
    plan = outlook.plan
    if plan is None:
        return f"Twenty equally likely ends of the {noun}"
    goal = _goal(plan)
    if plan.miss_count == 0:
        return f"Fewer than 1 in {DOTS} equally likely outcomes misses {goal}"
    if plan.miss_count == DOTS:
        return f"Fewer than 1 in {DOTS} equally likely outcomes reaches {goal}"
    verb = "misses" if plan.miss_count == 1 else "miss"
    return f"{plan.miss_count} of {DOTS} equally likely outcomes {verb} {goal}"


def _goal(line: Line) -> str:
    return {"quota": "the quota", "call": "the call"}.get(line.name, "your line")


def dots_caption(outlook: Outlook) -> str:
    goal = _goal(outlook.plan) if outlook.plan else ""
    kinds = f" ◆ misses {goal}, ● reaches it." if goal else ""
    return f"As known at the end of week {outlook.week}.{kinds} Bar: {how_often(outlook.level)}."


def dots_alt(outlook: Outlook, frame: Frame) -> str:
    said = [f"{odds(line, frame)}" for line in outlook.lines]
    span = (
        f"{how_often(outlook.level)} between {_cash(outlook.lower, frame)} and {_cash(outlook.upper, frame)}, "
        f"expected {_cash(outlook.estimate, frame)}"
    )
    ends = f"from {_cash(outlook.dots[0], frame)} to {_cash(outlook.dots[-1], frame)}"
    return f"Twenty equally likely landings {ends}: {'; '.join([*said, span])}."


def line_label(line: Line, frame: Frame) -> str:
    """Beside the line itself: ``quota $16.4M``, ``called $18.7M``, ``your line $12.5M``."""
    return f"{ {'call': 'called', 'typed': 'your line'}.get(line.name, line.name) } {_cash(line.amount, frame)}"


# A line of the reader's own

SUREST = 0.99
"""The ends of what is published: beyond them the chance is said to be over, or under, and not counted."""


def chance(rate: float) -> str:
    """``63 %``; at the ends of what is known ``over 99 %`` and ``under 1 %``."""
    if rate >= SUREST - 1e-9:
        return f"over {theme.percent(SUREST)}"
    if rate <= 1 - SUREST + 1e-9:
        return f"under {theme.percent(1 - SUREST)}"
    return theme.percent(rate)


def line_example(estimate: Decimal, frame: Frame) -> str:
    """An amount of the right size to type: ``e.g. 12.5M``."""
    shown = _cash(abs(estimate), frame).removeprefix(theme.currency_prefix(frame.currency))
    return f"Type an amount, e.g. {shown}"


def line_sentence(line: Line, outlook: Outlook, frame: Frame) -> str:
    """The chance of reaching the line, what it rests on, and that the line is behind or above what has closed."""
    if line.reach_rate is None:
        return ""
    if line.amount <= outlook.closed_amount:
        return f"{bold(_cash(line.amount, frame))} has been reached: {_cash(outlook.closed_amount, frame)} has closed."
    return (
        f"The chance of landing at {bold(_cash(line.amount, frame))} or above is {bold(chance(line.reach_rate))}: "
        f"{odds(line, frame)}. As of week {outlook.week}, from {frame.periods(outlook.period_count)}."
    )


def not_an_amount(typed: str, estimate: Decimal, frame: Frame) -> str:
    return f"“{typed}” is not an amount. {line_example(estimate, frame)}."


# Whether ranges held


FEWEST_HELD = 4
"""Periods before the share that held is a finding: all of three hold half the time when 4 in 5 do."""


def held_title(held: Held, noun: str) -> str:
    """The finding of the coverage strip, ≤ 70 characters; of so few that none could be told from luck, no finding."""
    of = theme.plural(held.period_count, noun)
    if held.period_count < FEWEST_HELD:
        return f"The range held in {held.hit_count} of {of}: too few to judge"
    title = f"The range held in {held.hit_count} of {of}; {asked(held.level)} is asked"
    return title if len(title) <= TITLE_LENGTH else f"Held in {held.hit_count} of {of}"


def held_caption(outlook: Outlook) -> str:
    return (
        f"Bars: the range as it would have been issued at week {outlook.week}, from what was known then. "
        "Landed: ● inside, ◆ outside."
    )


def held_detail(held: Held, noun: str) -> str:
    """What so many periods can tell, and what they cannot."""
    n = theme.plural(held.period_count, noun)
    asked = how_often(held.level)
    if held.verdict == "too_narrow":
        return f"A range that holds {asked} would seldom fail this often: it has been too narrow."
    if held.verdict == "too_wide":
        return f"A range that holds {asked} would seldom hold this often: it has been wider than it need be."
    narrow = (
        f"{held.narrow_limit} or fewer would have shown it too narrow"
        if held.narrow_limit is not None
        else "no number of misses would have shown it too narrow"
    )
    wide = f"{held.wide_limit} or more too wide" if held.wide_limit is not None else "too wide could not be seen at all"
    if held.verdict == "too_few":
        verb = "is" if held.period_count == 1 else "are"
        return f"{n.capitalize()} {verb} too few to judge a range by: {LEAST_PERIODS} are the least."
    return f"That is what a range that holds {asked} does. Of {n}, {narrow}; {wide}."


def held_alt(rows: Sequence[tuple[str, Decimal, Decimal, Decimal, bool]], held: Held, frame: Frame) -> str:
    """``rows``: label, lower, upper, landed, inside; oldest first."""
    said = [
        f"{label} {_cash(lower, frame)} to {_cash(upper, frame)}, landed {_cash(landed, frame)} "
        f"({'inside' if inside else 'outside'})"
        for label, lower, upper, landed, inside in rows
    ]
    return f"{held_title(held, frame.noun)}: " + "; ".join(said) + "."


def held_card(held: Held, inside: Sequence[bool], frame: Frame) -> Card:
    """The tile that takes the third place once ranges are issued."""
    ticks = "".join("●" if flag else "◆" for flag in inside)
    return Card(
        "Range held",
        f"{held.hit_count} of {held.period_count}",
        f"{ticks} · {asked(held.level)} asked",
        f"{frame.noun.capitalize()}s, oldest first, in which what landed lay inside (●) or outside (◆) the range as it "
        f"would have been issued at this week from what was known then. {held_detail(held, frame.noun)}",
    )


def nothing_to_hold(noun: str) -> str:
    return f"No closed {noun} had a range issued at this week yet, so whether such ranges hold is not known."


OUTLOOK_COLUMNS = ("Lower", "Expected", "Upper", "Landed", "Range")


def held_rows(rows: Sequence[tuple[str, Decimal, Decimal, Decimal, Decimal, bool]], currency: str) -> list[list[str]]:
    """Cells of the table of past ranges: label, lower, expected, upper, landed, held."""
    return [
        [
            label,
            *(theme.money_full(amount, currency) for amount in (lower, estimate, upper, landed)),
            "held" if inside else "did not hold",
        ]
        for label, lower, estimate, upper, landed, inside in rows
    ]


language.take(__name__, globals())
