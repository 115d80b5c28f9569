-- One row per opportunity and state as it was told at each instant itself: half-open [valid_from_at, valid_to_at), the
-- last one until 9999-12-31. What was told otherwise later is here as it was told until then: no origin sees a correction
-- recorded after it. The columns of opportunity_versions, which is as everything is told now. told_spans says when that
-- was otherwise: for seen_versions it stands for reported_spans, for frozen_versions for frozen_spans.
with versions as (
    select * from opportunity_versions
),

reported as (
    select * from reported_versions
),

spans as (
    select opportunity_id, recorded_from_at, recorded_to_at from told_spans
),

last_spans as (
    select opportunity_id, max(recorded_to_at) as recorded_from_at from spans group by opportunity_id
),

clipped as (
    select
        reported.opportunity_id,
        greatest(reported.valid_from_at, spans.recorded_from_at) as valid_from_at,
        least(reported.valid_to_at, spans.recorded_to_at) as valid_to_at,
        reported.owner_id, reported.stage, reported.amount, reported.currency, reported.reporting_amount,
        reported.close_on, reported.forecast_category, reported.probability_rate, reported.is_closed, reported.is_won,
        reported.is_deleted
    from reported
    inner join spans
        on reported.opportunity_id = spans.opportunity_id and reported.recorded_to_at = spans.recorded_to_at
    union all
    select
        versions.opportunity_id,
        greatest(versions.valid_from_at, coalesce(last_spans.recorded_from_at, versions.valid_from_at)),
        versions.valid_to_at,
        versions.owner_id, versions.stage, versions.amount, versions.currency, versions.reporting_amount,
        versions.close_on, versions.forecast_category, versions.probability_rate, versions.is_closed, versions.is_won,
        versions.is_deleted
    from versions
    left join last_spans on versions.opportunity_id = last_spans.opportunity_id
),

final as (
    select
        opportunity_id, valid_from_at, valid_to_at, owner_id, stage, amount, currency, reporting_amount, close_on,
        forecast_category, probability_rate, is_closed, is_won, is_deleted
    from clipped
    where valid_from_at < valid_to_at
)

select * from final
