-- One row per instant at which the pipeline is looked at, numbered from 1 in order of time: the week ends of the
-- $period_count latest published periods begun, and the end of each of those periods that is over ($as_of_at), as one
-- week more. until_at (exclusive) is a midnight; on_day the day that begins then, so that what happened on an earlier day
-- had happened.
with weeks as (
    select period_start_on, period_end_on, week_of_period, until_at from weeks
),

placed as (
    select
        period_start_on,
        period_end_on,
        max(week_of_period) as last_week,
        max(until_at) as last_until_at,
        row_number() over (order by period_start_on desc) as place
    from weeks
    group by period_start_on, period_end_on
),

looks as (
    select weeks.period_start_on, weeks.week_of_period, weeks.until_at
    from weeks
    inner join placed on weeks.period_start_on = placed.period_start_on
    where placed.place <= $period_count
    union all
    select period_start_on, last_week + 1, cast(period_end_on + 1 as timestamp)
    from placed
    where place <= $period_count
        and last_until_at <= cast(period_end_on as timestamp)
        and cast(period_end_on as timestamp) + interval '86399 seconds' <= cast($as_of_at as timestamp)
),

final as (
    select
        cast(row_number() over (order by until_at, period_start_on) as integer) as week_number,
        period_start_on,
        week_of_period,
        until_at,
        cast(until_at as date) as on_day
    from looks
)

select week_number, period_start_on, week_of_period, until_at, on_day from final
