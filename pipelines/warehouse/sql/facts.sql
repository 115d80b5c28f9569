-- One row per fact in force: of each key, the row landed last among those known at the as-of ($as_of_at).
-- Reads landed_rows: one landing table with known_at, the instant from which each row was known (null = always);
-- visible_at, from when it may be read at all (null = always); corrected_at, when it took the place of other content
-- (null = it contradicts none).
with landed as (
    select * from landed_rows
    where
        (visible_at is null or visible_at <= cast($as_of_at as timestamp))
        and (corrected_at is null or corrected_at <= cast($as_of_at as timestamp))
),

-- A load has one row per key at most: only what came after the first load can supersede anything.
later_keys as (
    select distinct key_hash from landed
    where load_id > (select min(first_landed.load_id) from landed as first_landed)
),

superseded as (
    select landed.key_hash, max(landed.load_id) as last_load_id
    from landed
    inner join later_keys on landed.key_hash = later_keys.key_hash
    group by landed.key_hash
    having count(*) > 1
),

final as (
    select landed.*
    from landed
    left join superseded using (key_hash)
    where superseded.key_hash is null or landed.load_id = superseded.last_load_id
)

select * from final
