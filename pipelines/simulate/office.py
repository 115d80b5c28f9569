"""The company's own tables: people, quotas, rates of exchange, stages, and the calls as submitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from pipelines.simulate.calls import CATEGORIES, Calls
from pipelines.simulate.company import EXECUTIVES, MANAGERS, NOBODY, REGIONS, REPS, SEGMENTS, Company
from pipelines.simulate.crm import days, ids, instants, text_of
from pipelines.simulate.hazards import ALL_STAGES, STAGE_CATEGORY, STAGE_PROBABILITY, WON
from pipelines.simulate.scenario import (
    CURRENCIES,
    DAY_SECONDS,
    EMAIL_DOMAIN,
    EPOCH,
    EXTRACTED_AT,
    EXTRACTED_SECONDS,
    Calendar,
    Floats,
    Ints,
)
from pipelines.simulate.world import World

ROLES = {REPS: "Sales Rep", MANAGERS: "Sales Manager", EXECUTIVES: "Sales Executive"}
SLOTS_AT_ONCE = 1_000
PEOPLE_COLUMNS = {
    "person_id": pl.String,
    "name": pl.String,
    "email": pl.String,
    "manager_id": pl.String,
    "role": pl.String,
    "team": pl.String,
    "region": pl.String,
    "segment": pl.String,
    "hired_on": pl.Int32,
    "left_on": pl.Int32,
    "valid_from_on": pl.Int32,
    "valid_to_on": pl.Int32,
}
DATES = ("hired_on", "left_on", "valid_from_on", "valid_to_on")


def people(world: World) -> pl.DataFrame:
    """One row per person and span under one manager; a span's last day is the day before the next."""
    company, calendar, staff = world.company, world.calendar, world.company.staff
    rows: list[tuple[object, ...]] = []
    export_day = (EXTRACTED_AT.date() - EPOCH).days
    for index in range(len(staff.layer)):
        layer, slot = staff.layer[index], staff.slot[index]
        spans: list[tuple[int, int | None, int]] = []
        for quarter in range(staff.first[index], staff.last[index] + 1):
            team, boss = _above(company, layer, slot, quarter)
            if not spans or spans[-1][1:] != (boss, team):
                starts = int(calendar.quarter_start[quarter]) if spans else staff.hired[index]
                spans.append((starts, boss, team))
        left = staff.left[index] if 0 < staff.left[index] <= export_day else None
        email = f"{staff.name[index].lower().replace(' ', '.')}.{index + 1}@{EMAIL_DOMAIN}"
        for number, (starts, boss, team) in enumerate(spans):
            ends = spans[number + 1][0] - 1 if number + 1 < len(spans) else left
            rows.append(
                (
                    staff.person_id(index),
                    staff.name[index],
                    email,
                    None if boss is None else staff.person_id(boss),
                    ROLES[layer],
                    None if layer == EXECUTIVES else f"Team {team + 1}",
                    None if layer == EXECUTIVES else REGIONS[company.slot_currency[team]],
                    SEGMENTS[company.segment[slot]] if layer == REPS else None,
                    staff.hired[index],
                    left,
                    starts,
                    ends,
                )
            )
    frame = pl.DataFrame(rows, schema=PEOPLE_COLUMNS, orient="row")
    return frame.with_columns(pl.col(*DATES).cast(pl.Date)).sort("person_id", "valid_from_on")


def _above(company: Company, layer: str, slot: int, quarter: int) -> tuple[int, int | None]:
    """Manager slot (a person's team) and the person above in a quarter."""
    if layer == REPS:
        team = int(company.manager_slot[slot, quarter])
        return team, int(company.manager[team, quarter])
    if layer == MANAGERS:
        return slot, int(company.executive[company.manager_executive[slot]])
    return slot, None


def _slot_currency(world: World, calls: Calls) -> Ints:
    company = world.company
    if calls.layer == REPS:
        return company.currency
    if calls.layer == MANAGERS:
        return company.slot_currency
    return np.zeros(len(calls.person), dtype=np.int64)


def _typed(amount: Floats) -> Floats:
    """A call as a person types it: to the nearest 500, 1,000 or 5,000."""
    step = np.where(amount < 100_000, 500.0, np.where(amount < 1_000_000, 1_000.0, 5_000.0))
    return np.asarray(np.round(amount / step) * step)


def submissions(world: World, calls: Calls, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """One row per call a person of one layer made, in the person's currency, on the week's first day or its eve.

    Yields them by groups of slots, so that a large company's calls are never in memory as text at once.
    """
    for first in range(0, len(calls.person), SLOTS_AT_ONCE):
        yield _submitted(world, calls, slice(first, first + SLOTS_AT_ONCE), rng)


def _submitted(world: World, calls: Calls, group: slice, rng: np.random.Generator) -> pl.DataFrame:
    calendar, company = world.calendar, world.company
    slot, quarter, step = np.nonzero(calls.made[group])
    slot += group.start
    start = calendar.quarter_start[quarter]
    eve = (step > 0) & (rng.random(len(slot)) < 0.25)
    hour = {REPS: 15, MANAGERS: 18, EXECUTIVES: 20}[calls.layer]
    second = (start + 7 * step - eve) * DAY_SECONDS + rng.integers(hour * 3600, (hour + 3) * 3600, len(slot))
    chosen = (quarter >= calendar.first) & (second <= EXTRACTED_SECONDS)
    slot, quarter, step, start, second = (values[chosen] for values in (slot, quarter, step, start, second))
    person = ids("005", calls.person[slot, quarter] + 1)
    currency = _slot_currency(world, calls)[slot]
    rate = company.fx[quarter, currency]
    return pl.concat(
        pl.DataFrame(
            {
                "forecaster_id": person,
                "layer": pl.repeat(calls.layer, len(slot), dtype=pl.String, eager=True),
                "period_start_on": days(start),
                "category": pl.repeat(category, len(slot), dtype=pl.String, eager=True),
                "submitted_at": instants(second),
                "amount": _typed(calls.amount[slot, quarter, step, index] / rate),
                "currency": text_of(CURRENCIES, currency),
                "submitted_by": person,
                "note": pl.repeat(None, len(slot), dtype=pl.String, eager=True),
            }
        )
        for index, category in enumerate(CATEGORIES)
    ).sort("submitted_at", "forecaster_id", "category")


def quotas(world: World) -> pl.DataFrame:
    """Person × exported quarter: a tenth above what the seat usually lands; managers carry 95 % of their people's."""
    company, calendar = world.company, world.calendar
    usual = np.where(company.rep != NOBODY, world.expected[:, :, 0] / np.maximum(company.ramp, 0.3), np.nan)
    level = np.nanmean(usual[:, calendar.first :], axis=1, keepdims=True)
    seats = np.where(company.rep == NOBODY, 0.0, 1.10 * level * company.ramp)
    managed = np.zeros(company.manager.shape)
    quarters = np.broadcast_to(np.arange(calendar.quarter_count), seats.shape)
    np.add.at(managed, (company.manager_slot, quarters), 0.95 * seats)
    led = np.zeros((len(company.executive), calendar.quarter_count))
    np.add.at(led, company.manager_executive, managed)
    top = np.repeat(company.executive[:, None], calendar.quarter_count, axis=1)
    parts = []
    for held, target, currency in (
        (company.rep, seats, company.currency),
        (company.manager, managed, company.slot_currency),
        (top, led, np.zeros(len(led), dtype=np.int64)),
    ):
        slot, quarter = np.nonzero((held != NOBODY) & (target > 0))
        chosen = quarter >= calendar.first
        slot, quarter = slot[chosen], quarter[chosen]
        start = calendar.quarter_start[quarter]
        money = target[slot, quarter] / company.fx[quarter, currency[slot]]
        parts.append(
            pl.DataFrame(
                {
                    "person_id": ids("005", held[slot, quarter] + 1),
                    "period_start_on": days(start),
                    "amount": np.maximum(np.round(money / 5_000) * 5_000, 5_000.0),
                    "currency": text_of(CURRENCIES, currency[slot]),
                    "recorded_at": instants((start - 9) * DAY_SECONDS + 14 * 3600),
                }
            )
        )
    return pl.concat(parts).sort("period_start_on", "person_id")


def fx_rates(company: Company, calendar: Calendar) -> pl.DataFrame:
    """Currency × quarter."""
    quarter = np.repeat(np.arange(calendar.quarter_count), len(CURRENCIES))
    currency = np.tile(np.arange(len(CURRENCIES)), calendar.quarter_count)
    return pl.DataFrame(
        {
            "currency": text_of(CURRENCIES, currency),
            "valid_from_on": days(calendar.quarter_start[quarter]),
            "rate_to_reporting": company.fx[quarter, currency],
        }
    )


def stages() -> pl.DataFrame:
    """One row per stage."""
    order = np.arange(len(ALL_STAGES))
    return pl.DataFrame(
        {
            "stage": ALL_STAGES,
            "stage_order": order + 1,
            "is_closed": order >= WON,
            "is_won": order == WON,
            "default_probability_rate": STAGE_PROBABILITY,
            "forecast_category": STAGE_CATEGORY,
        }
    )
