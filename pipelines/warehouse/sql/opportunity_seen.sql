-- One row per opportunity and extract that landed, in order of seen_at (position), and which fields it states.
-- A column that an extract's file does not have says nothing: states_<field> is false, and a field without a history is
-- taken from the extract before, the flags and the reason of a stage only while the stage lasts. Where the ledger does
-- not know what a file stated, states_<field> asks for any value in the file, and nothing is taken over.
-- An extract that does not say when it was taken was taken after everything (9999-12-31); beside extracts that do, its
-- modified_at stands in, and without one it is not used.
-- What is taken over is found by a running maximum of position, '=' and value ('-' when emptied): one sort for all
-- columns, and only for opportunities with an extract whose file lacks a column that another file has.
with landed as (
    select * from opportunity_rows
),

loads as (
    select
        load_id, stated, has_amount, has_currency, has_forecast_category, has_probability_rate, has_is_deleted, is_lacking
    from extract_loads
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
        cast(1 as bigint) as position
    from seen
    where extract_count = 1
    union all
    select
        *,
        row_number() over (partition by opportunity_id order by seen_at, load_id) as position
    from seen
    where extract_count > 1 and seen_at is not null
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

partly as (
    select distinct opportunity_id
    from told
    where extract_count > 1 and load_id in (select load_id from loads where is_lacking)
),

several as (
    select
        *,
        stage <> lag(stage) over (partition by opportunity_id order by position) as is_new_stage,
        lpad(cast(position as varchar), 9, '0') as place
    from told
    where opportunity_id in (select opportunity_id from partly)
),

coded as (
    select
        *,
        max(case when stated is null or name is not null or stated like '%,name,%'
            then place || coalesce('=' || name, '-') end) over so_far as coded_name,
        max(case when stated is null or account_id is not null or stated like '%,account_id,%'
            then place || coalesce('=' || account_id, '-') end) over so_far as coded_account_id,
        max(case when stated is null or account_name is not null or stated like '%,account_name,%'
            then place || coalesce('=' || account_name, '-') end) over so_far as coded_account_name,
        max(case when stated is null or opportunity_type is not null or stated like '%,opportunity_type,%'
            then place || coalesce('=' || opportunity_type, '-') end) over so_far as coded_opportunity_type,
        max(case when stated is null or lead_source is not null or stated like '%,lead_source,%'
            then place || coalesce('=' || lead_source, '-') end) over so_far as coded_lead_source,
        max(case when stated is null or sales_motion is not null or stated like '%,sales_motion,%'
            then place || coalesce('=' || sales_motion, '-') end) over so_far as coded_sales_motion,
        max(case when stated is null or next_step is not null or stated like '%,next_step,%'
            then place || coalesce('=' || next_step, '-') end) over so_far as coded_next_step,
        max(case when stated is null or last_activity_on is not null or stated like '%,last_activity_on,%'
            then place || coalesce('=' || cast(last_activity_on as varchar), '-') end)
            over so_far as coded_last_activity_on,
        max(case when stated is null or is_closed is not null or stated like '%,is_closed,%' or is_new_stage
            then place || coalesce('=' || cast(is_closed as varchar), '-') end) over so_far as coded_is_closed,
        max(case when stated is null or is_won is not null or stated like '%,is_won,%' or is_new_stage
            then place || coalesce('=' || cast(is_won as varchar), '-') end) over so_far as coded_is_won,
        max(case when stated is null or outcome_reason is not null or stated like '%,outcome_reason,%' or is_new_stage
            then place || coalesce('=' || outcome_reason, '-') end) over so_far as coded_outcome_reason
    from several
    window so_far as (partition by opportunity_id order by position)
),

filled as (
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at,
        case when substr(coded_name, 10, 1) = '=' then substr(coded_name, 11) end as name,
        case when substr(coded_account_id, 10, 1) = '=' then substr(coded_account_id, 11) end as account_id,
        case when substr(coded_account_name, 10, 1) = '=' then substr(coded_account_name, 11) end as account_name,
        case when substr(coded_opportunity_type, 10, 1) = '=' then substr(coded_opportunity_type, 11) end
            as opportunity_type,
        case when substr(coded_lead_source, 10, 1) = '=' then substr(coded_lead_source, 11) end as lead_source,
        case when substr(coded_sales_motion, 10, 1) = '=' then substr(coded_sales_motion, 11) end as sales_motion,
        case when substr(coded_next_step, 10, 1) = '=' then substr(coded_next_step, 11) end as next_step,
        case when substr(coded_last_activity_on, 10, 1) = '='
            then cast(substr(coded_last_activity_on, 11) as date) end as last_activity_on,
        case when substr(coded_is_closed, 10, 1) = '='
            then cast(substr(coded_is_closed, 11) as boolean) end as is_closed,
        case when substr(coded_is_won, 10, 1) = '=' then cast(substr(coded_is_won, 11) as boolean) end as is_won,
        case when substr(coded_outcome_reason, 10, 1) = '=' then substr(coded_outcome_reason, 11) end as outcome_reason,
        seen_at, position, states_amount, states_currency, states_forecast_category, states_probability_rate,
        states_is_deleted
    from coded
),

final as (
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at, name, account_id, account_name, opportunity_type,
        lead_source, sales_motion, next_step, last_activity_on, is_closed, is_won, outcome_reason, seen_at, position,
        states_amount, states_currency, states_forecast_category, states_probability_rate, states_is_deleted
    from told
    where opportunity_id not in (select opportunity_id from partly)
    union all
    select
        opportunity_id, load_id, line, owner_id, created_on, close_on, stage, amount, currency, probability_rate,
        forecast_category, is_deleted, modified_at, extracted_at, name, account_id, account_name, opportunity_type,
        lead_source, sales_motion, next_step, last_activity_on, is_closed, is_won, outcome_reason, seen_at, position,
        states_amount, states_currency, states_forecast_category, states_probability_rate, states_is_deleted
    from filled
)

select * from final
