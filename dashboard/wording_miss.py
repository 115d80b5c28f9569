"""The miss in words, as ``wording`` puts the rest: pure, English, one sentence per finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.wording import LAYERS, TITLE_LENGTH, bold, how_often
from pipelines.engine.miss import OTHERS

CAUSES = {
    "judgement": ("judgement", "called beyond the deals, or cut from them"),
    "lost": ("lost", "called, lost"),
    "no_decision": ("no decision", "called, the buyer decided nothing"),
    "pushed_out": ("pushed out", "called, still open at the end"),
    "shrunk": ("shrank", "called, won smaller"),
    "grew": ("grew", "called, won larger"),
    "currency": ("currency", "rates of exchange since the lock"),
    "left_out": ("left out", "due in the period, not called, won"),
    "pulled_in": ("pulled in", "due later, won already"),
    "created_and_won": ("created later", "created after the lock and won"),
    "transferred": ("changed hands", "won by another team than at the lock"),
}
"""Cause → (its name, what it is), in drawing order: what callers added, what was lost of it, what came beside."""

PARTS = {
    "judgement": "judgement",
    "deals": "deals lost, shrunk or grown",
    "buyers": "buyers who decided nothing",
    "timing": "timing: pushed out, pulled in",
    "sourcing": "sourcing: weak lead sources, hand-offs",
    "process": "process: conversion that drifted",
    "data": "data: records wrong at the lock",
    "unseen": "business that was not called",
    "moved": "deals that changed hands",
    "currency": "currency",
}
SHORT_PARTS = PARTS | {
    "deals": "deals",
    "buyers": "buyers",
    "timing": "timing",
    "sourcing": "sourcing",
    "process": "process",
    "data": "data",
    "unseen": "uncalled business",
    "moved": "moved deals",
}
CUT_NAMES = {
    "team": "Team",
    "manager": "Manager",
    "region": "Region",
    "sales_motion": "Sales motion",
    "lead_source": "Lead source",
    "opportunity_type": "Opportunity type",
    "origin": "New or inherited",
    "tenure": "Owner's tenure",
    "stage": "Stage at the lock",
    "age": "Age at the lock",
    "close_date": "Close date at the lock",
    "next_step": "Next step at the lock",
    "currency": "Currency of the deal",
    "activity": "Activity before the lock",
}
BASES = {
    "category": "open deals marked {category} or surer and due in the {noun}, and what was won by then",
    "probability": "open deals due in the {noun} at their probability (no deal carries a forecast category), and what "
    "was won by then",
    "none": "what was won by then alone: no deal carries a forecast category or a probability",
}
CATEGORIES = {"commit": "commit", "most_likely": "most likely", "best_case": "best case"}


def in_a_row(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _theirs(layer: str) -> str:
    """``reps'``, ``finance's``."""
    name = LAYERS[layer][1]
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def fitting(*titles: str) -> str:
    """The first title that fits a line."""
    return next((title for title in titles if len(title) <= TITLE_LENGTH), titles[-1][:TITLE_LENGTH])


# Miss


def miss_line(*, lock_week: int, scope_name: str, layer: str, category: str, missing: int, currency: str) -> str:
    """What the page is about, beside the period and above its title."""
    line = f"{_theirs(layer).capitalize()} {CATEGORIES[category]} calls of week {lock_week} · {scope_name}"
    line += "" if currency == theme.NO_CURRENCY else f" · {currency}"
    return line + (f" · {theme.plural(missing, 'person', 'people')} had not called" if missing else "")


def miss_title(label: str, miss: Decimal, call: Decimal, currency: str) -> str:
    """The finding: by how much landed fell short of the call, or passed it."""
    if miss == 0:
        return f"{label} landed exactly as called"
    side = "below" if miss < 0 else "above"
    size = theme.money(abs(miss), currency)
    share = f" ({theme.percent(abs(miss) / call)})" if call > 0 else ""
    return fitting(f"{label} landed {size}{share} {side} the call", f"{label} landed {size} {side} the call")


def largest_causes(bridge: Mapping[str, tuple[Decimal | None, int | None]], miss: Decimal, currency: str) -> str:
    """The three largest steps of the deals that pull with the miss, and what stood against them.

    Judgement is not among them: it says what callers expected beyond their deals, and has a sentence of its own.
    """
    steps = {cause: amount for cause, (amount, _) in bridge.items() if amount and cause != "judgement"}
    downs = sorted((pair for pair in steps.items() if pair[1] < 0), key=lambda pair: pair[1])
    ups = sorted((pair for pair in steps.items() if pair[1] > 0), key=lambda pair: -pair[1])
    first, second = (downs, ups) if miss <= 0 else (ups, downs)

    def told(pairs: Sequence[tuple[str, Decimal]]) -> str:
        return in_a_row(
            [f"{CAUSES[cause][0]} {bold(theme.money(amount, currency, signed=True))}" for cause, amount in pairs]
        )

    if not first and not second:
        return "Every deal in the call was won at its amount, and nothing beside it."
    opening = "Taken from the call" if miss <= 0 else "Added to the call"
    against = "Against it" if first else "The deals moved the other way"
    said = [f"{opening}: {told(first[:3])}."] if first else []
    return " ".join([*said, *([f"{against}: {told(second[:3])}."] if second else [])])


def beyond_the_deals(
    judgement: Decimal, unseen: Decimal, *, rollup: Decimal, category: str, noun: str, basis: str, currency: str
) -> str:
    """What callers counted on beyond the deals of the call, beside the business that came beyond them."""
    deals = BASES[basis].format(category=CATEGORIES[category], noun=noun)
    stood = f"Behind the call stood {bold(theme.money(rollup, currency))} of deals ({deals})."
    came = theme.money(unseen, currency)
    if judgement < 0:
        size = theme.money(-judgement, currency)
        return f"{stood} Callers counted on {bold(size)} beyond them; {bold(came)} that was not in the call came."
    if judgement > 0:
        size = theme.money(judgement, currency)
        return f"{stood} Callers cut {bold(size)} from them; {bold(came)} that was not in the call came."
    return f"{stood} Callers added nothing; {bold(came)} that was not in the call came."


def bridge_rows(
    bridge: Mapping[str, tuple[Decimal | None, int | None]], currency: str
) -> list[tuple[str, str, str | None, str]]:
    """Cause, what it is, deals, amount to the cent; in drawing order."""
    return [
        (
            name.capitalize(),
            told,
            None if bridge[cause][1] is None else theme.count(bridge[cause][1]),
            theme.money_full(bridge[cause][0], currency, signed=True),
        )
        for cause, (name, told) in CAUSES.items()
        if cause in bridge
    ]


def bridge_caption(currency: str) -> str:
    unit = "" if currency == theme.NO_CURRENCY else " Amounts sum exactly, to the cent."
    return f"From the call (outline) to what landed (solid): blue adds, orange takes away.{unit}"


def bridge_alt(label: str, steps: Sequence[tuple[str, Decimal, bool]], currency: str) -> str:
    """``steps``: name, amount, whether it is a total."""
    said = [f"{name} {theme.money(amount, currency, signed=not is_total)}" for name, amount, is_total in steps]
    return f"{label}, from the call to what landed: " + ", ".join(said) + "."


def blame_title(parts: Sequence[Mapping[str, Any]]) -> str:
    """Which parts lie outside their usual range."""
    if not parts or all(row["status"] != "ok" for row in parts):
        return "Too few earlier periods to say what is usual"
    names = [SHORT_PARTS[row["part"]] for row in parts if row["direction"] in ("above", "below")]
    if not names:
        return "Every part is within its usual range"
    return fitting(f"Out of the ordinary: {in_a_row(names)}", f"{len(names)} parts are out of the ordinary")


def blame_rows(parts: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str, str, str | None, str]]:
    """Part, this period, its usual range, a word. A part with no money now or before is left out."""
    rows = []
    for row in parts:
        if row["amount"] == 0 and (row["usual_rate"] is None or row["usual_rate"] == 0):
            continue
        if row["status"] == "ok":
            ends = (
                theme.money(row["lower"], currency, signed=True),
                theme.money(row["upper"], currency, signed=True),
            )
            word = _than_usual(str(row["direction"]), usually_takes=row["usual_rate"] < 0)
            usual = f"{ends[0]} to {ends[1]}"
        else:
            usual, word = None, "too few earlier periods"
        name = PARTS[row["part"]]
        rows.append((name[:1].upper() + name[1:], theme.money(row["amount"], currency, signed=True), usual, word))
    return rows


def _than_usual(direction: str, *, usually_takes: bool) -> str:
    """``took more``: below its range where it usually takes away; ``gave less``: where it usually adds."""
    if direction == "inside":
        return "as usual"
    if usually_takes:
        return "took more" if direction == "below" else "took less"
    return "gave more" if direction == "above" else "gave less"


def blame_caption(level: float, period_count: int, part_count: int, noun: str) -> str:
    """What the usual range is, and what it cannot say."""
    by_chance = max(1, round((1 - level) * part_count))
    return (
        f"Usual: where {theme.percent(level)} of {noun}s would fall, as a share of the call, going by the "
        f"{theme.plural(period_count, 'earlier ' + noun)}. Of {theme.plural(part_count, 'part')}, "
        f"{by_chance} outside it would be chance. The parts add up to the miss, to the cent."
    )


def luck_sentence(luck: Mapping[str, Any] | None, level: float, currency: str) -> str:
    """Whether the called deals' own probabilities allow what was won of them."""
    if luck is None or luck["status"] == "no_probability":
        return "Was it luck? Nothing can be said: the called deals carry no probabilities."
    if luck["status"] == "certain":
        return "Was it luck? Nothing can be said: every called deal carried a probability of 0 or 1."
    won, expected = theme.money(luck["won_amount"], currency), theme.money(luck["expected_amount"], currency)
    seen = f"their own probabilities promised {expected}, {bold(won)} of them was won"
    if luck["status"] == "not_enough_history":
        return f"Was it luck? Of the called deals, {seen}; too few other periods to say whether that is chance."
    ends = f"{theme.money(luck['lower'], currency)}{theme.EN_DASH}{theme.money(luck['upper'], currency)}"
    often = how_often(level)
    if luck["direction"] == "inside":
        return f"{bold('It may be luck.')} Of the called deals, {seen}: within the {ends} that they allow {often}."
    side = "less" if luck["direction"] == "below" else "more"
    return (
        f"{bold('Chance alone does not explain it.')} Of the called deals, {seen}: {side} than the {ends} that their "
        f"probabilities allow {often}."
    )


def cut_title(cut: str, rows: Sequence[Mapping[str, Any]], currency: str) -> str:
    """Where the change from called to landed is most negative, by this cut."""
    named = [row for row in rows if row["value"] != OTHERS]
    worst = min(named, key=lambda row: row["change_amount"], default=None)
    name = CUT_NAMES[cut]
    if worst is None or worst["change_amount"] >= 0:
        return f"{name}: every part landed at least what was called"
    value = "not recorded" if worst["value"] is None else str(worst["value"])
    lost = theme.money(-worst["change_amount"], currency)
    return fitting(f"{name}: {value} landed {lost} below its called deals", f"{name}: one part fell {lost} short")


CUT_CAUSES = ("lost", "no_decision", "pushed_out", "left_out", "pulled_in", "created_and_won")


def cut_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str, ...]]:
    """Value, called, landed, change, and the steps that make it."""
    return [
        (
            "Not recorded" if row["value"] is None else _sentence_case(str(row["value"])),
            theme.money(row["rollup_amount"], currency),
            theme.money(row["actual_amount"], currency),
            theme.money(row["change_amount"], currency, signed=True),
            *(theme.money(row[cause], currency, signed=True) for cause in CUT_CAUSES),
        )
        for row in rows
    ]


def widest_label(shown: int, total: int, cut: str) -> str:
    """Above a cut of which the widest changes alone are shown, of ``total``."""
    return f"The {shown} widest changes of {theme.count(total)} by {CUT_NAMES[cut].lower()}; all of them below."


def every_label(total: int) -> str:
    """The foldable table of a whole cut."""
    return f"All {theme.count(total)}"


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def steps_label(shown: int, total: int) -> str:
    """The foldable table of deals."""
    if shown == total:
        return f"Deal by deal: {theme.plural(shown, 'step')}"
    return f"Deal by deal: {theme.plural(shown, 'step')} of the {theme.count(total)} largest of the company"


def steps_caption() -> str:
    return (
        "The 500 largest steps of each period; smaller ones are in the sums above. A deal that grew and was restated "
        "at another rate has two lines."
    )


LEAST_SHARE = 0.01
"""A share of the joint error that is worth a name."""


def shares_sentence(rows: Sequence[Mapping[str, Any]], layer: str) -> str:
    """Whose error the company's is over time, the largest three; nothing where nobody's stands out."""
    told = [row for row in rows if row["share_rate"] is not None]
    if len(told) < 2:
        return ""
    if told[0]["share_rate"] < LEAST_SHARE:
        return (
            f"Over all closed periods, nobody's error makes as much as {theme.percent(LEAST_SHARE)} of "
            f"{_theirs(layer)} joint error."
        )
    named = in_a_row(
        [f"{row['name'] or row['forecaster_id']} ({theme.percent(row['share_rate'])})" for row in told[:3]]
    )
    return (
        f"Over all closed periods, the largest shares in {_theirs(layer)} joint error: {named}. A share counts "
        "errors that add to the others'; one that offsets them is negative. A large book makes a large share without "
        "any lean."
    )


def no_bridge(why: str, noun: str) -> list[str]:
    """The page without a bridge: why, and what would bring one."""
    return {
        "deals": [
            "A miss is explained deal by deal, and no deals have landed.",
            "Bring an export of opportunities with its field history: what was called, what became of each deal.",
        ],
        "calls": [
            "Deals have landed, but no calls: there is nothing that a miss could be measured from.",
            "Bring the forecasts that people submitted (forecast_submissions), or a sheet of them (forecast_records).",
        ],
        "history": [
            f"No past {noun} can be explained: what was believed of its deals at the time is not written down.",
            "An export of deals as they stand today knows how they ended. Bring their field history "
            "(opportunity_history or opportunity_states), or exports of several weeks.",
        ],
        "closed": [
            f"No {noun} with calls and deals has closed yet, so no miss can be explained.",
            f"The page fills when the first {noun} is over and its days of grace have passed.",
        ],
    }[why]


def no_layer(layer: str, scope_name: str, label: str) -> str:
    return f"{LAYERS[layer][1].capitalize()} made no call for {scope_name} in {label}. Choose other calls above."


def no_call(label: str, lock_week: int) -> str:
    return f"Nobody had called by week {lock_week} of {label}, so there is nothing to bridge from."


def no_rate(label: str) -> str:
    return (
        f"A deal of {label} is in a currency that no rate converts, so nothing adds up here. Bring fx_rates for "
        "it, and publish again."
    )


def other_category(asked: str, bridged: str) -> str:
    """The bridge is of one kind of call."""
    return (
        f"The bridge starts from {CATEGORIES[bridged]} calls: the deals that a {CATEGORIES[asked]} call stands for are "
        "not kept apart."
    )


language.take(__name__, globals())
