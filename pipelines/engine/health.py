"""How sound is the pipeline? Coverage, win rates, cycle, ageing, pushes, what is overdue, what rests on few deals.

Inputs, each one row per what its name says; ``person_id`` is the deal's owner then:

* ``lives``: opportunity: ``person_id``, ``created_period_on``, ``closed_period_on`` (null: outside of the published
  periods, or open), ``outcome`` (won, lost, no_decision, open), ``amount``, ``cycle_days``, ``push_count``,
  ``went_back``, ``sales_motion``, ``lead_source``, ``outcome_reason``, ``has_reason``, ``handoff_days``,
  ``is_inherited``, ``tenure_days``.
* ``looks``: period × open opportunity at this week of it (the open period: now): ``period_start_on``, ``person_id``,
  ``stage``, ``sales_motion``, ``amount``, ``age_days``, ``is_due`` (close date inside the period or before),
  ``is_past_due``, ``slipped`` (not closed by the period's end; null while it runs), and, now only, ``is_pushed``,
  ``has_no_next_step``, ``is_stalled`` (null: not recorded).
* ``closed``: period × person: ``amount`` won by that week. ``targets``: period × person: ``amount`` of quota.
* ``members``: period × person × ``scope``: whose number a deal counts for. ``exits``: see ``ageing_limits``.

Every measure is a share, a ratio or a median per scope. A share over several periods rests on fewer deals than it
counts, as deals of one period share its luck: its interval uses ``shares.inflation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.contracts import MONEY
from pipelines.engine import shares
from pipelines.policy import Policy
from pipelines.process_contracts import PipelineHealth

ALL = "all"
FEW_DEALS = 10
"""Below ten deals a share is shown with its interval, and no word is said of it."""

PAST = 4
"""Closed periods that stand for "lately", and that are shown one by one."""

OLD_FROM = 0.80
"""An open deal is old when four in five won deals had left its stage at a younger age."""

MATURE_FROM = 0.90
"""A cohort is judged once nine in ten of its deals are resolved; before, its quick losses would stand for all."""

MOST_ITEMS = 8
DIGITS = 12
"""Significant digits kept of a sum of floats, so that the order of rows cannot show."""

NEWCOMER_DAYS = 365
MANY_PUSHES = 3

RATES = (
    "win_rate_count",
    "win_rate_amount",
    "win_rate_cohort",
    "no_decision_rate",
    "missing_reason_rate",
    "stage_regression_rate",
    "inherited_rate",
    "slipped_rate",
    "pushed_rate",
    "past_due_rate",
    "no_next_step_rate",
    "stalled_rate",
    "ageing_rate",
)
MEASURES = ("coverage_remaining", "coverage_quota", *RATES, "cycle_days", "handoff_days", "top_five_share", "hhi")
"""What every scope has a row of, even if it says why there is no number; splits come on top."""

SPLITS = (
    "win_rate_by_pushes",
    "win_rate_by_motion",
    "win_rate_by_lead_source",
    "win_rate_by_handoff",
    "win_rate_by_owner",
    "win_rate_by_tenure",
)
REASONS = "reason_share"
"""Of the deals not won that give a reason, the share that gives this one; how many give none is a rate of its own."""
OTHER_REASONS = "other reasons"
_KEYS = ["scope", "measure", "item"]
_OF_ENDED = (
    "opportunity_id", "person_id", "closed_period_on", "outcome", "amount", "cycle_days", "push_count", "went_back",
    "sales_motion", "lead_source", "outcome_reason", "has_reason", "handoff_days", "is_inherited", "tenure_days",
)  # fmt: skip
_OF_OPEN = (
    "period_start_on", "person_id", "amount", "is_due", "is_past_due", "is_old", "slipped", "is_pushed",
    "has_no_next_step", "is_stalled",
)  # fmt: skip
"""What is asked of a deal that has ended, and of one that is open."""
_UNITS = {"cycle_days": "days", "handoff_days": "days", "coverage_remaining": "ratio", "coverage_quota": "ratio"}


@dataclass(frozen=True)
class Book:
    """Everything a company's pipeline health is made of; frames as the module says. ``now``: the open period."""

    lives: pl.DataFrame
    looks: pl.DataFrame
    closed: pl.DataFrame
    targets: pl.DataFrame
    members: pl.DataFrame
    exits: pl.DataFrame
    now: date | None
    past: tuple[date, ...]
    """Closed periods, latest first."""


def ageing_limits(exits: pl.DataFrame) -> pl.DataFrame:
    """Age in days that four in five won deals had not reached when they left a stage: stage × motion → ``limit_days``.

    ``exits``: opportunity × stage left: ``opportunity_id``, ``stage``, ``sales_motion``, ``age_days``, ``is_won_now``;
    a deal that came back to a stage counts by its last leaving. Fewer than ten won deals give no limit: no row.
    """
    left = (
        exits.filter("is_won_now")
        .group_by("opportunity_id", "stage", "sales_motion")
        .agg(pl.col("age_days").max().cast(pl.Float64))
    )
    return (
        left.group_by("stage", "sales_motion")
        .agg(limit_days=pl.col("age_days").quantile(OLD_FROM, "linear"), won_count=pl.len())
        .filter(pl.col("won_count") >= FEW_DEALS)
        .sort("stage", "sales_motion")
    )


def pipeline_health(book: Book, policy: Policy) -> pl.DataFrame:
    """Every measure for every scope of ``book.members``: frame ``PipelineHealth``, sorted by its grain.

    A measure of open deals speaks of the open period, beside the same week of past ones. A measure of outcomes takes
    the last four closed periods together, beside each of them. What no deal can answer has a row that says why.
    """
    lately, unanswered = book.past[:PAST], _unanswered(book)
    # A deal counts for half a dozen scopes: what is not asked for is not copied that often.
    recent = [*lately, *([] if book.now is None else [book.now])]
    closed = book.lives.filter(pl.col("outcome") != "open", pl.col("closed_period_on").is_in(list(lately)))
    looks = _aged(book.looks.filter(pl.col("period_start_on").is_in(recent)), ageing_limits(book.exits))
    ended = _scoped(closed.select(_OF_ENDED), book.members, "closed_period_on")
    open_deals = _scoped(looks.select(_OF_OPEN), book.members, "period_start_on")
    parts = [
        _outcome_shares(ended, lately, policy.level).filter(~pl.col("measure").is_in(list(unanswered))),
        _cohort_share(book, policy.level),
        _open_shares(open_deals, book.now, lately, policy.level).filter(~pl.col("measure").is_in(list(unanswered))),
        _medians(ended, lately, policy.level),
        _coverage(open_deals, book),
        _concentration(open_deals.filter("is_due"), book.now, lately),
    ]
    found = pl.concat([part for part in parts if not part.is_empty()] or [PipelineHealth.create_empty()])
    scopes = book.members["scope"].unique().sort()
    grid = pl.DataFrame({"scope": scopes}, schema={"scope": pl.String}).join(
        pl.DataFrame({"measure": MEASURES, "item": ALL}), how="cross"
    )
    table = grid.join(found, on=_KEYS, how="full", coalesce=True).with_columns(
        pl.col("unit").fill_null(pl.col("measure").replace_strict(_UNITS, default="rate")),
        # A scope without a deal to count has counted none: that is a count of zero, not a number made up.
        pl.col("deal_count").fill_null(pl.lit(0, pl.Int64)),
        pl.col("status").fill_null(pl.col("measure").replace_strict(unanswered, default="no_deals")),
    )
    return PipelineHealth.validate(table.select(PipelineHealth.column_names()).sort(_KEYS), cast=True)


def _unanswered(book: Book) -> dict[str, str]:
    """Why a measure may have no deal: because no row of the export says, rather than because there is none."""
    asked = {
        "no_next_step_rate": (book.looks, "has_no_next_step"),
        "stalled_rate": (book.looks, "is_stalled"),
        "stage_regression_rate": (book.lives, "went_back"),
        "handoff_days": (book.lives, "handoff_days"),
    }
    silent = {measure for measure, (frame, column) in asked.items() if frame[column].null_count() == frame.height}
    if book.exits.is_empty():
        silent.add("ageing_rate")
    if not tells_no_decision(book.lives):
        silent.add("no_decision_rate")
    if not tells_pushes(book.lives):
        silent |= {"pushed_rate", "slipped_rate"}
    return dict.fromkeys(sorted(silent), "not_recorded")


def tells_pushes(lives: pl.DataFrame) -> bool:
    """Whether changes of close dates are known: where no deal was ever pushed, an export without history has carried
    every last close date back, and deals seem to close when they were meant to."""
    return int(lives["push_count"].sum()) > 0


def tells_no_decision(lives: pl.DataFrame) -> bool:
    """Whether any stage or reason says that a buyer decided nothing; where none ever does, none is written down."""
    return not lives.filter(pl.col("outcome") == "no_decision").is_empty()


def _scoped(frame: pl.DataFrame, members: pl.DataFrame, period: str) -> pl.DataFrame:
    """One row per deal and scope it counts for, by the hierarchy of its period."""
    return frame.join(
        members, left_on=[period, "person_id"], right_on=["period_start_on", "person_id"], how="inner"
    ).with_columns(on=pl.col(period))


def _aged(looks: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    return looks.join(limits, on=["stage", "sales_motion"], how="left", nulls_equal=True).with_columns(
        is_old=pl.col("age_days") > pl.col("limit_days")
    )


def _shares_of(
    frame: pl.DataFrame,
    measure: str,
    hit: pl.Expr,
    *,
    now: Iterable[date],
    past: Iterable[date],
    level: float,
    item: pl.Expr | None = None,
    by_amount: bool = False,
) -> pl.DataFrame:
    """Share of deals that answer yes, per scope and item: over ``now`` together, beside each period of ``past``."""
    known = frame.with_columns(hit=hit, item=pl.lit(ALL) if item is None else item).drop_nulls(["hit", "item"])
    # Money is summed as it is stored: sums of floats depend on the order of rows in their last digits.
    amount, weight = pl.col("amount"), pl.col("deal_weight")
    known = known.with_columns(deal_weight=amount if by_amount else pl.lit(1, MONEY))
    if by_amount:
        known = known.filter(weight > 0)
    cells = known.group_by("scope", "item", "on").agg(
        hits=pl.col("hit").sum().cast(pl.Int64),
        trials=pl.len().cast(pl.Int64),
        weight=weight.sum().cast(pl.Float64),
        hit_weight=weight.filter("hit").sum().cast(pl.Float64),
        square=(weight.cast(pl.Float64) ** 2).sum().round_sig_figs(DIGITS),
        amount=amount.filter("hit").sum(),
    )
    rate = cells.with_columns(rate=pl.col("hit_weight") / pl.col("weight"))
    chosen = cells.filter(pl.col("on").is_in(list(now)))
    if chosen.is_empty():
        return PipelineHealth.create_empty()
    phi = pl.struct("hits", "trials")
    rows = (
        chosen.sort("scope", "item", "on")
        .group_by("scope", "item", maintain_order=True)
        .agg(
            pl.col("hits", "trials", "weight", "hit_weight", "square", "amount").sum(),
            phi=phi.implode(),
            only=pl.col("on").first(),
            period_count=pl.len(),
        )
    )
    share = (rows["hit_weight"] / rows["weight"]).to_numpy()
    inflated = np.array([_inflation(cell) for cell in rows["phi"].to_list()])
    n = (rows["weight"] ** 2 / rows["square"]).to_numpy() / inflated
    # An inflation found in four periods is a guess with three degrees of freedom.
    degrees = np.where(inflated > 1, np.maximum(rows["period_count"].to_numpy() - 1.0, 1.0), np.inf)
    lower, upper = shares.wilson(share * n, n, level, degrees)
    one_period = len(list(now)) == 1
    table = rows.select(
        "scope",
        "item",
        measure=pl.lit(measure),
        unit=pl.lit("rate"),
        period_start_on=pl.col("only") if one_period else pl.lit(None, pl.Date),
        deal_count="trials",
        hit_count="hits",
        amount=pl.col("amount").cast(MONEY),
        status=pl.when(pl.col("trials") < FEW_DEALS).then(pl.lit("few_deals")).otherwise(pl.lit("ok")),
    ).with_columns(
        estimate=pl.Series(share), lower=pl.Series(lower), upper=pl.Series(upper), level=pl.lit(level, pl.Float64)
    )
    return _with_past(table, rate, past)


def _inflation(cells: list[dict[str, int]]) -> float:
    return shares.inflation([cell["hits"] for cell in cells], [cell["trials"] for cell in cells])


def _with_past(table: pl.DataFrame, rates: pl.DataFrame, past: Iterable[date]) -> pl.DataFrame:
    """``previous_1`` … from ``rates``: scope, item, on, rate."""
    periods = [*past][:PAST]
    for number in range(1, PAST + 1):
        name = f"previous_{number}"
        if number > len(periods):
            table = table.with_columns(pl.lit(None, pl.Float64).alias(name))
            continue
        then = rates.filter(pl.col("on") == periods[number - 1]).select("scope", "item", pl.col("rate").alias(name))
        table = table.join(then, on=["scope", "item"], how="left")
    columns = {name: kind.dtype for name, kind in PipelineHealth.columns().items()}
    missing = [pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in table.columns]
    return table.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.items())


def _outcome_shares(ended: pl.DataFrame, lately: tuple[date, ...], level: float) -> pl.DataFrame:
    won = pl.col("outcome") == "won"
    no_decision = pl.col("outcome") == "no_decision"
    questions: dict[str, tuple[pl.DataFrame, pl.Expr]] = {
        "win_rate_count": (ended, won),
        "no_decision_rate": (ended, no_decision),
        "missing_reason_rate": (ended.filter(~won), ~pl.col("has_reason")),
        "stage_regression_rate": (ended, pl.col("went_back")),
        "inherited_rate": (ended, pl.col("is_inherited")),
    }
    parts = [
        _shares_of(frame, measure, hit, now=lately, past=lately, level=level)
        for measure, (frame, hit) in questions.items()
    ]
    parts.append(_shares_of(ended, "win_rate_amount", won, now=lately, past=lately, level=level, by_amount=True))
    for measure, item in _split_items(ended.filter(pl.col("on").is_in(lately))).items():
        parts.append(_shares_of(ended, measure, won, now=lately, past=lately, level=level, item=item))
    parts += _reason_shares(ended.filter(~won), lately, level)
    return pl.concat(parts)


def _reason_shares(lost: pl.DataFrame, lately: tuple[date, ...], level: float) -> list[pl.DataFrame]:
    """One row per reason of the deals not won, the commonest of the company by name, the rest together."""
    known = lost.drop_nulls("outcome_reason")
    recent = known.filter(pl.col("on").is_in(lately)).unique("opportunity_id")
    counts = recent.group_by("outcome_reason").len().sort("len", "outcome_reason", descending=[True, False])
    named = counts["outcome_reason"].to_list()[:MOST_ITEMS]
    given = pl.col("outcome_reason")
    questions = {reason: given == reason for reason in named}
    if counts.height > len(named):
        questions[OTHER_REASONS] = ~given.is_in(named)
    return [
        _shares_of(known, REASONS, hit, now=lately, past=lately, level=level, item=pl.lit(reason))
        for reason, hit in questions.items()
    ]


def _split_items(ended: pl.DataFrame) -> Mapping[str, pl.Expr]:
    """How the win rate is split; each item's name is what its deals have in common."""
    company = ended.unique("opportunity_id")
    sources = company["lead_source"].drop_nulls().value_counts(sort=True)["lead_source"].to_list()[:MOST_ITEMS]
    source = pl.col("lead_source")
    pushes = pl.col("push_count")
    handed = company["handoff_days"].drop_nulls()
    early, late = (handed.quantile(1 / 3), handed.quantile(2 / 3)) if handed.len() else (None, None)
    handoff = pl.lit(None, pl.String)
    if early is not None and late is not None and early < late:
        days = pl.col("handoff_days")
        handoff = (
            pl.when(days <= early)
            .then(pl.lit(f"1: up to {early:.0f} days"))
            .when(days <= late)
            .then(pl.lit(f"2: {early + 1:.0f} to {late:.0f} days"))
            .when(days > late)
            .then(pl.lit(f"3: over {late:.0f} days"))
        )
    return {
        "win_rate_by_pushes": pl.when(pushes >= MANY_PUSHES)
        .then(pl.lit(f"{MANY_PUSHES} or more"))
        .otherwise(pushes.cast(pl.String)),
        "win_rate_by_motion": pl.col("sales_motion"),
        "win_rate_by_lead_source": pl.when(source.is_in(sources))
        .then(source)
        .when(source.is_not_null())
        .then(pl.lit("other sources")),
        "win_rate_by_handoff": handoff,
        "win_rate_by_owner": pl.when("is_inherited").then(pl.lit("inherited")).otherwise(pl.lit("kept")),
        "win_rate_by_tenure": pl.when(pl.col("tenure_days") < NEWCOMER_DAYS)
        .then(pl.lit("first year"))
        .when(pl.col("tenure_days").is_not_null())
        .then(pl.lit("longer")),
    }


def _cohort_share(book: Book, level: float) -> pl.DataFrame:
    """Of the deals created in a period, how many are won by now: the last four periods whose deals are resolved."""
    created = book.lives.select("opportunity_id", "person_id", "created_period_on", "outcome", "amount")
    key = ["created_period_on", "person_id"]
    counted = created.join(book.members, left_on=key, right_on=["period_start_on", "person_id"], how="semi")
    resolved = counted.group_by("created_period_on").agg((pl.col("outcome") != "open").mean().alias("done"))
    mature = resolved.filter(pl.col("done") >= MATURE_FROM)["created_period_on"].to_list()
    past = book.past
    # A period counts only if every one before it is mature too: an odd quick quarter must not jump the queue.
    cohorts = [on for place, on in enumerate(past) if all(earlier in mature for earlier in past[place:])][:PAST]
    won = pl.col("outcome") == "won"
    chosen = _scoped(created.filter(pl.col("created_period_on").is_in(cohorts)), book.members, "created_period_on")
    return _shares_of(chosen, "win_rate_cohort", won, now=cohorts, past=cohorts, level=level)


def _open_shares(open_deals: pl.DataFrame, now: date | None, past: tuple[date, ...], level: float) -> pl.DataFrame:
    if now is None:
        return PipelineHealth.create_empty()
    columns = {
        "past_due_rate": "is_past_due",
        "ageing_rate": "is_old",
        "pushed_rate": "is_pushed",
        "no_next_step_rate": "has_no_next_step",
        "stalled_rate": "is_stalled",
    }
    parts = [
        _shares_of(open_deals, measure, pl.col(column), now=[now], past=past, level=level)
        for measure, column in columns.items()
    ]
    due = open_deals.filter("is_due")
    parts.append(_shares_of(due, "slipped_rate", pl.col("slipped"), now=past, past=past, level=level))
    return pl.concat(parts)


def _medians(ended: pl.DataFrame, lately: tuple[date, ...], level: float) -> pl.DataFrame:
    frames = {"cycle_days": ended.filter(pl.col("outcome") == "won"), "handoff_days": ended}
    parts = []
    for measure, frame in frames.items():
        known = frame.drop_nulls(measure).filter(pl.col("on").is_in(lately)).with_columns(item=pl.lit(ALL))
        rates = known.group_by("scope", "item", "on").agg(rate=pl.col(measure).median())
        rows = []
        for (scope,), part in known.sort("scope").group_by(["scope"], maintain_order=True):
            middle, lower, upper = shares.median_interval(part[measure], level)
            status = "few_deals" if part.height < FEW_DEALS else "ok"
            rows.append((scope, ALL, measure, "days", middle, lower, upper, level, part.height, status))
        names = ("scope", "item", "measure", "unit", "estimate", "lower", "upper", "level", "deal_count", "status")
        if rows:
            parts.append(
                _with_past(pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None), rates, lately)
            )
    return pl.concat(parts) if parts else PipelineHealth.create_empty()


def _coverage(open_deals: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Open pipeline due, over what is missing to the quota; and with what is won, over the whole quota."""
    if book.now is None:
        return PipelineHealth.create_empty()

    def sums(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        total = pl.col("amount").sum().cast(pl.Float64).alias(name)
        return _scoped(frame, book.members, "period_start_on").group_by("scope", "on").agg(total)

    due = (
        open_deals.filter("is_due")
        .group_by("scope", "on")
        .agg(pl.col("amount").sum().cast(pl.Float64).alias("due"), pl.len().cast(pl.Int64).alias("deal_count"))
    )
    # A scope with deals and nothing due, or nothing won yet, has none of it: known deals make that a real zero.
    both = (
        open_deals.select("scope", "on")
        .unique()
        .join(due, on=["scope", "on"], how="left")
        .join(sums(book.closed, "won"), on=["scope", "on"], how="left")
        .with_columns(pl.col("due", "won", "deal_count").fill_null(strategy="zero"))
        .join(sums(book.targets, "quota"), on=["scope", "on"], how="left")
        .with_columns(pl.when(pl.col("quota") > 0).then("quota").alias("quota"), item=pl.lit(ALL))
    )
    missing = pl.col("quota") - pl.col("won")
    ratios = {
        "coverage_remaining": pl.when(missing > 0).then(pl.col("due") / missing),
        "coverage_quota": (pl.col("due") + pl.col("won")) / pl.col("quota"),
    }
    parts = []
    for measure, ratio in ratios.items():
        rates = both.with_columns(rate=ratio)
        table = rates.filter(pl.col("on") == book.now).select(
            "scope",
            "item",
            "deal_count",
            measure=pl.lit(measure),
            unit=pl.lit("ratio"),
            period_start_on="on",
            estimate="rate",
            amount=pl.col("due").round(2).cast(MONEY),
            status=pl.when(pl.col("quota").is_null())
            .then(pl.lit("no_quota"))
            .when(pl.col("rate").is_null())
            .then(pl.lit("quota_reached"))
            .otherwise(pl.lit("ok")),
        )
        parts.append(_with_past(table, rates, book.past))
    return pl.concat(parts)


def _concentration(due: pl.DataFrame, now: date | None, past: tuple[date, ...]) -> pl.DataFrame:
    asked = due.filter(pl.col("on").is_in([*past, *([] if now is None else [now])])).sort("scope", "on")
    found = []
    for (scope, on), part in asked.group_by(["scope", "on"], maintain_order=True):
        amounts = part["amount"].drop_nulls().cast(pl.Float64).sort()
        measured = shares.concentration(amounts)
        if measured is not None:
            found.append((scope, on, ALL, *measured, part.height, float(amounts.sum())))
    names = ("scope", "on", "item", "top_five_share", "hhi", "deal_count", "amount")
    cells = pl.DataFrame(found, schema=names, orient="row", infer_schema_length=None)
    if cells.is_empty() or now is None:
        return PipelineHealth.create_empty()
    parts = []
    for measure in ("top_five_share", "hhi"):
        table = cells.filter(pl.col("on") == now).select(
            "scope",
            "item",
            "deal_count",
            measure=pl.lit(measure),
            unit=pl.lit("rate"),
            period_start_on="on",
            estimate=measure,
            amount=pl.col("amount").round(2).cast(MONEY),
            status=pl.lit("ok"),
        )
        parts.append(_with_past(table, cells.with_columns(rate=measure), past))
    return pl.concat(parts)
