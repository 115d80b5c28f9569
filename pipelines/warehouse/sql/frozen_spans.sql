-- One row per opportunity and time in which its past was told as nobody had corrected it yet: [recorded_from_at,
-- recorded_to_at). As reported_spans, save that a closing counts from the day it happened although an extract showed it
-- later: that extract is the first news of it, and an actual that was frozen in between is not corrected by it.
with corrections as (
    select opportunity_id, recorded_to_at from reported_spans where ended_by = 'correction'
),

final as (
    select
        opportunity_id,
        lag(recorded_to_at, 1, timestamp '1000-01-01 00:00:00')
            over (partition by opportunity_id order by recorded_to_at) as recorded_from_at,
        recorded_to_at
    from corrections
)

select * from final
