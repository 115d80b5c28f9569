"""What changed between two editions: every deal's change with its reason, adding up to the change of the total.

Nothing is estimated, and nothing is told twice: each edition counts its pipeline's movements along the path of every
deal, so that what happened between two editions is one count less the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import dataframely as dy
import polars as pl

from pipelines.policy import COMPANY_SCOPE

MOVED = (
    "created", "pulled_in", "reopened", "increased", "decreased", "currency", "pushed_out", "won", "lost",
    "no_decision", "deleted", "left", "restated",
)  # fmt: skip
"""What may change an amount between two editions, in telling order."""

OUTCOMES = ("won", "lost", "no_decision", "deleted")
_MONEY = pl.Decimal(18, 2)
_KEY = ["opportunity_id", "movement"]


class EditionChange(dy.Schema):
    """Opportunity × movement: what a deal added to (+) or took from (−) a period's pipeline between two editions.

    ``movement``: as in ``pipeline_movement``; ``left`` (gone before the period began, and the newer edition does not
    say how); ``restated`` (the newer edition tells the time before the older one otherwise: entered late, corrected).
    ``change_count``: how often it happened on the way. ``moved_at``: the last time, where the newer edition says it.
    """

    opportunity_id = dy.String(nullable=False)
    movement = dy.String(nullable=False)
    amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)
    change_count = dy.Int64(nullable=False)
    moved_at = dy.Datetime(nullable=True, time_unit="us")


@dataclass(frozen=True)
class Told:
    """What one edition says of the pipeline of one period. ``moves``: its company's movements (``of_company``) in the
    period, or none where it does not tell them; ``before``: those of the period before; ``deals``: every open deal."""

    as_of_at: datetime
    moves: pl.DataFrame
    before: pl.DataFrame
    deals: pl.DataFrame


@dataclass(frozen=True)
class Since:
    """``start_amount`` (older edition) + Σ ``changes.amount`` = ``end_amount`` (newer one), exactly; deals alike."""

    start_amount: Decimal
    end_amount: Decimal
    start_count: int
    end_count: int
    changes: pl.DataFrame


def of_company(moves: pl.DataFrame) -> pl.DataFrame:
    """Period × movement × opportunity: rows of ``movement_deals`` that count for the whole company, each deal's summed.

    ``moved_at``: the last time. An edition of an earlier version has them summed already.
    """
    ours = moves.filter(pl.col("scope").is_null() | (pl.col("scope") == COMPANY_SCOPE))
    return ours.group_by("period_start_on", *_KEY, maintain_order=True).agg(
        pl.col("amount").sum().cast(_MONEY),
        pl.col("deal_count").sum(),
        pl.col("change_count").sum(),
        pl.col("moved_at").max(),
    )


def edition_change(older: Told, newer: Told, period_start_on: date, period_end_on: date) -> Since:
    """**What changed since.** The pipeline of one period (open deals due in it) in two editions, deal by deal.

    Where both editions tell the period's movements, each movement of a deal in the newer one less the same in the
    older one is what happened between them, counted along the path: a deal pushed out and pulled in again shows both.
    A difference that lies before the older edition's own day did not happen since: it is ``restated``. Where the
    period began after the older edition, its pipeline of then (the open deals due in the period) is led to the period's
    start by the two ends of each deal, and along the path from there. Deals without an amount weigh nothing. Start +
    changes = end, to the cent, in every deal and in sum.
    """
    due = pl.col("close_on").is_between(period_start_on, period_end_on)
    if newer.moves.is_empty():
        newer_end = _standing(newer.deals.filter(due))
        path: pl.DataFrame = EditionChange.create_empty()
        newer_start = newer_end
    else:
        newer_end, newer_start = _stand(newer.moves, "end"), _stand(newer.moves, "start")
        path = newer.moves.filter(~pl.col("movement").is_in(["start", "end"])).select(EditionChange.column_names())
    if older.moves.is_empty() or newer.moves.is_empty():
        older_end = _standing(older.deals.filter(due))
        changes = pl.concat([_between(older, older_end, newer, newer_start), path])
    else:
        older_end = _stand(older.moves, "end")
        changes = _path_since(older, newer)
    summed = (
        changes.group_by(_KEY)
        .agg(
            pl.col("amount").sum().cast(_MONEY),
            pl.col("deal_count").sum(),
            pl.col("change_count").sum(),
            pl.col("moved_at").max(),
        )
        .filter((pl.col("amount") != 0) | (pl.col("deal_count") != 0))
    )
    order = pl.col("movement").replace_strict(MOVED, range(len(MOVED)), return_dtype=pl.Int64)
    return Since(
        start_amount=_total(older_end),
        end_amount=_total(newer_end),
        start_count=older_end.height,
        end_count=newer_end.height,
        changes=EditionChange.validate(
            summed.select(EditionChange.column_names()).sort(order, pl.col("amount").abs(), "opportunity_id"), cast=True
        ),
    )


def owner_changes(older: pl.DataFrame, newer: pl.DataFrame, column: str = "owner_id") -> pl.DataFrame:
    """Deals open in both editions whose owner (or another ``column``) differs: ``opportunity_id``, ``was``, ``now``.

    It changes no total, so it stands beside the changes and not among them.
    """
    both = older.select("opportunity_id", was=column).join(
        newer.select("opportunity_id", "amount", now=column), on="opportunity_id", how="inner"
    )
    differing = both.filter(pl.col("was").ne_missing(pl.col("now")))
    return differing.sort("amount", "opportunity_id", descending=[True, False], nulls_last=True).drop("amount")


def _path_since(older: Told, newer: Told) -> pl.DataFrame:
    """The newer path less the older one; what lies before the older edition's day is restated, not happened."""
    amounts = ("amount", "deal_count", "change_count")
    paths = (
        told.moves.filter(pl.col("movement") != "end").select(*_KEY, *amounts, "moved_at") for told in (older, newer)
    )
    old, new = paths
    both = old.join(new, on=_KEY, how="full", coalesce=True, suffix="_new")
    # A movement that one of the two editions does not tell is nothing in it, exactly: it did not occur there.
    known = both.with_columns(_none_is_nothing(f"{name}{side}") for name in amounts for side in ("", "_new"))
    # A fact that is dated by its day alone stands at the day's start and is known from its end, so the older edition's
    # own day counts as since.
    day = pl.col("moved_at_new").dt.date() >= older.as_of_at.date()
    happened = (pl.col("change_count_new") > pl.col("change_count")) & day
    return known.select(
        "opportunity_id",
        movement=pl.when(happened).then("movement").otherwise(pl.lit("restated")),
        amount=(pl.col("amount_new") - pl.col("amount")).cast(_MONEY),
        deal_count=pl.col("deal_count_new") - pl.col("deal_count"),
        change_count=pl.when(happened).then(pl.col("change_count_new") - pl.col("change_count")).otherwise(1),
        moved_at=pl.when(happened).then("moved_at_new"),
    ).filter((pl.col("amount") != 0) | (pl.col("deal_count") != 0))


def _between(older: Told, older_end: pl.DataFrame, newer: Told, newer_start: pl.DataFrame) -> pl.DataFrame:
    """From the deals due in the period at the older edition to those at the period's start, by both ends of each."""
    both = older_end.join(newer_start, on="opportunity_id", how="full", coalesce=True, suffix="_new")
    closings = newer.before.filter(pl.col("movement").is_in(OUTCOMES))
    ended = closings.unique("opportunity_id", keep="last").select("opportunity_id", ended="movement")
    still_open = newer.deals.select("opportunity_id", is_open=pl.lit(True))
    seen_again = newer.moves.select("opportunity_id", is_seen=pl.lit(True)).unique()
    was_open = older.deals.select("opportunity_id", "created_on", was_open=pl.lit(True))
    described = both
    for known in (ended, still_open, seen_again, was_open):
        described = described.join(known, on="opportunity_id", how="left")
    is_old, is_new = pl.col("amount").is_not_null(), pl.col("amount_new").is_not_null()
    gone = (
        pl.when(pl.col("is_open").is_not_null() | pl.col("is_seen").is_not_null())
        .then(pl.lit("pushed_out"))
        .otherwise(pl.coalesce("ended", pl.lit("left")))
    )
    come = pl.when(pl.col("was_open").is_not_null()).then(pl.lit("pulled_in")).otherwise(pl.lit("created"))
    # A deal on one side alone stands on the other with nothing, exactly.
    was, now = _none_is_nothing("amount"), _none_is_nothing("amount_new")
    worth = pl.when(now > was).then(pl.lit("increased")).otherwise(pl.lit("decreased"))
    return described.select(
        "opportunity_id",
        movement=pl.when(is_old & is_new).then(worth).when(is_old).then(gone).otherwise(come),
        amount=(now - was).cast(_MONEY),
        deal_count=is_new.cast(pl.Int64) - is_old.cast(pl.Int64),
        change_count=pl.lit(1, pl.Int64),
        moved_at=pl.lit(None, pl.Datetime("us")),
    ).filter((pl.col("amount") != 0) | (pl.col("deal_count") != 0))


def _none_is_nothing(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col(name)).alias(name)


def _stand(moves: pl.DataFrame, movement: str) -> pl.DataFrame:
    return moves.filter(pl.col("movement") == movement).select("opportunity_id", "amount")


def _standing(deals: pl.DataFrame) -> pl.DataFrame:
    """Deals as a movement's stand tells them: one without an amount in the reporting currency weighs nothing."""
    weight = pl.when(pl.col("amount").is_null()).then(pl.lit(0).cast(_MONEY)).otherwise("amount")
    return deals.select("opportunity_id", amount=weight)


def _total(stand: pl.DataFrame) -> Decimal:
    return sum(stand["amount"].to_list(), Decimal("0.00"))
