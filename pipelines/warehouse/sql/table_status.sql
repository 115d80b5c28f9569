-- One row per input table (input_names): its visible facts, what was rejected of it, and when it was known.
-- rejected_amount sums each rejected line once, in the rows' own currencies.
with names as (
    select table_name from input_names
),

visible as (
    select table_name, count(*) as row_count, min(known_at) as first_known_at, max(known_at) as last_known_at
    from facts
    where known_at is null or known_at <= cast($as_of_at as timestamp)
    group by table_name
),

lines as (
    select table_name, file_name, line, max(amount) as amount
    from rejected_rows
    group by table_name, file_name, line
),

rejected as (
    select table_name, count(*) as rejected_count, cast(sum(amount) as decimal(18, 2)) as rejected_amount
    from lines
    group by table_name
),

final as (
    select
        names.table_name,
        case when visible.row_count is null then cast(0 as bigint) else visible.row_count end as row_count,
        case when rejected.rejected_count is null then cast(0 as bigint) else rejected.rejected_count end
            as rejected_count,
        rejected.rejected_amount,
        visible.first_known_at,
        visible.last_known_at,
        case when visible.row_count > 0 then 'landed' else 'missing' end as status
    from names
    left join visible on names.table_name = visible.table_name
    left join rejected on names.table_name = rejected.table_name
)

select * from final
