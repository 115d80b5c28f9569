"""Published tables of what explains a miss and of how deals end; joined to the others in ``contracts``."""

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


OUTCOME_TABLES: dict[str, type[dy.Schema]] = {"miss_fractions": MissFractions, "miss_explained": MissExplained}

OUTCOME_GRAINS: dict[str, tuple[str, ...]] = {
    "miss_fractions": ("period_start_on", "explanation", "value"),
    "miss_explained": ("period_start_on", "of_period_start_on", "week_of_period", "scope", "cause", "part"),
}
