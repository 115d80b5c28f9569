-- One row per week looked at × scope with any deal in pipeline_cube then: its cells, summed over everybody who belonged to the
-- scope on the week's last day. Cells are summed per owner first; who has nobody below them is then done.
with weeks as (
    select week_number, period_start_on, week_of_period, cast(on_day as date) - 1 as week_end_on from pipeline_weeks
),

above as (
    select person_id, ancestor_id, from_on, to_on from lineage where depth > 0
),

leaders as (
    select distinct ancestor_id from above
),

cells as (
    select
        cells.period_start_on, cells.week_of_period, cells.owner_id,
        cast(sum(cells.open_count) as bigint) as open_count,
        cast(sum(cells.open_amount) as decimal(18, 2)) as open_amount,
        cast(sum(cells.unvalued_count) as bigint) as unvalued_count,
        cast(sum(cells.due_count) as bigint) as due_count,
        cast(sum(cells.due_amount) as decimal(18, 2)) as due_amount,
        cast(sum(cells.won_count) as bigint) as won_count,
        cast(sum(cells.won_amount) as decimal(18, 2)) as won_amount,
        cast(sum(cells.lost_count) as bigint) as lost_count,
        cast(sum(cells.lost_amount) as decimal(18, 2)) as lost_amount
    from pipeline_cube as cells
    where exists (
        select 1 from weeks
        where cells.period_start_on = weeks.period_start_on and cells.week_of_period = weeks.week_of_period
    )
    group by cells.period_start_on, cells.week_of_period, cells.owner_id
),

of_owners as (
    select weeks.week_number, weeks.week_end_on, cells.*
    from cells
    inner join weeks
        on cells.period_start_on = weeks.period_start_on and cells.week_of_period = weeks.week_of_period
),

placed as (
    select
        'company' as scope, week_number,
        open_count, open_amount, unvalued_count, due_count, due_amount, won_count, won_amount, lost_count, lost_amount
    from of_owners
    union all
    select
        above.ancestor_id, of_owners.week_number,
        open_count, open_amount, unvalued_count, due_count, due_amount, won_count, won_amount, lost_count, lost_amount
    from of_owners
    inner join above
        on of_owners.owner_id = above.person_id
        and above.from_on <= of_owners.week_end_on
        and above.to_on > of_owners.week_end_on
    union all
    select
        of_owners.owner_id, of_owners.week_number,
        open_count, open_amount, unvalued_count, due_count, due_amount, won_count, won_amount, lost_count, lost_amount
    from of_owners
    inner join leaders on of_owners.owner_id = leaders.ancestor_id
),

summed as (
    select
        week_number, scope,
        sum(open_count) as open_count, sum(open_amount) as open_amount, sum(unvalued_count) as unvalued_count,
        sum(due_count) as due_count, sum(due_amount) as due_amount,
        sum(won_count) as won_count, sum(won_amount) as won_amount,
        sum(lost_count) as lost_count, sum(lost_amount) as lost_amount
    from placed
    group by week_number, scope
    union all
    select
        of_owners.week_number, of_owners.owner_id,
        open_count, open_amount, unvalued_count, due_count, due_amount, won_count, won_amount, lost_count, lost_amount
    from of_owners
    left join leaders on of_owners.owner_id = leaders.ancestor_id
    where leaders.ancestor_id is null and of_owners.owner_id <> 'company'
),

final as (
    select
        weeks.period_start_on,
        weeks.week_of_period,
        summed.scope,
        cast(summed.open_count as bigint) as open_count,
        cast(summed.open_amount as decimal(18, 2)) as open_amount,
        cast(summed.unvalued_count as bigint) as unvalued_count,
        cast(summed.due_count as bigint) as due_count,
        cast(summed.due_amount as decimal(18, 2)) as due_amount,
        cast(summed.won_count as bigint) as won_count,
        cast(summed.won_amount as decimal(18, 2)) as won_amount,
        cast(summed.lost_count as bigint) as lost_count,
        cast(summed.lost_amount as decimal(18, 2)) as lost_amount
    from summed
    inner join weeks on summed.week_number = weeks.week_number
)

select
    period_start_on, week_of_period, scope,
    open_count, open_amount, unvalued_count, due_count, due_amount, won_count, won_amount, lost_count, lost_amount
from final
