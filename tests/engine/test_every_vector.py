"""Every number of the shared ``expected.json``: which test reproduces it; and those that nothing else does.

R 4.2.2: ``metafor`` (``rma``), ``strucchange`` (``Fstats``), ``sandwich`` (``NeweyWest``, ``vcovCL``), ``cmprsk``
(``cuminc``), ``hts``/``hierarchicalforecast`` (MinT), ``binom``. The product shows none of those below the line "what
the engine decided against": they are kept so that the decision can be taken again.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from pipelines.engine import calibration, change, rationality, value_added
from pipelines.engine.competing_risks import aalen_johansen
from pipelines.engine.coverage import interval_score, weighted_interval_score

Floats = npt.NDArray[np.float64]

HERE = "test_every_vector"
CHECKED_BY: dict[str, str] = {
    "bcg_tau2": "test_references:test_knapp_hartung_and_q_profile_of_bcg",
    "bcg_tau2.REML": "test_bias_pooling:test_restricted_likelihood_and_blups_are_those_of_metafor",
    "bcg_tau2.PM": "test_bias_pooling:test_other_estimates_of_the_spread_lie_inside_its_posterior",
    "bcg_tau2.DL": "test_bias_pooling:test_other_estimates_of_the_spread_lie_inside_its_posterior",
    "bcg_tau2.REML_mods_ablat_tau2": "test_bias_pooling:test_restricted_likelihood_and_blups_are_those_of_metafor",
    "bcg_tau2.REML_mods_beta": "test_bias_pooling:test_restricted_likelihood_and_blups_are_those_of_metafor",
    "bcg_tau2.ML": f"{HERE}:test_three_more_estimates_of_the_spread",
    "bcg_tau2.HS": f"{HERE}:test_three_more_estimates_of_the_spread",
    "bcg_tau2.SJ": f"{HERE}:test_three_more_estimates_of_the_spread",
    "bcg_bayes_halfnormal05": "test_bias_pooling:test_posterior_is_that_of_bayesmeta",
    "bcg_bayes_halfnormal05.mu_sd": f"{HERE}:test_the_posterior_of_the_mean_is_as_wide_as_bayesmetas",
    "ebci_cva_kInf": "test_references:test_robust_critical_values",
    "limma_squeezeVar": "test_bias_pooling:test_variance_moderation_is_that_of_limma",
    "sleepstudy.file": "test_references:test_sleepstudy_random_intercept",
    "sleepstudy.ri": "test_references:test_sleepstudy_random_intercept",
    "sleepstudy.rs": "test_references:test_sleepstudy_random_slope",
    "dyestuff": "test_references:test_dyestuff",
    "dyestuff.blup": "test_bias_pooling:test_shrinkage_is_that_of_a_random_intercept_model",
    "dyestuff.var_batch": "test_bias_pooling:test_shrinkage_is_that_of_a_random_intercept_model",
    "dyestuff2_boundary": "test_references:test_dyestuff2_is_the_boundary",
    "dyestuff2_boundary.se": "test_bias_pooling:test_a_spread_of_zero_is_no_accident_for_the_grid",
    "pastes_nested": "test_references:test_pastes_casks_within_batches",
    "BH1995": "test_references:test_bh1995_rejects_four",
    "spf_mz.file": "test_rationality:test_professional_forecasters_match_r",
    "spf_mz.n": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf": "test_rationality:test_professional_forecasters_match_r",
    "spf_mz.spf.nw4_se": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.nw4_adj_se": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.nw4_chi2": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.hp_nw4_se": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.US": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.UC": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.spf.supF": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.michigan": f"{HERE}:test_professional_forecasters_in_full",
    "spf_mz.dm_spf_vs_mich": "test_value_added:test_diebold_mariano_matches_r_on_professional_forecasters",
    "spf_mz.murphy_theta": "test_value_added:test_diebold_mariano_matches_r_on_professional_forecasters",
    "spf_mz.murphy_spf": "test_value_added:test_diebold_mariano_matches_r_on_professional_forecasters",
    "spf_mz.murphy_mich": f"{HERE}:test_professional_forecasters_in_full",
    "niamey_corp": "test_calibration:test_corp_matches_reliabilitydiag",
    "niamey_corp.small": "test_calibration:test_the_hand_vector_matches_reliabilitydiag",
    "niamey_corp.cox_EMOS": "test_calibration:test_cox_and_spiegelhalter_match_rms",
    "niamey_corp.cox_EMOS.spieg_p": f"{HERE}:test_spiegelhalters_p",
    "niamey_corp.cox_Logistic": "test_calibration:test_cox_and_spiegelhalter_match_rms",
    "niamey_corp.cox_EPC": "test_calibration:test_cox_and_spiegelhalter_match_rms",
    "wis_scoringutils": "test_coverage:test_wis_equals_scoringutils",
    "wis_scoringutils.DE_deaths_h2.EuroCOVIDhub-baseline": f"{HERE}:test_scores_in_full",
    "wis_scoringutils.covidHubUtils_small": f"{HERE}:test_scores_in_full",
    "wis_scoringutils.interval_score_a02_l3_u9": f"{HERE}:test_scores_in_full",
    "coverage_tests": "test_coverage:test_coverage_tests_equal_rugarch",
    "coverage_tests.wilson95": "test_coverage:test_wilson_of_the_report",
    "coverage_tests.clopper95": f"{HERE}:test_exact_intervals_and_p_values",
    "coverage_tests.binom_p_vs_0.8": f"{HERE}:test_exact_intervals_and_p_values",
    "mgus2_aj": "test_competing_risks:test_mgus2_equals_survfit",
    "mgus2_aj.naive_1_minus_KM_240_360": f"{HERE}:test_one_minus_kaplan_meier_promises_twice_too_much",
    "mgus2_aj.gray_test_sex": f"{HERE}:test_gray_compares_two_curves",
    "aj_lefttrunc": "test_competing_risks:test_left_truncation_equals_survfit",
    "conversion_12q": "test_stability:test_twelve_quarters_match_r",
    "conversion_12q.trend_chi2": "test_stability:test_dispersion_is_scipys_chi_square_and_drift_the_trend_test",
    "poisson_binomial": "test_deal_draws:test_deals_alone_are_a_poisson_binomial",
    "poisson_binomial.count_pmf": f"{HERE}:test_the_number_of_wins",
    "poisson_binomial.mean": f"{HERE}:test_the_number_of_wins",
    "poisson_binomial.var": f"{HERE}:test_the_number_of_wins",
    "poisson_binomial.q": f"{HERE}:test_the_number_of_wins",
    "poisson_binomial.P_ge_150": f"{HERE}:test_the_number_of_wins",
    "mint": "test_references:test_reconciled_forecasts",
    "mint.mint_shrink": f"{HERE}:test_reconciliation_with_a_shrunken_covariance",
    "aci": "test_references:test_adaptive_conformal_levels",
    "student_predictive": "test_landing:test_unshrunk_call_is_the_student_predictive",
    "student_predictive.sd_log": f"{HERE}:test_the_log_ratios_of_the_student_predictive",
    "fva": "test_value_added:test_ten_quarters_match_r",
    "fva.cro_vs_naive": f"{HERE}:test_value_added_in_full",
    "fva.cro_vs_mgr": f"{HERE}:test_value_added_in_full",
    "fva.rep_vs_naive": f"{HERE}:test_value_added_in_full",
    "fva.avgrelmae": "test_value_added:test_average_relative_mae_matches_its_paper",
    "attribution": "test_attribution:test_the_companys_bridge",
    "attribution.by_owner": "test_attribution:test_the_bridge_of_each_owner",
    "miss_allocation": "test_attribution:test_euler_shares_are_shapley_values",
    "miss_allocation.cov_share": f"{HERE}:test_shares_of_the_variance",
    "rep_quarter_12x8": "test_bias_pooling:test_ratios_variances_and_shock_are_those_of_the_reference",
    "rep_quarter_12x8.REML": "test_bias_pooling:test_restricted_likelihood_and_blups_are_those_of_metafor",
    "rep_quarter_12x8.PM": "test_bias_pooling:test_other_estimates_of_the_spread_lie_inside_its_posterior",
    "rep_quarter_12x8.DL": "test_bias_pooling:test_other_estimates_of_the_spread_lie_inside_its_posterior",
    "rep_quarter_12x8.mu": "test_bias_pooling:test_posterior_is_the_reference_with_and_without_the_shock",
    "rep_quarter_12x8.mu_sd_fullV": "test_bias_pooling:test_posterior_is_the_reference_with_and_without_the_shock",
    "rep_quarter_12x8.mu_sd_diag": "test_bias_pooling:test_posterior_is_the_reference_with_and_without_the_shock",
    "rep_quarter_12x8.tau_mean": "test_bias_pooling:test_posterior_is_the_reference_with_and_without_the_shock",
    "rep_quarter_12x8.quasi_poisson_R01": (
        "test_bias_pooling:test_ratio_and_its_error_are_a_poisson_regression_with_offset"
    ),
    "rep_quarter_12x8.mz_cluster": "test_references:test_mincer_zarnowitz_in_logs_clustered_by_quarter",
    "rep_quarter_12x8.mz_cluster.se_2way": f"{HERE}:test_clustered_both_ways",
    "cusum_arl.two_sided_k05": "test_rationality:test_run_lengths_match_spc",
    "cusum_arl.crit_two_sided": "test_rationality:test_limits_match_spc",
}
"""Path (and all below it, unless a longer path is named) → the test that reproduces it."""

NOT_A_NUMBER = {"_meta": "which programs made the numbers"}


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "vectors" / "expected.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def vectors(shared: Path) -> Path:
    return shared / "vectors"


def leaves(block: Any, path: str = "") -> Iterator[str]:
    if isinstance(block, dict):
        for key, inner in block.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path


def home(path: str) -> str | None:
    """The longest named path that holds this one."""
    holders = [known for known in CHECKED_BY if path == known or path.startswith(f"{known}.")]
    return max(holders, key=len) if holders else None


def test_every_number_has_a_test(expected: dict[str, Any]) -> None:
    paths = [path for path in leaves(expected) if path.split(".", maxsplit=1)[0] not in NOT_A_NUMBER]
    assert len(paths) > 200
    assert [path for path in paths if home(path) is None] == []
    assert set(CHECKED_BY) - {home(path) for path in paths} == set(), "names nothing"


def test_every_named_test_is_there() -> None:
    known = {
        f"{file.stem}:{node.name}"
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert set(CHECKED_BY.values()) - known == set()


# What the engine does


def test_the_number_of_wins(expected: dict[str, Any]) -> None:
    """Exactly, by adding one deal after the other: what the draws approach. R PoissonBinomial."""
    block = expected["poisson_binomial"]
    count = np.ones(1)
    money = {0: 1.0}
    for p, amount in zip(block["p"], block["a"], strict=True):
        count = np.convolve(count, [1 - p, p])
        grown: dict[int, float] = {}
        for total, chance in money.items():
            grown[total] = grown.get(total, 0.0) + chance * (1 - p)
            grown[total + amount] = grown.get(total + amount, 0.0) + chance * p
        money = grown
    np.testing.assert_allclose(count, block["count_pmf"], atol=1e-12)
    totals = np.array(sorted(money))
    chances = np.array([money[total] for total in totals])
    mean = float(totals @ chances)
    assert mean == pytest.approx(block["mean"], abs=1e-9)
    assert float((totals - mean) ** 2 @ chances) == pytest.approx(block["var"], abs=1e-6)
    assert chances[totals >= 150].sum() == pytest.approx(block["P_ge_150"], abs=1e-9)
    for level, amount in block["q"].items():
        assert totals[np.searchsorted(np.cumsum(chances), float(level) - 1e-12)] == amount


def test_scores_in_full(expected: dict[str, Any], vectors: Path) -> None:
    block = expected["wis_scoringutils"]
    small = block["covidHubUtils_small"]
    np.testing.assert_allclose(
        weighted_interval_score(small["y"], small["q"], small["F"]).total, small["wis"], atol=1e-9
    )
    single = block["interval_score_a02_l3_u9"]
    np.testing.assert_allclose(interval_score(single["y"], 3.0, 9.0, 0.8), single["is"], atol=1e-9)
    frame = pl.read_csv(vectors / block["DE_deaths_h2_file"])
    baseline = block["DE_deaths_h2"]["EuroCOVIDhub-baseline"]
    wide = frame.filter(pl.col("model") == "EuroCOVIDhub-baseline").pivot(
        "quantile_level", index=["target_end_date", "observed"], values="predicted"
    )
    assert wide.height == baseline["n"]
    for level, name in ((0.5, "c50"), (0.9, "c90")):
        ends = [wide[f"{end:g}"] for end in ((1 - level) / 2, (1 + level) / 2)]
        held = wide["observed"].is_between(*ends).mean()
        assert held == pytest.approx(baseline[name], abs=1e-8)


def test_exact_intervals_and_p_values(expected: dict[str, Any]) -> None:
    """binom.test: Clopper–Pearson, wider than the Wilson intervals shown; and the exact p of a share against .8."""
    block = expected["coverage_tests"]
    for name, ends in block["clopper95"].items():
        hits, count = map(int, name.split("/"))
        assert proportion_confint(hits, count, method="beta") == pytest.approx(ends, abs=1e-9)
    for name, p_value in block["binom_p_vs_0.8"].items():
        hits, count = map(int, name.split("/"))
        assert stats.binomtest(hits, count, 0.8).pvalue == pytest.approx(p_value, rel=1e-6)


def test_one_minus_kaplan_meier_promises_twice_too_much(expected: dict[str, Any], vectors: Path) -> None:
    block = expected["mgus2_aj"]
    data = pl.read_csv(vectors / block["file"])
    alone = aalen_johansen(np.zeros(data.height), data["etime"], data["event"] == 1, cause_count=1)
    found = [alone.at(month)[1][0] for month in (240, 360)]
    np.testing.assert_allclose(found, block["naive_1_minus_KM_240_360"], atol=1e-9)


def test_spiegelhalters_p(expected: dict[str, Any], vectors: Path) -> None:
    block = expected["niamey_corp"]
    data = pl.read_csv(vectors / block["file"])
    assert data.height == block["n"]
    z = calibration.spiegelhalter(data["EMOS"], data["obs"])
    assert z is not None
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(block["cox_EMOS"]["spieg_p"], abs=1e-7)


def test_professional_forecasters_in_full(expected: dict[str, Any], vectors: Path) -> None:
    """Both forecasters by the engine; the errors robust to autocorrelation, and strucchange's sup-F, by statsmodels."""
    block = expected["spf_mz"]
    data = pl.read_csv(vectors / block["file"])
    landed, size = data["rlz"].to_numpy(), block["n"]
    assert data.height == size
    curve = value_added.murphy_curve(data["michigan"], data["rlz"], block["murphy_theta"])
    np.testing.assert_allclose(curve, block["murphy_mich"], atol=1e-9)
    for name in ("spf", "michigan"):
        figures, said = block[name], data[name].to_numpy()
        line, parts = rationality.mincer_zarnowitz(said, landed), rationality.theil(said, landed)
        moved, level = change.ols_cusum(landed - said), rationality.holden_peel(landed - said)
        assert line is not None and parts is not None and moved is not None and level is not None  # noqa: PT018
        assert (line.intercept, line.slope) == pytest.approx((figures["a"], figures["b"]), abs=1e-9)
        assert line.statistic == pytest.approx(figures["F"], abs=1e-4)
        shares = (parts.level_share, parts.slope_share, parts.noise_share)
        assert shares == pytest.approx((figures["UM"], figures["UR"], figures["UD"]), abs=1e-8)
        assert parts.mse == pytest.approx(figures["mse"], abs=1e-8)
        assert moved[0] == pytest.approx(figures["ols_cusum"], abs=1e-8)
        assert level[0] == pytest.approx(figures["mean_err"], abs=1e-9)
        robust = sm.OLS(landed, sm.add_constant(said)).fit(
            cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
        )
        assert robust.bse.tolist() == pytest.approx(figures["nw4_se"], abs=1e-9)
    figures, said = block["spf"], data["spf"].to_numpy()
    model, error = sm.OLS(landed, sm.add_constant(said)), landed - said
    plain = model.fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False})
    adjusted = model.fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True})
    assert adjusted.bse.tolist() == pytest.approx(figures["nw4_adj_se"], abs=1e-9)
    wald = plain.wald_test((np.eye(2), [0.0, 1.0]), use_f=False, scalar=True)
    assert float(wald.statistic) == pytest.approx(figures["nw4_chi2"], abs=1e-4)
    mean = sm.OLS(error, np.ones(size)).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False})
    assert float(mean.bse[0]) == pytest.approx(figures["hp_nw4_se"], abs=1e-9)
    spread, total = (said.std(), landed.std()), float((error**2).mean())
    assert (spread[0] - spread[1]) ** 2 / total == pytest.approx(figures["US"], abs=1e-8)
    together = 2 * (1 - np.corrcoef(said, landed)[0, 1]) * spread[0] * spread[1] / total
    assert together == pytest.approx(figures["UC"], abs=1e-8)
    whole = ((error - error.mean()) ** 2).sum()
    cuts = range(int(0.15 * size), int(0.85 * size) + 1)
    split = [
        ((error[:at] - error[:at].mean()) ** 2).sum() + ((error[at:] - error[at:].mean()) ** 2).sum() for at in cuts
    ]
    assert max((whole - one) / (one / (size - 2)) for one in split) == pytest.approx(figures["supF"], abs=1e-7)


def test_value_added_in_full(expected: dict[str, Any]) -> None:
    """fva_10q: each pair of steps, where both called."""
    block = expected["fva"]
    data = pl.read_csv(Path(__file__).resolve().parents[1] / "vectors" / "fva_10q.csv")
    columns = {"cro_vs_mgr": ("mgr", "cro"), "rep_vs_naive": ("naive", "rep"), "cro_vs_naive": ("naive", "cro")}
    for name, (before, after) in columns.items():
        both = data.drop_nulls([before, after])
        gain = ((both["A"] - both[before]).abs() - (both["A"] - both[after]).abs()).to_numpy().astype(float)
        figures = block[name]
        assert gain.mean() == pytest.approx(figures["mean"], abs=1e-9)
        assert value_added.sign_flip_p_value(gain) == pytest.approx(figures["flip_p"], abs=1e-12)
        test = stats.ttest_1samp(gain, 0.0)
        if "n" in figures:
            assert len(gain) == figures["n"]
        if "t" in figures:
            assert test.statistic == pytest.approx(figures["t"], abs=1e-6)
        if "p" in figures:
            assert test.pvalue == pytest.approx(figures["p"], abs=1e-7)
        if "relmae" in figures:
            ratio = (both["A"] - both[after]).abs().mean() / (both["A"] - both[before]).abs().mean()
            assert ratio == pytest.approx(figures["relmae"], abs=1e-8)


def test_shares_of_the_variance(expected: dict[str, Any]) -> None:
    """Colini-Baldeschi, Scarsini and Vaccari (2018): of the variance, as of the mean square, Euler is Shapley."""
    block = expected["miss_allocation"]
    errors = np.array(block["E"], dtype=float)
    whole = errors.sum(axis=0)
    assert (whole**2).mean() == pytest.approx(block["total_mse"])
    np.testing.assert_allclose((errors * whole).mean(axis=1), block["shapley_mse"], atol=1e-12)
    centred = errors - errors.mean(axis=1, keepdims=True)
    np.testing.assert_allclose((centred * (whole - whole.mean())).mean(axis=1), block["cov_share"], atol=1e-12)


def test_the_log_ratios_of_the_student_predictive(expected: dict[str, Any]) -> None:
    block = expected["student_predictive"]
    logs = np.log(block["ratios"])
    assert logs.mean() == pytest.approx(block["mean_log"], abs=1e-8)
    assert logs.std(ddof=1) == pytest.approx(block["sd_log"], abs=1e-5)


def test_the_posterior_of_the_mean_is_as_wide_as_bayesmetas(expected: dict[str, Any], vectors: Path) -> None:
    from pipelines.engine.pooling import Evidence, pool

    block = expected["bcg_bayes_halfnormal05"]
    data = pl.read_csv(vectors / "bcg_yi_vi.csv")
    y, v = data["yi"].to_numpy(), data["vi"].to_numpy()
    pooled = pool(Evidence(y, v, np.zeros((len(y), 1)), 0.0, np.ones((len(y), 1))), prior_scale=0.5, points=121)
    mean = float(pooled.weight @ pooled.beta_mean[:, 0])
    second = float(pooled.weight @ (pooled.beta_covariance[:, 0, 0] + pooled.beta_mean[:, 0] ** 2))
    assert np.sqrt(second - mean**2) == pytest.approx(block["mu_sd"], abs=block["tol"])


# What the engine decided against


def test_three_more_estimates_of_the_spread(expected: dict[str, Any], vectors: Path) -> None:
    """rma(method = "ML", "HS", "SJ"): likelihood, Hunter–Schmidt, Sidik–Jonkman; the grid needs none of them."""
    block = expected["bcg_tau2"]
    data = pl.read_csv(vectors / block["file"])
    y, v = data["yi"].to_numpy(), data["vi"].to_numpy()

    def about(weight: Floats) -> float:
        return float((weight * (y - weight @ y / weight.sum()) ** 2).sum())

    def minus(tau2: float) -> float:
        return float(0.5 * np.log(v + tau2).sum() + 0.5 * about(1 / (v + tau2)))

    likely = optimize.minimize_scalar(minus, bounds=(0.0, 3.0), method="bounded", options={"xatol": 1e-12}).x
    assert likely == pytest.approx(block["ML"], abs=1e-6)
    assert (about(1 / v) - len(y)) / (1 / v).sum() == pytest.approx(block["HS"], abs=1e-7)
    start = ((y - y.mean()) ** 2).mean()
    assert about(1 / (v / start + 1)) / (len(y) - 1) == pytest.approx(block["SJ"], abs=1e-7)


def test_clustered_both_ways(expected: dict[str, Any], vectors: Path) -> None:
    """vcovCL(~ rep + quarter): reps of one quarter share its shock, quarters of one rep do not; one way is enough."""
    block = expected["rep_quarter_12x8"]
    data = pl.read_csv(vectors / block["file"]).filter(pl.col("actual") > 0)
    codes = np.column_stack([data[name].rank("dense").to_numpy() for name in ("rep", "quarter")])
    design = sm.add_constant(np.log(data["call"].to_numpy().astype(float)))
    fit = sm.OLS(np.log(data["actual"].to_numpy().astype(float)), design).fit(
        cov_type="cluster", cov_kwds={"groups": codes}
    )
    np.testing.assert_allclose(fit.bse, block["mz_cluster"]["se_2way"], atol=1e-8)


def test_reconciliation_with_a_shrunken_covariance(expected: dict[str, Any]) -> None:
    """MinT with Schäfer and Strimmer's (2005) covariance, λ = .19963."""
    block = expected["mint"]
    summing, said = np.array(block["S"], dtype=float), np.array(block["y"], dtype=float)
    errors = np.array(block["residuals"], dtype=float)
    size = errors.shape[1]
    covariance = np.cov(errors)
    z = (errors - errors.mean(axis=1, keepdims=True)) / np.sqrt(np.diag(covariance))[:, None]
    products = z[:, None, :] * z[None, :, :]
    apart = ~np.eye(len(z), dtype=bool)
    noise = size / (size - 1) ** 3 * ((products - products.mean(axis=2, keepdims=True)) ** 2).sum(axis=2)
    shrink = noise[apart].sum() / ((size / (size - 1) * products.mean(axis=2)) ** 2)[apart].sum()
    assert shrink == pytest.approx(0.19963, abs=1e-5)
    inverse = np.linalg.inv(shrink * np.diag(np.diag(covariance)) + (1 - shrink) * covariance)
    found = summing @ np.linalg.solve(summing.T @ inverse @ summing, summing.T @ inverse @ said)
    np.testing.assert_allclose(found, block["mint_shrink"], atol=1e-7)


def test_gray_compares_two_curves(expected: dict[str, Any], vectors: Path) -> None:
    """cmprsk::cuminc by sex (Gray 1988). The product shows curves with their bands and compares none by a test."""
    block = expected["mgus2_aj"]
    data = pl.read_csv(vectors / block["file"])
    for cause, name in ((1, "pcm"), (2, "death")):
        statistic = gray(data["etime"].to_numpy(), data["event"].to_numpy(), data["sex"].to_numpy(), cause)
        found = (statistic, float(stats.chi2.sf(statistic, 1)))
        assert found == pytest.approx(tuple(block["gray_test_sex"][name]), abs=1e-7)


def gray(time: npt.NDArray[Any], event: npt.NDArray[Any], group: npt.NDArray[Any], cause: int) -> float:
    """Gray's statistic for two groups, without weights: the first group's score over its variance."""
    names = np.unique(group)
    open_before, ended_before, score = np.ones(2), np.zeros(2), 0.0
    pooled_before = 0.0
    carried, own, cross, square = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2)), np.zeros(2)
    total = 0.0
    at_risk = np.array([(group == name).sum() for name in names], dtype=float)
    for when in np.unique(time):
        here = [(time == when) & (group == name) for name in names]
        ours = np.array([(one & (event == cause)).sum() for one in here], dtype=float)
        theirs = np.array([(one & (event != cause) & (event != 0)).sum() for one in here], dtype=float)
        if ours.sum() + theirs.sum() > 0:
            seen = at_risk > 0
            risk = np.where(seen, at_risk, 1.0)
            still = np.where(seen, open_before * (risk - ours - theirs) / risk, open_before)
            weight = np.where(seen, at_risk / open_before, 0.0)
            pooled = pooled_before + ours.sum() / weight.sum()
            part = np.diag(weight) - np.outer(weight, weight) / weight.sum()
            carried += part * ours.sum() / (weight.sum() * (1 - pooled_before))
            reach = weight * (1 - ended_before)
            score += ours[0] - ours.sum() * reach[0] / reach.sum()
            for one in np.flatnonzero(seen):
                for count, is_cause in ((ours.sum(), True), (theirs[one], False)):
                    if count <= 0 or (not is_cause and still[one] <= 0):
                        continue
                    left = (1 - pooled) / still[one] if still[one] > 0 else 0.0
                    if is_cause:
                        ties = 1 - (count - 1) / (weight.sum() * open_before[one] - 1) if count > 1 else 1.0
                        size = ties * open_before[one] * count / (weight.sum() * at_risk[one])
                        lever, move = 1 - left, part[:, one] - (1 - left) * carried[:, one]
                    else:
                        ties = 1 - (count - 1) / (at_risk[one] - 1) if count > 1 else 1.0
                        size = ties * open_before[one] ** 2 * count / at_risk[one] ** 2
                        lever, move = left, -left * carried[:, one]
                    square[one] += lever**2 * size
                    cross[:, one] += move * lever * size
                    total += move[0] ** 2 * size
            ended_before = ended_before + np.where(seen, open_before * ours / risk, 0.0)
            open_before, pooled_before = still, pooled
        at_risk = at_risk - np.array([one.sum() for one in here])
    own = carried[0]
    variance = total + 2 * float(own @ cross[0]) + float(own**2 @ square)
    return float(score**2 / variance)
