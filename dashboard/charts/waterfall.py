"""From one total to another, step by step: horizontal bars with their names and amounts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import plotly.graph_objects as go

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import money_ticks

ROW_HEIGHT = 34
BAR_WIDTH = 0.62
TOTAL_WIDTH = 0.74
AMOUNT_WIDTH = 66
"""Pixels for the column of amounts at the right: they stand under each other and are never cut off."""


@dataclass(frozen=True)
class Step:
    """``kind``: ``call`` (outline: not landed), ``total`` (solid), or ``change`` (from where the last bar ended)."""

    name: str
    amount: Decimal
    kind: str = "change"
    told: str = ""


@kept
def waterfall(*, steps: Sequence[Step], currency: str, dark: bool) -> go.Figure:
    """Totals stand on zero; a change hangs where the one before it ended. Gains are blue and point right, losses
    vermillion and point left, and each amount carries its sign. Bars join exactly: ends are sums in cents."""
    colours = theme.palette(dark)
    fig = go.Figure()
    ends = _ends(steps)
    names = [step.name for step in steps]
    places = list(range(len(steps)))
    for kind in ("call", "total", "gain", "loss"):
        chosen = [place for place in places if _kind(steps[place]) == kind]
        if not chosen:
            continue
        fig.add_bar(
            y=chosen,
            x=[float(ends[place][1] - ends[place][0]) for place in chosen],
            base=[float(ends[place][0]) for place in chosen],
            orientation="h",
            width=TOTAL_WIDTH if kind in ("call", "total") else BAR_WIDTH,
            marker=_marker(kind, colours),
            hovertext=[_told(steps[place], currency) for place in chosen],
            hovertemplate="%{hovertext}<extra></extra>",
            name=kind,
        )
    lowest = min(min(ends[place]) for place in places) if places else Decimal(0)
    highest = max(max(ends[place]) for place in places) if places else Decimal(0)
    room = (highest - lowest) * Decimal("0.02") or Decimal(1)
    for place in places:
        is_change = steps[place].kind == "change"
        fig.add_annotation(
            x=1,
            xref="paper",
            xshift=AMOUNT_WIDTH,
            xanchor="right",
            y=place,
            text=theme.money(steps[place].amount, currency, signed=is_change),
            showarrow=False,
            font={"size": 13, "color": colours.ink},
        )
    for place in places[:-1]:
        end = float(ends[place][1])
        line = {"color": colours.muted, "width": 1}
        fig.add_shape(type="line", x0=end, x1=end, y0=place, y1=place + 1, line=line, layer="below")
    theme.figure_layout(fig, dark, height=ROW_HEIGHT * len(steps) + 44)
    values, texts = money_ticks(highest, currency)
    fig.update_xaxes(
        range=[float(min(lowest - room, Decimal(0))), float(highest + room)],
        tickvals=values,
        ticktext=texts,
        showgrid=True,
        zeroline=True,
    )
    fig.update_yaxes(
        range=[len(steps) - 0.4, -0.6], tickvals=places, ticktext=names, showgrid=False, zeroline=False, showline=False
    )
    fig.update_yaxes(tickfont={"color": colours.ink, "size": 13})
    fig.update_layout(barmode="overlay", margin={"t": 4, "r": AMOUNT_WIDTH + 4, "l": 4, "b": 4})
    return fig


def _ends(steps: Sequence[Step]) -> list[tuple[Decimal, Decimal]]:
    """Where each bar begins and ends, in money."""
    ends: list[tuple[Decimal, Decimal]] = []
    at = Decimal(0)
    for step in steps:
        begin = at if step.kind == "change" else Decimal(0)
        at = begin + step.amount
        ends.append((begin, at))
    return ends


def _kind(step: Step) -> str:
    if step.kind != "change":
        return step.kind
    return "loss" if step.amount < 0 else "gain"


def _marker(kind: str, colours: theme.Palette) -> dict[str, object]:
    if kind == "call":
        return {"color": "rgba(0,0,0,0)", "line": {"color": colours.call, "width": 1.8}}
    return {"color": {"total": colours.actual, "gain": colours.low, "loss": colours.high}[kind]}


def _told(step: Step, currency: str) -> str:
    amount = theme.money_full(step.amount, currency, signed=step.kind == "change")
    return f"{step.name}<br>{amount}" + (f"<br>{step.told}" if step.told else "")
