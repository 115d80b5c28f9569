-- One row per day of the calendar: week_count, how many week ends (pipeline_weeks) lie at or before it, and the numbers
-- of the first and last week of the period it lies in (null where none of that period's weeks is looked at).
-- Turns an interval into a range of week numbers, and "due in that week's period" into another, by equality joins.
with weeks as (
    select week_number, period_start_on, on_day from pipeline_weeks
),

days as (
    select on_day, period_start_on from calendar_days
),

ends as (
    select on_day, count(*) as end_count from weeks group by on_day
),

of_period as (
    select period_start_on, min(week_number) as first_number, max(week_number) as last_number
    from weeks
    group by period_start_on
),

final as (
    select
        days.on_day,
        cast(sum(coalesce(ends.end_count, 0)) over (order by days.on_day) as integer) as week_count,
        of_period.first_number,
        of_period.last_number
    from days
    left join ends on days.on_day = ends.on_day
    left join of_period on days.period_start_on = of_period.period_start_on
)

select on_day, week_count, first_number, last_number from final
