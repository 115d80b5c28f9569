-- One row per landed opportunity row that counts at the as-of ($as_of_at), with the instant it was known (known_at).
-- An extract taken later that is carried back counts as known from the end of its deal's first day.
with landed as (
    select opportunity_id, load_id, line, created_on, known_at from opportunity_rows
),

carried as (
    select opportunity_id, load_id, line from opportunity_extracts where position = 1
),

final as (
    select
        case
            when landed.known_at > cast($as_of_at as timestamp)
                then cast(landed.created_on as timestamp) + interval '86399 seconds'
            else landed.known_at
        end as known_at
    from landed
    left join carried using (opportunity_id, load_id, line)
    where landed.known_at <= cast($as_of_at as timestamp) or carried.line is not null
)

select known_at from final
