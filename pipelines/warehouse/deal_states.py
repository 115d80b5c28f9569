"""What was believed of every deal at given weeks of every period, and how it ended: one statement, one frame.

A large company has millions of such rows, and a dozen measures ask for some weeks and columns of them. So the rows are
laid down once, in the engine, and each measure fetches what it wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.store import statement

LAID = (
    "period_start_on", "week_of_period", "opportunity_id", "until_at", "period_status", "lock_owner_id", "lock_stage",
    "lock_category", "lock_probability_rate", "lock_amount", "lock_close_on", "is_due", "won_by_week", "existed",
    "age_days", "sales_motion", "outcome", "end_owner_id", "end_amount", "end_amount_at_lock_rate", "end_on",
)  # fmt: skip
"""What is laid down: all but names, sources and reasons, which are the opportunity's own and the same at every look."""


def deal_states(
    prepared: Prepared, weeks: Iterable[int], policy: Policy, *, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Period × week × opportunity; columns as the statement's opening says. Only weeks that have begun appear.

    ``columns``: those of ``LAID`` that are wanted, the grain among them; the rest is not fetched (a thousand reps'
    deals at six weeks of a dozen periods fill gigabytes). None: every column of the statement, which then runs itself.
    """
    wanted = sorted(set(weeks))
    if columns is None:
        rows = prepared.engine.frame(statement("deal_states"), _values(wanted, policy))
    else:
        lay_states(prepared, wanted, policy)
        looked_at = f"week_of_period in ({', '.join(map(str, wanted))})" if wanted else "false"
        rows = prepared.engine.frame(f"select {', '.join(columns)} from laid_states where {looked_at}")
    return rows.sort("period_start_on", "week_of_period", "opportunity_id")


def lay_states(prepared: Prepared, weeks: Iterable[int], policy: Policy) -> None:
    """Lay down the rows of those weeks that are not laid yet; at first those of every week that measures look at, for
    one look at the versions costs as much for seven weeks as for two."""
    laid = prepared.laid_weeks
    wanted = {*weeks}
    if laid is None:
        now = prepared.open_period_week
        wanted |= {policy.lock_week, *(week for _, week in policy.horizon_weeks), *([] if now is None else [now])}
    elif wanted <= laid:
        return
    query = f"select {', '.join(LAID)} from ({statement('deal_states')}) as states"
    lay = prepared.engine.make if laid is None else prepared.engine.add
    lay("laid_states", query, _values(sorted(wanted - (laid or frozenset())), policy))
    prepared.laid_weeks = frozenset(wanted | (laid or frozenset()))


def periods_seen(prepared: Prepared, weeks: Iterable[int], policy: Policy) -> pl.DataFrame:
    """``period_start_on`` of the periods that ``deal_states`` has at any of these weeks, without fetching a deal."""
    wanted = sorted(set(weeks))
    lay_states(prepared, wanted, policy)
    looked_at = f"week_of_period in ({', '.join(map(str, wanted))})" if wanted else "false"
    rows = prepared.engine.frame(f"select distinct period_start_on from laid_states where {looked_at}")
    return rows.sort("period_start_on")


def _values(weeks: Sequence[int], policy: Policy) -> dict[str, object]:
    return {"weeks": ",".join(map(str, weeks)), "no_decision": policy.no_decision_pattern}
