-- One row per opportunity, instant and source of change, from field history and from state history.
-- Each field is coded text: null = not touched; else one digit of precedence among sources of one instant (2 states,
-- 3 field history), then '=' and the value, or '-' when the field was emptied. first_<field> codes the value before
-- that change; a field that cannot be empty, or whose source states no old value, is carried back unchanged.
-- told_at orders the sources of one instant: a state comes a microsecond after the field history, which alone knows what
-- was before.
-- Changes after the as-of ($as_of_at) are kept only for opportunities first extracted after it, to correct that extract.
-- A change written down later than it happened, and after the as-of, is one of the day it was written down: what it
-- found there is what had been reported until then. Of several of one field written at once, the earliest tells that.
with late_history as (
    select
        opportunity_id, field, old_value, new_value, recorded_at,
        row_number() over (partition by opportunity_id, field, recorded_at order by changed_at) as place
    from opportunity_history
    where recorded_at > changed_at and recorded_at > cast($as_of_at as timestamp)
),

history as (
    select opportunity_id, changed_at, field, old_value, new_value
    from opportunity_history
    where recorded_at is null or recorded_at <= changed_at or recorded_at <= cast($as_of_at as timestamp)
    union all
    select opportunity_id, recorded_at, field, old_value, new_value from late_history where place = 1
),

late_states as (
    select
        opportunity_id, recorded_at, stage, amount, close_on, probability_rate, forecast_category, owner_id,
        row_number() over (partition by opportunity_id, recorded_at order by changed_at) as place
    from opportunity_states
    where recorded_at > changed_at and recorded_at > cast($as_of_at as timestamp)
),

states as (
    select opportunity_id, changed_at, stage, amount, close_on, probability_rate, forecast_category, owner_id
    from opportunity_states
    where recorded_at is null or recorded_at <= changed_at or recorded_at <= cast($as_of_at as timestamp)
    union all
    select opportunity_id, recorded_at, stage, amount, close_on, probability_rate, forecast_category, owner_id
    from late_states
    where place = 1
),

bases as (
    select opportunity_id, seen_at from opportunity_extracts where position = 1
),

checked as (
    select
        history.opportunity_id,
        history.changed_at,
        history.field,
        '3' || case when history.new_value is null then '-' else '=' || history.new_value end as coded,
        case
            when history.old_value is not null then '=' || history.old_value
            when history.field in ('owner_id', 'stage', 'close_on') then '=' || history.new_value
            else '-'
        end as coded_before
    from history
    inner join bases using (opportunity_id)
    where
        (history.changed_at <= cast($as_of_at as timestamp)
            or (bases.seen_at > cast($as_of_at as timestamp) and history.changed_at <= bases.seen_at))
        and case history.field
            when 'owner_id' then history.new_value is not null
            when 'stage' then history.new_value is not null
            when 'close_on' then try_cast(history.new_value as date) is not null
            when 'amount' then history.new_value is null or try_cast(history.new_value as decimal(18, 2)) is not null
            when 'currency' then true
            when 'probability_rate'
                then history.new_value is null
                    or coalesce(try_cast(history.new_value as double) between 0 and 1, false)
            when 'forecast_category'
                then history.new_value is null
                    or history.new_value in ('omitted', 'pipeline', 'best_case', 'most_likely', 'commit', 'closed')
            when 'is_deleted' then history.new_value is null or try_cast(history.new_value as boolean) is not null
            else false
        end
),

pivoted as (
    select
        opportunity_id,
        changed_at,
        max(case when field = 'owner_id' then coded end) as owner_id,
        max(case when field = 'stage' then coded end) as stage,
        max(case when field = 'amount' then coded end) as amount,
        max(case when field = 'currency' then coded end) as currency,
        max(case when field = 'close_on' then coded end) as close_on,
        max(case when field = 'forecast_category' then coded end) as forecast_category,
        max(case when field = 'probability_rate' then coded end) as probability_rate,
        max(case when field = 'is_deleted' then coded end) as is_deleted,
        max(case when field = 'owner_id' then coded_before end) as first_owner_id,
        max(case when field = 'stage' then coded_before end) as first_stage,
        max(case when field = 'amount' then coded_before end) as first_amount,
        max(case when field = 'currency' then coded_before end) as first_currency,
        max(case when field = 'close_on' then coded_before end) as first_close_on,
        max(case when field = 'forecast_category' then coded_before end) as first_forecast_category,
        max(case when field = 'probability_rate' then coded_before end) as first_probability_rate,
        max(case when field = 'is_deleted' then coded_before end) as first_is_deleted
    from checked
    group by opportunity_id, changed_at
),

stated as (
    select
        states.opportunity_id,
        states.changed_at,
        '=' || states.owner_id as owner_id,
        '=' || states.stage as stage,
        '=' || cast(states.amount as varchar) as amount,
        '=' || cast(states.close_on as varchar) as close_on,
        '=' || states.forecast_category as forecast_category,
        '=' || cast(states.probability_rate as varchar) as probability_rate
    from states
    inner join bases using (opportunity_id)
    where
        states.changed_at <= cast($as_of_at as timestamp)
        or (bases.seen_at > cast($as_of_at as timestamp) and states.changed_at <= bases.seen_at)
),

final as (
    select
        opportunity_id, changed_at, changed_at as told_at, owner_id, stage, amount, currency, close_on,
        forecast_category, probability_rate, is_deleted, first_owner_id, first_stage, first_amount, first_currency,
        first_close_on, first_forecast_category, first_probability_rate, first_is_deleted
    from pivoted
    union all
    select
        opportunity_id, changed_at, changed_at + interval '1 microsecond', '2' || owner_id, '2' || stage, '2' || amount,
        null, '2' || close_on, '2' || forecast_category, '2' || probability_rate, null, owner_id, stage, amount, null,
        close_on, forecast_category, probability_rate, null
    from stated
)

select * from final
