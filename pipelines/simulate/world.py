"""One simulated company in memory: people, deals, calls, and the truth behind them. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.simulate.calls import CATEGORIES, Calls, all_calls
from pipelines.simulate.company import Company, company_of
from pipelines.simulate.deals import Chunk, Floor
from pipelines.simulate.hazards import BURST_CHANCE, Hazards, expected_landing, hazards_of
from pipelines.simulate.scenario import STEPS, Calendar, Flags, Floats, Scenario, calendar_of

CHUNK_SEATS = 200
"""Seats simulated together: the memory in use follows this, not the size of the company."""

STREAMS = ("people", "hazards", "bursts", "deals", "records", "calls", "dirt", "extras")


def stream(scenario: Scenario, name: str, part: int = 0) -> np.random.Generator:
    """Random numbers of one purpose: adding draws to one never shifts another."""
    return np.random.default_rng([scenario.seed, STREAMS.index(name), part])


@dataclass
class World:
    """A company ready to be run. ``actual`` and ``expected`` fill up as its chunks are run."""

    scenario: Scenario
    calendar: Calendar
    company: Company
    hazards: Hazards
    bursts: Flags
    actual: Floats
    expected: Floats

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Run every group of seats in turn."""
        values = [expected_landing(self.hazards, quarter) for quarter in range(self.calendar.quarter_count)]
        for part, first in enumerate(range(0, self.scenario.reps, CHUNK_SEATS)):
            seats = np.arange(first, min(first + CHUNK_SEATS, self.scenario.reps))
            rng = stream(self.scenario, "deals", part)
            chunk = Floor(
                self.company, self.calendar, self.hazards, values=values, bursts=self.bursts, seats=seats, rng=rng
            ).run()
            self.actual[seats], self.expected[seats] = chunk.actual, chunk.expected
            yield part, chunk

    def calls(self) -> list[Calls]:
        """Calls of every layer, once all chunks have run."""
        return all_calls(self.company, self.actual, self.expected, stream(self.scenario, "calls"))


def world_of(scenario: Scenario) -> World:
    """People, chances and luck of a scenario, drawn; no deal yet."""
    calendar = calendar_of(scenario)
    company = company_of(scenario, calendar, stream(scenario, "people"))
    hazards = hazards_of(scenario, calendar, stream(scenario, "hazards"))
    shape = (calendar.quarter_count, STEPS, scenario.manager_count)
    bursts = stream(scenario, "bursts").random(shape) < BURST_CHANCE
    seats = (scenario.reps, calendar.quarter_count)
    return World(scenario, calendar, company, hazards, bursts, np.zeros(seats), np.zeros((*seats, STEPS)))


def actual_by_slot(world: World, layer: Calls, actual: Floats) -> Floats:
    """Seat × quarter amounts summed to slot × quarter of a layer, by the hierarchy of that quarter."""
    company = world.company
    if layer.layer == "rep":
        return actual
    slots = company.manager_slot
    if layer.layer == "executive":
        slots = company.manager_executive[slots]
    out = np.zeros(layer.person.shape)
    np.add.at(out, (slots, np.broadcast_to(np.arange(actual.shape[1]), slots.shape)), actual)
    return out


def pairs_of(world: World) -> pl.DataFrame:
    """One row per layer × forecaster × period × category × week of a closed quarter whose call was in force.

    ``forecast_amount``, ``actual_amount`` in the reporting currency before rounding to cents, ``planted_landing_rate``.
    The oracle's own view: what a perfect reading of the exports gives, up to rounding of calls.
    """
    parts = []
    calendar = world.calendar
    for calls in world.calls():
        actual = actual_by_slot(world, calls, world.actual)
        filled = np.maximum.accumulate(np.where(calls.made, np.arange(STEPS), -1), axis=2)
        slot, quarter, step = np.nonzero(filled >= 0)
        chosen = (quarter >= calendar.first) & (quarter < calendar.last)
        slot, quarter, step = slot[chosen], quarter[chosen], step[chosen]
        made = filled[slot, quarter, step]
        for index, category in enumerate(CATEGORIES):
            person = calls.person[slot, quarter]
            parts.append(
                pl.DataFrame(
                    {
                        "layer": pl.repeat(calls.layer, len(slot), eager=True),
                        "person": person,
                        "quarter": quarter - calendar.first,
                        "category": pl.repeat(category, len(slot), eager=True),
                        "week_of_period": step,
                        "forecast_amount": calls.amount[slot, quarter, made, index],
                        "actual_amount": actual[slot, quarter],
                        "planted_landing_rate": calls.rate[slot, quarter, step, index],
                    }
                )
            )
    return (
        pl.concat(parts)
        .with_columns(
            forecaster_id=pl.format("005{}", (pl.col("person") + 1).cast(pl.String).str.zfill(12)),
            period_start_on=pl.col("quarter").replace_strict(
                {q - calendar.first: calendar.day(q) for q in calendar.exported}, return_dtype=pl.Date
            ),
        )
        .drop("person", "quarter")
    )
