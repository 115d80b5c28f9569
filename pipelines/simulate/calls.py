"""The calls people make, built so that the planted landing rate is the true ratio of expectations, every week.

A rep's belief about the quarter mixes two numbers whose mean is the mean of what lands: what the planted chances say of
the deals in hand and to come, and (insight) what will in fact land. Anchoring to last week's belief and noise of mean
one leave the mean alone; dividing by R makes E[actual] / E[call] = R. Noise is gamma with rare blunders, not
log-normal, smaller with tenure (people learn to call). A lean wears off late in the quarter, when most of it has
landed: R is constant up to the lock week and moves towards 1 after it.

A manager adds up the people's calls. The skilled correct each by their own record, the unskilled only the total; what
is left of the team's lean, and a lean of the manager's own, make the manager's landing rate. Executives do the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.company import EXECUTIVES, MANAGERS, NOBODY, REPS, Company
from pipelines.simulate.scenario import STEPS, Flags, Floats, Ints

LEAN_BY_STEP = np.array([1, 1, 1, 1, 0.96, 0.92, 0.86, 0.80, 0.72, 0.64, 0.54, 0.44, 0.34])
INSIGHT_BY_STEP = np.array([0.22, 0.28, 0.34, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.71, 0.77, 0.84, 0.90])
NOISE_BY_STEP = np.linspace(1.15, 0.45, STEPS)
ANCHOR = 0.35
BLUNDER_CHANCE, BLUNDER_SIZE = 0.05, 0.45
MISSED_WEEK, MISSED_QUARTER = 0.04, 0.012
CATEGORIES = ("commit", "most_likely", "best_case")


@dataclass(frozen=True)
class Calls:
    """Calls of one layer, in the reporting currency.

    person: slot × quarter. amount: slot × quarter × step × category. made: slot × quarter × step.
    rate: slot × quarter × step × category, the planted landing rate of that call.
    """

    layer: str
    person: Ints
    amount: Floats
    made: Flags
    rate: Floats


def mean_one(rng: np.random.Generator, sd: Floats) -> Floats:
    """Noise of mean one: gamma, and now and then a blunder of ±45 %."""
    shape = 1 / np.maximum(sd, 1e-3) ** 2
    blunder = np.where(rng.random(sd.shape) < BLUNDER_CHANCE, rng.choice([-1.0, 1.0], sd.shape) * BLUNDER_SIZE, 0.0)
    return np.asarray(rng.gamma(shape, 1 / shape) * (1 + blunder))


def _of(values: list[float], person: Ints) -> Floats:
    return np.asarray(np.array(values)[np.maximum(person, 0)])


def _with_categories(
    company: Company, person: Ints, commit: Floats, rate: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Most-likely and best-case calls above the commit by skewed uplifts, and their planted rates."""
    uplift = np.array(company.staff.uplift)[np.maximum(person, 0)]
    draws = rng.gamma(4.0, 0.25, (2, *commit.shape))
    likely = commit * (1 + uplift[:, :, None, 0] * draws[0])
    best = likely * (1 + uplift[:, :, None, 1] * draws[1])
    likely_rate = rate / (1 + uplift[:, :, None, 0])
    best_rate = likely_rate / (1 + uplift[:, :, None, 1])
    return np.stack([commit, likely, best], axis=-1), np.stack([rate, likely_rate, best_rate], axis=-1)


def _noise(noise: Floats, tenure: Ints, rng: np.random.Generator) -> Floats:
    """slot × quarter × step: a part that lasts the quarter and a weekly part; newcomers are noisier."""
    sd = noise * (1 + 0.9 * np.exp(-tenure / 3))
    lasting = mean_one(rng, 0.85 * sd)[:, :, None]
    weekly = mean_one(rng, 0.5 * sd[:, :, None] * NOISE_BY_STEP)
    return np.asarray(1 + (lasting * weekly - 1) * NOISE_BY_STEP)


def _made(person: Ints, rng: np.random.Generator) -> Flags:
    made = np.asarray((person != NOBODY)[:, :, None] & (rng.random((*person.shape, STEPS)) >= MISSED_WEEK))
    return np.asarray(made & (rng.random(person.shape) >= MISSED_QUARTER)[:, :, None])


@dataclass(frozen=True)
class Beliefs:
    """What a layer holds, slot × quarter × step, reporting currency.

    unbiased: belief whose mean is the mean of what lands. commit: the call. rate: its planted landing rate.
    weight: expected landing at the quarter's start.
    """

    unbiased: Floats
    commit: Floats
    rate: Floats
    weight: Floats


def rep_calls(company: Company, actual: Floats, expected: Floats, rng: np.random.Generator) -> tuple[Calls, Beliefs]:
    """Calls of the reps. actual: seat × quarter; expected: seat × quarter × step (see ``deals.Chunk``)."""
    staff, person = company.staff, company.rep
    learned = 1 - 0.5 * np.exp(-company.tenure / 3)
    insight = np.clip(INSIGHT_BY_STEP * (learned * _of(staff.knows, person) / 0.5)[:, :, None], 0.0, 0.95)
    fresh = (1 - insight) * expected + insight * actual[:, :, None]
    fresh *= _noise(_of(staff.noise, person), company.tenure, rng)
    belief = fresh.copy()
    for step in range(1, STEPS):
        belief[:, :, step] = ANCHOR * belief[:, :, step - 1] + (1 - ANCHOR) * fresh[:, :, step]
    rate = np.exp(_of(staff.lean, person)[:, :, None] * LEAN_BY_STEP)
    amount, rates = _with_categories(company, person, belief / rate, rate, rng)
    weight = np.where((person == NOBODY)[:, :, None], 0.0, np.repeat(expected[:, :, :1], STEPS, axis=2))
    calls = Calls(REPS, person, amount, _made(person, rng), rates)
    return calls, Beliefs(belief, amount[..., 0], rate, weight)


def override(
    company: Company, layer: str, *, person: Ints, tenure: Ints, above: Ints, below: Beliefs, rng: np.random.Generator
) -> tuple[Calls, Beliefs]:
    """Calls of managers or executives over the layer below. above: slot below × quarter → slot of this layer."""
    staff = company.staff
    shape = (*person.shape, STEPS)
    quarters = np.broadcast_to(np.arange(person.shape[1]), above.shape)

    def total(values: Floats) -> Floats:
        out = np.zeros(shape)
        np.add.at(out, (above, quarters), values)
        return out

    weight, passed_on = total(below.weight), total(below.weight / below.rate)
    team_rate = np.divide(weight, passed_on, out=np.ones(shape), where=passed_on > 0)
    skill = _of(staff.skill, person)[:, :, None]
    belief = skill * total(below.unbiased) + (1 - skill) * team_rate * total(below.commit)
    belief *= _noise(_of(staff.noise, person), tenure, rng)

    holder, lean = np.maximum(person, 0), np.zeros(person.shape)
    lead, called = (
        np.bincount(holder.ravel(), weights=values[:, :, 0].ravel(), minlength=len(staff.lean))
        for values in (weight, passed_on)
    )
    team_lean = np.log(np.divide(lead, called, out=np.ones(len(lead)), where=called > 0))
    lean = (1 - skill[:, :, 0]) * team_lean[holder] + _of(staff.lean, person)
    rate = np.exp(lean[:, :, None] * LEAN_BY_STEP)
    amount, rates = _with_categories(company, person, belief / rate, rate, rng)
    made = _made(person, rng) & (weight > 0)
    return Calls(layer, person, amount, made, rates), Beliefs(belief, amount[..., 0], rate, weight)


def all_calls(company: Company, actual: Floats, expected: Floats, rng: np.random.Generator) -> list[Calls]:
    """Calls of every layer, reps first."""
    reps, held = rep_calls(company, actual, expected, rng)
    managers, led = override(
        company,
        MANAGERS,
        person=company.manager,
        tenure=company.manager_tenure,
        above=company.manager_slot,
        below=held,
        rng=rng,
    )
    quarters = company.manager.shape[1]
    top = np.repeat(company.executive[:, None], quarters, axis=1)
    over = np.repeat(company.manager_executive[:, None], quarters, axis=1)
    tenure = np.full(top.shape, 12, dtype=np.int64)
    executives, _ = override(company, EXECUTIVES, person=top, tenure=tenure, above=over, below=led, rng=rng)
    return [reps, managers, executives]
