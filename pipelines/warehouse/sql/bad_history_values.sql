-- One row per change whose new value does not fit the type of its field: ignored for that field, kept as rejected.
-- In the columns of rejected_rows, with the load it came from.
with history as (
    select * from opportunity_history
),

loads as (
    select load_id, file_name from landing.loads
),

final as (
    select
        loads.file_name,
        history.line,
        'opportunity_history' as table_name,
        'history_value' as rule,
        history.field as column_name,
        history.new_value as value,
        cast(null as decimal(18, 2)) as amount
    from history
    inner join loads using (load_id)
    where history.changed_at <= cast($as_of_at as timestamp) and (
        (field = 'amount' and new_value is not null and try_cast(new_value as decimal(18, 2)) is null)
        or (field = 'close_on' and try_cast(new_value as date) is null)
        or (field = 'probability_rate' and new_value is not null
            and coalesce(try_cast(new_value as double) between 0 and 1, false) = false)
        or (field = 'forecast_category' and new_value is not null
            and new_value not in ('omitted', 'pipeline', 'best_case', 'most_likely', 'commit', 'closed'))
        or (field = 'is_deleted' and new_value is not null and try_cast(new_value as boolean) is null)
        or (field in ('owner_id', 'stage') and new_value is null)
    )
)

select file_name, line, table_name, rule, column_name, value, amount from final
