-- One row per published period, week and opportunity that was open at that week's end, was won in the period by then,
-- or is won in it later: what was believed of the deal then (lock_*, null when it did not exist yet) and how it ended by
-- the time the period's actual was frozen (end_*, outcome; null while the period is not closed).
-- Weeks are those in $weeks (integers, comma-separated). Amounts: reporting currency; end_amount_at_lock_rate is the
-- amount won at the rate the lock amount was converted at. won_by_week: won in this period before the week's end.
-- outcome: won, lost, no_decision (closed without a win, for a reason or by a stage that says so), open (anything else).
with weeks as (
    select period_start_on, period_end_on, status, week_of_period, until_at
    from weeks
    where ',' || cast($weeks as varchar) || ',' like '%,' || cast(week_of_period as varchar) || ',%'
),

calendar as (
    select period_start_on, freeze_at from calendar
),

versions as (
    select * from seen_versions
),

frozen as (
    select * from frozen_versions
),

rows_in_force as (
    select
        opportunity_id, created_on, sales_motion, lead_source, opportunity_type, outcome_reason, name, account_name
    from opportunity_extracts
    where is_last
),

won as (
    select * from won_deals
),

at_week as (
    select
        weeks.period_start_on,
        weeks.period_end_on,
        weeks.week_of_period,
        weeks.until_at,
        weeks.status as period_status,
        versions.opportunity_id,
        versions.owner_id as lock_owner_id,
        versions.stage as lock_stage,
        versions.forecast_category as lock_category,
        versions.probability_rate as lock_probability_rate,
        versions.amount as lock_own_amount,
        versions.reporting_amount as lock_amount,
        versions.close_on as lock_close_on,
        versions.is_closed as was_closed,
        versions.is_won as was_won
    from weeks
    inner join versions
        on versions.valid_from_at < weeks.until_at
        and versions.valid_to_at >= weeks.until_at
        and not versions.is_deleted
        and (
            not versions.is_closed
            or (versions.is_won and versions.close_on between weeks.period_start_on and weeks.period_end_on)
        )
),

won_later as (
    select
        weeks.period_start_on,
        weeks.period_end_on,
        weeks.week_of_period,
        weeks.until_at,
        weeks.status as period_status,
        won.opportunity_id
    from weeks
    inner join won on weeks.period_start_on = won.period_start_on
),

keyed as (
    select period_start_on, period_end_on, week_of_period, until_at, period_status, opportunity_id from at_week
    union
    select period_start_on, period_end_on, week_of_period, until_at, period_status, opportunity_id from won_later
),

ends as (
    select
        calendar.period_start_on,
        frozen.opportunity_id,
        frozen.stage as end_stage,
        frozen.close_on as end_close_on,
        frozen.is_closed as end_is_closed
    from calendar
    inner join frozen
        on frozen.valid_from_at < calendar.freeze_at
        and frozen.valid_to_at >= calendar.freeze_at
    where calendar.period_start_on in (select period_start_on from weeks where status = 'closed')
        -- Whatever was open at a week of the period closed after its start: all who closed before are another period's,
        -- but for those of whose closing nobody had told yet.
        and frozen.is_closed
        and (
            frozen.is_won
            or frozen.valid_from_at >= cast(calendar.period_start_on as timestamp)
            or frozen.opportunity_id in (select opportunity_id from reported_spans)
        )
),

final as (
    select
        keyed.period_start_on,
        keyed.week_of_period,
        keyed.opportunity_id,
        keyed.until_at,
        keyed.period_status,
        at_week.lock_owner_id,
        at_week.lock_stage,
        at_week.lock_category,
        at_week.lock_probability_rate,
        at_week.lock_amount,
        at_week.lock_close_on,
        at_week.lock_close_on between keyed.period_start_on and keyed.period_end_on as is_due,
        coalesce(at_week.was_won, false) as won_by_week,
        at_week.opportunity_id is not null as existed,
        date_diff('day', rows_in_force.created_on, cast(keyed.until_at as date)) - 1 as age_days,
        rows_in_force.created_on,
        rows_in_force.name,
        rows_in_force.account_name,
        rows_in_force.sales_motion,
        rows_in_force.lead_source,
        rows_in_force.opportunity_type,
        rows_in_force.outcome_reason,
        case
            when keyed.period_status <> 'closed' then null
            when won.opportunity_id is not null then 'won'
            when not coalesce(ends.end_is_closed, false) then 'open'
            when regexp_matches(
                lower(coalesce(
                    ends.end_stage || ' ' || rows_in_force.outcome_reason, ends.end_stage, rows_in_force.outcome_reason
                )),
                cast($no_decision as varchar)
            ) then 'no_decision'
            else 'lost'
        end as outcome,
        won.owner_id as end_owner_id,
        won.reporting_amount as end_amount,
        case
            when at_week.lock_own_amount is null or at_week.lock_own_amount = 0 or won.reporting_amount is null
                then won.reporting_amount
            else try_cast(cast(try_cast(floor(
                cast(won.amount as double) * cast(at_week.lock_amount as double)
                / cast(at_week.lock_own_amount as double) * 100 + 0.5
            ) as bigint) as decimal(19, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2))
        end as end_amount_at_lock_rate,
        case
            when keyed.period_status <> 'closed' then null
            when won.opportunity_id is not null then won.close_on
            when coalesce(ends.end_is_closed, false) then least(ends.end_close_on, keyed.period_end_on)
            else keyed.period_end_on
        end as end_on
    from keyed
    left join at_week
        on keyed.period_start_on = at_week.period_start_on
        and keyed.week_of_period = at_week.week_of_period
        and keyed.opportunity_id = at_week.opportunity_id
    left join won
        on keyed.period_start_on = won.period_start_on and keyed.opportunity_id = won.opportunity_id
    left join ends
        on keyed.period_start_on = ends.period_start_on and keyed.opportunity_id = ends.opportunity_id
    left join rows_in_force on keyed.opportunity_id = rows_in_force.opportunity_id
)

select * from final
