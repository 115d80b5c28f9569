"""Published tables about the history itself: how the pipeline stood week by week. Same rules as ``contracts``, which
publishes them.
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


HISTORY_TABLES: dict[str, type[dy.Schema]] = {
    "pipeline_cube": PipelineCube,
    "pipeline_weekly": PipelineWeekly,
}

HISTORY_GRAINS: dict[str, tuple[str, ...]] = {
    "pipeline_cube": ("period_start_on", "week_of_period", "owner_id", "forecast_category", "stage"),
    "pipeline_weekly": ("period_start_on", "week_of_period", "scope"),
}
