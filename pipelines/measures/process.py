"""The process of forecasting and the pipeline under it, measured: one call of the publisher."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from pipelines.engine.calibration import probability_calibration
from pipelines.engine.health import Book, pipeline_health, tells_pushes
from pipelines.engine.landing import seed_of
from pipelines.engine.leaks import leaks
from pipelines.engine.overrides import override_ledger, override_summary
from pipelines.engine.rationality import rationality
from pipelines.engine.stability import coverage_stability, duration_stability, rate_stability
from pipelines.engine.value_added import value_added
from pipelines.measures.book import TOLD, book
from pipelines.measures.chances import KNOWN_EARLY, chances, other_fields, resolved, shared_shock
from pipelines.measures.ladder import ladder_calls
from pipelines.measures.outcomes import outcome_tables
from pipelines.measures.rates import coverage_needed, cycle_times, outcome_rates
from pipelines.measures.restated import restatements
from pipelines.policy import COMPANY_SCOPE, Policy
from pipelines.process_contracts import Leaks, ProbabilityCalibration
from pipelines.side_by_side import side_by_side
from pipelines.warehouse.deal_lives import (
    company_actuals,
    deal_lives,
    opportunity_fields,
    stage_defaults,
    stage_exits,
)
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.prepared import Prepared

BAND_DRAWS = 200
"""Draws of the consistency band: its 5 % point moves by a hundredth between seeds, and publishing stays quick."""

STATES = (
    "period_start_on", "week_of_period", "opportunity_id", "until_at", "period_status", "lock_owner_id", "lock_stage",
    "lock_probability_rate", "lock_amount", "lock_close_on", "is_due", "won_by_week", "existed", "age_days",
    "sales_motion", "outcome", "end_amount",
)  # fmt: skip
WEIGHED = (
    "period_start_on", "week_of_period", "opportunity_id", "lock_owner_id", "lock_stage", "lock_probability_rate",
    "lock_amount", "is_due", "won_by_week", "existed",
)  # fmt: skip
"""What is fetched of ``deal_states``, and of it for the forecast that weights the pipeline."""

OPENED = ("opportunity_id", "outcome", *KNOWN_EARLY.values())
LIVES = tuple(dict.fromkeys((*TOLD, "closed_on", "opportunity_type")))
"""What is fetched of ``deal_lives``: for fields that seem to know the outcome, and for everything else."""

MANY_LOOKS = 20_000
FEWER_DRAWS = 100
"""Beyond that many looks at deals the band is a hair's breadth, and half the draws place it as well."""


def process_tables(
    prepared: Prepared,
    tables: Mapping[str, pl.DataFrame],
    policy: Policy,
    *,
    model: pl.DataFrame | None = None,
    odds: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """``value_added``, ``overrides``, ``override_summary``, ``probability_calibration``, ``leaks``, ``rate_stability``,
    ``rationality`` and ``pipeline_health`` of one prepared history; how deals end (``outcome_tables``) and what was
    restated (``restatements``).

    ``tables``: the prepared ones. ``model``: the model's own forecasts at past weeks, as ``ladder_calls`` takes them;
    ``odds``: the chances it gave each deal at past lock weeks, as ``chances`` takes them.
    Teams are compared at the lock week only; the company at every horizon week.
    """
    week = prepared.open_period_week
    every = sorted({week for _, week in policy.horizon_weeks} | {policy.lock_week, *([] if week is None else [week])})
    defaults = stage_defaults(prepared)
    closed = tables["periods"].filter(pl.col("status") == "closed").sort("period_start_on")["period_start_on"].to_list()
    per_year = periods_per_year(tables["periods"])
    # A million deals fill a gigabyte with everything that is asked of them: each question is asked by itself.
    opened = deal_lives(prepared, policy, columns=OPENED)
    known, has_deals = _leaks(prepared, opened), not opened.is_empty()
    del opened
    calls = ladder_calls(
        tables,
        # A week at a time: those of all weeks together fill gigabytes.
        states=(deal_states(prepared, [each], policy, columns=WEIGHED) for each in every if trusted(known)),
        defaults=defaults,
        won=company_actuals(prepared) if has_deals else None,
        policy=policy,
        periods_per_year=per_year,
        model=model,
    )
    shown = (pl.col("scope") == COMPANY_SCOPE) | (pl.col("week_of_period") == policy.lock_week)
    with ThreadPoolExecutor(max_workers=1) as beside:
        # Thousands of small comparisons of calls, while the deals are fetched and counted. It alone: what fits models
        # silences their warnings, and Python silences them for every thread at once.
        added = beside.submit(value_added, calls.filter(shown), policy)
        ledger = override_ledger(calls.filter(shown))
        lives = deal_lives(prepared, policy, columns=LIVES)
        exits = stage_exits(prepared)
        rates = outcome_rates(lives, exits, closed)
        health = pipeline_health(_book(prepared, tables, policy, lives=lives, exits=exits), policy)
        del exits
        outcomes = outcome_tables(prepared, lives, tables["scopes"], closed, policy)
        cycles = cycle_times(lives, closed)
        states = deal_states(prepared, [policy.lock_week], policy, columns=STATES)
        # Without a history of close dates, what seems due at a past week is what turned out to close then.
        needed = coverage_needed(states if tells_pushes(lives) else states.clear(), lock_week=policy.lock_week)
        looked_at = chances(states, lives, defaults, lock_week=policy.lock_week, odds=odds)
        del states, lives
        looks = [part for _, part in looked_at.group_by(["source", "week_of_period"], maintain_order=True)]
        return {
            "overrides": ledger,
            "override_summary": override_summary(ledger),
            "probability_calibration": _calibration(looks, policy, seed=seed_of("probability_calibration")),
            "leaks": known,
            "rationality": rationality(tables["forecast_pairs"], policy),
            "pipeline_health": health,
            **outcomes,
            **restatements(prepared, tables["periods"]),
            "rate_stability": pl.concat(
                [
                    rate_stability(rates, policy, periods_per_year=per_year),
                    coverage_stability(needed, policy, periods_per_year=per_year),
                    duration_stability(cycles, policy, periods_per_year=per_year),
                ]
            ),
            "value_added": added.result(),
        }


def _book(
    prepared: Prepared, tables: Mapping[str, pl.DataFrame], policy: Policy, *, lives: pl.DataFrame, exits: pl.DataFrame
) -> Book:
    """The book at the open period's last whole week, and at the same week of past periods."""
    now, week = prepared.open_period_start_on, prepared.open_period_week
    states = deal_states(prepared, [] if week is None else [week], policy, columns=STATES)
    return book(tables, states=states, lives=lives, exits=exits, now=now, week=week, as_of_at=prepared.as_of_at)


def _leaks(prepared: Prepared, lives: pl.DataFrame) -> pl.DataFrame:
    """Fields of the deals as they were opened, and the export's other columns as they stand in it, worst first."""
    when_opened, fields = resolved(lives)
    in_export, others = other_fields(opportunity_fields(prepared), lives)
    both = [
        leaks(found, names, seen=seen)
        for found, names, seen in ((when_opened, fields, "when_opened"), (in_export, others, "in_export"))
        if found.height
    ]
    if not both:
        return Leaks.create_empty()
    return pl.concat(both).sort("separation_rate", "field", descending=[True, False], nulls_last=True)


def trusted(known: pl.DataFrame) -> bool:
    """Whether the pipeline may be weighted: not if stages or probabilities seem to have known the outcome.

    An export without history carries a closed deal's last stage back to its first day; a forecast made of it would win
    against everybody, and teach nothing.
    """
    told = known.filter(pl.col("field").is_in(["stage", "probability_rate"]), pl.col("seen") == "when_opened")
    return told.filter(pl.col("status").is_in(["suspect", "refused_as_leak"])).is_empty()


def periods_per_year(periods: pl.DataFrame) -> int:
    """4 for quarters, 12 for months; from the periods' own lengths, so that a calendar of its own counts too."""
    days = (periods["period_end_on"] - periods["period_start_on"]).dt.total_days().median()
    return 4 if not isinstance(days, float) or days <= 0 else max(1, round(365.25 / (days + 1)))


def _calibration(groups: list[pl.DataFrame], policy: Policy, *, seed: int) -> pl.DataFrame:
    """Each source and horizon with the shock that its own deals share."""

    def of(part: pl.DataFrame) -> pl.DataFrame:
        draws = BAND_DRAWS if part.height <= MANY_LOOKS else FEWER_DRAWS
        return probability_calibration(part, policy, seed=seed, factor_sd=shared_shock(part), draws=draws)

    parts = list(side_by_side(of, groups))
    return pl.concat(parts) if parts else ProbabilityCalibration.create_empty()
