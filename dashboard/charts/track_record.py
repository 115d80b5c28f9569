"""Called and landed, period by period: the reason to believe a call, or not to."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import log1p

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import money_ticks, two_lines
from dashboard.language import say

BAR_WIDTH = 0.74
LANDED_WIDTH = 0.42
STEM_WIDTH = 0.07
LABEL_BARS = 3
"""Closed periods that the open one's label reaches over, at the most."""
FULL = 13
"""Periods at which a bar and a pin are as wide as they are drawn; fewer stand farther apart and are no wider."""


@dataclass(frozen=True)
class OpenPeriod:
    """The call that has not landed yet. ``lowest`` and ``highest``: what past landing rates make of it, or what the
    words ``span_of`` say."""

    label: str
    call: Decimal
    expected: Decimal | None
    lowest: Decimal | None
    highest: Decimal | None
    span_of: str = say("past rates make it")


@kept
def track_record(
    *,
    rows: pl.DataFrame,
    open_period: OpenPeriod | None,
    currency: str,
    fair_bounds: tuple[float, float],
    dark: bool,
    height: int = 320,
) -> go.Figure:
    """Upper panel: call as outline, landed as solid bar (IBCS). Lower: by how much the call exceeded what landed.

    ``rows``: one per closed period, oldest first: ``label``, ``call_amount``, ``landed_amount``, ``lean_rate``,
    ``is_fair``. A pin up is a call that ran high; a square lies in the fair zone, whose ``fair_bounds`` (leans) are
    shaded. The open period's call is hatched: it has not landed. A lean that is missing has no pin.
    """
    colours = theme.palette(dark)
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.64, 0.36], vertical_spacing=0.10)
    labels = [*rows["label"].to_list(), *([open_period.label] if open_period else [])]
    places = list(range(rows.height))
    calls = [float(value) for value in rows["call_amount"]]
    landed = [float(value) for value in rows["landed_amount"]]
    told = [
        say(
            "{label}<br>called {call}<br>landed {landed}",
            label=label,
            call=theme.money(call, currency),
            landed=theme.money(amount, currency),
        )
        for label, call, amount in zip(labels, calls, landed, strict=False)
    ]
    outline = {"color": "rgba(0,0,0,0)", "line": {"color": colours.call, "width": 1.8}}
    hover = {"hovertext": told, "hovertemplate": "%{hovertext}<extra></extra>"}
    fig.add_bar(x=places, y=calls, width=BAR_WIDTH, marker=outline, name="called", row=1, col=1, **hover)
    solid = {"color": colours.actual}
    fig.add_bar(x=places, y=landed, width=LANDED_WIDTH, marker=solid, name="landed", row=1, col=1, **hover)
    if open_period is not None:
        beside = rows.tail(LABEL_BARS)
        above = max([*beside["call_amount"], *beside["landed_amount"], *_amounts(open_period)])
        _add_open(fig, open_period, at=len(places), above=above, currency=currency, colours=colours)
    _add_pins(fig, rows, fair_bounds=fair_bounds, width=len(labels), colours=colours)
    theme.figure_layout(fig, dark, height=height)
    top = max([*rows["call_amount"], *rows["landed_amount"], *_amounts(open_period)], default=Decimal(0))
    values, texts = money_ticks(top, currency)
    fig.update_yaxes(tickvals=values, ticktext=texts, range=[0, float(top) * 1.16 or 1.0], row=1, col=1)
    fig.update_yaxes(showgrid=False, tickvals=[0], ticktext=["0 %"], zeroline=True, row=2, col=1)
    fig.update_xaxes(range=[-0.6, len(labels) - 0.4], tickangle=0, zeroline=False)
    fig.update_xaxes(tickvals=list(range(len(labels))), ticktext=two_lines(labels), row=2, col=1)
    fig.update_yaxes(showline=False)
    fig.update_layout(barmode="overlay", bargap=0, margin={"t": 8, "r": 4, "l": 4, "b": 4})
    return fig


def _amounts(open_period: OpenPeriod | None) -> list[Decimal]:
    if open_period is None:
        return []
    parts = (open_period.call, open_period.expected, open_period.highest)
    return [amount for amount in parts if amount is not None]


def _add_open(
    fig: go.Figure, shown: OpenPeriod, *, at: int, above: Decimal, currency: str, colours: theme.Palette
) -> None:
    """The open period's call and what is expected of it; its label stands ``above`` all that it reaches over."""
    hatched = {
        "color": "rgba(0,0,0,0)",
        "line": {"color": colours.call, "width": 1.8},
        "pattern": {"shape": "/", "fgcolor": colours.call, "size": 6, "solidity": 0.22},
    }
    told = say("{label}<br>called {call}, not landed yet", label=shown.label, call=theme.money(shown.call, currency))
    fig.add_bar(
        x=[at],
        y=[float(shown.call)],
        width=BAR_WIDTH,
        marker=hatched,
        name="open",
        hovertemplate=f"{told}<extra></extra>",
        row=1,
        col=1,
    )
    if shown.expected is None:
        return
    expected = float(shown.expected)
    error = None
    if shown.lowest is not None and shown.highest is not None:
        error = {
            "type": "data",
            "symmetric": False,
            "array": [float(shown.highest) - expected],
            "arrayminus": [expected - float(shown.lowest)],
            "color": colours.ink,
            "thickness": 2,
            "width": 5,
        }
    said = theme.money(shown.expected, currency)
    span = theme.money_range(shown.lowest, shown.highest, currency)
    fig.add_scatter(
        x=[at],
        y=[expected],
        error_y=error,
        mode="markers",
        marker={
            "symbol": "diamond",
            "size": 11,
            "color": colours.ink,
            "line": {"color": colours.background, "width": 2},
        },
        name="expected",
        hovertemplate=say("expect about {said}; {span_of} {span}", said=said, span_of=shown.span_of, span=span)
        + "<extra></extra>",
        row=1,
        col=1,
    )
    fig.add_annotation(
        x=at + 0.5,
        y=float(above),
        yshift=4,
        text=say("expect {amount}", amount=said),
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        font={"size": 13, "color": colours.ink},
        row=1,
        col=1,
    )


def _add_pins(
    fig: go.Figure, rows: pl.DataFrame, *, fair_bounds: tuple[float, float], width: int, colours: theme.Palette
) -> None:
    """Pins stand on a logarithmic scale, so that twice and half what landed reach equally far."""
    pins = rows.with_row_index("place").filter(pl.col("lean_rate") > -1)
    leans: list[float] = pins["lean_rate"].to_list()
    heights = [log1p(lean) for lean in leans]
    lowest_fair, highest_fair = (log1p(bound) for bound in fair_bounds)
    places: list[int] = pins["place"].to_list()
    kinds = [
        "fair" if fair else "high" if lean > 0 else "low"
        for lean, fair in zip(leans, pins["is_fair"].to_list(), strict=True)
    ]
    tint = {"fair": colours.fair, "high": colours.high, "low": colours.low}
    shape = {"fair": "square", "high": "diamond", "low": "circle"}
    colour = [tint[kind] for kind in kinds]
    fig.add_shape(
        type="rect",
        x0=-0.6,
        x1=width - 0.4,
        y0=lowest_fair,
        y1=highest_fair,
        fillcolor=colours.grid,
        opacity=0.6,
        line_width=0,
        layer="below",
        row=2,
        col=1,
    )
    # As thin among three periods as among thirteen.
    stem = STEM_WIDTH * min(width / FULL, 1.0)
    fig.add_bar(x=places, y=heights, width=stem, marker={"color": colour}, hoverinfo="skip", row=2, col=1)
    texts = [theme.percent(lean, signed=True).removesuffix(f"{theme.NO_BREAK}%") for lean in leans]
    fig.add_scatter(
        x=places,
        y=heights,
        mode="markers+text",
        marker={"symbol": [shape[kind] for kind in kinds], "color": colour, "size": 9},
        text=texts,
        textposition=["top center" if lean >= 0 else "bottom center" for lean in leans],
        textfont={"size": 12, "color": colours.ink},
        cliponaxis=False,
        name="lean",
        hovertemplate=say("call against what landed %{text} %<extra></extra>"),
        row=2,
        col=1,
    )
    top, bottom = max([*heights, highest_fair]), min([*heights, lowest_fair])
    # Labels stand beyond the pins: room for them in proportion to what is drawn.
    room = 0.38 * (top - bottom)
    fig.update_yaxes(range=[bottom - room, top + room], row=2, col=1)
