-- One row per opportunity, time in which its past was told otherwise than now, and state as it was told then.
-- Valid [valid_from_at, valid_to_at), as told in [recorded_from_at, recorded_to_at); ended_by as in reported_spans.
with told as (
    select * from reported_told
),

spans as (
    select * from reported_spans
),

final as (
    select
        spans.opportunity_id,
        spans.recorded_from_at,
        spans.recorded_to_at,
        spans.ended_by,
        told.valid_from_at,
        case when told.valid_to_at < spans.recorded_to_at then told.valid_to_at else timestamp '9999-12-31 00:00:00' end
            as valid_to_at,
        told.owner_id,
        told.stage,
        told.amount,
        told.currency,
        told.reporting_amount,
        told.close_on,
        told.forecast_category,
        told.probability_rate,
        told.is_closed,
        told.is_won,
        told.is_deleted
    from told
    inner join spans on told.opportunity_id = spans.belief_id
    where told.valid_from_at < spans.recorded_to_at
)

select * from final
