-- One row per changed field of an opportunity whose past was told otherwise once, as it was in force until that ended: its
-- opportunity_id is the belief_id of reported_spans. A change written down only after that is one of the day it was
-- written down, as in opportunity_changes.
with landed as (
    select landed.*, spans.belief_id, spans.recorded_to_at
    from landing.landed_opportunity_history as landed
    inner join reported_spans as spans on landed.opportunity_id = spans.opportunity_id
    where landed.corrected_at is null or landed.corrected_at < spans.recorded_to_at
),

in_force as (
    select belief_id, key_hash, max(load_id) as load_id from landed group by belief_id, key_hash
),

moved as (
    select
        landed.belief_id as opportunity_id,
        case when landed.recorded_at >= landed.recorded_to_at then landed.recorded_at else landed.changed_at end
            as changed_at,
        landed.field,
        landed.old_value,
        landed.new_value,
        row_number() over (
            partition by
                landed.belief_id, landed.field,
                case when landed.recorded_at >= landed.recorded_to_at then landed.recorded_at else landed.changed_at end,
                case when landed.recorded_at >= landed.recorded_to_at and landed.recorded_at > landed.changed_at
                    then 1 else 0 end
            order by landed.changed_at
        ) as place
    from landed
    inner join in_force
        on landed.belief_id = in_force.belief_id
        and landed.key_hash = in_force.key_hash
        and landed.load_id = in_force.load_id
),

final as (
    select opportunity_id, changed_at, field, old_value, new_value, cast(null as timestamp) as recorded_at
    from moved
    where place = 1
)

select * from final
