-- One row per kind of date that decides which periods are published or which the calendar must cover: its first and last.
-- 'period' dates name a period; 'close' dates are any a deal ever had.
with final as (
    select 'period' as kind, min(period_start_on) as first_on, max(period_start_on) as last_on from forecast_submissions
    union all
    select 'period', min(period_start_on), max(period_start_on) from forecast_records
    union all
    select 'period', min(period_start_on), max(period_start_on) from quotas
    union all
    select 'period', min(close_on), max(close_on)
    from opportunity_versions where is_won and not is_deleted
        and cast(close_on as timestamp) <= cast($as_of_at as timestamp)
    union all
    select 'close', min(close_on), max(close_on) from opportunity_versions
)

select kind, first_on, last_on from final
