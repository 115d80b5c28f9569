-- One row per opportunity whose row in force has columns that no table knows: other_columns, JSON, as written.
-- Reads landed_fields: the landed opportunities with other_columns. Of a large company a fixed part, $most_rows deals:
-- whether a field knows the outcome is as plain from twenty thousand as from a million.
with rows_in_force as (
    select opportunity_id, load_id, line from opportunity_extracts where is_last
),

final as (
    select rows_in_force.opportunity_id, landed_fields.other_columns
    from rows_in_force
    inner join landed_fields
        on rows_in_force.opportunity_id = landed_fields.opportunity_id
        and rows_in_force.load_id = landed_fields.load_id
        and rows_in_force.line = landed_fields.line
    where landed_fields.other_columns is not null
    order by md5(rows_in_force.opportunity_id), rows_in_force.opportunity_id
    limit $most_rows
)

select * from final
