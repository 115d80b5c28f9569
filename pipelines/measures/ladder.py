"""What each step of the forecast process said of each period, side by side: the engine's ``calls`` frame.

One kind of call is compared, the commit where anybody commits. A layer speaks for the company only if those of it who
called by then account for nine tenths of what landed: half a company's managers are not compared with all of its reps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from pipelines.contracts import CALL_CATEGORIES, MONEY
from pipelines.engine.value_added import half_and_half, naive_forecasts
from pipelines.policy import COMPANY_SCOPE, Policy

STEP_OF_LAYER = {"rep": "rep_rollup", "manager": "manager", "executive": "executive"}
SPEAKS_FOR = 0.90
_GRAIN = ["scope", "week_of_period", "period_start_on"]
CALLS: dict[str, pl.DataType | type[pl.DataType]] = {
    "scope": pl.String,
    "step": pl.String,
    "week_of_period": pl.Int64,
    "period_start_on": pl.Date,
    "forecast_amount": MONEY,
    "actual_amount": MONEY,
    "target_amount": MONEY,
}


def ladder_calls(
    tables: Mapping[str, pl.DataFrame],
    *,
    states: Iterable[pl.DataFrame],
    defaults: pl.DataFrame,
    won: pl.DataFrame | None,
    policy: Policy,
    periods_per_year: int,
    model: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Scope × step × week × closed period, as ``engine.value_added`` asks for; scopes: the company, and teams of
    managers who do not sit below one another.

    ``states``: warehouse.deal_states, whole weeks in each frame; ``defaults``: stage → ``default_probability_rate``;
    ``won``: what deals say the company won per period, null where no deal is known (the reps' records then add up).
    ``model``: ``scope, week_of_period, period_start_on, forecast_amount``.
    """
    weeks = [week for _, week in policy.horizon_weeks]
    closed = tables["periods"].filter(pl.col("status") == "closed")["period_start_on"].to_list()
    pairs = tables["forecast_pairs"].filter(
        pl.col("week_of_period").is_in(weeks), pl.col("period_start_on").is_in(closed)
    )
    kinds = pairs.drop_nulls("forecast_amount")["category"].unique().to_list()
    category = next((kind for kind in CALL_CATEGORIES if kind in kinds), CALL_CATEGORIES[0])
    calls = pairs.filter(pl.col("category") == category).drop_nulls("actual_amount")
    members = tables["scope_members"]
    on_top = _without_overlap(calls, members)
    company = _company_actuals(on_top, closed, won)
    teams = on_top.filter(pl.col("layer") == "manager").select(
        "period_start_on", "actual_amount", scope="forecaster_id"
    )
    actuals = pl.concat([company, teams.unique(["scope", "period_start_on"]).select(company.columns)])
    led = teams["scope"].unique().sort()
    said = [
        _company_steps(on_top, company),
        on_top.filter(pl.col("layer") == "manager").select(*_said("manager", scope=pl.col("forecaster_id"))),
        _team_rollup(on_top.filter(pl.col("layer") == "rep"), teams, members),
        *(_stage_weighted(part, defaults, members, [COMPANY_SCOPE, *led]) for part in states),
        _at_every_week(naive_forecasts(_with_gaps(actuals, closed), periods_per_year), weeks),
    ]
    if model is not None:
        said.append(model.with_columns(step=pl.lit("model")).select(*_GRAIN, "step", "forecast_amount"))
    frames = [frame.select(*_GRAIN, "step", pl.col("forecast_amount").cast(MONEY)) for frame in said]
    ladder = (
        pl.concat(frames)
        .join(actuals, on=["scope", "period_start_on"], how="inner")
        .join(_targets(tables, teams), on=["scope", "period_start_on"], how="left")
        .select(*CALLS)
        .cast(CALLS)  # type: ignore[arg-type]
    )
    return pl.concat([ladder, half_and_half(ladder)]).sort(*_GRAIN, "step")


def _said(step: str, *, scope: pl.Expr) -> list[pl.Expr | str]:
    return [
        scope.alias("scope"),
        "week_of_period",
        "period_start_on",
        pl.lit(step).alias("step"),
        "forecast_amount",
    ]


def _without_overlap(calls: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Calls of people who have nobody of their own layer above them: their numbers may be added up."""
    callers = calls.select("layer", "period_start_on", "forecaster_id").unique()
    above = members.rename({"person_id": "forecaster_id", "scope": "above"}).filter(
        pl.col("forecaster_id") != pl.col("above")
    )
    contained = callers.join(above, on=["period_start_on", "forecaster_id"]).join(
        callers, left_on=["layer", "period_start_on", "above"], right_on=["layer", "period_start_on", "forecaster_id"]
    )
    return calls.join(contained, on=["layer", "period_start_on", "forecaster_id"], how="anti")


def _company_actuals(on_top: pl.DataFrame, closed: list[date], won: pl.DataFrame | None) -> pl.DataFrame:
    every = pl.DataFrame({"period_start_on": closed}, schema={"period_start_on": pl.Date})
    if won is None:
        reps = on_top.filter(pl.col("layer") == "rep").unique(["forecaster_id", "period_start_on"])
        landed = reps.group_by("period_start_on").agg(pl.col("actual_amount").sum())
        rows = every.join(landed, on="period_start_on", how="inner")
    else:
        rows = every.join(won.rename({"amount": "actual_amount"}), on="period_start_on", how="inner")
    return rows.select(pl.lit(COMPANY_SCOPE).alias("scope"), "period_start_on", pl.col("actual_amount").cast(MONEY))


def _company_steps(on_top: pl.DataFrame, company: pl.DataFrame) -> pl.DataFrame:
    spoken = (
        on_top.filter(pl.col("layer").is_in(list(STEP_OF_LAYER)))
        .drop_nulls("forecast_amount")
        .group_by("layer", "week_of_period", "period_start_on")
        .agg(pl.col("forecast_amount", "actual_amount").sum())
        .join(company.rename({"actual_amount": "landed"}), on="period_start_on")
    )
    speaks = pl.col("actual_amount").cast(pl.Float64) >= SPEAKS_FOR * pl.col("landed").cast(pl.Float64)
    return spoken.filter(speaks).with_columns(step=pl.col("layer").replace_strict(STEP_OF_LAYER))


def _team_rollup(reps: pl.DataFrame, teams: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    below = members.join(teams.select("scope", "period_start_on").unique(), on=["scope", "period_start_on"])
    return (
        reps.drop_nulls("forecast_amount")
        .join(below, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"])
        .group_by("scope", "week_of_period", "period_start_on")
        .agg(pl.col("forecast_amount").sum())
        .with_columns(step=pl.lit("rep_rollup"))
    )


def _stage_weighted(
    states: pl.DataFrame, defaults: pl.DataFrame, members: pl.DataFrame, scopes: list[str]
) -> pl.DataFrame:
    """Σ probability × amount of what is due, and what has closed; the CRM's own probability, else the stage's."""
    chance = pl.coalesce("lock_probability_rate", "default_probability_rate")
    expected = pl.when("won_by_week").then(1.0).when("is_due").then(chance) * pl.col("lock_amount").cast(pl.Float64)
    # In cents per deal, so that the sum is exact whatever the order of rows.
    expected = expected.round(2).cast(MONEY)
    return (
        states.filter("existed")
        .join(defaults.select("stage", "default_probability_rate"), left_on="lock_stage", right_on="stage", how="left")
        .join(
            members.filter(pl.col("scope").is_in(scopes)),
            left_on=["period_start_on", "lock_owner_id"],
            right_on=["period_start_on", "person_id"],
        )
        .with_columns(expected=expected, is_rated=pl.col("is_due") & ~pl.col("won_by_week") & chance.is_not_null())
        .group_by(*_GRAIN)
        .agg(pl.col("expected").sum().alias("forecast_amount"), pl.col("is_rated").any())
        # Without a single probability there is no pipeline forecast, only what has closed already.
        .filter("is_rated")
        .with_columns(step=pl.lit("stage_weighted"))
    )


def _with_gaps(actuals: pl.DataFrame, closed: list[date]) -> pl.DataFrame:
    """One row per scope and consecutive period, as "the same period last year" counts places."""
    periods = pl.DataFrame({"period_start_on": closed}, schema={"period_start_on": pl.Date})
    grid = actuals.select("scope").unique().join(periods, how="cross")
    return grid.join(actuals, on=["scope", "period_start_on"], how="left")


def _at_every_week(naive: pl.DataFrame, weeks: list[int]) -> pl.DataFrame:
    return naive.join(pl.DataFrame({"week_of_period": weeks}, schema={"week_of_period": pl.Int64}), how="cross")


def _targets(tables: Mapping[str, pl.DataFrame], teams: pl.DataFrame) -> pl.DataFrame:
    """Quotas of the people without reports, whose quotas do not contain each other."""
    reps = tables["scopes"].filter(pl.col("scope_kind") == "rep")["scope"].implode()
    quotas = tables["quotas"].filter(pl.col("person_id").is_in(reps))
    wanted = pl.concat([teams["scope"].unique(), pl.Series("scope", [COMPANY_SCOPE])])
    return (
        quotas.join(tables["scope_members"], on=["period_start_on", "person_id"])
        .filter(pl.col("scope").is_in(wanted.implode()))
        .group_by("scope", "period_start_on")
        .agg(pl.col("quota_amount").sum().alias("target_amount"))
    )
