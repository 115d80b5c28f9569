-- One row per period, movement and opportunity: the deals behind the company's movement in the two latest periods.
-- moved_at: its last such change; null for start and end.
with periods as (
    select
        period_start_on,
        row_number() over (order by period_start_on desc) as place
    from movement_spans
    where span_kind = 'period'
),

ends as (
    select
        looks.period_start_on,
        looks.stood_at,
        case when looks.place = 0 then 'start' else 'end' end as movement
    from movement_looks as looks
    inner join periods on looks.period_start_on = periods.period_start_on and periods.place <= 2
    where looks.place = 0 or looks.is_last
),

every as (
    select
        ends.period_start_on, ends.movement, path.opportunity_id, path.amount, 1 as deal_count,
        cast(null as timestamp) as moved_at
    from movement_path as path
    inner join ends
        on path.due_period_start_on = ends.period_start_on
        and path.from_at < ends.stood_at
        and path.to_at >= ends.stood_at
    where not path.is_closed and not path.is_deleted
    union all
    select
        steps.period_start_on, steps.movement, steps.opportunity_id, steps.amount, steps.deal_count, steps.moved_at
    from movement_steps as steps
    inner join periods on steps.period_start_on = periods.period_start_on and periods.place <= 2
    where steps.scope is null or steps.scope = 'company'
),

final as (
    select
        every.period_start_on,
        every.movement,
        every.opportunity_id,
        cast(sum(every.amount) as decimal(18, 2)) as amount,
        cast(sum(every.deal_count) as bigint) as deal_count,
        cast(count(*) as bigint) as change_count,
        max(every.moved_at) as moved_at
    from every
    group by every.period_start_on, every.movement, every.opportunity_id
)

select * from final
