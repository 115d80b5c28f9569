"""How old the newest recorded fact is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

import polars as pl

EVENT_TABLES = (
    "opportunities",
    "opportunity_history",
    "opportunity_states",
    "forecast_submissions",
    "forecast_records",
)


@dataclass(frozen=True)
class Freshness:
    """``newest_at``: the latest fact on deals or calls; ``age_days`` whole days from it to ``judged_on``."""

    newest_at: datetime | None
    judged_on: date
    age_days: int | None
    is_stale: bool


def freshness(
    table_status: pl.DataFrame, *, judged_on: date, stale_days: int, last_record_on: date | None = None
) -> Freshness:
    """**Data freshness.** Days from the newest fact on a deal or a call to the day it is judged on.

    ``table_status``: one row per input table with ``last_known_at``. ``judged_on`` is the day of looking for the
    current edition of a real company, and the edition's own as-of for a past or simulated one. Stale: more than
    ``stale_days``.
    ``last_record_on``: the last day of the newest closed period of ``forecast_records``; such a row counts as known
    from the start of its period, for its call, but says what landed, too, and that is known at the period's end.
    A fact recorded later that same day, or after it, has age 0. No facts: no age, and not fresh.
    """
    known = table_status.filter(pl.col("table_name").is_in(EVENT_TABLES))["last_known_at"].drop_nulls().to_list()
    if last_record_on is not None:
        known.append(datetime.combine(last_record_on, time.max.replace(microsecond=0)))
    if not known:
        return Freshness(None, judged_on, None, True)
    newest: datetime = max(known)
    age = max((judged_on - newest.date()).days, 0)
    return Freshness(newest, judged_on, age, age > stale_days)
