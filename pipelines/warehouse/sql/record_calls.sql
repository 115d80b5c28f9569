-- One row per forecaster × layer × period × category × week that a record states and no submission covers.
-- The call is known from the period's start, the actual from the end of its last day; left out, the layer is rep, the
-- category commit and the week the lock week ($lock_week). Amounts are taken to be in the reporting currency.
with records as (
    select
        forecaster_id,
        coalesce(layer, 'rep') as layer,
        period_start_on,
        coalesce(category, 'commit') as category,
        coalesce(week_of_period, cast($lock_week as bigint)) as week_of_period,
        forecast_amount,
        actual_amount,
        period_end_on,
        load_id,
        line,
        row_number() over (
            partition by
                forecaster_id, coalesce(layer, 'rep'), period_start_on, coalesce(category, 'commit'),
                coalesce(week_of_period, cast($lock_week as bigint))
            order by load_id desc, line desc
        ) as place
    from forecast_records
),

submitted as (
    select distinct forecaster_id, layer, period_start_on, category from forecast_submissions
),

final as (
    select records.*
    from records
    left join submitted using (forecaster_id, layer, period_start_on, category)
    where submitted.forecaster_id is null and records.place = 1
)

select * from final
