"""One rate period by period, against what chance alone would do, and where the next period should land."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import add_band


@kept
def rate_history(
    *,
    rows: pl.DataFrame,
    overall: float | None,
    ahead: tuple[float, float] | None,
    written: Callable[[float], str],
    dark: bool,
    height: int = 190,
) -> go.Figure:
    """``rows``, oldest first: ``label``, ``estimate``, ``lower``, ``upper``, ``limit_lower``, ``limit_upper``,
    ``is_outside_limits`` (diamond; null where there are no limits). ``ahead``: range of the next period.
    """
    colours = theme.palette(dark)
    places = list(range(rows.height))
    fig = go.Figure()
    if rows["limit_lower"].null_count() < rows.height:
        lower, upper = rows["limit_lower"].to_list(), rows["limit_upper"].to_list()
        add_band(fig, x=places, lower=lower, upper=upper, fill=colours.grid)
    if overall is not None:
        fig.add_hline(y=overall, line={"color": colours.muted, "width": 1, "dash": "dot"})
    for place, lower, upper in zip(places, rows["lower"].to_list(), rows["upper"].to_list(), strict=True):
        if lower is not None and upper is not None:
            line = {"color": colours.unsure, "width": 1.5}
            fig.add_shape(type="line", x0=place, x1=place, y0=lower, y1=upper, line=line)
    outside = [bool(flag) for flag in rows["is_outside_limits"].to_list()]
    fig.add_scatter(
        x=places,
        y=rows["estimate"].to_list(),
        mode="lines+markers",
        line={"color": colours.ink, "width": 1},
        marker={
            "size": [10 if flag else 7 for flag in outside],
            "symbol": ["diamond" if flag else "circle" for flag in outside],
            "color": [colours.high if flag else colours.ink for flag in outside],
        },
        hovertext=[
            f"{label}: {theme.MISSING if value is None else written(value)}"
            for label, value in rows.select("label", "estimate").iter_rows()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )
    if ahead is not None:
        at = rows.height + 0.2
        fig.add_shape(
            type="rect", x0=at - 0.28, x1=at + 0.28, y0=ahead[0], y1=ahead[1], fillcolor=colours.accent, line_width=0
        )
    theme.figure_layout(fig, dark, height=height)
    ends = [value for name in ("lower", "upper", "estimate") for value in rows[name].drop_nulls()] + [*(ahead or ())]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.12 * (high - low) or 0.1
    shown = [low, overall, high] if overall is not None else [low, high]
    fig.update_yaxes(
        range=[low - room, high + room], tickvals=shown, ticktext=[written(value) for value in shown], showgrid=False,
        zeroline=False,
    )  # fmt: skip
    labels = rows["label"].fill_null("").to_list()
    first_last = [0, rows.height - 1] if rows.height > 1 else [0]
    fig.update_xaxes(
        range=[-0.5, rows.height + 0.8],
        tickvals=[*first_last, *([] if ahead is None else [rows.height + 0.2])],
        ticktext=[*(labels[place].replace(" ", "<br>") for place in first_last), *([] if ahead is None else ["next"])],
        zeroline=False,
        tickangle=0,
    )
    return fig
