"""Results in words: what the sentences of every page share; each page's own are in ``wording_<page>``.

English; what another language says instead is taken at the end of each module (``language``). Functions are pure and
take engine results or plain values. Sentences mark what is bold with ``BOLD``; ``markdown`` turns one into safe
Markdown, ``plain`` strips it.

How a lean is put: a landing rate R (what lands ÷ what was called) means that the call exceeds what lands by 1 ÷ R − 1.
"Calls run high by 12–24 %" is that share, the house sign of error ÷ actual. A lean is a number, never a motive.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import language, theme

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


def short(text: str, length: int = TITLE_LENGTH) -> str:
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


def asked(level: float) -> str:
    """A promise in short: ``4 in 5``."""
    return how_often(level).replace(" times in ", " in ").replace(" time in ", " in ")


language.take(__name__, globals())
