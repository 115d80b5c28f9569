"""What explains a miss, and how deals end, in words: pure, English, one sentence per finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboard import theme
from dashboard.wording import bold

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
    if not fractions:
        return [
            f"Sourcing, process and data: too few earlier {noun}s to hold lead sources, stages or records against "
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
