-- One row per span whose pipeline movement is told: the $period_count latest periods begun, and each of their weeks.
-- Weeks are seven days from the period's start; the last one (number $last_week) takes the days left over. A span that
-- contains the as-of ($as_of_at) ends with it. Facts at from_at or later and before to_at happened in the span.
with periods as (
    select * from periods where period_start_on <= cast(cast($as_of_at as timestamp) as date)
),

placed as (
    select
        period_start_on,
        period_end_on,
        row_number() over (order by period_start_on desc) as place
    from periods
),

chosen as (
    select period_start_on, period_end_on from placed where place <= cast($period_count as integer)
),

numbers as (
    select n as week_number from numbers where n <= cast($last_week as integer)
),

spans as (
    select 'period' as span_kind, period_start_on as span_start_on, period_end_on as span_end_on, period_start_on
    from chosen
    union all
    select
        'week',
        cast(chosen.period_start_on as date) + 7 * numbers.week_number,
        case
            when numbers.week_number = cast($last_week as integer) then chosen.period_end_on
            else least(cast(chosen.period_start_on as date) + (7 * numbers.week_number + 6), chosen.period_end_on)
        end,
        chosen.period_start_on
    from chosen
    cross join numbers
    where cast(chosen.period_start_on as date) + 7 * numbers.week_number <= chosen.period_end_on
),

final as (
    select
        span_kind,
        span_start_on,
        least(span_end_on, cast(cast($as_of_at as timestamp) as date)) as span_end_on,
        period_start_on,
        cast(span_start_on as timestamp) as from_at,
        least(
            cast(cast(span_end_on as date) + 1 as timestamp), cast($as_of_at as timestamp) + interval '1 microsecond'
        ) as to_at
    from spans
    where span_start_on <= cast(cast($as_of_at as timestamp) as date)
)

select * from final
