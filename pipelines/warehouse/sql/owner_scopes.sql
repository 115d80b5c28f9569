-- One row per owner, scope they belonged to and span of days [from_on, to_on): themselves, each manager above them
-- while that held, and the company.
with owners as (
    select distinct owner_id as person_id from movement_path
),

lineage as (
    select * from lineage where depth > 0
),

final as (
    select person_id, person_id as scope, date '0001-01-01' as from_on, date '9999-12-31' as to_on from owners
    union all
    select person_id, 'company', date '0001-01-01', date '9999-12-31' from owners
    union all
    select owners.person_id, lineage.ancestor_id, lineage.from_on, lineage.to_on
    from owners
    inner join lineage using (person_id)
)

select person_id, scope, from_on, to_on from final
