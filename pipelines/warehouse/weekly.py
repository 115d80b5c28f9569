"""How the pipeline stood week by week: the statements behind ``pipeline_cube`` and ``pipeline_weekly``, in their order.

Every version of a deal becomes a range of week numbers by joins on days, and only then rows: a daily copy of the
history would be some hundred times as many. Weeks are those of the periods, so that a week of this period can be laid
beside the same week of earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.policy import Policy

MOST_WEEKS = 100_000


def lay_weekly(make: Callable[[str, Mapping[str, object]], None], known: Mapping[str, object], policy: Policy) -> None:
    """Make ``pipeline_weeks``, ``pipeline_cube``, ``weekly_sums`` and ``pipeline_weekly``. ``known``: ``as_of_at``."""
    make("pipeline_weeks", {**known, "period_count": policy.movement_periods})
    make("pipeline_week_days", {})
    make("pipeline_cube", {"from_week": 1, "to_week": MOST_WEEKS})
    for table in ("weekly_sums", "pipeline_weekly"):
        make(table, {})
