-- One row per opportunity that counts as won: in which period, for how much, by whom.
-- The state is the one in force when its period's actual is frozen (freeze_at: end of period + grace), so that later
-- edits change nothing; the period is the first that froze it as won, so that no deal counts twice. The owner is who
-- owned it when it was won (the first version of that won spell), whoever inherits it afterwards.
with versions as (
    select * from frozen_versions
),

days as (
    select on_day, period_start_on from calendar_days
),

calendar as (
    select period_start_on, freeze_at from calendar
),

frozen as (
    select
        versions.*,
        days.period_start_on,
        row_number() over (partition by versions.opportunity_id order by days.period_start_on, valid_from_at) as place
    from versions
    inner join days on versions.close_on = days.on_day
    inner join calendar
        on days.period_start_on = calendar.period_start_on
        and versions.valid_from_at < calendar.freeze_at
        and versions.valid_to_at >= calendar.freeze_at
    where versions.is_won and not versions.is_deleted
),

changes_to_won as (
    select
        versions.opportunity_id,
        versions.valid_from_at,
        versions.owner_id,
        versions.is_won
            and not coalesce(
                lag(versions.is_won) over (partition by versions.opportunity_id order by versions.valid_from_at), false
            ) as is_spell_start
    from versions
    inner join frozen on versions.opportunity_id = frozen.opportunity_id and frozen.place = 1
),

spells as (
    select opportunity_id, valid_from_at as won_at, owner_id from changes_to_won where is_spell_start
),

closers as (
    select
        frozen.opportunity_id,
        max(spells.won_at) as won_at,
        arg_max(spells.owner_id, spells.won_at) as owner_id
    from frozen
    inner join spells
        on frozen.opportunity_id = spells.opportunity_id and spells.won_at <= frozen.valid_from_at
    where frozen.place = 1
    group by frozen.opportunity_id
),

final as (
    select
        frozen.opportunity_id,
        frozen.period_start_on,
        frozen.close_on,
        closers.won_at,
        closers.owner_id,
        frozen.amount,
        frozen.currency,
        frozen.reporting_amount
    from frozen
    inner join closers using (opportunity_id)
    where frozen.place = 1
)

select * from final
