-- One row per person and span of days [from_on, to_on): who they were and whom they reported to.
-- The span in force on a day is the one with the latest valid_from_on by then; the first one reaches back for good.
-- 'company' is everybody's last scope and nobody's name: a person called so is left out, and whoever reports to it to none.
with people as (
    select *, coalesce(valid_from_on, date '0001-01-01') as began_on from people
),

ordered as (
    select
        *,
        row_number() over (partition by person_id order by began_on, load_id, line) as position,
        lead(began_on, 1, date '9999-12-31') over (partition by person_id order by began_on, load_id, line) as to_on
    from people
),

final as (
    select
        person_id,
        name,
        case when manager_id <> person_id and manager_id <> 'company' then manager_id end as manager_id,
        role,
        team,
        region,
        segment,
        hired_on,
        left_on,
        case when position = 1 then date '0001-01-01' else began_on end as from_on,
        to_on
    from ordered
)

select * from final where from_on < to_on and person_id <> 'company'
