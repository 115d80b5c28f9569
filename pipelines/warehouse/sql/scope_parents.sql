-- One row per person who ever owned a deal, made a call, had a record or a quota, or managed such a person: whom they
-- sit under at the edition's day ($as_of_at), or 'company'. A cycle is cut at its smallest id, which then sits under the
-- company.
with spans as (
    select * from people_spans
),

above as (
    select person_id, ancestor_id, from_on, to_on from lineage
),

named as (
    select owner_id as person_id from opportunity_versions
    union select forecaster_id from calls
    union select forecaster_id from record_calls
    union select person_id from quotas_in_force
),

persons as (
    select person_id from named
    union
    select above.ancestor_id from above inner join named using (person_id)
),

today as (
    select *
    from spans
    where from_on <= cast(cast($as_of_at as timestamp) as date) and to_on > cast(cast($as_of_at as timestamp) as date)
),

lineage_today as (
    select *
    from above
    where from_on <= cast(cast($as_of_at as timestamp) as date) and to_on > cast(cast($as_of_at as timestamp) as date)
),

in_cycle as (
    select person_id, min(ancestor_id) as smallest_id
    from lineage_today
    where person_id in (
        select cycle.person_id
        from lineage_today as cycle
        inner join today as last_one on cycle.ancestor_id = last_one.person_id
        where last_one.manager_id = cycle.person_id
    )
    group by person_id
),

final as (
    select
        persons.person_id,
        case
            when managers.person_id is null then 'company'
            when in_cycle.smallest_id = persons.person_id then 'company'
            else today.manager_id
        end as parent_scope
    from persons
    left join today using (person_id)
    left join persons as managers on today.manager_id = managers.person_id
    left join in_cycle on persons.person_id = in_cycle.person_id
)

select person_id, parent_scope from final
