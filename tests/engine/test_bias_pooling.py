"""The numbers behind bias against other roads: dense matrices, R packages, statsmodels, limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import integrate, optimize, stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.meta_analysis import combine_effects

from pipelines.engine.moderation import VariancePrior, moderate, trigamma_inverse, variance_prior
from pipelines.engine.pooling import (
    Evidence,
    SpreadPosterior,
    mixture_cdf,
    mixture_quantile,
    pool,
    pool_given,
    restricted_log_likelihood,
    spread_posterior,
)
from pipelines.engine.ratios import landing_ratios, period_weights, shock_variance
from pipelines.engine.team import clustered_rate
from pipelines.policy import DEFAULT_POLICY, Policy

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "bias.json").read_text(encoding="utf-8"))


def without_shock(y: Any, variance: Any, design: Any = None) -> Evidence:
    y = np.asarray(y, dtype=np.float64)
    design = np.ones((len(y), 1)) if design is None else design
    return Evidence(y, np.asarray(variance, dtype=np.float64), np.zeros((len(y), 1)), 0.0, design)


def rep_quarter() -> tuple[Any, Any, Any, Any]:
    block = VECTORS["rep_quarter"]
    calls, actuals = np.array(list(block["call"].values())), np.array(list(block["actual"].values()))
    unit, period = np.divmod(np.arange(calls.size), calls.shape[1])
    return unit, period, calls.ravel(), actuals.ravel()


def most_likely_tau2(evidence: Evidence, upper: float) -> float:
    def minus(tau2: float) -> float:
        return -float(restricted_log_likelihood(evidence, np.array([np.sqrt(tau2)]))[0])

    found = optimize.minimize_scalar(minus, bounds=(0.0, upper), method="bounded", options={"xatol": 1e-10 * upper})
    return float(found.x)


def random_evidence(seed: int, size: int = 9, periods: int = 5, columns: int = 1) -> Evidence:
    rng = np.random.default_rng(seed)
    present = rng.random((size, periods)) < 0.7
    present[np.arange(size), rng.integers(0, periods, size)] = True
    design = np.column_stack([np.ones(size), *(np.arange(size) % 2 == 0 for _ in range(columns - 1))]).astype(float)
    loading = present / present.sum(axis=1, keepdims=True)
    return Evidence(rng.normal(-0.1, 0.4, size), rng.uniform(0.01, 0.1, size), loading, 0.02, design)


# Moderation of variances


def test_variance_moderation_is_that_of_limma() -> None:
    block = VECTORS["limma_squeeze_var"]
    s2, df = np.array(block["s2"]), np.array(block["df"], dtype=float)
    for degrees, expected in ((df, block), (np.full(len(s2), 5.0), block["df5"])):
        prior = variance_prior(s2, degrees)
        assert prior.df == pytest.approx(expected["d0"], rel=1e-8)
        assert prior.value == pytest.approx(expected["s02"], rel=1e-8)
        np.testing.assert_allclose(moderate(s2, degrees, prior), expected["post"], rtol=1e-8)


def test_variances_that_differ_by_chance_only_share_their_mean() -> None:
    s2, df = np.array([1.0, 1.1, 0.9, 1.0]), np.full(4, 7.0)
    prior = variance_prior(s2, df)
    assert prior == VariancePrior(pytest.approx(1.0), float("inf"))
    np.testing.assert_allclose(moderate(s2, df, prior), 1.0)


def test_moderation_by_pencil() -> None:
    # d0 = 4 worth 0.10 and df = 6 worth 0.30: (0.4 + 1.8) / 10 = 0.22; nothing of one's own: 0.10.
    np.testing.assert_allclose(
        moderate(np.array([0.3, 9.0]), np.array([6.0, 0.0]), VariancePrior(0.1, 4.0)), [0.22, 0.10]
    )


def test_moderation_at_the_edges() -> None:
    assert variance_prior(np.array([]), np.array([])).df == 0.0
    assert variance_prior(np.array([0.3]), np.array([5.0])) == VariancePrior(0.3, 0.0)
    assert variance_prior(np.zeros(4), np.full(4, 5.0)) == VariancePrior(0.0, float("inf"))
    assert np.isnan(moderate(np.array([0.0]), np.array([0.0]), VariancePrior(float("nan"), 0.0)))[0]
    assert np.isfinite(variance_prior(np.array([0.0, 0.1, 0.2, 0.1]), np.full(4, 5.0)).value)
    assert np.isfinite(variance_prior(np.array([0.0, 0.0, 0.0, 0.1]), np.full(4, 5.0)).value)


@pytest.mark.parametrize("x", [1e-7, 1e-5, 0.01, 0.3, 1.0, 20.0, 1e5, 1e8])
def test_trigamma_inverse_undoes_trigamma(x: float) -> None:
    from scipy.special import polygamma

    assert float(polygamma(1, trigamma_inverse(x))) == pytest.approx(x, rel=1e-3 if x > 1e7 or x < 1e-6 else 1e-9)


# Ratios and their variances


def test_ratios_variances_and_shock_are_those_of_the_reference() -> None:
    unit, period, call, actual = rep_quarter()
    block = VECTORS["rep_quarter"]
    ratios = landing_ratios(unit, period, call, actual, unit_count=12, period_count=8, policy=DEFAULT_POLICY)
    for mine, name in (
        (ratios.rate, "ratio"),
        (ratios.phi, "phi_raw"),
        (ratios.phi_moderated, "phi_mod"),
        (ratios.variance, "v"),
        (ratios.y, "y"),
    ):
        np.testing.assert_allclose(mine, block[name], atol=6e-9)
    assert ratios.prior.df == float("inf")
    raw, inflated = shock_variance(period, call, actual, sum_forecast=ratios.sum_forecast, variance=ratios.variance)
    assert raw == pytest.approx(block["sigma_q2"], abs=1e-9)
    assert inflated == pytest.approx(raw * 7.0 / 5.0)


def test_ratio_and_its_error_are_a_poisson_regression_with_offset() -> None:
    unit, _, call, actual = rep_quarter()
    first = unit == 0
    rate, error = clustered_rate(np.zeros(8, dtype=np.int64), call[first], actual[first])
    expected = VECTORS["rep_quarter"]["quasi_poisson_R01"]
    assert np.log(rate[0]) == pytest.approx(expected["coef"], abs=1e-9)
    assert error[0] == pytest.approx(expected["hc1_se"], abs=1e-9)
    fit = sm.GLM(
        actual[first], np.ones(8), family=sm.families.Poisson(), offset=np.log(call[first])
    ).fit(cov_type="HC0")  # fmt: skip
    assert np.log(rate[0]) == pytest.approx(fit.params[0], abs=1e-9)
    # statsmodels' HC1 of a GLM is its HC0: the factor is applied here.
    assert error[0] == pytest.approx(fit.bse[0] * np.sqrt(8 / 7), abs=1e-9)


def test_ratio_by_pencil() -> None:
    # Calls 100 and 100, landed 80 and 100: R = 0.9, e = (−10, 10). p = 1.5:
    # φ = [2·100/1000] / [1·0.81·10] = 0.2/8.1;  v = φ·10·2000/200² = φ/2 = 0.0123457.
    ratios = landing_ratios(
        np.array([0, 0]), np.array([0, 1]), np.array([100.0, 100.0]), np.array([80.0, 100.0]),
        unit_count=1, period_count=2, policy=DEFAULT_POLICY,
    )  # fmt: skip
    assert ratios.rate[0] == pytest.approx(0.9)
    assert ratios.phi[0] == pytest.approx(0.2 / 8.1)
    assert ratios.variance[0] == pytest.approx(0.1 / 8.1)
    assert ratios.y[0] == pytest.approx(np.log(0.9) + 0.05 / 8.1)


def test_a_call_of_next_to_nothing_does_not_explode_the_variance() -> None:
    # $1 called and 100 landed, beside seven ordinary quarters: the squared error is counted as it is, (99.9/800)².
    call, actual = np.array([1.0] + [100.0] * 7), np.array([100.0] * 8)
    ratios = landing_ratios(
        np.zeros(8, dtype=np.int64), np.arange(8), call, actual, unit_count=1, period_count=8, policy=DEFAULT_POLICY
    )
    assert 0.015 < ratios.variance[0] < 0.025
    nothing = np.where(call == 1.0, 0.0, call)
    zero = landing_ratios(
        np.zeros(8, dtype=np.int64), np.arange(8), nothing, actual, unit_count=1, period_count=8, policy=DEFAULT_POLICY
    )
    assert zero.variance[0] == pytest.approx(ratios.variance[0], rel=0.1)


def test_weights_of_old_periods_halve_and_equal_weights_change_nothing() -> None:
    np.testing.assert_allclose(period_weights(12, 6.0)[[-1, -7]], [1.0, 0.5])
    assert (period_weights(9, 6.0) == 1.0).all(), "below ten periods forgetting costs more than drift"
    rng = np.random.default_rng(5)
    call, actual = rng.uniform(50, 150, 12), rng.uniform(50, 150, 12)
    where = np.zeros(12, dtype=np.int64), np.arange(12)
    plain = landing_ratios(*where, call, actual, unit_count=1, period_count=12, policy=DEFAULT_POLICY)
    slow = landing_ratios(*where, call, actual, unit_count=1, period_count=12, policy=Policy(half_life_periods=1e9))
    np.testing.assert_allclose(slow.variance, plain.variance, rtol=1e-6)
    actual[:6] *= 0.5
    fast = landing_ratios(*where, call, actual, unit_count=1, period_count=12, policy=Policy(half_life_periods=2.0))
    even = landing_ratios(*where, call, actual, unit_count=1, period_count=12, policy=DEFAULT_POLICY)
    assert fast.rate[0] > even.rate[0]


def test_shock_is_unknown_without_two_periods_and_ignores_periods_that_have_no_ratio() -> None:
    ones = np.ones(1)
    assert shock_variance(np.array([0]), ones, ones, sum_forecast=ones, variance=ones) == (0.0, 0.0)
    period = np.array([0, 1, 2])
    raw, _ = shock_variance(
        period, np.array([1.0, 1.0, 0.0]), np.array([1.0, np.e, 5.0]), sum_forecast=ones, variance=np.zeros(1)
    )
    assert raw == pytest.approx(0.5)


# The posterior


@pytest.mark.parametrize(("seed", "columns"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_low_rank_algebra_equals_dense_matrices(seed: int, columns: int) -> None:
    evidence = random_evidence(seed, columns=columns)
    tau = np.linspace(0.0, 1.2, 7)
    weight = np.full(7, 1.0 / 7.0)
    pooled = pool_given(evidence, SpreadPosterior(tau, weight))
    overlap = evidence.loading @ evidence.loading.T
    X, y, identity = evidence.design, evidence.y, np.eye(len(evidence.y))
    log_likelihood, own = [], np.zeros(len(y))
    for g, t in enumerate(tau):
        sigma = np.diag(evidence.variance) + evidence.shock * overlap + t**2 * identity
        inverse = np.linalg.inv(sigma)
        B = np.linalg.inv(X.T @ inverse @ X)
        beta = B @ X.T @ inverse @ y
        residual = y - X @ beta
        lever = X - t**2 * inverse @ X
        covariance = t**2 * identity - t**4 * inverse + lever @ B @ lever.T
        np.testing.assert_allclose(pooled.mean[:, g], X @ beta + t**2 * inverse @ residual, atol=1e-9)
        np.testing.assert_allclose(pooled.sd[:, g], np.sqrt(np.diag(covariance)), atol=1e-9)
        own += weight[g] * np.diag(t**2 * inverse + lever @ B @ X.T @ inverse)
        log_likelihood.append(
            -0.5
            * (np.linalg.slogdet(sigma)[1] + np.linalg.slogdet(np.linalg.inv(B))[1] + residual @ inverse @ residual)
        )
    np.testing.assert_allclose(restricted_log_likelihood(evidence, tau), log_likelihood, atol=1e-9)
    np.testing.assert_allclose(pooled.own_weight, np.clip(own, 0.0, 1.0), atol=1e-9)


def test_posterior_is_the_reference_with_and_without_the_shock() -> None:
    unit, period, call, actual = rep_quarter()
    block = VECTORS["rep_quarter"]
    ratios = landing_ratios(unit, period, call, actual, unit_count=12, period_count=8, policy=DEFAULT_POLICY)
    _, shock = shock_variance(period, call, actual, sum_forecast=ratios.sum_forecast, variance=ratios.variance)
    for variance, mean, sd, positive, beta_sd in (
        (shock, "post_mean_fullV", "post_sd_fullV", "p_pos", "mu_sd_fullV"),
        (0.0, "post_mean_diag", "post_sd_diag", "p_pos_diag", "mu_sd_diag"),
    ):
        evidence = Evidence.with_intercept(ratios.y, ratios.variance, ratios.loading, variance)
        pooled = pool(evidence, prior_scale=0.5, points=121)
        average = pooled.mean @ pooled.weight
        np.testing.assert_allclose(average, block[mean], atol=5e-8)
        second = (pooled.sd**2 + pooled.mean**2) @ pooled.weight
        np.testing.assert_allclose(np.sqrt(second - average**2), block[sd], atol=5e-8)
        np.testing.assert_allclose(1.0 - pooled.probability_below(0.0), block[positive], atol=5e-8)
        mu = float(pooled.weight @ pooled.beta_mean[:, 0])
        mu_second = float(pooled.weight @ (pooled.beta_covariance[:, 0, 0] + pooled.beta_mean[:, 0] ** 2))
        assert mu == pytest.approx(block["mu"], abs=1e-8)
        assert np.sqrt(mu_second - mu**2) == pytest.approx(block[beta_sd], abs=2e-8)
        assert pooled.spread.mean == pytest.approx(block["tau_mean"], abs=2e-8)
        if variance:
            np.testing.assert_allclose(pooled.quantile(0.1), block["lo80"], atol=5e-8)
            np.testing.assert_allclose(pooled.quantile(0.9), block["hi80"], atol=5e-8)


def test_posterior_is_that_of_bayesmeta() -> None:
    block, bcg = VECTORS["bcg_bayes"], VECTORS["bcg"]
    pooled = pool(without_shock(bcg["yi"], bcg["vi"]), prior_scale=0.5, points=121)
    assert pooled.spread.mean == pytest.approx(block["tau_mean"], abs=1e-5)
    assert pooled.weight @ pooled.beta_mean[:, 0] == pytest.approx(block["mu"], abs=5e-4)
    np.testing.assert_allclose(pooled.mean @ pooled.weight, block["mean"], atol=5e-4)


def test_restricted_likelihood_and_blups_are_those_of_metafor() -> None:
    bcg, reps = VECTORS["bcg"], VECTORS["rep_quarter"]
    evidence = without_shock(bcg["yi"], bcg["vi"])
    assert most_likely_tau2(evidence, 2.0) == pytest.approx(bcg["REML"], abs=1e-6)
    assert most_likely_tau2(without_shock(reps["y"], reps["v"]), 1.0) == pytest.approx(reps["REML"], abs=1e-6)
    given = pool_given(evidence, SpreadPosterior(np.sqrt([bcg["REML"]]), np.ones(1)))
    np.testing.assert_allclose(given.mean[:, 0], bcg["blup"], atol=1e-6)
    np.testing.assert_allclose(given.sd[:, 0], bcg["blup_se"], atol=1e-6)
    assert given.beta_mean[0, 0] == pytest.approx(bcg["mu_REML"], abs=1e-7)
    assert np.sqrt(given.beta_covariance[0, 0, 0]) == pytest.approx(bcg["se_REML"], abs=1e-7)
    with_latitude = without_shock(bcg["yi"], bcg["vi"], np.column_stack([np.ones(13), bcg["ablat"]]))
    tau2 = most_likely_tau2(with_latitude, 2.0)
    assert tau2 == pytest.approx(bcg["REML_mods_ablat_tau2"], abs=1e-6)
    given = pool_given(with_latitude, SpreadPosterior(np.sqrt([tau2]), np.ones(1)))
    np.testing.assert_allclose(given.beta_mean[0], bcg["REML_mods_beta"], atol=1e-5)


@pytest.mark.parametrize(("block", "y", "v"), [("bcg", "yi", "vi"), ("rep_quarter", "y", "v")])
def test_other_estimates_of_the_spread_lie_inside_its_posterior(block: str, y: str, v: str) -> None:
    numbers = VECTORS[block]
    effect, variance = np.array(numbers[y]), np.array(numbers[v])
    # A tolerance statsmodels cannot reach makes it return 0 without a word: 1e-12 did.
    paule_mandel = combine_effects(effect, variance, method_re="iterated", atol=1e-8).tau2
    dersimonian_laird = combine_effects(effect, variance, method_re="chi2").tau2
    assert paule_mandel == pytest.approx(numbers["PM"], abs=2e-7)
    assert dersimonian_laird == pytest.approx(numbers["DL"], abs=2e-7)
    spread = spread_posterior(without_shock(effect, variance), prior_scale=0.5, points=121)
    for tau in np.sqrt([paule_mandel, dersimonian_laird, numbers["REML"]]):
        assert spread.quantile(0.2) < tau < spread.quantile(0.8)


def test_shrinkage_is_that_of_a_random_intercept_model(shared: Path) -> None:
    """lme4: lmer(Yield ~ 1 + (1 | Batch), Dyestuff); MixedLM is the second road to the same numbers."""
    expected = json.loads((shared / "vectors" / "expected.json").read_text(encoding="utf-8"))["dyestuff"]
    frame = pl.read_csv(shared / "vectors" / "dyestuff.csv")
    batches = frame.group_by("Batch").agg(pl.col("Yield").mean(), pl.len()).sort("Batch")
    evidence = without_shock(batches["Yield"].to_numpy(), expected["var_resid"] / batches["len"].to_numpy())
    assert most_likely_tau2(evidence, 1e4) == pytest.approx(expected["var_batch"], rel=1e-5)
    given = pool_given(evidence, SpreadPosterior(np.sqrt([expected["var_batch"]]), np.ones(1)))
    np.testing.assert_allclose(given.mean[:, 0] - expected["mu"], list(expected["blup"].values()), atol=1e-4)
    groups = frame["Batch"].rank("dense").to_numpy()
    fit = MixedLM(frame["Yield"].to_numpy().astype(float), np.ones(len(frame)), groups=groups).fit(reml=True)
    assert float(np.asarray(fit.cov_re)[0, 0]) == pytest.approx(expected["var_batch"], rel=2e-3)
    np.testing.assert_allclose(
        given.mean[:, 0] - expected["mu"], [float(np.asarray(one)[0]) for one in fit.random_effects.values()], rtol=2e-2
    )


def test_a_spread_of_zero_is_no_accident_for_the_grid(shared: Path) -> None:
    """Dyestuff2: the likelihood is highest at 0, where plug-in methods call all batches identical. The posterior
    does not."""
    expected = json.loads((shared / "vectors" / "expected.json").read_text(encoding="utf-8"))["dyestuff2_boundary"]
    frame = pl.read_csv(shared / "vectors" / "dyestuff2.csv")
    batches = frame.group_by("Batch").agg(pl.col("Yield").mean(), pl.len()).sort("Batch")
    evidence = without_shock(batches["Yield"].to_numpy(), expected["var_resid"] / batches["len"].to_numpy())
    likelihood = restricted_log_likelihood(evidence, np.linspace(0.0, 2.0, 50))
    assert int(np.argmax(likelihood)) == 0
    given = pool_given(evidence, SpreadPosterior(np.zeros(1), np.ones(1)))
    np.testing.assert_allclose(given.mean[:, 0], expected["mu"], atol=1e-6)
    np.testing.assert_allclose(given.sd[:, 0], expected["se"], rtol=1e-6)
    pooled = pool(evidence, prior_scale=0.5, points=121)
    assert pooled.spread.quantile(0.5) > 0.1
    assert np.ptp(pooled.quantile(0.5)) > 0.0


def test_shrinkage_given_the_spread_is_that_of_ebci(shared: Path) -> None:
    """ebci::ebci(theta25 ~ stayer25, cz, se25, 1/se25^2, alpha = 0.1): its weight on the own estimate, w_eb."""
    data = pl.read_csv(shared / "vectors" / "ebci_cz_ny.csv")
    expected = pl.read_csv(shared / "vectors" / "ebci_cz_ny_expected.csv")["w_eb"].to_numpy()
    design = np.column_stack([np.ones(len(data)), data["stayer25"].to_numpy()])
    evidence = without_shock(data["theta25"].to_numpy(), data["se25"].to_numpy() ** 2, design)
    given = pool_given(evidence, SpreadPosterior(np.sqrt([0.02082970]), np.ones(1)))
    fitted = design @ given.beta_mean[0]
    np.testing.assert_allclose((given.mean[:, 0] - fitted) / (evidence.y - fitted), expected, atol=1e-6)


def test_mixture_quantiles_against_numerical_integration() -> None:
    evidence = random_evidence(11)
    pooled = pool(evidence, prior_scale=0.5, points=121)
    for probability in (0.01, 0.1, 0.5, 0.9, 0.99):
        x = pooled.quantile(probability)
        np.testing.assert_allclose(pooled.probability_below(x), probability, atol=1e-10)
        density = lambda t: float(stats.norm.pdf(t, pooled.mean[0], pooled.sd[0]) @ pooled.weight)  # noqa: E731
        area, _ = integrate.quad(density, -8.0, float(x[0]), epsabs=1e-10, limit=400, points=[float(pooled.mean[0, 0])])
        assert area == pytest.approx(probability, abs=1e-7)


def test_mixture_quantile_of_far_apart_components() -> None:
    mean, sd = np.array([[-50.0, 0.0, 40.0]]), np.array([[0.01, 1.0, 0.5]])
    weight = np.array([0.3, 0.4, 0.3])
    for probability in (0.1, 0.299, 0.301, 0.5, 0.69, 0.71, 0.95):
        x = mixture_quantile(mean, sd, weight, probability)
        assert mixture_cdf(mean, sd, weight, x)[0] == pytest.approx(probability, abs=1e-9)


def test_a_newcomer_is_expected_like_the_others_and_less_surely_than_anybody_known() -> None:
    evidence = random_evidence(21, size=30)
    pooled = pool(evidence, prior_scale=0.5, points=121)
    mean, sd = pooled.newcomer()
    middle = mixture_quantile(mean, sd, pooled.weight, 0.5)[0]
    width = (mixture_quantile(mean, sd, pooled.weight, 0.9) - mixture_quantile(mean, sd, pooled.weight, 0.1))[0]
    assert middle == pytest.approx(float(pooled.weight @ pooled.beta_mean[:, 0]), abs=0.02)
    assert width > (pooled.quantile(0.9) - pooled.quantile(0.1)).max()


def test_one_forecaster_alone_keeps_the_own_record() -> None:
    evidence = without_shock([-0.2], [0.04])
    pooled = pool(evidence, prior_scale=0.5, points=121)
    np.testing.assert_allclose(pooled.quantile(0.5), -0.2, atol=1e-9)
    np.testing.assert_allclose(pooled.quantile(0.9), -0.2 + 0.2 * stats.norm.ppf(0.9), atol=1e-6)
    np.testing.assert_allclose(pooled.own_weight, 1.0, atol=1e-9)


def test_without_peers_the_spread_keeps_its_prior_by_the_trapezoid_rule() -> None:
    spread = spread_posterior(without_shock([-0.2], [0.04]), prior_scale=0.5, points=11)
    density = stats.halfnorm.pdf(spread.tau, scale=0.5)
    below = integrate.cumulative_trapezoid(density, spread.tau, initial=0.0)
    expected = np.append(np.diff(spread.tau), 0.0) + np.insert(np.diff(spread.tau), 0, 0.0)
    np.testing.assert_allclose(spread.weight, expected / 2.0 * density / below[-1], rtol=1e-12)


def test_thousands_of_forecasters_pin_the_spread_and_the_grid_follows() -> None:
    rng = np.random.default_rng(3)
    size = 6000
    variance = rng.uniform(0.01, 0.05, size)
    y = rng.normal(-0.1, 0.2, size) + rng.normal(0.0, np.sqrt(variance))
    spread = spread_posterior(without_shock(y, variance), prior_scale=0.5, points=121)
    low, high = spread.quantile(0.1), spread.quantile(0.9)
    assert low < 0.2 + 0.006
    assert high > 0.2 - 0.006
    assert 0.003 < high - low < 0.02, "the first grid's spacing near 0.2 alone is 0.009"
    assert np.diff(spread.tau).max() < 0.001
