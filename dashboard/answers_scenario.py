"""What a reader assumes of single deals, out of the URL, and where the period would then land."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import polars as pl
import streamlit as st

from dashboard import shelf
from dashboard.assumptions import NamedDeal, Said, ScenarioAnswer, as_engine, read
from dashboard.filters import Filters
from pipelines.engine.outlook import Line, Outlook, misses
from pipelines.engine.scenario import MATERIAL_DEALS, Bench, chance_of, make_bench, scenario
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

MOST = 12
"""Assumptions at once; a longer list is another forecast."""


def what_if(filters: Filters, outlook: Outlook, texts: Sequence[str]) -> ScenarioAnswer | None:
    """The scope's landing under the assumptions; None where no draws are published for it."""
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    found = _bench(ref, filters.scope)
    if found is None:
        return None
    bench, deals, period_end_on = found
    named = {deal.opportunity_id: deal for deal in deals}
    understood: dict[str, Said] = {}
    unknown = []
    for text in texts:
        said = read(text)
        if said is None or said.opportunity_id not in named or len(understood) >= MOST:
            unknown.append(text)
        else:
            understood[said.opportunity_id] = said
    assumptions = {key: as_engine(said, period_end_on) for key, said in understood.items()}
    after = scenario(bench, list(assumptions.values()), level=outlook.level)
    issued = scenario(bench, [], level=outlook.level)
    return ScenarioAnswer(
        deals=deals,
        assumed=tuple((said, named[key], chance_of(bench, assumptions[key])) for key, said in understood.items()),
        unknown=tuple(unknown),
        issued=issued,
        scenario=after,
        before=tuple(Line(line.name, line.amount, misses(issued.dots, line.amount)) for line in outlook.lines),
        after=tuple(Line(line.name, line.amount, misses(after.dots, line.amount)) for line in outlook.lines),
        period_end_on=period_end_on,
    )


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=shelf.KEYS)
def _bench(ref: EditionRef, scope: str) -> tuple[Bench, tuple[NamedDeal, ...], date] | None:
    rows = editions.read(ref, "scenario_scopes", where={"scope": scope})
    if rows.is_empty():
        return None
    start = rows["period_start_on"][0]
    deals = shelf.table(ref, "scenario_deals")
    if scope != COMPANY_SCOPE:
        own = editions.read(ref, "scope_members", where={"scope": scope, "period_start_on": start})["person_id"]
        deals = deals.filter(pl.col("owner_id").is_in(own.implode()))
    chance = pl.col("win_probability_rate")
    weight = chance * (1 - chance) * pl.col("worth_amount") ** 2
    deals = deals.sort(weight, "opportunity_id", descending=[True, False]).head(MATERIAL_DEALS)
    draws = editions.read(ref, "scenario_draws", where={"scope": scope})
    bench = make_bench(rows, draws, _shock(ref), deals)
    known = editions.read(
        ref,
        "deals",
        where={"opportunity_id": deals["opportunity_id"].to_list()},
        columns=["opportunity_id", "name", "account_name", "amount", "close_on"],
    )
    labels = {row["opportunity_id"]: row for row in known.iter_rows(named=True)}
    named = []
    for row in deals.iter_rows(named=True):
        label = labels.get(row["opportunity_id"], {})
        named.append(
            NamedDeal(
                row["opportunity_id"],
                label.get("name") or label.get("account_name") or row["opportunity_id"],
                label.get("amount") or Decimal(str(round(row["amount"], 2))),
                row["win_probability_rate"],
                label.get("close_on"),
                row["is_due"] is not None and row["threshold_if_moved"] is not None,
            )
        )
    end = shelf.table(ref, "periods").filter(pl.col("period_start_on") == start)["period_end_on"][0]
    return bench, tuple(named), end


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=shelf.KEYS)
def _shock(ref: EditionRef) -> pl.DataFrame:
    return shelf.table(ref, "scenario_draws").drop_nulls("shock").select("draw", "shock")
