-- One row per instant at which the pipeline of a period in movement_spans is looked at: place 0 is the period's start, place
-- n the end of its nth week (span_start_on), which began at from_at. stood_at is exclusive: what is in force just before it.
-- owner_on: the day whose hierarchy counts, the last one before that instant. is_last: of its period.
with weeks as (
    select
        period_start_on, span_start_on, from_at, to_at,
        row_number() over (partition by period_start_on order by from_at) as place
    from movement_spans
    where span_kind = 'week'
),

looks as (
    select
        period_start_on, 0 as place, cast(null as date) as span_start_on, cast(null as timestamp) as from_at,
        from_at as stood_at
    from weeks
    where place = 1
    union all
    select period_start_on, place, span_start_on, from_at, to_at from weeks
),

final as (
    select
        cast(row_number() over (order by period_start_on, place) as integer) as look_number,
        period_start_on,
        cast(place as integer) as place,
        span_start_on,
        from_at,
        stood_at,
        cast(stood_at - interval '1 microsecond' as date) as owner_on,
        place = max(place) over (partition by period_start_on) as is_last
    from looks
)

select look_number, period_start_on, place, span_start_on, from_at, stood_at, owner_on, is_last from final
