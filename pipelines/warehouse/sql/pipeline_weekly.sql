-- One row per week looked at × scope that had any deal in one of them: the pipeline of everybody who belonged to the scope
-- on the week's last day (week_end_on), zeros included. Columns as in pipeline_cells.
with weeks as (
    select period_start_on, week_of_period, cast(on_day as date) - 1 as week_end_on from pipeline_weeks
),

summed as (
    select * from weekly_sums
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
        coalesce(summed.open_count, 0) as open_count,
        coalesce(summed.open_amount, 0) as open_amount,
        coalesce(summed.unvalued_count, 0) as unvalued_count,
        coalesce(summed.due_count, 0) as due_count,
        coalesce(summed.due_amount, 0) as due_amount,
        coalesce(summed.won_count, 0) as won_count,
        coalesce(summed.won_amount, 0) as won_amount,
        coalesce(summed.lost_count, 0) as lost_count,
        coalesce(summed.lost_amount, 0) as lost_amount
    from told
    cross join weeks
    left join summed
        on told.scope = summed.scope
        and weeks.period_start_on = summed.period_start_on
        and weeks.week_of_period = summed.week_of_period
)

select * from final
