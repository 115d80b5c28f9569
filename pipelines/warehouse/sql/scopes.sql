-- One row per node of the hierarchy as of the edition's day ($as_of_at): the company, and everybody in scope_parents. A
-- layer seen in calls says what a person is; else whom they manage.
with recursive parents as (
    select person_id, parent_scope from scope_parents
),

today as (
    select *
    from people_spans
    where from_on <= cast(cast($as_of_at as timestamp) as date) and to_on > cast(cast($as_of_at as timestamp) as date)
),

tree as (
    select person_id, parent_scope, 1 as depth from parents where parent_scope = 'company' and person_id <> 'company'
    union all
    select parents.person_id, parents.parent_scope, tree.depth + 1
    from parents
    inner join tree on parents.parent_scope = tree.person_id
),

seen_layers as (
    select
        forecaster_id as person_id,
        max(case layer when 'executive' then 3 when 'manager' then 2 when 'rep' then 1 else 0 end) as rank
    from (
        select forecaster_id, layer from calls
        union all
        select forecaster_id, layer from record_calls
    ) as layers
    group by forecaster_id
),

reports as (
    select parent_scope as person_id, count(*) as report_count from parents group by parent_scope
),

chiefs as (
    select distinct parents.parent_scope as person_id
    from parents
    inner join reports on parents.person_id = reports.person_id
),

final as (
    select
        'company' as scope, 'company' as scope_kind, 'Company' as scope_name, cast(null as varchar) as parent_scope,
        cast(0 as bigint) as depth, cast(null as varchar) as team,
        cast(null as varchar) as region, cast(null as varchar) as segment, cast(null as varchar) as role,
        cast(null as date) as hired_on, cast(null as date) as left_on
    union all
    select
        tree.person_id,
        case
            when seen_layers.rank = 3 then 'executive'
            when seen_layers.rank = 2 then 'manager'
            when seen_layers.rank = 1 then 'rep'
            when chiefs.person_id is not null then 'executive'
            when reports.person_id is not null then 'manager'
            else 'rep'
        end,
        coalesce(today.name, tree.person_id),
        tree.parent_scope,
        tree.depth,
        today.team,
        today.region,
        today.segment,
        today.role,
        today.hired_on,
        today.left_on
    from tree
    left join today using (person_id)
    left join seen_layers using (person_id)
    left join reports using (person_id)
    left join chiefs using (person_id)
)

select * from final
