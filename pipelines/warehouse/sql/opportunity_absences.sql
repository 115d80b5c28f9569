-- One row per opportunity and extract after which a full extract lacks it: absent_at, the first full extract without it,
-- and back_at, the next extract that has it again (null where none has).
-- That an extract was full is claimed in the ledger (status 'whole'); one that is not proves nothing of what it lacks.
with claims as (
    select extracted_at as claimed_at, min(load_id) as load_id
    from landing.loads
    where status = 'whole' and extracted_at <= cast($as_of_at as timestamp)
    group by extracted_at
),

spans as (
    select
        opportunity_id,
        load_id,
        created_at,
        seen_at,
        lead(seen_at) over (partition by opportunity_id order by position) as next_seen_at
    from opportunity_extracts
    where (select count(*) from claims) > 0
),

-- An extract without an instant of its own was taken before a claim that it landed before.
final as (
    select
        spans.opportunity_id,
        spans.seen_at,
        min(claims.claimed_at) as absent_at,
        min(spans.next_seen_at) as back_at
    from spans
    inner join claims
        on (spans.seen_at < claims.claimed_at
            or (spans.seen_at = timestamp '9999-12-31 00:00:00'
                and spans.load_id < claims.load_id
                and spans.created_at < claims.claimed_at))
        and (spans.next_seen_at is null or claims.claimed_at < spans.next_seen_at)
    group by spans.opportunity_id, spans.seen_at
)

select * from final
