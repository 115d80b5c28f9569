"""What an edition says of past misses and of the books, from the rebuilt history."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.contracts import Reconciliation, ReconciliationTotals
from pipelines.engine.miss import NO_MISS, as_known, miss_tables
from pipelines.engine.reconciliation import reconciliation, totals, with_ledger
from pipelines.policy import Policy
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.history import Prepared
from pipelines.warehouse.miss_facts import known_since, ledgers, members_at_end, miss_facts, stage_defaults


def misses(prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy) -> Mapping[str, pl.DataFrame]:
    """Where each closed period's miss came from; empty tables where no call, deal or history of deals is known."""
    closed = deal_states(prepared, [policy.lock_week], policy).filter(pl.col("outcome").is_not_null())
    states = as_known(closed, known_since(prepared), stage_defaults(prepared))
    if states.is_empty():
        return NO_MISS.as_tables()
    found = miss_tables(
        states,
        miss_facts(prepared, states, policy),
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
