"""What was believed of every deal at given weeks of every period, and how it ended: one statement, one frame."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.history import Prepared
from pipelines.warehouse.store import frame, statement


def deal_states(prepared: Prepared, weeks: Iterable[int], policy: Policy) -> pl.DataFrame:
    """Period × week × opportunity; columns as the statement's opening says. Only weeks that have begun appear."""
    params: dict[str, object] = {
        "weeks": ",".join(str(week) for week in sorted(set(weeks))),
        "no_decision": policy.no_decision_pattern,
    }
    rows = frame(prepared.con, statement("deal_states"), params)
    return rows.sort("period_start_on", "week_of_period", "opportunity_id")
