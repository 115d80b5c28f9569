"""Every forecaster's lean with its interval, one row each: a caterpillar (forest) plot."""

from __future__ import annotations

from math import log10

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import MANY_POINTS, marks, rate_ticks
from dashboard.language import say

ROW_HEIGHT = 22
NAME_LENGTH = 18


@kept
def caterpillar(
    *,
    rows: pl.DataFrame,
    common: tuple[float, float, float] | None,
    fair_bounds: tuple[float, float],
    currency: str,
    words: dict[str, str],
    dark: bool,
) -> go.Figure:
    """``rows`` in the order drawn, the first on top: ``name``, ``kind``, ``estimate``, ``lower``, ``upper``.

    ``kind`` gives shape and colour (charts.marks); hollow means that nothing is said of that forecaster. ``common``:
    estimate, lower and upper of the lean they share, drawn as a band. ``fair_bounds``: landing rates of the fair zone.
    Left of the line at 1 calls run high, right of it low.
    """
    colours = theme.palette(dark)
    fig = go.Figure()
    count = rows.height
    fig.add_vrect(
        x0=fair_bounds[0], x1=fair_bounds[1], fillcolor=colours.grid, opacity=0.55, line_width=0, layer="below"
    )
    fig.add_vline(x=1.0, line={"color": colours.muted, "width": 1}, layer="below")
    if common is not None:
        fig.add_vrect(x0=common[1], x1=common[2], fillcolor=colours.band, line_width=0, layer="below")
        fig.add_vline(x=common[0], line={"color": colours.accent, "width": 2, "dash": "dot"}, layer="below")
    placed = rows.with_row_index("place").with_columns(place=count - 1 - pl.col("place").cast(pl.Int64))
    trace = go.Scattergl if count > MANY_POINTS else go.Scatter
    for kind, mark in marks(dark).items():
        part = placed.filter(pl.col("kind") == kind)
        if part.is_empty():
            continue
        said = kind != "not_enough_evidence"
        fig.add_trace(
            trace(
                x=part["estimate"].to_list(),
                y=part["place"].to_list(),
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (part["upper"] - part["estimate"]).to_list(),
                    "arrayminus": (part["estimate"] - part["lower"]).to_list(),
                    "color": mark.colour,
                    "thickness": 2 if said else 1.25,
                    "width": 0,
                },
                mode="markers",
                marker={
                    "symbol": mark.drawn,
                    "color": mark.colour,
                    "size": 10 if said else 9,
                    "line": {"width": 1.75, "color": mark.colour} if mark.hollow else {"width": 0},
                },
                hovertext=[_told(row, currency, words) for row in part.iter_rows(named=True)],
                hovertemplate="%{hovertext}<extra></extra>",
                name=words[kind],
            )
        )
    theme.figure_layout(fig, dark, height=ROW_HEIGHT * max(count, 2) + 92)
    lowest, highest = _reach(rows)
    values, texts = rate_ticks(lowest, highest, currency)
    names = [_fitted(name) for name in rows["name"]]
    fig.update_yaxes(
        tickvals=list(range(count)), ticktext=names[::-1], range=[-0.8, count - 0.2], showgrid=False, zeroline=False
    )
    fig.update_xaxes(
        type="log",
        tickvals=values,
        ticktext=texts,
        tickangle=0,
        showgrid=True,
        zeroline=False,
        side="top",
        range=[log10(lowest) - 0.015, log10(highest) + 0.015],
    )
    fig.update_layout(margin={"t": 52, "l": 4, "r": 8, "b": 8})
    ends = ((say("← runs high"), 0.0, "left", colours.high), (say("runs low →"), 1.0, "right", colours.low))
    for text, x, anchor, colour in ends:
        fig.add_annotation(
            text=text,
            x=x,
            y=1,
            yshift=46,
            xref="paper",
            yref="paper",
            xanchor=anchor,
            yanchor="top",
            showarrow=False,
            font={"size": 13, "color": colour},
        )
    return fig


def _reach(rows: pl.DataFrame) -> tuple[float, float]:
    """Ends of the axis: every interval, cut at a tenth and at five."""
    lows = [value for value in rows["lower"].drop_nulls().to_list() if value > 0]
    highs = rows["upper"].drop_nulls().to_list()
    return max(min([*lows, 0.8]), 0.1), min(max([*highs, 1.25]), 5.0)


def _fitted(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1].rstrip() + "…"


def _told(row: dict[str, object], currency: str, words: dict[str, str]) -> str:
    estimate, lower, upper = (theme.unit(row[name], currency) for name in ("estimate", "lower", "upper"))  # type: ignore[arg-type]
    return say(
        "{name}<br>lands {estimate} ({lower}–{upper})<br>{word}",
        name=row["name"],
        estimate=estimate,
        lower=lower,
        upper=upper,
        word=words[str(row["kind"])],
    )
