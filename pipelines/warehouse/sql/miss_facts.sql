-- One row per closed period and deal of its $week-th week that was called or won (miss_keys): what was known of it and
-- its owner at the lock, and of its owner when it closed.
-- first_owner_id: who owned it when it was created. is_touched: any activity in the $inactive_days days before the lock's
-- end, null where no activity has ever landed. is_valued: false when an amount is stated in a currency that no rate
-- converts, so that no sum may hold it.
with keys as (
    select period_start_on, opportunity_id, lock_owner_id, end_owner_id, lock_amount, end_amount, end_on from miss_keys
),

weeks as (
    select
        period_start_on,
        until_at,
        cast(until_at as date) - 1 as lock_on,
        cast(cast(until_at as date) - cast($inactive_days as integer) as timestamp) as touched_since_at
    from weeks
    where week_of_period = cast($week as bigint)
),

versions as (
    select opportunity_id, valid_from_at, valid_to_at, owner_id, amount from seen_versions
),

people as (
    select person_id, manager_id, team, region, hired_on, from_on, to_on from people_spans
),

names as (
    select scope as person_id, scope_name from scopes
),

any_activity as (
    select count(*) > 0 as has_any from activities
),

first_owners as (
    select versions.opportunity_id, arg_min(versions.owner_id, versions.valid_from_at) as first_owner_id
    from versions
    where versions.opportunity_id in (select opportunity_id from keys)
    group by versions.opportunity_id
),

own_amounts as (
    select keys.period_start_on, keys.opportunity_id, max(versions.amount) as lock_own_amount
    from keys
    inner join weeks using (period_start_on)
    inner join versions
        on keys.opportunity_id = versions.opportunity_id
        and versions.valid_from_at < weeks.until_at and versions.valid_to_at >= weeks.until_at
    group by keys.period_start_on, keys.opportunity_id
),

touched as (
    select distinct keys.period_start_on, keys.opportunity_id
    from keys
    inner join weeks using (period_start_on)
    inner join activities
        on keys.opportunity_id = activities.opportunity_id
        and activities.occurred_at < weeks.until_at
        and activities.occurred_at >= weeks.touched_since_at
),

final as (
    select
        keys.period_start_on,
        keys.opportunity_id,
        weeks.lock_on,
        first_owners.first_owner_id,
        at_lock.team as lock_team,
        at_end.team as end_team,
        at_lock.region as lock_region,
        at_end.region as end_region,
        coalesce(lock_managers.scope_name, at_lock.manager_id) as lock_manager,
        coalesce(end_managers.scope_name, at_end.manager_id) as end_manager,
        date_diff('day', at_lock.hired_on, weeks.lock_on) as tenure_days,
        case when any_activity.has_any then touched.opportunity_id is not null end as is_touched,
        not (
            (own_amounts.lock_own_amount is not null and keys.lock_owner_id is not null and keys.lock_amount is null)
            or (won.amount is not null and won.reporting_amount is null)
        ) as is_valued
    from keys
    inner join weeks using (period_start_on)
    cross join any_activity
    left join first_owners using (opportunity_id)
    left join own_amounts
        on keys.period_start_on = own_amounts.period_start_on and keys.opportunity_id = own_amounts.opportunity_id
    left join won_deals as won
        on keys.period_start_on = won.period_start_on and keys.opportunity_id = won.opportunity_id
    left join touched
        on keys.period_start_on = touched.period_start_on and keys.opportunity_id = touched.opportunity_id
    left join people as at_lock
        on coalesce(keys.lock_owner_id, keys.end_owner_id) = at_lock.person_id
        and at_lock.from_on <= weeks.lock_on and at_lock.to_on > weeks.lock_on
    left join people as at_end
        on keys.end_owner_id = at_end.person_id
        and at_end.from_on <= coalesce(won.close_on, weeks.lock_on)
        and at_end.to_on > coalesce(won.close_on, weeks.lock_on)
    left join names as lock_managers on at_lock.manager_id = lock_managers.person_id
    left join names as end_managers on at_end.manager_id = end_managers.person_id
)

select * from final
