-- One row per person, ancestor (oneself at depth 0) and span of days [from_on, to_on) in which that held.
-- Walks managers upwards, cutting the spans to their overlap. A manager who is not in people ends the walk (the person
-- then sits under the company); a manager met before on the way ends it too: a cycle is cut, never followed.
with recursive spans as (
    select person_id, manager_id, from_on, to_on from people_spans
),

known as (
    select distinct person_id from spans
),

walk as (
    select
        person_id,
        person_id as ancestor_id,
        date '0001-01-01' as from_on,
        date '9999-12-31' as to_on,
        0 as depth,
        chr(31) || person_id || chr(31) as path
    from known
    union all
    select
        walk.person_id,
        spans.manager_id,
        greatest(walk.from_on, spans.from_on),
        least(walk.to_on, spans.to_on),
        walk.depth + 1,
        walk.path || spans.manager_id || chr(31)
    from walk
    inner join spans
        on walk.ancestor_id = spans.person_id
        and spans.from_on < walk.to_on
        and spans.to_on > walk.from_on
    inner join known on spans.manager_id = known.person_id
    where strpos(walk.path, chr(31) || spans.manager_id || chr(31)) = 0
),

final as (
    select person_id, ancestor_id, from_on, to_on, depth from walk
)

select * from final
