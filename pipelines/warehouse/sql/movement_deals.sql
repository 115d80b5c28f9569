-- One row per period told, movement, opportunity and instant: every step of movement_steps, and the deals that stood in the
-- pipeline when the period began (start) and at its end or the as-of (end; moved_at is null for both). Whatever amount
-- pipeline_movement tells, of any scope and any span, is a sum of these rows: those of the scope's people of that day
-- (owner_scopes of owner_id on owner_on), and those told of the scope alone. What stood when a week began or ended is the
-- period's start and the steps until then.
with periods as (
    select distinct period_start_on from movement_spans
),

ends as (
    select
        period_start_on, stood_at, owner_on,
        case when place = 0 then 'start' else 'end' end as movement
    from movement_looks
    where place = 0 or is_last
),

every_row as (
    select
        ends.period_start_on, ends.movement, path.opportunity_id, cast(null as timestamp) as moved_at,
        path.owner_id, ends.owner_on, cast(null as varchar) as scope, path.amount, 1 as deal_count
    from movement_path as path
    inner join ends
        on path.due_period_start_on = ends.period_start_on
        and path.from_at < ends.stood_at
        and path.to_at >= ends.stood_at
    where not path.is_closed and not path.is_deleted and path.owner_id is not null
    union all
    select
        steps.period_start_on, steps.movement, steps.opportunity_id, steps.moved_at,
        steps.owner_id, steps.owner_on, steps.scope, steps.amount, steps.deal_count
    from movement_steps as steps
    inner join periods on steps.period_start_on = periods.period_start_on
),

names as (
    select opportunity_id, name from opportunity_extracts where is_last
),

final as (
    select
        every_row.period_start_on,
        every_row.movement,
        every_row.opportunity_id,
        every_row.moved_at,
        every_row.scope,
        every_row.owner_id,
        every_row.owner_on,
        names.name,
        cast(every_row.amount as decimal(18, 2)) as amount,
        cast(every_row.deal_count as bigint) as deal_count,
        cast(1 as bigint) as change_count
    from every_row
    left join names on every_row.opportunity_id = names.opportunity_id
)

select
    period_start_on, movement, opportunity_id, moved_at, scope, owner_id, owner_on, name, amount, deal_count, change_count
from final
