-- One row per opportunity that is not deleted at the as-of: how it was opened, what became of it, and when.
-- closed_on: the day it was closed, or its close date if that is earlier (won: the close date); null while open.
-- *_period_on: first day of the published period it was created or closed in, null outside of them. outcome: won, lost,
-- no_decision (by $no_decision over stage and reason), open. push_count: how often the close date moved later across the
-- end of a period. first_*: as it stood when it was opened; an export without history carries its last state back.
-- went_back: some stage was followed by an earlier one, null where no stage is listed. handoff_days: from the lead to
-- the opportunity, null without a lead. owner_count: owners while it was open.
with versions as (
    select * from opportunity_versions where not is_deleted
),

rows_in_force as (
    select * from opportunity_extracts where is_last
),

days as (
    select on_day, period_index from calendar_days
),

published as (
    select calendar_days.on_day, periods.period_start_on
    from calendar_days
    inner join periods on calendar_days.period_start_on = periods.period_start_on
),

stages as (
    select stage, stage_order from stages where not is_closed
),

leads as (
    select opportunity_id, min(created_on) as lead_on from leads where opportunity_id is not null group by opportunity_id
),

won as (
    select opportunity_id, owner_id from won_deals
),

in_order as (
    select
        versions.*,
        stages.stage_order,
        lag(versions.close_on) over one as before_on,
        lag(stages.stage_order) over one as before_order,
        lag(versions.is_closed, 1, false) over one as was_closed,
        row_number() over one as place
    from versions
    left join stages using (stage)
    window one as (partition by versions.opportunity_id order by versions.valid_from_at)
),

moves as (
    select
        in_order.opportunity_id,
        count(case when after.period_index > before.period_index and not in_order.is_closed then 1 end) as push_count,
        max(case when in_order.stage_order < in_order.before_order then 1 else 0 end) = 1 as went_back,
        count(in_order.stage_order) as staged_count,
        count(distinct case when not in_order.is_closed then in_order.owner_id end) as owner_count,
        max(case when in_order.is_closed and not in_order.was_closed then in_order.valid_from_at end) as closed_at
    from in_order
    left join days as before on in_order.before_on = before.on_day
    left join days as after on in_order.close_on = after.on_day
    group by in_order.opportunity_id
),

described as (
    select
        now.opportunity_id,
        coalesce(won.owner_id, now.owner_id) as owner_id,
        rows_in_force.created_on,
        case
            when now.is_won then now.close_on
            when now.is_closed then least(now.close_on, cast(moves.closed_at as date))
        end as closed_on,
        case
            when now.is_won then 'won'
            when not now.is_closed then 'open'
            when regexp_matches(
                lower(coalesce(now.stage || ' ' || rows_in_force.outcome_reason, now.stage, rows_in_force.outcome_reason)),
                cast($no_decision as varchar)
            ) then 'no_decision'
            else 'lost'
        end as outcome,
        now.reporting_amount as amount,
        rows_in_force.sales_motion,
        rows_in_force.lead_source,
        rows_in_force.opportunity_type,
        rows_in_force.account_name,
        rows_in_force.next_step,
        rows_in_force.outcome_reason,
        rows_in_force.outcome_reason is not null as has_reason,
        coalesce(moves.push_count, 0) as push_count,
        case when moves.staged_count > 0 then moves.went_back end as went_back,
        moves.owner_count,
        date_diff('day', leads.lead_on, rows_in_force.created_on) as handoff_days,
        opened.stage as first_stage,
        opened.reporting_amount as first_amount,
        opened.probability_rate as first_probability_rate,
        opened.forecast_category as first_category
    from versions as now
    inner join rows_in_force using (opportunity_id)
    inner join moves using (opportunity_id)
    inner join in_order as opened on now.opportunity_id = opened.opportunity_id and opened.place = 1
    left join won on now.opportunity_id = won.opportunity_id
    left join leads on now.opportunity_id = leads.opportunity_id
    where now.valid_to_at = timestamp '9999-12-31 00:00:00'
),

final as (
    select
        described.*,
        created.period_start_on as created_period_on,
        closed.period_start_on as closed_period_on,
        case when described.closed_on is not null then greatest(date_diff('day', described.created_on, described.closed_on), 0) end
            as cycle_days
    from described
    left join published as created on described.created_on = created.on_day
    left join published as closed on described.closed_on = closed.on_day
)

select * from final
