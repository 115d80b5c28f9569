-- One row per published period in which deal_states has a deal at one of $weeks (integers, comma-separated).
with weeks as (
    select period_start_on, period_end_on, until_at
    from weeks
    where ',' || cast($weeks as varchar) || ',' like '%,' || cast(week_of_period as varchar) || ',%'
),

versions as (
    select valid_from_at, valid_to_at, is_deleted, is_closed, is_won, close_on from opportunity_versions
),

won as (
    select period_start_on from won_deals
),

final as (
    select weeks.period_start_on
    from weeks
    inner join versions
        on versions.valid_from_at < weeks.until_at
        and versions.valid_to_at >= weeks.until_at
        and not versions.is_deleted
        and (
            not versions.is_closed
            or (versions.is_won and versions.close_on between weeks.period_start_on and weeks.period_end_on)
        )
    union
    select weeks.period_start_on
    from weeks
    inner join won on weeks.period_start_on = won.period_start_on
)

select * from final
