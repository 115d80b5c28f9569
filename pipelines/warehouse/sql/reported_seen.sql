-- One row per extract of an opportunity as it was told once (reported_spans), taken before that ended, or its first.
with ordered as (
    select * from reported_ordered
),

spans as (
    select belief_id, recorded_to_at from reported_spans
),

final as (
    select ordered.*
    from ordered
    inner join spans on ordered.opportunity_id = spans.belief_id
    where ordered.position = 1 or ordered.seen_at < spans.recorded_to_at
)

select * from final
