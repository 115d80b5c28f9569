"""Published tables of what explains a miss, how deals end and what was restated; joined to others in ``contracts``."""

from __future__ import annotations

import dataframely as dy

EXPLANATIONS = ("lead_source", "hand_off", "stage", "record")
"""What is asked of every called deal at its lock: where it came from, how it was handed over, whether its stage's
conversion has drifted, whether its record was already wrong."""

EXPLAINED_PARTS = {"lead_source": "sourcing", "hand_off": "sourcing", "stage": "process", "record": "data"}
"""Each explanation in exactly one part of the miss."""


class MissFractions(dy.Schema):
    """Closed period × explanation × value: whether called deals of that value are missed more often than the rest, from
    earlier periods alone.

    ``missed_rate`` and ``rest_rate``: share of called deals not won in their period (``stage``: in the latest four
    earlier periods and in those before). ``fraction``: 1 − 1 ÷ risk ratio, the share of this value's missed deals that
    the rest's rate would not have missed; ``lower, upper, level`` its interval. ``tested_count``: values held against
    the rest for this period, which the threshold allows for. ``status``: ``claimed`` (worse beyond chance),
    ``not_established``, ``too_few``.
    """

    period_start_on = dy.Date(nullable=False)
    explanation = dy.String(nullable=False)
    value = dy.String(nullable=False)
    deal_count = dy.Int64(nullable=False)
    missed_rate = dy.Float64(nullable=True)
    rest_count = dy.Int64(nullable=False)
    rest_rate = dy.Float64(nullable=True)
    period_count = dy.Int64(nullable=False)
    fraction = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    tested_count = dy.Int64(nullable=False)
    status = dy.String(nullable=False)


class MissExplained(dy.Schema):
    """Closed period × period × scope × cause × part: what of a bridge's step is sourcing's, process's or data's.

    ``period_start_on``: the period whose fractions are used, ``of_period_start_on``: the period whose missed deals are
    split by them: itself, and every earlier one, to know what is usual. ``amount``: signed like the step, never more
    than it; what is left of the step stays with its cause. ``lower_amount, upper_amount``: with the fractions at their
    intervals' ends. A part without a row has nothing. Scopes: the company and whoever leads somebody.
    """

    period_start_on = dy.Date(nullable=False)
    of_period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    cause = dy.String(nullable=False)
    part = dy.String(nullable=False)
    amount = dy.Decimal(18, 2, nullable=False)
    lower_amount = dy.Decimal(18, 2, nullable=False)
    upper_amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)


class WinLoss(dy.Schema):
    """Cut × value: how deals closed in the latest closed periods ended. ``cut`` ``all`` has one row, ``value`` null;
    elsewhere a null value is "not recorded".

    ``win_rate`` = won ÷ closed deals, ``no_decision_rate`` likewise, each with its range (Wilson over deals, fewer
    where periods differ beyond chance); ``win_amount_rate`` the share of the money. ``direction``: ``above`` or
    ``below`` the other values' win rate beyond chance, all values of the cut allowed for; ``like_the_rest``;
    ``too_few``; null for ``all`` and for what is not recorded; ``no_decision_direction`` likewise. ``unvalued_count``:
    deals without an amount in the reporting currency, which no sum holds.
    """

    cut = dy.String(nullable=False)
    value = dy.String(nullable=True)
    period_count = dy.Int64(nullable=False)
    won_count = dy.Int64(nullable=False)
    lost_count = dy.Int64(nullable=False)
    no_decision_count = dy.Int64(nullable=False)
    unvalued_count = dy.Int64(nullable=False)
    won_amount = dy.Decimal(18, 2, nullable=False)
    lost_amount = dy.Decimal(18, 2, nullable=False)
    no_decision_amount = dy.Decimal(18, 2, nullable=False)
    win_rate = dy.Float64(nullable=False)
    lower = dy.Float64(nullable=False)
    upper = dy.Float64(nullable=False)
    no_decision_rate = dy.Float64(nullable=False)
    no_decision_lower = dy.Float64(nullable=False)
    no_decision_upper = dy.Float64(nullable=False)
    win_amount_rate = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    direction = dy.String(nullable=True)
    no_decision_direction = dy.String(nullable=True)


class OutcomeReasons(dy.Schema):
    """Outcome × reason: why deals of the latest closed periods were won, lost or not decided, as the CRM states it.

    ``reason`` null: none is stated. ``share_rate``: of the outcome's deals that state a reason, with its range (null
    for no reason, whose ``deal_share_rate`` says how much goes unexplained); ``amount_share_rate`` likewise in money.
    """

    outcome = dy.String(nullable=False)
    reason = dy.String(nullable=True)
    deal_count = dy.Int64(nullable=False)
    amount = dy.Decimal(18, 2, nullable=False)
    deal_share_rate = dy.Float64(nullable=False)
    share_rate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    amount_share_rate = dy.Float64(nullable=True)


class Restatements(dy.Schema):
    """Closed period: what was reported of it when it was frozen, and what the CRM says of it at the as-of.

    difference_amount = corrected_amount − reported_amount = Σ ``restated_deals`` of the period, to the cent.
    """

    period_start_on = dy.Date(nullable=False)
    reported_amount = dy.Decimal(18, 2, nullable=False)
    corrected_amount = dy.Decimal(18, 2, nullable=False)
    difference_amount = dy.Decimal(18, 2, nullable=False)
    deal_count = dy.Int64(nullable=False)


class RestatedDeals(dy.Schema):
    """Closed period × opportunity that is told otherwise now than when the period was frozen.

    ``reason``: ``amount``; ``moved`` (its close date lies in another period now: out of one, into the other);
    ``late`` (won in the period by its date, entered after it was frozen); ``reopened``, ``lost``, ``deleted``.
    """

    period_start_on = dy.Date(nullable=False)
    opportunity_id = dy.String(nullable=False)
    name = dy.String(nullable=True)
    account_name = dy.String(nullable=True)
    owner_id = dy.String(nullable=True)
    reported_amount = dy.Decimal(18, 2, nullable=False)
    corrected_amount = dy.Decimal(18, 2, nullable=False)
    difference_amount = dy.Decimal(18, 2, nullable=False)
    reason = dy.String(nullable=False)


class CorrectedValues(dy.Schema):
    """Opportunity × correction × field: a past value that is told otherwise since ``corrected_at``.

    ``reported_value``, ``corrected_value``: of the instants from ``valid_from_at`` on, as text (an amount in its own
    currency, a day as ISO 8601); null where none was stated. What had been issued before ``corrected_at`` rests on the
    reported value.
    """

    opportunity_id = dy.String(nullable=False)
    corrected_at = dy.Datetime(nullable=False, time_unit="us")
    field = dy.String(nullable=False)
    valid_from_at = dy.Datetime(nullable=False, time_unit="us")
    reported_value = dy.String(nullable=True)
    corrected_value = dy.String(nullable=True)


OUTCOME_TABLES: dict[str, type[dy.Schema]] = {
    "miss_fractions": MissFractions,
    "miss_explained": MissExplained,
    "win_loss": WinLoss,
    "outcome_reasons": OutcomeReasons,
    "restatements": Restatements,
    "restated_deals": RestatedDeals,
    "corrected_values": CorrectedValues,
}

OUTCOME_GRAINS: dict[str, tuple[str, ...]] = {
    "miss_fractions": ("period_start_on", "explanation", "value"),
    "miss_explained": ("period_start_on", "of_period_start_on", "week_of_period", "scope", "cause", "part"),
    "win_loss": ("cut", "value"),
    "outcome_reasons": ("outcome", "reason"),
    "restatements": ("period_start_on",),
    "restated_deals": ("period_start_on", "opportunity_id"),
    "corrected_values": ("opportunity_id", "corrected_at", "field"),
}
