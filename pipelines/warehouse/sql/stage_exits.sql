-- One row per opportunity and spell in an open, listed stage that has ended: what came after it.
-- went: forward (a later open stage, or won), back (an earlier open stage), lost (closed without a win, whyever).
-- age_days: from creation to leaving the stage. is_won_now: whether the deal is won at the as-of.
with versions as (
    select * from opportunity_versions where not is_deleted
),

stages as (
    select stage, stage_order from stages where not is_closed
),

rows_in_force as (
    select opportunity_id, created_on, sales_motion from opportunity_extracts where is_last
),

days as (
    select on_day, period_start_on from calendar_days
),

in_order as (
    select
        opportunity_id,
        stage,
        is_closed,
        valid_to_at,
        lead(stage) over one as next_stage,
        lead(is_closed) over one as next_is_closed,
        lead(is_won) over one as next_is_won,
        last_value(is_won) over (
            partition by opportunity_id order by valid_from_at
            rows between unbounded preceding and unbounded following
        ) as is_won_now
    from versions
    window one as (partition by opportunity_id order by valid_from_at)
),

final as (
    select
        in_order.opportunity_id,
        in_order.stage,
        here.stage_order,
        rows_in_force.sales_motion,
        days.period_start_on,
        date_diff('day', rows_in_force.created_on, cast(in_order.valid_to_at as date)) as age_days,
        in_order.is_won_now,
        case
            when in_order.next_is_won then 'forward'
            when in_order.next_is_closed then 'lost'
            when there.stage_order > here.stage_order then 'forward'
            else 'back'
        end as went
    from in_order
    inner join stages as here on in_order.stage = here.stage
    left join stages as there on in_order.next_stage = there.stage
    inner join rows_in_force on in_order.opportunity_id = rows_in_force.opportunity_id
    inner join days on cast(in_order.valid_to_at as date) = days.on_day
    where not in_order.is_closed
        and in_order.next_is_closed is not null
        and (in_order.next_is_closed or there.stage_order <> here.stage_order)
)

select * from final
