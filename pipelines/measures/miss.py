"""What an edition says of past misses and of the books, from the rebuilt history."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.contracts import Reconciliation, ReconciliationTotals
from pipelines.engine.miss import NO_MISS, as_known, called_category, called_deals, miss_tables
from pipelines.engine.reconciliation import reconciliation, totals, with_ledger
from pipelines.policy import Policy
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.miss_facts import known_since, ledgers, members_at_end, miss_facts, stage_defaults
from pipelines.warehouse.prepared import Prepared

STATES = (
    "period_start_on", "week_of_period", "opportunity_id", "until_at", "lock_owner_id", "lock_stage", "lock_category",
    "lock_probability_rate", "lock_amount", "lock_close_on", "is_due", "won_by_week", "existed", "age_days", "outcome",
    "end_owner_id", "end_amount", "end_amount_at_lock_rate", "end_on",
)  # fmt: skip
"""What is fetched of every deal; names and reasons come with ``miss_facts``, for those that were called or won."""


def misses(prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy) -> Mapping[str, pl.DataFrame]:
    """Where each closed period's miss came from; empty tables where no call, deal or history of deals is known."""
    category = called_category(tables["forecast_pairs"])
    closed = deal_states(prepared, [policy.lock_week], policy, columns=STATES).filter(pl.col("outcome").is_not_null())
    states = as_known(closed, known_since(prepared), stage_defaults(prepared))
    if states.is_empty() or category is None:
        return NO_MISS.as_tables()
    # Of the deals, most were neither called nor won: nothing more is asked of them.
    called = called_deals(states, category)[0].select("period_start_on", "opportunity_id")
    asked = states.join(called, on=["period_start_on", "opportunity_id"], how="semi", maintain_order="left")
    found = miss_tables(
        states,
        miss_facts(prepared, asked, policy),
        tables["forecast_pairs"],
        members=tables["scope_members"],
        members_at_end=members_at_end(prepared),
        policy=policy,
    )
    return found.as_tables()


def tie_out(prepared: Prepared, periods: pl.DataFrame, policy: Policy) -> dict[str, pl.DataFrame]:
    """Closed-won beside bookings; empty where no booking has landed: deals alone tie to nothing.

    Errors: EditionError if the rows do not add up to both ledgers.
    """
    won, bookings = ledgers(prepared)
    if bookings.is_empty():
        return {
            "reconciliation": Reconciliation.create_empty(),
            "reconciliation_totals": ReconciliationTotals.create_empty(),
        }
    rows = reconciliation(won, bookings, periods, prepared.as_of_at.date(), policy)
    return {"reconciliation": rows, "reconciliation_totals": with_ledger(totals(rows), won, bookings)}
