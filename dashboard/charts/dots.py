"""Twenty equally likely landings, stacked: odds that can be counted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import plotly.graph_objects as go

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import round_ticks

COLUMNS = 14
"""Stacks that fit side by side between the ends: the width of one is that of a dot."""

NEAR = 0.9
"""Stacks nearer than this share of a dot become one."""

BAR_AT = -0.3


@dataclass(frozen=True)
class Across:
    """A line across the dots: its amount, its label, and whether it is the plan the dots are judged by."""

    amount: Decimal
    label: str
    is_plan: bool


@dataclass(frozen=True)
class Dot:
    """One outcome as drawn: where its stack stands, its place in it from 1 up, and which outcome it is."""

    at: float
    place: int
    amount: Decimal


def stacked(dots: Sequence[Decimal], lines: Sequence[Decimal], width: float) -> list[Dot]:
    """Outcomes gathered into stacks of one dot's ``width``, never across a line (Wilkinson 1999, per side).

    A stack stands at the middle of its members, moved where needed so that a whole dot stays on its side of every
    line: what is counted left of a line lies below it. Lowest outcome first.
    """
    ordered = sorted(lines)
    sides: dict[int, list[Decimal]] = {}
    for amount in sorted(dots):
        # An outcome exactly on a line reaches it.
        sides.setdefault(sum(line <= amount for line in ordered), []).append(amount)
    found: list[Dot] = []
    for side, amounts in sorted(sides.items()):
        low = float(ordered[side - 1]) + width / 2 if side else None
        high = float(ordered[side]) - width / 2 if side < len(ordered) else None
        for at, stack in _gathered(amounts, width, low, high):
            found += [Dot(at, height, amount) for height, amount in enumerate(stack, start=1)]
    return found


def _gathered(
    amounts: list[Decimal], width: float, low: float | None, high: float | None
) -> list[tuple[float, list[Decimal]]]:
    """Neighbours closer than a dot share a stack, the closest first, so that no dot hides another."""

    def middle(stack: list[Decimal]) -> float:
        at = sum(float(amount) for amount in stack) / len(stack)
        if low is not None and high is not None and high < low:
            return (low + high) / 2  # two lines closer than a dot: there is no room for both
        at = at if low is None else max(at, low)
        return at if high is None else min(at, high)

    stacks = [(middle([amount]), [amount]) for amount in amounts]
    while len(stacks) > 1:
        gaps = [stacks[place + 1][0] - stacks[place][0] for place in range(len(stacks) - 1)]
        closest = min(range(len(gaps)), key=gaps.__getitem__)
        if gaps[closest] >= NEAR * width:
            break
        joined = stacks[closest][1] + stacks[closest + 1][1]
        stacks[closest : closest + 2] = [(middle(joined), joined)]
    return stacks


@kept
def dotplot(
    *,
    dots: Sequence[Decimal],
    across: Sequence[Across],
    span: tuple[Decimal, Decimal, Decimal],
    currency: str,
    dark: bool,
    height: int = 320,
) -> go.Figure:
    """Dots stacked over money; the plan and other lines labelled where they stand; below, the range and its middle.

    ``span``: lower, expected, upper. A dot that misses the plan is a diamond, one that reaches it a circle. A line
    farther off than the dots are wide colours them and is not drawn: to reach it the axis would crush them.
    """
    colours = theme.palette(dark)
    fig = go.Figure()
    plan = next((line.amount for line in across if line.is_plan), None)
    reach = max(dots[-1], span[2]) - min(dots[0], span[0])
    near = (min(dots[0], span[0]) - reach, max(dots[-1], span[2]) + reach)
    across = [line for line in across if near[0] <= line.amount <= near[1]]
    lowest = float(min([dots[0], span[0], *(line.amount for line in across)]))
    highest = float(max([dots[-1], span[2], *(line.amount for line in across)]))
    width = (highest - lowest) / COLUMNS or 1.0
    drawn = stacked(dots, [line.amount for line in across], width)
    missed = bisect_left(sorted(dots), plan) if plan is not None else 0
    tallest = max(dot.place for dot in drawn)
    top = max(tallest + 0.6, 4.6)
    for kind, part in (("misses", drawn[:missed]), ("reaches", drawn[missed:])):
        fig.add_scatter(
            x=[dot.at for dot in part],
            y=[dot.place for dot in part],
            mode="markers",
            marker={
                "symbol": "diamond" if kind == "misses" else "circle",
                "size": 20 if kind == "misses" else 19,
                "color": colours.high if kind == "misses" else colours.low,
                "opacity": 1,
            },
            hovertext=[theme.money(dot.amount, currency) for dot in part],
            hovertemplate="1 in 20: %{hovertext}<extra></extra>",
            name=kind,
        )
    _add_lines(fig, across, lowest=lowest, highest=highest, top=top, colours=colours)
    _add_span(fig, span, currency=currency, colours=colours)
    theme.figure_layout(fig, dark, height=height)
    values, texts = round_ticks(lowest, highest, currency)
    fig.update_xaxes(
        tickvals=values, ticktext=texts, range=[lowest - 0.8 * width, highest + 0.8 * width], zeroline=False
    )
    fig.update_yaxes(visible=False, range=[BAR_AT - 1.05, top + max(1.5, 0.8 * len(across) - 0.1)])
    fig.update_layout(margin={"t": 4, "r": 4, "l": 4, "b": 4})
    return fig


def _add_lines(
    fig: go.Figure, across: Sequence[Across], *, lowest: float, highest: float, top: float, colours: theme.Palette
) -> None:
    """Each line's label stands at its top, each at a height of its own, so that they never meet."""
    for place, line in enumerate(sorted(across, key=lambda line: line.amount)):
        x, tint = float(line.amount), colours.ink if line.is_plan else colours.call
        reach = top + 0.35 + 0.8 * (max(len(across), 2) - 1 - place)
        fig.add_shape(
            type="line",
            x0=x,
            x1=x,
            y0=BAR_AT - 0.2,
            y1=reach,
            line={"color": tint, "width": 2.5 if line.is_plan else 1.6, "dash": "solid" if line.is_plan else "dot"},
            layer="below",
        )
        to_the_right = (x - lowest) / ((highest - lowest) or 1.0) < 0.5
        fig.add_annotation(
            x=x,
            y=reach,
            text=line.label,
            xanchor="left" if to_the_right else "right",
            yanchor="middle",
            xshift=6 if to_the_right else -6,
            showarrow=False,
            bgcolor=colours.background,  # another line may pass behind it
            borderpad=1,
            font={"size": 13, "color": colours.ink},
        )


def _add_span(fig: go.Figure, span: tuple[Decimal, Decimal, Decimal], *, currency: str, colours: theme.Palette) -> None:
    lower, expected, upper = (float(amount) for amount in span)
    said = theme.money_range(span[0], span[2], currency)
    fig.add_shape(
        type="line", x0=lower, x1=upper, y0=BAR_AT, y1=BAR_AT, line={"color": colours.ink, "width": 4}, layer="below"
    )
    fig.add_scatter(
        x=[expected],
        y=[BAR_AT],
        mode="markers",
        marker={
            "symbol": "diamond",
            "size": 12,
            "color": colours.ink,
            "line": {"color": colours.background, "width": 2},
        },
        name="expected",
        hovertemplate=f"expect {theme.money(span[1], currency)}; {said}<extra></extra>",
    )
    for amount, anchor in zip(span, ("left", "center", "right"), strict=True):
        fig.add_annotation(
            x=float(amount),
            y=BAR_AT,
            text=theme.money(amount, currency),
            xanchor=anchor,
            yanchor="top",
            yshift=-7,
            showarrow=False,
            font={"size": 13, "color": colours.ink},
        )
