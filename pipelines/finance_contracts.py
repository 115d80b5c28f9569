"""Published tables for finance: calls held against the books, and the number to carry in the plan. Same rules as
``contracts``, which publishes them.
"""

from __future__ import annotations

import dataframely as dy

CALL_STATUSES = ("ok", "no_call", "no_actual", "no_rate", "before_books", "not_booked_yet")
SPAN_KINDS = ("period", "month", "quarter")
SPAN_STATUSES = ("ok", "no_range", "no_rate", "split", "not_split", "plan_only")
PROJECTION_STEPS = (
    "call", "lean", "timing", "deals", "landing", "bookings_lag", "bookings_breaks", "currency", "carry",
)  # fmt: skip
STEP_STATUSES = ("ok", "no_call", "not_enough_history", "not_told", "partial", "none")

BOOK_STEPS = (
    "from_other_periods_amount",
    "to_other_periods_amount",
    "unbooked_amount",
    "differing_amount",
    "credit_amount",
    "rate_amount",
    "unmatched_amount",
)
"""The way from closed won to booked, in order: closed won + Σ = booked, to the cent."""


def _money(*, nullable: bool = True) -> dy.Decimal:
    return dy.Decimal(18, 2, nullable=nullable)


class CallBookings(dy.Schema):
    """Closed period × layer × forecaster × category: the call in force at the lock, what closed won, what was booked.

    call + miss + Σ of the book steps = booked, and crm + Σ of the book steps = booked, exactly. ``miss_amount`` =
    closed won − call (negative: the call ran high). ``from_other_periods_amount``: booked in this period of deals won
    in another; ``to_other_periods_amount``: booked in another period of deals won in this one (negative).
    ``unbooked_amount``: won and not booked; ``differing_amount``: booked in part, above, or twice, and what is within
    the tolerance; ``credit_amount``; ``rate_amount``: what exchange rates did between closing and booking;
    ``unmatched_amount``: booked without a won deal, the company's alone. ``forecaster_id`` ``company``: the layer's
    calls together. ``status``: ``ok``; ``no_call``; ``no_actual`` (nothing is known of what they won); ``no_rate`` (an
    amount that no rate converts); ``before_books``, ``not_booked_yet`` (the books do not cover the period).
    """

    period_start_on = dy.Date(nullable=False)
    layer = dy.String(nullable=False)
    forecaster_id = dy.String(nullable=False)
    category = dy.String(nullable=False)
    call_amount = _money()
    miss_amount = _money()
    crm_amount = _money()
    from_other_periods_amount = _money()
    to_other_periods_amount = _money()
    unbooked_amount = _money()
    differing_amount = _money()
    credit_amount = _money()
    rate_amount = _money()
    unmatched_amount = _money()
    booked_amount = _money()
    status = dy.String(nullable=False, regex="^(" + "|".join(CALL_STATUSES) + ")$")


class Projection(dy.Schema):
    """Scope × span: plan, call, the range as issued at ``week_of_period``, what closed won and what was booked.

    ``span_kind``: ``period`` (of the calendar), its ``month`` parts (clipped to the period, so that they add up to it),
    and, where periods are months, fiscal ``quarter``s. ``plan_amount``: quotas of people without reports; per period,
    never split. ``crm_amount``, ``booked_amount``: so far, where the span is not over (``is_closed``). ``estimate``:
    the middle of the range; of a month inside an open period its closed won plus a share of what is still to land, by
    the close dates of open deals (``split``), without a range of its own. ``status``: ``ok``; ``no_range`` (none was
    issued); ``no_rate``; ``split``, ``not_split`` (no open deal says when); ``plan_only`` (not begun).
    """

    scope = dy.String(nullable=False)
    span_kind = dy.String(nullable=False, regex="^(" + "|".join(SPAN_KINDS) + ")$")
    span_start_on = dy.Date(nullable=False)
    span_end_on = dy.Date(nullable=False)
    period_start_on = dy.Date(nullable=False)
    layer = dy.String(nullable=True)
    category = dy.String(nullable=True)
    week_of_period = dy.Int64(nullable=True)
    plan_amount = _money()
    call_amount = _money()
    estimate = _money()
    lower_50 = _money()
    upper_50 = _money()
    lower_80 = _money()
    upper_80 = _money()
    lower_90 = _money()
    upper_90 = _money()
    crm_amount = _money()
    booked_amount = _money()
    is_closed = dy.Bool(nullable=False)
    status = dy.String(nullable=False, regex="^(" + "|".join(SPAN_STATUSES) + ")$")


class ProjectionBridge(dy.Schema):
    """Open period × scope × layer × category × step: from the call to the number to carry, to the cent.

    call + lean + timing + deals = landing; landing + bookings_lag + bookings_breaks + currency = carry, over the steps
    that have an amount. ``lean``: what calls like it missed by on average, beyond timing; ``timing``: deals that
    slipped out of or into the period, on average; ``deals``: what the range, which knows the open deals, says beyond
    both; ``bookings_lag``: booked in another period than won, in less out; ``bookings_breaks``: never booked, in part,
    credits, and bookings without a deal; ``currency``: rates between closing and booking. ``lower, upper, level``: of
    the average (t over ``period_count`` closed periods); of ``landing`` and ``carry``, of the period itself.
    ``status``: ``ok``; ``not_enough_history`` (no amount; the step is left out); ``not_told`` (cannot be told apart
    from the step before); ``no_call``; ``partial`` (a total without all its steps); ``none`` (no total).
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    layer = dy.String(nullable=False)
    category = dy.String(nullable=False)
    step = dy.String(nullable=False, regex="^(" + "|".join(PROJECTION_STEPS) + ")$")
    step_place = dy.Int64(nullable=False)
    amount = _money()
    lower = _money()
    upper = _money()
    level = dy.Float64(nullable=True)
    period_count = dy.Int64(nullable=True)
    status = dy.String(nullable=False, regex="^(" + "|".join(STEP_STATUSES) + ")$")


FINANCE_TABLES: dict[str, type[dy.Schema]] = {
    "call_bookings": CallBookings,
    "projection": Projection,
    "projection_bridge": ProjectionBridge,
}

FINANCE_GRAINS: dict[str, tuple[str, ...]] = {
    "call_bookings": ("period_start_on", "layer", "forecaster_id", "category"),
    "projection": ("scope", "span_kind", "span_start_on"),
    "projection_bridge": ("period_start_on", "scope", "layer", "category", "step"),
}

FINANCE_INVARIANTS: dict[str, str] = {
    "a call, its miss and its breaks add up to what was booked": """
        select count(*) from call_bookings where status = 'ok' and (
            call_amount + miss_amount <> crm_amount
            or crm_amount + from_other_periods_amount + to_other_periods_amount + unbooked_amount + differing_amount
                + credit_amount + rate_amount + unmatched_amount is distinct from booked_amount)""",
    "the steps from call to carried number add up": """
        select count(*) from (
            select
                sum(case when step in ('call', 'lean', 'timing', 'deals') then amount end) as to_landing,
                max(case when step = 'landing' then amount end) as landing,
                max(case when step = 'call' then amount end) as call_amount,
                sum(case when step in ('landing', 'bookings_lag', 'bookings_breaks', 'currency') then amount end)
                    as to_carry,
                max(case when step = 'carry' then amount end) as carry
            from projection_bridge group by period_start_on, scope, layer, category
        ) as bridges
        where (landing is not null and call_amount is not null and to_landing is distinct from landing)
            or to_carry is distinct from carry""",
    "months add up to their period": """
        select count(*) from (
            select scope, period_start_on, sum(crm_amount) as crm, sum(booked_amount) as booked, sum(estimate) as middle
            from projection where span_kind = 'month' group by all
        ) as months
        inner join projection as whole using (scope, period_start_on)
        where whole.span_kind = 'period' and (
            months.crm is distinct from whole.crm_amount or months.booked is distinct from whole.booked_amount
            or (not whole.is_closed and whole.estimate is not null and months.middle is not null
                and months.middle <> whole.estimate))""",
}
"""Queries that count offenders, as ``warehouse.editions`` runs them."""
