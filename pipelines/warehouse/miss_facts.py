"""What the miss and the tie-out need of the rebuilt history beside ``deal_states``."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.books import ledgers_of
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.store import statement

OF_THE_OPPORTUNITY = (
    "created_on", "name", "account_name", "sales_motion", "lead_source", "opportunity_type", "outcome_reason",
)  # fmt: skip


def members_at_end(prepared: Prepared) -> pl.DataFrame:
    """Period × won opportunity × scope, as the hierarchy stood on each close date."""
    return prepared.engine.frame(statement("end_scopes")).sort("period_start_on", "opportunity_id", "scope")


def known_since(prepared: Prepared) -> dict[str, datetime]:
    """Field of an opportunity → the first instant its changes are written down; a field that never is, is absent."""
    return dict(prepared.engine.frame(statement("known_since")).select("field", "since_at").iter_rows())


def stage_defaults(prepared: Prepared) -> pl.DataFrame:
    """Stage × its default forecast category and probability, as the landed stages state them."""
    return prepared.engine.frame("select stage, forecast_category, default_probability_rate from stages")


def miss_facts(prepared: Prepared, states: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Period × opportunity of ``states`` (one week of closed periods); columns as the openings of the two statements
    ``miss_facts`` and ``lock_facts`` say, and what ``deal_states`` says of the opportunity itself."""
    keys = states.select(
        "period_start_on", "opportunity_id", "lock_owner_id", "end_owner_id", "lock_amount", "end_amount", "end_on"
    )
    prepared.engine.lay("miss_keys", keys)
    params: dict[str, object] = {"week": policy.lock_week, "inactive_days": policy.inactive_days}
    facts = prepared.engine.frame(statement("miss_facts"), params)
    held = prepared.engine.frame(statement("lock_facts"), {"week": policy.lock_week})
    own = prepared.engine.frame(
        f"select opportunity_id, {', '.join(OF_THE_OPPORTUNITY)} from opportunity_extracts "
        "where is_last and opportunity_id in (select opportunity_id from miss_keys)"
    )
    return (
        facts.join(held, on=["period_start_on", "opportunity_id"], how="left")
        .join(own, on="opportunity_id", how="left")
        .sort("period_start_on", "opportunity_id")
    )


def ledgers(prepared: Prepared) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Won deals and booking lines, each with its amount in the reporting currency; null where no rate converts it."""
    return ledgers_of(prepared.engine, prepared.reporting_currency)
