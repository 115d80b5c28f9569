"""Where the miss came from: call + steps = actual, exactly, to the cent.

Nothing is estimated. Every deal falls into one cause by its state at the end of the period, asked in this order: won
in the period? lost? no decision? else pushed out. The order of the deals, or of the causes, changes nothing. Sums run
in integer cents. Positive steps lift the actual above the call; a miss is negative.

**Whose step.** The outcome stays with the owner at lock (the owner at the end for a deal created after it). A won deal
that changed hands, or whose owner changed teams, adds ``transferred``: minus its amount where it was at lock, plus its
amount where it was when won. Exact per scope, nothing over the company.

**Words.** ``grew``/``shrunk``: a called deal won at another amount. ``left_out``: won, due in the period, not called;
of a deal called at a weight below 1, the uncalled share of its amount at lock. ``pulled_in``: won, due later at lock.
``created_and_won``: won, created after lock. ``judgement``: call minus roll-up, taken out again; a cut that proved
right is positive. ``currency``: won amounts at the rate of their close minus the same at the rate of the lock.

Input ``deals``, one row per period × week_of_period × opportunity that was called at lock or won in the period:

==============================  =====  =============================================================================
``period_start_on``             date
``week_of_period``              int    the lock
``opportunity_id``              text
``lock_owner_id``               text   null: created after the lock
``end_owner_id``                text   owner when won, else at the period's end
``weight_rate``                 float  share of the amount that the roll-up counts: 1 in a commit call, 0 not called.
                                       Deals already won by the lock are in the call at 1
``lock_amount``                 money  at the lock, at the lock's rate of exchange; null: none stated, so not called
``end_amount``                  money  when won, at the actual's rate; null: the deal adds nothing to the actual
``end_amount_at_lock_rate``     money  the same at the lock's rate; null: as ``end_amount``
``outcome``                     text   ``won`` (in the period), ``lost``, ``no_decision``, ``open`` (also won later)
``is_due``                      bool   close date at lock within the period; null if created after the lock
==============================  =====  =============================================================================

Any further columns (``sales_motion``, ``lead_source``, ...) may be cut by. ``calls``: one row per period ×
week_of_period × scope: ``call_amount`` (null: no call). ``members``: period × person × scope (``scope_members``).
"""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.contracts import MONEY, AttributionCut
from pipelines.errors import EditionError

CAUSES = (
    "lost",
    "no_decision",
    "pushed_out",
    "shrunk",
    "grew",
    "left_out",
    "pulled_in",
    "created_and_won",
    "judgement",
    "transferred",
    "currency",
)

OUTCOMES = ("won", "lost", "no_decision", "open")

GRAIN = ["period_start_on", "week_of_period"]

_PLACED = (
    "opportunity_id", "outcome", "lock_owner_id", "lock_side_id", "end_owner_id", "called_cents", "won_cents",
    "outcome_cause", "outcome_cents", "uncalled_cents", "change_cents", "currency_cents",
)  # fmt: skip


class Bridge(dy.Schema):
    """Period × week_of_period × scope × cause; all eleven causes in every bridge.

    call_amount + Σ amount = actual_amount, residual exactly 0. ``deal_count``: deals with money in this cause (null for
    ``judgement``, which has none). ``status``: ``ok``, or ``no_call`` (amounts of the deals stand, ``judgement`` and
    ``call_amount`` are null: nothing to bridge from).
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    cause = dy.String(nullable=False)
    amount = dy.Decimal(18, 2, nullable=True)
    deal_count = dy.Int64(nullable=True)
    call_amount = dy.Decimal(18, 2, nullable=True)
    rollup_amount = dy.Decimal(18, 2, nullable=False)
    actual_amount = dy.Decimal(18, 2, nullable=False)
    status = dy.String(nullable=False)


def miss_attribution(
    deals: pl.DataFrame,
    calls: pl.DataFrame,
    members_at_lock: pl.DataFrame,
    members_at_end: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """**Where the miss came from.** The bridge of every scope in ``calls``: frame ``Bridge``, sorted by its grain.

    A deal takes one road, by what had become of it when its period was frozen: won, lost, no decision, else pushed out.
    Won but not called, it was created later, left out (due in the period or overdue by the lock) or pulled in. Called
    and won at another amount, it grew or shrank. ``judgement`` is what the callers added to (−) or cut from (+) their
    own called deals. Sums run in integer cents: call + steps − actual is exactly 0, whatever the order.

    ``members_at_end``: who belonged to which scope when the deals closed, by person, or by deal (``opportunity_id``
    instead of ``person_id``) where the hierarchy of each close date is known; the hierarchy at lock if None. A deal
    younger than the lock stands where it closed. Raises ``EditionError`` if a deal has no owner, an owner without a
    scope, or an unknown outcome.
    """
    # A deal stands under half a dozen scopes: what no step asks for is not copied that often.
    entries = entries_of(deals).select(*GRAIN, *_PLACED)
    end = members_at_lock if members_at_end is None else members_at_end
    if "opportunity_id" in end.columns:
        won = entries.filter(pl.col("outcome") == "won")
        at_end = _found_in_each(won, won.join(end, on=["period_start_on", "opportunity_id"], how="inner"))
        is_young = pl.col("lock_owner_id").is_null()
        known = placed_under(entries.filter(~is_young), "lock_side_id", members_at_lock)
        at_lock = pl.concat([known, at_end.filter(is_young).select(known.columns)])
    else:
        at_lock = placed_under(entries, "lock_side_id", members_at_lock)
        at_end = placed_under(entries, "end_owner_id", end)
    both = [*GRAIN, "scope", "opportunity_id"]
    lock_only = at_lock.filter(pl.col("won_cents") != 0).join(at_end, on=both, how="anti")
    end_only = at_end.filter(pl.col("won_cents") != 0).join(at_lock, on=both, how="anti")
    steps = pl.concat(
        [
            _melt(at_lock),
            lock_only.select(*both, cause=pl.lit("transferred"), cents=-pl.col("won_cents")),
            end_only.select(*both, cause=pl.lit("transferred"), cents=pl.col("won_cents")),
        ]
    )
    rollup = at_lock.group_by(*GRAIN, "scope").agg(rollup_cents=pl.col("called_cents").sum())
    actual = at_end.group_by(*GRAIN, "scope").agg(actual_cents=pl.col("won_cents").sum())
    asked = calls.select(*_grain(), "scope", call_cents=_cents("call_amount"))
    totals = (
        asked.join(rollup, on=[*GRAIN, "scope"], how="left")
        .join(actual, on=[*GRAIN, "scope"], how="left")
        # A scope without a single called or won deal has a roll-up and an actual of exactly nothing.
        .with_columns(_none_is_nothing("rollup_cents"), _none_is_nothing("actual_cents"))
    )
    judgement = totals.select(
        *GRAIN,
        "scope",
        cause=pl.lit("judgement"),
        cents=pl.col("rollup_cents") - pl.col("call_cents"),
        deal_count=pl.lit(None, pl.Int64),
    )
    summed = pl.concat([_sum_steps(steps, [*GRAIN, "scope"]), judgement])
    causes = pl.DataFrame({"cause": CAUSES}, schema={"cause": pl.String})
    is_deal_cause = pl.col("cause") != "judgement"
    table = (
        totals.join(causes, how="cross")
        .join(summed, on=[*GRAIN, "scope", "cause"], how="left")
        .with_columns(
            # No deal took this road: the step is exactly 0.00, which is known, not missing.
            cents=pl.when(pl.col("cents").is_null() & is_deal_cause).then(0).otherwise(pl.col("cents")),
            deal_count=pl.when(pl.col("deal_count").is_null() & is_deal_cause).then(0).otherwise(pl.col("deal_count")),
            status=pl.when(pl.col("call_cents").is_null()).then(pl.lit("no_call")).otherwise(pl.lit("ok")),
        )
        .with_columns(
            amount=_money("cents"),
            call_amount=_money("call_cents"),
            rollup_amount=_money("rollup_cents"),
            actual_amount=_money("actual_cents"),
        )
    )
    return Bridge.validate(table.select(Bridge.column_names()).sort(*GRAIN, "scope", _cause_order()), cast=True)


def attribution_cut(deals: pl.DataFrame, by: str) -> pl.DataFrame:
    """The company's bridge from roll-up to actual, split by a column of the deals: frame ``AttributionCut``.

    A column named ``lock_<by>`` and one named ``end_<by>`` are used where both exist (owner, team): the outcome is
    counted under the first and a won deal that moved is ``transferred`` to the second. Else both are ``by`` itself.
    Null is a value of its own ("not recorded").
    """
    moved = f"lock_{by}" in deals.columns and f"end_{by}" in deals.columns
    lock_column, end_column = (f"lock_{by}", f"end_{by}") if moved else (by, by)
    entries = entries_of(deals)
    if moved:
        is_new = pl.col("lock_owner_id").is_null()
        lock_value = pl.when(is_new).then(pl.col(end_column)).otherwise(pl.col(lock_column))
    else:
        lock_value = pl.col(lock_column)
    entries = entries.with_columns(lock_value=lock_value.cast(pl.String), end_value=pl.col(end_column).cast(pl.String))
    key = [*GRAIN, "value", "opportunity_id"]
    at_lock = entries.with_columns(value=pl.col("lock_value"))
    away = entries.filter(pl.col("lock_value").ne_missing(pl.col("end_value")), pl.col("won_cents") != 0)
    steps = pl.concat(
        [
            _melt(at_lock, "value"),
            away.select(*GRAIN, pl.col("lock_value").alias("value"), "opportunity_id", cause=pl.lit("transferred"))
            .with_columns(cents=-away["won_cents"])
            .select(*key, "cause", "cents"),
            away.select(*GRAIN, pl.col("end_value").alias("value"), "opportunity_id", cause=pl.lit("transferred"))
            .with_columns(cents=away["won_cents"])
            .select(*key, "cause", "cents"),
        ]
    )
    group = [*GRAIN, "value"]
    rollup = at_lock.group_by(group).agg(rollup_cents=pl.col("called_cents").sum())
    actual = entries.group_by(*GRAIN, value=pl.col("end_value")).agg(actual_cents=pl.col("won_cents").sum())
    totals = (
        rollup.join(actual, on=group, how="full", nulls_equal=True, coalesce=True)
        .with_columns(_none_is_nothing("rollup_cents"), _none_is_nothing("actual_cents"))
        .with_columns(rollup_amount=_money("rollup_cents"), actual_amount=_money("actual_cents"))
    )
    table = (
        totals.join(pl.DataFrame({"cause": [c for c in CAUSES if c != "judgement"]}), how="cross")
        .join(_sum_steps(steps, group), on=[*group, "cause"], how="left", nulls_equal=True)
        .with_columns(_none_is_nothing("cents"), _none_is_nothing("deal_count"), cut=pl.lit(by))
        .with_columns(amount=_money("cents"))
    )
    ordered = table.sort(*GRAIN, "value", _cause_order(), nulls_last=True)
    return AttributionCut.validate(ordered.select(AttributionCut.column_names()), cast=True)


def entries_of(deals: pl.DataFrame) -> pl.DataFrame:
    """Deals with their money in integer cents and the step each takes; one row per deal as before."""
    unknown = deals.filter(~pl.col("outcome").is_in(OUTCOMES) | pl.col("outcome").is_null())
    ownerless = deals.filter(pl.col("end_owner_id").is_null())
    if unknown.height:
        raise EditionError(
            f"Deal {unknown['opportunity_id'][0]} has the outcome {unknown['outcome'][0]!r}, "
            f"which is none of {', '.join(OUTCOMES)}.",
            "Run `forecast-trust check`.",
        )
    if ownerless.height:
        raise EditionError(
            f"Deal {ownerless['opportunity_id'][0]} has no owner, so its step belongs to nobody.",
            "Give the opportunity an owner in the export and ingest it again.",
        )
    lock, won_now = pl.col("lock_cents"), pl.col("outcome") == "won"
    is_called = pl.col("called_cents") != 0
    missed = (
        pl.when(pl.col("outcome") == "lost")
        .then(pl.lit("lost"))
        .when(pl.col("outcome") == "no_decision")
        .then(pl.lit("no_decision"))
        .otherwise(pl.lit("pushed_out"))
    )
    surprise = (
        pl.when(pl.col("lock_owner_id").is_null())
        .then(pl.lit("created_and_won"))
        .when(pl.col("is_due"))
        .then(pl.lit("left_out"))
        .otherwise(pl.lit("pulled_in"))
    )
    landed = pl.when(won_now)
    return (
        deals.with_columns(_grain())
        .with_columns(
            lock_side_id=pl.coalesce("lock_owner_id", "end_owner_id"),
            lock_cents=_cents("lock_amount"),
            won_cents=landed.then(_cents("end_amount")),
            won_at_lock_cents=landed.then(pl.coalesce(_cents("end_amount_at_lock_rate"), _cents("end_amount"))),
        )
        # A deal without an amount adds nothing to a sum: not to the roll-up at lock, not to the actual when won.
        .with_columns(_none_is_nothing("won_cents"), _none_is_nothing("won_at_lock_cents"))
        .with_columns(
            called_cents=pl.when(lock.is_null() | pl.col("weight_rate").is_null() | (pl.col("weight_rate") == 0))
            .then(0)
            .when(pl.col("weight_rate") == 1)
            .then(lock)
            .otherwise((lock * pl.col("weight_rate")).round().cast(pl.Int64))
        )
        .with_columns(
            outcome_cause=pl.when(~won_now).then(missed).when(~is_called).then(surprise),
            outcome_cents=pl.when(~won_now)
            .then(-pl.col("called_cents"))
            .when(~is_called)
            .then(pl.col("won_at_lock_cents")),
            uncalled_cents=pl.when(won_now & is_called).then(lock - pl.col("called_cents")),
            change_cents=pl.when(won_now & is_called).then(pl.col("won_at_lock_cents") - lock),
            currency_cents=pl.col("won_cents") - pl.col("won_at_lock_cents"),
        )
    )


def steps_of(deals: pl.DataFrame) -> pl.DataFrame:
    """Period × week × opportunity × cause of the whole company: ``amount``, never 0; one deal may grow and be restated.

    Within the company nothing is transferred, and judgement belongs to no deal.
    """
    return _melt(entries_of(deals).with_columns(scope=pl.lit("company"))).select(
        *GRAIN, "opportunity_id", "cause", _money("cents").alias("amount")
    )


def _melt(placed: pl.DataFrame, node: str = "scope") -> pl.DataFrame:
    """Steps of each deal as rows: GRAIN × node × opportunity × cause, ``cents`` never 0."""
    key = [*GRAIN, node, "opportunity_id"]
    change = pl.col("change_cents")
    parts = [
        placed.select(*key, cause=pl.col("outcome_cause"), cents=pl.col("outcome_cents")),
        placed.select(*key, cause=pl.lit("left_out"), cents=pl.col("uncalled_cents")),
        placed.select(*key, cause=pl.when(change > 0).then(pl.lit("grew")).otherwise(pl.lit("shrunk")), cents=change),
        placed.select(*key, cause=pl.lit("currency"), cents=pl.col("currency_cents")),
    ]
    return pl.concat(parts).filter(pl.col("cents").is_not_null(), pl.col("cents") != 0)


def placed_under(entries: pl.DataFrame, owner: str, members: pl.DataFrame) -> pl.DataFrame:
    """Each deal once under every scope its owner belongs to. An owner who belongs nowhere would lose the deal."""
    under = members.select("period_start_on", pl.col("person_id").alias(owner), "scope").unique()
    astray = entries.join(under, on=["period_start_on", owner], how="anti")
    if astray.height:
        raise EditionError(
            f"{astray[owner][0]} owns deal {astray['opportunity_id'][0]} but belongs to no scope in that period.",
            "Every owner belongs at least to the company: pass all people in members.",
        )
    return entries.join(under, on=["period_start_on", owner], how="inner")


def _found_in_each(deals: pl.DataFrame, placed: pl.DataFrame) -> pl.DataFrame:
    """``placed`` as it is, if every deal stands somewhere in it."""
    astray = deals.join(placed, on=["period_start_on", "opportunity_id"], how="anti")
    if astray.height:
        raise EditionError(
            f"Deal {astray['opportunity_id'][0]} belongs to no scope on the day it closed.",
            "Every deal belongs at least to the company: pass all won deals in members_at_end.",
        )
    return placed


def _sum_steps(steps: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    return steps.group_by(*group, "cause").agg(
        cents=pl.col("cents").sum(), deal_count=pl.col("opportunity_id").n_unique().cast(pl.Int64)
    )


def _grain() -> list[pl.Expr]:
    return [pl.col("period_start_on"), pl.col("week_of_period").cast(pl.Int64)]


def _cents(column: str) -> pl.Expr:
    """Money as integer cents, exactly: through text-free decimal arithmetic, never through a float."""
    return (pl.col(column).cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64)


def _money(column: str) -> pl.Expr:
    return (pl.col(column).cast(pl.Decimal(38, 2)) / 100).cast(MONEY)


def _none_is_nothing(column: str) -> pl.Expr:
    """A sum over no deals is exactly 0; used only where the absence of rows is itself the fact."""
    return pl.when(pl.col(column).is_null()).then(0).otherwise(pl.col(column)).cast(pl.Int64).alias(column)


def _cause_order() -> pl.Expr:
    return pl.col("cause").replace_strict(CAUSES, range(len(CAUSES)), return_dtype=pl.Int64)
