-- One row per span, scope and movement that occurred: start + every movement = end, in cents and in deals.
-- deal_count is signed like the amount, 0 where a deal only changed its worth; change_count counts the changes;
-- unvalued_count: those of a deal without an amount in the reporting currency, which weighs nothing.
-- A week begins as the one before it ended; a period moves by the sum of its weeks.
with looks as (
    select look_number, period_start_on, place, is_last from movement_looks
),

stood as (
    select looks.look_number, looks.place, looks.is_last, stood.scope, stood.amount, stood.deal_count, stood.unvalued_count
    from movement_stood as stood
    inner join looks on stood.period_start_on = looks.period_start_on and stood.place = looks.place
),

moved as (
    select
        looks.look_number, looks.period_start_on, moved.scope, moved.movement,
        moved.amount, moved.deal_count, moved.change_count, moved.unvalued_count
    from movement_moved as moved
    inner join looks on moved.period_start_on = looks.period_start_on and moved.place = looks.place
),

firsts as (
    select period_start_on, look_number as first_number from looks where place = 0
),

spans as (
    select
        'week' as span_kind, looks.look_number as span_number,
        looks.look_number - 1 as start_number, looks.look_number as end_number,
        movement_spans.span_start_on, movement_spans.span_end_on, movement_spans.period_start_on
    from movement_looks as looks
    inner join movement_spans
        on looks.span_start_on = movement_spans.span_start_on
        and looks.period_start_on = movement_spans.period_start_on
        and movement_spans.span_kind = 'week'
    union all
    select
        'period', -looks.look_number,
        firsts.first_number, looks.look_number,
        movement_spans.span_start_on, movement_spans.span_end_on, movement_spans.period_start_on
    from looks
    inner join firsts on looks.period_start_on = firsts.period_start_on
    inner join movement_spans
        on looks.period_start_on = movement_spans.period_start_on and movement_spans.span_kind = 'period'
    where looks.is_last
),

changes as (
    select look_number as span_number, scope, movement, amount, deal_count, change_count, unvalued_count from moved
    union all
    select
        spans.span_number, moved.scope, moved.movement,
        sum(moved.amount), sum(moved.deal_count), sum(moved.change_count), sum(moved.unvalued_count)
    from moved
    inner join spans on moved.period_start_on = spans.period_start_on and spans.span_kind = 'period'
    group by spans.span_number, moved.scope, moved.movement
),

ends as (
    select spans.span_number, stood.scope, 'start' as movement, stood.amount, stood.deal_count, stood.unvalued_count
    from spans
    inner join stood on spans.start_number = stood.look_number
    union all
    select spans.span_number, stood.scope, 'end', stood.amount, stood.deal_count, stood.unvalued_count
    from spans
    inner join stood on spans.end_number = stood.look_number
),

told as (
    select span_number, scope from changes
    union
    select span_number, scope from ends
),

two_ends as (
    select 'start' as movement union all select 'end'
),

every as (
    select span_number, scope, movement, amount, deal_count, change_count, unvalued_count from changes
    union all
    select
        told.span_number, told.scope, two_ends.movement, coalesce(ends.amount, 0), coalesce(ends.deal_count, 0),
        coalesce(ends.deal_count, 0), coalesce(ends.unvalued_count, 0)
    from told
    cross join two_ends
    left join ends
        on told.span_number = ends.span_number and told.scope = ends.scope and two_ends.movement = ends.movement
),

final as (
    select
        spans.span_kind,
        spans.span_start_on,
        spans.span_end_on,
        spans.period_start_on,
        every.scope,
        every.movement,
        cast(every.amount as decimal(18, 2)) as amount,
        cast(every.deal_count as bigint) as deal_count,
        cast(every.change_count as bigint) as change_count,
        cast(every.unvalued_count as bigint) as unvalued_count
    from every
    inner join spans on every.span_number = spans.span_number
)

select * from final
