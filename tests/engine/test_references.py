"""Reference numbers that no other test reads: published data, R packages, and the libraries the engine leans on.

R 4.2.2: ``lme4`` 1.1-31 (``lmer``, REML), ``stats::p.adjust``, ``metafor`` 3.8-1 (``rma``), ``ebci::cva``; closed forms
for the rest. Data of GPL packages stay in the shared folder.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from statsmodels.stats.multitest import multipletests
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from pipelines.engine.pooling import Evidence, SpreadPosterior, pool_given, restricted_log_likelihood


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "vectors" / "expected.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def vectors(shared: Path) -> Path:
    return shared / "vectors"


def evidence_of(y: Any, variance: Any) -> Evidence:
    y, variance = np.asarray(y, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    return Evidence(y, variance, np.zeros((len(y), 1)), 0.0, np.ones((len(y), 1)))


def at_spread(evidence: Evidence, tau2: float) -> Any:
    return pool_given(evidence, SpreadPosterior(np.sqrt([tau2]), np.ones(1)))


def group_codes(frame: pl.DataFrame, *names: str) -> Any:
    return frame.select(pl.struct(names).rank("dense")).to_series().to_numpy()


# Many tests at once


def test_bh1995_rejects_four(reference: dict[str, Any]) -> None:
    """The fifteen p-values of Benjamini and Hochberg (1995): four discoveries at .05, where Bonferroni makes three."""
    block = reference["BH1995"]
    rejected, adjusted, _, _ = multipletests(block["p"], alpha=0.05, method="fdr_bh")
    np.testing.assert_allclose(adjusted, block["BH"], atol=1e-10)
    assert rejected.sum() == block["n_reject_q05"] == 4
    assert multipletests(block["p"], alpha=0.05, method="bonferroni")[0].sum() == 3


# Mixed models


def test_sleepstudy_random_intercept(reference: dict[str, Any], vectors: Path) -> None:
    """lmer(Reaction ~ Days + (1 | Subject)): MixedLM, and the engine's own pooling of the subjects' means."""
    block = reference["sleepstudy"]["ri"]
    data = pl.read_csv(vectors / "sleepstudy.csv")
    days, reaction = data["Days"].to_numpy().astype(float), data["Reaction"].to_numpy()
    fit = MixedLM(reaction, sm.add_constant(days), groups=data["Subject"].to_numpy()).fit(reml=True)
    assert float(np.asarray(fit.cov_re)[0, 0]) == pytest.approx(block["var_subject"], rel=1e-4)
    assert fit.scale == pytest.approx(block["var_resid"], rel=1e-6)
    np.testing.assert_allclose(fit.fe_params, block["fixef"], atol=1e-7)
    assert -2.0 * fit.llf == pytest.approx(block["remlcrit"], abs=1e-6)
    first = [float(np.asarray(fit.random_effects[subject])[0]) for subject in (308, 309, 310)]
    np.testing.assert_allclose(first, block["blup_308_309_310"], rtol=1e-5)

    # Everybody has the same ten days, so the subjects' means hold all there is about the intercepts.
    subjects = data.group_by("Subject").agg(pl.col("Reaction").mean(), pl.len()).sort("Subject")
    evidence = evidence_of(subjects["Reaction"], block["var_resid"] / subjects["len"].to_numpy())
    pooled = at_spread(evidence, block["var_subject"])
    middle = block["fixef"][0] + block["fixef"][1] * days.mean()
    np.testing.assert_allclose(pooled.mean[:3, 0] - middle, block["blup_308_309_310"], atol=1e-6)
    # lme4 takes the mean as known in this standard error; the engine adds what it does not know of it.
    known_mean = np.sqrt(pooled.sd[:, 0] ** 2 - (1.0 - _shrinkage(block)) ** 2 * pooled.beta_covariance[0, 0, 0])
    np.testing.assert_allclose(known_mean, block["blup_se"], atol=1e-6)
    best = optimize.minimize_scalar(
        lambda tau: -float(restricted_log_likelihood(evidence, np.array([tau]))[0]),
        bounds=(1.0, 200.0),
        method="bounded",
    )
    assert float(best.x) ** 2 == pytest.approx(block["var_subject"], rel=1e-5)


def _shrinkage(block: dict[str, Any]) -> float:
    between: float = block["var_subject"]
    within: float = block["var_resid"] / 10.0
    return between / (between + within)


def test_sleepstudy_random_slope(reference: dict[str, Any], vectors: Path) -> None:
    """lmer(Reaction ~ Days + (Days | Subject))."""
    block = reference["sleepstudy"]["rs"]
    data = pl.read_csv(vectors / "sleepstudy.csv")
    design = sm.add_constant(data["Days"].to_numpy().astype(float))
    groups = data["Subject"].to_numpy()
    fit = MixedLM(data["Reaction"].to_numpy(), design, groups=groups, exog_re=design).fit(reml=True)
    covariance = np.asarray(fit.cov_re)
    assert -2.0 * fit.llf == pytest.approx(block["remlcrit"], abs=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), block["sd"], rtol=1e-3)
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(block["corr"], abs=2e-3)
    assert np.sqrt(fit.scale) == pytest.approx(block["sigma"], rel=1e-4)


def test_dyestuff(reference: dict[str, Any], vectors: Path) -> None:
    """lmer(Yield ~ 1 + (1 | Batch), Dyestuff): the criterion and standard errors, beside what test_bias_pooling has."""
    block = reference["dyestuff"]
    data = pl.read_csv(vectors / "dyestuff.csv")
    groups = group_codes(data, "Batch")
    fit = MixedLM(data["Yield"].to_numpy().astype(float), np.ones(len(data)), groups=groups).fit(reml=True)
    assert -2.0 * fit.llf == pytest.approx(block["remlcrit"], abs=1e-4)
    assert fit.scale == pytest.approx(block["var_resid"], rel=1e-3)
    assert float(fit.fe_params[0]) == pytest.approx(block["mu"], abs=1e-8)
    assert float(fit.bse_fe[0]) == pytest.approx(block["se"], rel=1e-3)
    within = block["var_resid"] / 5.0
    means = data.group_by("Batch").agg(pl.col("Yield").mean()).sort("Batch")["Yield"]
    pooled = at_spread(evidence_of(means, np.full(6, within)), block["var_batch"])
    assert float(np.sqrt(pooled.beta_covariance[0, 0, 0])) == pytest.approx(block["se"], abs=1e-6)
    blend = block["var_batch"] / (block["var_batch"] + within)
    assert np.sqrt(blend * within) == pytest.approx(block["cond_se"], abs=1e-5)


def test_dyestuff2_is_the_boundary(reference: dict[str, Any], vectors: Path) -> None:
    """No variance between batches: MixedLM gets there, and warns on the way; a quiet answer would be a new library."""
    block = reference["dyestuff2_boundary"]
    data = pl.read_csv(vectors / "dyestuff2.csv")
    model = MixedLM(data["Yield"].to_numpy(), np.ones(len(data)), groups=group_codes(data, "Batch"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = model.fit(reml=True)
    assert any(issubclass(one.category, ConvergenceWarning) for one in caught)
    assert float(np.asarray(fit.cov_re)[0, 0]) == pytest.approx(block["var_batch"], abs=1e-3)
    assert fit.scale == pytest.approx(block["var_resid"], rel=1e-3)
    assert float(fit.fe_params[0]) == pytest.approx(block["mu"], abs=1e-8)
    assert -2.0 * fit.llf == pytest.approx(block["remlcrit"], abs=1e-3)


def test_pastes_casks_within_batches(reference: dict[str, Any], vectors: Path) -> None:
    """lmer(strength ~ 1 + (1 | batch/cask), Pastes): two levels of variance."""
    block = reference["pastes_nested"]
    data = pl.read_csv(vectors / "pastes.csv")
    batch = group_codes(data, "batch")
    casks = np.stack([group_codes(data, "batch", "cask") == cask for cask in range(1, 31)], axis=1).astype(float)
    assert (casks.sum(axis=0) == 2).all()
    parts: dict[int, Any] = {}
    for one in np.unique(batch):
        inside = casks[batch == one]
        parts[int(one)] = inside[:, inside.any(axis=0)]
    named = {one: [f"cask{place}" for place in range(part.shape[1])] for one, part in parts.items()}
    spec = VCSpec(["cask"], [[named[one] for one in parts]], [[parts[one] for one in parts]])
    model = MixedLM(
        data["strength"].to_numpy(), np.ones(len(data)), groups=batch, exog_re=np.ones(len(data)), exog_vc=spec
    )
    fit = model.fit(reml=True)
    assert float(fit.vcomp[0]) == pytest.approx(block["var_cask_in_batch"], rel=1e-3)
    assert float(np.asarray(fit.cov_re)[0, 0]) == pytest.approx(block["var_batch"], rel=2e-3)
    assert fit.scale == pytest.approx(block["var_resid"], rel=1e-3)
    assert float(fit.fe_params[0]) == pytest.approx(block["mu"], abs=1e-7)
    assert -2.0 * fit.llf == pytest.approx(block["remlcrit"], abs=1e-5)


# Pooling, against two R packages


def test_knapp_hartung_and_q_profile_of_bcg(reference: dict[str, Any], vectors: Path) -> None:
    """rma(yi, vi) of the thirteen BCG trials: μ and its se at three τ², Knapp–Hartung's t, the Q-profile interval."""
    block = reference["bcg_tau2"]
    data = pl.read_csv(vectors / "bcg_yi_vi.csv")
    y, v = data["yi"].to_numpy(), data["vi"].to_numpy()
    for name in ("REML", "PM", "DL"):
        pooled = at_spread(evidence_of(y, v), block[name])
        assert float(pooled.beta_mean[0, 0]) == pytest.approx(block[f"mu_{name}"], abs=2e-7)
        assert float(np.sqrt(pooled.beta_covariance[0, 0, 0])) == pytest.approx(block[f"se_{name}"], abs=2e-7)
    weight = 1.0 / (v + block["REML"])
    spread = float((weight * (y - block["mu_REML"]) ** 2).sum()) / (len(y) - 1)
    se = float(np.sqrt(spread / weight.sum()))
    assert se == pytest.approx(block["knha_se"], abs=1e-8)
    reach = stats.t.ppf(0.975, len(y) - 1) * se
    np.testing.assert_allclose([block["mu_REML"] - reach, block["mu_REML"] + reach], block["knha_ci95"], atol=1e-7)

    def q(tau2: float) -> float:
        w = 1.0 / (v + tau2)
        return float((w * (y - (w @ y) / w.sum()) ** 2).sum())

    assert q(0.0) == pytest.approx(block["Q"], abs=1e-5)
    ends = [
        optimize.brentq(lambda tau2, at=at: q(tau2) - stats.chi2.ppf(at, len(y) - 1), 1e-6, 20.0)
        for at in (0.975, 0.025)
    ]
    np.testing.assert_allclose(ends, block["Qprofile_tau2_ci95"], atol=6e-5)
    assert float(np.var(y, ddof=1) - v.mean()) == pytest.approx(block["HE"], abs=1e-7)


def test_robust_critical_values(reference: dict[str, Any]) -> None:
    """ebci's cva(m2, kappa = Inf, alpha): Armstrong, Kolesár and Plagborg-Møller (2022), by root finding.

    The chance P(|Z − √t| > χ) is worst, among biases of mean square m2, for a bias that is 0 or √t: the line from 0
    that touches the curve.
    """
    block = reference["ebci_cva_kInf"]

    def worst(chi: float, m2: float) -> float:
        def chance(t: Any) -> Any:
            return stats.norm.cdf(np.sqrt(t) - chi) + stats.norm.cdf(-np.sqrt(t) - chi)

        def minus(log_t: float) -> float:
            t = np.exp(log_t)
            return -float(chance(0.0) + m2 / t * (chance(t) - chance(0.0)))

        low, high = np.log(m2), np.log(m2 + (chi + 12.0) ** 2)
        grid = np.linspace(low, high, 200)
        at = int(np.argmin([minus(place) for place in grid]))
        inner = optimize.minimize_scalar(
            minus, bounds=(grid[max(at - 1, 0)], grid[min(at + 1, 199)]), method="bounded", options={"xatol": 1e-12}
        )
        return max(-float(inner.fun), -minus(low))

    for alpha, row in zip(block["alpha"], block["cv"], strict=True):
        for m2, expected in zip(block["m2"], row, strict=True):
            found = optimize.brentq(lambda chi, m=m2, a=alpha: worst(chi, m) - a, 0.5, 20.0, xtol=1e-10)
            assert found == pytest.approx(expected, abs=block["tol"])


def test_mincer_zarnowitz_in_logs_clustered_by_quarter(reference: dict[str, Any], vectors: Path) -> None:
    """lm(log(actual) ~ log(call)) with sandwich::vcovCL(~quarter, HC1): the road the engine says why it left."""
    block = reference["rep_quarter_12x8"]["mz_cluster"]
    data = pl.read_csv(vectors / "rep_quarter_12x8.csv").filter(pl.col("actual") > 0)
    quarter = group_codes(data, "quarter")
    x = sm.add_constant(np.log(data["call"].to_numpy().astype(float)))
    model = sm.OLS(np.log(data["actual"].to_numpy().astype(float)), x)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": quarter}, use_t=True)
    np.testing.assert_allclose(fit.params, block["coef"], atol=1e-8)
    np.testing.assert_allclose(fit.bse, block["se_hc1_quarter"], atol=1e-8)
    test = fit.f_test((np.eye(2), [0.0, 1.0]))
    assert float(test.fvalue) == pytest.approx(block["waldF"], abs=1e-5)
    assert float(test.pvalue) == pytest.approx(block["p"], abs=1e-7)


# What the engine decided against, kept so that the decision can be taken again


def test_reconciled_forecasts(reference: dict[str, Any]) -> None:
    """MinT (Wickramasuriya et al. 2019): S(S'W⁻¹S)⁻¹S'W⁻¹ŷ. The engine adds draws instead, coherent without it."""
    block = reference["mint"]
    S, y = np.array(block["S"], dtype=float), np.array(block["y"], dtype=float)

    def reconciled(W: Any) -> Any:
        inverse = np.linalg.inv(W)
        return S @ np.linalg.solve(S.T @ inverse @ S, S.T @ inverse @ y)

    residuals = np.array(block["residuals"], dtype=float)
    np.testing.assert_allclose(reconciled(np.diag([64.0, 25.0, 16.0, 9.0])), block["W_diag_64_25_16_9"], atol=1e-8)
    np.testing.assert_allclose(reconciled(np.cov(residuals)), block["mint_cov"], atol=1e-7)
    np.testing.assert_allclose(reconciled(np.eye(4)), block["ols"], atol=1e-8)
    np.testing.assert_allclose(reconciled(np.diag(S.sum(axis=1))), block["wls_struct"], atol=1e-7)
    np.testing.assert_allclose(reconciled(np.diag((residuals**2).mean(axis=1))), block["wls_var_meansq"], atol=1e-7)
    assert reconciled(np.eye(4))[0] == pytest.approx(reconciled(np.eye(4))[1:].sum())


def test_adaptive_conformal_levels(reference: dict[str, Any]) -> None:
    """Gibbs and Candès (2021): θ moves by γ·(level − covered); with twelve quarters its guarantee says nothing."""
    block = reference["aci"]
    theta: list[float] = [block["level"]]
    covered: list[int] = []
    seen: list[float] = []
    for error in block["e"]:
        size = abs(error)
        rank = int(np.ceil(len(seen) * theta[-1] - 1e-9))
        covered.append(int(bool(seen) and size <= sorted(seen)[rank - 1]))
        theta.append(theta[-1] + block["gamma"] * (block["level"] - covered[-1]))
        seen.append(size)
    assert covered == block["covered"]
    np.testing.assert_allclose(theta, block["theta"], atol=1e-12)
