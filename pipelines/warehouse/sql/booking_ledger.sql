-- One row per booking, as finance's side of the books: in the reporting currency at the rate of the day it was booked,
-- null without a rate. A booking recorded again replaces what was recorded before: the latest recorded_at stands, then
-- the line landed last. closing_amount: the same at the rate of the day the named deal closed, for the difference that
-- rates make.
with ordered as (
    select
        bookings.*,
        row_number() over (
            partition by booking_id order by recorded_at desc nulls last, load_id desc, line desc
        ) as place
    from bookings
),

won as (
    select opportunity_id, close_on from won_deals
),

rates as (
    select currency, on_day, rate from fx_days
),

lines as (
    select
        booking_id,
        booked_on,
        amount,
        coalesce(currency, cast($reporting_currency as varchar)) as currency,
        opportunity_id,
        account_name
    from ordered
    where place = 1
),

final as (
    select
        lines.booking_id,
        lines.booked_on,
        case
            when lines.currency = cast($reporting_currency as varchar) then lines.amount
            else try_cast(round(cast(lines.amount as decimal(19, 2)) * booked.rate, 2) as decimal(18, 2))
        end as booked_amount,
        case
            when lines.currency = cast($reporting_currency as varchar) then lines.amount
            else try_cast(round(cast(lines.amount as decimal(19, 2)) * closing.rate, 2) as decimal(18, 2))
        end as closing_amount,
        lines.amount as own_amount,
        lines.currency,
        lines.opportunity_id,
        lines.account_name
    from lines
    left join won using (opportunity_id)
    left join rates as booked on lines.currency = booked.currency and lines.booked_on = booked.on_day
    left join rates as closing on lines.currency = closing.currency and won.close_on = closing.on_day
)

select * from final
