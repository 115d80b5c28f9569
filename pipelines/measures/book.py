"""The deals of a company, past and open, as ``engine.health`` asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from pipelines.engine.health import Book, tells_pushes
from pipelines.policy import COMPANY_SCOPE

TOLD = (
    "opportunity_id", "owner_id", "owner_count", "created_on", "created_period_on", "closed_period_on", "outcome",
    "amount", "cycle_days", "push_count", "went_back", "sales_motion", "lead_source", "outcome_reason", "has_reason",
    "handoff_days",
)  # fmt: skip
"""What the health of the pipeline asks of every deal: a million of them are copied with nothing else."""


def book(
    tables: Mapping[str, pl.DataFrame],
    *,
    states: pl.DataFrame,
    lives: pl.DataFrame,
    exits: pl.DataFrame,
    now: date | None,
    week: int | None,
    as_of_at: datetime,
) -> Book:
    """``now`` and ``week``: the open period and its last whole week, at which past periods are looked at too.

    Scopes: the company, and everybody who leads somebody. A quota is that of people without reports, whose quotas do
    not contain each other.
    """
    periods = tables["periods"].sort("period_start_on", descending=True)
    past = tuple(periods.filter(pl.col("status") == "closed")["period_start_on"].to_list())
    leads = tables["scopes"].filter(pl.col("scope_kind") != "rep")["scope"]
    reps = tables["scopes"].filter(pl.col("scope_kind") == "rep")["scope"]
    # Without a history, past looks would know how it ended: close dates are carried back from the last export.
    known = past if tells_pushes(lives) else ()
    same_week = states.filter(pl.col("week_of_period").eq_missing(week), pl.col("period_start_on").is_in(known))
    ends = tables["periods"].select("period_start_on", "period_end_on")
    open_looks = [_past_looks(same_week.filter(~pl.col("won_by_week")))]
    closed = [_won_so_far(same_week.filter("won_by_week"))]
    if now is not None:
        (now_ends_on,) = ends.filter(pl.col("period_start_on") == now)["period_end_on"].to_list()
        open_looks.append(_looks_now(tables["deals"], lives, now, now_ends_on))
        closed.append(_won_now(lives, now, as_of_at))
    return Book(
        lives=_told(lives, tables["scopes"]),
        looks=pl.concat(open_looks),
        closed=pl.concat(closed),
        targets=tables["quotas"]
        .filter(pl.col("person_id").is_in(reps.implode()))
        .select("period_start_on", "person_id", amount="quota_amount"),
        members=tables["scope_members"].filter(pl.col("scope").is_in(leads.implode())),
        exits=exits,
        now=now,
        past=past,
    )


def _told(lives: pl.DataFrame, scopes: pl.DataFrame) -> pl.DataFrame:
    hired = scopes.filter(pl.col("scope") != COMPANY_SCOPE).select(owner_id="scope", hired_on="hired_on")
    tenure = (pl.col("created_on") - pl.col("hired_on")).dt.total_days()
    return (
        lives.select(TOLD)
        .join(hired, on="owner_id", how="left")
        .with_columns(
            # Hired after the deal was opened: it was inherited, and tenure says nothing of how it was sold.
            tenure_days=pl.when(tenure >= 0).then(tenure),
            is_inherited=pl.col("owner_count") > 1,
        )
        .rename({"owner_id": "person_id"})
    )


def _past_looks(states: pl.DataFrame) -> pl.DataFrame:
    day = pl.col("until_at").dt.date().dt.offset_by("-1d")
    unknown = pl.lit(None, pl.Boolean)
    return states.filter("existed").select(
        "period_start_on",
        "opportunity_id",
        "sales_motion",
        "age_days",
        person_id="lock_owner_id",
        stage="lock_stage",
        amount="lock_amount",
        is_due=pl.col("is_due").fill_null(False),
        is_past_due=pl.col("lock_close_on") < day,
        slipped=pl.when("is_due").then(pl.col("outcome") == "open"),
        is_pushed=unknown,
        has_no_next_step=unknown,
        is_stalled=unknown,
    )


def _looks_now(deals: pl.DataFrame, lives: pl.DataFrame, now: date, ends_on: date) -> pl.DataFrame:
    motion = lives.select("opportunity_id", "sales_motion")
    return (
        deals.join(motion, on="opportunity_id", how="left")
        .select(
            pl.lit(now).alias("period_start_on"),
            "opportunity_id",
            "sales_motion",
            "age_days",
            "stage",
            "amount",
            "is_past_due",
            "has_no_next_step",
            "is_stalled",
            person_id="owner_id",
            is_due=pl.col("close_on").is_between(now, ends_on).fill_null(False),
            slipped=pl.lit(None, pl.Boolean),
            is_pushed=pl.col("push_count") > 0,
        )
        .select(
            "period_start_on",
            "opportunity_id",
            "sales_motion",
            "age_days",
            "person_id",
            "stage",
            "amount",
            "is_due",
            "is_past_due",
            "slipped",
            "is_pushed",
            "has_no_next_step",
            "is_stalled",
        )
    )


def _won_so_far(states: pl.DataFrame) -> pl.DataFrame:
    return states.select("period_start_on", person_id="lock_owner_id", amount="lock_amount")


def _won_now(lives: pl.DataFrame, now: date, as_of_at: datetime) -> pl.DataFrame:
    won = lives.filter(
        pl.col("outcome") == "won", pl.col("closed_period_on") == now, pl.col("closed_on") <= as_of_at.date()
    )
    return won.select(period_start_on="closed_period_on", person_id="owner_id", amount="amount")
