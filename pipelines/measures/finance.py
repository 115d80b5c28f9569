"""What an edition says to finance: calls against the books, plan, call, range and actual by span, and what to carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import dataframely as dy
import polars as pl

from pipelines.contracts import CALL_CATEGORIES, LAYERS
from pipelines.engine.attribution import steps_of
from pipelines.engine.call_books import book_steps, call_bookings
from pipelines.engine.matching import matched_lines
from pipelines.engine.miss import as_known, called_category, called_deals
from pipelines.engine.projection import Range, Share, bridge, share_of_base
from pipelines.finance_contracts import FINANCE_TABLES, CallBookings, ProjectionBridge
from pipelines.measures.miss import STATES
from pipelines.measures.spans import projection
from pipelines.policy import COMPANY_SCOPE, Policy
from pipelines.warehouse.books import booked_periods
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.miss_facts import known_since, ledgers, members_at_end, stage_defaults
from pipelines.warehouse.prepared import Prepared

BOOK_SHARES = {
    "bookings_lag": ("from_other_periods_amount", "to_other_periods_amount"),
    "bookings_breaks": ("unbooked_amount", "differing_amount", "credit_amount", "unmatched_amount"),
    "currency": ("rate_amount",),
}
"""The book steps that each step of the bridge is an average of."""


@dataclass(frozen=True)
class Ledgers:
    """Both ledgers, tied: ``steps`` (engine.call_books), ``lines`` with the deal they belong to, ``placed``: won deal ×
    scope it counts for, ``is_owner``; ``covered``: the periods the books cover."""

    won: pl.DataFrame
    lines: pl.DataFrame
    steps: pl.DataFrame
    placed: pl.DataFrame
    covered: list[date]


def finance_tables(prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy) -> dict[str, pl.DataFrame]:
    """``call_bookings`` of every closed period, ``projection`` and its bridge. ``tables``: with the tie-out, the
    landing and its backtest, and the company's lean. Without a booking calls tie to nothing, and nothing is known of
    the lag.
    """
    found: dict[str, pl.DataFrame] = {name: schema.create_empty() for name, schema in FINANCE_TABLES.items()}
    books = _ledgers(prepared, tables, policy)
    closed = tables["periods"].filter(pl.col("status") == "closed")["period_start_on"].to_list()
    if not books.lines.is_empty():
        calls = tables["forecast_pairs"].filter(pl.col("week_of_period") == policy.lock_week)
        found["call_bookings"] = _published(
            call_bookings(calls, books.steps, books.placed, closed=closed, covered=books.covered), CallBookings
        )
    week = _week(tables["landing"], prepared, policy)
    found["projection"] = projection(
        prepared,
        tables,
        won=books.won,
        lines=books.lines,
        placed=books.placed,
        covered=books.covered,
        week=week,
        kind=_kind(tables),
    )
    found["projection_bridge"] = _bridges(prepared, tables, books, closed, week=week, policy=policy)
    return found


def _ledgers(prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy) -> Ledgers:
    won, bookings = ledgers(prepared)
    owners = won.select("opportunity_id", "owner_id")
    placed = members_at_end(prepared).join(owners, on="opportunity_id")
    lines = matched_lines(won, bookings, policy)
    return Ledgers(
        won,
        lines,
        book_steps(won, tables["reconciliation"], lines, tables["periods"]),
        placed.select("opportunity_id", "scope", is_owner=pl.col("owner_id") == pl.col("scope")),
        booked_periods(prepared.engine, policy),
    )


def _week(landing: pl.DataFrame, prepared: Prepared, policy: Policy) -> int:
    """The week the range was issued at; without a range, the last one that is over, else the lock."""
    if landing.height:
        return int(landing["week_of_period"][0])
    return policy.lock_week if prepared.open_period_week is None else prepared.open_period_week


def _kind(tables: Mapping[str, pl.DataFrame]) -> tuple[str, str] | None:
    """Whose calls stand beside the range: those it was made from, else the ones nearest to the field."""
    landing = tables["landing"].drop_nulls(["layer", "category"])
    if landing.height:
        return str(landing["layer"][0]), str(landing["category"][0])
    said = set(tables["forecast_pairs"].drop_nulls("forecast_amount").select("layer", "category").unique().iter_rows())
    return next(((layer, named) for layer in LAYERS for named in CALL_CATEGORIES if (layer, named) in said), None)


def _bridges(
    prepared: Prepared,
    tables: Mapping[str, pl.DataFrame],
    books: Ledgers,
    closed: list[date],
    *,
    week: int,
    policy: Policy,
) -> pl.DataFrame:
    """One bridge per leading scope and kind of call of the open period."""
    now = prepared.open_period_start_on
    running = tables["periods"].filter(pl.col("period_start_on").eq_missing(pl.lit(now, pl.Date)))
    if now is None or running.is_empty() or running["status"][0] == "closed":
        return ProjectionBridge.create_empty()
    pairs = tables["forecast_pairs"].filter(pl.col("week_of_period") == week)
    members = tables["scope_members"].select("period_start_on", "person_id", "scope")
    called = _called(pairs, members)
    category = called_category(tables["forecast_pairs"])
    moved = _timing(prepared, tables, closed, week=week, category=category, policy=policy)
    shares = _book_shares(books, closed, policy)
    unknown = Share(None, None, None, None, None, 0, "not_enough_history")
    no_books = dict.fromkeys(BOOK_SHARES, unknown)
    rows: list[dict[str, Any]] = []
    leans, ranges = _leans(tables["team_bias"], week), _ranges(tables["landing"], policy.level)
    leading = tables["scopes"].filter(pl.col("scope_kind") != "rep")["scope"].to_list()
    kinds = pairs.select("layer", "category").unique().sort("layer", "category").rows()
    for scope in leading:
        for layer, named in kinds:
            call = called.get((now, scope, layer, named))
            if call is None and scope != COMPANY_SCOPE:
                continue
            timing = None
            if named == category:
                timing = _timing_share(moved, called, closed, scope=scope, layer=layer, named=named, policy=policy)
            steps = bridge(
                call=call,
                landing_rate=leans.get((scope, layer, named), unknown),
                timing=timing,
                landing=ranges.get(scope),
                books=shares.get(scope, no_books),
                calls_land_as_booked=prepared.actual_source == "bookings",
            )
            key = {
                "period_start_on": now, "week_of_period": week, "scope": scope, "layer": layer, "category": named,
            }  # fmt: skip
            rows += [{**key, "step_place": place, **asdict(step)} for place, step in enumerate(steps)]
    return _published(pl.DataFrame(rows, schema=_types(ProjectionBridge)), ProjectionBridge)


Called = dict[tuple[date, str, str, str], Decimal]


def _called(pairs: pl.DataFrame, members: pl.DataFrame) -> Called:
    """(period, scope, layer, category) → the layer's calls together; finance calls for the company alone."""
    made = pairs.drop_nulls("forecast_amount")
    everybody = made.select("period_start_on", person_id="forecaster_id", scope=pl.lit(COMPANY_SCOPE))
    belongs = pl.concat([members, everybody]).unique()
    placed = made.join(
        belongs, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"]
    ).filter((pl.col("layer") != "finance") | (pl.col("scope") == COMPANY_SCOPE))
    sums = placed.group_by("period_start_on", "scope", "layer", "category").agg(pl.col("forecast_amount").sum())
    return {(start, scope, layer, named): amount for start, scope, layer, named, amount in sums.iter_rows()}


def _timing(
    prepared: Prepared,
    tables: Mapping[str, pl.DataFrame],
    closed: list[date],
    *,
    week: int,
    category: str | None,
    policy: Policy,
) -> dict[tuple[date, str], Decimal]:
    """(period, scope) → pulled in less pushed out after this week, of the deals that a call stands for."""
    states = deal_states(prepared, [week], policy, columns=STATES).filter(pl.col("outcome").is_not_null())
    known = as_known(states, known_since(prepared), stage_defaults(prepared))
    if category is None or known.is_empty():
        return {}
    deals, _ = called_deals(known, category)
    moved = steps_of(deals).filter(pl.col("cause").is_in(["pushed_out", "pulled_in"]))
    owners = deals.select("period_start_on", "opportunity_id", person_id=pl.coalesce("lock_owner_id", "end_owner_id"))
    owned = moved.join(owners, on=["period_start_on", "opportunity_id"])
    members = tables["scope_members"].select("period_start_on", "person_id", "scope")
    placed = owned.join(members.filter(pl.col("scope") != COMPANY_SCOPE), on=["period_start_on", "person_id"])
    whole = owned.with_columns(scope=pl.lit(COMPANY_SCOPE)).select(placed.columns)
    sums = pl.concat([placed, whole]).group_by("period_start_on", "scope").agg(pl.col("amount").sum())
    told = {(start, scope): amount for start, scope, amount in sums.iter_rows()}
    # A period whose deals are known and of which none moved has moved exactly nothing.
    seen = known["period_start_on"].unique().to_list()
    scopes = tables["scopes"]["scope"].to_list()
    return {
        (start, scope): told.get((start, scope), Decimal(0)) for start in seen if start in closed for scope in scopes
    }


def _timing_share(
    moved: Mapping[tuple[date, str], Decimal],
    called: Called,
    closed: list[date],
    *,
    scope: str,
    layer: str,
    named: str,
    policy: Policy,
) -> Share | None:
    both = [
        (float(moved[start, scope]), float(called[start, scope, layer, named]))
        for start in closed
        if (start, scope) in moved and (start, scope, layer, named) in called
    ]
    amounts, bases = [amount for amount, _ in both], [base for _, base in both]
    share = share_of_base(amounts, bases, level=policy.level, least=policy.min_periods_company)
    return share if share.status == "ok" else None


def _book_shares(books: Ledgers, closed: list[date], policy: Policy) -> dict[str, dict[str, Share]]:
    """Scope → step → its share of closed won over the closed periods that the books cover."""
    both = books.steps.filter(pl.col("period_start_on").is_in([start for start in closed if start in books.covered]))
    placed = both.join(books.placed.filter(pl.col("scope") != COMPANY_SCOPE), on="opportunity_id").drop("is_owner")
    whole = both.with_columns(scope=pl.lit(COMPANY_SCOPE)).select(placed.columns)
    sums = (
        pl.concat([placed, whole])
        .group_by("scope", "period_start_on")
        .agg(
            pl.col("crm_amount").cast(pl.Float64).sum(),
            pl.col("lacks_rate").any(),
            *(
                pl.sum_horizontal(pl.col(list(columns)).cast(pl.Float64)).sum().alias(step)
                for step, columns in BOOK_SHARES.items()
            ),
        )
    )
    told: dict[str, dict[str, Share]] = {}
    for (scope,), rows in sums.filter(~pl.col("lacks_rate")).sort("scope", "period_start_on").group_by("scope"):
        base = rows["crm_amount"].to_list()
        told[str(scope)] = {
            step: share_of_base(rows[step].to_list(), base, level=policy.level, least=policy.min_periods_company)
            for step in BOOK_SHARES
        }
    return told


def _leans(team: pl.DataFrame, week: int) -> dict[tuple[str, str, str], Share]:
    """(scope, layer, category) → its lean at this week, where one is known."""
    known = team.filter(pl.col("week_of_period") == week, pl.col("status") == "ok")
    return {
        (row["scope"], row["layer"], row["category"]): Share(
            row["estimate"], row["lower"], row["upper"], row["level"], None, row["period_count"], "ok"
        )
        for row in known.iter_rows(named=True)
    }


def _ranges(landing: pl.DataFrame, level: float) -> dict[str, Range]:
    """Scope → where it lands, both methods together, at this level; of the scopes that have a range."""
    known = landing.filter(pl.col("method") == "combined", (pl.col("level") - level).abs() < 1e-9)
    return {
        row["scope"]: Range(row["estimate"], row["lower"], row["upper"], row["level"], row["period_count"])
        for row in known.drop_nulls(["estimate", "lower", "upper"]).iter_rows(named=True)
    }


def _types(schema: type[dy.Schema]) -> dict[str, Any]:
    return {name: column.dtype for name, column in schema.columns().items()}


def _published(frame: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    return frame.select(schema.column_names()).cast(_types(schema))  # type: ignore[arg-type]
