"""Raw landing rates against how much each own record says: what chance alone would do, and who lies outside."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import MANY_POINTS, marks
from dashboard.language import say

TOP = 2.5


@kept
def funnel(
    *,
    rows: pl.DataFrame,
    limits: pl.DataFrame,
    common: float | None,
    currency: str,
    words: dict[str, str],
    dark: bool,
    height: int = 400,
) -> go.Figure:
    """``rows``: ``name``, ``kind``, ``landing_rate``, ``own_error_rate``, ``label`` (null: unnamed); ``limits``:
    engine.funnel.

    To the right the own record says more. Between the curves lie those whom chance alone could have put there.
    """
    colours = theme.palette(dark)
    fig = go.Figure()
    curve = {"color": colours.muted, "width": 1.25}
    for side, fill in (("upper", None), ("lower", "tonexty")):
        fig.add_scatter(
            x=limits["own_error_rate"].to_list(),
            y=limits[side].to_list(),
            mode="lines",
            line=curve,
            fill=fill,
            fillcolor=colours.band,
            hoverinfo="skip",
            name="funnel",
        )
    fig.add_hline(y=1.0, line={"color": colours.muted, "width": 1})
    if common is not None:
        fig.add_hline(y=common, line={"color": colours.accent, "width": 2, "dash": "dot"})
    trace = go.Scattergl if rows.height > MANY_POINTS else go.Scatter
    for kind, mark in marks(dark).items():
        part = rows.filter(pl.col("kind") == kind)
        if part.is_empty():
            continue
        texts = part["label"].fill_null("").to_list()
        fig.add_trace(
            trace(
                x=part["own_error_rate"].to_list(),
                y=part["landing_rate"].to_list(),
                mode="markers+text" if any(texts) else "markers",
                text=texts,
                textposition="bottom left" if kind == "runs_high" else "middle left",
                textfont={"size": 12, "color": colours.ink},
                marker={
                    "symbol": mark.drawn,
                    "color": mark.colour,
                    "size": 9,
                    "line": {"width": 1.75, "color": mark.colour} if mark.hollow else {"width": 0},
                },
                hovertext=[
                    f"{name}<br>landed {theme.unit(rate, currency)}<br>{words[kind]}"
                    for name, rate in part.select("name", "landing_rate").iter_rows()
                ],
                hovertemplate="%{hovertext}<extra></extra>",
                name=words[kind],
                cliponaxis=False,
            )
        )
    theme.figure_layout(fig, dark, height=height)
    widest = max(rows["own_error_rate"].drop_nulls().to_list(), default=0.3)
    narrowest = min(rows["own_error_rate"].drop_nulls().to_list(), default=0.0)
    ticks = [step / 100 for step in range(0, 201, 5 if widest <= 0.3 else 10 if widest <= 0.6 else 25)]
    fig.update_xaxes(
        range=[widest * 1.06, narrowest * 0.85],
        tickvals=ticks,
        ticktext=[f"±{theme.percent(value)}" for value in ticks],
        zeroline=False,
        title={"text": say("error of the own record: to the right it says more")},
    )
    rates = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    top = min(max([*rows["landing_rate"].drop_nulls().to_list(), 1.4]) * 1.08, TOP)
    fig.update_yaxes(
        range=[0, top], tickvals=rates, ticktext=[theme.unit(rate, currency) for rate in rates], zeroline=False
    )
    return fig
