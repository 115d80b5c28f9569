"""Open and due at the same week of this period and the ones before: what is drawn, and what is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from dashboard import wording_pipeline
from dashboard.charts.pacing import pacing
from dashboard.wording import TITLE_LENGTH


def rows(*, past: dict[str, list[int]], now: list[int]) -> list[dict[str, Any]]:
    periods = [*((label, amounts, False) for label, amounts in past.items()), ("Q4 2026", now, True)]
    return [
        {"label": label, "week_of_period": week, "amount": Decimal(amount), "deal_count": 1, "is_now": is_now}
        for label, amounts, is_now in periods
        for week, amount in enumerate(amounts)
    ]


@pytest.mark.parametrize(
    ("past", "words"),
    [
        ({}, "Open and due, week 1: $2M; no earlier quarter to compare"),
        ({"Q3 2026": [9, 1_000_000]}, "Open and due, week 1: $2M, more than the quarter before"),
        ({"Q3 2026": [9, 2_000_000]}, "Open and due, week 1: $2M, no more than the quarter before"),
        (
            {"Q2 2026": [9, 1_000_000, 5], "Q3 2026": [9, 3_000_000, 5]},
            "Open and due, week 1: $2M, more than in 1 of 2 quarters before",
        ),
        (
            {"Q2 2026": [9, 1_000_000, 5], "Q3 2026": [9, 1_500_000, 5]},
            "Open and due, week 1: $2M, the most of 3 quarters",
        ),
        (
            {"Q2 2026": [9, 2_100_000, 5], "Q3 2026": [9, 3_000_000, 5]},
            "Open and due, week 1: $2M, the least of 3 quarters",
        ),
        (
            {"Q2 2026": [9, 2_000_000, 5], "Q3 2026": [9, 3_000_000, 5]},
            "Open and due, week 1: $2M, more than in none of 2 quarters before",
        ),
        ({"Q3 2026": [9]}, "Open and due, week 1: $2M; no earlier quarter to compare"),
    ],
)
def test_the_title_compares_the_same_week(past: dict[str, list[int]], words: str) -> None:
    title = wording_pipeline.pacing_title(rows(past=past, now=[5, 2_000_000]), "quarter", "USD")
    assert title.replace("2.00M", "2M") == words
    assert len(title) <= TITLE_LENGTH


def test_the_longest_title_still_fits() -> None:
    past = {f"Q{number} 2025": [123_400_000] * 13 for number in range(1, 5)}
    title = wording_pipeline.pacing_title(rows(past=past, now=[123_400_001] * 13), "quarter", "CHF")
    assert len(title) <= TITLE_LENGTH


def test_this_period_alone_is_strong_and_named() -> None:
    table = pl.DataFrame(rows(past={"Q2 2026": [1, 2, 3], "Q3 2026": [4, 5, 6]}, now=[7, 8]))
    fig = pacing(rows=table, currency="USD", dark=False)
    widths = [trace.line.width for trace in fig.data]
    assert widths[-1] > widths[0] == widths[1]
    assert [list(trace.y) for trace in fig.data] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert [note.text for note in fig.layout.annotations] == ["Q4 2026"]
    assert "Q3 2026, week 2" in fig.data[1].hovertext[2]


def test_the_alternative_names_every_period() -> None:
    said = wording_pipeline.pacing_alt(rows(past={"Q3 2026": [4, 5]}, now=[7]), "USD")
    assert "Q3 2026 $5" in said
    assert "Q4 2026 $7" in said
