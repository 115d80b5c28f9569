-- One row per opportunity and extract that shows it closed though nothing before says so: when it closed.
-- The row's own close date dates the closing (end of that day), not before the last stage known or the extract before,
-- and not after the row was last modified or extracted. A deal known to be won was known at its close: dating it by the
-- extract would move every win of a company that exports once a month past the freeze of its actuals.
with extracts as (
    select * from opportunity_extracts where row_is_closed
),

flags as (
    select stage, is_closed from stage_flags
),

stage_changes as (
    select
        opportunity_id,
        changed_at,
        substr(stage, 3) as stage,
        case when substr(stage, 1, 1) = '3' then changed_at + interval '1 microsecond' else changed_at end as told_at
    from opportunity_changes
    where stage is not null
),

last_stages as (
    select
        extracts.opportunity_id,
        extracts.position,
        max(stage_changes.changed_at) as changed_at,
        arg_max(stage_changes.stage, stage_changes.told_at) as stage
    from extracts
    inner join stage_changes
        on extracts.opportunity_id = stage_changes.opportunity_id
        and stage_changes.changed_at <= extracts.seen_at
        and (extracts.previous_seen_at is null or stage_changes.changed_at > extracts.previous_seen_at)
    group by extracts.opportunity_id, extracts.position
),

unsaid as (
    select
        extracts.*,
        last_stages.changed_at as last_stage_at
    from extracts
    left join last_stages using (opportunity_id, position)
    left join flags on last_stages.stage = flags.stage
    where not case
        when last_stages.stage is null then coalesce(extracts.previous_is_closed, false)
        when last_stages.stage = extracts.stage then true
        else coalesce(flags.is_closed, false)
    end
),

dated as (
    select
        *,
        greatest(
            created_at,
            coalesce(last_stage_at, created_at),
            coalesce(previous_seen_at + interval '1 second', created_at),
            least(
                cast(close_on as timestamp) + interval '86399 seconds',
                coalesce(modified_at, seen_at),
                seen_at
            )
        ) as closed_at
    from unsaid
),

final as (
    select * from dated where closed_at <= cast($as_of_at as timestamp)
)

select * from final
