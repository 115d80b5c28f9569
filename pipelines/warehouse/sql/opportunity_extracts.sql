-- One row per opportunity and extract that may be used at the as-of ($as_of_at), in order of seen_at.
-- An extract taken after the as-of is hidden when an earlier one of that opportunity exists; otherwise the first is
-- carried back, its fields corrected by the history. An extract that does not say when it was taken was taken after
-- everything (9999-12-31); beside extracts that do, its modified_at stands in, and without one it is not used.
-- An opportunity is visible from the end of created_on, or from its first extract if that is earlier.
with landed as (
    select * from opportunity_rows
),

flags as (
    select stage, is_closed, is_won from stage_flags
),

loads as (
    select
        load_id,
        count(amount) > 0 as states_amount,
        count(currency) > 0 as states_currency,
        count(forecast_category) > 0 as states_forecast_category,
        count(probability_rate) > 0 as states_probability_rate
    from landed
    group by load_id
),

dated as (
    select opportunity_id, count(extracted_at) as dated_count from landed group by opportunity_id
),

seen as (
    select
        landed.*,
        case
            when landed.extracted_at is not null then landed.extracted_at
            when dated.dated_count = 0 then timestamp '9999-12-31 00:00:00'
            else landed.modified_at
        end as seen_at
    from landed
    inner join dated using (opportunity_id)
),

ordered as (
    select
        *,
        row_number() over (partition by opportunity_id order by seen_at, load_id) as position
    from seen
    where seen_at is not null
),

usable as (
    select
        ordered.*,
        cast(ordered.created_on as timestamp) as created_at,
        coalesce(ordered.is_closed, case when ordered.is_won then true end, flags.is_closed, false) as row_is_closed,
        coalesce(ordered.is_closed, case when ordered.is_won then true end, flags.is_closed, false)
            and coalesce(ordered.is_won, flags.is_won, false) as row_is_won,
        ordered.is_closed is not null or ordered.is_won is not null as has_own_flags
    from ordered
    left join flags using (stage)
    where ordered.position = 1 or ordered.seen_at <= cast($as_of_at as timestamp)
),

final as (
    select
        usable.*,
        loads.states_amount,
        loads.states_currency,
        loads.states_forecast_category,
        loads.states_probability_rate,
        lag(usable.seen_at) over (partition by usable.opportunity_id order by usable.position) as previous_seen_at,
        lag(usable.row_is_closed) over (partition by usable.opportunity_id order by usable.position) as previous_is_closed,
        lead(usable.position) over (partition by usable.opportunity_id order by usable.position) is null as is_last
    from usable
    inner join loads using (load_id)
    where usable.opportunity_id in (
        select opportunity_id from usable
        where seen_at <= cast($as_of_at as timestamp)
            or created_at + interval '86399 seconds' <= cast($as_of_at as timestamp)
    )
)

select * from final
