-- One row per span, opportunity in its pipeline and end of the span ('start' or 'end') at which it was there: open, not
-- deleted, due in the span's period, with the owner it then had. owner_on: the day whose hierarchy counts.
with spans as (
    select * from movement_spans
),

path as (
    select * from movement_path where not is_closed and not is_deleted
),

ends as (
    select span_kind, span_start_on, period_start_on, 'start' as movement, from_at as stood_at from spans
    union all
    select span_kind, span_start_on, period_start_on, 'end', to_at from spans
),

final as (
    select
        ends.span_kind,
        ends.span_start_on,
        ends.period_start_on,
        ends.movement,
        path.opportunity_id,
        path.owner_id,
        cast(path.from_at as date) as owner_on,
        path.amount,
        path.is_unvalued
    from ends
    inner join path
        on ends.period_start_on = path.due_period_start_on
        and path.from_at < ends.stood_at
        and path.to_at >= ends.stood_at
)

select * from final
