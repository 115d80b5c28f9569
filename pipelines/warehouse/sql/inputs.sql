-- One row per landed file of which any row is visible at the as-of or was rejected, or that was refused whole.
-- row_count: data rows of the file that could be read (landed, rejected, and unchanged against what was in force).
with loads as (
    select * from landing.loads
),

used as (
    select distinct load_id from visible_loads
),

final as (
    select
        loads.file_name,
        loads.table_name,
        loads.sha256,
        loads.row_count,
        loads.rejected_count,
        loads.landed_at,
        loads.mapping_name
    from loads
    left join used using (load_id)
    where used.load_id is not null or loads.status = 'failed' or loads.rejected_count > 0
)

select * from final
