-- One row per visible opportunity: the coded value of each field before its first change (see opportunity_changes),
-- null where the history never touches it. Opportunities without any change have no row.
with changes as (
    select changes.*
    from opportunity_changes as changes
    inner join opportunity_extracts as extracts
        on changes.opportunity_id = extracts.opportunity_id and extracts.position = 1
        and changes.changed_at <= extracts.seen_at
),

final as (
    select
        opportunity_id,
        min(changed_at) as first_changed_at,
        arg_min(first_owner_id, told_at) as owner_id,
        arg_min(first_stage, told_at) as stage,
        arg_min(first_amount, told_at) as amount,
        arg_min(first_currency, told_at) as currency,
        arg_min(first_close_on, told_at) as close_on,
        arg_min(first_forecast_category, told_at) as forecast_category,
        arg_min(first_probability_rate, told_at) as probability_rate,
        arg_min(first_is_deleted, told_at) as is_deleted
    from changes
    group by opportunity_id
)

select * from final
