-- One row per opportunity, instant, scope and movement of the pipeline of the period in which that instant lies.
-- What changes at one instant is told in this order: owner (at the amount before), currency, amount, close date, then
-- outcome (the last two at the amount after). So a deal pulled in comes with its new amount to its new owner, and a deal
-- won leaves at the amount it was won for. A close date that would take a deal out in the instant it closes is not
-- counted: it leaves by its outcome. A deal new or due elsewhere that is won in the period comes in and leaves again; one
-- that is lost never was in this pipeline. A deleted deal leaves with what it was worth before.
-- amount and deal_count: signed, outflows negative. currency: the part of a change of value that the rate made.
with path as (
    select * from movement_path
),

periods as (
    select period_start_on, from_at as first_at, to_at as last_at from movement_spans where span_kind = 'period'
),

owner_scopes as (
    select * from owner_scopes
),

changes as (
    select
        periods.period_start_on,
        after.opportunity_id,
        after.from_at as moved_at,
        before.from_at as before_at,
        before.owner_id as before_owner_id,
        after.owner_id as after_owner_id,
        before.amount as before_amount,
        after.amount as after_amount,
        after.is_unvalued,
        coalesce(
            not before.is_closed and not before.is_deleted
                and before.due_period_start_on = periods.period_start_on,
            false
        ) as was_in,
        not after.is_closed and not after.is_deleted
            and coalesce(after.due_period_start_on = periods.period_start_on, false) as is_in,
        coalesce(after.due_period_start_on = periods.period_start_on, false) as is_due,
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
    from path as after
    inner join periods on after.from_at >= periods.first_at and after.from_at < periods.last_at
    left join path as before on after.opportunity_id = before.opportunity_id and after.before_at = before.from_at
),

relevant as (
    select
        *,
        not was_in and not is_deleted and (is_in or (is_won and is_due and not was_gone)) as comes_in
    from changes
    where was_in or is_in or (is_won and is_due)
),

sides as (
    select
        relevant.period_start_on, relevant.opportunity_id, relevant.moved_at, owner_scopes.scope,
        1 as before_side, 0 as after_side
    from relevant
    inner join owner_scopes
        on relevant.before_owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= cast(relevant.before_at as date)
        and owner_scopes.to_on > cast(relevant.before_at as date)
    where relevant.was_in
    union all
    select relevant.period_start_on, relevant.opportunity_id, relevant.moved_at, owner_scopes.scope, 0, 1
    from relevant
    inner join owner_scopes
        on relevant.after_owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= cast(relevant.moved_at as date)
        and owner_scopes.to_on > cast(relevant.moved_at as date)
    where relevant.was_in or relevant.comes_in
),

scoped as (
    select
        period_start_on, opportunity_id, moved_at, scope,
        max(before_side) = 1 as is_before,
        max(after_side) = 1 as is_after
    from sides
    group by period_start_on, opportunity_id, moved_at, scope
),

placed as (
    select relevant.*, scoped.scope, scoped.is_before, scoped.is_after
    from relevant
    inner join scoped using (period_start_on, opportunity_id, moved_at)
),

final as (
    select
        period_start_on, opportunity_id, moved_at, scope, is_unvalued, 'deleted' as movement,
        cast(-before_amount as decimal(18, 2)) as amount, -1 as deal_count
    from placed
    where was_in and is_before and is_deleted
    union all
    select period_start_on, opportunity_id, moved_at, scope, is_unvalued, 'owner_out', -before_amount, -1
    from placed
    where was_in and is_before and not is_after and not is_deleted
    union all
    select period_start_on, opportunity_id, moved_at, scope, is_unvalued, 'owner_in', before_amount, 1
    from placed
    where was_in and is_after and not is_before and not is_deleted
    union all
    select period_start_on, opportunity_id, moved_at, scope, is_unvalued, 'currency', currency_amount, 0
    from placed
    where was_in and is_after and not is_deleted and currency_amount <> 0
    union all
    select
        period_start_on, opportunity_id, moved_at, scope, is_unvalued,
        case when after_amount - before_amount - currency_amount > 0 then 'increased' else 'decreased' end,
        after_amount - before_amount - currency_amount, 0
    from placed
    where was_in and is_after and not is_deleted and after_amount - before_amount - currency_amount <> 0
    union all
    select
        period_start_on, opportunity_id, moved_at, scope, is_unvalued,
        case when is_created then 'created' when was_gone then 'reopened' else 'pulled_in' end,
        after_amount, 1
    from placed
    where comes_in and is_after
    union all
    select
        period_start_on, opportunity_id, moved_at, scope, is_unvalued,
        case when outcome is null then 'pushed_out' else outcome end,
        -after_amount, -1
    from placed
    where (was_in or comes_in) and is_after and not is_deleted and not is_in
)

select period_start_on, opportunity_id, moved_at, scope, is_unvalued, movement, amount, deal_count from final
