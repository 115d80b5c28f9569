-- One row per published period and week that has begun: origin_at, the exclusive end of that week's day; closed_at, when
-- the period's actual was frozen (null while it is not closed); horizon_days from that day to the period's end;
-- created_count, opportunities created in the 91 days up to the origin.
with weeks as (
    select period_start_on, status, week_of_period, until_at, horizon_days
    from weeks
    where ',' || cast($weeks as varchar) || ',' like '%,' || cast(week_of_period as varchar) || ',%'
),

calendar as (
    select period_start_on, freeze_at from calendar
),

created as (
    select created_on, count(*) as created_count
    from opportunity_extracts
    where is_last
    group by created_on
),

paced as (
    select weeks.period_start_on, weeks.week_of_period, sum(created.created_count) as created_count
    from weeks
    inner join created
        on cast(created.created_on as timestamp) < weeks.until_at
        and cast(created.created_on as timestamp) >= weeks.until_at - interval '91 days'
    group by weeks.period_start_on, weeks.week_of_period
),

final as (
    select
        weeks.period_start_on,
        weeks.week_of_period,
        weeks.until_at as origin_at,
        case when weeks.status = 'closed' then calendar.freeze_at end as closed_at,
        weeks.horizon_days,
        cast(paced.created_count as bigint) as created_count
    from weeks
    inner join calendar using (period_start_on)
    left join paced
        on weeks.period_start_on = paced.period_start_on and weeks.week_of_period = paced.week_of_period
)

select * from final
