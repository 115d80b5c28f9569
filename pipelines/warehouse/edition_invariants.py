"""What must be true in every edition, whoever made it (see ``editions.verify``)."""

from __future__ import annotations

from pipelines.finance_contracts import FINANCE_INVARIANTS

INVARIANTS: dict[str, str] = {
    "error is forecast minus actual": """
        select count(*) from forecast_pairs where error_amount is distinct from forecast_amount - actual_amount""",
    "a pair's status says what is missing": """
        select count(*) from forecast_pairs
        where (status = 'closed' and (forecast_amount is null or actual_amount is null))
           or (status = 'no_call' and forecast_amount is not null)
           or (status in ('open', 'no_actual') and actual_amount is not null)""",
    "periods follow one another": """
        select count(*) from periods as a inner join periods as b
          on a.period_start_on < b.period_start_on and a.period_end_on >= b.period_start_on""",
    "pairs stand in published periods": """
        select count(*) from forecast_pairs as pairs
        left join periods using (period_start_on) where periods.period_start_on is null""",
    "the pipeline's start and movements make its end": """
        select count(*) from (
            select span_kind, span_start_on, scope from pipeline_movement group by all
            having sum(case when movement = 'end' then -amount else amount end) <> 0
                or sum(case when movement = 'end' then -deal_count else deal_count end) <> 0
        )""",
    "the weeks' movements make the period's": """
        select count(*) from pipeline_movement as period
        left join (
            select period_start_on, scope, movement, sum(amount) as amount
            from pipeline_movement where span_kind = 'week' group by period_start_on, scope, movement
        ) as weeks using (period_start_on, scope, movement)
        where period.span_kind = 'period' and movement not in ('start', 'end')
            and weeks.amount is distinct from period.amount""",
    "the deals behind a movement sum to it, in every scope": """
        with of_scopes as (
            select deals.period_start_on, deals.movement, owners.scope, deals.amount, deals.deal_count
            from movement_deals as deals inner join owner_scopes as owners
                on deals.scope is null and deals.owner_id = owners.person_id
                and owners.from_on <= deals.owner_on and owners.to_on > deals.owner_on
            union all
            select period_start_on, movement, scope, amount, deal_count from movement_deals where scope is not null
        ), summed as (
            select period_start_on, movement, scope, sum(amount) as amount, sum(deal_count) as deal_count
            from of_scopes group by all
        ), told as (
            select period_start_on, movement, scope, amount, deal_count from pipeline_movement
            where span_kind = 'period' and change_count > 0
        )
        select count(*) from summed full join told using (period_start_on, movement, scope)
        where told.amount is distinct from summed.amount or told.deal_count is distinct from summed.deal_count""",
    "every scope of a movement is published": """
        select count(*) from pipeline_movement as told
        left join scopes using (scope) where scopes.scope is null""",
    "every scope of a member is published": """
        select count(*) from scope_members as members
        left join scopes using (scope) where scopes.scope is null""",
    "every scope but the company has a parent": """
        select count(*) from scopes as scopes left join scopes as parents on scopes.parent_scope = parents.scope
        where (scopes.scope <> 'company' and parents.scope is null)
           or (scopes.scope = 'company' and scopes.parent_scope is not null)""",
    "a call and its steps add up to what landed": """
        select count(*) from (
            select sum(amount) as steps, any_value(call_amount) as call_amount,
                any_value(actual_amount) as actual_amount
            from miss_attribution where status = 'ok' group by period_start_on, week_of_period, scope, layer
            having count(*) <> 11 or count(amount) <> 11 or count(distinct actual_amount) <> 1
                or call_amount + steps <> actual_amount
        )""",
    "a bridge ends where the pair of its caller ends": """
        with alone as (
            select period_start_on, scope from scope_members where scope <> 'company'
            group by all having count(*) = 1 and any_value(person_id) = scope
        )
        select count(*) from miss_attribution as bridge
        inner join alone using (period_start_on, scope)
        inner join forecast_pairs as pairs
            on bridge.scope = pairs.forecaster_id and bridge.period_start_on = pairs.period_start_on
            and bridge.week_of_period = pairs.week_of_period and bridge.layer = pairs.layer
            and bridge.category = pairs.category
        where bridge.layer = 'rep' and bridge.status = 'ok' and pairs.source = 'submissions' and pairs.status = 'closed'
            and (select actual_source from edition) = 'closed_won'
            and (bridge.call_amount <> pairs.forecast_amount or bridge.actual_amount <> pairs.actual_amount)""",
    "the parts of a cut are the company's bridge": """
        select count(*) from (
            select cut, period_start_on, cause, sum(amount) as amount from attribution_cut group by all
        ) as parts
        inner join miss_attribution as bridge using (period_start_on, cause)
        where bridge.scope = 'company' and bridge.is_standing and bridge.status in ('ok', 'no_call')
            and bridge.cause <> 'transferred' and parts.amount <> bridge.amount""",
    "every part of a cut ties": """
        select count(*) from (
            select sum(amount) as steps, any_value(rollup_amount) as rollup_amount,
                any_value(actual_amount) as actual_amount
            from attribution_cut group by period_start_on, week_of_period, cut, value
            having rollup_amount + steps <> actual_amount
        )""",
    "restated deals are what a period is restated by": """
        with deals as (
            select period_start_on, sum(difference_amount) as amount, count(*) as n from restated_deals group by all
        )
        select count(*) from restatements as told full join deals using (period_start_on)
        where coalesce(told.difference_amount, 0) <> coalesce(deals.amount, 0)
            or coalesce(told.deal_count, 0) <> coalesce(deals.n, 0)
            or told.corrected_amount <> told.reported_amount + told.difference_amount""",
    "what explains a miss is no more than the miss": """
        with told as (
            select period_start_on, week_of_period, scope, cause, sum(amount) as amount
            from miss_explained where period_start_on = of_period_start_on group by all
        )
        select count(*) from told
        inner join miss_attribution as bridge using (period_start_on, week_of_period, scope, cause)
        where bridge.status in ('ok', 'no_call') and told.amount not between bridge.amount and 0""",
    "the tie-out holds both ledgers whole": """
        with rows_sum as (
            select sum(crm_amount) as crm_amount, sum(booked_amount) as booked_amount from reconciliation
        ),
        kinds_sum as (
            select sum(crm_amount) as crm_amount, sum(booked_amount) as booked_amount
            from reconciliation_totals where break_kind <> 'ledger'
        )
        select count(*) from reconciliation_totals as ledger, rows_sum, kinds_sum
        where ledger.break_kind = 'ledger' and (
            ledger.crm_amount <> kinds_sum.crm_amount or ledger.booked_amount <> kinds_sum.booked_amount
            or ledger.crm_amount <> coalesce(rows_sum.crm_amount, 0)
            or ledger.booked_amount <> coalesce(rows_sum.booked_amount, 0))""",
    "a landing lies inside its range, with twenty dots": """
        select count(*) from (
            select 1 from landing where estimate not between lower and upper or (lower is null) <> (estimate is null)
            union all
            select 1 from landing_dots group by period_start_on, week_of_period, scope having count(*) <> 20
        )""",
    "a coverage counts the ranges that were issued": """
        select count(*) from (
            select scope, method, level, week_of_period, count(*) as n, count(*) filter (where is_inside) as hits
            from landing_backtest group by all
        ) as issued
        full join coverage using (scope, method, level, week_of_period)
        where n is distinct from period_count or hits is distinct from hit_count""",
    "a range held what lay inside it": """
        select count(*) from landing_backtest
        where is_inside <> (actual_amount between lower and upper) or error_amount <> estimate - actual_amount""",
    "every member belongs to the company and to themselves": """
        select count(*) from (
            select period_start_on, person_id from scope_members group by all
            having count(*) filter (where scope = 'company') <> 1 or count(*) filter (where scope = person_id) <> 1
        )""",
    **FINANCE_INVARIANTS,
}
"""Queries that count offenders: an edition is sound when each finds none."""
