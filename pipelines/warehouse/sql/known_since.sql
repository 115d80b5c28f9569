-- One row per field of an opportunity whose changes are written down, and the first instant any of them was: before it,
-- or without it, the value of every deal is the one it ended with, carried back, and tells nothing of what was believed.
-- Changes come from field history, state history, or several extracts of one opportunity.
with history as (
    select field, min(coalesce(recorded_at, changed_at)) as since_at from opportunity_history group by field
),

stated as (
    select 'stage' as field, min(coalesce(recorded_at, changed_at)) as since_at from opportunity_states where stage is not null
    union all
    select 'close_on', min(coalesce(recorded_at, changed_at)) from opportunity_states where close_on is not null
    union all
    select 'forecast_category', min(coalesce(recorded_at, changed_at)) from opportunity_states where forecast_category is not null
    union all
    select 'probability_rate', min(coalesce(recorded_at, changed_at)) from opportunity_states where probability_rate is not null
),

repeated as (
    select min(extracted_at) as since_at
    from opportunity_extracts
    where opportunity_id in (
        select opportunity_id from opportunity_extracts group by opportunity_id having count(distinct extracted_at) > 1
    )
),

extracted as (
    select named.field, repeated.since_at from (select distinct field from stated) as named cross join repeated
),

final as (
    select field, min(since_at) as since_at
    from (
        select field, since_at from history
        union all
        select field, since_at from stated
        union all
        select field, since_at from extracted
    ) as told
    where since_at is not null
    group by field
)

select * from final
