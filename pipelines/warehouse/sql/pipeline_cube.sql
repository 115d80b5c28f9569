-- One row per week of a published period × owner × forecast category × stage in which any deal stood or closed.
-- open_*: deals open and not deleted at the week's end; due_*: those of them with a close date in the week's period.
-- won_*, lost_*: deals that closed in the days since the week before, or since the period began, by what they were when
-- they closed (lost: closed without a win, whyever); one that closes twice is told twice. Amounts: reporting currency; a deal without one weighs
-- 0.00 and is counted in unvalued_count (open deals), closed_unvalued_count (closings).
-- Every open version becomes a range of week numbers by equality joins with the days, and only then rows: no day is ever
-- copied. Owner, category, stage and week are folded into one whole number (cell_week), which groups several times as
-- fast as four texts: an owner's cell, and within it the place of category, stage and week. Weeks outside of $from_week
-- to $to_week are left out; each week stands for itself alone. The versions are read where they are needed and not put
-- into an expression of their own: most engines would write such a copy out before they read it.
with kinds as (
    select forecast_category, stage, cast(row_number() over (order by stage, forecast_category) as bigint) as kind_number
    from (select distinct forecast_category, stage from opportunity_versions) as every_kind
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

ends as (
    select min(until_at) as first_at, max(until_at) as last_at
    from pipeline_weeks
    where week_number between cast($from_week as integer) and cast($to_week as integer)
),

sizes as (
    select
        (select count(*) + 1 from weeks) as week_count,
        (select count(*) + 1 from kinds) * (select count(*) + 1 from weeks) as place_count
),

owners as (
    select every_owner.owner_id, row_number() over (order by every_owner.owner_id) * sizes.place_count as cell
    from (select distinct owner_id from opportunity_versions) as every_owner
    cross join sizes
),

places as (
    select
        kinds.kind_number * sizes.week_count + weeks.week_number as place,
        kinds.forecast_category,
        kinds.stage,
        weeks.period_start_on,
        weeks.week_of_period
    from kinds
    cross join sizes
    cross join weeks
),

open_spans as (
    select
        owners.cell + kinds.kind_number * sizes.week_count as cell,
        versions.reporting_amount,
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
    from opportunity_versions as versions
    cross join reach
    cross join ends
    cross join sizes
    inner join owners on versions.owner_id is not distinct from owners.owner_id
    inner join kinds
        on versions.forecast_category is not distinct from kinds.forecast_category
        and versions.stage is not distinct from kinds.stage
    left join days as begun on cast(versions.valid_from_at as date) = begun.on_day
    left join days as ended on cast(versions.valid_to_at as date) = ended.on_day
    left join days as due on versions.close_on = due.on_day
    where not versions.is_deleted and not versions.is_won and not versions.is_closed
        -- A case, as engines take two plain bounds for a sign of few rows, and then join the other way round.
        and case when versions.valid_from_at > ends.last_at then false else versions.valid_to_at >= ends.first_at end
),

stood as (
    select
        cell, reporting_amount, due_first_number, due_last_number,
        unnest(generate_series(first_number, last_number)) as week_number
    from open_spans
    where first_number <= last_number
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

closed_before as (
    select opportunity_id, valid_to_at, is_won
    from opportunity_versions
    where not is_deleted and (is_won or is_closed)
),

closings as (
    select
        owners.cell + kinds.kind_number * sizes.week_count + begun.week_count + 1 as cell_week,
        versions.is_won,
        versions.reporting_amount
    from opportunity_versions as versions
    inner join days as begun
        on cast(versions.valid_from_at as date) = begun.on_day
        and begun.week_count + 1 between begun.first_number and begun.last_number
        and begun.week_count + 1 between cast($from_week as integer) and cast($to_week as integer)
    cross join sizes
    left join closed_before as before
        on versions.opportunity_id = before.opportunity_id
        and versions.valid_from_at = before.valid_to_at
        and versions.is_won = before.is_won
    inner join owners on versions.owner_id is not distinct from owners.owner_id
    inner join kinds
        on versions.forecast_category is not distinct from kinds.forecast_category
        and versions.stage is not distinct from kinds.stage
    where not versions.is_deleted and (versions.is_won or versions.is_closed) and before.opportunity_id is null
),

closed as (
    select
        cell_week,
        count(case when is_won then 1 end) as won_count,
        sum(case when is_won then reporting_amount end) as won_amount,
        count(case when not is_won then 1 end) as lost_count,
        sum(case when not is_won then reporting_amount end) as lost_amount,
        count(*) - count(reporting_amount) as unvalued_count
    from closings
    group by cell_week
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

parted as (
    select
        told.*,
        told.cell_week - told.cell_week % sizes.place_count as cell,
        told.cell_week % sizes.place_count as place
    from told
    cross join sizes
),

final as (
    select
        places.period_start_on,
        places.week_of_period,
        owners.owner_id,
        places.forecast_category,
        places.stage,
        cast(coalesce(parted.open_count, 0) as bigint) as open_count,
        cast(coalesce(parted.open_amount, 0) as decimal(18, 2)) as open_amount,
        cast(coalesce(parted.unvalued_count, 0) as bigint) as unvalued_count,
        cast(coalesce(parted.due_count, 0) as bigint) as due_count,
        cast(coalesce(parted.due_amount, 0) as decimal(18, 2)) as due_amount,
        cast(coalesce(parted.won_count, 0) as bigint) as won_count,
        cast(coalesce(parted.won_amount, 0) as decimal(18, 2)) as won_amount,
        cast(coalesce(parted.lost_count, 0) as bigint) as lost_count,
        cast(coalesce(parted.lost_amount, 0) as decimal(18, 2)) as lost_amount,
        cast(coalesce(parted.closed_unvalued_count, 0) as bigint) as closed_unvalued_count
    from parted
    inner join owners on parted.cell = owners.cell
    inner join places on parted.place = places.place
)

select * from final
