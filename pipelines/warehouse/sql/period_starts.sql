-- One row per first day of a period that a call, record or quota names.
with final as (
    select period_start_on from forecast_submissions
    union
    select period_start_on from forecast_records
    union
    select period_start_on from quotas
)

select period_start_on from final order by period_start_on
