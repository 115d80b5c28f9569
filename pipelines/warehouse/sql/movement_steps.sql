-- One row per opportunity, instant and movement of the pipeline of the period in which that instant lies, and per scope where
-- the movement is not told of all of them: scope is null where it counts for everybody whom owner_id belonged to on owner_on.
-- What changes at one instant is told in this order: owner (at the amount before), currency, amount, close date, then
-- outcome (the last two at the amount after). So a deal pulled in comes with its new amount to its new owner, and a deal
-- won leaves at the amount it was won for. A close date that would take a deal out in the instant it closes is not
-- counted: it leaves by its outcome. A deal new or due elsewhere that is won in the period comes in and leaves again; one
-- that is lost never was in this pipeline. A deleted deal leaves with what it was worth before.
-- amount and deal_count: signed, outflows negative. currency: the part of a change of value that the rate made.
with periods as (
    select period_start_on, from_at as first_at, to_at as last_at from movement_spans where span_kind = 'period'
),

days as (
    select calendar_days.on_day, periods.period_start_on, periods.last_at
    from calendar_days
    inner join periods on calendar_days.period_start_on = periods.period_start_on
),

changes as (
    select
        days.period_start_on,
        after.opportunity_id,
        after.from_at as moved_at,
        before.from_at as before_at,
        before.owner_id as before_owner_id,
        after.owner_id as after_owner_id,
        before.amount as before_amount,
        after.amount as after_amount,
        after.is_unvalued,
        coalesce(
            not before.is_closed and not before.is_deleted and before.due_period_start_on = days.period_start_on,
            false
        ) as was_in,
        not after.is_closed and not after.is_deleted
            and coalesce(after.due_period_start_on = days.period_start_on, false) as is_in,
        coalesce(after.due_period_start_on = days.period_start_on, false) as is_due,
        before.opportunity_id is null as is_created,
        coalesce(before.is_closed or before.is_deleted, false) as was_gone,
        after.is_deleted,
        after.is_won,
        after.outcome,
        case
            when before.own_amount = after.own_amount and before.currency is not distinct from after.currency
                then after.amount - before.amount
            when before.currency is not distinct from after.currency
                and not before.is_unvalued and not after.is_unvalued and after.own_amount <> 0
                then cast(cast(cast(floor(
                    cast(before.own_amount as double)
                    * cast(after.amount as double) / cast(after.own_amount as double) * 100 + 0.5
                ) as bigint) as decimal(19, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2)) - before.amount
            else cast(0 as decimal(18, 2))
        end as currency_amount
    from movement_path as after
    inner join days on cast(after.from_at as date) = days.on_day and after.from_at < days.last_at
    left join movement_path as before on after.opportunity_id = before.opportunity_id and after.from_at = before.to_at
),

relevant as (
    select
        *,
        not was_in and not is_deleted and (is_in or (is_won and is_due and not was_gone)) as comes_in
    from changes
    where was_in or is_in or (is_won and is_due)
),

handed as (
    select
        relevant.period_start_on, relevant.opportunity_id, relevant.moved_at, relevant.before_at,
        relevant.before_owner_id, relevant.after_owner_id, relevant.before_amount, relevant.is_unvalued
    from relevant
    where relevant.was_in
        and not relevant.is_deleted
        and (
            relevant.before_owner_id is distinct from relevant.after_owner_id
            or relevant.moved_at = cast(cast(relevant.moved_at as date) as timestamp)
        )
),

sides as (
    select handed.period_start_on, handed.opportunity_id, handed.moved_at, owner_scopes.scope, 1 as before_side, 0 as after_side
    from handed
    inner join owner_scopes
        on handed.before_owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= cast(handed.before_at as date)
        and owner_scopes.to_on > cast(handed.before_at as date)
    union all
    select handed.period_start_on, handed.opportunity_id, handed.moved_at, owner_scopes.scope, 0, 1
    from handed
    inner join owner_scopes
        on handed.after_owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= cast(handed.moved_at as date)
        and owner_scopes.to_on > cast(handed.moved_at as date)
),

one_sided as (
    select period_start_on, opportunity_id, moved_at, scope, max(after_side) as is_after
    from sides
    group by period_start_on, opportunity_id, moved_at, scope
    having max(before_side) <> max(after_side)
),

stayed as (
    select relevant.*, cast(relevant.moved_at as date) as moved_on
    from relevant
    where relevant.after_owner_id is not null
),

final as (
    select
        period_start_on, opportunity_id, moved_at, before_owner_id as owner_id, cast(before_at as date) as owner_on,
        cast(null as varchar) as scope, is_unvalued, 'deleted' as movement,
        cast(-before_amount as decimal(18, 2)) as amount, -1 as deal_count
    from relevant
    where was_in and is_deleted and before_owner_id is not null
    union all
    select
        handed.period_start_on, handed.opportunity_id, handed.moved_at, cast(null as varchar), cast(null as date),
        one_sided.scope, handed.is_unvalued,
        case when one_sided.is_after = 1 then 'owner_in' else 'owner_out' end,
        case when one_sided.is_after = 1 then handed.before_amount else -handed.before_amount end,
        case when one_sided.is_after = 1 then 1 else -1 end
    from handed
    inner join one_sided
        on handed.period_start_on = one_sided.period_start_on
        and handed.opportunity_id = one_sided.opportunity_id
        and handed.moved_at = one_sided.moved_at
    union all
    select
        period_start_on, opportunity_id, moved_at, after_owner_id, moved_on, cast(null as varchar), is_unvalued,
        'currency', currency_amount, 0
    from stayed
    where was_in and not is_deleted and currency_amount <> 0
    union all
    select
        period_start_on, opportunity_id, moved_at, after_owner_id, moved_on, cast(null as varchar), is_unvalued,
        case when after_amount - before_amount - currency_amount > 0 then 'increased' else 'decreased' end,
        after_amount - before_amount - currency_amount, 0
    from stayed
    where was_in and not is_deleted and after_amount - before_amount - currency_amount <> 0
    union all
    select
        period_start_on, opportunity_id, moved_at, after_owner_id, moved_on, cast(null as varchar), is_unvalued,
        case when is_created then 'created' when was_gone then 'reopened' else 'pulled_in' end,
        after_amount, 1
    from stayed
    where comes_in
    union all
    select
        period_start_on, opportunity_id, moved_at, after_owner_id, moved_on, cast(null as varchar), is_unvalued,
        case when outcome is null then 'pushed_out' else outcome end,
        -after_amount, -1
    from stayed
    where (was_in or comes_in) and not is_deleted and not is_in
)

select
    period_start_on, opportunity_id, moved_at, owner_id, owner_on, scope, is_unvalued, movement, amount, deal_count
from final
