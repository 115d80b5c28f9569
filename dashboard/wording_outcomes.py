"""What explains a miss, and how deals end, in words: pure, English, one sentence per finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dashboard import language, theme
from dashboard.wording import bold, how_often
from dashboard.wording_miss import fitting, in_a_row
from pipelines.engine.outcomes import OTHERS

EXPLANATIONS = {
    "lead_source": "lead source",
    "hand_off": "hand-off",
    "stage": "stage at the lock",
    "record": "record",
}
PARTS = {"lead_source": "sourcing", "hand_off": "sourcing", "stage": "process", "record": "data"}
FOUND = {
    "claimed": "worse beyond chance",
    "not_established": "not beyond chance",
    "too_few": "too few deals",
}


def what_explains(fractions: Sequence[Mapping[str, Any]], noun: str) -> list[str]:
    """One sentence per value that something is laid on; one that says so where nothing is."""
    if not fractions or not fractions[0]["tested_count"]:
        what = f"{noun}s" if not fractions else "deals"
        return [
            f"Sourcing, process and data: too few earlier {what} to hold lead sources, stages or records against "
            "each other, so nothing is laid on them."
        ]
    tested = fractions[0]["tested_count"]
    claimed = [row for row in fractions if row["status"] == "claimed"]
    if not claimed:
        return [
            f"Sourcing, process and data: {theme.plural(tested, 'comparison')} of earlier {noun}s made, none worse "
            "than the rest beyond chance, so nothing is laid on them."
        ]
    return [_claimed(row, noun) for row in claimed]


def what_they_take(parts: Iterable[Mapping[str, Any]], currency: str) -> list[str]:
    """Each estimated part's amount with its own range; ``parts``: engine.blame of one period."""
    said = []
    for row in parts:
        if row["claim_lower"] is None or not row["amount"]:
            continue
        amount, lower, upper = (
            theme.money(row[name], currency, signed=True) for name in ("amount", "claim_lower", "claim_upper")
        )
        said.append(f"{str(row['part']).capitalize()} takes {bold(amount)} of this miss ({lower} to {upper}).")
    return said


def _claimed(row: Mapping[str, Any], noun: str) -> str:
    missed, rest = theme.percent(row["missed_rate"]), theme.percent(row["rest_rate"])
    share = f"{theme.percent(row['fraction'])} ({theme.percent_range(max(row['lower'], 0.0), row['upper'])})"
    part = PARTS[row["explanation"]].capitalize()
    if row["explanation"] == "stage":
        told = f"in the last four {noun}s deals called in {row['value']} failed to close {missed} of the time, "
        told += f"before them {rest}"
    elif row["explanation"] == "record":
        told = f"called deals with a record wrong at the lock fail to close {missed} of the time, the rest {rest}"
    else:
        told = f"called deals {_from(row)} fail to close {missed} of the time, the rest {rest}"
    return f"{bold(part)}: {told}; {share} of what they missed is laid on it."


def _from(row: Mapping[str, Any]) -> str:
    return f"from {row['value']}" if row["explanation"] == "lead_source" else str(row["value"])


def fraction_rows(fractions: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Value, its deals and miss rate, the rest's, the excess with its range, what was found."""
    return [
        (
            f"{EXPLANATIONS[row['explanation']].capitalize()}: {row['value']}",
            theme.count(row["deal_count"]),
            theme.percent(row["missed_rate"]),
            theme.count(row["rest_count"]),
            theme.percent(row["rest_rate"]),
            theme.MISSING
            if row["fraction"] is None
            else f"{theme.percent(row['fraction'])} ({theme.percent(row['lower'])} to {theme.percent(row['upper'])})",
            FOUND[row["status"]],
        )
        for row in fractions
    ]


def fractions_caption(level: float) -> str:
    return (
        "Share of called deals that did not close in their period, in earlier periods alone; a stage's last four "
        "periods against those before. Excess: what share of its missed deals the rest's rate would not have missed, "
        f"compared within period, stage, source and record, with its {theme.percent(level)} range. Only what is worse "
        "beyond chance, all comparisons together, takes a part of the miss."
    )


# Win, loss, no decision

CUTS = {
    "sales_motion": "sales motion",
    "lead_source": "lead source",
    "opportunity_type": "opportunity type",
    "competitor": "competitor",
    "team": "team",
    "tenure": "owner's tenure",
}
OUTCOMES = {"lost": "lost", "no_decision": "undecided", "won": "won"}
NOT_RECORDED = "not recorded"
AGAINST = {
    "above": "wins more",
    "below": "wins less",
    "like_the_rest": "not beyond chance",
    "too_few": "too few deals",
    None: "",
}


def outcomes_title(rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any] | None) -> str:
    """The finding: who stands out, or that nobody does."""
    if whole is None:
        return "Which deals are won, and which never decided?"
    if not rows:
        return f"{theme.percent(whole['win_rate'])} of closed deals were won"
    rows = [row for row in rows if row["value"] != OTHERS]
    winning = [row for row in rows if row["direction"] in ("above", "below")]
    if winning:
        winning.sort(key=lambda row: -abs(row["win_rate"] - whole["win_rate"]))
        names = in_a_row([str(row["value"]) for row in winning[:3]])
        more = f" and {len(winning) - 3} more" if len(winning) > 3 else ""
        return fitting(f"Beyond chance, win rates differ for {names}{more}", f"{len(winning)} win rates stand out")
    idle = [row for row in rows if row["no_decision_direction"] == "above"]
    if idle:
        names = in_a_row([str(row["value"]) for row in idle[:2]])
        return fitting(
            f"No win rate stands out; {names} deals end undecided more often",
            "No win rate stands out; how often deals end undecided does",
        )
    if all(row["direction"] in ("too_few", None) for row in rows):
        return "Too few closed deals to compare sources, motions or teams"
    return "No source, motion or team wins more than the rest beyond chance"


def window(whole: Mapping[str, Any], noun: str, as_of: str) -> str:
    closed = whole["won_count"] + whole["lost_count"] + whole["no_decision_count"]
    periods = theme.plural(whole["period_count"], f"closed {noun}")
    return f"{theme.plural(closed, 'deal')} closed in the last {periods} · whole company · as of {as_of}"


def whole_sentence(whole: Mapping[str, Any], currency: str) -> str:
    closed = whole["won_count"] + whole["lost_count"] + whole["no_decision_count"]
    ends = theme.percent_range(whole["lower"], whole["upper"])
    said = (
        f"{bold(theme.percent(whole['win_rate']))} were won ({ends}, {how_often(whole['level'])}): "
        f"{theme.money(whole['won_amount'], currency)}. {theme.percent(whole['lost_count'] / closed)} were lost "
        f"({theme.money(whole['lost_amount'], currency)}), {theme.percent(whole['no_decision_rate'])} ended without a "
        f"decision ({theme.money(whole['no_decision_amount'], currency)})."
    )
    if whole["unvalued_count"]:
        said += f" {theme.plural(whole['unvalued_count'], 'deal')} without an amount count in rates and in no sum."
    return said


def unexplained_sentence(count: int, amount: Decimal, whole: Mapping[str, Any], currency: str) -> str:
    closed = whole["won_count"] + whole["lost_count"] + whole["no_decision_count"]
    if not count:
        return "Every closed deal states a reason."
    share = theme.percent(count / closed)
    return f"{bold(share)} of them ({theme.money(amount, currency)}) state no reason for how they ended."


def cuts_caption(whole: Mapping[str, Any] | None) -> str:
    level = 0.8 if whole is None else float(whole["level"])
    return (
        f"Dot: share of closed deals that were won. Line: where it lies {how_often(level)}. Differences are named only "
        "beyond chance, all values of a chart together."
    )


def cut_title(cut: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Who wins more or less than the rest, or that no ranking is justified."""
    named = [row for row in rows if row["direction"] in ("above", "below") and row["value"] != OTHERS]
    named.sort(key=lambda row: float(row["win_rate"]))
    below = [str(row["value"]) for row in named if row["direction"] == "below"]
    above = [str(row["value"]) for row in reversed(named) if row["direction"] == "above"]
    name = CUTS[cut].capitalize()
    if above and below:
        return fitting(
            f"{name}: {_farthest(above)} {_win(above)} more, {_farthest(below)} less",
            f"{name}: {len(above)} {_win(above)} more, {len(below)} less",
        )
    if above or below:
        word = "more" if above else "less"
        found = above or below
        return fitting(
            f"{name}: {_farthest(found)} {_win(found)} {word} than the rest",
            f"{name}: {len(found)} {_win(found)} {word} than the rest",
        )
    if rows and all(row["direction"] in ("too_few", None) for row in rows):
        return f"{name}: too few deals to compare"
    return f"{name}: no ranking, chance could explain the differences"


def _farthest(values: Sequence[str]) -> str:
    """All of three at most, else the two that lie farthest from the rest, and how many more."""
    return in_a_row(values if len(values) <= 3 else [*values[:2], f"{len(values) - 2} more"])


def _win(named: Sequence[str]) -> str:
    return "wins" if len(named) == 1 else "win"


def undecided(cuts: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    """Values that end without a decision more or less often than the rest."""
    if not whole["no_decision_count"]:
        return ["No closed deal is recorded as left undecided: its stage or reason would have to say so."]
    if not cuts:
        return []
    said = []
    for cut, table in cuts.items():
        rows = table.to_dicts()
        # Of two values that are each other's rest, one says it of both.
        mirrored = len(rows) == 2 and {row["no_decision_direction"] for row in rows} == {"above", "below"}
        for row in rows:
            apart = ("above",) if mirrored else ("above", "below")
            if row["no_decision_direction"] in apart and row["value"] != OTHERS:
                ends = theme.percent_range(row["no_decision_lower"], row["no_decision_upper"])
                more = "more" if row["no_decision_direction"] == "above" else "less"
                said.append(
                    f"{CUTS[cut].capitalize()} {bold(str(row['value']))}: {theme.percent(row['no_decision_rate'])} "
                    f"({ends}) end without a decision, {more} often than the rest."
                )
    return said or ["How often no decision is made differs nowhere beyond chance."]


def not_stated(missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    names = in_a_row([CUTS[cut] for cut in missing])
    more = " A column of the export with “competitor” in its name brings it." if "competitor" in missing else ""
    return [f"Not stated of any closed deal: {names}.{more}"]


def rates_alt(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    told = "; ".join(
        f"{row['label']} {theme.percent(row['estimate'])} ({theme.percent_range(row['lower'], row['upper'])})"
        for row in rows
    )
    return f"{title}. {told}."


def reasons_title(outcome: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The commonest reason, if its range lies above the next one's, and "most" if above half; else that none leads."""
    name = OUTCOMES[outcome].capitalize()
    if not rows:
        return f"{name}: no reason is stated"
    if len(rows) == 1 or rows[0]["lower"] > rows[1]["upper"]:
        leads = (
            f"most state {rows[0]['reason']}" if rows[0]["lower"] >= 0.5 else f"{rows[0]['reason']} leads the reasons"
        )
        return fitting(f"{name}: {leads}", f"{name}: one reason leads")
    return f"{name}: no reason leads, ranges overlap"


def reasons_caption(outcome: str, silent: Mapping[str, Any] | None, currency: str) -> str:
    if silent is None:
        return f"Every {OUTCOMES[outcome]} deal states one. Shares of those deals, each with its range."
    share, money = theme.percent(silent["deal_share_rate"]), theme.money(silent["amount"], currency)
    return f"{share} of {OUTCOMES[outcome]} deals ({money}) state none. Shares are of the others, each with its range."


def no_reasons() -> str:
    return (
        "No closed deal states a reason. Bring *outcome_reason* with the opportunities: CRMs keep it as a loss reason."
    )


def rate_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str, ...]]:
    return [
        (
            NOT_RECORDED if row["value"] is None else str(row["value"]),
            *(theme.count(row[f"{outcome}_count"]) for outcome in ("won", "lost", "no_decision")),
            f"{theme.percent(row['win_rate'])} ({theme.percent_range(row['lower'], row['upper'])})",
            f"{theme.percent(row['no_decision_rate'])} "
            f"({theme.percent_range(row['no_decision_lower'], row['no_decision_upper'])})",
            *(theme.money(row[f"{outcome}_amount"], currency) for outcome in ("won", "lost", "no_decision")),
            AGAINST[row["direction"]],
        )
        for row in rows
    ]


def reason_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[tuple[str, ...]]:
    return [
        (
            "none stated" if row["reason"] is None else str(row["reason"]),
            OUTCOMES[row["outcome"]],
            theme.count(row["deal_count"]),
            theme.MISSING
            if row["share_rate"] is None
            else f"{theme.percent(row['share_rate'])} ({theme.percent_range(row['lower'], row['upper'])})",
            theme.money(row["amount"], currency),
            theme.percent(row["amount_share_rate"]),
        )
        for row in rows
    ]


def no_outcomes(noun: str, *, has_deals: bool) -> list[str]:
    if not has_deals:
        return [
            "How deals end is read from deals, and none have landed.",
            "Bring an export of opportunities: won, lost and open ones alike.",
        ]
    return [
        f"No deal has closed in a closed {noun} yet. The page fills when the first {noun} with closed deals is over."
    ]


language.take(__name__, globals())
