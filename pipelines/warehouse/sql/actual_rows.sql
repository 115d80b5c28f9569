-- One row per won deal ($actual_source 'closed_won'), or per booking line and the won deal it belongs to ('bookings').
-- period_start_on: of the close, or of the day it was booked; close_on places it in the hierarchy: the deal's close,
-- whoever its people report to when it is booked. owner_id and opportunity_id are null for a line that belongs to no
-- won deal. A credit is negative. A line counts in the period it was booked on, whenever it was recorded before the
-- edition's instant.
with won as (
    select opportunity_id, period_start_on, close_on, owner_id, amount, reporting_amount from won_deals
),

lines as (
    select * from booked_lines
),

bookings as (
    select booking_id, max(amount) as amount from bookings group by booking_id
),

days as (
    select on_day, period_start_on from calendar_days
),

final as (
    select opportunity_id, period_start_on, close_on, owner_id, amount, reporting_amount
    from won
    where cast($actual_source as varchar) = 'closed_won'
    union all
    select
        lines.opportunity_id,
        days.period_start_on,
        coalesce(lines.closed_on, lines.booked_on),
        lines.owner_id,
        bookings.amount,
        lines.booked_amount
    from lines
    inner join days on lines.booked_on = days.on_day
    left join bookings using (booking_id)
    where cast($actual_source as varchar) = 'bookings'
)

select * from final
