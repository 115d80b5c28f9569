"""Has a lean changed? Cumulated sums with their run lengths stated, so that nobody trusts an alarm by decree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from pipelines.later import Later

diagnostic = Later("statsmodels.stats.diagnostic")

Floats = NDArray[np.float64]

CUSUM_SLACK = 0.5
"""k in C⁺ = max(0, C⁺ + z − k): tuned to a shift of one standard deviation."""


def ols_cusum(errors: ArrayLike) -> tuple[float, float, int] | None:
    """(sup of |cumulated residual|, p, index where it is reached) of errors about their mean; None without variation.

    The asymptotic p is for twelve periods or more (Ploberger and Krämer 1992).
    """
    e = np.asarray(errors, dtype=float)
    if e.size < 3 or np.ptp(e) == 0:
        return None
    residual = e - e.mean()
    supremum, p_value, _ = diagnostic.breaks_cusumolsresid(residual, ddof=1)
    return float(supremum), float(p_value), int(np.abs(residual.cumsum()).argmax())


def self_starting_scores(values: ArrayLike) -> Floats:
    """Hawkins (1987): each value against those before it, turned into an exact standard normal score.

    Without a change the scores are independent N(0, 1) for normal values of any mean and spread, so run lengths hold
    from the third period on and no training quarters are needed. The first two are 0: nothing to compare with.
    """
    x = np.asarray(values, dtype=float)
    scores = np.zeros(x.size)
    if x.size < 3:
        return scores
    # Running sums about the first value, so that a large level costs no digits.
    shifted = x - x[0]
    count = np.arange(2, x.size)
    mean = np.cumsum(shifted)[1:-1] / count
    variance = np.maximum(0, np.cumsum(shifted**2)[1:-1] - count * mean**2) / (count - 1)
    varies = variance > 1e-24 * float((shifted**2).max())
    t = (shifted[2:][varies] - mean[varies]) / np.sqrt(variance[varies]) * np.sqrt(count[varies] / (count[varies] + 1))
    chance = np.clip(stats.t.cdf(t, count[varies] - 1), 1e-12, 1 - 1e-12)
    scores[2:][varies] = special.ndtri(chance)
    return scores


def cusum(scores: ArrayLike, limit: float, slack: float = CUSUM_SLACK) -> tuple[Floats, Floats, int | None]:
    """(C⁺, C⁻, index of the first alarm): C⁺ = max(0, C⁺ + z − k), C⁻ = max(0, C⁻ − z − k), alarm above ``limit``."""
    z = np.asarray(scores, dtype=float)
    high, low = np.zeros(z.size), np.zeros(z.size)
    up = down = 0.0
    for index, value in enumerate(z):
        up, down = max(0.0, up + value - slack), max(0.0, down - value - slack)
        high[index], low[index] = up, down
    over = np.flatnonzero(np.maximum(high, low) > limit)
    return high, low, int(over[0]) if over.size else None


def cusum_run_length(limit: float, shift: float = 0.0, slack: float = CUSUM_SLACK) -> float:
    """Mean periods to an alarm of the two-sided CUSUM of N(shift, 1) scores, from a standing start.

    Page's integral equation for each side by Gauss–Legendre quadrature; the sides combine as 1/L = 1/L⁺ + 1/L⁻
    (Kemp 1961). Equals R's ``spc::xcusum.arl(sided="two")``.
    """
    return 1.0 / (1.0 / _one_sided_run(limit, shift, slack) + 1.0 / _one_sided_run(limit, -shift, slack))


def _one_sided_run(limit: float, shift: float, slack: float) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(40)
    nodes, weights = (nodes + 1) * limit / 2, weights * limit / 2
    kernel = stats.norm.pdf(nodes[None, :] - nodes[:, None] + slack - shift) * weights[None, :]
    at_zero = stats.norm.cdf(slack - shift - nodes)
    start = np.concatenate([[stats.norm.cdf(slack - shift)], stats.norm.pdf(nodes + slack - shift) * weights])
    system = np.vstack([start, np.column_stack([at_zero, kernel])])
    return float(np.linalg.solve(np.eye(system.shape[0]) - system, np.ones(system.shape[0]))[0])


def cusum_limit(run_length: float, slack: float = CUSUM_SLACK) -> float:
    """The limit whose false alarms are ``run_length`` periods apart on average."""
    return float(
        optimize.brentq(lambda limit: cusum_run_length(limit, 0.0, slack) - run_length, 0.05, 12.0, xtol=1e-11)
    )
