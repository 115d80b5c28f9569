"""What was planted, as tables beside the exports: never ingested, only compared with."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl

from pipelines.simulate import hazards as planted
from pipelines.simulate.calls import CATEGORIES, Calls
from pipelines.simulate.company import NOBODY
from pipelines.simulate.crm import days, ids, text_of
from pipelines.simulate.hazards import MOTIONS, SOURCES, STAGES
from pipelines.simulate.scenario import CURRENCIES, STEPS, Floats
from pipelines.simulate.world import World, actual_by_slot

LOCK_WEEK = 3


def forecasters(world: World, layers: list[Calls]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Planted landing rates at the lock week with what shaped them, and the rates of every week.

    Grain: layer × forecaster × category (× week of period). ``planted_landing_rate`` E[actual] ÷ E[call]; below 1 =
    calls run high. ``closed_period_count`` closed quarters of the exports the person was there.
    """
    staff, calendar = world.company.staff, world.calendar
    main: list[pl.DataFrame] = []
    weekly: list[pl.DataFrame] = []
    for calls in layers:
        closed = np.zeros(calls.person.shape, dtype=np.bool_)
        closed[:, calendar.first : calendar.last] = True
        seen = (calls.person != NOBODY) & calls.made.any(axis=2)
        seen[:, : calendar.first] = False
        person, at = np.unique(np.where(seen, calls.person, NOBODY), return_index=True)
        person, at = person[person != NOBODY], at[person != NOBODY]
        slot, quarter = np.unravel_index(at, calls.person.shape)
        count = np.bincount(calls.person[closed & (calls.person != NOBODY)], minlength=len(staff.layer))[person]
        for index, category in enumerate(CATEGORIES):
            rates = calls.rate[slot, quarter, :, index]
            base = pl.DataFrame(
                {
                    "layer": pl.repeat(calls.layer, len(person), dtype=pl.String, eager=True),
                    "forecaster_id": ids("005", person + 1),
                    "category": pl.repeat(category, len(person), dtype=pl.String, eager=True),
                }
            )
            main.append(
                base.with_columns(
                    week_of_period=pl.lit(LOCK_WEEK),
                    planted_landing_rate=pl.Series(rates[:, LOCK_WEEK]),
                    planted_noise_rate=pl.Series(np.array(staff.noise)[person]),
                    planted_skill_rate=pl.Series(np.array(staff.skill)[person]),
                    closed_period_count=pl.Series(count),
                )
            )
            weekly.extend(
                base.with_columns(week_of_period=pl.lit(step), planted_landing_rate=pl.Series(rates[:, step]))
                for step in range(STEPS)
            )
    keys = ("layer", "forecaster_id", "category", "week_of_period")
    return pl.concat(main).sort(keys), pl.concat(weekly).sort(keys)


def company(world: World, layers: list[Calls]) -> pl.DataFrame:
    """Landing rate of the company's calls together: layer × category × week, weighted by expected landings."""
    calendar, rows = world.calendar, []
    for calls in layers:
        expected = actual_by_slot(world, calls, world.expected[:, :, 0])
        chosen = slice(calendar.first, calendar.last)
        weight = np.where(calls.person[:, chosen] == NOBODY, 0.0, expected[:, chosen])
        for index, category in enumerate(CATEGORIES):
            for step in range(STEPS):
                called = (weight / calls.rate[:, chosen, step, index]).sum()
                rows.append((calls.layer, category, step, float(weight.sum() / called)))
    return pl.DataFrame(rows, schema=["layer", "category", "week_of_period", "planted_landing_rate"], orient="row")


def periods(world: World) -> pl.DataFrame:
    """One row per exported quarter: its shock, the drifting rate's multiplier, rates of exchange, what landed.

    ``actual_amount`` of the open quarter is what it will land at its end; ``expected_amount`` what the planted chances
    said at its start.
    """
    calendar, chosen = world.calendar, slice(world.calendar.first, None)
    frame = pl.DataFrame(
        {
            "period_start_on": days(calendar.quarter_start[:-1][chosen]),
            "win_multiplier": world.hazards.shocks[chosen],
            "drift_multiplier": world.hazards.advance_factor[chosen],
            "expected_amount": world.expected[:, chosen, 0].sum(axis=0),
            "actual_amount": world.actual[:, chosen].sum(axis=0),
        }
    ).with_columns(pl.col("expected_amount", "actual_amount").round(2))
    rates = {
        f"{currency.lower()}_rate_to_reporting": world.company.fx[chosen, index]
        for index, currency in enumerate(CURRENCIES)
    }
    return frame.with_columns(**{name: pl.Series(values) for name, values in rates.items()})


def actuals(world: World, layers: list[Calls]) -> pl.DataFrame:
    """What landed: layer × forecaster × exported quarter, reporting currency, the open one as it will end."""
    parts = []
    for calls in layers:
        landed = actual_by_slot(world, calls, world.actual)
        slot, quarter = np.nonzero(calls.person != NOBODY)
        chosen = quarter >= world.calendar.first
        slot, quarter = slot[chosen], quarter[chosen]
        parts.append(
            pl.DataFrame(
                {
                    "layer": pl.repeat(calls.layer, len(slot), dtype=pl.String, eager=True),
                    "forecaster_id": ids("005", calls.person[slot, quarter] + 1),
                    "period_start_on": days(world.calendar.quarter_start[quarter]),
                    "actual_amount": np.round(landed[slot, quarter], 2),
                }
            )
        )
    return pl.concat(parts).sort("layer", "forecaster_id", "period_start_on")


def hazards(world: World) -> pl.DataFrame:
    """Motion × stage × week of quarter: planted chance per week of each outcome.

    At the motion's typical age, a lead of middling quality, a close date in the quarter, an average quarter and the
    first quarter's drift.
    """
    h = world.hazards
    middle, rows = SOURCES.index("Inbound"), []
    for motion, motion_name in enumerate(MOTIONS):
        age = int(planted.TYPICAL_AGE[motion])
        for stage, stage_name in enumerate(STAGES):
            for step in range(STEPS):
                loss = planted.LOSS[motion, stage] + planted.BURST_CHANCE * planted.BURST_LOSS
                idle = (1 - loss) * min(h.no_decision[motion, age, stage] * planted.CLEAN_UP_BY_STEP[step], 0.6)
                left = 1 - loss - idle
                won = left * min(h.win[motion, middle, age, stage, 1] * planted.WIN_BY_STEP[step], planted.MAX_WIN)
                on = (left - won) * h.advance[world.calendar.first, motion, age, stage]
                back = (left - won - on) * planted.BACK[motion, stage]
                rows.append((motion_name, stage_name, step, loss, idle, won, on, back))
    names = ["sales_motion", "stage", "week_of_period", "lost_rate", "no_decision_rate", "won_rate"]
    return pl.DataFrame(rows, schema=[*names, "advanced_rate", "regressed_rate"], orient="row")


def lead_sources() -> pl.DataFrame:
    """Motion × lead source: share of new deals and the multiplier on their winning."""
    motion, source = np.divmod(np.arange(2 * len(SOURCES)), len(SOURCES))
    shares: Floats = planted.SOURCE_SHARE[motion, source]
    return pl.DataFrame(
        {
            "sales_motion": text_of(MOTIONS, motion),
            "lead_source": text_of(SOURCES, source),
            "share_rate": shares,
            "win_multiplier": planted.WIN_BY_SOURCE[source],
        }
    )


def scenario(world: World) -> pl.DataFrame:
    """One row per choice of the scenario."""
    rows = [(name, str(value)) for name, value in asdict(world.scenario).items()]
    return pl.DataFrame(rows, schema=["name", "value"], orient="row")
