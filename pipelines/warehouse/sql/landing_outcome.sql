-- One row per staged line of a file: what becomes of it.
-- outcome: 'landed' (new or changed), 'unchanged' (equal to the row in force, or to a later line of the same file),
-- 'duplicate' (another line of the file holds the same key with other content, and wins).
-- Among lines of one key the latest precedence_at wins, else the last line. The row in force is the one landed last.
with staged as (
    select line, key_hash, row_hash, precedence_at from staged_rows
),

landed as (
    select key_hash, row_hash, load_id from landed_rows
),

repeated_keys as (
    select key_hash from staged group by key_hash having count(*) > 1
),

repeated as (
    select staged.*
    from staged
    inner join repeated_keys using (key_hash)
),

contents as (
    select key_hash, row_hash, max(line) as line, max(precedence_at) as precedence_at
    from repeated
    group by key_hash, row_hash
),

ranked as (
    select
        line,
        row_number() over (partition by key_hash order by precedence_at desc nulls last, line desc) as place
    from contents
),

in_force as (
    select landed.key_hash, arg_max(landed.row_hash, landed.load_id) as row_hash
    from landed
    where landed.key_hash in (select key_hash from staged)
    group by landed.key_hash
),

final as (
    select
        staged.line,
        case
            when repeated_keys.key_hash is not null and ranked.line is null then 'unchanged'
            when ranked.place > 1 then 'duplicate'
            when in_force.row_hash = staged.row_hash then 'unchanged'
            else 'landed'
        end as outcome
    from staged
    left join repeated_keys using (key_hash)
    left join ranked using (line)
    left join in_force using (key_hash)
)

select line, outcome from final
