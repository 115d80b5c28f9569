-- One row per opportunity and state as it was told at $recorded_at: half-open [valid_from_at, valid_to_at), the last one
-- until 9999-12-31.
with told as (
    select
        opportunity_id, valid_from_at, valid_to_at, owner_id, stage, amount, currency, reporting_amount, close_on,
        forecast_category, probability_rate, is_closed, is_won, is_deleted
    from reported_versions
    where recorded_from_at <= cast($recorded_at as timestamp) and recorded_to_at > cast($recorded_at as timestamp)
    union all
    select
        versions.opportunity_id, versions.valid_from_at, versions.valid_to_at, versions.owner_id, versions.stage,
        versions.amount, versions.currency, versions.reporting_amount, versions.close_on, versions.forecast_category,
        versions.probability_rate, versions.is_closed, versions.is_won, versions.is_deleted
    from opportunity_versions as versions
    left join (
        select distinct opportunity_id from reported_spans
        where recorded_from_at <= cast($recorded_at as timestamp) and recorded_to_at > cast($recorded_at as timestamp)
    ) as otherwise on versions.opportunity_id = otherwise.opportunity_id
    where otherwise.opportunity_id is null
),

final as (
    select
        opportunity_id,
        valid_from_at,
        case when valid_to_at <= cast($recorded_at as timestamp) then valid_to_at
            else timestamp '9999-12-31 00:00:00' end as valid_to_at,
        owner_id, stage, amount, currency, reporting_amount, close_on, forecast_category, probability_rate, is_closed,
        is_won, is_deleted
    from told
    where valid_from_at <= cast($recorded_at as timestamp)
)

select * from final
