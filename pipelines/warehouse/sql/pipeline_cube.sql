-- One row per week of a published period × owner × forecast category × stage in which any deal stood or closed.
-- open_*: deals open and not deleted at the week's end; due_*: those of them with a close date in the week's period.
-- won_*, lost_*: deals that closed in the days since the week before, or since the period began, by what they were when
-- they closed (lost: closed without a win, whyever); one that closes twice is told twice. Amounts: reporting currency; a deal without one weighs
-- 0.00 and is counted in unvalued_count (open deals), closed_unvalued_count (closings).
-- Every version becomes a range of week numbers by equality joins with the days, and only then rows: no day is ever
-- copied. Owner, category, stage and week are folded into one whole number (cell), which groups several times as fast as
-- four texts. Weeks outside of $from_week to $to_week are left out; each week stands for itself alone.
with owners as (
    select owner_id, cast(row_number() over (order by owner_id) as bigint) as owner_number
    from (select distinct owner_id from opportunity_versions) as every_owner
),

kinds as (
    select forecast_category, stage, cast(row_number() over (order by stage, forecast_category) as bigint) as kind_number
    from (select distinct forecast_category, stage from opportunity_versions) as every_kind
),

sizes as (
    select
        (select count(*) + 1 from kinds) as kind_count,
        (select count(*) + 1 from pipeline_weeks) as week_count
),

versions as (
    select
        opportunity_id, owner_id, forecast_category, stage, reporting_amount, close_on, valid_from_at, valid_to_at,
        case when is_deleted then 'gone' when is_won then 'won' when is_closed then 'lost' else 'open' end as standing
    from opportunity_versions
),

days as (
    select on_day, week_count, first_number, last_number from pipeline_week_days
),

reach as (
    select min(on_day) as first_on, max(on_day) as last_on, max(week_count) as week_count from days
),

weeks as (
    select week_number, period_start_on, week_of_period from pipeline_weeks
),

open_spans as (
    select
        versions.owner_id, versions.forecast_category, versions.stage, versions.reporting_amount,
        greatest(
            coalesce(begun.week_count, case when versions.valid_from_at < reach.first_on then 0 else reach.week_count end)
            + 1,
            cast($from_week as integer)
        ) as first_number,
        least(
            coalesce(ended.week_count, case when versions.valid_to_at < reach.first_on then 0 else reach.week_count end),
            cast($to_week as integer)
        ) as last_number,
        due.first_number as due_first_number,
        due.last_number as due_last_number
    from versions
    cross join reach
    left join days as begun on cast(versions.valid_from_at as date) = begun.on_day
    left join days as ended on cast(versions.valid_to_at as date) = ended.on_day
    left join days as due on versions.close_on = due.on_day
    where versions.standing = 'open'
),

coded as (
    select
        (owners.owner_number * sizes.kind_count + kinds.kind_number) * sizes.week_count as cell,
        open_spans.reporting_amount,
        open_spans.first_number,
        open_spans.last_number,
        open_spans.due_first_number,
        open_spans.due_last_number
    from open_spans
    cross join sizes
    inner join owners on open_spans.owner_id is not distinct from owners.owner_id
    inner join kinds
        on open_spans.forecast_category is not distinct from kinds.forecast_category
        and open_spans.stage is not distinct from kinds.stage
    where open_spans.first_number <= open_spans.last_number
),

stood as (
    select
        cell, reporting_amount, due_first_number, due_last_number,
        unnest(generate_series(first_number, last_number)) as week_number
    from coded
),

summed as (
    select
        cell + week_number as cell_week,
        count(*) as open_count,
        sum(reporting_amount) as open_amount,
        count(reporting_amount) as valued_count,
        sum(case when week_number between due_first_number and due_last_number then 1 else 0 end) as due_count,
        sum(case when week_number between due_first_number and due_last_number then reporting_amount end) as due_amount
    from stood
    group by cell + week_number
),

closings as (
    select
        (owners.owner_number * sizes.kind_count + kinds.kind_number) * sizes.week_count
        + begun.week_count + 1 as cell_week,
        after.standing,
        after.reporting_amount
    from versions as after
    inner join days as begun
        on cast(after.valid_from_at as date) = begun.on_day
        and begun.week_count + 1 between begun.first_number and begun.last_number
        and begun.week_count + 1 between cast($from_week as integer) and cast($to_week as integer)
    cross join sizes
    left join versions as before
        on after.opportunity_id = before.opportunity_id and after.valid_from_at = before.valid_to_at
    inner join owners on after.owner_id is not distinct from owners.owner_id
    inner join kinds
        on after.forecast_category is not distinct from kinds.forecast_category
        and after.stage is not distinct from kinds.stage
    where after.standing in ('won', 'lost')
        and (before.standing is null or before.standing <> after.standing)
),

closed as (
    select
        cell_week,
        count(case when standing = 'won' then 1 end) as won_count,
        sum(case when standing = 'won' then reporting_amount end) as won_amount,
        count(case when standing = 'lost' then 1 end) as lost_count,
        sum(case when standing = 'lost' then reporting_amount end) as lost_amount,
        count(*) - count(reporting_amount) as unvalued_count
    from closings
    group by cell_week
),

codes as (
    select
        (owners.owner_number * sizes.kind_count + kinds.kind_number) * sizes.week_count as cell,
        owners.owner_id,
        kinds.forecast_category,
        kinds.stage
    from owners
    cross join kinds
    cross join sizes
),

told as (
    select
        coalesce(summed.cell_week, closed.cell_week) as cell_week,
        summed.open_count,
        summed.open_amount,
        summed.open_count - summed.valued_count as unvalued_count,
        summed.due_count,
        summed.due_amount,
        closed.won_count,
        closed.won_amount,
        closed.lost_count,
        closed.lost_amount,
        closed.unvalued_count as closed_unvalued_count
    from summed
    full outer join closed on summed.cell_week = closed.cell_week
),

final as (
    select
        weeks.period_start_on,
        weeks.week_of_period,
        codes.owner_id,
        codes.forecast_category,
        codes.stage,
        cast(coalesce(told.open_count, 0) as bigint) as open_count,
        cast(coalesce(told.open_amount, 0) as decimal(18, 2)) as open_amount,
        cast(coalesce(told.unvalued_count, 0) as bigint) as unvalued_count,
        cast(coalesce(told.due_count, 0) as bigint) as due_count,
        cast(coalesce(told.due_amount, 0) as decimal(18, 2)) as due_amount,
        cast(coalesce(told.won_count, 0) as bigint) as won_count,
        cast(coalesce(told.won_amount, 0) as decimal(18, 2)) as won_amount,
        cast(coalesce(told.lost_count, 0) as bigint) as lost_count,
        cast(coalesce(told.lost_amount, 0) as decimal(18, 2)) as lost_amount,
        cast(coalesce(told.closed_unvalued_count, 0) as bigint) as closed_unvalued_count
    from told
    cross join sizes
    inner join codes on told.cell_week - told.cell_week % sizes.week_count = codes.cell
    inner join weeks on told.cell_week % sizes.week_count = weeks.week_number
)

select * from final
