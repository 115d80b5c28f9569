-- One row per opportunity and instant at which anything is stated of it: the coded fields (see opportunity_changes).
-- Among sources of one instant: 1 the opening, 2 state history, 3 field history, 4 an extract or the closing it shows.
-- own_flags travels with the stage: '=' and two letters (c/o closed or open, w/n won or not) when the row that states the
-- stage states them itself, '-' when they follow from the stage's name.
with extracts as (
    select
        *,
        case
            when has_own_flags
                then '=' || case when row_is_closed then 'c' else 'o' end || case when row_is_won then 'w' else 'n' end
            else '-'
        end as own_flags
    from opportunity_extracts
),

changes as (
    select * from opportunity_changes where changed_at <= cast($as_of_at as timestamp)
),

openings as (
    select * from opportunity_openings
),

absences as (
    select * from opportunity_absences
),

closings as (
    select
        *,
        '4=' || case when row_is_closed then 'c' else 'o' end || case when row_is_won then 'w' else 'n' end as own_flags
    from opportunity_closings
),

deletions as (
    select
        extracts.*,
        least(coalesce(extracts.modified_at, extracts.seen_at), extracts.seen_at) as deleted_at
    from extracts
    left join openings using (opportunity_id)
    where
        extracts.position = 1 and extracts.is_deleted and openings.is_deleted is null
        and (extracts.modified_at is not null or extracts.seen_at < timestamp '9999-12-31 00:00:00')
),

opened as (
    select
        extracts.opportunity_id,
        least(extracts.created_at, coalesce(openings.first_changed_at, extracts.created_at)) as stated_at,
        '1' || coalesce(openings.owner_id, '=' || extracts.owner_id) as owner_id,
        '1' || coalesce(
            openings.stage, case when extracts.row_is_closed then '-' else '=' || extracts.stage end
        ) as stage,
        '1' || case
            when openings.stage is not null then '-'
            when extracts.row_is_closed then '=on'
            else extracts.own_flags
        end as own_flags,
        '1' || coalesce(openings.amount, '=' || cast(extracts.amount as varchar), '-') as amount,
        '1' || coalesce(openings.currency, '=' || extracts.currency, '-') as currency,
        '1' || coalesce(openings.close_on, '=' || cast(extracts.close_on as varchar)) as close_on,
        '1' || coalesce(openings.forecast_category, '=' || extracts.forecast_category, '-') as forecast_category,
        '1' || coalesce(
            openings.probability_rate, '=' || cast(extracts.probability_rate as varchar), '-'
        ) as probability_rate,
        '1' || case
            when openings.is_deleted is not null then openings.is_deleted
            when deletions.opportunity_id is not null then '=false'
            when extracts.is_deleted then '=true'
            else '=false'
        end as is_deleted
    from extracts
    left join openings using (opportunity_id)
    left join deletions using (opportunity_id)
    where extracts.position = 1
),

stated as (
    select * from opened
    union all
    select
        opportunity_id, changed_at, owner_id, stage,
        case when stage is not null then substr(stage, 1, 1) || '-' end,
        amount, currency, close_on, forecast_category, probability_rate, is_deleted
    from changes
    union all
    select
        opportunity_id, seen_at, '4=' || owner_id, '4=' || stage, '4' || own_flags,
        case when states_amount then '4' || coalesce('=' || cast(amount as varchar), '-') end,
        case when states_currency then '4' || coalesce('=' || currency, '-') end,
        '4=' || cast(close_on as varchar),
        case when states_forecast_category then '4' || coalesce('=' || forecast_category, '-') end,
        case when states_probability_rate then '4' || coalesce('=' || cast(probability_rate as varchar), '-') end,
        case when states_is_deleted then '4=' || case when is_deleted then 'true' else 'false' end end
    from extracts
    where seen_at <= cast($as_of_at as timestamp)
    union all
    select
        opportunity_id, closed_at, case when position > 1 then '4=' || owner_id end, '4=' || stage, own_flags,
        case when position > 1 and states_amount then '4' || coalesce('=' || cast(amount as varchar), '-') end,
        case when position > 1 and states_currency then '4' || coalesce('=' || currency, '-') end,
        case when position > 1 then '4=' || cast(close_on as varchar) end,
        case when position > 1 and states_forecast_category then '4' || coalesce('=' || forecast_category, '-') end,
        case
            when position > 1 and states_probability_rate
                then '4' || coalesce('=' || cast(probability_rate as varchar), '-')
        end,
        null
    from closings
    union all
    select opportunity_id, deleted_at, null, null, null, null, null, null, null, null, '4=true'
    from deletions
    where deleted_at <= cast($as_of_at as timestamp) and deleted_at < seen_at
    union all
    select opportunity_id, absent_at, null, null, null, null, null, null, null, null, '4=true'
    from absences
    union all
    select opportunity_id, back_at, null, null, null, null, null, null, null, null, '4=false'
    from absences
    where back_at is not null
),

final as (
    select
        opportunity_id,
        stated_at,
        max(owner_id) as owner_id,
        max(stage) as stage,
        max(own_flags) as own_flags,
        max(amount) as amount,
        max(currency) as currency,
        max(close_on) as close_on,
        max(forecast_category) as forecast_category,
        max(probability_rate) as probability_rate,
        max(is_deleted) as is_deleted
    from stated
    group by opportunity_id, stated_at
)

select * from final
