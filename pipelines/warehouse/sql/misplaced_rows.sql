-- One row per visible call, record or quota whose period_start_on begins no period of the calendar, per record for a
-- week its period does not have, and per won deal without an amount: none of them can be counted, all are kept as
-- rejected rows, with the money they stand for.
with starts as (
    select period_start_on, period_end_on from calendar
),

loads as (
    select load_id, file_name from landing.loads
),

submissions as (
    select * from forecast_submissions
),

records as (
    select * from forecast_records
),

quotas as (
    select * from quotas
),

won as (
    select * from won_deals
),

rows_in_force as (
    select * from opportunity_extracts where is_last
),

found as (
    select
        submissions.load_id, submissions.line, 'forecast_submissions' as table_name, 'unknown_period' as rule,
        'period_start_on' as column_name, cast(submissions.period_start_on as varchar) as value, submissions.amount
    from submissions
    left join starts using (period_start_on)
    where starts.period_start_on is null
    union all
    select
        records.load_id, records.line, 'forecast_records', 'unknown_period',
        'period_start_on', cast(records.period_start_on as varchar), records.forecast_amount
    from records
    left join starts using (period_start_on)
    where starts.period_start_on is null
    union all
    select
        records.load_id, records.line, 'forecast_records', 'unknown_week',
        'week_of_period', cast(records.week_of_period as varchar), records.forecast_amount
    from records
    inner join starts using (period_start_on)
    where
        records.week_of_period < 0 or records.week_of_period > cast($last_week as integer)
        or 7 * records.week_of_period > date_diff('day', starts.period_start_on, starts.period_end_on)
    union all
    select
        quotas.load_id, quotas.line, 'quotas', 'unknown_period',
        'period_start_on', cast(quotas.period_start_on as varchar), quotas.amount
    from quotas
    left join starts using (period_start_on)
    where starts.period_start_on is null
    union all
    select
        rows_in_force.load_id, rows_in_force.line, 'opportunities', 'won_without_amount',
        'amount', won.opportunity_id, cast(null as decimal(18, 2))
    from won
    inner join rows_in_force using (opportunity_id)
    where won.amount is null
),

final as (
    select loads.file_name, found.* from found inner join loads using (load_id)
)

select file_name, line, table_name, rule, column_name, value, amount from final
