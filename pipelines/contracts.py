"""Every frame that crosses a boundary: columns, units, sign, rules.

Sign rule, everywhere: error = forecast − actual; positive = the call ran high. Suffixes carry the unit: ``_amount``
money in the reporting currency, ``_rate`` 0 to 1 (a landing rate may exceed 1), ``_count`` whole number, ``_days``,
``_on`` date, ``_at`` instant in UTC without a zone attached. Missing is null plus a status, never 0.

``INPUT_TABLES`` are what people bring; ``PUBLISHED_TABLES`` are what an edition holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import dataframely as dy
import polars as pl

from pipelines.finance_contracts import FINANCE_TABLES
from pipelines.history_contracts import HISTORY_TABLES
from pipelines.landing_contracts import LANDING_TABLES
from pipelines.outcome_contracts import OUTCOME_TABLES
from pipelines.process_contracts import PROCESS_TABLES
from pipelines.scenario_contracts import SCENARIO_TABLES

ACTUAL_SOURCES = ("closed_won", "bookings")
FORECAST_CATEGORIES = ("omitted", "pipeline", "best_case", "most_likely", "commit", "closed")
CALL_CATEGORIES = ("commit", "most_likely", "best_case")
LAYERS = ("rep", "manager", "executive", "finance")
SALES_MOTIONS = ("transactional", "consultative")
DIRECTIONS = ("runs_high", "runs_low", "fair", "not_enough_evidence")

MONEY_DIGITS = 18
MONEY_SCALE = 2
MONEY = pl.Decimal(MONEY_DIGITS, MONEY_SCALE)
RATE_OF_EXCHANGE = pl.Decimal(18, 8)
INSTANT = pl.Datetime("us")


def _text(*, required: bool = False) -> dy.String:
    return dy.String(nullable=not required, min_length=1 if required else None)


def _day(*, required: bool = False) -> dy.Date:
    return dy.Date(nullable=not required)


def _instant(*, required: bool = False) -> dy.Datetime:
    return dy.Datetime(nullable=not required, time_unit="us")


def _money(*, required: bool = False) -> dy.Decimal:
    return dy.Decimal(MONEY_DIGITS, MONEY_SCALE, nullable=not required)


def _flag(*, required: bool = False) -> dy.Bool:
    return dy.Bool(nullable=not required)


def _share() -> dy.Float64:
    return dy.Float64(nullable=True, min=0.0, max=1.0)


def _number(*, required: bool = False) -> dy.Float64:
    return dy.Float64(nullable=not required)


def _whole(*, required: bool = False) -> dy.Int64:
    return dy.Int64(nullable=not required)


def _one_of(values: tuple[str, ...], *, required: bool = False) -> dy.String:
    return dy.String(nullable=not required, regex="^(" + "|".join(values) + ")$")


# Input tables


class Opportunities(dy.Schema):
    """One row per opportunity (latest state), or one per opportunity per extract."""

    opportunity_id = _text(required=True)
    owner_id = _text(required=True)
    created_on = _day(required=True)
    close_on = _day(required=True)
    stage = _text(required=True)
    amount = _money()
    currency = _text()
    probability_rate = _share()
    forecast_category = _one_of(FORECAST_CATEGORIES)
    name = _text()
    account_id = _text()
    account_name = _text()
    opportunity_type = _text()
    lead_source = _text()
    sales_motion = _one_of(SALES_MOTIONS)
    outcome_reason = _text()
    next_step = _text()
    last_activity_on = _day()
    is_won = _flag()
    is_closed = _flag()
    is_deleted = _flag()
    modified_at = _instant()
    extracted_at = _instant()


class OpportunityHistory(dy.Schema):
    """One row per changed field of an opportunity; values are text in canonical form.

    ``recorded_at``: when the change was written down, where that was later than ``changed_at``.
    """

    opportunity_id = _text(required=True)
    changed_at = _instant(required=True)
    field = _text(required=True)
    old_value = _text()
    new_value = _text()
    changed_by = _text()
    recorded_at = _instant()


class OpportunityStates(dy.Schema):
    """One row per state of an opportunity after a change; a column left empty says nothing of that field.

    ``recorded_at``: when the state was written down, where that was later than ``changed_at``.
    """

    opportunity_id = _text(required=True)
    changed_at = _instant(required=True)
    stage = _text()
    amount = _money()
    close_on = _day()
    probability_rate = _share()
    forecast_category = _one_of(FORECAST_CATEGORIES)
    owner_id = _text()
    recorded_at = _instant()


class ForecastSubmissions(dy.Schema):
    """One row per call a person made for a period."""

    forecaster_id = _text(required=True)
    layer = _one_of(LAYERS, required=True)
    period_start_on = _day(required=True)
    category = _one_of(CALL_CATEGORIES, required=True)
    submitted_at = _instant(required=True)
    amount = _money(required=True)
    currency = _text()
    submitted_by = _text()
    note = _text()


class ForecastRecords(dy.Schema):
    """Forecaster × period (× category × week): the spreadsheet most teams already keep."""

    forecaster_id = _text(required=True)
    period_start_on = _day(required=True)
    forecast_amount = _money(required=True)
    actual_amount = _money(required=True)
    period_end_on = _day()
    layer = _one_of(LAYERS)
    category = _one_of(CALL_CATEGORIES)
    week_of_period = _whole()

    @dy.rule()
    def period_ends_after_it_starts(cls) -> pl.Expr:
        return pl.col("period_end_on").is_null() | (pl.col("period_end_on") >= pl.col("period_start_on"))


class People(dy.Schema):
    """One row per person per validity span."""

    person_id = _text(required=True)
    name = _text(required=True)
    email = _text()
    manager_id = _text()
    role = _text()
    team = _text()
    region = _text()
    segment = _text()
    hired_on = _day()
    left_on = _day()
    valid_from_on = _day()
    valid_to_on = _day()


class Quotas(dy.Schema):
    """Person × period."""

    person_id = _text(required=True)
    period_start_on = _day(required=True)
    amount = _money(required=True)
    currency = _text()
    recorded_at = _instant()


class Bookings(dy.Schema):
    """One row per finance booking line; a negative amount is a credit."""

    booking_id = _text(required=True)
    booked_on = _day(required=True)
    amount = _money(required=True)
    currency = _text()
    opportunity_id = _text()
    account_name = _text()
    kind = _text()
    recorded_at = _instant()


class FxRates(dy.Schema):
    """Currency × start of validity: how much reporting currency one unit buys."""

    currency = _text(required=True)
    valid_from_on = _day(required=True)
    rate_to_reporting = dy.Decimal(18, 8, nullable=False, min_exclusive=0)


class Stages(dy.Schema):
    """One row per stage."""

    stage = _text(required=True)
    stage_order = _whole(required=True)
    is_closed = _flag(required=True)
    is_won = _flag(required=True)
    default_probability_rate = _share()
    forecast_category = _one_of(FORECAST_CATEGORIES)


class Activities(dy.Schema):
    """One row per touch."""

    opportunity_id = _text(required=True)
    occurred_at = _instant(required=True)
    kind = _text()
    direction = _text()


class Leads(dy.Schema):
    """One row per lead."""

    lead_id = _text(required=True)
    created_on = _day(required=True)
    source = _text()
    accepted_on = _day()
    qualified_on = _day()
    converted_on = _day()
    opportunity_id = _text()


class Periods(dy.Schema):
    """One row per fiscal period."""

    period_start_on = _day(required=True)
    period_end_on = _day(required=True)
    label = _text(required=True)

    @dy.rule()
    def period_ends_after_it_starts(cls) -> pl.Expr:
        return pl.col("period_end_on") >= pl.col("period_start_on")


@dataclass(frozen=True)
class InputTable:
    """A table people bring: its frame, and the key within which the row landed last is in force."""

    name: str
    schema: type[dy.Schema]
    key: tuple[str, ...]
    amount_column: str | None = None
    also_required: tuple[str, ...] = ()
    """Columns a file must have though a value may be empty: a field can be cleared."""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema.column_names())

    @property
    def required(self) -> tuple[str, ...]:
        """Columns a file must have."""
        return tuple(name for name, column in self.schema.columns().items() if not column.nullable) + self.also_required


INPUT_TABLES: dict[str, InputTable] = {
    table.name: table
    for table in (
        InputTable("opportunities", Opportunities, ("opportunity_id", "extracted_at"), "amount"),
        InputTable(
            "opportunity_history", OpportunityHistory, ("opportunity_id", "changed_at", "field"), None, ("new_value",)
        ),
        InputTable("opportunity_states", OpportunityStates, ("opportunity_id", "changed_at"), "amount"),
        InputTable(
            "forecast_submissions",
            ForecastSubmissions,
            ("forecaster_id", "layer", "period_start_on", "category", "submitted_at"),
            "amount",
        ),
        InputTable(
            "forecast_records",
            ForecastRecords,
            ("forecaster_id", "layer", "period_start_on", "category", "week_of_period"),
            "forecast_amount",
        ),
        InputTable("people", People, ("person_id", "valid_from_on")),
        InputTable("quotas", Quotas, ("person_id", "period_start_on", "recorded_at"), "amount"),
        InputTable("bookings", Bookings, ("booking_id", "recorded_at"), "amount"),
        InputTable("fx_rates", FxRates, ("currency", "valid_from_on")),
        InputTable("stages", Stages, ("stage",)),
        InputTable("activities", Activities, ("opportunity_id", "occurred_at", "kind", "direction")),
        InputTable("leads", Leads, ("lead_id",)),
        InputTable("periods", Periods, ("period_start_on",)),
    )
}


# Published tables


class Edition(dy.Schema):
    """One row: what this edition is. ``actual_source``: what counts as landed, ``closed_won`` or ``bookings``."""

    edition_id = _text(required=True)
    as_of_at = _instant(required=True)
    published_at = _instant(required=True)
    method_version = _text(required=True)
    reporting_currency = _text(required=True)
    input_digest = _text(required=True)
    company_name = _text()
    period_kind = _text(required=True)
    fiscal_year_start_month = _whole(required=True)
    lock_week = _whole(required=True)
    open_period_start_on = _day()
    open_period_week = _whole()
    actual_source = _one_of(ACTUAL_SOURCES, required=True)
    is_simulated = _flag(required=True)


class Inputs(dy.Schema):
    """One row per landed file that this edition used, or that was rejected whole."""

    file_name = _text(required=True)
    table_name = _text()
    sha256 = _text(required=True)
    row_count = _whole(required=True)
    rejected_count = _whole(required=True)
    landed_at = _instant(required=True)
    mapping_name = _text()


class RejectedRows(dy.Schema):
    """One row per rule that a landed row broke."""

    file_name = _text(required=True)
    line = _whole(required=True)
    table_name = _text(required=True)
    rule = _text(required=True)
    column_name = _text()
    value = _text()
    amount = _money()


class PolicyRows(dy.Schema):
    """One row per choice behind the numbers."""

    name = _text(required=True)
    value = _text(required=True)


class PublishedPeriods(dy.Schema):
    """One row per period: ``status`` is ``closed`` (actuals frozen), ``in_grace``, ``open`` or ``future``."""

    period_start_on = _day(required=True)
    period_end_on = _day(required=True)
    label = _text(required=True)
    status = _text(required=True)


class Scopes(dy.Schema):
    """One row per node of the hierarchy as of the edition; ``scope`` is ``company`` or a person's id.

    ``scope_kind``: ``company``, ``executive``, ``manager`` or ``rep`` (people without reports). ``depth``: 0 for the
    company. Departed people stay, with ``left_on``.
    """

    scope = _text(required=True)
    scope_kind = _text(required=True)
    scope_name = _text(required=True)
    parent_scope = _text()
    depth = _whole(required=True)
    team = _text()
    region = _text()
    segment = _text()
    role = _text()
    hired_on = _day()
    left_on = _day()


class ScopeMembers(dy.Schema):
    """Period × person × scope: who belonged to which scope when the period was locked (everyone to ``company``)."""

    period_start_on = _day(required=True)
    person_id = _text(required=True)
    scope = _text(required=True)


class ForecastPairs(dy.Schema):
    """Layer × forecaster × period × category × week_of_period: the call in force at that week's end, and what landed.

    error_amount = forecast_amount − actual_amount (positive = ran high). ``status``: ``closed`` (both known),
    ``open`` (period not over or still in grace: actual null), ``no_call`` (nothing submitted by that week: forecast
    null), ``no_actual`` (nothing to compare with), ``no_rate`` (a currency without a rate).
    ``won_count``: deals won in the period by those people, where deals are known, else null.
    ``source``: ``submissions`` or ``records``.
    """

    layer = _text(required=True)
    forecaster_id = _text(required=True)
    period_start_on = _day(required=True)
    category = _text(required=True)
    week_of_period = _whole(required=True)
    period_end_on = _day(required=True)
    horizon_days = _whole(required=True)
    forecast_amount = _money()
    actual_amount = _money()
    error_amount = _money()
    won_count = _whole()
    status = _text(required=True)
    source = _text(required=True)


class ForecasterBias(dy.Schema):
    """Layer × forecaster × category × horizon bucket: how calls of this forecaster land.

    ``landing_rate`` raw Σactual ÷ Σforecast; ``estimate, lower, upper, level`` the pooled landing rate (below 1 =
    calls run high). ``status``: ``ok``, ``not_enough_history`` (value shown greyed, never labelled), ``nothing_landed``
    (Σactual = 0), ``no_call`` (Σforecast = 0 or nothing submitted).
    """

    layer = _text(required=True)
    forecaster_id = _text(required=True)
    category = _text(required=True)
    horizon_bucket = _text(required=True)
    week_of_period = _whole(required=True)
    pair_count = _whole(required=True)
    period_count = _whole(required=True)
    expected_count = _whole(required=True)
    won_count = _whole()
    forecast_amount = _money()
    actual_amount = _money()
    unforecast_amount = _money()
    landing_rate = _number()
    estimate = _number()
    lower = _number()
    upper = _number()
    level = _number()
    own_weight_rate = _number()
    own_variance = _number()
    probability_high_rate = _number()
    direction = _text(required=True)
    wrong_sign_rate = _number()
    status = _text(required=True)


class TeamBias(dy.Schema):
    """Scope × layer × category × week_of_period: the lean of a scope's calls together, and whether its people differ.

    ``landing_rate`` Σactual ÷ Σforecast over closed periods; ``estimate, lower, upper, level`` the same with its
    quarter-clustered t interval on the log scale. ``between_sd``: posterior median of τ, the spread of
    ln(landing rate) between forecasters beyond chance, with its interval; ``heterogeneity_p_value`` with the shared
    quarter shock removed. ``status``: ``ok``, ``not_enough_history``, ``no_call``; ``between_status`` likewise, or
    ``one_forecaster``.
    """

    scope = _text(required=True)
    layer = _text(required=True)
    category = _text(required=True)
    week_of_period = _whole(required=True)
    forecaster_count = _whole(required=True)
    period_count = _whole(required=True)
    forecast_amount = _money()
    actual_amount = _money()
    landing_rate = _number()
    estimate = _number()
    lower = _number()
    upper = _number()
    level = _number()
    standard_error = _number()
    shock_sd = _number()
    between_sd = _number()
    between_lower = _number()
    between_upper = _number()
    heterogeneity_p_value = _number()
    between_status = _text(required=True)
    status = _text(required=True)


class Accuracy(dy.Schema):
    """Layer × category × week_of_period × period (company scope): how far calls were from what landed.

    ``wape_rate`` Σ|error| ÷ Σactual over forecasters; ``bias_rate`` Σerror ÷ Σactual (positive = ran high);
    ``naive_wape_rate`` the same for last year's same period, else the previous period; ``skill_rate``
    1 − wape ÷ naive wape.
    """

    layer = _text(required=True)
    category = _text(required=True)
    week_of_period = _whole(required=True)
    period_start_on = _day(required=True)
    forecaster_count = _whole(required=True)
    forecast_amount = _money()
    actual_amount = _money()
    wape_rate = _number()
    bias_rate = _number()
    naive_wape_rate = _number()
    skill_rate = _number()
    naive_kind = _text()
    status = _text(required=True)


class Deals(dy.Schema):
    """One row per open opportunity as of the edition, and why it is worth a look.

    ``win_probability_rate``: won within the open period, by the landing's simulation at its week's end;
    ``expected_amount`` that × its mean amount at close. ``win_status``: ``ok``; ``coarser_group`` (its own kind has
    ended too rarely); ``not_enough_history`` (nothing like it); ``new_since`` (not open at that week's end);
    ``no_landing`` (too few closed periods for any).
    """

    opportunity_id = _text(required=True)
    name = _text()
    account_name = _text()
    owner_id = _text(required=True)
    stage = _text()
    forecast_category = _text()
    amount = _money()
    created_on = _day(required=True)
    close_on = _day()
    age_days = _whole(required=True)
    push_count = _whole(required=True)
    last_activity_on = _day()
    is_past_due = _flag(required=True)
    has_no_next_step = _flag()
    is_stalled = _flag()
    flags = _text()
    win_probability_rate = _share()
    expected_amount = _money()
    win_status = _text(required=True)


class QuotaRows(dy.Schema):
    """Person × period, in the reporting currency, as recorded at the edition's as-of."""

    person_id = _text(required=True)
    period_start_on = _day(required=True)
    quota_amount = _money()


class TableStatus(dy.Schema):
    """One row per input table: what has landed, and what a missing one would bring."""

    table_name = _text(required=True)
    row_count = _whole(required=True)
    rejected_count = _whole(required=True)
    rejected_amount = _money()
    first_known_at = _instant()
    last_known_at = _instant()
    status = _text(required=True)


class MissAttribution(dy.Schema):
    """Closed period × lock week × scope × layer × cause: call_amount + Σ amount = actual_amount, residual exactly 0.

    ``layer``: whose calls, added up over the scope; ``is_standing`` marks the layer that stands for it: executives'
    where there are any, else managers', else reps'. The deals are the same whoever calls, so layers differ in
    ``call_amount`` and ``judgement`` alone. ``deal_count``: deals with money in this cause (null for ``judgement``,
    which has none).
    ``caller_count`` called by the lock, ``missing_count`` did not and usually do. ``rollup_basis``: ``category`` (deals
    in the called forecast category or above, due in the period, and what was won by then), ``probability`` (deals due
    in it at their probability, where no category is recorded at all) or ``none`` (neither is recorded). ``status``:
    ``ok``; ``no_call`` (``judgement`` and ``call_amount`` null); ``no_rate`` (a deal in a currency without a rate: no
    amount can be told).
    """

    period_start_on = _day(required=True)
    week_of_period = _whole(required=True)
    scope = _text(required=True)
    layer = _text(required=True)
    cause = _text(required=True)
    category = _text(required=True)
    is_standing = _flag(required=True)
    amount = _money()
    deal_count = _whole()
    call_amount = _money()
    rollup_amount = _money()
    actual_amount = _money()
    caller_count = _whole(required=True)
    missing_count = _whole(required=True)
    rollup_basis = _text(required=True)
    status = _text(required=True)


class AttributionCut(dy.Schema):
    """Period × week_of_period × cut × value × cause: the company's bridge from roll-up to actual, in parts.

    rollup_amount + Σ amount = actual_amount for every value; summed over values they are the whole company's. The
    judgement overlay belongs to no deal and is not here. ``value`` null: not recorded.
    """

    period_start_on = _day(required=True)
    week_of_period = _whole(required=True)
    cut = _text(required=True)
    value = _text()
    cause = _text(required=True)
    amount = _money(required=True)
    deal_count = _whole(required=True)
    rollup_amount = _money(required=True)
    actual_amount = _money(required=True)


class Luck(dy.Schema):
    """Period × week_of_period × scope: what the called deals' own probabilities allowed.

    ``expected_amount`` Σ p·a over called deals with a probability; ``won_amount`` Σ a of those won; ``lower, upper,
    level`` the allowed range of ``won_amount``; ``factor_sd`` the shock that deals of one period share, on the probit
    scale. ``direction``: ``inside``, ``below``, ``above``. ``status``: ``ok``, ``no_probability`` (no called deal has
    one), ``certain`` (every probability is 0 or 1: no allowance), ``not_enough_history`` (too few other periods to know
    the shared shock, without which every miss looks dramatic).
    """

    period_start_on = _day(required=True)
    week_of_period = _whole(required=True)
    scope = _text(required=True)
    deal_count = _whole(required=True)
    unrated_count = _whole(required=True)
    expected_amount = _money()
    won_amount = _money()
    factor_sd = _number()
    allowance_sd_amount = _money()
    z = _number()
    lower = _money()
    upper = _money()
    level = _number(required=True)
    direction = _text()
    status = _text(required=True)


class MissDeals(dy.Schema):
    """Closed period × opportunity × cause: the largest steps of the company's bridge, deal by deal.

    ``step_place``: 1 = the largest step of its period by size; the smaller ones beyond the limit are left out, and the
    bridge has their sum. ``lock_*``: as believed at the lock; null for a deal created later.
    """

    period_start_on = _day(required=True)
    week_of_period = _whole(required=True)
    opportunity_id = _text(required=True)
    cause = _text(required=True)
    amount = _money(required=True)
    step_place = _whole(required=True)
    name = _text()
    account_name = _text()
    lock_owner_id = _text()
    end_owner_id = _text()
    lock_stage = _text()
    lock_category = _text()
    lock_close_on = _day()
    lock_amount = _money()
    end_amount = _money()
    outcome = _text(required=True)
    outcome_reason = _text()


class Reconciliation(dy.Schema):
    """One row per won opportunity, and one per booking line that belongs to none; difference = CRM − booked.

    ``rate_amount``: the part of the difference that the rate of exchange made between closing and booking; null where
    the currencies differ or the line is split. ``break_kind``: ``matched``, ``timing``, ``rate``, ``partial``,
    ``amount`` (booked above), ``booked_twice``, ``credit``, ``over_credited``, ``awaiting`` (may still be booked),
    ``missing_in_finance``, ``missing_in_crm``, ``no_amount`` (a side without an amount in the reporting currency: none
    is stated, or no rate converts it).
    """

    record_id = _text(required=True)
    record_kind = _text(required=True)
    opportunity_id = _text()
    booking_ids = _text()
    account_name = _text()
    owner_id = _text()
    closed_on = _day()
    booked_on = _day()
    period_start_on = _day()
    crm_amount = _money()
    booked_amount = _money()
    credit_amount = _money()
    difference_amount = _money()
    rate_amount = _money()
    break_kind = _text(required=True)
    matched_by = _text()
    age_days = _whole()


class ReconciliationTotals(dy.Schema):
    """One row per break kind, and ``ledger``: the two ledgers as they were handed in, which the others add up to.

    ``unvalued_count``: rows with a side without an amount in the reporting currency, which no sum holds.
    """

    break_kind = _text(required=True)
    record_count = _whole(required=True)
    unvalued_count = _whole(required=True)
    crm_amount = _money(required=True)
    booked_amount = _money(required=True)
    difference_amount = _money(required=True)


PUBLISHED_TABLES: dict[str, type[dy.Schema]] = {
    "edition": Edition,
    "inputs": Inputs,
    "rejected_rows": RejectedRows,
    "policy": PolicyRows,
    "periods": PublishedPeriods,
    "scopes": Scopes,
    "scope_members": ScopeMembers,
    "table_status": TableStatus,
    "quotas": QuotaRows,
    "forecast_pairs": ForecastPairs,
    "forecaster_bias": ForecasterBias,
    "team_bias": TeamBias,
    "accuracy": Accuracy,
    "deals": Deals,
    "miss_attribution": MissAttribution,
    "miss_deals": MissDeals,
    "attribution_cut": AttributionCut,
    "luck": Luck,
    "reconciliation": Reconciliation,
    "reconciliation_totals": ReconciliationTotals,
    **HISTORY_TABLES,
    **LANDING_TABLES,
    **PROCESS_TABLES,
    **SCENARIO_TABLES,
    **FINANCE_TABLES,
    **OUTCOME_TABLES,
}
