-- One row: the currency whose rate is exactly 1, else the one most visible deals, calls, quotas and bookings are in; null
-- if none. A deal counts once, as first extracted, so that a later extract does not change the past.
with rates as (
    select currency, max(rate_to_reporting) as highest, min(rate_to_reporting) as lowest from fx_rates group by currency
),

units as (
    select min(currency) as currency from rates where highest = 1 and lowest = 1
),

mentioned as (
    select currency from opportunity_extracts where position = 1
    union all select currency from forecast_submissions
    union all select currency from quotas
    union all select currency from bookings
),

counted as (
    select currency, count(*) as mentions from mentioned where currency is not null group by currency
),

commonest as (
    select currency from counted order by mentions desc, currency limit 1
),

final as (
    select coalesce((select currency from units), (select currency from commonest)) as currency
)

select currency from final
