"""What was believed of every deal at given weeks of every period, and how it ended: one statement, one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.history import Prepared
from pipelines.warehouse.store import statement


def deal_states(
    prepared: Prepared, weeks: Iterable[int], policy: Policy, *, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Period × week × opportunity; columns as the statement's opening says. Only weeks that have begun appear.

    ``columns``: what is wanted of them, the grain included; the rest is not fetched (a thousand reps' names and reasons
    at six weeks of a dozen periods fill a gigabyte).
    """
    params: dict[str, object] = {"weeks": _listed(weeks), "no_decision": policy.no_decision_pattern}
    query = statement("deal_states")
    if columns is not None:
        query = f"select {', '.join(columns)} from ({query}) as states"
    rows = prepared.engine.frame(query, params)
    return rows.sort("period_start_on", "week_of_period", "opportunity_id")


def periods_seen(prepared: Prepared, weeks: Iterable[int]) -> pl.DataFrame:
    """``period_start_on`` of the periods that ``deal_states`` has at any of these weeks, without fetching a deal."""
    rows = prepared.engine.frame(statement("periods_seen"), {"weeks": _listed(weeks)})
    return rows.sort("period_start_on")


def _listed(weeks: Iterable[int]) -> str:
    return ",".join(str(week) for week in sorted(set(weeks)))
