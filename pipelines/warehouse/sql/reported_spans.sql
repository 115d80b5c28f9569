-- One row per opportunity and time in which its past was told otherwise than now: [recorded_from_at, recorded_to_at), what
-- ended it (ended_by, see version_corrections), and belief_id, which stands for the opportunity as it was told then.
with corrections as (
    select
        opportunity_id,
        corrected_at,
        corrected_by,
        row_number() over (partition by opportunity_id order by corrected_at) as place,
        lag(corrected_at) over (partition by opportunity_id order by corrected_at) as corrected_before_at
    from version_corrections
),

final as (
    select
        opportunity_id,
        coalesce(corrected_before_at, timestamp '1000-01-01 00:00:00') as recorded_from_at,
        corrected_at as recorded_to_at,
        corrected_by as ended_by,
        opportunity_id || chr(31) || cast(place as varchar) as belief_id
    from corrections
)

select * from final
