"""What a position, a shape and a colour mean on every chart: one home for both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import plotly.graph_objects as go

from dashboard import theme

MANY_POINTS = 5_000
"""Beyond it a chart draws on a canvas: thousands of page elements would freeze the browser."""

WIDE_TICKS = (0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
NARROW_TICKS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)


@dataclass(frozen=True)
class Mark:
    """Shape, colour and fill of one kind of forecaster; a hollow mark says that nothing is said."""

    symbol: str
    colour: str
    hollow: bool = False

    @property
    def drawn(self) -> str:
        return f"{self.symbol}-open" if self.hollow else self.symbol


def marks(dark: bool) -> dict[str, Mark]:
    """Kind → mark. High is a diamond, low a circle, fair a square; too little evidence is hollow."""
    colours = theme.palette(dark)
    return {
        "runs_high": Mark("diamond", colours.high),
        "runs_low": Mark("circle", colours.low),
        "fair": Mark("square", colours.fair),
        "not_enough_evidence": Mark("circle", colours.unsure, hollow=True),
    }


def money_ticks(top: Decimal, currency: str) -> tuple[list[float], list[str]]:
    """Round amounts from 0 to just past ``top``, and how they are written."""
    highest = float(top)
    if highest <= 0:
        return [0.0], [theme.money(0, currency)]
    rough = highest / 4
    scale = 10 ** math.floor(math.log10(rough))
    step = next(nice * scale for nice in (1, 2, 2.5, 5, 10) if nice * scale >= rough)
    values = [step * number for number in range(math.floor(highest / step + 1e-9) + 1)]
    return values, [_short(theme.money(value, currency)) for value in values]


def round_ticks(lowest: float, highest: float, currency: str) -> tuple[list[float], list[str]]:
    """Four or so round amounts between two ends, and how they are written: an axis that need not begin at 0."""
    if highest <= lowest:
        return [lowest], [_short(theme.money(lowest, currency))]
    rough = (highest - lowest) / 4
    scale = 10 ** math.floor(math.log10(rough))
    step = next(nice * scale for nice in (1, 2, 2.5, 5, 10) if nice * scale >= rough)
    first, last = math.ceil(lowest / step - 1e-9), math.floor(highest / step + 1e-9)
    values = [step * number for number in range(first, last + 1)]
    return values, [_short(theme.money(value, currency)) for value in values]


def two_lines(labels: Sequence[str]) -> list[str]:
    """``Q3`` over ``2026``; the year only where it begins, and never beside another, so that labels fit a phone."""
    parts = [label.partition(" ") for label in labels]
    years = [rest for _, _, rest in parts]
    begins = [place == 0 or years[place - 1] != year for place, year in enumerate(years)]
    if len(begins) > 1 and begins[1]:
        begins[0] = False
    return [f"{first}<br>{rest}" if begun else first for (first, _, rest), begun in zip(parts, begins, strict=True)]


def _short(text: str) -> str:
    """``$1.50M`` as ``$1.5M``, ``$10.0M`` as ``$10M``."""
    digits = text.rstrip("KMBT")
    return digits.rstrip("0").rstrip(".") + text[len(digits) :] if "." in digits else text


def rate_ticks(lowest: float, highest: float, currency: str) -> tuple[list[float], list[str]]:
    """Landing rates worth a tick on a logarithmic axis, as money per unit called; few enough for a phone."""
    chosen = NARROW_TICKS if highest / lowest < 2 else WIDE_TICKS
    return list(chosen), [theme.unit(rate, currency) for rate in chosen]


def add_band(
    fig: go.Figure,
    *,
    x: Sequence[float],
    lower: Sequence[float | None],
    upper: Sequence[float | None],
    fill: str,
) -> None:
    """A shade between two lines that are not drawn themselves. Call it first, so that the marks lie on top."""
    for y, filling in ((upper, None), (lower, "tonexty")):
        fig.add_scatter(
            x=list(x), y=list(y), mode="lines", line={"width": 0}, fill=filling, fillcolor=fill, hoverinfo="skip"
        )
