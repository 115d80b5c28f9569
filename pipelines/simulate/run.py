"""The story in order: people, chances, deals, calls; then the files and the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.errors import FileError, TrustError
from pipelines.progress import Progress, Silent
from pipelines.simulate import crm, files, office, salesforce, truth
from pipelines.simulate.deals import Chunk
from pipelines.simulate.scenario import LAYOUTS, Scenario
from pipelines.simulate.world import World, stream, world_of

Frames = dict[str, pl.DataFrame]
SALESFORCE_NAMES = {
    "opportunities": "Opportunity",
    "opportunity_history": "OpportunityFieldHistory",
    "forecast_submissions": "ForecastingSubmissionItem",
    "people": "User",
    "quotas": "ForecastingQuota",
    "bookings": "bookings",
    "fx_rates": "DatedConversionRate",
    "stages": "OpportunityStage",
    "activities": "Task",
    "leads": "Lead",
}
GROWING = ("opportunities", "opportunity_history", "activities", "leads", "bookings")
"""Tables written one group of seats after another."""

REPORT = "reports/opportunities_report.csv"


@dataclass(frozen=True)
class SimulationSummary:
    """What was written: rows per file (dirt included, footers not), by path inside ``out``."""

    out: Path
    layout: str
    scenario: Scenario
    row_counts: dict[str, int]


def simulate(
    out: Path,
    *,
    reps: int = Scenario.reps,
    quarters: int = Scenario.quarters,
    seed: int = Scenario.seed,
    layout: str = "canonical",
    lean_spread: float = Scenario.lean_spread,
    common_lean: float | None = None,
    identical: bool = False,
    shock_sd: float = Scenario.shock_sd,
    drift: float = Scenario.drift,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Write a simulated company as export files into ``out``, the planted truth into ``out/truth``.

    quarters: closed ones; an open one follows. layout: ``canonical`` or ``salesforce``. The rest are ``Scenario``'s;
    common_lean left out means the usual 6 %, or none where all reps are identical. The same arguments give the same
    bytes. Raises TrustError for a company that cannot be, FileError where ``out`` cannot be written.
    """
    if layout not in LAYOUTS:
        raise TrustError(f"There is no layout {layout!r}.", f"Use one of {', '.join(LAYOUTS)}.")
    if common_lean is None:
        common_lean = 0.0 if identical else Scenario.common_lean
    scenario = Scenario(reps, quarters, seed, lean_spread, common_lean, identical, shock_sd, drift)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _write(out, scenario, layout, progress or Silent())
    except OSError as error:
        raise FileError(
            f"The simulated company cannot be written to {out}: {error.strerror}.",
            "Choose another folder or free some space.",
        ) from error


def _write(out: Path, scenario: Scenario, layout: str, progress: Progress) -> SimulationSummary:
    progress.stage("Inventing a company")
    world, dirt = world_of(scenario), files.Dirt()
    staff = files.as_text(office.people(world))
    fx = office.fx_rates(world.company, world.calendar)
    names = dict(zip(staff["person_id"], staff["name"], strict=True))
    shape = _shapes(layout, fx)
    progress.stage("Simulating deals")
    with ExitStack() as stack:

        def sink(table: str) -> files.Sink:
            name = table if layout == "canonical" else SALESFORCE_NAMES[table]
            footer = layout == "canonical" and table == "opportunities"
            return stack.enter_context(files.Sink(out / f"{name}.csv", footer))

        sinks = {table: sink(table) for table in SALESFORCE_NAMES}
        report = None
        if layout == "salesforce":
            report = stack.enter_context(files.Sink(out / REPORT, footer=True, encoding="cp1252"))
        for part, chunk in world.chunks():
            tables = _chunk_tables(world, chunk, part, dirt)
            for table in GROWING:
                sinks[table].write(shape[table](tables[table]))
            if report is not None:
                report.write(salesforce.report(tables["opportunities"].filter(pl.col("is_deleted") == "false"), names))
            progress.advance(sum(len(frame) for frame in tables.values()))
        progress.stage("Making calls")
        layers = world.calls()
        rng = stream(scenario, "extras")
        for layer in layers:
            for calls in office.submissions(world, layer, rng):
                text = files.dirty_submissions(files.as_text(calls), dirt)
                sinks["forecast_submissions"].write(shape["forecast_submissions"](text))
                progress.advance(len(text))
        whole = {
            "people": staff,
            "quotas": files.as_text(office.quotas(world)),
            "fx_rates": files.as_text(fx),
            "stages": files.as_text(office.stages()),
        }
        for table, text in whole.items():
            sinks[table].write(shape[table](text))
            progress.advance(len(text))
        everything = [*sinks.values(), *([report] if report else [])]
        counts = {str(one.path.relative_to(out)): one.rows for one in everything}
    planted_rates, weekly = truth.forecasters(world, layers)
    for name, frame in {
        "forecasters": planted_rates,
        "forecasters_by_week": weekly,
        "company": truth.company(world, layers),
        "periods": truth.periods(world),
        "actuals": truth.actuals(world, layers),
        "hazards": truth.hazards(world),
        "lead_sources": truth.lead_sources(),
        "dirt": dirt.frame(),
        "scenario": truth.scenario(world),
    }.items():
        with files.Sink(out / "truth" / f"{name}.csv") as file:
            file.write(frame)
    return SimulationSummary(out, layout, scenario, counts)


def _shapes(layout: str, fx: pl.DataFrame) -> dict[str, Callable[[pl.DataFrame], pl.DataFrame]]:
    """How each canonical text table is turned into the layout's file."""
    if layout == "canonical":
        return {table: lambda text: text for table in SALESFORCE_NAMES}
    return {
        "opportunities": salesforce.opportunity,
        "opportunity_history": salesforce.field_history,
        "forecast_submissions": lambda text: salesforce.submission_items(text, fx),
        "people": salesforce.user,
        "quotas": salesforce.quota,
        "bookings": lambda text: text,
        "fx_rates": lambda _text: salesforce.conversion_rate(fx),
        "stages": salesforce.stage,
        "activities": salesforce.task,
        "leads": salesforce.lead,
    }


def _chunk_tables(world: World, chunk: Chunk, part: int, dirt: files.Dirt) -> Frames:
    """The growing tables of one group of seats, as canonical text with their dirt."""
    rng, mess = (stream(world.scenario, name, part) for name in ("records", "dirt"))
    touches, last_touch = crm.activities(world.calendar, chunk, part, rng)
    deals = crm.opportunities(world.company, world.calendar, chunk, part, last_touch=last_touch, rng=rng)
    won = deals.filter("is_won").select("opportunity_id", "close_on", "amount", "currency", "account_name")
    first = part == 0
    booked = files.as_text(crm.bookings(won, part, rng))
    return {
        "opportunities": files.dirty_opportunities(files.as_text(deals), first, dirt, mess),
        "opportunity_history": files.as_text(crm.history(world.company, world.calendar, chunk, part)),
        "activities": files.dirty_activities(files.as_text(touches), first, dirt),
        "leads": files.as_text(crm.leads(world.calendar, chunk, part, rng)),
        "bookings": files.dirty_bookings(booked, first, dirt),
    }
