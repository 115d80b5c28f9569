"""When a period was looked at, and who belonged to whom by then: what a landing needs beside the deals' states."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.store import statement


def landing_looks(prepared: Prepared, weeks: Iterable[int]) -> pl.DataFrame:
    """One row per period and week that has begun; columns as the statement's opening says."""
    rows = prepared.engine.frame(statement("landing_looks"), {"weeks": ",".join(map(str, sorted(set(weeks))))})
    return rows.sort("period_start_on", "week_of_period")


def members_by_week(prepared: Prepared, week: int, policy: Policy) -> pl.DataFrame:
    """``period_start_on, person_id, scope`` as the hierarchy stood at that week of each period.

    From the lock week on these are the published members; before it, nobody knew yet how the hierarchy would then be.
    """
    known = {"lock_week": min(week, policy.lock_week), "as_of_at": prepared.as_of_at}
    return prepared.engine.frame(statement("scope_members"), known).sort("period_start_on", "person_id", "scope")
