"""Probabilities given against shares won: on the diagonal they are true."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import add_band
from dashboard.language import say


@kept
def reliability(*, bins: pl.DataFrame, dark: bool, height: int = 320) -> go.Figure:
    """``bins``: ``predicted_rate``, ``observed_rate``, ``lower``, ``upper``, ``band_lower``, ``band_upper``,
    ``deal_count``. Marks grow with the root of their deals, so that area is number.
    """
    colours = theme.palette(dark)
    rows = bins.sort("predicted_rate")
    given = rows["predicted_rate"].to_list()
    fig = go.Figure()
    lower, upper = rows["band_lower"].to_list(), rows["band_upper"].to_list()
    add_band(fig, x=given, lower=lower, upper=upper, fill=colours.grid)
    fig.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": colours.muted, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    for x, lower, upper in rows.select("predicted_rate", "lower", "upper").iter_rows():
        fig.add_shape(type="line", x0=x, x1=x, y0=lower, y1=upper, line={"color": colours.accent, "width": 2.5})
    largest = max(rows["deal_count"].to_list(), default=1)
    fig.add_scatter(
        x=given,
        y=rows["observed_rate"].to_list(),
        mode="lines+markers",
        line={"color": colours.accent, "width": 1},
        marker={
            "size": [7 + 11 * math.sqrt(count / largest) for count in rows["deal_count"].to_list()],
            "color": colours.accent,
            "line": {"color": colours.background, "width": 1},
        },
        hovertext=[
            say(
                "given {given}: {won} of {deals} won",
                given=theme.percent(x),
                won=theme.percent(y),
                deals=theme.plural(count, "deal"),
            )
            for x, y, count in rows.select("predicted_rate", "observed_rate", "deal_count").iter_rows()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )
    theme.figure_layout(fig, dark, height=height)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    axis = {"range": [-0.02, 1.02], "tickvals": ticks, "ticktext": [theme.percent(value) for value in ticks]}
    fig.update_xaxes(**axis, zeroline=False, title={"text": say("probability given")})
    fig.update_yaxes(**axis, zeroline=False, title={"text": say("share won")})
    return fig
