"""Did past ranges hold? One bar per period as issued, and where it landed: inside or out."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import round_ticks, two_lines


@kept
def coverage_strip(*, rows: pl.DataFrame, currency: str, dark: bool, height: int = 250) -> go.Figure:
    """``rows``: one per past period, oldest first: ``label, lower, estimate, upper, actual_amount, is_inside``.

    At least one. A bar is the range, the tick across it what was expected. Landed inside: a circle; outside: a diamond.
    """
    colours = theme.palette(dark)
    fig = go.Figure()
    labels = rows["label"].to_list()
    places = list(range(rows.height))
    lower, upper, expected, landed = (
        [float(value) for value in rows[name]] for name in ("lower", "upper", "estimate", "actual_amount")
    )
    fig.add_bar(
        x=places,
        y=[high - low for low, high in zip(lower, upper, strict=True)],
        base=lower,
        width=0.5,
        marker={"color": colours.band, "line": {"color": colours.call, "width": 1.2}},
        hoverinfo="skip",
        name="range",
    )
    fig.add_scatter(
        x=places,
        y=expected,
        mode="markers",
        marker={"symbol": "line-ew", "size": 22, "line": {"color": colours.call, "width": 2}},
        hoverinfo="skip",
        name="expected",
    )
    said = [
        f"{row['label']}<br>{theme.money_range(row['lower'], row['upper'], currency)}"
        f"<br>landed {theme.money(row['actual_amount'], currency)}"
        for row in rows.iter_rows(named=True)
    ]
    inside = rows["is_inside"].to_list()
    fig.add_scatter(
        x=places,
        y=landed,
        mode="markers",
        marker={
            "symbol": ["circle" if held else "diamond" for held in inside],
            "size": [11 if held else 14 for held in inside],
            "color": [colours.ink if held else colours.high for held in inside],
            "line": {"color": colours.background, "width": 1.5},
            "opacity": 1,
        },
        hovertext=said,
        hovertemplate="%{hovertext}<extra></extra>",
        name="landed",
    )
    theme.figure_layout(fig, dark, height=height)
    # A range is a length between two amounts, not a height: the axis need not begin at 0.
    bottom, top = min([*lower, *landed]), max([*upper, *landed])
    room = 0.06 * (top - bottom) or 1.0
    values, texts = round_ticks(bottom - room, top + room, currency)
    fig.update_yaxes(tickvals=values, ticktext=texts, range=[bottom - room, top + room], showline=False, zeroline=False)
    fig.update_xaxes(
        range=[-0.6, rows.height - 0.4],
        tickvals=places,
        ticktext=two_lines(labels),
        tickangle=0,
        zeroline=False,
    )
    fig.update_layout(bargap=0, margin={"t": 8, "r": 4, "l": 4, "b": 4})
    return fig
