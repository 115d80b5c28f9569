"""A sales organisation with a planted common shock, as the frames ``pipelines.engine.landing`` reads.

Deals are created evenly, take a lognormal time, and are won when a standard normal falls below their own probit plus
the shock of the quarter they end in; deals that are not won die earlier, at an earlier stage. A third of the wins slide
to the last ten days of their quarter. Calls are a crude weighted pipeline times a person's lean times noise.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.engine.competing_risks import Floats, Whole
from pipelines.engine.deal_book import LandingInputs
from pipelines.engine.deal_draws import Flags

QUARTER_DAYS = 91
FIRST_DAY = dt.date(2020, 1, 1)
STAGE_DEFAULTS = np.array([0.10, 0.25, 0.50, 0.75])


@dataclass(frozen=True)
class Shape:
    """What is planted. ``shock_sd`` on the probit scale; ``lean`` mean and sd of ln(call ÷ what it should be)."""

    reps: int = 20
    teams: int = 4
    closed_periods: int = 8
    deals_per_week: float = 60.0
    shock_sd: float = 0.25
    amount_sd: float = 1.0
    lean: tuple[float, float] = (0.18, 0.15)
    call_noise: float = 0.10
    is_misset: bool = False
    """Hand the engine the CRM's stage defaults, which promise far too much, instead of letting it estimate odds."""


def _quarter_start(index: int) -> dt.date:
    return FIRST_DAY + dt.timedelta(days=index * QUARTER_DAYS)


def planted_company(shape: Shape, seed: int, weeks: tuple[int, ...]) -> dict[int, LandingInputs]:
    """Week → inputs. The last period is the one to forecast; its ``actual_amount`` in ``calls`` is the truth."""
    rng = np.random.default_rng(seed)
    burn_in, quarters = 4, shape.closed_periods + 1
    days = (burn_in + quarters) * QUARTER_DAYS
    n = rng.poisson(shape.deals_per_week * days / 7)
    created = np.sort(rng.integers(0, days, n)).astype(float)
    owner = rng.choice(shape.reps, n, p=rng.dirichlet(np.full(shape.reps, 8.0)))
    motion = (rng.random(n) < 0.3).astype(int)
    cycle = np.exp(np.where(motion == 1, rng.normal(np.log(35), 0.5, n), rng.normal(np.log(110), 0.45, n)))
    shock = rng.normal(0.0, shape.shock_sd, burn_in + quarters + 20)
    end = np.ceil(created + cycle)
    end_quarter = np.minimum(end // QUARTER_DAYS, len(shock) - 1).astype(int)
    won = rng.standard_normal(n) < rng.normal(-0.65, 0.5, n) + shock[end_quarter]
    late = won & (rng.random(n) < 0.33)
    end = np.where(late, np.maximum(end, (end_quarter + 1) * QUARTER_DAYS - rng.integers(1, 11, n)), end)
    end = np.where(won, end, np.ceil(created + cycle * rng.uniform(0.25, 1.0, n)))
    no_decision = ~won & (rng.random(n) < 0.3)
    amount = np.round(np.exp(rng.normal(np.log(20_000), shape.amount_sd, n)), 2)
    final = np.round(amount * np.exp(rng.normal(-0.05, 0.15, n)), 2)
    due = created + cycle * np.exp(rng.normal(0.0, 0.25, n))
    lean = rng.normal(*shape.lean, shape.reps)
    life = Lives(created, end, won, no_decision, owner, motion, cycle, amount, final, due, lean)
    return {week: _at_week(shape, week, rng, burn_in, life) for week in weeks}


@dataclass(frozen=True)
class Lives:
    """One element per deal that ever was; days since the first day. ``lean`` is per rep."""

    created: Floats
    end: Floats
    won: Flags
    no_decision: Flags
    owner: Whole
    motion: Whole
    cycle: Floats
    amount: Floats
    final: Floats
    due: Floats
    lean: Floats


def _at_week(shape: Shape, week: int, rng: np.random.Generator, burn_in: int, life: Lives) -> LandingInputs:
    created, end, won, owner, motion = life.created, life.end, life.won, life.owner, life.motion
    no_decision, cycle, amount, final, due = life.no_decision, life.cycle, life.amount, life.final, life.due
    deals, fresh, closed, calls, periods = [], [], [], [], []
    rates = np.zeros((4, 2, 2))
    counts = np.zeros((4, 2, 2))
    books = []
    created_and_won = 0.0
    for index in range(shape.closed_periods + 1):
        start = (burn_in + index) * QUARTER_DAYS
        origin, stop = start + 7 * week + 1, start + QUARTER_DAYS
        is_open = (created < origin) & (end >= origin)
        stage = np.clip(((origin - created) / cycle * 4).astype(int), 0, 3)
        is_due = (due < stop).astype(int)
        wins = is_open & won & (end < stop)
        key = (stage[is_open], is_due[is_open], motion[is_open])
        np.add.at(rates, key, wins[is_open])
        np.add.at(counts, key, 1)
        books.append((start, origin, stop, is_open, stage, is_due, wins))
        created_and_won += float(final[won & (created >= origin) & (end < stop)].sum())
    rates = rates / np.maximum(counts, 1)
    usual_new = created_and_won / (shape.closed_periods + 1) / shape.reps
    for index, (start, origin, stop, is_open, stage, is_due, wins) in enumerate(books):
        first, is_target = _quarter_start(index), index == shape.closed_periods
        finished = end < stop
        outcome = np.where(
            wins, "won", np.where(finished & no_decision, "no_decision", np.where(finished & ~won, "lost", "open"))
        )
        where = np.flatnonzero(is_open)
        instant = dt.datetime.combine(first, dt.time()) + dt.timedelta(days=7 * week + 1)
        frozen = dt.datetime.combine(_quarter_start(index + 1), dt.time())
        periods.append(
            (
                first,
                instant,
                None if is_target else frozen,
                float(stop - origin),
                float(((created >= origin - 91) & (created < origin)).sum()),
            )
        )
        frame = {
            "period_start_on": [first] * len(where),
            "opportunity_id": [f"{i:06d}" for i in where],
            "owner_id": [f"rep{i:03d}" for i in owner[where]],
            "stage": [f"stage {i}" for i in stage[where]],
            "sales_motion": np.where(motion[where] == 1, "transactional", "consultative"),
            "is_due": is_due[where] == 1,
            "age_days": origin - created[where],
            "amount": amount[where],
            "outcome": [None] * len(where) if is_target else outcome[where],
            "follow_up_days": [None] * len(where) if is_target else np.minimum(end[where], stop) - origin + 1,
            "final_amount": [None] * len(where) if is_target else np.where(wins[where], final[where], np.nan),
        }
        if shape.is_misset:
            frame["given_probability_rate"] = STAGE_DEFAULTS[stage[where]]
        deals.append(
            pl.DataFrame(
                frame,
                schema_overrides={"outcome": pl.String, "follow_up_days": pl.Float64, "final_amount": pl.Float64},
            ).with_columns(pl.col("final_amount").fill_nan(None))
        )
        in_quarter = won & (end >= start) & (end < stop)
        new = in_quarter & (created >= origin)
        done = in_quarter & (end < origin)
        if not is_target:
            fresh += [(first, f"rep{o:03d}", a) for o, a in zip(owner[new], final[new], strict=True)]
        by_rep = [np.bincount(owner[m], v[m], minlength=shape.reps) for m, v in ((done, final), (in_quarter, final))]
        weight = np.where(is_open, rates[stage, is_due, motion], 0.0)
        crude = by_rep[0] + np.bincount(owner, weight * amount, minlength=shape.reps)
        crude += usual_new
        call = crude * np.exp(life.lean + rng.normal(0.0, shape.call_noise, shape.reps))
        closed += [(first, f"rep{i:03d}", by_rep[0][i]) for i in range(shape.reps)]
        team = np.arange(shape.reps) % shape.teams
        for scope, mask in _scopes(shape, team):
            calls.append((first, scope, call[mask].sum(), by_rep[1][mask].sum(), None))
    members = [
        (_quarter_start(index), f"rep{i:03d}", scope)
        for index in range(shape.closed_periods + 1)
        for scope, mask in _scopes(shape, np.arange(shape.reps) % shape.teams)
        for i in np.flatnonzero(mask)
    ]
    return LandingInputs(
        periods=pl.DataFrame(
            periods,
            orient="row",
            schema={
                "period_start_on": pl.Date,
                "origin_at": pl.Datetime("us"),
                "closed_at": pl.Datetime("us"),
                "horizon_days": pl.Float64,
                "run_rate": pl.Float64,
            },
        ),
        deals=pl.concat(deals),
        new_business=pl.DataFrame(
            fresh, orient="row", schema={"period_start_on": pl.Date, "owner_id": pl.String, "amount": pl.Float64}
        ),
        closed=pl.DataFrame(
            closed,
            orient="row",
            schema={"period_start_on": pl.Date, "owner_id": pl.String, "closed_amount": pl.Float64},
        ),
        calls=pl.DataFrame(
            calls,
            orient="row",
            schema={
                "period_start_on": pl.Date,
                "scope": pl.String,
                "call_amount": pl.Float64,
                "actual_amount": pl.Float64,
                "quota_amount": pl.Float64,
            },
        ),
        scope_members=pl.DataFrame(
            members, orient="row", schema={"period_start_on": pl.Date, "person_id": pl.String, "scope": pl.String}
        ),
    )


def _scopes(shape: Shape, team: Whole) -> list[tuple[str, Flags]]:
    everyone = np.ones(shape.reps, dtype=bool)
    teams = [(f"team{i}", team == i) for i in range(shape.teams)]
    return [("company", everyone), *teams, *((f"rep{i:03d}", np.arange(shape.reps) == i) for i in range(shape.reps))]


def target_of(inputs: LandingInputs) -> dt.date:
    """Start of the period to forecast: the only one not closed."""
    start: dt.date = inputs.periods.filter(pl.col("closed_at").is_null())["period_start_on"].item()
    return start
