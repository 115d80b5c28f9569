"""The tables of the miss: which deals a call stood for, whose call is bridged, and by what the bridge is cut.

``states``: the lock week of ``deal_states`` (period × week × opportunity: what was believed then, how it ended), closed
periods alone. ``facts``: period × opportunity, what else was known at the lock (``warehouse.miss_facts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.contracts import (
    CALL_CATEGORIES,
    FORECAST_CATEGORIES,
    LAYERS,
    AttributionCut,
    Luck,
    MissAttribution,
    MissDeals,
)
from pipelines.engine.attribution import attribution_cut, miss_attribution, steps_of
from pipelines.engine.explained import explained_misses
from pipelines.engine.luck import luck, shared_shocks
from pipelines.outcome_contracts import MissExplained, MissFractions
from pipelines.policy import COMPANY_SCOPE, Policy

STANDING = ("executive", "manager", "rep")
"""Whose call stands for a scope, first found first: the one nearest to the number the company gives out."""

LARGEST_STEPS = 500
"""Steps listed deal by deal, per period: more than anybody reads, and a bound on the table."""

LARGEST_VALUES = 40
"""Values of one cut; those with the least money beyond it are counted together."""

OTHERS = "(others together)"
LATER = "created after the lock"

AGE_BANDS = ((30, "up to 30 days"), (90, "31 to 90 days"), (180, "91 to 180 days"))
TENURE_BANDS = ((365, "first year"), (730, "second year"))

CUTS = (
    "team",
    "manager",
    "region",
    "sales_motion",
    "lead_source",
    "opportunity_type",
    "origin",
    "tenure",
    "stage",
    "age",
    "close_date",
    "next_step",
    "activity",
    "currency",
)


@dataclass(frozen=True)
class MissTables:
    """What an edition publishes of its misses."""

    miss_attribution: pl.DataFrame
    miss_deals: pl.DataFrame
    attribution_cut: pl.DataFrame
    luck: pl.DataFrame
    miss_fractions: pl.DataFrame
    miss_explained: pl.DataFrame

    def as_tables(self) -> Mapping[str, pl.DataFrame]:
        return {
            "miss_attribution": self.miss_attribution,
            "miss_deals": self.miss_deals,
            "attribution_cut": self.attribution_cut,
            "luck": self.luck,
            "miss_fractions": self.miss_fractions,
            "miss_explained": self.miss_explained,
        }


NO_MISS = MissTables(
    MissAttribution.create_empty(),
    MissDeals.create_empty(),
    AttributionCut.create_empty(),
    Luck.create_empty(),
    MissFractions.create_empty(),
    MissExplained.create_empty(),
)


def miss_tables(
    states: pl.DataFrame,
    facts: pl.DataFrame,
    pairs: pl.DataFrame,
    *,
    members: pl.DataFrame,
    members_at_end: pl.DataFrame,
    policy: Policy,
) -> MissTables:
    """Bridges of every scope and layer, their cuts, their largest steps, and the luck line. Empty without calls.

    ``members``: ``ScopeMembers`` (at the lock); ``members_at_end``: period × won opportunity × scope, as the hierarchy
    stood on each close date, which is how actuals are counted.
    """
    category = called_category(pairs)
    closed = states.filter(pl.col("outcome").is_not_null())
    if category is None or closed.is_empty():
        return NO_MISS
    deals, basis = called_deals(closed, category)
    deals = deals.join(facts, on=["period_start_on", "opportunity_id"], how="left", maintain_order="left")
    calls = scope_calls(
        pairs.filter((pl.col("category") == category) & (pl.col("week_of_period") == policy.lock_week)),
        members,
        closed.select("period_start_on", "week_of_period").unique(),
    )
    if calls.is_empty():
        return NO_MISS
    asked = calls.select("period_start_on", "week_of_period", "scope").unique()
    bridges = miss_attribution(
        deals.filter("is_valued"),
        asked.with_columns(call_amount=pl.lit(None, pl.Decimal(18, 2))),
        members,
        members_at_end,
    )
    return MissTables(
        _layered(bridges, calls, _without_rate(deals, members, members_at_end), category=category, basis=basis),
        _largest_steps(deals),
        _cuts(deals),
        luck(
            deals.filter("is_valued"),
            members,
            asked["scope"].unique().to_list(),
            factor_sd=shared_shocks(deals.filter("is_valued"), least=policy.min_periods_company),
        ),
        *explained_misses(deals.filter("is_valued"), members, level=policy.level),
    )


def as_known(states: pl.DataFrame, since: Mapping[str, datetime], stages: pl.DataFrame) -> pl.DataFrame:
    """**What can be known of the lock.** ``states`` without hindsight: only what was written down by then.

    An export without history carries every deal's last values back: whatever was won seems to have been due and called.
    So a period is kept only if changes of close dates were being recorded at its lock (``since``: field → first
    recorded change). Where changes of the forecast category, or of the probability, are not recorded but those of the
    stage are, the stage's own default stands in (``stages``: stage, forecast_category, default_probability_rate); else
    it is null.
    """
    until = pl.col("until_at")
    if "close_on" not in since:
        return states.clear()
    kept = states.filter(until > since["close_on"])
    by_stage = stages.unique("stage", keep="first", maintain_order=True)
    defaults = {"forecast_category": "lock_category", "probability_rate": "lock_probability_rate"}
    told = kept.join(
        by_stage.rename({"forecast_category": "stage_category", "default_probability_rate": "stage_probability_rate"}),
        left_on="lock_stage",
        right_on="stage",
        how="left",
        maintain_order="left",
    )
    stage_known = until > since["stage"] if "stage" in since else pl.lit(False)
    for field, column in defaults.items():
        field_known = until > since[field] if field in since else pl.lit(False)
        told = told.with_columns(
            pl.when(field_known).then(column).when(stage_known).then(column.replace("lock_", "stage_")).alias(column)
        )
    return told.drop("stage_category", "stage_probability_rate")


def called_category(pairs: pl.DataFrame) -> str | None:
    """The kind of call that is bridged: commit, else the surest kind that anybody made; None without any call."""
    known = set(pairs.drop_nulls("forecast_amount")["category"].unique())
    return next((category for category in CALL_CATEGORIES if category in known), None)


def called_deals(states: pl.DataFrame, category: str) -> tuple[pl.DataFrame, str]:
    """**Which deals a call stands for.** The deals called at the lock or won, with their weights, and the basis.

    In the call at 1: what was already won in the period, and open deals due in it whose forecast category was the
    called one or a surer one. Where no deal has a category at all, open deals due in the period count at their
    probability (basis ``probability``); where there is none either, the roll-up holds what was already won (``none``).
    A deal due before the period (an overdue close date) is in no call; won, it was left out of it. A deal that was
    closed or deleted at the lock and is won later counts as pulled in.
    """
    open_at_lock = pl.col("existed") & ~pl.col("won_by_week")
    surer = FORECAST_CATEGORIES[FORECAST_CATEGORIES.index(category) :]
    undecided = states.filter(open_at_lock)
    if undecided["lock_category"].is_not_null().any():
        basis, weight = "category", pl.col("lock_category").is_in(surer).cast(pl.Float64)
    elif undecided["lock_probability_rate"].is_not_null().any():
        basis, weight = "probability", pl.col("lock_probability_rate")
    else:
        basis, weight = "none", pl.lit(None, pl.Float64)
    existed_unseen = ~pl.col("existed") & (pl.col("age_days") >= 0)
    deals = states.with_columns(
        weight_rate=pl.when("won_by_week").then(pl.lit(1.0)).when(open_at_lock & pl.col("is_due")).then(weight),
        probability_rate=pl.when("won_by_week").then(pl.lit(1.0)).otherwise("lock_probability_rate"),
        # Won deals have an owner when won; the rest keep the owner they had at the lock.
        end_owner_id=pl.coalesce("end_owner_id", "lock_owner_id"),
        lock_owner_id=pl.when(existed_unseen).then("end_owner_id").otherwise("lock_owner_id"),
        is_due=pl.when(existed_unseen)
        .then(pl.lit(False))
        .otherwise(pl.col("is_due") | (pl.col("lock_close_on") < pl.col("period_start_on"))),
    )
    is_called = pl.col("weight_rate").is_not_null() & (pl.col("weight_rate") != 0)
    return deals.filter(is_called | (pl.col("outcome") == "won")), basis


def scope_calls(pairs: pl.DataFrame, members: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """**Whose call is bridged.** Period × week × scope × layer: the sum of that layer's calls within the scope.

    ``pairs``: of one category, at the lock. ``members``: who belonged where at the lock; the company holds everyone, a
    forecaster missing from it included, and finance calls for the company alone. One layer *stands* for the scope:
    executives' calls where there are any, else managers', else reps'. A scope where nobody called has one row of the
    highest layer that usually does, without an amount.
    """
    closed = pairs.join(periods, on=["period_start_on", "week_of_period"], how="semi")
    everybody = closed.select("period_start_on", person_id="forecaster_id", scope=pl.lit(COMPANY_SCOPE))
    belongs = pl.concat([members.select("period_start_on", "person_id", "scope"), everybody]).unique()
    placed = closed.join(
        belongs, left_on=["period_start_on", "forecaster_id"], right_on=["period_start_on", "person_id"], how="inner"
    ).filter((pl.col("layer") != "finance") | (pl.col("scope") == COMPANY_SCOPE))
    has_call = pl.col("forecast_amount").is_not_null()
    group = ["period_start_on", "week_of_period", "scope"]
    summed = placed.group_by(*group, "layer").agg(
        called=pl.col("forecast_amount").sum(),
        caller_count=has_call.sum().cast(pl.Int64),
        missing_count=(~has_call).sum().cast(pl.Int64),
    )
    rank = pl.col("layer").replace_strict(
        [*STANDING, *(layer for layer in LAYERS if layer not in STANDING)], range(len(LAYERS)), return_dtype=pl.Int64
    )
    ranked = summed.with_columns(
        call_amount=pl.when(pl.col("caller_count") > 0).then("called").cast(pl.Decimal(18, 2)),
        rank=rank + pl.when(pl.col("caller_count") > 0).then(0).otherwise(len(LAYERS)),
    ).with_columns(is_standing=pl.col("rank") == pl.col("rank").min().over(group))
    kept = ranked.filter(pl.col("call_amount").is_not_null() | pl.col("is_standing"))
    return kept.select(*group, "layer", "is_standing", "call_amount", "caller_count", "missing_count")


def _layered(
    bridges: pl.DataFrame, calls: pl.DataFrame, without_rate: pl.DataFrame, *, category: str, basis: str
) -> pl.DataFrame:
    """One bridge per layer: only the call and the judgement over the same roll-up differ."""
    group = ["period_start_on", "week_of_period", "scope"]
    unknown = without_rate.with_columns(lacks_rate=pl.lit(True))
    is_known = pl.col("lacks_rate").is_null()
    table = (
        bridges.drop("call_amount", "status")
        .join(calls, on=group, how="inner")
        .join(unknown, on=["period_start_on", "scope"], how="left")
        .with_columns(
            amount=pl.when(pl.col("cause") == "judgement")
            .then(pl.col("rollup_amount") - pl.col("call_amount"))
            .otherwise("amount")
        )
        .with_columns(
            *(pl.when(is_known).then(name).alias(name) for name in ("amount", "rollup_amount", "actual_amount")),
            status=pl.when(~is_known)
            .then(pl.lit("no_rate"))
            .when(pl.col("call_amount").is_null())
            .then(pl.lit("no_call"))
            .otherwise(pl.lit("ok")),
            category=pl.lit(category),
            rollup_basis=pl.lit(basis),
        )
    )
    return MissAttribution.validate(table.select(MissAttribution.column_names()), cast=True)


def _without_rate(deals: pl.DataFrame, members: pl.DataFrame, members_at_end: pl.DataFrame) -> pl.DataFrame:
    """Period × scope with a deal whose amount is in a currency that no rate converts: nothing adds up there."""
    lost = deals.filter(~pl.col("is_valued"))
    at_lock = lost.join(
        members, left_on=["period_start_on", "lock_owner_id"], right_on=["period_start_on", "person_id"], how="inner"
    )
    at_end = lost.join(members_at_end, on=["period_start_on", "opportunity_id"], how="inner")
    return pl.concat([frame.select("period_start_on", "scope") for frame in (at_lock, at_end)]).unique()


def _largest_steps(deals: pl.DataFrame) -> pl.DataFrame:
    """The steps with the most money of each period, ties in order of the id."""
    steps = steps_of(deals.filter("is_valued"))
    placed = steps.sort(
        pl.col("amount").abs(), "opportunity_id", "cause", descending=[True, False, False]
    ).with_columns(step_place=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("period_start_on"))
    rows = placed.filter(pl.col("step_place") <= LARGEST_STEPS).join(
        deals.drop("week_of_period"), on=["period_start_on", "opportunity_id"], how="left"
    )
    return MissDeals.validate(rows.select(MissDeals.column_names()), cast=True)


def _cuts(deals: pl.DataFrame) -> pl.DataFrame:
    """The company's bridge by everything that was known of a deal at its lock."""
    valued = deals.filter("is_valued")
    ready = valued.with_columns(
        origin=_origin(),
        stage=_at_lock(pl.col("lock_stage")),
        age=_at_lock(_band("age_days", AGE_BANDS, "over 180 days")),
        tenure=_band("tenure_days", TENURE_BANDS, "third year or later"),
        close_date=_at_lock(
            pl.when("won_by_week")
            .then(pl.lit("already won"))
            .when(pl.col("lock_close_on") < pl.col("lock_on"))
            .then(pl.lit("close date already past"))
            .otherwise(pl.lit("close date ahead"))
        ),
        next_step=_at_lock(
            pl.when("won_by_week")
            .then(pl.lit("already won"))
            .when("has_no_next_step")
            .then(pl.lit("no next step"))
            .when(~pl.col("has_no_next_step"))
            .then(pl.lit("a next step"))
        ),
        activity=_at_lock(
            pl.when("won_by_week")
            .then(pl.lit("already won"))
            .when("is_touched")
            .then(pl.lit("touched within 30 days"))
            .when(~pl.col("is_touched"))
            .then(pl.lit("untouched for 30 days"))
        ),
    )
    cuts = []
    for by in CUTS:
        bounded = ready
        for column in (column for column in (by, f"lock_{by}", f"end_{by}") if column in ready.columns):
            bounded = _bounded(bounded, column)
        cuts.append(attribution_cut(bounded, by))
    has_money = pl.any_horizontal(pl.col("rollup_amount", "actual_amount", "amount") != 0)
    # A deal lost by somebody of no team was won by nobody: its end is a value without any money.
    return pl.concat(cuts).filter(has_money.any().over("period_start_on", "cut", pl.col("value").is_null(), "value"))


def _at_lock(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("lock_owner_id").is_null()).then(pl.lit(LATER)).otherwise(value)


def _origin() -> pl.Expr:
    """New to its owner at the lock, or inherited from whoever created it."""
    inherited = pl.col("lock_owner_id") != pl.col("first_owner_id")
    return _at_lock(pl.when(inherited).then(pl.lit("inherited")).when(~inherited).then(pl.lit("created by its owner")))


def _band(column: str, bands: tuple[tuple[int, str], ...], beyond: str) -> pl.Expr:
    """The first band whose upper end (days, inclusive) holds the value; null stays null."""
    found = pl.lit(beyond)
    for upper, name in reversed(bands):
        found = pl.when(pl.col(column) <= upper).then(pl.lit(name)).otherwise(found)
    return pl.when(pl.col(column).is_not_null()).then(found)


def _bounded(deals: pl.DataFrame, column: str) -> pl.DataFrame:
    """At most so many values of a free-text column, the ones with the most money; the rest are one value."""
    if deals[column].n_unique() <= LARGEST_VALUES:
        return deals
    money = pl.max_horizontal(pl.col("lock_amount"), pl.col("end_amount")).cast(pl.Float64).sum()
    ranked = deals.drop_nulls(column).group_by(column).agg(money=money).sort("money", column, descending=[True, False])
    kept = ranked[column].head(LARGEST_VALUES)
    return deals.with_columns(
        pl.when(pl.col(column).is_in(kept.to_list()) | pl.col(column).is_null())
        .then(column)
        .otherwise(pl.lit(OTHERS))
        .alias(column)
    )
