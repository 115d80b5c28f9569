-- One row per foreign currency and day from its first rate to the as-of ($as_of_at): the rate then in force.
-- A small calendar, so that conversion is an equality join: the history never gets a row per day.
with rates as (
    select currency, valid_from_on, rate_to_reporting from fx_rates
),

spans as (
    select
        currency,
        valid_from_on,
        rate_to_reporting as rate,
        lead(valid_from_on, 1, cast(cast($as_of_at as timestamp) as date) + 1)
            over (partition by currency order by valid_from_on) as valid_to_on
    from rates
),

final as (
    select
        currency,
        cast(unnest(generate_series(cast(valid_from_on as timestamp), valid_to_on - interval '1 day', interval '1 day'))
            as date) as on_day,
        rate
    from spans
    where valid_from_on < valid_to_on
)

select currency, on_day, rate from final
