-- One row per layer × forecaster × period × category × week_of_period: the call in force at that week's end, and what
-- landed. error_amount = forecast_amount − actual_amount: positive = the call ran high.
-- Actuals are given for closed periods alone: a rep's own deals; a manager's or executive's people as the hierarchy
-- stood on each close date; the company's for finance. Where deals are known, nothing won is a real 0.00. Nothing can be
-- compared (no_actual) when nothing is known of what landed in the period (actual_periods), or when nobody is known to
-- have reported to a manager. Records stand where no submission does, with the actual they state.
with expected as (
    select * from expected_calls
),

calls as (
    select * from calls
),

weeks as (
    select * from weeks
),

actuals as (
    select * from actuals
),

records as (
    select * from record_calls
),

spans as (
    select * from lineage where depth > 0
),

known_periods as (
    select period_start_on from actual_periods
),

led as (
    select distinct periods.period_start_on, spans.ancestor_id as forecaster_id
    from periods
    inner join spans on spans.from_on <= periods.period_end_on and spans.to_on > periods.period_start_on
),

landed as (
    select
        expected.forecaster_id,
        expected.layer,
        expected.category,
        expected.period_start_on,
        weeks.period_end_on,
        weeks.status as period_status,
        weeks.week_of_period,
        weeks.until_at,
        weeks.horizon_days,
        case
            when known_periods.period_start_on is null then false
            when expected.layer in ('manager', 'executive') then led.forecaster_id is not null
            else true
        end as is_knowable,
        coalesce(actuals.no_rate_count, 0) > 0 as lacks_rate,
        actuals.actual_amount,
        actuals.won_count,
        actuals.valued_count
    from expected
    inner join weeks using (period_start_on)
    left join known_periods using (period_start_on)
    left join led
        on expected.forecaster_id = led.forecaster_id and expected.period_start_on = led.period_start_on
    left join actuals
        on expected.period_start_on = actuals.period_start_on
        and actuals.basis = case expected.layer when 'rep' then 'own' when 'finance' then 'company' else 'subtree' end
        and actuals.person_id = case expected.layer when 'finance' then 'company' else expected.forecaster_id end
),

called as (
    select
        landed.*,
        calls.submitted_at,
        calls.call_amount as forecast_amount,
        case
            when landed.period_status <> 'closed' or not landed.is_knowable or landed.lacks_rate then null
            when landed.actual_amount is null then cast(0 as decimal(18, 2))
            else landed.actual_amount
        end as frozen_amount,
        case
            when landed.period_status <> 'closed' or not landed.is_knowable then null
            when landed.won_count is null then 0
            else landed.won_count
        end as frozen_count
    from landed
    left join calls
        on landed.forecaster_id = calls.forecaster_id and landed.layer = calls.layer
        and landed.category = calls.category and landed.period_start_on = calls.period_start_on
        and calls.submitted_at < landed.until_at and calls.replaced_at >= landed.until_at
),

submitted as (
    select
        layer,
        forecaster_id,
        period_start_on,
        category,
        week_of_period,
        period_end_on,
        horizon_days,
        forecast_amount,
        frozen_amount as actual_amount,
        frozen_count as won_count,
        case
            when submitted_at is null then 'no_call'
            when forecast_amount is null then 'no_rate'
            when period_status <> 'closed' then 'open'
            when not is_knowable then 'no_actual'
            when frozen_amount is null then 'no_rate'
            else 'closed'
        end as status,
        'submissions' as source
    from called
),

recorded as (
    select
        records.layer,
        records.forecaster_id,
        records.period_start_on,
        records.category,
        records.week_of_period,
        weeks.period_end_on,
        weeks.horizon_days,
        records.forecast_amount,
        case
            when cast(coalesce(records.period_end_on, weeks.period_end_on) as timestamp) + interval '86399 seconds'
                <= cast($as_of_at as timestamp) then records.actual_amount
        end as actual_amount
    from records
    inner join weeks using (period_start_on, week_of_period)
),

final as (
    select
        layer, forecaster_id, period_start_on, category, week_of_period, period_end_on, horizon_days, forecast_amount,
        actual_amount, cast(forecast_amount - actual_amount as decimal(18, 2)) as error_amount, won_count, status, source
    from submitted
    union all
    select
        layer, forecaster_id, period_start_on, category, week_of_period, period_end_on, horizon_days, forecast_amount,
        actual_amount, cast(forecast_amount - actual_amount as decimal(18, 2)), cast(null as bigint),
        case when actual_amount is null then 'open' else 'closed' end, 'records'
    from recorded
)

select * from final
