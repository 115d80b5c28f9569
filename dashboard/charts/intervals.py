"""Shares one under the other: where each is, where it may be, and where it was."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from dashboard import theme
from dashboard.charts.kept import kept

ROW_HEIGHT = 34
SMALLEST_TOP = 0.10


@kept
def intervals(*, rows: pl.DataFrame, dark: bool, top: float | None = None) -> go.Figure:
    """``rows``, top to bottom: ``label``, ``estimate``, ``lower``, ``upper`` (null: no line), ``previous`` (list of
    rates, null where unknown). ``top``: end of the axis, where several charts share one scale.
    """
    colours = theme.palette(dark)
    places = list(range(rows.height))
    fig = go.Figure()
    ticks = [
        (value, place)
        for place, earlier in enumerate(rows["previous"].to_list() if "previous" in rows.columns else [])
        for value in earlier
        if value is not None
    ]
    if ticks:
        fig.add_scatter(
            x=[value for value, _ in ticks],
            y=[place for _, place in ticks],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 11, "color": colours.unsure, "line": {"width": 1.5}},
            hovertemplate="before: %{x:.0%}<extra></extra>",
            name="before",
        )
    for place, lower, upper in zip(places, rows["lower"].to_list(), rows["upper"].to_list(), strict=True):
        if lower is not None and upper is not None:
            fig.add_shape(
                type="line", x0=lower, x1=upper, y0=place, y1=place, line={"color": colours.accent, "width": 3}
            )
    fig.add_scatter(
        x=rows["estimate"].to_list(),
        y=places,
        mode="markers",
        marker={"symbol": "circle", "size": 10, "color": colours.accent},
        hovertext=[
            f"{label}: {theme.percent(estimate)}" for label, estimate in rows.select("label", "estimate").iter_rows()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        name="now",
        cliponaxis=False,
    )
    theme.figure_layout(fig, dark, height=ROW_HEIGHT * max(rows.height, 1) + 48)
    known = [*rows["upper"].drop_nulls(), *rows["estimate"].drop_nulls(), *(value for value, _ in ticks), SMALLEST_TOP]
    top = min(1.0, max(known)) if top is None else top
    step = 0.05 if top <= 0.25 else 0.1 if top <= 0.5 else 0.25
    values = [step * number for number in range(int(top / step + 1e-9) + 2) if step * number <= 1]
    fig.update_xaxes(
        range=[-0.01 * top, min(top * 1.06, 1.03)],
        tickvals=values,
        ticktext=[theme.percent(value) for value in values],
        showgrid=True,
        zeroline=False,
        side="top",
    )
    fig.update_yaxes(
        tickvals=places,
        ticktext=[_two_lines(label) for label in rows["label"]],
        range=[rows.height - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        tickfont={"color": colours.ink, "size": 13},
    )
    return fig


def _two_lines(label: str, length: int = 22) -> str:
    """A long label broken near its middle, so that a phone keeps room for the marks."""
    if len(label) <= length:
        return label
    words = label.split(" ")
    best = min(range(1, len(words) + 1), key=lambda cut: abs(len(" ".join(words[:cut])) - len(label) / 2))
    return " ".join(words[:best]) + ("<br>" + " ".join(words[best:]) if best < len(words) else "")
