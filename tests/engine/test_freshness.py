"""How old the newest fact is: by pencil and at the edges."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest

from pipelines.engine.freshness import freshness

JUDGED_ON = date(2026, 11, 18)


def status(*rows: tuple[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [(name, None if known is None else datetime.fromisoformat(known)) for name, known in rows],
        schema={"table_name": pl.String, "last_known_at": pl.Datetime("us")},
        orient="row",
    )


@pytest.mark.parametrize(
    ("newest", "age", "stale"),
    [
        ("2026-11-18T23:00", 0, False),
        ("2026-11-17T23:59", 1, False),
        ("2026-11-04T00:00", 14, False),
        ("2026-11-03T23:59", 15, True),
        ("2026-11-20T00:00", 0, False),
    ],
)
def test_whole_days_to_the_day_it_is_judged_on(newest: str, age: int, stale: bool) -> None:
    found = freshness(status(("opportunities", newest)), judged_on=JUDGED_ON, stale_days=14)
    assert (found.age_days, found.is_stale) == (age, stale)


def test_only_deals_and_calls_count() -> None:
    rows = status(("opportunities", "2026-10-01T00:00"), ("quotas", "2026-11-18T00:00"), ("people", "2026-11-18T00:00"))
    assert freshness(rows, judged_on=JUDGED_ON, stale_days=14).age_days == 48


def test_the_newest_of_deals_and_calls_counts() -> None:
    rows = status(("opportunities", "2026-10-01T00:00"), ("forecast_submissions", "2026-11-16T00:00"))
    assert freshness(rows, judged_on=JUDGED_ON, stale_days=14).age_days == 2


def test_without_a_fact_there_is_no_age_and_nothing_is_fresh() -> None:
    found = freshness(status(("opportunities", None)), judged_on=JUDGED_ON, stale_days=14)
    assert (found.newest_at, found.age_days, found.is_stale) == (None, None, True)


def test_a_spreadsheet_is_as_new_as_the_last_quarter_it_has_landings_of() -> None:
    rows = status(("forecast_records", "2026-07-01T00:00"))
    found = freshness(rows, judged_on=JUDGED_ON, stale_days=14, last_record_on=date(2026, 9, 30))
    assert found.age_days == 49
    newer = status(("opportunities", "2026-11-18T00:00"))
    assert freshness(newer, judged_on=JUDGED_ON, stale_days=14, last_record_on=date(2026, 9, 30)).age_days == 0
