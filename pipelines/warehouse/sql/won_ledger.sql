-- One row per won deal, as the CRM's side of the books: in the reporting currency at the rate of its close.
-- own_amount and currency as stated; account_name of the latest extract.
with won as (
    select opportunity_id, owner_id, close_on, amount, currency, reporting_amount from won_deals
),

rows_in_force as (
    select opportunity_id, account_name from opportunity_extracts where is_last
),

final as (
    select
        won.opportunity_id,
        rows_in_force.account_name,
        won.owner_id,
        won.close_on as closed_on,
        won.reporting_amount as crm_amount,
        won.amount as own_amount,
        coalesce(won.currency, cast($reporting_currency as varchar)) as currency
    from won
    left join rows_in_force using (opportunity_id)
)

select * from final
