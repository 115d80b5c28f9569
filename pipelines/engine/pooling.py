"""Partial pooling: what each forecaster's own record and the record of peers say together.

    y | θ ~ N(θ, V),   θ ~ N(Xβ, τ²I),   β flat,   τ ~ HalfNormal(scale),   V = diag(v) + s·ZZ'

The exact posterior by a grid over τ: given τ everything is normal, so nothing is sampled and nothing plugged in
(Röver 2020; plug-in estimates of τ hit 0 with few forecasters and then call everybody identical). Z has one column per
period, so that the K × K matrix is never formed: Woodbury's identity needs only its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

NEGLIGIBLE_LOG_WEIGHT = -25.0
BLOCK = 1 << 22


@dataclass(frozen=True)
class Evidence:
    """``y`` (K) observed ln(landing rate), ``variance`` (K) its chance variance, ``loading`` (K × periods) shares of
    the periods in each record, ``shock`` variance of the shared shock (0 for none), ``design`` (K × p; a column of
    ones)."""

    y: Floats
    variance: Floats
    loading: Floats
    shock: float
    design: Floats

    @classmethod
    def with_intercept(cls, y: Floats, variance: Floats, loading: Floats, shock: float) -> Evidence:
        return cls(y=y, variance=variance, loading=loading, shock=shock, design=np.ones((len(y), 1)))


@dataclass(frozen=True)
class SpreadPosterior:
    """Posterior of τ on a grid: ``tau`` (G, increasing), ``weight`` (G, sums to 1)."""

    tau: Floats
    weight: Floats

    def quantile(self, probability: float) -> float:
        """The τ below which ``probability`` of the posterior lies, linear between grid points.

        Each point's weight is spread evenly over its own cell, so the cumulative weight is half its own at the point.
        """
        below = np.cumsum(self.weight) - self.weight / 2.0
        return float(np.interp(probability, below, self.tau))

    @property
    def mean(self) -> float:
        return float(self.weight @ self.tau)


@dataclass(frozen=True)
class Pooled:
    """Posterior of θ as a mixture of normals over τ: ``mean``, ``sd`` (K × G) and ``weight`` (G).

    ``own_weight`` (K): the share of the posterior mean that comes from the forecaster's own record (the diagonal of the
    matrix that maps y to the posterior mean, averaged over τ); the rest comes from peers; 1 when there are none.
    ``beta_mean`` (G × p), ``beta_covariance`` (G × p × p): the common part given τ.
    """

    spread: SpreadPosterior
    mean: Floats
    sd: Floats
    weight: Floats
    own_weight: Floats
    beta_mean: Floats
    beta_covariance: Floats

    def probability_below(self, x: Floats | float) -> Floats:
        """P(θ ≤ x) for each forecaster (K); ``x`` one number or one per forecaster."""
        return mixture_cdf(self.mean, self.sd, self.weight, x)

    def quantile(self, probability: float) -> Floats:
        """The θ (K) below which ``probability`` of each posterior lies."""
        return mixture_quantile(self.mean, self.sd, self.weight, probability)

    def newcomer(self, design_row: Floats | None = None) -> tuple[Floats, Floats]:
        """Mixture (mean, sd; each 1 × G) of θ for somebody without a record: N(x'β, τ²) with β's uncertainty."""
        x = np.ones(self.beta_mean.shape[1]) if design_row is None else design_row
        mean = self.beta_mean @ x
        variance = np.einsum("i,gij,j->g", x, self.beta_covariance, x) + self.spread.tau**2
        return mean[None, :], np.sqrt(variance)[None, :]


def mixture_cdf(mean: Floats, sd: Floats, weight: Floats, x: Floats | float) -> Floats:
    """P(θ ≤ x) (K) of normal mixtures with components ``mean``, ``sd`` (K × G) and ``weight`` (G)."""
    at = np.broadcast_to(np.asarray(x, dtype=np.float64), (mean.shape[0],))
    result = np.empty(mean.shape[0])
    rows = max(1, BLOCK // max(1, mean.shape[1]))
    for start in range(0, mean.shape[0], rows):
        part = slice(start, start + rows)
        result[part] = special.ndtr((at[part, None] - mean[part]) / sd[part]) @ weight
    return result


def mixture_quantile(mean: Floats, sd: Floats, weight: Floats, probability: float) -> Floats:
    """The x (K) with P(θ ≤ x) = ``probability``: Newton's step inside a bisection bracket, to 1e-11 of the spread.

    The bracket is the smallest and the largest quantile of a single component, between which the mixture's must lie.
    """
    z = float(special.ndtri(probability))
    single = mean + z * sd
    low, high = single.min(axis=1), single.max(axis=1)
    x = single @ weight
    tolerance = 1e-11 * np.maximum(sd.max(axis=1), 1e-300)
    active = np.arange(len(x))
    for _ in range(200):
        m, s = mean[active], sd[active]
        standard = (x[active, None] - m) / s
        gap = special.ndtr(standard) @ weight - probability
        density = (np.exp(-0.5 * standard**2) / s) @ weight / np.sqrt(2.0 * np.pi)
        high[active] = np.where(gap > 0.0, x[active], high[active])
        low[active] = np.where(gap > 0.0, low[active], x[active])
        newton = x[active] - np.divide(gap, density, out=np.full(len(gap), np.inf), where=density > 1e-200)
        inside = (newton >= low[active]) & (newton <= high[active])
        proposal = np.where(inside, newton, (low[active] + high[active]) / 2.0)
        moved = np.abs(proposal - x[active])
        x[active] = proposal
        active = active[(moved > tolerance[active]) & (gap != 0.0)]
        if len(active) == 0:
            break
    return x


@dataclass(frozen=True)
class _Conditional:
    """Given each τ of a grid (G): parts of the generalised least squares fit, through Woodbury."""

    log_likelihood: Floats
    beta_mean: Floats
    beta_covariance: Floats
    core_root: Floats


def _crossproducts(columns: Floats, precision: Floats) -> Floats:
    """columns' · diag(precision_g) · columns for every grid point: (K × q), (G × K) → (G × q × q), in bounded
    memory."""
    size, q = columns.shape
    # The products are symmetric: one triangle is summed.
    left, right = np.triu_indices(q)
    total = np.zeros((precision.shape[0], len(left)))
    rows = max(1, BLOCK // (q * q))
    for start in range(0, size, rows):
        part = columns[start : start + rows]
        total += precision[:, start : start + rows] @ (part[:, left] * part[:, right])
    full = np.empty((precision.shape[0], q, q))
    full[:, left, right] = full[:, right, left] = total
    return full


def _condition(evidence: Evidence, tau: Floats) -> _Conditional:
    """The restricted likelihood and the generalised least squares fit at each ``tau`` (G).

    Σ = D⁻¹ + UU' with D = diag(1/(v + τ²)), U = √s·Z;  Σ⁻¹ = D − DU(I + U'DU)⁻¹U'D;  |Σ| = |I + U'DU| / |D|.
    """
    p = evidence.design.shape[1]
    # Centred on its mean so that the squared residuals do not lose digits when all lean together.
    centre = float(evidence.y.mean()) if p else 0.0
    used = evidence.loading.any(axis=0)
    U = np.sqrt(evidence.shock) * evidence.loading[:, used] if evidence.shock > 0.0 else np.zeros((len(evidence.y), 0))
    B = np.column_stack([evidence.design, evidence.y - centre, U])
    total = evidence.variance[None, :] + tau[:, None] ** 2
    C = _crossproducts(B, 1.0 / total)
    core = np.eye(U.shape[1]) + C[:, p + 1 :, p + 1 :]
    root = np.linalg.cholesky(core)
    side = np.linalg.solve(root, C[:, p + 1 :, : p + 1])
    S = C[:, : p + 1, : p + 1] - np.swapaxes(side, 1, 2) @ side
    A, b = S[:, :p, :p], S[:, :p, p]
    covariance = np.linalg.inv(A)
    beta = np.einsum("gij,gj->gi", covariance, b)
    square = np.maximum(S[:, p, p] - np.einsum("gi,gi->g", beta, b), 0.0)
    log_det = np.log(total).sum(axis=1) + 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    log_likelihood = np.asarray(-0.5 * (log_det + np.linalg.slogdet(A)[1] + square), dtype=np.float64)
    shift, *_ = np.linalg.lstsq(evidence.design, np.full(len(evidence.y), centre), rcond=None)
    return _Conditional(log_likelihood, beta + shift, covariance, np.asarray(root, dtype=np.float64))


def restricted_log_likelihood(evidence: Evidence, tau: Floats) -> Floats:
    """Log of the likelihood of each ``tau`` (G) with β integrated out, up to a constant (Patterson–Thompson 1971)."""
    return _condition(evidence, tau).log_likelihood


def spread_posterior(evidence: Evidence, *, prior_scale: float, points: int) -> SpreadPosterior:
    """Posterior of τ, the spread of θ between forecasters beyond chance, on ``points`` grid points.

    The grid is quadratic from 0 to max(1.5, 5·sd y). Where it is too coarse for the data (thousands of forecasters
    pin τ to a few thousandths) it is laid again, evenly, over the part that carries weight.
    """
    widest = max(1.5, 5.0 * float(np.std(evidence.y, ddof=1)) if len(evidence.y) > 1 else 0.0)
    tau = widest * np.linspace(0.0, 1.0, points) ** 2
    for _ in range(4):
        log_density = restricted_log_likelihood(evidence, tau) - 0.5 * (tau / prior_scale) ** 2
        weighty = np.flatnonzero(log_density > log_density.max() + NEGLIGIBLE_LOG_WEIGHT)
        if len(weighty) > points // 4:
            break
        tau = np.linspace(tau[max(weighty[0] - 1, 0)], tau[min(weighty[-1] + 1, points - 1)], points)
    cell = np.gradient(tau)
    cell[[0, -1]] /= 2.0
    weight = cell * np.exp(log_density - log_density.max())
    return SpreadPosterior(tau=tau, weight=weight / weight.sum())


def pool(evidence: Evidence, *, prior_scale: float, points: int) -> Pooled:
    """The exact posterior of every forecaster's θ (K ≥ 1, at least as many forecasters as columns of the design).

    Given τ, with q = Σ⁻¹X and B = (X'Σ⁻¹X)⁻¹:

        E θ   = Xβ̂ + τ²Σ⁻¹(y − Xβ̂)
        Var θ = τ²I − τ⁴Σ⁻¹ + (X − τ²q) B (X − τ²q)'
    """
    return pool_given(evidence, spread_posterior(evidence, prior_scale=prior_scale, points=points))


def pool_given(evidence: Evidence, spread: SpreadPosterior) -> Pooled:
    """As ``pool``, for a posterior of τ that is already known; one point of weight 1 gives the BLUPs at that τ."""
    keep = spread.weight > spread.weight.max() * 1e-11
    tau, weight = spread.tau[keep], spread.weight[keep] / spread.weight[keep].sum()
    given = _condition(evidence, tau)
    X, y = evidence.design, evidence.y
    used = evidence.loading.any(axis=0)
    U = np.sqrt(evidence.shock) * evidence.loading[:, used] if evidence.shock > 0.0 else np.zeros((len(y), 0))
    mean, sd = np.empty((len(y), len(tau))), np.empty((len(y), len(tau)))
    own = np.zeros(len(y))
    for g, t in enumerate(tau):
        precision = 1.0 / (evidence.variance + t**2)
        DU = precision[:, None] * U
        half = np.linalg.solve(given.core_root[g], DU.T).T
        inverse_diagonal = precision - (half**2).sum(axis=1)

        def solve(M: Floats, *, D: Floats = precision, H: Floats = half, root: Floats = given.core_root[g]) -> Floats:
            inner = np.linalg.solve(root, U.T @ (D[:, None] * M))
            return np.asarray(D[:, None] * M - H @ inner, dtype=np.float64)

        q = solve(X)
        fitted = X @ given.beta_mean[g]
        mean[:, g] = fitted + t**2 * solve((y - fitted)[:, None])[:, 0]
        lever = X - t**2 * q
        from_beta = np.einsum("ki,ij,kj->k", lever, given.beta_covariance[g], lever)
        sd[:, g] = np.sqrt(np.maximum(t**2 - t**4 * inverse_diagonal, 0.0) + from_beta)
        own += weight[g] * (t**2 * inverse_diagonal + np.einsum("ki,ij,kj->k", lever, given.beta_covariance[g], q))
    return Pooled(
        spread=SpreadPosterior(tau=tau, weight=weight),
        mean=mean,
        sd=sd,
        weight=weight,
        own_weight=np.clip(own, 0.0, 1.0),
        beta_mean=given.beta_mean,
        beta_covariance=given.beta_covariance,
    )
