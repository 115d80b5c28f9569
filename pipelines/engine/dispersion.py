"""How much a rate moves from period to period beyond chance: the numbers under the words stable, drifting, jumpy.

Pure arithmetic on arrays in time order: ``won`` k successes of ``trials`` n per period. Sources: McCullagh and Nelder
(1989) for quasi-likelihood; Laney (2002) for p′; Griffiths (1973) for the beta-binomial.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from pipelines.later import Later

sm = Later("statsmodels.api")
exceptions = Later("statsmodels.tools.sm_exceptions")

Floats = NDArray[np.float64]

SPREAD_PRIOR_SCALE = 0.2
"""HalfNormal scale of √ρ, the rate's own spread over √(p(1−p)): a fifth of the most there can be is already wild for a
business rate. The maximum-likelihood ρ alone, often exactly 0 at 6 to 8 periods, gave 80 % bands that held 68 %."""

SMALLEST_RHO = 1e-6

LEVEL_POINTS = 25
SPREAD_POINTS = 20
"""Within one deal of a grid six times as fine, for 30 to 1,000 deals a quarter and 6 to 12 quarters."""


@dataclass(frozen=True)
class Dispersion:
    """Pearson X² of equal rates, φ = X²/df, and the chance of as much if the rate were constant."""

    rate: float
    x2: float
    df: int
    phi: float
    p_value: float


@dataclass(frozen=True)
class Drift:
    """Log-scale slope per period. ``quasi_phi`` left over beyond the line; ``se`` model-based, ``quasi_se`` × √φ.

    ``p_value`` and intervals use √max(1, φ) and t on periods − 2: a φ below 1 is luck in a handful of periods, and
    taking credit for it calls straight lines drifts.
    """

    intercept: float
    slope: float
    se: float
    quasi_phi: float
    quasi_se: float
    df: int
    covariance: Floats

    @property
    def cautious_se(self) -> float:
        return self.se * float(np.sqrt(max(1.0, self.quasi_phi)))

    @property
    def p_value(self) -> float:
        return 2 * float(stats.t.sf(abs(self.slope) / self.cautious_se, self.df))

    def interval(self, level: float) -> tuple[float, float]:
        """Interval of the slope per period."""
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.cautious_se
        return self.slope - half, self.slope + half

    @property
    def left_over_p_value(self) -> float:
        """Chance of as much spread about the line if nothing but the line moved."""
        return float(stats.chi2.sf(self.quasi_phi * self.df, self.df))


def pearson_dispersion(won: ArrayLike, trials: ArrayLike) -> Dispersion | None:
    """Heterogeneity of the rates of two or more periods; None if none, or all, of the trials were won."""
    k, n = np.asarray(won, dtype=float), np.asarray(trials, dtype=float)
    if k.size < 2 or k.sum() <= 0 or k.sum() >= n.sum():
        return None
    rate = float(k.sum() / n.sum())
    x2 = float(((k - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
    df = k.size - 1
    return Dispersion(rate, x2, df, x2 / df, float(stats.chi2.sf(x2, df)))


def binomial_drift(won: ArrayLike, trials: ArrayLike, times: ArrayLike) -> Drift | None:
    """Quasi-binomial line of the log odds on time (in periods); None where no line can be fitted.

    Fitted on proportions with ``var_weights`` = trials, and φ formed here: statsmodels' (won, lost) form with
    ``scale="X2"`` returns a scale a hundred times too small without a word.
    """
    k, n, t = (np.asarray(values, dtype=float) for values in (won, trials, times))
    is_mixed = (k > 0) & (k < n)
    # With fewer than two periods of some but not all, a line can be infinitely steep.
    if k.size < 3 or np.ptp(t) == 0 or is_mixed.sum() < 2:
        return None
    fit = _fitted(sm.GLM(k / n, sm.add_constant(t), family=sm.families.Binomial(), var_weights=n))
    fitted = np.asarray(fit.fittedvalues, dtype=float)
    x2 = float(((k - n * fitted) ** 2 / (n * fitted * (1 - fitted))).sum())
    return _drift(fit, x2, k.size - 2)


def money_drift(landed: ArrayLike, pipeline: ArrayLike, times: ArrayLike) -> Drift | None:
    """Quasi-Poisson line of ln(landed ÷ pipeline) on time: a period in which nothing landed needs no special case.

    None where no line can be fitted: where only one period landed anything it can be infinitely steep.
    """
    y, x, t = (np.asarray(values, dtype=float) for values in (landed, pipeline, times))
    if y.size < 3 or np.ptp(t) == 0 or (y > 0).sum() < 2 or (y < 0).any() or (x <= 0).any():
        return None
    unit = float(y.mean())
    fit = _fitted(sm.GLM(y / unit, sm.add_constant(t), family=sm.families.Poisson(), offset=np.log(x / unit)))
    fitted = np.asarray(fit.fittedvalues, dtype=float)
    spread = float((((y / unit) - fitted) ** 2 / fitted).sum())
    df = y.size - 2
    # A money Poisson has no natural unit, so φ carries the whole scale: it multiplies, and 1 has no meaning.
    scaled = float(np.sqrt(spread / df))
    covariance = np.asarray(fit.cov_params(), dtype=float) * spread / df
    se = float(fit.bse[1]) * scaled
    if se <= 0:
        return None
    return Drift(float(fit.params[0]), float(fit.params[1]), se, 1.0, se, df, covariance)


def mean_drift(means: ArrayLike, counts: ArrayLike, times: ArrayLike, within_variance: float) -> Drift | None:
    """Weighted line of period means on time; φ is the spread about it over what the counts explain."""
    m, n, t = (np.asarray(values, dtype=float) for values in (means, counts, times))
    if m.size < 3 or np.ptp(t) == 0 or within_variance <= 0:
        return None
    fit = sm.WLS(m, sm.add_constant(t), weights=n / within_variance).fit(cov_type="fixed scale")
    x2 = float((n / within_variance * (m - np.asarray(fit.fittedvalues)) ** 2).sum())
    return _drift(fit, x2, m.size - 2)


def _fitted(model: Any) -> Any:
    """The fit at scale 1. statsmodels takes rates that lie exactly on the line for separation, which they are not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.PerfectSeparationWarning)
        return model.fit(scale=1.0)


def _drift(fit: Any, x2: float, df: int) -> Drift:
    phi, se = x2 / df, float(fit.bse[1])
    covariance = np.asarray(fit.cov_params(), dtype=float)
    return Drift(float(fit.params[0]), float(fit.params[1]), se, phi, se * float(np.sqrt(phi)), df, covariance)


def betabinomial_loglik(won: Floats, trials: Floats, mu: float | Floats, rho: float | Floats) -> Floats:
    """Log likelihood per period, binomial coefficient included; ρ = 1/(1+a+b), 0 the plain binomial."""
    rho = np.maximum(rho, SMALLEST_RHO)
    a, b = mu * (1 - rho) / rho, (1 - mu) * (1 - rho) / rho
    return np.asarray(
        -np.log1p(trials)
        - special.betaln(trials - won + 1, won + 1)
        + special.betaln(won + a, trials - won + b)
        - special.betaln(a, b),
        dtype=float,
    )


def betabinomial_fit(won: ArrayLike, trials: ArrayLike) -> tuple[float, float, float] | None:
    """Maximum likelihood (μ, ρ, log likelihood); ρ = 0 where the plain binomial does as well.

    None where ``pearson_dispersion`` is.
    """
    k, n = np.asarray(won, dtype=float), np.asarray(trials, dtype=float)
    if k.size < 2 or k.sum() <= 0 or k.sum() >= n.sum():
        return None
    rate = float(k.sum() / n.sum())

    def loss(theta: Floats) -> float:
        return -float(betabinomial_loglik(k, n, special.expit(theta[0]), special.expit(theta[1])).sum())

    starts = [np.array([special.logit(rate), special.logit(start)]) for start in (0.005, 0.1, 0.5)]
    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
    fits = [optimize.minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun))
    plain = float(stats.binom.logpmf(k, n, rate).sum())
    if -float(best.fun) <= plain + 1e-9:
        return rate, 0.0, plain
    return float(special.expit(best.x[0])), float(special.expit(best.x[1])), -float(best.fun)


def next_period_band(won: ArrayLike, trials: ArrayLike, next_trials: int, level: float) -> tuple[float, float] | None:
    """Range of next period's rate for its number of trials, if the rate only jumps about its mean.

    Beta-binomial predictive, averaged over a grid of (μ, ρ) by their likelihood and a HalfNormal on √ρ, flat in logit
    μ: what is not known about the spread widens the band. Ends are attainable rates, so a little more than ``level`` is
    covered, as whole deals must.
    """
    k, n = np.asarray(won, dtype=float), np.asarray(trials, dtype=float)
    if k.size < 2 or n.sum() <= 0 or next_trials < 1:
        return None
    rate = float((k.sum() + 0.5) / (n.sum() + 1))
    found = pearson_dispersion(k, n)
    excess = 0.0 if found is None else max(0.0, found.phi - 1) / max(1.0, float(n.mean()) - 1)
    # Wide enough for ten standard errors were the rates alike, six if they vary as they seem to.
    reach = 6 * float(np.sqrt((3 / n.sum() + excess / k.size) / (rate * (1 - rate))))
    mu = special.expit(special.logit(rate) + np.linspace(-reach, reach, LEVEL_POINTS))[:, None]
    root = 0.7 * np.linspace(0.04, 1, SPREAD_POINTS) ** 2
    rho = (root**2)[None, :]
    log_weight = (np.log(np.gradient(root)) - 0.5 * (root / SPREAD_PRIOR_SCALE) ** 2)[None, :] + np.zeros_like(mu)
    for successes, count in zip(k, n, strict=True):
        log_weight = log_weight + betabinomial_loglik(np.asarray(successes), np.asarray(count), mu, rho)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    keep = weight > 1e-7
    mu_kept, rho_kept = (np.broadcast_to(values, weight.shape)[keep] for values in (mu, rho))
    outcomes = np.arange(next_trials + 1, dtype=float)[:, None]
    chance = np.exp(betabinomial_loglik(outcomes, np.asarray(float(next_trials)), mu_kept, rho_kept)) @ weight[keep]
    cumulative = np.cumsum(chance) / chance.sum()
    tail = (1 - level) / 2
    lower, upper = np.searchsorted(cumulative, [tail, 1 - tail])
    return float(lower) / next_trials, float(upper) / next_trials


def drifted_band(drift: Drift, next_time: float, next_trials: int, level: float) -> tuple[float, float]:
    """The same where the rate drifts: the line carried one period on, with its own doubt and the deals' chance."""
    x = np.array([1.0, next_time])
    phi = max(1.0, drift.quasi_phi)
    centre = float(special.expit(drift.intercept + drift.slope * next_time))
    binomial = centre * (1 - centre)
    doubt = float(x @ drift.covariance @ x) * phi * binomial**2
    half = float(stats.t.ppf(0.5 + level / 2, drift.df)) * float(np.sqrt(doubt + phi * binomial / next_trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def laney_limits(won: ArrayLike, trials: ArrayLike) -> tuple[float, Floats, Floats] | None:
    """Laney's (2002) p′ chart: (σ_z, lower, upper) per period; limits p̄ ± 3σ_z√(p̄(1−p̄)/n), within 0 to 1."""
    found = pearson_dispersion(won, trials)
    if found is None:
        return None
    k, n = np.asarray(won, dtype=float), np.asarray(trials, dtype=float)
    sd = np.sqrt(found.rate * (1 - found.rate) / n)
    sigma_z = float(np.abs(np.diff((k / n - found.rate) / sd)).mean() / 1.128)
    return sigma_z, np.maximum(0, found.rate - 3 * sigma_z * sd), np.minimum(1, found.rate + 3 * sigma_z * sd)
