-- One row per published period, person and scope they belonged to on the period's lock day (its start + 7 · $lock_week
-- days, not after the as-of): themselves, every manager above them, and the company.
with periods as (
    select
        period_start_on,
        least(
            cast(period_start_on as date) + 7 * cast($lock_week as integer), cast(cast($as_of_at as timestamp) as date)
        ) as lock_on
    from periods
),

scopes as (
    select scope from scopes where scope <> 'company'
),

lineage as (
    select * from lineage where depth > 0
),

final as (
    select periods.period_start_on, scopes.scope as person_id, 'company' as scope
    from periods cross join scopes
    union all
    select periods.period_start_on, scopes.scope, scopes.scope
    from periods cross join scopes
    union all
    select periods.period_start_on, lineage.person_id, lineage.ancestor_id
    from periods
    inner join lineage on lineage.from_on <= periods.lock_on and lineage.to_on > periods.lock_on
    inner join scopes on lineage.person_id = scopes.scope
)

select period_start_on, person_id, scope from final
