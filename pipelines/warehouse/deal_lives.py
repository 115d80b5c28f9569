"""What became of every deal, and of every stage it went through: two statements, two frames."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.policy import Policy
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.store import statement

OF_EACH = ("opportunity_extracts", "opportunity_versions", "won_deals", "leads")
"""What the statement reads of an opportunity, and of no other when it speaks of one."""


def deal_lives(prepared: Prepared, policy: Policy, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """One row per opportunity; columns as the statement's opening says.

    ``columns``: those wanted, the opportunity among them; the rows are laid down once, in the engine, and the rest is
    not fetched. None: every column of the statement, which then runs itself.
    """
    values = {"no_decision": policy.no_decision_pattern}
    if columns is None:
        return prepared.engine.frame(statement("deal_lives"), values).sort("opportunity_id")
    if not prepared.has_laid_lives:
        prepared.engine.make_of_each("laid_lives", statement("deal_lives"), OF_EACH, values)
        prepared.has_laid_lives = True
    return prepared.engine.frame(f"select {', '.join(columns)} from laid_lives").sort("opportunity_id")


def stage_exits(prepared: Prepared) -> pl.DataFrame:
    """One row per opportunity and stage left, in no order (there are millions, and they are counted); columns as the
    statement's opening says."""
    return prepared.engine.frame(statement("stage_exits"))


def stage_defaults(prepared: Prepared) -> pl.DataFrame:
    """One row per open stage that is listed: ``stage``, ``stage_order``, ``default_probability_rate``."""
    query = "select stage, stage_order, default_probability_rate from stages where not is_closed order by stage_order"
    return prepared.engine.frame(query)


def opportunity_fields(prepared: Prepared) -> pl.DataFrame:
    """One row per opportunity whose export had columns that no table knows: ``other_columns``, JSON, as written."""
    return prepared.engine.frame("select opportunity_id, other_columns from opportunity_fields").sort("opportunity_id")


def company_actuals(prepared: Prepared) -> pl.DataFrame:
    """What deals say the company won: one row per period in which anything closed (``period_start_on``, ``amount``)."""
    query = "select period_start_on, actual_amount as amount from actuals where basis = 'company' and no_rate_count = 0"
    return prepared.engine.frame(query).sort("period_start_on")
