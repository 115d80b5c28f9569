-- One row per load with an opportunity row in force: the columns its file stated, between commas (null where the ledger
-- does not know; then has_<field> says whether any row has a value), and is_lacking: whether it lacks a column that the
-- file of another load has.
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
        case when max(ledger.stated_columns) is null then count(landed.amount) > 0 end as has_amount,
        case when max(ledger.stated_columns) is null then count(landed.currency) > 0 end as has_currency,
        case when max(ledger.stated_columns) is null then count(landed.forecast_category) > 0 end as has_forecast_category,
        case when max(ledger.stated_columns) is null then count(landed.probability_rate) > 0 end as has_probability_rate,
        case when max(ledger.stated_columns) is null then count(landed.is_deleted) > 0 end as has_is_deleted
    from landed
    left join ledger using (load_id)
    group by landed.load_id
),

columns_told as (
    select column_name, min(is_told) as in_all, max(is_told) as in_any
    from (
        select
            names.column_name,
            case when loads.stated not like '%,' || names.column_name || ',%' then 0 else 1 end as is_told
        from loads
        cross join (
            values ('name'), ('account_id'), ('account_name'), ('opportunity_type'), ('lead_source'), ('sales_motion'),
                ('next_step'), ('last_activity_on'), ('is_closed'), ('is_won'), ('outcome_reason')
        ) as names (column_name)
    ) as told_by_load
    group by column_name
),

lacking as (
    select distinct loads.load_id
    from loads
    inner join columns_told
        on columns_told.in_any > columns_told.in_all
        and loads.stated not like '%,' || columns_told.column_name || ',%'
),

final as (
    select
        loads.load_id,
        loads.stated,
        loads.has_amount,
        loads.has_currency,
        loads.has_forecast_category,
        loads.has_probability_rate,
        loads.has_is_deleted,
        lacking.load_id is not null as is_lacking
    from loads
    left join lacking on loads.load_id = lacking.load_id
)

select
    load_id, stated, has_amount, has_currency, has_forecast_category, has_probability_rate, has_is_deleted, is_lacking
from final
