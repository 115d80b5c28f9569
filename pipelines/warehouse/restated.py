"""Closed periods as they were frozen, and the deals of which the CRM now says something else."""

from __future__ import annotations

import polars as pl

from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.store import statement


def restated_deals(prepared: Prepared) -> pl.DataFrame:
    """Period × opportunity that was won there when frozen, or is now, with another amount; columns as the statement's
    opening says."""
    return prepared.engine.frame(statement("restated_deals")).sort("period_start_on", "opportunity_id")


def frozen_wins(prepared: Prepared) -> pl.DataFrame:
    """Period × what its won deals summed to when it was frozen: ``period_start_on``, ``reported_amount``."""
    query = "select period_start_on, sum(reporting_amount) as reported_amount from won_deals group by period_start_on"
    return prepared.engine.frame(query)


def corrected_values(prepared: Prepared) -> pl.DataFrame:
    """Opportunity × correction × field; columns as the statement's opening says."""
    rows = prepared.engine.frame(statement("corrected_values"))
    return rows.sort("opportunity_id", "corrected_at", "field")


def knows_deals(prepared: Prepared) -> bool:
    """Whether any opportunity is known at all; without one there is nothing to restate."""
    return bool(prepared.engine.frame("select count(*) as n from opportunity_versions").item() > 0)
