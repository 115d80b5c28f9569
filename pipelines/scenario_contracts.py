"""Published tables that let a page take the issued draws up again under a reader's assumptions.

Same rules as ``contracts``, which publishes them; amounts are unrounded, so that the unchanged scenario is the issued
range to the cent.
"""

from __future__ import annotations

import dataframely as dy


class ScenarioScopes(dy.Schema):
    """Scope × the open period at its week: what, beside its draws, the issued range was made of.

    The company and those who lead most people. ``deal_weight`` of the landing by deals in the combined one; ``call_*``:
    the corrected call's Student-t on the log scale, and ``call_line`` what was called (null: no such call); ``shift``:
    how far the odds of all deals were shifted, in probits.
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    closed_amount = dy.Float64(nullable=False)
    deal_weight = dy.Float64(nullable=False)
    call_correction = dy.Float64(nullable=True)
    call_scale = dy.Float64(nullable=True)
    call_df = dy.Float64(nullable=True)
    call_offset = dy.Float64(nullable=True)
    call_line = dy.Float64(nullable=True)
    shift = dy.Float64(nullable=False)


class ScenarioDraws(dy.Schema):
    """Scope × draw: the landing by deals in that draw. ``shock``: what all deals share in it; with one scope only."""

    scope = dy.String(nullable=False)
    draw = dy.Int64(nullable=False, min=0)
    amount = dy.Float64(nullable=False)
    shock = dy.Float64(nullable=True)


class ScenarioDeals(dy.Schema):
    """One row per open deal that a scenario can name: the weightiest of each scope.

    ``worth_amount``: its mean amount if won; ``threshold``: probit of its chance before the shift;
    ``threshold_if_moved``: were its close date on the other side of the period's end (null: nothing like it is known);
    ``won_bits``: base64, one bit per draw, first draw first: won or not.
    """

    opportunity_id = dy.String(nullable=False)
    owner_id = dy.String(nullable=False)
    amount = dy.Float64(nullable=False)
    worth_amount = dy.Float64(nullable=False)
    win_probability_rate = dy.Float64(nullable=False, min=0.0, max=1.0)
    threshold = dy.Float64(nullable=False)
    is_due = dy.Bool(nullable=True)
    threshold_if_moved = dy.Float64(nullable=True)
    won_bits = dy.String(nullable=False)


SCENARIO_TABLES: dict[str, type[dy.Schema]] = {
    "scenario_scopes": ScenarioScopes,
    "scenario_draws": ScenarioDraws,
    "scenario_deals": ScenarioDeals,
}

SCENARIO_GRAINS: dict[str, tuple[str, ...]] = {
    "scenario_scopes": ("scope",),
    "scenario_draws": ("scope", "draw"),
    "scenario_deals": ("opportunity_id",),
}
