-- One row per open opportunity at the as-of ($as_of_at), not deleted: its state, and why it is worth a look.
-- amount: reporting currency, at the as-of's rate. push_count: how often the close date moved later across the end of a
-- period. has_no_next_step is null when no row of the export has a next step; is_stalled (nothing for more than
-- $inactive_days days, counted from creation when nothing ever happened) is null when no activity is known of any deal.
-- Odds (win_*, expected_amount) are the engine's to say; here there are none yet.
with versions as (
    select * from opportunity_versions
),

rows_in_force as (
    select * from opportunity_extracts where is_last
),

activities as (
    select opportunity_id, max(cast(occurred_at as date)) as last_on from activities group by opportunity_id
),

days as (
    select on_day, period_index from calendar_days
),

rates as (
    select currency, on_day, rate from fx_days
),

constants as (
    select
        cast(cast($as_of_at as timestamp) as date) as today,
        cast($reporting_currency as varchar) as reporting_currency,
        (select count(*) from rows_in_force where next_step is not null) > 0 as knows_next_steps,
        (select count(*) from activities)
        + (select count(*) from rows_in_force
           where last_activity_on <= cast(cast($as_of_at as timestamp) as date)) > 0 as knows_activity
),

open_now as (
    select * from versions
    where valid_to_at = timestamp '9999-12-31 00:00:00' and not is_closed and not is_deleted
),

close_dates as (
    select
        versions.opportunity_id,
        versions.close_on,
        lag(versions.close_on) over (partition by versions.opportunity_id order by versions.valid_from_at) as before_on
    from versions
    where versions.opportunity_id in (select opportunity_id from open_now)
),

pushes as (
    select close_dates.opportunity_id, count(*) as push_count
    from close_dates
    inner join days as before on close_dates.before_on = before.on_day
    inner join days as after on close_dates.close_on = after.on_day
    where after.period_index > before.period_index
    group by close_dates.opportunity_id
),

described as (
    select
        open_now.opportunity_id,
        rows_in_force.name,
        rows_in_force.account_name,
        open_now.owner_id,
        open_now.stage,
        open_now.forecast_category,
        case
            when coalesce(open_now.currency, constants.reporting_currency) = constants.reporting_currency
                then open_now.amount
            else try_cast(round(cast(open_now.amount as decimal(19, 2)) * rates.rate, 2) as decimal(18, 2))
        end as amount,
        rows_in_force.created_on,
        open_now.close_on,
        date_diff('day', rows_in_force.created_on, constants.today) as age_days,
        case when pushes.push_count is null then cast(0 as bigint) else pushes.push_count end as push_count,
        case
            when rows_in_force.last_activity_on <= constants.today
                then greatest(coalesce(activities.last_on, rows_in_force.last_activity_on), rows_in_force.last_activity_on)
            else activities.last_on
        end as last_activity_on,
        coalesce(open_now.close_on < constants.today, false) as is_past_due,
        case when constants.knows_next_steps then rows_in_force.next_step is null end as has_no_next_step,
        constants.knows_activity,
        constants.today
    from open_now
    inner join rows_in_force using (opportunity_id)
    cross join constants
    left join activities using (opportunity_id)
    left join pushes using (opportunity_id)
    left join rates on open_now.currency = rates.currency and constants.today = rates.on_day
),

judged as (
    select
        *,
        case
            when knows_activity
                then date_diff('day', coalesce(last_activity_on, created_on), today) > cast($inactive_days as integer)
        end as is_stalled
    from described
),

final as (
    select
        opportunity_id, name, account_name, owner_id, stage, forecast_category, amount, created_on, close_on, age_days,
        push_count, last_activity_on, is_past_due, has_no_next_step, is_stalled,
        nullif(
            substr(
                case when is_past_due then ',past_due' else '' end
                || case when push_count > 0 then ',pushed' else '' end
                || case when has_no_next_step then ',no_next_step' else '' end
                || case when is_stalled then ',stalled' else '' end,
                2
            ),
            ''
        ) as flags,
        cast(null as double) as win_probability_rate,
        cast(null as decimal(18, 2)) as expected_amount,
        'no_landing' as win_status
    from judged
)

select * from final
