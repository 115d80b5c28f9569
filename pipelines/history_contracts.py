"""Published tables about the history itself: how the pipeline stood week by week, and how it moved. Same rules as
``contracts``, which publishes them.
"""

from __future__ import annotations

import dataframely as dy


class PipelineCube(dy.Schema):
    """Week × owner × forecast category × stage in which any deal stood or closed; of the periods that
    ``pipeline_movement`` tells.

    ``open_*``: open at the week's end (the end of the day start + 7 · ``week_of_period``; a period that is over has one
    week more, which ends with it); ``due_*``: those of them with a close date in the period. ``won_*``, ``lost_*``:
    closed since the week before, as they were when they closed (lost: without a win, whyever; one that closes twice is
    told twice). Reporting currency; a deal without an amount there weighs 0.00 and is counted in ``unvalued_count``
    (open) or ``closed_unvalued_count``.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    owner_id = dy.String(nullable=False)
    forecast_category = dy.String(nullable=True)
    stage = dy.String(nullable=True)
    open_count = dy.Int64(nullable=False)
    open_amount = dy.Decimal(18, 2, nullable=False)
    unvalued_count = dy.Int64(nullable=False)
    due_count = dy.Int64(nullable=False)
    due_amount = dy.Decimal(18, 2, nullable=False)
    won_count = dy.Int64(nullable=False)
    won_amount = dy.Decimal(18, 2, nullable=False)
    lost_count = dy.Int64(nullable=False)
    lost_amount = dy.Decimal(18, 2, nullable=False)
    closed_unvalued_count = dy.Int64(nullable=False)


class PipelineWeekly(dy.Schema):
    """Week × scope: ``PipelineCube`` summed over everybody who belonged to the scope on ``week_end_on``.

    Every week of the periods told has a row for a scope that had any deal in one of them: nothing open is a real 0.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    week_end_on = dy.Date(nullable=False)
    open_count = dy.Int64(nullable=False)
    open_amount = dy.Decimal(18, 2, nullable=False)
    unvalued_count = dy.Int64(nullable=False)
    due_count = dy.Int64(nullable=False)
    due_amount = dy.Decimal(18, 2, nullable=False)
    won_count = dy.Int64(nullable=False)
    won_amount = dy.Decimal(18, 2, nullable=False)
    lost_count = dy.Int64(nullable=False)
    lost_amount = dy.Decimal(18, 2, nullable=False)


MOVEMENTS = (
    "start", "created", "pulled_in", "reopened", "increased", "decreased", "currency", "owner_in", "owner_out",
    "pushed_out", "won", "lost", "no_decision", "deleted", "end",
)  # fmt: skip


class PipelineMovement(dy.Schema):
    """Span × scope × movement that occurred: how the pipeline of a period (open deals due in it) came from its start to
    its end. ``span_kind`` is ``period`` or ``week`` (of that period's pipeline); ``span_end_on`` the last day counted.

    Counted along the path, at every change, with owners and hierarchy as they were. Signed, outflows negative: start +
    every movement = end, to the cent, in every scope and span. A movement without a row did not occur; ``start`` and
    ``end`` are always there. ``currency``: the same amount at another rate. ``deal_count`` adds up like the amount (0
    where a deal only changed its worth), ``change_count`` counts changes; ``unvalued_count``: those of a deal without
    an amount in the reporting currency, which weighs nothing. ``MovementDeals`` has the deals behind each of them.
    """

    span_kind = dy.String(nullable=False, regex="^(period|week)$")
    span_start_on = dy.Date(nullable=False)
    span_end_on = dy.Date(nullable=False)
    period_start_on = dy.Date(nullable=False)
    scope = dy.String(nullable=False, min_length=1)
    movement = dy.String(nullable=False, regex=f"^({'|'.join(MOVEMENTS)})$")
    amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)
    change_count = dy.Int64(nullable=False)
    unvalued_count = dy.Int64(nullable=False)


class MovementDeals(dy.Schema):
    """Period × movement × opportunity × instant (× scope): the deals behind every amount of ``PipelineMovement``.

    ``start`` and ``end`` are the deals that stood in the period's pipeline then, with ``moved_at`` null; every other
    row is one change at ``moved_at``. A row counts for everybody whom ``owner_id`` belonged to on ``owner_on``
    (``OwnerScopes``), or, where it has a ``scope``, for that one alone: a deal handed over comes to one scope and
    leaves another. What stood when a week began is the period's start and every change before it. Signed like
    ``PipelineMovement``; ``name``: as the deal is called now.
    """

    period_start_on = dy.Date(nullable=False)
    movement = dy.String(nullable=False, regex=f"^({'|'.join(MOVEMENTS)})$")
    opportunity_id = dy.String(nullable=False, min_length=1)
    moved_at = dy.Datetime(nullable=True, time_unit="us")
    scope = dy.String(nullable=True)
    owner_id = dy.String(nullable=True)
    owner_on = dy.Date(nullable=True)
    name = dy.String(nullable=True)
    amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)
    change_count = dy.Int64(nullable=False)


class OwnerScopes(dy.Schema):
    """Owner × span of days × scope: whom an owner of a deal belonged to, [``from_on``, ``to_on``).

    Everybody to themselves, to each manager above them and to ``company``. Days without end: 0001-01-01, 9999-12-31.
    """

    person_id = dy.String(nullable=False, min_length=1)
    from_on = dy.Date(nullable=False)
    scope = dy.String(nullable=False, min_length=1)
    to_on = dy.Date(nullable=False)


HISTORY_TABLES: dict[str, type[dy.Schema]] = {
    "pipeline_cube": PipelineCube,
    "pipeline_weekly": PipelineWeekly,
    "pipeline_movement": PipelineMovement,
    "movement_deals": MovementDeals,
    "owner_scopes": OwnerScopes,
}

HISTORY_GRAINS: dict[str, tuple[str, ...]] = {
    "pipeline_cube": ("period_start_on", "week_of_period", "owner_id", "forecast_category", "stage"),
    "pipeline_weekly": ("period_start_on", "week_of_period", "scope"),
    "pipeline_movement": ("span_kind", "span_start_on", "scope", "movement"),
    "movement_deals": ("period_start_on", "movement", "opportunity_id", "moved_at", "scope"),
    "owner_scopes": ("person_id", "from_on", "scope"),
}
