-- One row per opportunity and extract that landed, in order of seen_at (position), and which fields it states.
-- A column that an extract's file does not have says nothing: states_<field> is false, and a field without a history is
-- taken from the extract before, the flags and the reason of a stage only while the stage lasts. Where the
-- ledger does not know what a file stated, states_<field> asks for any value in the file, and nothing is taken over.
-- An extract that does not say when it was taken was taken after everything (9999-12-31); beside extracts that do, its
-- modified_at stands in, and without one it is not used.
with landed as (
    select * from opportunity_rows
),

ledger as (
    select load_id, stated_columns from landing.loads
),

loads as (
    select
        landed.load_id,
        ',' || max(ledger.stated_columns) || ',' as stated,
        count(landed.amount) > 0 as has_amount,
        count(landed.currency) > 0 as has_currency,
        count(landed.forecast_category) > 0 as has_forecast_category,
        count(landed.probability_rate) > 0 as has_probability_rate,
        count(landed.is_deleted) > 0 as has_is_deleted
    from landed
    left join ledger using (load_id)
    group by landed.load_id
),

dated as (
    select opportunity_id, count(extracted_at) as dated_count, count(*) as extract_count
    from landed
    group by opportunity_id
),

seen as (
    select
        landed.*,
        dated.extract_count,
        case
            when landed.extracted_at is not null then landed.extracted_at
            when dated.dated_count = 0 then timestamp '9999-12-31 00:00:00'
            else landed.modified_at
        end as seen_at
    from landed
    inner join dated using (opportunity_id)
),

ordered as (
    select
        *,
        row_number() over (partition by opportunity_id order by seen_at, load_id) as position
    from seen
    where seen_at is not null
),

told as (
    select
        ordered.*,
        loads.stated,
        case when loads.stated is null then loads.has_amount
            else ordered.amount is not null or loads.stated like '%,amount,%' end as states_amount,
        case when loads.stated is null then loads.has_currency
            else ordered.currency is not null or loads.stated like '%,currency,%' end as states_currency,
        case when loads.stated is null then loads.has_forecast_category
            else ordered.forecast_category is not null or loads.stated like '%,forecast_category,%'
        end as states_forecast_category,
        case when loads.stated is null then loads.has_probability_rate
            else ordered.probability_rate is not null or loads.stated like '%,probability_rate,%'
        end as states_probability_rate,
        case when loads.stated is null then loads.has_is_deleted
            else ordered.is_deleted is not null or loads.stated like '%,is_deleted,%' end as states_is_deleted
    from ordered
    inner join loads using (load_id)
),

several as (
    select
        *,
        stage <> lag(stage) over (partition by opportunity_id order by position) as is_new_stage
    from told
    where extract_count > 1
),

numbered as (
    select
        *,
        sum(case when stated is null or name is not null or stated like '%,name,%' then 1 else 0 end)
            over so_far as name_island,
        sum(case when stated is null or account_id is not null or stated like '%,account_id,%' then 1 else 0 end)
            over so_far as account_id_island,
        sum(case when stated is null or account_name is not null or stated like '%,account_name,%' then 1 else 0 end)
            over so_far as account_name_island,
        sum(case when stated is null or opportunity_type is not null or stated like '%,opportunity_type,%'
            then 1 else 0 end)
            over so_far as opportunity_type_island,
        sum(case when stated is null or lead_source is not null or stated like '%,lead_source,%' then 1 else 0 end)
            over so_far as lead_source_island,
        sum(case when stated is null or sales_motion is not null or stated like '%,sales_motion,%' then 1 else 0 end)
            over so_far as sales_motion_island,
        sum(case when stated is null or next_step is not null or stated like '%,next_step,%' then 1 else 0 end)
            over so_far as next_step_island,
        sum(case when stated is null or last_activity_on is not null or stated like '%,last_activity_on,%'
            then 1 else 0 end)
            over so_far as last_activity_on_island,
        sum(case when stated is null or is_closed is not null or stated like '%,is_closed,%'
            or is_new_stage then 1 else 0 end)
            over so_far as is_closed_island,
        sum(case when stated is null or is_won is not null or stated like '%,is_won,%'
            or is_new_stage then 1 else 0 end)
            over so_far as is_won_island,
        sum(case when stated is null or outcome_reason is not null or stated like '%,outcome_reason,%'
            or is_new_stage then 1 else 0 end)
            over so_far as outcome_reason_island
    from several
    window so_far as (partition by opportunity_id order by position)
),

filled as (
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at,
        max(name) over (partition by opportunity_id, name_island) as name,
        max(account_id) over (partition by opportunity_id, account_id_island) as account_id,
        max(account_name) over (partition by opportunity_id, account_name_island) as account_name,
        max(opportunity_type) over (partition by opportunity_id, opportunity_type_island) as opportunity_type,
        max(lead_source) over (partition by opportunity_id, lead_source_island) as lead_source,
        max(sales_motion) over (partition by opportunity_id, sales_motion_island) as sales_motion,
        max(next_step) over (partition by opportunity_id, next_step_island) as next_step,
        max(last_activity_on) over (partition by opportunity_id, last_activity_on_island) as last_activity_on,
        max(case when is_closed then 1 when not is_closed then 0 end)
            over (partition by opportunity_id, is_closed_island) = 1 as is_closed,
        max(case when is_won then 1 when not is_won then 0 end)
            over (partition by opportunity_id, is_won_island) = 1 as is_won,
        max(outcome_reason) over (partition by opportunity_id, outcome_reason_island) as outcome_reason,
        seen_at, position, states_amount, states_currency, states_forecast_category, states_probability_rate,
        states_is_deleted
    from numbered
),

final as (
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at, name, account_id, account_name, opportunity_type,
        lead_source, sales_motion, next_step, last_activity_on, is_closed, is_won, outcome_reason, seen_at, position,
        states_amount, states_currency, states_forecast_category, states_probability_rate, states_is_deleted
    from told
    where extract_count = 1
    union all
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at, name, account_id, account_name, opportunity_type,
        lead_source, sales_motion, next_step, last_activity_on, is_closed, is_won, outcome_reason, seen_at, position,
        states_amount, states_currency, states_forecast_category, states_probability_rate, states_is_deleted
    from filled
)

select * from final
