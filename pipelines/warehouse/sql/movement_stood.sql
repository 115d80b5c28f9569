-- One row per instant looked at (movement_looks) and scope with a deal in the pipeline then: open, not deleted, due in the
-- look's period, of everybody who belonged to the scope at that time. Deals are counted per owner first.
with looks as (
    select look_number, period_start_on, place, stood_at, owner_on from movement_looks
),

path as (
    select owner_id, due_period_start_on, from_at, to_at, amount, is_unvalued
    from movement_path
    where not is_closed and not is_deleted
),

of_owners as (
    select
        looks.look_number,
        path.owner_id,
        sum(path.amount) as amount,
        count(*) as deal_count,
        sum(case when path.is_unvalued then 1 else 0 end) as unvalued_count
    from path
    inner join looks
        on path.due_period_start_on = looks.period_start_on
        and path.from_at < looks.stood_at
        and path.to_at >= looks.stood_at
    group by looks.look_number, path.owner_id
),

final as (
    select
        looks.period_start_on,
        looks.place,
        owner_scopes.scope,
        cast(sum(of_owners.amount) as decimal(18, 2)) as amount,
        cast(sum(of_owners.deal_count) as bigint) as deal_count,
        cast(sum(of_owners.unvalued_count) as bigint) as unvalued_count
    from of_owners
    inner join looks on of_owners.look_number = looks.look_number
    inner join owner_scopes
        on of_owners.owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= looks.owner_on
        and owner_scopes.to_on > looks.owner_on
    group by looks.period_start_on, looks.place, owner_scopes.scope
)

select period_start_on, place, scope, amount, deal_count, unvalued_count from final
