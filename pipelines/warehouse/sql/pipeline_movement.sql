-- One row per span, scope and movement that occurred: start + every movement = end, in cents and in deals.
-- deal_count is signed like the amount, 0 where a deal only changed its worth; change_count counts the changes;
-- unvalued_count: those of a deal without an amount in the reporting currency, which weighs nothing.
with spans as (
    select * from movement_spans
),

stands as (
    select * from movement_stands
),

steps as (
    select * from movement_steps
),

owner_scopes as (
    select * from owner_scopes
),

stood as (
    select
        stands.span_kind, stands.span_start_on, owner_scopes.scope, stands.movement,
        sum(stands.amount) as amount,
        count(*) as deal_count,
        count(*) as change_count,
        sum(case when stands.is_unvalued then 1 else 0 end) as unvalued_count
    from stands
    inner join owner_scopes
        on stands.owner_id = owner_scopes.person_id
        and owner_scopes.from_on <= stands.owner_on
        and owner_scopes.to_on > stands.owner_on
    group by stands.span_kind, stands.span_start_on, owner_scopes.scope, stands.movement
),

moved as (
    select
        spans.span_kind, spans.span_start_on, steps.scope, steps.movement,
        sum(steps.amount) as amount,
        sum(steps.deal_count) as deal_count,
        count(*) as change_count,
        sum(case when steps.is_unvalued then 1 else 0 end) as unvalued_count
    from steps
    inner join spans
        on steps.period_start_on = spans.period_start_on
        and steps.moved_at >= spans.from_at
        and steps.moved_at < spans.to_at
    group by spans.span_kind, spans.span_start_on, steps.scope, steps.movement
),

counted as (
    select * from stood
    union all
    select * from moved
),

told as (
    select distinct span_kind, span_start_on, scope from counted
),

ends as (
    select 'start' as movement union all select 'end'
),

every as (
    select * from counted
    union all
    select told.span_kind, told.span_start_on, told.scope, ends.movement, 0, 0, 0, 0
    from told
    cross join ends
    left join stood using (span_kind, span_start_on, scope, movement)
    where stood.scope is null
),

final as (
    select
        every.span_kind,
        every.span_start_on,
        spans.span_end_on,
        spans.period_start_on,
        every.scope,
        every.movement,
        cast(every.amount as decimal(18, 2)) as amount,
        cast(every.deal_count as bigint) as deal_count,
        cast(every.change_count as bigint) as change_count,
        cast(every.unvalued_count as bigint) as unvalued_count
    from every
    inner join spans using (span_kind, span_start_on)
)

select * from final
