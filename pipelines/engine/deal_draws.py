"""Draws of what the open deals, and those not yet created, will land: one column per draw, summed per scope.

Independent deals give a sum with far too little spread (33 to 65 % coverage at nominal 80 %): a quarter is good or bad
for everybody at once. As in credit portfolios (Vasicek 1987), all win odds share one shock:

    P_j(z) = Φ(Φ⁻¹(P_j) − δ + z),   z ~ Student-t with 5 degrees of freedom, scaled to sd s

δ and s are estimated from past periods seen at the same week. Two choices differ from the closed forms of first order:
δ is solved so that the mean over z of the expected revenue is exactly the corrected one (the shock itself raises the
mean of odds below one half, by 2 to 3 % at s = 0.25), and the between-period variance is taken from residuals
A − R·E rather than from ln(A/E), which does not exist for a period in which nothing landed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SHOCK_DF = 5.0
CELLS_AT_ONCE = 8_000_000
"""Deal × draw cells whose wins are held at a time, and paid out together: what a seed gives depends on it."""
CELLS_IN_CACHE = 250_000
"""Cells drawn at a time: a megabyte of 4-byte normals stays in the processor's cache."""
BOXES = 100
NODES = 101
"""Deals of like odds and shocks of like size are taken together to solve for δ: a mean within 0.1 %."""
LARGEST_CORRECTION = float(np.log(4.0))
"""A correction beyond ×4 is a fault in the data, not a lean of the odds."""
LARGEST_SHOCK = 2.0
"""Two probits either way turn a coin flip into 2 or 98 in 100: a shock beyond it is a fault in the data. Where every
deal seems certain no shock moves anything, and the quotient would name one of hundreds."""


@dataclass(frozen=True)
class AmountChange:
    """Historical final ÷ snapshot amounts of won deals, by stage code (Duan 1983: means of empirical factors)."""

    factors: Floats
    start: Whole
    count: Whole

    @classmethod
    def of(cls, stage: Whole, factor: Floats, stage_count: int, least: int = 10) -> AmountChange:
        """Factors grouped by stage; a stage with fewer than ``least`` won deals borrows those of all stages."""
        everything = factor if len(factor) else np.ones(1)
        own = [factor[stage == code] for code in range(stage_count)]
        parts = [values if len(values) >= least else everything for values in own]
        count = np.array([len(values) for values in parts], dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
        return cls(np.concatenate(parts) if parts else everything, start, count)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and mean square of the factor, by stage code."""
        mean = np.array([self.factors[s : s + c].mean() for s, c in zip(self.start, self.count, strict=True)])
        square = np.array([(self.factors[s : s + c] ** 2).mean() for s, c in zip(self.start, self.count, strict=True)])
        return mean, square

    def draw(self, stage: Whole, rng: np.random.Generator, times: Whole) -> Floats:
        """A factor for each time that a deal of a ``stage`` is won: as many of each as ``times`` says."""
        pick = rng.random(int(times.sum()))
        pick *= np.repeat(self.count[stage].astype(float), times)
        drawn: Floats = self.factors[pick.astype(np.int64) + np.repeat(self.start[stage], times)]
        return drawn


@dataclass(frozen=True)
class PastPeriod:
    """One closed period at the same week: deals then open, what landed of them, and business created after.

    ``probability`` (J,) win probability issued without this period; ``mean`` and ``square`` (J,) expected amount and
    expected squared amount if won; ``landed`` their total at close; ``new`` created-and-won revenue, ``new_mean`` and
    ``new_variance`` what the other periods, scaled to this one's run rate, said of it.
    """

    probability: Floats
    mean: Floats
    square: Floats
    landed: float
    new: float
    new_mean: float
    new_variance: float


@dataclass(frozen=True)
class Shock:
    """Calibration of the deal odds. ``correction`` ln(landed ÷ expected) after shrinkage; ``relative_sd`` spread of
    landed ÷ expected between periods beyond chance; ``elasticity`` d ln(expected) / d probit; ``sd`` of the shock on
    the probit scale, widened for being estimated from ``period_count`` periods."""

    period_count: int
    raw_correction: float
    correction: float
    relative_sd: float
    elasticity: float
    sd: float


def probit(probability: Floats, spell_count: Floats | None = None) -> Floats:
    """Φ⁻¹(P), with P kept half an observation away from 0 and 1: none of 60 is not never."""
    margin = np.full(len(probability), 5e-4) if spell_count is None else 0.5 / (np.maximum(spell_count, 1.0) + 1.0)
    x: Floats = special.ndtri(np.clip(probability, margin, 1.0 - margin))
    return x


def estimate_shock(past: list[PastPeriod], *, prior_periods: float = 2.0) -> Shock:
    """δ's correction and s from closed periods (one-factor model, moments; see the module's head).

    The correction is shrunk by n/(n + ``prior_periods``). s_R² = [n/(n−1)·Σ(A−R·E)² − Σ chance variance] / Σ(R·E)²,
    never below 0; s = s_R/g·√((n−1)/(n−3)·(1+1/n)). Needs four periods or more.
    """
    n = len(past)
    expected = np.array([period.probability @ period.mean for period in past])
    landed = np.array([period.landed for period in past])
    raw = 0.0
    if expected.sum() > 0:
        raw = float(np.log(landed.sum() / expected.sum())) if landed.sum() > 0 else -LARGEST_CORRECTION
    raw = float(np.clip(raw, -LARGEST_CORRECTION, LARGEST_CORRECTION))
    ratio = np.exp(raw)
    total = ratio * expected + np.array([period.new_mean for period in past])
    chance = np.array(
        [
            ratio * (p.probability @ p.square) - ratio**2 * ((p.probability * p.mean) ** 2).sum() + p.new_variance
            for p in past
        ]
    )
    residual = landed + np.array([period.new for period in past]) - total
    relative = 0.0
    if (total**2).sum() > 0:
        relative = max(0.0, float((n / (n - 1) * residual**2 - chance).sum() / (total**2).sum())) ** 0.5
    slope = sum(float(p.mean @ _density(probit(p.probability))) for p in past)
    elasticity = slope / expected.sum() if expected.sum() > 0 else 0.0
    widen = ((n - 1) / (n - 3) * (1 + 1 / n)) ** 0.5
    sd = min(relative / elasticity * widen, LARGEST_SHOCK) if elasticity > 0 else 0.0
    return Shock(n, raw, n / (n + prior_periods) * raw, relative, float(elasticity), float(sd))


def _density(x: Floats) -> Floats:
    density: Floats = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    return density


def shock_draws(sd: float, draws: int, rng: np.random.Generator) -> Floats:
    """z ~ t5 scaled to ``sd``, one per stratum of equal probability, in random order: little noise of its own."""
    level = (rng.permutation(draws) + rng.random(draws)) / draws
    z: Floats = special.stdtrit(SHOCK_DF, level) * (sd * np.sqrt((SHOCK_DF - 2) / SHOCK_DF))
    return z


def calibrated_chance(x: Floats, delta: float, z: Floats) -> Floats:
    """Win probability of each deal over the shocks: the mean of Φ(x − δ + z), by 41 shocks of equal weight."""
    nodes = np.quantile(z, (np.arange(41) + 0.5) / 41)
    chance: Floats = special.ndtr(x[:, None] - delta + nodes[None, :]).mean(axis=1)
    return chance


@dataclass(frozen=True)
class Shift:
    """δ of the current book, and how each draw's shock scales its expected revenue (mean 1)."""

    delta: float
    scale: Floats


def solve_shift(x: Floats, money: Floats, z: Floats, correction: float) -> Shift:
    """δ such that the mean over z of Σ money·Φ(x − δ + z) is e^correction · Σ money·Φ(x)."""
    if not len(x) or money.sum() <= 0:
        return Shift(0.0, np.ones(len(z)))
    edges = np.quantile(x, np.linspace(0, 1, BOXES + 1))
    box = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, BOXES - 1)
    weight = np.bincount(box, money, minlength=BOXES)
    used = weight > 0
    centre = np.bincount(box, money * x, minlength=BOXES)[used] / weight[used]
    weight = weight[used]
    nodes = np.quantile(z, (np.arange(NODES) + 0.5) / NODES)
    goal = min(float(np.exp(correction) * (money @ special.ndtr(x))), 0.999 * float(money.sum()))

    def excess(delta: float) -> float:
        return float((special.ndtr(centre[:, None] - delta + nodes[None, :]).T @ weight).mean()) - goal

    low, high = -3.0, 3.0
    while excess(low) < 0 and low > -60:
        low *= 2
    while excess(high) > 0 and high < 60:
        high *= 2
    delta = float(optimize.brentq(excess, low, high, xtol=1e-10))
    grid = np.linspace(z.min(), z.max(), 201) if z.max() > z.min() else np.array([z[0], z[0] + 1.0])
    level = special.ndtr(centre[:, None] - delta + grid[None, :]).T @ weight
    scale = np.interp(z, grid, level)
    return Shift(delta, scale / scale.mean())


@dataclass(frozen=True)
class OpenDeals:
    """Open deals, sorted by owner. ``owner`` and ``stage`` are codes, ``x`` probit of the win probability."""

    owner: Whole
    stage: Whole
    amount: Floats
    x: Floats


def draw_deals(
    *,
    deals: OpenDeals,
    change: AmountChange,
    z: Floats,
    delta: float,
    owner_count: int,
    rng: np.random.Generator,
    keep: Flags,
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Revenue of each owner in each draw (owners × draws), and the packed win bits of the deals flagged in ``keep``.

    A deal wins when a standard normal falls below x − δ + z. Deals are handled in blocks, so memory stays bounded.
    """
    draws = len(z)
    total = np.zeros((owner_count, draws))
    bits: list[npt.NDArray[np.uint8]] = []
    threshold = (deals.x - delta).astype(np.float32)
    shock = z.astype(np.float32)
    block, step = max(1, CELLS_AT_ONCE // draws), max(1, CELLS_IN_CACHE // draws)
    noise, limit = np.empty((step, draws), dtype=np.float32), np.empty((step, draws), dtype=np.float32)
    for begin in range(0, len(deals.amount), block):
        end = min(begin + block, len(deals.amount))
        lowest, highest = int(deals.owner[begin]), int(deals.owner[end - 1])
        cells: list[Whole] = []
        counts: list[Whole] = []
        for first in range(begin, end, step):
            part = slice(first, min(first + step, end))
            size = part.stop - first
            rng.standard_normal(dtype=np.float32, out=noise[:size])
            won = noise[:size] < np.add(threshold[part, None], shock[None, :], out=limit[:size])
            if keep[part].any():
                bits.append(np.packbits(won[keep[part]], axis=1))
            flat = np.flatnonzero(won.ravel())
            count = np.diff(np.searchsorted(flat, np.arange(size + 1) * draws))
            # From a cell of deals × draws to one of owners × draws: the same draw, another row.
            cells.append(flat + np.repeat((deals.owner[part] - lowest - np.arange(size)) * draws, count))
            counts.append(count)
        worth = np.empty(sum(len(part) for part in cells))
        done = 0
        for first, times in zip(range(begin, end, step), counts, strict=True):
            part = slice(first, min(first + step, end))
            paid = slice(done, done + int(times.sum()))
            factors = change.draw(deals.stage[part], rng, times)
            np.multiply(np.repeat(deals.amount[part], times), factors, out=worth[paid])
            done = paid.stop
        added = np.bincount(np.concatenate(cells), worth, minlength=(highest - lowest + 1) * draws)
        total[lowest : highest + 1] += added.reshape(-1, draws)
    packed = np.concatenate(bits) if bits else np.zeros((0, (draws + 7) // 8), dtype=np.uint8)
    return total, packed


@dataclass(frozen=True)
class PastBusiness:
    """Won business of past periods that did not yet exist at the same week: one element per lump.

    ``owner`` code, −1 when that owner is not among today's; ``period`` 0..n−1; ``scale`` (n,) today's run rate ÷ then.
    """

    owner: Whole
    period: Whole
    amount: Floats
    scale: Floats


def draw_new_business(
    *,
    past: PastBusiness,
    total: Floats,
    recipients: Whole,
    scale: Floats,
    own_share: float,
    rng: np.random.Generator,
) -> None:
    """Add created-and-won business to ``total`` (owners × draws) in place: each draw repeats one past period.

    A lump stays with its owner with probability ``own_share``, else it falls to any of ``recipients``: a handful of
    past periods says what the company creates, not which person will have the luck. ``scale`` (draws,) is the shock.
    """
    owner_count, draws = total.shape
    if not len(recipients):
        return
    which_period = rng.permutation(np.arange(draws) % len(past.scale))
    for period in range(len(past.scale)):
        lumps = past.period == period
        columns = np.flatnonzero(which_period == period)
        if not lumps.any() or not len(columns):
            continue
        owner, amount = past.owner[lumps], past.amount[lumps] * past.scale[period]
        shape = (len(owner), len(columns))
        stays = (rng.random(shape) < own_share) & (owner >= 0)[:, None]
        target = np.where(stays, owner[:, None], recipients[rng.integers(len(recipients), size=shape)])
        worth = amount[:, None] * scale[columns][None, :]
        cells = target * len(columns) + np.arange(len(columns))[None, :]
        added = np.bincount(cells.ravel(), worth.ravel(), minlength=owner_count * len(columns))
        total[:, columns] += added.reshape(owner_count, len(columns))
