"""How deals end, and why as stated: one cached answer for the page, as in ``answers``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from dashboard import shelf
from dashboard.filters import Filters
from pipelines.engine.outcomes import ALL
from pipelines.measures.outcomes import CUTS
from pipelines.settings import Workspace
from pipelines.warehouse.editions import EditionRef

MOST_DRAWN = 8
"""Values of one cut or reasons of one outcome that are drawn; the table has all."""


@dataclass(frozen=True)
class OutcomesAnswer:
    """``whole``: the ``win_loss`` row of all deals, null where none has closed. ``cuts``: cut → its rows, those with
    the most deals first; ``missing``: cuts that no deal states. ``reasons``: outcome → its stated reasons, commonest
    first; ``unexplained``: outcome → its row without a reason, where there is one."""

    currency: str
    noun: str
    as_of_at: datetime
    has_deals: bool
    whole: dict[str, Any] | None
    cuts: dict[str, pl.DataFrame]
    missing: tuple[str, ...]
    reasons: dict[str, pl.DataFrame]
    unexplained: dict[str, dict[str, Any]]

    @property
    def unexplained_amount(self) -> Decimal:
        return sum((row["amount"] for row in self.unexplained.values()), Decimal("0.00"))

    @property
    def unexplained_count(self) -> int:
        return sum(int(row["deal_count"]) for row in self.unexplained.values())


def outcomes(filters: Filters) -> OutcomesAnswer:
    """How do deals end, what do those have in common that end alike, and what reasons are stated?"""
    return _outcomes(shelf.edition(Workspace.at(), filters.edition_id))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=shelf.KEYS)
def _outcomes(ref: EditionRef) -> OutcomesAnswer:
    table, reasons = shelf.table(ref, "win_loss"), shelf.table(ref, "outcome_reasons")
    landed = shelf.table(ref, "table_status").filter(pl.col("row_count") > 0)["table_name"].to_list()
    whole = table.filter(pl.col("cut") == ALL).to_dicts()
    size = pl.col("won_count") + pl.col("lost_count") + pl.col("no_decision_count")
    cuts = {
        cut: table.filter(pl.col("cut") == cut).sort(pl.col("value").is_null(), -size, "value")
        for cut in CUTS
        if (table["cut"] == cut).any()
    }
    stated = {
        outcome: rows.drop_nulls("reason").sort("share_rate", "reason", descending=[True, False])
        for (outcome,), rows in reasons.group_by("outcome", maintain_order=True)
    }
    silent = {row["outcome"]: row for row in reasons.filter(pl.col("reason").is_null()).to_dicts()}
    return OutcomesAnswer(
        currency=ref.reporting_currency,
        noun=ref.period_kind,
        as_of_at=ref.as_of_at,
        has_deals="opportunities" in landed,
        whole=whole[0] if whole else None,
        cuts=cuts,
        missing=tuple(cut for cut in CUTS if cut not in cuts),
        reasons={str(outcome): rows for outcome, rows in stated.items()},
        unexplained=silent,
    )
