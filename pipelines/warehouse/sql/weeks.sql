-- One row per published period and week: until_at, the end of the day start + 7 · week (week 0 = the first day), is
-- exclusive; horizon_days counts from that day to the period's end. Weeks after the as-of ($as_of_at) are left out.
with periods as (
    select * from periods
),

numbers as (
    select cast(n as bigint) as week_of_period, 7 * n as day_number
    from numbers
    where n <= cast($last_week as integer)
),

dated as (
    select
        periods.period_start_on,
        periods.period_end_on,
        periods.status,
        numbers.week_of_period,
        cast(periods.period_start_on as date) + numbers.day_number as on_day
    from periods
    cross join numbers
),

final as (
    select
        period_start_on,
        period_end_on,
        status,
        week_of_period,
        cast(cast(on_day as date) + 1 as timestamp) as until_at,
        date_diff('day', on_day, period_end_on) as horizon_days
    from dated
    where on_day <= period_end_on and cast(on_day as timestamp) + interval '86399 seconds' <= cast($as_of_at as timestamp)
)

select * from final
