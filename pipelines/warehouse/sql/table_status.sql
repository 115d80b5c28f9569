-- One row for one input table ($table_name): its visible facts, what was rejected of it, and when it was known.
-- rejected_amount sums each rejected line once, in the rows' own currencies.
with facts as (
    select known_at from facts where known_at is null or known_at <= cast($as_of_at as timestamp)
),

rejected as (
    select file_name, line, max(amount) as amount
    from rejected_rows
    where table_name = $table_name
    group by file_name, line
),

final as (
    select
        cast($table_name as varchar) as table_name,
        (select count(*) from facts) as row_count,
        (select count(*) from rejected) as rejected_count,
        (select cast(sum(amount) as decimal(18, 2)) from rejected) as rejected_amount,
        (select min(known_at) from facts) as first_known_at,
        (select max(known_at) from facts) as last_known_at,
        case when (select count(*) from facts) > 0 then 'landed' else 'missing' end as status
)

select * from final
