-- One row per opportunity and extract that may be used at the as-of ($as_of_at), in order of seen_at.
-- An extract taken after the as-of is hidden when an earlier one of that opportunity exists; otherwise the first is
-- carried back, its fields corrected by the history.
-- An opportunity is visible from the end of created_on, or from its first extract if that is earlier.
with ordered as (
    select * from opportunity_seen
),

flags as (
    select stage, is_closed, is_won from stage_flags
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
        lag(usable.seen_at) over (partition by usable.opportunity_id order by usable.position) as previous_seen_at,
        lag(usable.row_is_closed) over (partition by usable.opportunity_id order by usable.position) as previous_is_closed,
        lead(usable.position) over (partition by usable.opportunity_id order by usable.position) is null as is_last
    from usable
    where usable.opportunity_id in (
        select opportunity_id from usable
        where seen_at <= cast($as_of_at as timestamp)
            or created_at + interval '86399 seconds' <= cast($as_of_at as timestamp)
    )
)

select * from final
