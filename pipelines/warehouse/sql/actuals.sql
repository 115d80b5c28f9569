-- One row per basis × person × period in which anything landed: 'own' deals, those of the 'subtree' (themselves and
-- everybody below them on each deal's close date), or of the 'company' (person_id 'company'). What was booked without
-- a deal is nobody's own (person_id null) and the company's.
-- actual_amount: what landed, null when an amount's currency has no rate; won deals without an amount add nothing to
-- it, but to won_count, and are kept in rejected_rows.
with won as (
    select * from actual_rows
),

lineage as (
    select * from lineage
),

attributed as (
    select 'own' as basis, owner_id as person_id, won.* from won
    union all
    select 'company', 'company', won.* from won
    union all
    select 'subtree', lineage.ancestor_id, won.*
    from won
    inner join lineage
        on won.owner_id = lineage.person_id
        and lineage.from_on <= won.close_on
        and lineage.to_on > won.close_on
),

final as (
    select
        basis,
        person_id,
        period_start_on,
        count(distinct opportunity_id) as won_count,
        count(case when amount is not null and reporting_amount is null then 1 end) as no_rate_count,
        count(reporting_amount) as valued_count,
        try_cast(sum(reporting_amount) as decimal(18, 2)) as actual_amount
    from attributed
    group by basis, person_id, period_start_on
)

select * from final
