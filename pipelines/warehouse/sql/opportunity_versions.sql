-- One row per opportunity and state: half-open [valid_from_at, valid_to_at), the last one until 9999-12-31.
-- Same opportunity and instant = one version; equal neighbours are one version. Each field holds its last stated value:
-- each statement carries its place in front, so that the largest so far is the latest. amount is in its own currency;
-- reporting_amount is converted at the close date's rate once closed, before at the rate of valid_from_at's day.
with events as (
    select * from opportunity_events
),

current_rows as (
    select opportunity_id, stage as row_stage, has_own_flags, row_is_closed, row_is_won
    from opportunity_extracts
    where is_last
),

flags as (
    select stage, is_closed, is_won, is_listed from stage_flags
),

rates as (
    select currency, on_day, rate from fx_days
),

constants as (
    select cast($reporting_currency as varchar) as reporting_currency, cast($as_of_at as timestamp) as as_of_at
),

numbered as (
    select
        *,
        -- Ten digits: as text they sort as the numbers do.
        cast(1000000000 + row_number() over (partition by opportunity_id order by stated_at) as varchar) as place
    from events
),

latest as (
    select
        opportunity_id,
        stated_at,
        max(case when owner_id is not null then place || owner_id end) over so_far as owner_id,
        max(case when stage is not null then place || stage end) over so_far as stage,
        max(case when stage is not null then place || coalesce(own_flags, '') end) over so_far as own_flags,
        max(case when amount is not null then place || amount end) over so_far as amount,
        max(case when currency is not null then place || currency end) over so_far as currency,
        max(case when close_on is not null then place || close_on end) over so_far as close_on,
        max(case when forecast_category is not null then place || forecast_category end) over so_far as forecast_category,
        max(case when probability_rate is not null then place || probability_rate end) over so_far as probability_rate,
        max(case when is_deleted is not null then place || is_deleted end) over so_far as is_deleted
    from numbered
    window so_far as (partition by opportunity_id order by stated_at)
),

filled as (
    select
        opportunity_id,
        stated_at,
        nullif(substr(owner_id, 11), '') as owner_id,
        nullif(substr(stage, 11), '') as stage,
        nullif(substr(own_flags, 11), '') as own_flags,
        nullif(substr(amount, 11), '') as amount,
        nullif(substr(currency, 11), '') as currency,
        nullif(substr(close_on, 11), '') as close_on,
        nullif(substr(forecast_category, 11), '') as forecast_category,
        nullif(substr(probability_rate, 11), '') as probability_rate,
        nullif(substr(is_deleted, 11), '') as is_deleted
    from latest
),

typed as (
    select
        opportunity_id,
        stated_at as valid_from_at,
        case when substr(owner_id, 2, 1) = '=' then substr(owner_id, 3) end as owner_id,
        case when substr(stage, 2, 1) = '=' then substr(stage, 3) end as stage,
        case when substr(own_flags, 2, 1) = '=' then substr(own_flags, 3) end as own_flags,
        case when substr(amount, 2, 1) = '=' then try_cast(substr(amount, 3) as decimal(18, 2)) end as amount,
        case when substr(currency, 2, 1) = '=' then substr(currency, 3) end as currency,
        case when substr(close_on, 2, 1) = '=' then try_cast(substr(close_on, 3) as date) end as close_on,
        case when substr(forecast_category, 2, 1) = '=' then substr(forecast_category, 3) end as forecast_category,
        case when substr(probability_rate, 2, 1) = '=' then try_cast(substr(probability_rate, 3) as double) end
            as probability_rate,
        coalesce(case when substr(is_deleted, 2, 1) = '=' then try_cast(substr(is_deleted, 3) as boolean) end, false)
            as is_deleted
    from filled
),

flagged as (
    select
        typed.*,
        case
            when typed.own_flags is not null then substr(typed.own_flags, 1, 1) = 'c'
            when flags.is_listed then flags.is_closed
            when typed.stage = current_rows.row_stage and current_rows.has_own_flags then current_rows.row_is_closed
            else coalesce(flags.is_closed, false)
        end as is_closed,
        case
            when typed.own_flags is not null then substr(typed.own_flags, 2, 1) = 'w'
            when flags.is_listed then flags.is_closed and flags.is_won
            when typed.stage = current_rows.row_stage and current_rows.has_own_flags then current_rows.row_is_won
            else coalesce(flags.is_closed and flags.is_won, false)
        end as is_won
    from typed
    left join flags using (stage)
    left join current_rows using (opportunity_id)
),

compared as (
    select
        *,
        row(owner_id, stage, amount, currency, close_on, forecast_category, probability_rate, is_deleted, is_closed,
            is_won)
            is not distinct from
            lag(row(owner_id, stage, amount, currency, close_on, forecast_category, probability_rate, is_deleted,
                is_closed, is_won)) over (partition by opportunity_id order by valid_from_at) as is_same
    from flagged
),

spanned as (
    select
        *,
        lead(valid_from_at, 1, timestamp '9999-12-31 00:00:00')
            over (partition by opportunity_id order by valid_from_at) as valid_to_at
    from compared
    where not is_same
),

dated as (
    select
        spanned.*,
        least(
            case when is_closed and close_on is not null then close_on else cast(valid_from_at as date) end,
            cast(constants.as_of_at as date)
        ) as rate_on,
        coalesce(spanned.currency, constants.reporting_currency) as own_currency,
        constants.reporting_currency
    from spanned
    cross join constants
),

final as (
    select
        dated.opportunity_id,
        dated.valid_from_at,
        dated.valid_to_at,
        dated.owner_id,
        dated.stage,
        dated.amount,
        dated.currency,
        case
            when dated.own_currency = dated.reporting_currency then dated.amount
            else try_cast(round(cast(dated.amount as decimal(19, 2)) * rates.rate, 2) as decimal(18, 2))
        end as reporting_amount,
        dated.close_on,
        dated.forecast_category,
        dated.probability_rate,
        dated.is_closed,
        dated.is_won,
        dated.is_deleted
    from dated
    left join rates on dated.own_currency = rates.currency and dated.rate_on = rates.on_day
)

select * from final
