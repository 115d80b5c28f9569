"""Steps of a forecast, top to bottom: how much nearer each comes than the one above it."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.language import say

ROW_HEIGHT = 62


@kept
def stairs(*, rows: pl.DataFrame, first: str, dark: bool) -> go.Figure:
    """``rows``: ``label``, ``note`` (under the label), ``gain``, ``lower``, ``upper`` (null: no line), ``direction``.

    ``first``: the step that all of it starts from. To the right of 0 a step came nearer. A filled circle helps, a
    filled diamond hurts, a hollow circle says nothing.
    """
    colours = theme.palette(dark)
    looks = {"adds_value": ("circle", colours.low), "hurts": ("diamond", colours.high)}
    symbols = [looks.get(word, ("circle-open", colours.unsure)) for word in rows["direction"].to_list()]
    places = list(range(1, rows.height + 1))
    fig = go.Figure()
    fig.add_vline(x=0, line={"color": colours.muted, "width": 1})
    for place, lower, upper, (_, colour) in zip(
        places, rows["lower"].to_list(), rows["upper"].to_list(), symbols, strict=True
    ):
        if lower is not None and upper is not None:
            fig.add_shape(type="line", x0=lower, x1=upper, y0=place, y1=place, line={"color": colour, "width": 3})
    fig.add_scatter(
        x=rows["gain"].to_list(),
        y=places,
        mode="markers",
        marker={
            "symbol": [symbol for symbol, _ in symbols],
            "color": [colour for _, colour in symbols],
            "size": 13,
            "line": {"width": 2, "color": [colour for _, colour in symbols]},
        },
        hovertext=[
            f"{label}: {theme.percent(gain, 1, signed=True)}"
            for label, gain in rows.select("label", "gain").iter_rows()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )
    fig.add_scatter(x=[0], y=[0], mode="markers", marker={"symbol": "square", "size": 9, "color": colours.ink},
                    hoverinfo="skip")  # fmt: skip
    theme.figure_layout(fig, dark, height=ROW_HEIGHT * (rows.height + 1) + 40)
    reach = max([abs(value) for name in ("lower", "upper", "gain") for value in rows[name].drop_nulls()], default=0.1)
    step = next(size for size in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 1e9) if reach / size <= 3)
    ticks = [step * number for number in range(-3, 4) if abs(step * number) <= reach * 1.1]
    fig.update_xaxes(
        range=[-reach * 1.1, reach * 1.1],
        tickvals=ticks,
        ticktext=[theme.percent(value, signed=True) for value in ticks],
        showgrid=True,
        zeroline=False,
        title={"text": say("← farther off · nearer →")},
    )
    notes = [f"{label}<br><i>{note}</i>" for label, note in rows.select("label", "note").iter_rows()]
    fig.update_yaxes(
        tickvals=[0, *places],
        ticktext=[first, *notes],
        range=[rows.height + 0.6, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 13},
    )
    return fig
