-- One row per stretch of an opportunity's life in which neither it nor the hierarchy above its owner changed: half-open
-- [from_at, to_at), for opportunities due in a period of movement_spans at some time since the first span began ($first_at).
-- amount: reporting currency; a deal without one weighs 0.00 and is_unvalued. due_period_start_on: the period of its
-- close date. outcome: won, lost or no_decision (closed without a win, for a reason or by a stage that says so).
-- Versions follow each other without a gap, so only those are cut within which the hierarchy changed.
with spans as (
    select max(to_at) as last_at from movement_spans
),

periods as (
    select distinct period_start_on from movement_spans
),

days as (
    select on_day, period_start_on from calendar_days
),

rows_in_force as (
    select opportunity_id, stage, outcome_reason from opportunity_extracts where is_last and outcome_reason is not null
),

told as (
    select distinct versions.opportunity_id
    from opportunity_versions as versions
    inner join days on versions.close_on = days.on_day
    inner join periods on days.period_start_on = periods.period_start_on
    where versions.valid_to_at >= cast($first_at as timestamp)
),

turns as (
    select distinct person_id, cast(on_day as timestamp) as turned_at
    from (
        select person_id, from_on as on_day from lineage where depth > 0
        union all
        select person_id, to_on from lineage where depth > 0
    ) as ends
    where cast(on_day as timestamp) < (select last_at from spans)
        and on_day > date '0001-01-01'
),

cuts as (
    select versions.opportunity_id, versions.valid_from_at, versions.valid_to_at, turns.turned_at
    from opportunity_versions as versions
    inner join turns
        on versions.owner_id = turns.person_id
        and versions.valid_from_at < turns.turned_at
        and versions.valid_to_at > turns.turned_at
),

marks as (
    select distinct opportunity_id, valid_from_at, valid_to_at, valid_from_at as marked_at from cuts
    union all
    select opportunity_id, valid_from_at, valid_to_at, turned_at from cuts
),

pieces as (
    select
        opportunity_id,
        valid_from_at,
        marked_at as from_at,
        coalesce(
            lead(marked_at) over (partition by opportunity_id, valid_from_at order by marked_at), valid_to_at
        ) as to_at
    from marks
),

final as (
    select
        versions.opportunity_id,
        coalesce(pieces.from_at, versions.valid_from_at) as from_at,
        coalesce(pieces.to_at, versions.valid_to_at) as to_at,
        versions.owner_id,
        versions.amount as own_amount,
        versions.currency,
        case when versions.reporting_amount is null then cast(0 as decimal(18, 2)) else versions.reporting_amount end
            as amount,
        versions.reporting_amount is null as is_unvalued,
        days.period_start_on as due_period_start_on,
        versions.is_closed,
        versions.is_won,
        versions.is_deleted,
        case
            when versions.is_won then 'won'
            when versions.is_closed and regexp_matches(
                lower(
                    versions.stage || case
                        when versions.stage = rows_in_force.stage then ' ' || rows_in_force.outcome_reason
                        else ''
                    end
                ),
                cast($no_decision as varchar)
            ) then 'no_decision'
            when versions.is_closed then 'lost'
        end as outcome
    from opportunity_versions as versions
    inner join told on versions.opportunity_id = told.opportunity_id
    left join days on versions.close_on = days.on_day
    left join pieces
        on versions.opportunity_id = pieces.opportunity_id and versions.valid_from_at = pieces.valid_from_at
    left join rows_in_force on versions.opportunity_id = rows_in_force.opportunity_id
    where versions.valid_to_at >= cast($first_at as timestamp)
)

select
    opportunity_id, from_at, to_at, owner_id, own_amount, currency, amount, is_unvalued, due_period_start_on,
    is_closed, is_won, is_deleted, outcome
from final
