"""A sales team simulated deal by deal, whose planted landing rates the engine has to find again.

Simpler than the product's simulator and independent of it and of the engine: win probabilities Beta(2, 3), log-normal
amounts, a shock that multiplies every probability of a quarter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def deal_company(
    rng: np.random.Generator, *, reps: int, quarters: int, deals: float = 12.0, spread: float = 0.2, lean: float = 0.0,
    shock: float = 0.15,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Planted θ = ln(landing rate) (reps), forecasts and actuals (reps × quarters)."""
    theta = lean + spread * rng.standard_normal(reps)
    multiplier = np.exp(shock * rng.standard_normal(quarters) - shock**2 / 2.0)
    count = np.maximum(rng.poisson(deals, (reps, quarters)), 1)
    most = int(count.max())
    is_deal = np.arange(most) < count[:, :, None]
    chance = rng.beta(2.0, 3.0, (reps, quarters, most))
    amount = rng.lognormal(10.0, 1.0, (reps, quarters, most)) * rng.lognormal(0.0, 0.3, reps)[:, None, None] * is_deal
    won = rng.random(amount.shape) < np.minimum(chance * multiplier[None, :, None], 1.0)
    forecast = (chance * amount).sum(axis=2) * np.exp(-theta)[:, None]
    return theta, forecast, (amount * won).sum(axis=2)
