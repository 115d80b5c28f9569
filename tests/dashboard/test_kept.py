"""A kept figure is never another's: one differing cell anywhere draws it anew."""

from __future__ import annotations

from decimal import Decimal

import plotly.graph_objects as go
import polars as pl
import pytest

from dashboard import theme
from dashboard.charts import kept as module
from dashboard.charts.kept import kept

drawn: list[int] = []


@kept
def bars(*, rows: pl.DataFrame, dark: bool = False, top: Decimal | None = None) -> go.Figure:
    drawn.append(rows.height)
    return go.Figure(go.Bar(y=rows["amount"].to_list(), marker={"color": theme.palette(dark).ink}))


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    module._figures.clear()
    drawn.clear()
    monkeypatch.delenv("FORECAST_TRUST_LANGUAGE", raising=False)


def amounts(changed: int | None = None, height: int = 5_000) -> pl.DataFrame:
    return pl.DataFrame({"amount": [float(place == changed) + place for place in range(height)]})


def test_the_same_facts_are_drawn_once() -> None:
    assert bars(rows=amounts()) is bars(rows=amounts())
    assert len(drawn) == 1


@pytest.mark.parametrize("changed", [0, 1, 2_500, 4_999])
def test_one_changed_row_is_another_figure_wherever_it_stands(changed: int) -> None:
    before, after = bars(rows=amounts()), bars(rows=amounts(changed))
    assert before is not after
    assert after.data[0].y[changed] == changed + 1


def test_every_other_argument_counts_too() -> None:
    light, dark = bars(rows=amounts(), dark=False), bars(rows=amounts(), dark=True)
    assert light.data[0].marker.color != dark.data[0].marker.color
    assert bars(rows=amounts(), top=Decimal("1.00")) is not bars(rows=amounts(), top=Decimal("1.01"))
    assert bars(rows=amounts().rename({"amount": "amount"}).cast(pl.Float32)) is not light


def test_the_longest_unasked_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    first = bars(rows=amounts(height=1))
    bars(rows=amounts(height=2))
    assert bars(rows=amounts(height=1)) is first
    bars(rows=amounts(height=3))
    assert bars(rows=amounts(height=1)) is first
    assert len(module._figures) == 2
    count = len(drawn)
    bars(rows=amounts(height=2))
    assert len(drawn) == count + 1


def test_what_is_made_larger_leaves_the_kept_one_as_it_was() -> None:
    figure = bars(rows=amounts(height=3))
    before = figure.to_json()
    theme.projected(figure)
    assert figure.to_json() == before
