"""Shares, medians and concentration with the interval each deserves, for many groups at once.

Sources: Wilson (1927); Kish (1965) for the effective number of unequal weights; order statistics for the median
(Thompson 1936); Hirschman (1964) for concentration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


def wilson(hits: ArrayLike, trials: ArrayLike, level: float, degrees: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Wilson interval per group; not-a-number where there are no trials. Trials may be fractional (effective).

    ``degrees``: degrees of freedom where the trials' inflation was itself estimated, from that many periods less one:
    a t quantile then takes the normal's place; infinite where it was not.
    """
    k, n = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    z = np.asarray(stats.norm.ppf(0.5 + level / 2) if degrees is None else stats.t.ppf(0.5 + level / 2, degrees))
    z2 = z**2
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (k + z2 / 2) / (n + z2)
        half = np.sqrt(z2) / (n + z2) * np.sqrt(k * (n - k) / n + z2 / 4)
    known = n > 0
    lower = np.where(known, np.clip(centre - half, 0, 1), np.nan)
    upper = np.where(known, np.clip(centre + half, 0, 1), np.nan)
    # Rounding must not leave 1e-17 of a chance where nothing, or everything, was hit.
    return np.where(k <= 0, np.where(known, 0.0, np.nan), lower), np.where(k >= n, np.where(known, 1.0, np.nan), upper)


def inflation(hits: ArrayLike, trials: ArrayLike) -> float:
    """φ ≥ 1: by how much a rate's periods differ beyond chance (Pearson X² over its degrees of freedom).

    Deals of one period share its luck, so an interval over n deals of few periods rests on n ÷ φ of them. Below two
    periods with trials, or where nothing or everything was hit, chance cannot be exceeded: 1.
    """
    k, n = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    k, n = k[n > 0], n[n > 0]
    if n.size < 2 or k.sum() <= 0 or k.sum() >= n.sum():
        return 1.0
    rate = k.sum() / n.sum()
    x2 = float(((k - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
    return max(1.0, x2 / (n.size - 1))


def effective_count(weights: ArrayLike) -> float:
    """Kish's (Σw)² ÷ Σw²: how many equal deals say as much as these; 0 without weight."""
    w = np.asarray(weights, dtype=float)
    square = float((w**2).sum())
    return 0.0 if square <= 0 else float(w.sum()) ** 2 / square


def median_interval(values: ArrayLike, level: float) -> tuple[float, float | None, float | None]:
    """Median and the order statistics that hold it with at least ``level``; no ends where too few values can.

    The ends are the j-th smallest and largest, j the largest with P(Binomial(n, ½) < j) ≤ (1 − level) ÷ 2: at 80 %,
    four values are needed. Raises ``ValueError`` on no values.
    """
    x = np.sort(np.asarray(values, dtype=float))
    if x.size == 0:
        msg = "there is no median of nothing"
        raise ValueError(msg)
    tail = (1 - level) / 2
    place = int(stats.binom.ppf(tail, x.size, 0.5))
    if stats.binom.cdf(place, x.size, 0.5) > tail + 1e-12:
        place -= 1
    middle = float(np.median(x))
    return (middle, None, None) if place < 0 else (middle, float(x[place]), float(x[-1 - place]))


def concentration(amounts: ArrayLike, top: int = 5) -> tuple[float, float] | None:
    """(share of the ``top`` largest, HHI = Σ share²) of positive amounts; None without any.

    HHI 1 ÷ n is an even book.
    """
    x = np.asarray(amounts, dtype=float)
    x = np.sort(x[x > 0])[::-1]
    if x.size == 0:
        return None
    share = x / x.sum()
    return float(share[:top].sum()), float((share**2).sum())
