"""Published tables about the process of forecasting and the pipeline under it: who adds value, which rates hold, how
sound the deals are. Same rules as ``contracts``, which publishes them.
"""

from __future__ import annotations

import dataframely as dy


class ValueAdded(dy.Schema):
    """Scope × week_of_period × step × reference step.

    ``fva_amount`` mean over periods of the reference's |error| minus the step's (positive: the step lands nearer).
    ``fva_rate`` the same over the period's target (``scale`` says what stands for it), with its ``lower, upper, level``
    (t over periods). ``p_value`` exact sign flip; ``t_p_value`` paired t. ``relative_mae_rate`` step's mean |error|
    over the reference's; ``average_relative_mae_rate`` its geometric mean over ``team_count`` teams (company rows).
    ``adjustment_slope``: actual − step on step − reference; above 0 the adjustment was too timid, below 0 too bold.
    ``direction``: ``adds_value``, ``hurts``, ``no_detectable_effect``, ``not_enough_evidence``. ``status``: ``ok``,
    ``not_enough_history``.
    """

    scope = dy.String(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    step = dy.String(nullable=False)
    reference_step = dy.String(nullable=False)
    period_count = dy.Int64(nullable=False)
    mae_amount = dy.Decimal(18, 2, nullable=True)
    reference_mae_amount = dy.Decimal(18, 2, nullable=True)
    fva_amount = dy.Decimal(18, 2, nullable=True)
    fva_rate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    t_statistic = dy.Float64(nullable=True)
    t_p_value = dy.Float64(nullable=True)
    p_value = dy.Float64(nullable=True)
    relative_mae_rate = dy.Float64(nullable=True)
    average_relative_mae_rate = dy.Float64(nullable=True)
    team_count = dy.Int64(nullable=True)
    adjustment_slope = dy.Float64(nullable=True)
    scale = dy.String(nullable=True)
    direction = dy.String(nullable=False)
    status = dy.String(nullable=False)


class Overrides(dy.Schema):
    """One row per call that a step changed or left: scope × step × reference step × week_of_period × period.

    ``adjustment_amount`` = call − reference call (positive: raised). ``improvement_amount`` = |reference error| −
    |error| (positive: the override helped). ``override_direction``: ``raised``, ``lowered``, ``unchanged``.
    """

    scope = dy.String(nullable=False)
    step = dy.String(nullable=False)
    reference_step = dy.String(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    period_start_on = dy.Date(nullable=False)
    reference_amount = dy.Decimal(18, 2, nullable=False)
    forecast_amount = dy.Decimal(18, 2, nullable=False)
    actual_amount = dy.Decimal(18, 2, nullable=False)
    adjustment_amount = dy.Decimal(18, 2, nullable=False)
    adjustment_rate = dy.Float64(nullable=True)
    improvement_amount = dy.Decimal(18, 2, nullable=False)
    override_direction = dy.String(nullable=False)
    size_band = dy.String(nullable=True)


class OverrideSummary(dy.Schema):
    """Step × reference step × week × direction × size (``all`` = both sizes or directions together).

    Improvements are averaged within a period first: overrides of one quarter share its luck.
    """

    step = dy.String(nullable=False)
    reference_step = dy.String(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    override_direction = dy.String(nullable=False)
    size_band = dy.String(nullable=False)
    override_count = dy.Int64(nullable=False)
    helped_count = dy.Int64(nullable=False)
    period_count = dy.Int64(nullable=False)
    improvement_amount = dy.Decimal(18, 2, nullable=False)
    mean_amount = dy.Decimal(18, 2, nullable=False)
    lower_amount = dy.Decimal(18, 2, nullable=True)
    upper_amount = dy.Decimal(18, 2, nullable=True)
    level = dy.Float64(nullable=False)
    p_value = dy.Float64(nullable=True)
    direction = dy.String(nullable=False)
    status = dy.String(nullable=False)


class ProbabilityCalibration(dy.Schema):
    """Source × week_of_period × weighting (``count``, ``money``) × bin; the source's own figures repeated on each row.

    Bin: ``predicted_rate`` and ``observed_rate`` (weighted means), ``lower, upper, level`` Wilson interval of the
    observed, ``band_lower, band_upper`` where the reliability curve would lie were the probabilities true (90 %).
    Source: ``brier`` = ``miscalibration`` − ``discrimination`` + ``uncertainty``, ``miscalibration_p_value`` from the
    band's draws; ``gap_rate`` with ``gap_lower, gap_upper, gap_p_value`` (t over periods); Cox ``intercept``, ``slope``
    (below 1: over-confident) with clustered errors; ``spiegelhalter_z`` over uncertain deals, ``certain_count`` given
    0 or 1 and ``certain_wrong_count`` of them wrong. ``direction``: ``runs_high``, ``runs_low``, ``fair``,
    ``not_enough_evidence``. ``status``: ``ok``, ``not_enough_history``, ``one_outcome``, ``refused_as_leak`` (numbers
    null: the field knew the outcome).
    """

    source = dy.String(nullable=False)
    week_of_period = dy.Int64(nullable=True)
    weighting = dy.String(nullable=False)
    bin = dy.Int64(nullable=True)
    predicted_rate = dy.Float64(nullable=True)
    observed_rate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=True)
    band_lower = dy.Float64(nullable=True)
    band_upper = dy.Float64(nullable=True)
    deal_count = dy.Int64(nullable=True)
    won_count = dy.Int64(nullable=True)
    total_count = dy.Int64(nullable=False)
    unrated_count = dy.Int64(nullable=False)
    period_count = dy.Int64(nullable=False)
    brier = dy.Float64(nullable=True)
    miscalibration = dy.Float64(nullable=True)
    discrimination = dy.Float64(nullable=True)
    uncertainty = dy.Float64(nullable=True)
    miscalibration_p_value = dy.Float64(nullable=True)
    gap_rate = dy.Float64(nullable=True)
    gap_lower = dy.Float64(nullable=True)
    gap_upper = dy.Float64(nullable=True)
    gap_p_value = dy.Float64(nullable=True)
    cox_intercept = dy.Float64(nullable=True)
    cox_intercept_lower = dy.Float64(nullable=True)
    cox_intercept_upper = dy.Float64(nullable=True)
    cox_slope = dy.Float64(nullable=True)
    cox_slope_lower = dy.Float64(nullable=True)
    cox_slope_upper = dy.Float64(nullable=True)
    clipped_count = dy.Int64(nullable=True)
    spiegelhalter_z = dy.Float64(nullable=True)
    certain_count = dy.Int64(nullable=True)
    certain_wrong_count = dy.Int64(nullable=True)
    separation_rate = dy.Float64(nullable=True)
    direction = dy.String(nullable=False)
    status = dy.String(nullable=False)


class Leaks(dy.Schema):
    """Field × seen: ``separation_rate`` with its 95 % ``lower, upper``; ``how``: by ``order``,
    ``level``, ``word`` or ``emptiness``. ``seen``: as it stood ``when_opened``, or ``in_export`` (a column of the
    export that no table has, by the name in its header, as it stands there).

    ``status``: ``usable``, ``suspect`` (separates 9 in 10: look at when it is filled in), ``refused_as_leak``,
    ``not_enough_history``, ``constant``.
    """

    field = dy.String(nullable=False)
    seen = dy.String(nullable=False, regex="^(when_opened|in_export)$")
    separation_rate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    how = dy.String(nullable=True)
    won_count = dy.Int64(nullable=False)
    lost_count = dy.Int64(nullable=False)
    status = dy.String(nullable=False)


class RateStability(dy.Schema):
    """Measure × item × scope × period; the verdict on the whole history repeated on each row.

    ``estimate`` of the period with ``lower, upper, level``; ``limit_lower, limit_upper`` Laney's p′ limits and
    ``is_outside_limits``. ``overall`` over all periods with ``overall_lower, overall_upper`` (over periods, so spread
    between them counts). ``overdispersion`` φ = X²/df and its ``p_value``. ``drift_rate`` change a year (of the odds,
    the coverage, or the days: 0.1 = a tenth up) with ``drift_lower, drift_upper`` (90 %) and ``drift_p_value``.
    ``next_lower, next_upper, next_level`` where the next period should land, ``next_basis`` ``jumps`` or ``drift``.
    Unit of ``estimate``: a rate; for coverage, pipeline per unit landed; for durations, days (geometric mean).
    ``direction``: ``stable``, ``drifting``, ``jumpy``, ``too_little_data``. ``status``: ``ok``, ``inconclusive``,
    ``not_enough_history``, ``one_outcome`` (nothing, or everything, went on).
    """

    measure = dy.String(nullable=False)
    item = dy.String(nullable=True)
    scope = dy.String(nullable=False)
    period_start_on = dy.Date(nullable=False)
    trial_count = dy.Int64(nullable=True)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    limit_lower = dy.Float64(nullable=True)
    limit_upper = dy.Float64(nullable=True)
    is_outside_limits = dy.Bool(nullable=True)
    overall = dy.Float64(nullable=True)
    overall_lower = dy.Float64(nullable=True)
    overall_upper = dy.Float64(nullable=True)
    period_count = dy.Int64(nullable=False)
    overdispersion = dy.Float64(nullable=True)
    p_value = dy.Float64(nullable=True)
    laney_sigma = dy.Float64(nullable=True)
    drift_rate = dy.Float64(nullable=True)
    drift_lower = dy.Float64(nullable=True)
    drift_upper = dy.Float64(nullable=True)
    drift_p_value = dy.Float64(nullable=True)
    next_lower = dy.Float64(nullable=True)
    next_upper = dy.Float64(nullable=True)
    next_level = dy.Float64(nullable=False)
    next_basis = dy.String(nullable=True)
    direction = dy.String(nullable=False)
    status = dy.String(nullable=False)


class Rationality(dy.Schema):
    """Layer × category × week_of_period × test.

    ``estimate`` with ``lower, upper, level`` and ``p_value``: what each test row above says. ``statistic`` t, F, sup of
    the CUSUM, or its highest excursion; ``alarm_limit`` what it is held against, ``in_control_run_count`` and
    ``shifted_run_count`` periods to an alarm without a change, and with one of a standard deviation (``cusum``).
    ``from_period_on``: first period of the change or alarm. ``direction``: ``runs_high``, ``runs_low`` (level_bias);
    ``too_steep`` (big calls too big), ``too_flat``, ``off_the_line`` (slope); ``anchoring``, ``over_reaction``
    (revision); ``rose``, ``fell`` (the error, in change and cusum); ``no_detectable_effect``;
    ``not_enough_evidence``; null for shares.
    ``status``: ``ok``, ``not_enough_history``, ``no_variation``.
    """

    layer = dy.String(nullable=False)
    category = dy.String(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    test = dy.String(nullable=False)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=True)
    statistic = dy.Float64(nullable=True)
    p_value = dy.Float64(nullable=True)
    alarm_limit = dy.Float64(nullable=True)
    in_control_run_count = dy.Float64(nullable=True)
    shifted_run_count = dy.Float64(nullable=True)
    from_period_on = dy.Date(nullable=True)
    pair_count = dy.Int64(nullable=False)
    period_count = dy.Int64(nullable=False)
    direction = dy.String(nullable=True)
    status = dy.String(nullable=False)


class PipelineHealth(dy.Schema):
    """Scope × measure × item: how sound the pipeline is. ``item`` splits a measure (a stage, a source, a number of
    pushes) or is ``all``; ``reason_share`` has the reasons given for deals not won.

    ``estimate`` with ``lower, upper, level`` where chance plays a part, else with the deals it rests on alone.
    ``unit``: ``rate``, ``ratio`` (pipeline per unit of money), ``days``. ``deal_count`` deals it is made of,
    ``hit_count`` those of them that answer yes, ``amount`` the money behind it. ``period_start_on``: the period it
    speaks of; null where several closed periods are taken together. ``previous_1`` … ``previous_4``: the same measure
    in, or at the same week of, the closed periods before, latest first. ``status``: ``ok``, ``few_deals`` (under ten:
    shown, but no word), ``no_deals``, ``not_recorded`` (no row of the export says), ``no_quota``, ``quota_reached``
    (nothing left to cover).
    """

    scope = dy.String(nullable=False)
    measure = dy.String(nullable=False)
    item = dy.String(nullable=False)
    unit = dy.String(nullable=False)
    period_start_on = dy.Date(nullable=True)
    estimate = dy.Float64(nullable=True)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=True)
    deal_count = dy.Int64(nullable=False)
    hit_count = dy.Int64(nullable=True)
    amount = dy.Decimal(18, 2, nullable=True)
    previous_1 = dy.Float64(nullable=True)
    previous_2 = dy.Float64(nullable=True)
    previous_3 = dy.Float64(nullable=True)
    previous_4 = dy.Float64(nullable=True)
    status = dy.String(nullable=False)


SELFCHECK_MEASURES = (
    "forecaster_range",
    "company_range",
    "leans_named",
    "wrong_way",
    "leans_found",
    "alike_unnamed",
)


class Selfcheck(dy.Schema):
    """One row per measure: what the engine got right on simulated companies of this company's own shape.

    ``hit_count`` of ``trial_count``: ranges that held the truth (``forecaster_range``, ``company_range``); forecasters
    given a lean (``leans_named``); given leans with the wrong sign (``wrong_way``); true leans beyond 15 % that were
    named with the right sign (``leans_found``); companies of people all alike and unbiased in which nobody was named
    (``alike_unnamed``). ``lower, upper`` hold ``hit_rate`` at ``level``; ``aim_rate``: what it is meant to be, or null.
    ``layer``, ``category``, ``forecaster_count``, ``period_count``: the calls whose shape was taken.
    ``status``: ``ok``; ``no_call``, ``not_enough_history``, ``one_forecaster``, ``too_many_forecasters`` (no numbers).
    """

    measure = dy.String(nullable=False, regex="^(" + "|".join(SELFCHECK_MEASURES) + ")$")
    layer = dy.String(nullable=True)
    category = dy.String(nullable=True)
    company_count = dy.Int64(nullable=False)
    forecaster_count = dy.Int64(nullable=False)
    period_count = dy.Int64(nullable=False)
    hit_count = dy.Int64(nullable=True)
    trial_count = dy.Int64(nullable=True)
    hit_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    aim_rate = dy.Float64(nullable=True, min=0.0, max=1.0)
    lower = dy.Float64(nullable=True)
    upper = dy.Float64(nullable=True)
    level = dy.Float64(nullable=False)
    status = dy.String(nullable=False)


PROCESS_TABLES: dict[str, type[dy.Schema]] = {
    "value_added": ValueAdded,
    "overrides": Overrides,
    "override_summary": OverrideSummary,
    "probability_calibration": ProbabilityCalibration,
    "leaks": Leaks,
    "rate_stability": RateStability,
    "rationality": Rationality,
    "pipeline_health": PipelineHealth,
    "selfcheck": Selfcheck,
}

PROCESS_GRAINS: dict[str, tuple[str, ...]] = {
    "value_added": ("scope", "week_of_period", "step", "reference_step"),
    "overrides": ("week_of_period", "step", "scope", "period_start_on"),
    "override_summary": ("week_of_period", "step", "override_direction", "size_band"),
    "probability_calibration": ("source", "week_of_period", "weighting", "bin"),
    "leaks": ("field",),
    "rate_stability": ("measure", "item", "scope", "period_start_on"),
    "rationality": ("layer", "category", "week_of_period", "test"),
    "pipeline_health": ("scope", "measure", "item"),
    "selfcheck": ("measure",),
}
"""What one row of each stands for."""
