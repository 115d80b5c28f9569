-- One row per period: what the company won, and the same summed over the owners, for the check that they agree.
with actuals as (
    select * from actuals
),

owners as (
    select period_start_on, sum(actual_amount) as amount, sum(won_count) as won_count
    from actuals where basis = 'own' group by period_start_on
),

company as (
    select period_start_on, actual_amount as amount, won_count from actuals where basis = 'company'
),

final as (
    select
        coalesce(owners.period_start_on, company.period_start_on) as period_start_on,
        owners.amount as owners_amount,
        company.amount as company_amount,
        owners.won_count as owners_count,
        company.won_count as company_count
    from owners full outer join company on owners.period_start_on = company.period_start_on
)

select * from final
