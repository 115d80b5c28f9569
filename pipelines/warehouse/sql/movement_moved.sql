-- One row per week (a place of movement_looks), scope and movement that occurred in it. Changes are counted per owner and span
-- of an unchanged hierarchy first, and then for everybody whom that owner belonged to.
with looks as (
    select look_number, period_start_on, place, from_at, stood_at from movement_looks where place > 0
),

steps as (
    select looks.look_number, steps.*
    from movement_steps as steps
    inner join looks
        on steps.period_start_on = looks.period_start_on
        and steps.moved_at >= looks.from_at
        and steps.moved_at < looks.stood_at
),

spans as (
    select
        person_id, from_on, to_on,
        cast(row_number() over (order by person_id, from_on) as integer) as span_number
    from (select distinct person_id, from_on, to_on from owner_scopes) as every_span
),

of_owners as (
    select
        steps.look_number,
        spans.span_number,
        steps.movement,
        sum(steps.amount) as amount,
        sum(steps.deal_count) as deal_count,
        count(*) as change_count,
        sum(case when steps.is_unvalued then 1 else 0 end) as unvalued_count
    from steps
    inner join spans
        on steps.owner_id = spans.person_id
        and spans.from_on <= steps.owner_on
        and spans.to_on > steps.owner_on
    where steps.scope is null
    group by steps.look_number, spans.span_number, steps.movement
),

scopes as (
    select spans.span_number, owner_scopes.scope
    from owner_scopes
    inner join spans on owner_scopes.person_id = spans.person_id and owner_scopes.from_on = spans.from_on
),

placed as (
    select
        of_owners.look_number, scopes.scope, of_owners.movement,
        of_owners.amount, of_owners.deal_count, of_owners.change_count, of_owners.unvalued_count
    from of_owners
    inner join scopes on of_owners.span_number = scopes.span_number
    union all
    select look_number, scope, movement, amount, deal_count, 1, case when is_unvalued then 1 else 0 end
    from steps
    where scope is not null
),

summed as (
    select
        look_number, scope, movement,
        sum(amount) as amount,
        sum(deal_count) as deal_count,
        sum(change_count) as change_count,
        sum(unvalued_count) as unvalued_count
    from placed
    group by look_number, scope, movement
),

final as (
    select
        looks.period_start_on,
        looks.place,
        summed.scope,
        summed.movement,
        cast(summed.amount as decimal(18, 2)) as amount,
        cast(summed.deal_count as bigint) as deal_count,
        cast(summed.change_count as bigint) as change_count,
        cast(summed.unvalued_count as bigint) as unvalued_count
    from summed
    inner join looks on summed.look_number = looks.look_number
)

select period_start_on, place, scope, movement, amount, deal_count, change_count, unvalued_count from final
