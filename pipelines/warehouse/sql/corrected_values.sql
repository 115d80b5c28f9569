-- One row per opportunity, correction (version_corrections of kind 'correction') and field that it told otherwise: from
-- which instant on (valid_from_at), what was reported until the correction and what is told since, as text; an amount in
-- its own currency. Of a field told otherwise of several spans of time, the first.
with spans as (
    select opportunity_id, recorded_to_at from reported_spans
),

told as (
    select
        opportunity_id, recorded_from_at, recorded_to_at, ended_by, valid_from_at, valid_to_at, owner_id, stage, amount,
        close_on, forecast_category, is_deleted
    from reported_versions
    union all
    select
        versions.opportunity_id, last_spans.recorded_from_at, timestamp '9999-12-31 00:00:00', 'nothing',
        versions.valid_from_at, versions.valid_to_at, versions.owner_id, versions.stage, versions.amount,
        versions.close_on, versions.forecast_category, versions.is_deleted
    from opportunity_versions as versions
    inner join (
        select opportunity_id, max(recorded_to_at) as recorded_from_at from spans group by opportunity_id
    ) as last_spans on versions.opportunity_id = last_spans.opportunity_id
),

paired as (
    select
        reported.opportunity_id,
        reported.recorded_to_at as corrected_at,
        greatest(reported.valid_from_at, corrected.valid_from_at) as valid_from_at,
        reported.owner_id as reported_owner_id,
        corrected.owner_id as corrected_owner_id,
        reported.stage as reported_stage,
        corrected.stage as corrected_stage,
        cast(reported.amount as varchar) as reported_amount,
        cast(corrected.amount as varchar) as corrected_amount,
        cast(reported.close_on as varchar) as reported_close_on,
        cast(corrected.close_on as varchar) as corrected_close_on,
        reported.forecast_category as reported_forecast_category,
        corrected.forecast_category as corrected_forecast_category,
        case when reported.is_deleted then 'true' else 'false' end as reported_is_deleted,
        case when corrected.is_deleted then 'true' else 'false' end as corrected_is_deleted
    from told as reported
    inner join told as corrected
        on reported.opportunity_id = corrected.opportunity_id
        and reported.recorded_to_at = corrected.recorded_from_at
        and reported.valid_from_at < corrected.valid_to_at
        and corrected.valid_from_at < reported.valid_to_at
        and corrected.valid_from_at < reported.recorded_to_at
    where reported.ended_by = 'correction'
),

fields as (
    select opportunity_id, corrected_at, valid_from_at, 'amount' as field, reported_amount as reported_value,
        corrected_amount as corrected_value
    from paired
    union all
    select opportunity_id, corrected_at, valid_from_at, 'close_on', reported_close_on, corrected_close_on from paired
    union all
    select opportunity_id, corrected_at, valid_from_at, 'forecast_category', reported_forecast_category,
        corrected_forecast_category
    from paired
    union all
    select opportunity_id, corrected_at, valid_from_at, 'is_deleted', reported_is_deleted, corrected_is_deleted
    from paired
    union all
    select opportunity_id, corrected_at, valid_from_at, 'owner_id', reported_owner_id, corrected_owner_id from paired
    union all
    select opportunity_id, corrected_at, valid_from_at, 'stage', reported_stage, corrected_stage from paired
),

differing as (
    select
        fields.*,
        row_number() over (partition by opportunity_id, corrected_at, field order by valid_from_at) as place
    from fields
    where reported_value is distinct from corrected_value
),

final as (
    select opportunity_id, corrected_at, field, valid_from_at, reported_value, corrected_value
    from differing
    where place = 1
)

select * from final
