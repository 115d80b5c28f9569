-- One row per person and period: the quota recorded last, in the reporting currency at the rate of the period's start.
with quotas as (
    select
        *,
        row_number() over (
            partition by person_id, period_start_on order by recorded_at desc nulls last, load_id desc, line desc
        ) as place
    from quotas
),

rates as (
    select currency, on_day, rate from fx_days
),

constants as (
    select cast($reporting_currency as varchar) as reporting_currency, cast($as_of_at as timestamp) as as_of_at
),

final as (
    select
        quotas.person_id,
        quotas.period_start_on,
        case
            when coalesce(quotas.currency, constants.reporting_currency) = constants.reporting_currency
                then quotas.amount
            else try_cast(round(cast(quotas.amount as decimal(19, 2)) * rates.rate, 2) as decimal(18, 2))
        end as quota_amount
    from quotas
    cross join constants
    left join rates
        on quotas.currency = rates.currency
        and least(quotas.period_start_on, cast(constants.as_of_at as date)) = rates.on_day
    where quotas.place = 1
)

select person_id, period_start_on, quota_amount from final
