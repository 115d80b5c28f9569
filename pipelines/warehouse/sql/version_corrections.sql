-- One row per opportunity and instant ($as_of_at at the latest) at which something of its past was told otherwise than
-- before: corrected_at, and corrected_by: 'correction' (a row of a known key came with other content, or a change was
-- written down later than it happened) or 'closing' (an extract shows a deal closed since before it was taken).
with extracts as (
    select opportunity_id, stage, seen_at, previous_seen_at
    from opportunity_extracts
    where position > 1 and row_is_closed
),

known as (
    select opportunity_id from opportunity_extracts where position = 1
),

told_otherwise as (
    select opportunity_id, corrected_at from landing.landed_opportunities where corrected_at > extracted_at
    union all
    select opportunity_id, corrected_at from landing.landed_opportunity_history where corrected_at > changed_at
    union all
    select opportunity_id, corrected_at from landing.landed_opportunity_states where corrected_at > changed_at
    union all
    select opportunity_id, recorded_at from landing.landed_opportunity_history where recorded_at > changed_at
    union all
    select opportunity_id, recorded_at from landing.landed_opportunity_states where recorded_at > changed_at
),

closed_before as (
    select extracts.opportunity_id, extracts.stage, extracts.seen_at, versions.valid_from_at
    from extracts
    inner join opportunity_versions as versions
        on extracts.opportunity_id = versions.opportunity_id
        and versions.valid_from_at > extracts.previous_seen_at
        and versions.valid_from_at < extracts.seen_at
        and versions.is_closed
        and versions.stage = extracts.stage
),

closers as (
    select distinct opportunity_id from closed_before
),

said_by_history as (
    select history.opportunity_id, history.changed_at, history.new_value as stage
    from opportunity_history as history
    inner join closers on history.opportunity_id = closers.opportunity_id
    where history.field = 'stage'
    union
    select states.opportunity_id, states.changed_at, states.stage
    from opportunity_states as states
    inner join closers on states.opportunity_id = closers.opportunity_id
    where states.stage is not null
),

closings as (
    select closed_before.opportunity_id, closed_before.seen_at
    from closed_before
    left join said_by_history as said
        on closed_before.opportunity_id = said.opportunity_id
        and closed_before.valid_from_at = said.changed_at
        and closed_before.stage = said.stage
    where said.opportunity_id is null
),

final as (
    select opportunity_id, corrected_at, max(corrected_by) as corrected_by
    from (
        select told_otherwise.opportunity_id, told_otherwise.corrected_at, 'correction' as corrected_by
        from told_otherwise
        inner join known on told_otherwise.opportunity_id = known.opportunity_id
        where told_otherwise.corrected_at <= cast($as_of_at as timestamp)
        union all
        select opportunity_id, seen_at, 'closing' from closings
    ) as told
    group by opportunity_id, corrected_at
)

select * from final
