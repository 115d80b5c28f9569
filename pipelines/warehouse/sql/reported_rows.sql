-- One row per extract of an opportunity whose past was told otherwise once, as it was in force until that ended: its
-- opportunity_id is the belief_id of reported_spans.
with landed as (
    select landed.*, spans.belief_id
    from landing.landed_opportunities as landed
    inner join reported_spans as spans on landed.opportunity_id = spans.opportunity_id
    where landed.corrected_at is null or landed.corrected_at < spans.recorded_to_at
),

in_force as (
    select belief_id, key_hash, max(load_id) as load_id from landed group by belief_id, key_hash
),

final as (
    select
        landed.belief_id as opportunity_id, landed.owner_id, landed.created_on, landed.close_on, landed.stage,
        landed.amount, landed.currency, landed.probability_rate, landed.forecast_category, landed.name,
        landed.account_id, landed.account_name, landed.opportunity_type, landed.lead_source, landed.sales_motion,
        landed.outcome_reason, landed.next_step, landed.last_activity_on, landed.is_won, landed.is_closed,
        landed.is_deleted, landed.modified_at, landed.extracted_at, landed.load_id, landed.line
    from landed
    inner join in_force
        on landed.belief_id = in_force.belief_id
        and landed.key_hash = in_force.key_hash
        and landed.load_id = in_force.load_id
)

select * from final
