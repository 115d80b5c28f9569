-- One row per period, movement and opportunity: the deals behind the company's movement in the two latest periods.
-- moved_at: its last such change; null for start and end.
with periods as (
    select
        period_start_on,
        row_number() over (order by period_start_on desc) as place
    from movement_spans
    where span_kind = 'period'
),

stands as (
    select period_start_on, movement, opportunity_id, amount, 1 as deal_count, cast(null as timestamp) as moved_at
    from movement_stands
    where span_kind = 'period'
),

steps as (
    select period_start_on, movement, opportunity_id, amount, deal_count, moved_at
    from movement_steps
    where scope = 'company'
),

every as (
    select * from stands
    union all
    select * from steps
),

final as (
    select
        every.period_start_on,
        every.movement,
        every.opportunity_id,
        cast(sum(every.amount) as decimal(18, 2)) as amount,
        cast(sum(every.deal_count) as bigint) as deal_count,
        cast(count(*) as bigint) as change_count,
        max(every.moved_at) as moved_at
    from every
    inner join periods on every.period_start_on = periods.period_start_on and periods.place <= 2
    group by every.period_start_on, every.movement, every.opportunity_id
)

select * from final
