"""Published tables about where a period lands: the range, the odds, and whether ranges like it have held. Same rules as
``contracts``, which publishes them.
"""

from __future__ import annotations

import dataframely as dy

LANDING_STATUSES = ("ok", "deals_only", "call_only", "not_enough_history", "no_call")


class Landing(dy.Schema):
    """Period × week_of_period × scope × method × level: where the open period lands, as said at that week's end.

    ``method``: ``deals`` (simulation of the open deals), ``call`` (the call in force, corrected for how calls like it
    landed), ``combined`` (between both at every level, nearer to the one whose own range is narrower:
    ``deals_weight_rate`` is the weight of ``deals``). ``lower, upper`` hold the landing with probability ``level``;
    ``estimate`` is the median; ``mean_amount`` (``deals`` alone) adds up over scopes. ``as_of_at``: the end of that
    week, exclusive: nothing recorded later is used. ``closed_amount``: won in the period by then. ``call_amount``: the
    scope's people together, of the layer and category named; ``quota_amount`` likewise. ``probability_of_call_rate``,
    ``probability_of_quota_rate``: chance of landing at or above that line. ``period_count``: closed periods it rests
    on; ``unmodelled_count``: open deals left out for want of an amount or of anything like them. ``status``: ``ok``;
    ``deals_only``, ``call_only`` (``combined`` rests on one method); ``not_enough_history``, ``no_call`` (no numbers).
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    method = dy.String(nullable=False, regex="^(deals|call|combined)$")
    level = dy.Float64(nullable=False, min=0.0, max=1.0)
    as_of_at = dy.Datetime(nullable=False, time_unit="us")
    layer = dy.String(nullable=True)
    category = dy.String(nullable=True)
    closed_amount = dy.Decimal(18, 2, nullable=False)
    deals_weight_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    estimate = dy.Decimal(18, 2, nullable=True)
    lower = dy.Decimal(18, 2, nullable=True)
    upper = dy.Decimal(18, 2, nullable=True)
    mean_amount = dy.Decimal(18, 2, nullable=True)
    call_amount = dy.Decimal(18, 2, nullable=True)
    quota_amount = dy.Decimal(18, 2, nullable=True)
    probability_of_call_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    probability_of_quota_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    period_count = dy.Int64(nullable=False)
    open_count = dy.Int64(nullable=True)
    unmodelled_count = dy.Int64(nullable=True)
    unmodelled_amount = dy.Decimal(18, 2, nullable=True)
    status = dy.String(nullable=False, regex="^(" + "|".join(LANDING_STATUSES) + ")$")


class LandingQuantiles(dy.Schema):
    """As ``Landing``, × ``quantile`` 0.01 to 0.99: the amount that the period lands below with that probability.

    Scopes that lead others have all three methods, reps ``combined`` alone.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    method = dy.String(nullable=False)
    quantile = dy.Float64(nullable=False)
    amount = dy.Decimal(18, 2, nullable=False)


class LandingDots(dy.Schema):
    """As ``Landing``, ``combined``, × ``dot`` 1 to 20: twenty equally likely landings, the quantiles (dot − ½)/20."""

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    dot = dy.Int64(nullable=False, min=1, max=20)
    amount = dy.Decimal(18, 2, nullable=False)


class LandingSwings(dy.Schema):
    """Period × week_of_period × scope × rank: the open deals whose outcome weighs most, weightiest first.

    ``swing_amount``: the landing if won minus if not, all else equal; ``share_of_gap_rate``: that ÷ (call − closed);
    the probabilities are of reaching the call either way, by the deal simulation.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    rank = dy.Int64(nullable=False, min=1)
    opportunity_id = dy.String(nullable=False)
    amount = dy.Decimal(18, 2, nullable=False)
    win_probability_rate = dy.Float64(nullable=False, min=0.0, max=1.0)
    expected_amount = dy.Decimal(18, 2, nullable=False)
    swing_amount = dy.Decimal(18, 2, nullable=False)
    share_of_gap_rate = dy.Float64(nullable=True)
    probability_of_call_if_won_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    probability_of_call_if_lost_rate = dy.Float64(nullable=True, min=0.0, max=1.0)


class LandingBacktest(dy.Schema):
    """Past period × week_of_period × scope × method × level: the range as it would have been issued, and what landed.

    Each row uses only what was known at that week's end, periods closed by then included. ``error_amount`` = estimate −
    actual (positive = ran high). ``interval_score`` (width, plus what lay outside, dearly) and ``crps`` in money: low
    is good; ``naive_crps``: what the same period of the year before, grown, would have scored.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    method = dy.String(nullable=False)
    level = dy.Float64(nullable=False)
    estimate = dy.Decimal(18, 2, nullable=False)
    lower = dy.Decimal(18, 2, nullable=False)
    upper = dy.Decimal(18, 2, nullable=False)
    actual_amount = dy.Decimal(18, 2, nullable=False)
    is_inside = dy.Bool(nullable=False)
    error_amount = dy.Decimal(18, 2, nullable=False)
    interval_score = dy.Float64(nullable=False)
    crps = dy.Float64(nullable=True)
    naive_crps = dy.Float64(nullable=True)


class Coverage(dy.Schema):
    """Scope × method × level × week_of_period: how many of the ranges as issued held what landed; weeks never pooled.

    ``lower, upper``: Wilson 95 % of ``coverage_rate``. At ``narrow_limit_count`` hits or fewer this many periods would
    show the range too narrow, at ``wide_limit_count`` or more too wide (null where none would). ``interval_score``,
    ``crps``, ``naive_crps``: means; ``skill_rate`` 1 − crps ÷ naive crps over periods that have both. ``verdict``:
    ``too_few`` (under eight periods), ``too_narrow``, ``too_wide``, ``consistent`` with the promise.
    """

    scope = dy.String(nullable=False)
    method = dy.String(nullable=False)
    level = dy.Float64(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    hit_count = dy.Int64(nullable=False)
    period_count = dy.Int64(nullable=False)
    coverage_rate = dy.Float64(nullable=False)
    lower = dy.Float64(nullable=False)
    upper = dy.Float64(nullable=False)
    narrow_limit_count = dy.Int64(nullable=True)
    wide_limit_count = dy.Int64(nullable=True)
    exact_p_value = dy.Float64(nullable=False)
    interval_score = dy.Float64(nullable=False)
    crps = dy.Float64(nullable=True)
    naive_crps = dy.Float64(nullable=True)
    skill_rate = dy.Float64(nullable=True)
    verdict = dy.String(nullable=False)


LANDING_TABLES: dict[str, type[dy.Schema]] = {
    "landing": Landing,
    "landing_quantiles": LandingQuantiles,
    "landing_dots": LandingDots,
    "landing_swings": LandingSwings,
    "landing_backtest": LandingBacktest,
    "coverage": Coverage,
}

_LOOK = ("period_start_on", "week_of_period", "scope")

LANDING_GRAINS: dict[str, tuple[str, ...]] = {
    "landing": (*_LOOK, "method", "level"),
    "landing_quantiles": (*_LOOK, "method", "quantile"),
    "landing_dots": (*_LOOK, "dot"),
    "landing_swings": (*_LOOK, "rank"),
    "landing_backtest": (*_LOOK, "method", "level"),
    "coverage": ("scope", "method", "level", "week_of_period"),
}
