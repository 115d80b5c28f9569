-- One row per deal and closed period whose won amount the CRM tells otherwise now than when the period was frozen.
-- reported_amount: as frozen (won_deals); corrected_amount: by the deal's latest version, in the period of its close
-- date. reason: amount; moved (won, but its close date lies in another period now); reopened; lost; deleted; late
-- (won in the period by its date, but not when it was frozen). No amount in the reporting currency weighs 0.00.
with closed as (
    select period_start_on from periods where status = 'closed'
),

days as (
    select on_day, period_start_on from calendar_days
),

last_versions as (
    select * from opportunity_versions where valid_to_at = timestamp '9999-12-31 00:00:00'
),

reported as (
    select
        won.opportunity_id, won.period_start_on, won.owner_id,
        coalesce(won.reporting_amount, cast(0 as decimal(18, 2))) as amount
    from won_deals as won
    inner join closed on won.period_start_on = closed.period_start_on
),

corrected as (
    select
        last_versions.opportunity_id, days.period_start_on, last_versions.owner_id,
        coalesce(last_versions.reporting_amount, cast(0 as decimal(18, 2))) as amount
    from last_versions
    inner join days on last_versions.close_on = days.on_day
    inner join closed on days.period_start_on = closed.period_start_on
    where last_versions.is_won and not last_versions.is_deleted
),

named as (
    select opportunity_id, name, account_name from opportunity_extracts where is_last
),

paired as (
    select
        coalesce(reported.opportunity_id, corrected.opportunity_id) as opportunity_id,
        coalesce(reported.period_start_on, corrected.period_start_on) as period_start_on,
        coalesce(reported.owner_id, corrected.owner_id) as owner_id,
        reported.opportunity_id is not null as was_reported,
        corrected.opportunity_id is not null as is_corrected,
        coalesce(reported.amount, cast(0 as decimal(18, 2))) as reported_amount,
        coalesce(corrected.amount, cast(0 as decimal(18, 2))) as corrected_amount
    from reported
    full join corrected
        on reported.opportunity_id = corrected.opportunity_id and reported.period_start_on = corrected.period_start_on
),

final as (
    select
        paired.period_start_on,
        paired.opportunity_id,
        named.name,
        named.account_name,
        paired.owner_id,
        paired.reported_amount,
        paired.corrected_amount,
        cast(paired.corrected_amount - paired.reported_amount as decimal(18, 2)) as difference_amount,
        case
            when paired.was_reported and paired.is_corrected then 'amount'
            when paired.is_corrected and elsewhere.opportunity_id is not null then 'moved'
            when paired.is_corrected then 'late'
            when last_versions.is_deleted then 'deleted'
            when last_versions.is_won then 'moved'
            when last_versions.is_closed then 'lost'
            else 'reopened'
        end as reason
    from paired
    left join named on paired.opportunity_id = named.opportunity_id
    left join last_versions on paired.opportunity_id = last_versions.opportunity_id
    left join won_deals as elsewhere
        on paired.opportunity_id = elsewhere.opportunity_id
        and paired.period_start_on <> elsewhere.period_start_on
    where paired.was_reported <> paired.is_corrected or paired.reported_amount <> paired.corrected_amount
)

select * from final
