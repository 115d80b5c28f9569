-- One row per closed period and deal of its $week-th week that was called or won (miss_keys): what its record held at the
-- lock beside what its versions say.
-- has_no_next_step: null where it is not known: neither an extract taken by then, nor recorded changes of next_step that
-- begin before the lock, say so. handoff_days: from its first lead to the opportunity, null without a lead. currency: its
-- own at the lock, of a younger deal its latest; null where none is stated.
with keys as (
    select period_start_on, opportunity_id from miss_keys
),

weeks as (
    select period_start_on, until_at from weeks where week_of_period = cast($week as bigint)
),

versions as (
    select opportunity_id, valid_from_at, valid_to_at, currency from seen_versions
),

extracts as (
    select opportunity_id, extracted_at, position, created_on, next_step, is_last from opportunity_extracts
),

any_next_step as (
    select count(*) > 0 as has_any from extracts where next_step is not null
),

changes as (
    select opportunity_id, coalesce(recorded_at, changed_at) as changed_at, old_value, new_value
    from opportunity_history
    where field = 'next_step'
),

recorded as (
    select min(changed_at) as since_at from changes
),

first_leads as (
    select opportunity_id, min(created_on) as lead_on
    from leads
    where opportunity_id is not null
    group by opportunity_id
),

own_currency as (
    select
        keys.period_start_on,
        keys.opportunity_id,
        coalesce(
            max(case
                when versions.valid_from_at < weeks.until_at and versions.valid_to_at >= weeks.until_at
                    then versions.currency
            end),
            max(case when versions.valid_to_at = timestamp '9999-12-31 00:00:00' then versions.currency end)
        ) as currency
    from keys
    inner join weeks on keys.period_start_on = weeks.period_start_on
    inner join versions on keys.opportunity_id = versions.opportunity_id
    group by keys.period_start_on, keys.opportunity_id
),

seen as (
    select
        keys.period_start_on,
        keys.opportunity_id,
        extracts.next_step,
        row_number() over (
            partition by keys.period_start_on, keys.opportunity_id
            order by extracts.extracted_at desc, extracts.position desc
        ) as place
    from keys
    inner join weeks on keys.period_start_on = weeks.period_start_on
    inner join extracts
        on keys.opportunity_id = extracts.opportunity_id and extracts.extracted_at < weeks.until_at
),

written as (
    select
        keys.period_start_on,
        keys.opportunity_id,
        case when changes.changed_at < weeks.until_at then changes.new_value else changes.old_value end as next_step,
        row_number() over (
            partition by keys.period_start_on, keys.opportunity_id
            order by
                case when changes.changed_at < weeks.until_at then 0 else 1 end,
                case when changes.changed_at < weeks.until_at then changes.changed_at end desc nulls last,
                changes.changed_at
        ) as place
    from keys
    inner join weeks on keys.period_start_on = weeks.period_start_on
    inner join changes on keys.opportunity_id = changes.opportunity_id
    cross join recorded
    where recorded.since_at < weeks.until_at
),

final as (
    select
        keys.period_start_on,
        keys.opportunity_id,
        case
            when written.opportunity_id is not null then coalesce(written.next_step, '') = ''
            when seen.opportunity_id is not null and any_next_step.has_any then seen.next_step is null
        end as has_no_next_step,
        cast(date_diff('day', first_leads.lead_on, in_force.created_on) as bigint) as handoff_days,
        own_currency.currency
    from keys
    cross join any_next_step
    left join (select * from seen where place = 1) as seen
        on keys.period_start_on = seen.period_start_on and keys.opportunity_id = seen.opportunity_id
    left join (select * from written where place = 1) as written
        on keys.period_start_on = written.period_start_on and keys.opportunity_id = written.opportunity_id
    left join (select opportunity_id, created_on from extracts where is_last) as in_force
        on keys.opportunity_id = in_force.opportunity_id
    left join first_leads on keys.opportunity_id = first_leads.opportunity_id
    left join own_currency
        on keys.period_start_on = own_currency.period_start_on and keys.opportunity_id = own_currency.opportunity_id
)

select * from final
