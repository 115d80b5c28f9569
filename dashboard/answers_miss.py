"""Where the miss came from, and whether it ties to the books: one cached answer per page, as in ``answers``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from dashboard import shelf
from dashboard.filters import Filters
from dashboard.language import say
from pipelines.engine.attribution import CAUSES
from pipelines.engine.blame import blame
from pipelines.engine.expectation import total
from pipelines.engine.luck import error_shares
from pipelines.engine.miss import CUTS
from pipelines.policy import COMPANY_SCOPE, DEFAULT_POLICY
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef

AGES = ((30, say("up to 30 days")), (90, say("31 to 90 days")), (None, say("over 90 days")))
"""Ageing of what does not tie: within a month's close, within a quarter, older."""

NAMED_SHARES = 8


@dataclass(frozen=True)
class MissAnswer:
    """One period's bridge from call to landed, for one scope and layer.

    ``status``: ``ok``; ``no_period`` (no closed period has a bridge: ``why`` says what is missing); ``no_layer`` (this
    layer did not call for this scope); ``no_call``; ``no_rate``. ``bridge``: cause → (amount, deals), in the bridge's
    order. ``parts``: engine.blame of this period, and ``fractions`` what its sourcing, process and data rest on.
    ``steps``: the largest steps deal by deal within the scope, of ``step_count`` in all. ``cuts``: the company's
    bridge, cut; empty for another scope. ``shares``: whose error the company's is, over the closed periods.
    """

    status: str
    why: str
    currency: str
    noun: str
    scope_name: str
    is_company: bool
    layer: str
    category: str
    asked_category: str
    lock_week: int
    period_start_on: date | None
    label: str
    periods: tuple[tuple[date, str], ...]
    call_amount: Decimal | None
    rollup_amount: Decimal | None
    actual_amount: Decimal | None
    rollup_basis: str
    missing_count: int
    bridge: dict[str, tuple[Decimal | None, int | None]]
    parts: pl.DataFrame
    fractions: pl.DataFrame
    luck: dict[str, Any] | None
    steps: pl.DataFrame
    step_count: int
    cuts: pl.DataFrame
    shares: pl.DataFrame

    @property
    def miss_amount(self) -> Decimal | None:
        """Landed − called; negative is a miss."""
        if self.call_amount is None or self.actual_amount is None:
            return None
        return self.actual_amount - self.call_amount


@dataclass(frozen=True)
class ReconcileAnswer:
    """Closed-won beside bookings. ``status``: ``ok``, ``no_bookings``, ``nothing_here`` (the period holds neither).

    ``kinds``: one row per break kind with its amounts and ageing counts; ``rows``: what does not tie, largest first;
    ``tied_count``: the rows that do.
    ``ledger``: both ledgers of the whole edition as handed in; null for one period alone.
    """

    status: str
    currency: str
    noun: str
    label: str | None
    periods: tuple[tuple[date, str], ...]
    crm_amount: Decimal
    booked_amount: Decimal
    difference_amount: Decimal
    won_count: int
    unvalued_count: int
    ties: bool
    kinds: pl.DataFrame
    rows: pl.DataFrame
    tied_count: int
    first_booked_on: date | None
    last_booked_on: date | None
    actual_source: str

    def of_kinds(self, kinds: Sequence[str]) -> pl.DataFrame:
        """What does not tie, of some kinds of break; of none named: of all."""
        return self.rows.filter(pl.col("break_kind").is_in(list(kinds))) if kinds else self.rows


def miss(filters: Filters, period: str | None = None) -> MissAnswer:
    """Where did the miss of this period come from? ``period``: its label; the latest closed one by default."""
    return _miss(shelf.edition(Workspace.at(), filters.edition_id), filters, period)


def reconcile(filters: Filters, period: str | None = None) -> ReconcileAnswer:
    """Does closed-won tie to bookings? ``period``: a label, or all periods together."""
    return _reconcile(shelf.edition(Workspace.at(), filters.edition_id), period)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=shelf.KEYS)
def _miss(ref: EditionRef, filters: Filters, period: str | None) -> MissAnswer:
    bridges = editions.read(ref, "miss_attribution", where={"scope": filters.scope})
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    known = labels.join(bridges.select("period_start_on").unique(), on="period_start_on", how="semi")
    periods = tuple(known.sort("period_start_on", descending=True).rows())
    start, label = next((entry for entry in periods if entry[1] == period), periods[0] if periods else (None, ""))
    layers = bridges.filter(pl.col("layer") == filters.layer)
    told = layers.filter(pl.col("period_start_on") == start) if start else layers.clear()
    first = told.row(0, named=True) if told.height else {}
    any_layer = bridges.filter(pl.col("period_start_on") == start).head(1) if start else bridges.clear()
    category = str(any_layer["category"][0]) if any_layer.height else filters.category
    steps, count = _steps(ref, filters, start)
    names = shelf.table(ref, "scopes").filter(pl.col("scope") == filters.scope)["scope_name"].to_list()
    is_company = filters.scope == COMPANY_SCOPE
    by_cause = {row["cause"]: (row["amount"], row["deal_count"]) for row in told.iter_rows(named=True)}
    explained = editions.read(ref, "miss_explained", where={"scope": filters.scope})
    parts = blame(layers, explained, level=DEFAULT_POLICY.level, least=DEFAULT_POLICY.min_periods_company)
    return MissAnswer(
        status="no_period" if not periods else "no_layer" if told.is_empty() else str(first["status"]),
        why="" if periods else _missing_for_a_bridge(ref),
        currency=ref.reporting_currency,
        noun=ref.period_kind,
        scope_name=say("whole company") if is_company or not names else names[0],
        is_company=is_company,
        layer=filters.layer,
        category=category,
        asked_category=filters.category,
        lock_week=ref.lock_week,
        period_start_on=start,
        label=label,
        periods=periods,
        call_amount=first.get("call_amount"),
        rollup_amount=first.get("rollup_amount"),
        actual_amount=first.get("actual_amount"),
        rollup_basis=first.get("rollup_basis", "none"),
        missing_count=first.get("missing_count", 0),
        bridge={cause: by_cause[cause] for cause in CAUSES if cause in by_cause},
        parts=parts.filter(pl.col("period_start_on") == start) if start else parts,
        fractions=editions.read(ref, "miss_fractions", where={"period_start_on": start}),
        luck=_luck(ref, filters, start),
        steps=steps,
        step_count=count,
        cuts=_cuts(ref, start) if is_company and start else pl.DataFrame(),
        shares=_shares(ref, filters.layer, category) if is_company else pl.DataFrame(),
    )


def _missing_for_a_bridge(ref: EditionRef) -> str:
    """``deals``, ``calls``, ``history`` or ``closed``: what there has to be before a miss can be explained."""
    landed = shelf.table(ref, "table_status").filter(pl.col("row_count") > 0)["table_name"].to_list()
    if "opportunities" not in landed:
        return "deals"
    if not {"forecast_submissions", "forecast_records"} & set(landed):
        return "calls"
    closed = shelf.table(ref, "periods").filter(pl.col("status") == "closed")
    return "closed" if closed.is_empty() else "history"


def _luck(ref: EditionRef, filters: Filters, start: date | None) -> dict[str, Any] | None:
    rows = editions.read(ref, "luck", where={"scope": filters.scope, "period_start_on": start})
    return rows.row(0, named=True) if rows.height else None


def _steps(ref: EditionRef, filters: Filters, start: date | None) -> tuple[pl.DataFrame, int]:
    """The largest steps of the scope's people, with their names, and how many steps the period has in the table."""
    steps = editions.read(ref, "miss_deals", where={"period_start_on": start})
    people = shelf.table(ref, "scopes").select("scope", owner="scope_name")
    owned = steps.with_columns(owner_id=pl.coalesce("lock_owner_id", "end_owner_id"))
    if filters.scope != COMPANY_SCOPE:
        members = shelf.table(ref, "scope_members").filter(
            (pl.col("scope") == filters.scope) & (pl.col("period_start_on") == start)
        )
        inside = members["person_id"].to_list()
        owned = owned.filter(pl.col("lock_owner_id").is_in(inside) | pl.col("end_owner_id").is_in(inside))
    named = owned.join(people, left_on="owner_id", right_on="scope", how="left", maintain_order="left")
    return named.sort("step_place"), steps.height


def _cuts(ref: EditionRef, start: date) -> pl.DataFrame:
    """Cut × value: called, landed, change and its largest causes, widest change first."""
    rows = editions.read(ref, "attribution_cut", where={"period_start_on": start})
    causes = rows.pivot("cause", index=["cut", "value"], values="amount")
    sums = rows.group_by("cut", "value").agg(
        pl.col("rollup_amount").first(),
        pl.col("actual_amount").first(),
        change_amount=pl.col("amount").sum().cast(pl.Decimal(18, 2)),
    )
    order = pl.col("cut").replace_strict(CUTS, range(len(CUTS)), return_dtype=pl.Int64)
    return sums.join(causes, on=["cut", "value"], how="left", nulls_equal=True).sort(order, "change_amount", "value")


def _shares(ref: EditionRef, layer: str, category: str) -> pl.DataFrame:
    """Forecasters by the size of their share of the company's mean squared error at the lock."""
    pairs = editions.read(
        ref,
        "forecast_pairs",
        where={"layer": layer, "category": category, "week_of_period": ref.lock_week},
        columns=["forecaster_id", "period_start_on", "error_amount"],
    )
    people = shelf.table(ref, "scopes").select("scope", name="scope_name")
    found = error_shares(pairs).join(people, left_on="forecaster_id", right_on="scope", how="left")
    return found.sort("share_amount2", descending=True).head(NAMED_SHARES)


def every_row(filters: Filters, period: str | None = None) -> pl.DataFrame:
    """The tie-out row by row, matched rows too, as a file takes it: what does not tie first."""
    ref = shelf.edition(Workspace.at(), filters.edition_id)
    where: dict[str, object] | None = None
    if period is not None:
        labels = shelf.table(ref, "periods")
        where = {"period_start_on": labels.filter(pl.col("label") == period)["period_start_on"].to_list()}
    return _with_owners(ref, editions.read(ref, "reconciliation", where=where))


def _with_owners(ref: EditionRef, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the tie-out with their owner's name and their period's, largest difference first."""
    people = shelf.table(ref, "scopes").select("scope", owner="scope_name")
    labels = shelf.table(ref, "periods").select("period_start_on", period="label")
    named = rows.join(people, left_on="owner_id", right_on="scope", how="left", maintain_order="left").join(
        labels, on="period_start_on", how="left", maintain_order="left"
    )
    return named.sort(pl.col("difference_amount").abs(), "record_id", descending=[True, False], nulls_last=True)


SUMMED = ("period_start_on", "record_kind", "break_kind", "crm_amount", "booked_amount", "age_days", "booked_on")
"""What the sums of the tie-out are made of: of a large company's rows, nine in ten tie and nobody reads them."""


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=shelf.KEYS)
def _reconcile(ref: EditionRef, period: str | None) -> ReconcileAnswer:
    every = editions.read(ref, "reconciliation", columns=SUMMED)
    totals = shelf.table(ref, "reconciliation_totals").filter(pl.col("break_kind") == "ledger")
    labels = shelf.table(ref, "periods").select("period_start_on", "label")
    known = labels.join(every.select("period_start_on").unique(), on="period_start_on", how="semi")
    periods = tuple(known.sort("period_start_on", descending=True).rows())
    chosen = next((entry for entry in periods if entry[1] == period), None)
    rows = every if chosen is None else every.filter(pl.col("period_start_on") == chosen[0])
    crm, booked = _exact(rows["crm_amount"]), _exact(rows["booked_amount"])
    ledger = totals.row(0, named=True) if totals.height else {}
    whole = (_exact(every["crm_amount"]), _exact(every["booked_amount"]))
    breaking = [kind for kind in rows["break_kind"].unique().sort() if kind != "matched"]
    where: dict[str, object] = {"break_kind": breaking}
    if chosen is not None:
        where["period_start_on"] = chosen[0]
    breaks = editions.read(ref, "reconciliation", where=where)
    days = every["booked_on"].drop_nulls()
    return ReconcileAnswer(
        status="no_bookings" if every.is_empty() else "nothing_here" if rows.is_empty() else "ok",
        currency=ref.reporting_currency,
        noun=ref.period_kind,
        label=chosen[1] if chosen else None,
        periods=periods,
        crm_amount=crm,
        booked_amount=booked,
        difference_amount=crm - booked,
        won_count=rows.filter(pl.col("record_kind") == "opportunity").height,
        unvalued_count=rows.filter(pl.col("break_kind") == "no_amount").height,
        ties=bool(ledger) and whole == (ledger["crm_amount"], ledger["booked_amount"]),
        kinds=_kinds(rows),
        rows=_with_owners(ref, breaks),
        tied_count=rows.height - breaks.height,
        first_booked_on=days.min() if days.len() else None,  # type: ignore[arg-type]
        last_booked_on=days.max() if days.len() else None,  # type: ignore[arg-type]
        actual_source=ref.actual_source,
    )


def _exact(amounts: pl.Series) -> Decimal:
    """What has no amount is in no sum; a sum of nothing is exactly nothing."""
    found = total(amounts)
    return Decimal("0.00") if found is None else found


def _kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Break kind: how many, both sides, the difference, and how many of each age; largest difference first."""
    age = pl.col("age_days")
    ages, lower = [], -1
    for upper, name in AGES:
        inside = (age > lower) if upper is None else age.is_between(lower + 1, upper)
        ages.append(inside.sum().cast(pl.Int64).alias(name))
        lower = lower if upper is None else upper
    return (
        rows.group_by("break_kind")
        .agg(
            pl.len().cast(pl.Int64).alias("record_count"),
            *(pl.col(name).sum().cast(pl.Decimal(18, 2)) for name in ("crm_amount", "booked_amount")),
            *ages,
        )
        .with_columns(difference_amount=(pl.col("crm_amount") - pl.col("booked_amount")).cast(pl.Decimal(18, 2)))
        .sort(pl.col("difference_amount").abs(), "break_kind", descending=[True, False])
    )
