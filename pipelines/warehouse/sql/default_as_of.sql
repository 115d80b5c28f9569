-- One row: the latest instant any landed event records; null when nothing dated has landed.
-- Instants that a system stamped come first. Only where no export carries one do the days count on which deals were won
-- and records end: a won deal's close date may be a typing error far ahead, a stamp is not. Future-dated rates, quotas
-- and spans of people are plans, not events, and count only when nothing else is dated. A day's last second is meant.
-- $record_end_on: the last day of the latest period that a forecast record has an actual for.
with opportunities as (
    select * from landing.landed_opportunities
),

stamps as (
    select max(extracted_at) as instant from opportunities
    union all select max(modified_at) from opportunities
    union all select max(changed_at) from landing.landed_opportunity_history
    union all select max(recorded_at) from landing.landed_opportunity_history
    union all select max(changed_at) from landing.landed_opportunity_states
    union all select max(recorded_at) from landing.landed_opportunity_states
    union all select max(submitted_at) from landing.landed_forecast_submissions
    union all select max(occurred_at) from landing.landed_activities
    union all select max(recorded_at) from landing.landed_bookings
),

event_days as (
    select max(created_on) as on_day from opportunities
    union all select max(booked_on) from landing.landed_bookings
    union all select max(created_on) from landing.landed_leads
),

outcome_days as (
    select max(close_on) as on_day from opportunities where is_won
    union all
    select max(opportunities.close_on)
    from opportunities
    inner join landing.landed_stages as stages on opportunities.stage = stages.stage and stages.is_won
    union all
    select max(close_on) from opportunities
    where lower(regexp_replace(stage, '[^A-Za-z]', '', 'g')) in ('closedwon', 'won')
    union all
    select cast($record_end_on as date)
),

plan_days as (
    select max(valid_from_on) as on_day from landing.landed_people
    union all select max(valid_from_on) from landing.landed_fx_rates
    union all select max(period_start_on) from landing.landed_quotas
),

summary as (
    select
        (select max(instant) from stamps) as stamp_at,
        (select cast(max(on_day) as timestamp) + interval '86399 seconds' from event_days) as event_at,
        (select cast(max(on_day) as timestamp) + interval '86399 seconds' from outcome_days) as outcome_at,
        (select cast(max(on_day) as timestamp) + interval '86399 seconds' from plan_days) as plan_at
),

final as (
    select
        case
            when stamp_at is not null then greatest(stamp_at, coalesce(event_at, stamp_at))
            when event_at is not null or outcome_at is not null
                then greatest(coalesce(event_at, outcome_at), coalesce(outcome_at, event_at))
            else plan_at
        end as as_of_at
    from summary
)

select as_of_at from final
