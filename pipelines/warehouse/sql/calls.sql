-- One row per call a person submitted: forecaster × layer × period × category × instant, with the instant the next one
-- replaced it (half-open; the last one holds for good). call_amount: in the reporting currency at the rate of the day
-- it was submitted, null without a rate.
with submissions as (
    select * from forecast_submissions
),

rates as (
    select currency, on_day, rate from fx_days
),

constants as (
    select cast($reporting_currency as varchar) as reporting_currency
),

final as (
    select
        submissions.forecaster_id,
        submissions.layer,
        submissions.period_start_on,
        submissions.category,
        submissions.submitted_at,
        lead(submissions.submitted_at, 1, timestamp '9999-12-31 00:00:00') over (
            partition by
                submissions.forecaster_id, submissions.layer, submissions.period_start_on, submissions.category
            order by submissions.submitted_at
        ) as replaced_at,
        case
            when coalesce(submissions.currency, constants.reporting_currency) = constants.reporting_currency
                then submissions.amount
            else try_cast(round(cast(submissions.amount as decimal(19, 2)) * rates.rate, 2) as decimal(18, 2))
        end as call_amount
    from submissions
    cross join constants
    left join rates
        on submissions.currency = rates.currency and cast(submissions.submitted_at as date) = rates.on_day
)

select * from final
