-- One row per won deal and scope it counts for: its owner, everybody above them on the day it closed, the company.
-- The same hierarchy that the actuals are counted by.
with won as (
    select opportunity_id, period_start_on, owner_id, close_on from won_deals
),

lineage as (
    select person_id, ancestor_id, from_on, to_on from lineage
),

scopes as (
    select scope from scopes
),

placed as (
    select period_start_on, opportunity_id, 'company' as scope from won
    union
    select period_start_on, opportunity_id, owner_id from won
    union
    select won.period_start_on, won.opportunity_id, lineage.ancestor_id
    from won
    inner join lineage
        on won.owner_id = lineage.person_id and lineage.from_on <= won.close_on and lineage.to_on > won.close_on
),

final as (
    select placed.period_start_on, placed.opportunity_id, placed.scope
    from placed
    inner join scopes on placed.scope = scopes.scope
)

select * from final
