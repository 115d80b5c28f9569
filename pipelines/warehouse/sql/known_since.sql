-- One row per field of an opportunity whose changes are written down, and the first instant any of them was: before it,
-- or without it, the value of every deal is the one it ended with, carried back, and tells nothing of what was believed.
-- Changes come from field history, state history, or several extracts of one opportunity.
with history as (
    select field, min(changed_at) as since_at from opportunity_history group by field
),

stated as (
    select unnest([
        {'field': 'stage', 'since_at': min(changed_at) filter (where stage is not null)},
        {'field': 'close_on', 'since_at': min(changed_at) filter (where close_on is not null)},
        {'field': 'forecast_category', 'since_at': min(changed_at) filter (where forecast_category is not null)},
        {'field': 'probability_rate', 'since_at': min(changed_at) filter (where probability_rate is not null)}
    ]) as told
    from opportunity_states
),

repeated as (
    select min(extracted_at) as since_at
    from opportunity_extracts
    where opportunity_id in (
        select opportunity_id from opportunity_extracts group by opportunity_id having count(distinct extracted_at) > 1
    )
),

extracted as (
    select unnest(['stage', 'close_on', 'forecast_category', 'probability_rate']) as field, since_at from repeated
),

final as (
    select field, min(since_at) as since_at
    from (
        select field, since_at from history
        union all
        select told.field, told.since_at from stated
        union all
        select field, since_at from extracted
    )
    where since_at is not null
    group by field
)

select * from final
