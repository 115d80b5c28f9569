"""The rows of ``projection``: every span of the latest periods, with what is known of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine.spans import landed_by_month, months_of, quarter_start, split_months
from pipelines.finance_contracts import Projection
from pipelines.policy import COMPANY_SCOPE
from pipelines.warehouse.prepared import Prepared

METHOD = "combined"
LEVELS = (50, 80, 90)
PAST_PERIODS = {"quarter": 8, "month": 24}
"""Periods over that stand beside the open one: two years."""

KEY = ["scope", "period_start_on"]


def projection(
    prepared: Prepared,
    tables: Mapping[str, pl.DataFrame],
    *,
    won: pl.DataFrame,
    lines: pl.DataFrame,
    placed: pl.DataFrame,
    covered: Collection[date],
    week: int,
    kind: tuple[str, str] | None,
) -> pl.DataFrame:
    """Frame ``finance_contracts.Projection`` of every leading scope. The parts of a period add up to it, in cents."""
    periods = _chosen(tables["periods"], PAST_PERIODS[prepared.period_kind])
    scopes = tables["scopes"].filter(pl.col("scope_kind") != "rep").select("scope")
    months = months_of(periods)
    landed = _landed(won, lines, placed, months, scopes)
    members = tables["scope_members"].join(scopes, on="scope").select("period_start_on", "person_id", "scope")
    whole = (
        scopes.join(periods, how="cross")
        .join(_planned(tables, members), on=KEY, how="left")
        .join(_called(tables["forecast_pairs"], members, kind, week), on=KEY, how="left")
        .join(_ranges(tables, week, prepared.open_period_start_on), on=KEY, how="left")
    )
    parts = scopes.join(months, how="cross").join(landed, on=[*KEY, "span_start_on"], how="left")
    parts = _told(parts.join(periods.drop("period_end_on"), on="period_start_on"), covered, has_books=lines.height > 0)
    sums = parts.group_by(KEY).agg(_whole("crm_amount"), _whole("booked_amount"))
    rows = whole.join(sums, on=KEY, how="left").with_columns(
        span_kind=pl.lit("period"), span_start_on="period_start_on", span_end_on="period_end_on"
    )
    is_future = pl.col("status") == "future"
    lacks_rate = ~is_future & pl.col("crm_amount").is_null()
    no_range = pl.col("estimate").is_null()
    rows = _labelled(rows, kind, week).with_columns(
        status=pl.when(is_future).then(pl.lit("plan_only")).when(lacks_rate).then(pl.lit("no_rate"))
        .when(no_range).then(pl.lit("no_range")).otherwise(pl.lit("ok")),
        is_closed=pl.col("status") == "closed",
    )  # fmt: skip
    monthly = prepared.period_kind == "month"
    more = _quarters(rows, prepared.fiscal_year_start_month) if monthly else _months(prepared, tables, rows, parts)
    columns: dict[str, Any] = {name: column.dtype for name, column in Projection.columns().items()}
    return pl.concat([frame.select(*columns).cast(columns) for frame in (rows, more)])  # type: ignore[arg-type]


def _chosen(periods: pl.DataFrame, past: int) -> pl.DataFrame:
    over = periods.filter(pl.col("status") == "closed").sort("period_start_on").tail(past)
    return pl.concat([over, periods.filter(pl.col("status") != "closed")]).sort("period_start_on").drop("label")


def _landed(
    won: pl.DataFrame, lines: pl.DataFrame, placed: pl.DataFrame, months: pl.DataFrame, scopes: pl.DataFrame
) -> pl.DataFrame:
    """Scope × month part: ``crm_amount`` by the day of the close, ``booked_amount`` by the day of the booking."""
    places = placed.join(scopes, on="scope").filter(pl.col("scope") != COMPANY_SCOPE).select("opportunity_id", "scope")
    claimed = won.select(
        "opportunity_id", "closed_on", "crm_amount",
        lacks_rate=pl.col("own_amount").is_not_null() & pl.col("crm_amount").is_null(),
    )  # fmt: skip
    booked = lines.select("opportunity_id", "booked_on", "booked_amount", lacks_rate=pl.col("booked_amount").is_null())

    def everywhere(frame: pl.DataFrame) -> pl.DataFrame:
        in_scope = frame.join(places, on="opportunity_id")
        return pl.concat([in_scope, frame.with_columns(scope=pl.lit(COMPANY_SCOPE)).select(in_scope.columns)])

    crm = landed_by_month(everywhere(claimed), months, "closed_on", "crm_amount")
    books = landed_by_month(everywhere(booked), months, "booked_on", "booked_amount")
    key = [*KEY, "span_start_on"]
    crm, books = crm.with_columns(has_crm=pl.lit(True)), books.with_columns(has_books=pl.lit(True))
    return crm.join(books, on=key, how="full", coalesce=True)


def _told(parts: pl.DataFrame, covered: Collection[date], *, has_books: bool) -> pl.DataFrame:
    """Nothing won in a month begun is exactly nothing; bookings are told of periods the books cover or that run."""
    begun = pl.col("status") != "future"
    is_covered = pl.col("period_start_on").is_in(list(covered)) | (pl.col("status") != "closed")
    nothing = pl.lit("0.00").cast(MONEY)
    return parts.with_columns(
        crm_amount=pl.when(begun & pl.col("has_crm").is_null()).then(nothing).when(begun).then("crm_amount"),
        booked_amount=pl.when(begun & is_covered & pl.lit(has_books))
        .then(pl.when(pl.col("has_books").is_null()).then(nothing).otherwise("booked_amount")),
    )  # fmt: skip


def _whole(column: str) -> pl.Expr:
    """A sum that is unknown when a part of it is."""
    return pl.when(pl.col(column).is_not_null().all()).then(pl.col(column).sum()).cast(MONEY).alias(column)


def _planned(tables: Mapping[str, pl.DataFrame], members: pl.DataFrame) -> pl.DataFrame:
    """Scope × period: quotas of people without reports, whose quotas do not contain each other."""
    reps = tables["scopes"].filter(pl.col("scope_kind") == "rep")["scope"].to_list()
    asked = tables["quotas"].drop_nulls("quota_amount").filter(pl.col("person_id").is_in(reps))
    placed = asked.join(members, on=["period_start_on", "person_id"])
    return placed.group_by(KEY).agg(plan_amount=pl.col("quota_amount").sum().cast(MONEY))


def _called(pairs: pl.DataFrame, members: pl.DataFrame, kind: tuple[str, str] | None, week: int) -> pl.DataFrame:
    layer, category = kind or ("", "")
    made = pairs.filter(
        pl.col("layer") == layer, pl.col("category") == category, pl.col("week_of_period") == week
    ).drop_nulls("forecast_amount")
    placed = made.join(members, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"])
    return placed.group_by(KEY).agg(call_amount=pl.col("forecast_amount").sum().cast(MONEY))


def _ranges(tables: Mapping[str, pl.DataFrame], week: int, now: date | None) -> pl.DataFrame:
    """Scope × period: the range as issued at this week, of past periods and of the open one."""
    wanted = (pl.col("method") == METHOD) & (pl.col("week_of_period") == week)
    is_open = pl.col("period_start_on").eq_missing(pl.lit(now, pl.Date))
    columns = ["scope", "period_start_on", "level", "estimate", "lower", "upper"]
    issued = pl.concat(
        [
            tables["landing"].filter(wanted, is_open).select(columns),
            tables["landing_backtest"].filter(wanted).select(columns),
        ]
    )
    told = issued.group_by(KEY).agg(pl.col("estimate").first())
    for percent in LEVELS:
        at = issued.filter((pl.col("level") - percent / 100).abs() < 1e-9)
        ends = at.select(*KEY, pl.col("lower").alias(f"lower_{percent}"), pl.col("upper").alias(f"upper_{percent}"))
        told = told.join(ends, on=KEY, how="left")
    return told


def _labelled(rows: pl.DataFrame, kind: tuple[str, str] | None, week: int) -> pl.DataFrame:
    layer, category = kind or (None, None)
    return rows.with_columns(
        layer=pl.lit(layer, pl.String), category=pl.lit(category, pl.String), week_of_period=pl.lit(week, pl.Int64)
    )


_NOT_BY_MONTH = (
    "plan_amount", "call_amount", *(f"{side}_{percent}" for percent in LEVELS for side in ("lower", "upper")),
)  # fmt: skip


def _months(
    prepared: Prepared, tables: Mapping[str, pl.DataFrame], rows: pl.DataFrame, parts: pl.DataFrame
) -> pl.DataFrame:
    """Month parts of every period; plan, call and ends belong to the period as a whole."""
    unknown = pl.lit(None, MONEY)
    estimates = _split(prepared, tables, rows, parts)
    whole = rows.select(*KEY, "is_closed", "layer", "category", "week_of_period", whole_status="status")
    status = (
        pl.when(pl.col("whole_status").is_in(["plan_only", "no_rate"]))
        .then("whole_status")
        .when("is_closed")
        .then(pl.lit("no_range"))
        .when(pl.col("estimate").is_not_null())
        .then(pl.lit("split"))
        .otherwise(pl.lit("not_split"))
    )
    return (
        parts.drop("status")
        .join(whole, on=KEY)
        .join(estimates, on=["scope", "span_start_on"], how="left")
        .with_columns(span_kind=pl.lit("month"), **dict.fromkeys(_NOT_BY_MONTH, unknown))
        .with_columns(status=status)
    )


def _split(
    prepared: Prepared, tables: Mapping[str, pl.DataFrame], rows: pl.DataFrame, parts: pl.DataFrame
) -> pl.DataFrame:
    """Scope × month of the open period: landed so far, and its share of what is still to land."""
    now, today = prepared.open_period_start_on, prepared.as_of_at.date()
    actual = "booked_amount" if prepared.actual_source == "bookings" else "crm_amount"
    open_rows = rows.filter(pl.col("period_start_on").eq_missing(pl.lit(now, pl.Date)), ~pl.col("is_closed"))
    members = tables["scope_members"].filter(pl.col("period_start_on").eq_missing(pl.lit(now, pl.Date)))
    deals = tables["deals"].drop_nulls("expected_amount").select("owner_id", "close_on", "expected_amount")
    found: list[tuple[str, date, Decimal]] = []
    for row in open_rows.drop_nulls(["estimate", actual]).iter_rows(named=True):
        months = parts.filter(pl.col("scope") == row["scope"], pl.col("period_start_on") == now).sort("span_start_on")
        due = deals
        if row["scope"] != COMPANY_SCOPE:
            inside = members.filter(pl.col("scope") == row["scope"])["person_id"].to_list()
            due = deals.filter(pl.col("owner_id").is_in(inside))
        shares = split_months(months, still=row["estimate"] - row[actual], due=due, today=today)
        so_far = months[actual].to_list()
        if shares is not None and None not in so_far:
            found += [
                (row["scope"], start, landed + share)
                for start, landed, share in zip(months["span_start_on"].to_list(), so_far, shares, strict=True)
            ]
    return pl.DataFrame(found, schema={"scope": pl.String, "span_start_on": pl.Date, "estimate": MONEY}, orient="row")


def _quarters(rows: pl.DataFrame, fiscal_year_start_month: int) -> pl.DataFrame:
    """Fiscal quarters of a calendar of months: sums of whole quarters; ranges do not add up and are not given."""
    start = pl.col("period_start_on").map_elements(
        lambda day: quarter_start(day, fiscal_year_start_month), return_dtype=pl.Date
    )
    unknown = pl.lit(None, MONEY)
    ends = [name for name in _NOT_BY_MONTH if name not in ("plan_amount", "call_amount")]
    sums = (
        rows.with_columns(quarter=start)
        .group_by("scope", "quarter")
        .agg(
            *(_whole(name) for name in ("plan_amount", "call_amount", "crm_amount", "booked_amount")),
            pl.col("is_closed").all(),
            pl.col("span_end_on").max(),
            pl.col("layer", "category", "week_of_period").first(),
            month_count=pl.len(),
        )
    )
    return sums.filter(pl.col("month_count") == 3).with_columns(
        span_kind=pl.lit("quarter"), span_start_on="quarter", period_start_on="quarter", status=pl.lit("no_range"),
        estimate=unknown, **dict.fromkeys(ends, unknown),
    )  # fmt: skip
