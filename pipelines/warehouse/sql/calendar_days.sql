-- One row per day of the calendar: the period it lies in. Turns "which period" into an equality join.
with calendar as (
    select period_index, period_start_on, period_end_on from calendar
),

numbers as (
    select n from numbers
),

final as (
    select
        cast(calendar.period_start_on as date) + numbers.n as on_day,
        calendar.period_index,
        calendar.period_start_on
    from calendar
    inner join numbers on numbers.n <= date_diff('day', calendar.period_start_on, calendar.period_end_on)
)

select on_day, period_index, period_start_on from final
