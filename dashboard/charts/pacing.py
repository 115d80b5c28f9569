"""One line per period over its weeks: how this period stands beside the ones before at the same week."""

from __future__ import annotations

from decimal import Decimal

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept
from dashboard.charts.marks import money_ticks
from dashboard.language import say


@kept
def pacing(*, rows: pl.DataFrame, currency: str, dark: bool, height: int = 260) -> go.Figure:
    """``rows`` in order of period and week: ``label``, ``week_of_period``, ``amount``, ``is_now``.

    Earlier periods are thin and grey, this one is strong and ends in a dot, named beside it.
    """
    colours = theme.palette(dark)
    fig = go.Figure()
    for _, of_period in rows.group_by("label", maintain_order=True):
        is_now, label = bool(of_period["is_now"][0]), str(of_period["label"][0])
        weeks = of_period["week_of_period"].to_list()
        amounts = [float(amount) for amount in of_period["amount"]]
        last_alone = [0] * (len(weeks) - 1) + [9]
        fig.add_scatter(
            x=weeks,
            y=amounts,
            mode="lines+markers" if is_now else "lines",
            line={"color": colours.accent if is_now else colours.unsure, "width": 3 if is_now else 1},
            marker={"size": last_alone, "color": colours.accent},
            hovertext=[
                say("{label}, week {week}: {amount}", label=label, week=week, amount=theme.money(amount, currency))
                for week, amount in zip(weeks, amounts, strict=True)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            cliponaxis=False,
        )
        if is_now:
            fig.add_annotation(
                x=weeks[-1], y=amounts[-1], text=label, showarrow=False, xanchor="left", yanchor="bottom", xshift=6,
                font={"color": colours.ink},
            )  # fmt: skip
    theme.figure_layout(fig, dark, height=height)
    values, texts = money_ticks(max(rows["amount"], default=Decimal(0)), currency)
    fig.update_yaxes(tickvals=values, ticktext=texts, rangemode="tozero")
    fig.update_xaxes(title_text=say("Week"), dtick=3, showgrid=False, zeroline=False)
    return fig
