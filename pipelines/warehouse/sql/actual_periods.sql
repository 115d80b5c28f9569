-- One row per period of which it is known what landed. Where closed won counts: those that ended after the first deal
-- was created. Where bookings count: those the books cover, from the first that they begin at most $gap_days days into,
-- to the last that a line was booked or recorded after: a period may close before its bookings arrive, and waits. A line
-- dated ahead of the edition's day tells of no period.
with deals as (
    select min(cast(valid_from_at as date)) as first_on from opportunity_versions
),

books as (
    select
        min(booked_on) as first_on,
        max(greatest(booked_on, coalesce(cast(recorded_at as date), booked_on))) as last_on
    from bookings
    cross join constants
    where booked_on <= cast(constants.as_of_at as date)
),

final as (
    select calendar.period_start_on
    from calendar
    cross join deals
    cross join books
    where case
        when cast($actual_source as varchar) = 'closed_won' then deals.first_on <= calendar.period_end_on
        else books.first_on <= calendar.period_start_on + cast($gap_days as integer)
            and books.last_on > calendar.period_end_on
    end
)

select * from final
