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

numbers as (
    select n from numbers
),

final as (
    select
        spans.currency,
        cast(spans.valid_from_on as date) + numbers.n as on_day,
        spans.rate
    from spans
    inner join numbers on numbers.n < date_diff('day', spans.valid_from_on, spans.valid_to_on)
)

select currency, on_day, rate from final
