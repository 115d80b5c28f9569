-- One row per owner, span of days [from_on, to_on) in which the hierarchy above them stayed as it was, and scope they
-- belonged to then: themselves, each manager above them, and the company.
with owners as (
    select distinct owner_id as person_id from movement_path where owner_id is not null
),

above as (
    select owners.person_id, lineage.ancestor_id, lineage.from_on, lineage.to_on
    from owners
    inner join lineage on owners.person_id = lineage.person_id and lineage.depth > 0
),

turns as (
    select person_id, date '0001-01-01' as on_day from owners
    union
    select person_id, from_on from above
    union
    select person_id, to_on from above
),

spans as (
    select
        person_id,
        on_day as from_on,
        lead(on_day, 1, date '9999-12-31') over (partition by person_id order by on_day) as to_on
    from turns
),

final as (
    select person_id, from_on, to_on, person_id as scope from spans where from_on < to_on
    union all
    select person_id, from_on, to_on, 'company' from spans where from_on < to_on and person_id <> 'company'
    union all
    select spans.person_id, spans.from_on, spans.to_on, above.ancestor_id
    from spans
    inner join above
        on spans.person_id = above.person_id
        and above.from_on <= spans.from_on
        and above.to_on >= spans.to_on
    where spans.from_on < spans.to_on
)

select person_id, scope, from_on, to_on from final
