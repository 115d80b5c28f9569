-- One row per forecaster × layer × category × period for which a call was made or, in a closed period, was to be
-- expected: the forecaster calls in this layer and category in other periods, others did in this one, the forecaster made
-- no call in another layer meanwhile, and was employed (or won something). Somebody not in people is taken to be
-- employed from their first call to their last.
with calls as (
    select distinct forecaster_id, layer, category, period_start_on from calls
),

periods as (
    select * from periods
),

people as (
    select person_id, max(hired_on) as hired_on, max(left_on) as left_on from people_spans group by person_id
),

actuals as (
    select * from actuals where basis = 'own'
),

callers as (
    select
        forecaster_id,
        layer,
        category,
        min(period_start_on) as first_period_on,
        max(period_start_on) as last_period_on
    from calls
    group by forecaster_id, layer, category
),

asked as (
    select distinct layer, category, period_start_on from calls
),

busy as (
    select distinct forecaster_id, period_start_on from calls
),

missed as (
    select callers.forecaster_id, callers.layer, callers.category, asked.period_start_on
    from callers
    inner join asked using (layer, category)
    inner join periods on asked.period_start_on = periods.period_start_on and periods.status = 'closed'
    left join people on callers.forecaster_id = people.person_id
    left join actuals
        on callers.forecaster_id = actuals.person_id and asked.period_start_on = actuals.period_start_on
    left join calls
        on callers.forecaster_id = calls.forecaster_id and callers.layer = calls.layer
        and callers.category = calls.category and asked.period_start_on = calls.period_start_on
    left join busy
        on callers.forecaster_id = busy.forecaster_id and asked.period_start_on = busy.period_start_on
    where
        calls.forecaster_id is null
        and (busy.forecaster_id is null or exists (
            select 1 from calls as same_layer
            where same_layer.forecaster_id = callers.forecaster_id and same_layer.layer = callers.layer
                and same_layer.period_start_on = asked.period_start_on
        ))
        and (
            (
                coalesce(people.hired_on, callers.first_period_on) <= periods.period_end_on
                and (people.left_on is null or people.left_on >= periods.period_start_on)
                and (people.person_id is not null or asked.period_start_on <= callers.last_period_on)
            )
            or (callers.layer = 'rep' and actuals.actual_amount <> 0)
        )
),

final as (
    select forecaster_id, layer, category, period_start_on from calls
    union
    select forecaster_id, layer, category, period_start_on from missed
)

select * from final
