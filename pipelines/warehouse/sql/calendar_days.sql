-- One row per day of the calendar: the period it lies in. Turns "which period" into an equality join.
with calendar as (
    select * from calendar
),

final as (
    select
        cast(unnest(generate_series(
            cast(period_start_on as timestamp), cast(period_end_on as timestamp), interval '1 day'
        )) as date) as on_day,
        period_index,
        period_start_on
    from calendar
)

select on_day, period_index, period_start_on from final
