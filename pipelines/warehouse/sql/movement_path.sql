-- One row per stretch of an opportunity's life in which neither it nor the hierarchy above its owner changed: half-open
-- [from_at, to_at), for opportunities due in a period of movement_spans at some time since the first span began.
-- amount: reporting currency; a deal without one weighs 0.00 and is_unvalued. due_period_start_on: the period of its
-- close date. outcome: won, lost or no_decision (closed without a win, for a reason or by a stage that says so).
with spans as (
    select min(from_at) as first_at, max(to_at) as last_at from movement_spans
),

periods as (
    select distinct period_start_on from movement_spans
),

days as (
    select on_day, period_start_on from calendar_days
),

rows_in_force as (
    select opportunity_id, stage, outcome_reason from opportunity_extracts where is_last
),

versions as (
    select versions.*, days.period_start_on as due_period_start_on
    from opportunity_versions as versions
    inner join spans on versions.valid_to_at >= spans.first_at
    left join days on versions.close_on = days.on_day
),

told as (
    select distinct opportunity_id
    from versions
    inner join periods on versions.due_period_start_on = periods.period_start_on
),

described as (
    select
        versions.opportunity_id,
        versions.valid_from_at,
        versions.valid_to_at,
        versions.owner_id,
        versions.amount as own_amount,
        versions.currency,
        case when versions.reporting_amount is null then cast(0 as decimal(18, 2)) else versions.reporting_amount end
            as amount,
        versions.reporting_amount is null as is_unvalued,
        versions.due_period_start_on,
        versions.is_closed,
        versions.is_won,
        versions.is_deleted,
        case
            when versions.is_won then 'won'
            when versions.is_closed and regexp_matches(
                lower(
                    versions.stage || case
                        when versions.stage = rows_in_force.stage and rows_in_force.outcome_reason is not null
                            then ' ' || rows_in_force.outcome_reason
                        else ''
                    end
                ),
                cast($no_decision as varchar)
            ) then 'no_decision'
            when versions.is_closed then 'lost'
        end as outcome
    from versions
    inner join told using (opportunity_id)
    left join rows_in_force using (opportunity_id)
),

turns as (
    select distinct person_id, cast(on_day as timestamp) as turned_at
    from (
        select person_id, from_on as on_day from lineage where depth > 0
        union all
        select person_id, to_on from lineage where depth > 0
    ) as ends
    inner join spans on cast(on_day as timestamp) < spans.last_at
),

beginnings as (
    select opportunity_id, valid_from_at, valid_from_at as from_at from described
    union
    select described.opportunity_id, described.valid_from_at, turns.turned_at
    from described
    inner join turns
        on described.owner_id = turns.person_id
        and turns.turned_at > described.valid_from_at
        and turns.turned_at < described.valid_to_at
),

final as (
    select
        described.*,
        beginnings.from_at,
        lead(beginnings.from_at, 1, timestamp '9999-12-31 00:00:00')
            over (partition by described.opportunity_id order by beginnings.from_at) as to_at,
        lag(beginnings.from_at) over (partition by described.opportunity_id order by beginnings.from_at) as before_at
    from described
    inner join beginnings using (opportunity_id, valid_from_at)
)

select * from final
