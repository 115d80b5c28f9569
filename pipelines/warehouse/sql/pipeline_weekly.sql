-- One row per week looked at × scope that had any deal in one of them: the pipeline of everybody who belonged to the scope
-- on the week's last day (week_end_on), zeros included. Columns as in pipeline_cells.
with cells as (
    select * from pipeline_cube
),

weeks as (
    select period_start_on, week_of_period, cast(on_day as date) - 1 as week_end_on from pipeline_weeks
),

lineage as (
    select person_id, ancestor_id, from_on, to_on from lineage where depth > 0
),

of_owners as (
    select
        weeks.period_start_on, weeks.week_of_period, weeks.week_end_on, cells.owner_id,
        sum(cells.open_count) as open_count, sum(cells.open_amount) as open_amount,
        sum(cells.unvalued_count) as unvalued_count,
        sum(cells.due_count) as due_count, sum(cells.due_amount) as due_amount,
        sum(cells.won_count) as won_count, sum(cells.won_amount) as won_amount,
        sum(cells.lost_count) as lost_count, sum(cells.lost_amount) as lost_amount
    from cells
    inner join weeks
        on cells.period_start_on = weeks.period_start_on and cells.week_of_period = weeks.week_of_period
    group by weeks.period_start_on, weeks.week_of_period, weeks.week_end_on, cells.owner_id
),

placed as (
    select 'company' as scope, of_owners.* from of_owners
    union all
    select owner_id, of_owners.* from of_owners
    union all
    select lineage.ancestor_id, of_owners.*
    from of_owners
    inner join lineage
        on of_owners.owner_id = lineage.person_id
        and lineage.from_on <= of_owners.week_end_on
        and lineage.to_on > of_owners.week_end_on
),

summed as (
    select
        period_start_on, week_of_period, scope,
        sum(open_count) as open_count, sum(open_amount) as open_amount, sum(unvalued_count) as unvalued_count,
        sum(due_count) as due_count, sum(due_amount) as due_amount,
        sum(won_count) as won_count, sum(won_amount) as won_amount,
        sum(lost_count) as lost_count, sum(lost_amount) as lost_amount
    from placed
    group by period_start_on, week_of_period, scope
),

told as (
    select distinct scope from summed
),

final as (
    select
        weeks.period_start_on,
        weeks.week_of_period,
        told.scope,
        weeks.week_end_on,
        cast(coalesce(summed.open_count, 0) as bigint) as open_count,
        cast(coalesce(summed.open_amount, 0) as decimal(18, 2)) as open_amount,
        cast(coalesce(summed.unvalued_count, 0) as bigint) as unvalued_count,
        cast(coalesce(summed.due_count, 0) as bigint) as due_count,
        cast(coalesce(summed.due_amount, 0) as decimal(18, 2)) as due_amount,
        cast(coalesce(summed.won_count, 0) as bigint) as won_count,
        cast(coalesce(summed.won_amount, 0) as decimal(18, 2)) as won_amount,
        cast(coalesce(summed.lost_count, 0) as bigint) as lost_count,
        cast(coalesce(summed.lost_amount, 0) as decimal(18, 2)) as lost_amount
    from told
    cross join weeks
    left join summed
        on told.scope = summed.scope
        and weeks.period_start_on = summed.period_start_on
        and weeks.week_of_period = summed.week_of_period
)

select * from final
