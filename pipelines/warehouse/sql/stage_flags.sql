-- One row per stage name that any landed row mentions: whether it closes a deal, and as won.
-- From the stages table where it lists the name, else from the usual names; null where neither knows it.
with stages as (
    select stage, is_closed, is_won from stages
),

opportunities as (
    select stage from opportunity_rows
),

states as (
    select stage from opportunity_states
),

changes as (
    select new_value, old_value from opportunity_history where field = 'stage'
),

names as (
    select stage from opportunities
    union select stage from states
    union select new_value from changes
    union select old_value from changes
),

plain as (
    select stage, lower(regexp_replace(stage, '[^A-Za-z]', '', 'g')) as plain_name
    from names
    where stage is not null
),

final as (
    select
        plain.stage,
        coalesce(
            stages.is_closed,
            case
                when plain_name in
                    ('closedwon', 'won', 'closedlost', 'lost', 'nodecision', 'closednodecision', 'closed')
                    then true
            end
        ) as is_closed,
        coalesce(
            stages.is_won,
            case
                when plain_name in ('closedwon', 'won') then true
                when plain_name in ('closedlost', 'lost', 'nodecision', 'closednodecision') then false
            end
        ) as is_won,
        stages.stage is not null as is_listed
    from plain
    left join stages using (stage)
)

select stage, is_closed, is_won, is_listed from final
