"""Variances estimated from few periods, drawn towards their common value (Smyth 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

SMALLEST_SHARE_OF_MEDIAN = 1e-5


@dataclass(frozen=True)
class VariancePrior:
    """What peers say about a variance: ``value`` (s0²) worth ``df`` degrees of freedom (d0).

    ``df`` is infinite when the variances differ no more than chance makes them, 0 when there are no peers.
    """

    value: float
    df: float


def trigamma_inverse(x: float) -> float:
    """The y > 0 with trigamma(y) = x, for x > 0.

    Newton's method on 1 / trigamma, which is nearly linear, so it converges from 0.5 + 1/x for every x (Smyth 2004,
    appendix). The two asymptotes 1/√x (large x) and 1/x (small x) serve where Newton would lose digits.
    """
    if x > 1e7:
        return float(1.0 / np.sqrt(x))
    if x < 1e-6:
        return 1.0 / x
    y = 0.5 + 1.0 / x
    for _ in range(50):
        trigamma = float(special.polygamma(1, y))
        step = trigamma * (1.0 - trigamma / x) / float(special.polygamma(2, y))
        y += step
        if -step / y < 1e-10:
            break
    return y


def variance_prior(variances: Floats, df: Floats) -> VariancePrior:
    """The scaled-inverse-χ² prior of sample ``variances`` (shape K, each with ``df`` > 0) by moments of their logs.

    ln s² − digamma(df/2) + ln(df/2) has mean ln s0² − digamma(d0/2) + ln(d0/2) and variance
    trigamma(df/2) + trigamma(d0/2). When the logs vary no more than trigamma(df/2) alone explains, d0 is infinite
    and s0² is the plain mean: the mean of the logs would understate it. Exact zeros are lifted to 10⁻⁵ of the
    median, since a perfect record has no logarithm.
    """
    if len(variances) == 0:
        return VariancePrior(float("nan"), 0.0)
    if len(variances) == 1:
        return VariancePrior(float(variances[0]), 0.0)
    median = float(np.median(variances))
    if median <= 0.0:
        positive = variances[variances > 0.0]
        median = float(np.median(positive)) if len(positive) else 0.0
    if median == 0.0:
        return VariancePrior(0.0, float("inf"))
    lifted = np.maximum(variances, SMALLEST_SHARE_OF_MEDIAN * median)
    half = df / 2.0
    centred = np.log(lifted) - special.digamma(half) + np.log(half)
    excess = float(np.var(centred, ddof=1) - np.mean(special.polygamma(1, half)))
    if excess <= 0.0:
        return VariancePrior(float(np.mean(lifted)), float("inf"))
    df0 = 2.0 * trigamma_inverse(excess)
    value = float(np.exp(np.mean(centred) + special.digamma(df0 / 2.0) - np.log(df0 / 2.0)))
    return VariancePrior(value, df0)


def moderate(variances: Floats, df: Floats, prior: VariancePrior) -> Floats:
    """(d0·s0² + df·s²) / (d0 + df) for each variance (shape K); where df is 0 the prior alone speaks.

    NaN where neither the record (df 0) nor peers (d0 0) say anything.
    """
    if np.isinf(prior.df):
        return np.full(len(variances), prior.value)
    own = np.where(df > 0.0, df * np.where(df > 0.0, variances, 0.0), 0.0)
    known = 0.0 if prior.df == 0.0 else prior.df * prior.value
    total = prior.df + np.maximum(df, 0.0)
    return np.where(total > 0.0, (known + own) / np.where(total > 0.0, total, 1.0), np.nan)
