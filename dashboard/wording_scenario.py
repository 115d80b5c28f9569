"""What a reader assumes of single deals, and what it does to range and odds, in words. Pure, like ``wording``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from dashboard import language, theme
from dashboard.assumptions import NamedDeal, Said, ScenarioAnswer
from dashboard.wording import Frame, bold, how_often
from dashboard.wording_landing import odds
from pipelines.engine.outlook import DOTS, Line

TITLE = "What if a deal goes another way?"
KINDS = {
    "out": "is not won this {noun}",
    "won": "is won this {noun}",
    "cut": "is discounted by",
    "rate": "has the chance to be won of",
    "date": "closes on",
}
HONEST = (
    "This is your assumption, not our forecast. Every deal you do not name keeps the odds it had, and so does business "
    "not yet opened; the call is taken to have counted on the deal at its old odds. The link to this page carries what "
    "you assume."
)
NONE_YET = "Name a deal, and say what you assume of it: the range and the odds answer at once."
UNCHANGED = "As it stands, nothing is changed."


def kind_label(kind: str, noun: str) -> str:
    return KINDS[kind].format(noun=noun)


def deal_label(deal: NamedDeal, currency: str) -> str:
    """``Acme renewal, $1.20M, 43 %``: the name, the amount and the chance it has."""
    return f"{deal.name}, {theme.money(deal.amount, currency)}, {theme.percent(deal.chance)}"


def assumption(said: Said, deal: NamedDeal, chance: float, frame: Frame) -> str:
    """One assumption as a sentence."""
    stands = f"(it stands at {theme.percent(deal.chance)})"
    what = {
        "out": f"is not won this {frame.noun} {stands}",
        "won": f"is won this {frame.noun} {stands}",
        "cut": f"is won, if it is, for {said.value} % less",
        "rate": f"is won with a chance of {said.value} % {stands}",
    }
    told = what[said.kind] if said.kind in what else _moved(said, deal, chance, frame)
    return f"{bold(deal.name)}, {theme.money(deal.amount, frame.currency)}, {told}."


def _moved(said: Said, deal: NamedDeal, chance: float, frame: Frame) -> str:
    closes = f"closes on {theme.day(date.fromisoformat(said.value))}"
    if not deal.can_move:
        return f"{closes}; nothing is known of deals like it by their date, so its odds stay"
    if chance == deal.chance:
        return f"{closes}: on the same side of the {frame.noun}'s end, so its odds stay"
    return (
        f"{closes}: deals like it, dated so, are won in the {frame.noun} {theme.percent(chance)} of the time "
        f"(it stands at {theme.percent(deal.chance)})"
    )


def effect(answer: ScenarioAnswer, level: float, frame: Frame) -> str:
    """What the assumptions do to the expected landing and its range."""
    after, before = answer.scenario, answer.issued
    ends = f"{_cash(after.lower, frame)} and {_cash(after.upper, frame)}"
    was = f"{_cash(before.lower, frame)} and {_cash(before.upper, frame)}"
    lead = f"We would then expect {bold(_cash(after.estimate, frame))}; {bold(f'{how_often(level)} between {ends}')}"
    change = after.estimate - before.estimate
    if change == 0 and (after.lower, after.upper) == (before.lower, before.upper):
        return f"{lead}: just as it stands."
    if change == 0:
        return f"{lead}. As it stands it is between {was}."
    way = "more" if change > 0 else "less"
    return (
        f"{lead}. That is {_cash(abs(change), frame)} {way} than the {_cash(before.estimate, frame)} as it stands, "
        f"between {was}."
    )


def odds_effect(before: Sequence[Line], after: Sequence[Line], frame: Frame) -> str:
    """What they do to the odds of each line; empty without a line."""
    said = []
    for was, now in zip(before, after, strict=True):
        text = odds(now, frame)
        said.append(f"{text} (as before)" if was.miss_count == now.miss_count else f"{text} (now {was.miss_count})")
    joined = ", ".join(said)
    return f"{joined[:1].upper()}{joined[1:]}." if joined else ""


def dots_title(answer: ScenarioAnswer) -> str:
    """The finding of the dots under the assumptions, ≤ 70 characters."""
    if not answer.after:
        return "Twenty equally likely ends, as you assume"
    plan = answer.after[0]
    goal = "the quota" if plan.name == "quota" else "the call"
    if plan.miss_count in (0, DOTS):
        verb = "misses" if plan.miss_count == 0 else "reaches"
        return f"As you assume, fewer than 1 in {DOTS} {verb} {goal}"
    return f"As you assume, {plan.miss_count} of {DOTS} {'misses' if plan.miss_count == 1 else 'miss'} {goal}"


def dots_alt(answer: ScenarioAnswer, level: float, frame: Frame) -> str:
    after = answer.scenario
    return (
        f"Twenty equally likely landings as you assume, from {_cash(after.dots[0], frame)} to "
        f"{_cash(after.dots[-1], frame)}; {how_often(level)} between {_cash(after.lower, frame)} and "
        f"{_cash(after.upper, frame)}, expected {_cash(after.estimate, frame)}. "
        f"{odds_effect(answer.before, answer.after, frame)}"
    ).strip()


def not_understood(texts: Sequence[str]) -> str:
    """Assumptions of the link that name no deal here; empty where all do."""
    if not texts:
        return ""
    if len(texts) == 1:
        return "One assumption of this link names no deal that can be changed here, and is left out."
    many = theme.count(len(texts))
    return f"{many} assumptions of this link name no deal that can be changed here, and are left out."


def _cash(amount: Decimal, frame: Frame) -> str:
    return theme.money(amount, frame.currency)


language.take(__name__, globals())
