"""How deals move: the planted chances of each step, and what a deal is worth given them.

Chances are per step (a week) and applied in a fixed order: lost, no decision, won, then one stage on, or one back.
They depend on motion, stage, age, lead source, whether the close date lies in this quarter, the week of the quarter,
and the quarter's common shock. Because they are known, the expected landing of any deal until the quarter's end is
exact arithmetic (a backward recursion over the remaining weeks) rather than an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.scenario import STEPS, Calendar, Floats, Scenario

MOTIONS = ("transactional", "consultative")
STAGES = ("Qualification", "Discovery", "Solution", "Proposal", "Negotiation")
WON, LOST, NO_DECISION = 5, 6, 7
ALL_STAGES = (*STAGES, "Closed Won", "Closed Lost", "No Decision")
STAGE_CATEGORY = ("pipeline", "pipeline", "best_case", "most_likely", "commit", "closed", "omitted", "omitted")
STAGE_PROBABILITY = (0.05, 0.10, 0.30, 0.50, 0.75, 1.0, 0.0, 0.0)
SOURCES = ("Referral", "Partner", "Inbound", "Event", "Outbound")

# Rows: transactional, consultative. Columns: open stages in order.
LOSS = np.array([[0.090, 0.080, 0.062, 0.062, 0.066], [0.015, 0.013, 0.012, 0.014, 0.016]])
NO_DECISION_CHANCE = np.array([[0.036, 0.026, 0.022, 0.022, 0.024], [0.026, 0.022, 0.020, 0.024, 0.028]])
WIN = np.array([[0.0, 0.0, 0.015, 0.070, 0.260], [0.0, 0.0, 0.0, 0.012, 0.130]])
ADVANCE = np.array([[0.36, 0.40, 0.40, 0.36, 0.0], [0.17, 0.16, 0.15, 0.17, 0.0]])
BACK = np.array([[0.0, 0.010, 0.014, 0.018, 0.020], [0.0, 0.010, 0.014, 0.016, 0.022]])
DRIFTING = (1, 3)
"""The conversion that changes over the years: consultative, proposal to negotiation."""

WIN_BY_SOURCE = np.array([1.35, 1.15, 1.0, 0.85, 0.70])
SOURCE_SHARE = np.array([[0.08, 0.10, 0.47, 0.15, 0.20], [0.16, 0.20, 0.24, 0.12, 0.28]])
WIN_BY_STEP = np.array([0.55, 0.55, 0.60, 0.65, 0.72, 0.76, 0.80, 0.88, 0.95, 1.05, 1.35, 1.95, 3.1])
"""The hockey stick: buyers and sellers alike close in the quarter's last two weeks."""

CLEAN_UP_BY_STEP = np.array([1.8, 1.5, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0])
"""Dead deals are written off after a quarter's end, not before it."""

WIN_BY_DUE = np.array([0.50, 1.30])
"""Close date in a later quarter; in this one or overdue."""

PUSH = np.array([0.030, 0.030, 0.035, 0.040, 0.045, 0.050, 0.055, 0.060, 0.070, 0.085, 0.11, 0.14, 0.10])
"""Chance per step that a deal due this quarter is put off to a later one."""

PULL_IN = 0.012
DUE_AT_CREATION = np.array([np.linspace(0.75, 0.30, STEPS), np.linspace(0.22, 0.02, STEPS)])
LATER_START = 0.10
"""Share of deals that enter at the second stage."""

MAX_AGE = 79
TYPICAL_AGE = np.array([7.0, 22.0])
MAX_WIN = 0.92

BURST_CHANCE, BURST_LOSS = 1 / 45, 0.10
"""Clustered losses: in some weeks a team loses deals together (a rival's launch, an outage)."""

ADVANCE_TO_PROPOSAL = 2
# Amount changes: (share that shrinks, from, to, share that grows, from, to) by motion.
AT_PROPOSAL = ((0.20, 0.60, 0.95, 0.10, 1.05, 1.50), (0.35, 0.50, 0.95, 0.15, 1.05, 1.80))
AT_WIN = ((0.25, 0.85, 0.98, 0.02, 1.05, 1.25), (0.42, 0.78, 0.98, 0.04, 1.05, 1.40))

BAD_QUARTERS = 0.25
SHOCK_NODES = np.concatenate(
    [
        low + width * (0.5 + np.array([-0.5, 0.5]) / np.sqrt(3))
        for low, width in ((0.0, BAD_QUARTERS), (BAD_QUARTERS, 1 - BAD_QUARTERS))
    ]
)
"""Shares at which the shock's distribution is averaged over: Gauss's two points in each of its two even pieces."""

SHOCK_WEIGHTS = np.repeat([BAD_QUARTERS / 2, (1 - BAD_QUARTERS) / 2], 2)


def mean_factor(change: tuple[float, float, float, float, float, float]) -> float:
    """Mean of an amount change."""
    shrink, low, high, grow, more, most = change
    return float(1 + shrink * ((low + high) / 2 - 1) + grow * ((more + most) / 2 - 1))


def draw_factor(rng: np.random.Generator, motion: np.ndarray, changes: tuple[tuple[float, ...], ...]) -> Floats:
    """One amount change per deal."""
    shrink, low, high, grow, more, most = np.array(changes).T[:, motion]
    kind, size = rng.random((2, len(motion)))
    down = low + (high - low) * size
    up = more + (most - more) * size
    return np.asarray(np.where(kind < shrink, down, np.where(kind < shrink + grow, up, 1.0)))


def shock_quantile(share: Floats, sd: float) -> Floats:
    """The quarter's common multiplier at a share of its distribution: mean 1, one bad quarter in four, no bell.

    A quarter of the mass lies evenly between −2.2 and −1.0, the rest between 0.05 and 1.0166 (units before scaling);
    mean 0 holds by construction and the scale makes the standard deviation ``sd``.
    """
    bad, good_low, good_high = BAD_QUARTERS, 0.05, 0.05 + 2 * (0.25 * 1.6 / 0.75 - 0.05)
    raw = np.where(share < bad, -2.2 + 1.2 * share / bad, good_low + (good_high - good_low) * (share - bad) / (1 - bad))
    variance = bad * (1.6**2 + 1.2**2 / 12) + (1 - bad) * (
        ((good_low + good_high) / 2) ** 2 + (good_high - good_low) ** 2 / 12
    )
    return np.asarray(np.maximum(1 + sd * raw / np.sqrt(variance), 0.05))


def age_slows(motion: int, age: Floats) -> Floats:
    """Momentum of a deal of that age: high around the typical cycle, fading after it (log-logistic in shape)."""
    relative = age / TYPICAL_AGE[motion]
    return np.asarray((0.75 + 0.5 * relative) / (0.75 + 0.25 * relative**2.2))


def age_kills(motion: int, age: Floats) -> Floats:
    """How much likelier no decision is for a deal of that age."""
    relative = age / TYPICAL_AGE[motion]
    return np.asarray(np.minimum(0.7 + 0.45 * relative, 4.0))


@dataclass(frozen=True)
class Hazards:
    """Planted chances of every step of one company.

    loss, back: motion × stage. no_decision: motion × age × stage (before the week's factor).
    win: motion × source × age × stage × due (before week and shock). advance: quarter × motion × age × stage.
    shocks: one multiplier per quarter, as it happened. advance_factor: quarter, the drifting rate's multiplier.
    """

    no_decision: Floats
    win: Floats
    advance: Floats
    shocks: Floats
    advance_factor: Floats
    shock_sd: float


def hazards_of(scenario: Scenario, calendar: Calendar, rng: np.random.Generator) -> Hazards:
    """Chances for every quarter of the calendar, warm-up included."""
    age = np.arange(MAX_AGE + 1, dtype=np.float64)
    momentum = np.stack([age_slows(motion, age) for motion in range(2)])
    fatigue = np.stack([age_kills(motion, age) for motion in range(2)])
    no_decision = np.minimum(NO_DECISION_CHANCE[:, None, :] * fatigue[:, :, None], 0.4)
    no_decision[:, MAX_AGE, :] = 0.5
    win = (
        WIN[:, None, None, :, None]
        * WIN_BY_SOURCE[None, :, None, None, None]
        * momentum[:, None, :, None, None]
        * WIN_BY_DUE[None, None, None, None, :]
    )
    count = calendar.quarter_count
    passed = np.clip((np.arange(count) - calendar.first) / max(1, calendar.last - calendar.first), 0, 1)
    factor = 1 - scenario.drift * passed
    advance = np.repeat((ADVANCE[:, None, :] * np.minimum(momentum, 1.1)[:, :, None])[None], count, axis=0)
    motion, stage = DRIFTING
    advance[:, motion, :, stage] *= factor[:, None]
    shocks = shock_quantile(rng.random(count), scenario.shock_sd)
    return Hazards(no_decision, win, advance, shocks, factor, scenario.shock_sd)


def expected_landing(hazards: Hazards, quarter: int) -> Floats:
    """Expected landing in the quarter per unit of a deal's present amount, from each week's start on.

    Returns week (0..13, the last all zero) × motion × source × age × stage × due. The average over the shock's
    distribution, not at the shock that happened: nobody knows a quarter's luck from a deal's state.
    """
    nodes = shock_quantile(SHOCK_NODES, hazards.shock_sd)[:, *[None] * 5]
    ages = np.minimum(np.arange(MAX_AGE + 1) + 1, MAX_AGE)
    loss = (1 - LOSS - BURST_CHANCE * BURST_LOSS)[:, None, None, :, None]
    on = hazards.advance[quarter][:, None, :, :, None]
    back = (1 - on) * BACK[:, None, None, :, None]
    rest = 1 - on - back
    at_proposal = np.array([mean_factor(change) for change in AT_PROPOSAL])[:, None, None, None]
    at_win = np.array([mean_factor(change) for change in AT_WIN])[:, None, None, None, None]
    total = np.zeros((STEPS + 1, *hazards.win.shape))
    value = np.zeros((len(nodes), *hazards.win.shape))
    for step in range(STEPS - 1, -1, -1):
        ahead = value[:, :, :, ages]
        moved = np.empty_like(ahead)
        moved[..., 1] = (1 - PUSH[step]) * ahead[..., 1] + PUSH[step] * ahead[..., 0]
        moved[..., 0] = (1 - PULL_IN) * ahead[..., 0] + PULL_IN * ahead[..., 1]
        up, down = np.zeros_like(moved), np.zeros_like(moved)
        up[..., :-1, :] = moved[..., 1:, :]
        up[..., ADVANCE_TO_PROPOSAL, :] *= at_proposal
        down[..., 1:, :] = moved[..., :-1, :]
        stays = on * up + back * down + rest * moved
        drops = np.minimum(hazards.no_decision * CLEAN_UP_BY_STEP[step], 0.6)[:, None, :, :, None]
        wins = np.minimum(hazards.win * (WIN_BY_STEP[step] * nodes), MAX_WIN)
        value = loss * (1 - drops) * (wins * at_win + (1 - wins) * stays)
        total[step] = np.tensordot(SHOCK_WEIGHTS, value, axes=1)
    return total


def expected_of_new(value: Floats, amount: Floats) -> Floats:
    """Expected landing in the quarter of one deal created in each week, per motion.

    value: as from ``expected_landing``. amount: mean first amount by motion. Returns motion × week. A deal created in
    a week first moves in the next one.
    """
    due = np.stack([1 - DUE_AT_CREATION, DUE_AT_CREATION], axis=-1)
    entry = np.zeros(len(STAGES))
    entry[0], entry[1] = 1 - LATER_START, LATER_START
    first = value[1:, :, :, 0]
    return np.asarray(np.einsum("wmrsd,mr,s,mwd->mw", first, SOURCE_SHARE, entry, due) * amount[:, None])
