"""Aalen–Johansen with late entry, and win probabilities: six proofs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from pipelines.engine.competing_risks import WON, WinPolicy, aalen_johansen, win_probabilities

VECTORS = Path(__file__).parents[1] / "vectors"


def _random_spells(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 60, n).astype(float)
    leave = entry + rng.integers(1, 80, n)
    return entry, leave, rng.integers(0, 4, n)


# By pencil


def test_five_deals_by_hand() -> None:
    """Ends at 1 (won), 2 (lost), 3 (won); one enters at 1 and is first at risk after it; one stays open till 4.

    t=1: at risk 4 (the late one not yet), won 1/4: F = 1/4, S = 3/4.
    t=2: at risk 4, lost 1/4: S = 3/4·3/4 = 9/16, F_lost = 3/4·1/4 = 3/16.
    t=3: at risk 3, won 1/3: F_won = 1/4 + 9/16·1/3 = 7/16, S = 9/16·2/3 = 3/8.
    """
    curve = aalen_johansen([0, 0, 0, 1, 0], [1, 2, 3, 4, 4], [1, 2, 1, 0, 0])
    assert curve.at_risk.tolist() == [4, 4, 3]
    np.testing.assert_allclose(curve.survival, [3 / 4, 9 / 16, 3 / 8])
    np.testing.assert_allclose(curve.incidence[:, 0], [1 / 4, 1 / 4, 7 / 16])
    np.testing.assert_allclose(curve.incidence[:, 1], [0, 3 / 16, 3 / 16])


def test_window_by_hand() -> None:
    """Of the deals above open at age 1, the chance of a win by age 3: (7/16 − 1/4) / (3/4) = 1/4."""
    spells = _spells([0, 0, 0, 1, 0], [1, 2, 3, 4, 4], ["won", "lost", "won", "open", "open"])
    found = win_probabilities(_deals([1]), spells, 2, WinPolicy(min_events=1, ladder=((("stage",), True),)))
    assert found["win_probability_rate"][0] == pytest.approx(1 / 4)
    assert found.select("spell_count", "event_count", "win_basis", "win_status").row(0) == (4, 2, "stage by age", "ok")


# By another road


def test_equals_statsmodels_without_late_entry() -> None:
    _, leave, cause = _random_spells(1)
    leave[0], cause[0] = leave.max() + 1, 0  # statsmodels divides by zero when nobody is left open
    ours = aalen_johansen(np.zeros(len(leave)), leave, cause, standard_errors=True)
    theirs = CumIncidenceRight(leave, cause)
    assert ours.incidence_se is not None
    at = np.searchsorted(theirs.times, ours.time)
    for k in range(3):
        np.testing.assert_allclose(ours.incidence[:, k], theirs.cinc[k][at], atol=1e-12)
        np.testing.assert_allclose(ours.incidence_se[:, k], theirs.cinc_se[k][at], rtol=1e-6)


def test_standard_error_is_the_derivative_by_each_weight() -> None:
    """The infinitesimal jackknife is Σ (w ∂F/∂w)²: here by moving every weight a little and fitting again."""
    entry, leave, cause = _random_spells(2, 60)
    weights = np.random.default_rng(3).uniform(0.5, 2, 60)
    ours = aalen_johansen(entry, leave, cause, weights=weights, standard_errors=True)
    assert ours.incidence_se is not None
    assert ours.survival_se is not None
    square, square_open = np.zeros_like(ours.incidence), np.zeros_like(ours.survival)
    for i in range(60):
        up, down = weights.copy(), weights.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        high, low = (aalen_johansen(entry, leave, cause, weights=w) for w in (up, down))
        square += (weights[i] * (high.incidence - low.incidence) / 2e-5) ** 2
        square_open += (weights[i] * (high.survival - low.survival) / 2e-5) ** 2
    np.testing.assert_allclose(ours.incidence_se, np.sqrt(square), atol=1e-7)
    np.testing.assert_allclose(ours.survival_se, np.sqrt(square_open), atol=1e-7)


def test_window_equals_quotient_of_curves() -> None:
    entry, leave, cause = _random_spells(4)
    curve = aalen_johansen(entry, leave, cause)
    words = np.array(["open", "won", "lost", "no_decision"])[cause]
    ages = np.arange(5, 90, 7)
    policy = WinPolicy(min_events=1, ladder=((("stage",), True),))
    found = win_probabilities(_deals(ages), _spells(entry, leave, words), 20, policy)["win_probability_rate"]
    for age, ours in zip(ages, found, strict=True):
        open_share, before = curve.at(age)
        _, after = curve.at(age + 20)
        assert ours == pytest.approx((after[WON - 1] - before[WON - 1]) / open_share, abs=1e-12)


# By the literature


def test_left_truncation_equals_survfit() -> None:
    """R survival 3.5-3: survfit(Surv(entry, exit, factor(st)) ~ 1, id = id); 16 deals, three ends, standard errors."""
    data = pl.read_csv(VECTORS / "aj_lefttrunc.csv")
    expected = pl.read_csv(VECTORS / "aj_lefttrunc_expected.csv")
    curve = aalen_johansen(data["entry"], data["exit"], data["st"], standard_errors=True)
    assert curve.incidence_se is not None
    np.testing.assert_array_equal(curve.time, expected["time"])
    np.testing.assert_array_equal(curve.at_risk, expected["nrisk"])
    np.testing.assert_allclose(curve.survival, expected["p_open"], atol=1e-12)
    np.testing.assert_allclose(curve.survival_se, expected["se_open"], atol=1e-12)
    for k, cause in enumerate(("won", "lost", "nodec")):
        np.testing.assert_allclose(curve.incidence[:, k], expected[f"p_{cause}"], atol=1e-12)
        np.testing.assert_allclose(curve.incidence_se[:, k], expected[f"se_{cause}"], atol=1e-12)


def test_mgus2_equals_survfit(shared: Path) -> None:
    """R survival 3.5-3, mgus2 (Kyle et al. 2002): malignancy and death over 1 384 patients, months."""
    data = pl.read_csv(shared / "vectors" / "mgus2_cr.csv")
    curve = aalen_johansen(np.zeros(data.height), data["etime"], data["event"], cause_count=2, standard_errors=True)
    assert curve.incidence_se is not None
    months = [12, 60, 120, 180, 240, 300, 360]
    at = np.searchsorted(curve.time, months, side="right") - 1
    malignancy = [0.009401259345, 0.034103712974, 0.063722168013, 0.087056266351, 0.099813715935]
    malignancy += [0.109151655831, 0.134041644326]
    death = [0.1221854028, 0.3203670103, 0.5318177041, 0.6659230226, 0.7240279761, 0.7627488433, 0.7842082468]
    error = [0.002595155763, 0.004889257908, 0.006796848424, 0.008323386387, 0.009784846793]
    error += [0.011606591807, 0.020127562513]
    np.testing.assert_allclose(curve.incidence[at, 0], malignancy, atol=1e-9)
    np.testing.assert_allclose(curve.incidence[at, 1], death, atol=1e-9)
    np.testing.assert_allclose(curve.incidence_se[at, 0], error, atol=1e-9)


# By axiom


def test_open_and_ended_sum_to_one_and_never_fall() -> None:
    entry, leave, cause = _random_spells(5)
    curve = aalen_johansen(entry, leave, cause, weights=np.random.default_rng(6).uniform(1, 9, 300))
    np.testing.assert_allclose(curve.survival + curve.incidence.sum(axis=1), 1.0, atol=1e-12)
    assert (np.diff(curve.incidence, axis=0) >= 0).all()


def test_order_and_unit_of_weight_do_not_matter() -> None:
    entry, leave, cause = _random_spells(7)
    weights = np.random.default_rng(8).uniform(1, 9, 300)
    shuffle = np.random.default_rng(9).permutation(300)
    one = aalen_johansen(entry, leave, cause, weights=weights, standard_errors=True)
    two = aalen_johansen(
        entry[shuffle], leave[shuffle], cause[shuffle], weights=1000 * weights[shuffle], standard_errors=True
    )
    np.testing.assert_allclose(one.incidence, two.incidence, atol=1e-12)
    np.testing.assert_allclose(one.incidence_se, two.incidence_se, atol=1e-12)


def test_a_spell_cut_in_two_is_the_same_spell() -> None:
    entry, leave, cause = _random_spells(10)
    middle = np.floor((entry + leave) / 2)
    halves = aalen_johansen(
        np.concatenate([entry, middle]), np.concatenate([middle, leave]), np.concatenate([0 * cause, cause])
    )
    np.testing.assert_allclose(halves.incidence, aalen_johansen(entry, leave, cause).incidence, atol=1e-12)


# By simulation


def test_planted_hazards_are_recovered_in_spite_of_late_entry() -> None:
    """Win and loss at constant rates .010 and .015 a day: F_won(100) = .4·(1 − e^−2.5) = .3672."""
    rng = np.random.default_rng(11)
    inside, outside, estimates = 0, 0, []
    truth = 0.4 * (1 - np.exp(-2.5))
    for _ in range(150):
        life = rng.exponential(40, 500)
        entry = np.where(rng.random(500) < 0.5, 0.0, rng.uniform(0, 80, 500))
        cause = np.where(rng.random(500) < 0.4, 1, 2)
        seen = life > entry
        limit = entry + rng.uniform(20, 150, 500)
        curve = aalen_johansen(
            entry[seen],
            np.minimum(life, limit)[seen],
            np.where(life <= limit, cause, 0)[seen],
            cause_count=2,
            standard_errors=True,
        )
        assert curve.incidence_se is not None
        at = np.searchsorted(curve.time, 100) - 1
        estimates.append(curve.incidence[at, 0])
        is_inside = abs(curve.incidence[at, 0] - truth) <= 1.2816 * curve.incidence_se[at, 0]
        inside, outside = inside + is_inside, outside + (not is_inside)
    assert np.mean(estimates) == pytest.approx(truth, abs=0.006)
    assert 0.70 <= inside / (inside + outside) <= 0.90  # 80 % intervals, ± 3 binomial standard errors


def test_ignoring_late_entry_would_inflate_survival() -> None:
    """The guard has teeth: the same data without ``entry`` misses the truth by far."""
    rng = np.random.default_rng(12)
    life, entry = rng.exponential(40, 20_000), rng.uniform(0, 80, 20_000)
    seen = life > entry
    cause = np.ones(int(seen.sum()), dtype=int)
    right = aalen_johansen(entry[seen], life[seen], cause).at(40.0)[0]
    wrong = aalen_johansen(0 * entry[seen], life[seen], cause).at(40.0)[0]
    assert right == pytest.approx(np.exp(-1), abs=0.03)
    assert wrong > 0.6


# At the edges


def _spells(entry: object, leave: object, outcome: object, stage: str = "talks") -> pl.DataFrame:
    frame = pl.DataFrame({"entry_days": entry, "exit_days": leave, "outcome": outcome}, strict=False)
    return frame.with_columns(stage=pl.lit(stage), sales_motion=pl.lit("consultative"), is_due=pl.lit(value=True))


def _deals(ages: object, stage: str = "talks") -> pl.DataFrame:
    frame = pl.DataFrame({"age_days": ages}, strict=False)
    return frame.with_columns(stage=pl.lit(stage), sales_motion=pl.lit("consultative"), is_due=pl.lit(value=True))


def test_no_spells_is_an_empty_curve() -> None:
    curve = aalen_johansen([], [], [], standard_errors=True)
    assert len(curve.time) == 0
    assert curve.at(5.0)[0] == 1.0


def test_no_history_gives_null_and_a_status() -> None:
    found = win_probabilities(_deals([10, 20]), _spells([], [], []).cast({"outcome": pl.String}), 30)
    assert found["win_probability_rate"].to_list() == [None, None]
    assert found["win_status"].to_list() == ["not_enough_history"] * 2
    assert found["win_basis"].to_list() == [None, None]


def test_nine_events_are_too_few_and_ten_enough() -> None:
    for events, status in ((9, "not_enough_history"), (10, "ok")):
        spells = _spells([0] * 20, [30] * 20, ["won"] * events + ["open"] * (20 - events))
        found = win_probabilities(_deals([0]), spells, 30, WinPolicy(ladder=((("stage",), True),)))
        assert found["win_status"][0] == status


def test_a_thin_group_borrows_from_the_coarser_one() -> None:
    thin = _spells([0] * 4, [30] * 4, ["won"] * 4, stage="legal")
    thick = _spells([0] * 60, [30] * 60, ["won"] * 15 + ["lost"] * 45)
    spells = pl.concat([thin, thick])
    found = win_probabilities(_deals([0], "legal"), spells, 30, WinPolicy())
    assert found["win_status"][0] == "coarser_group"
    assert found["win_basis"][0] == "all"
    assert found["win_probability_rate"][0] == pytest.approx(19 / 64)
    own = win_probabilities(_deals([0]), spells, 30, WinPolicy())
    assert own["win_probability_rate"][0] == pytest.approx(15 / 60)
    assert own["win_status"][0] == "ok"


def test_an_age_nobody_reached_falls_back_on_the_stage_without_age() -> None:
    spells = _spells([0] * 60, [30] * 60, ["won"] * 15 + ["lost"] * 45)
    by_age = WinPolicy(ladder=((("stage",), True), (("stage",), False)))
    for policy, basis in ((None, "sales_motion+stage+is_due"), (by_age, "stage")):
        found = win_probabilities(_deals([900]), spells, 30, policy)
        assert found["win_basis"][0] == basis
        assert found["win_probability_rate"][0] == pytest.approx(15 / 60)


def test_old_and_young_deals_have_their_own_odds() -> None:
    young = _spells([10] * 60, [40] * 60, ["won"] * 30 + ["open"] * 30)
    old = _spells([200] * 60, [230] * 60, ["won"] * 12 + ["open"] * 48)
    found = win_probabilities(_deals([10, 200]), pl.concat([young, old]), 30)
    assert found["win_probability_rate"].to_list() == pytest.approx([0.5, 0.2])
    assert found["win_basis"].unique().to_list() == ["sales_motion+stage+is_due+age_band"]


def test_a_rush_at_the_end_is_not_spread_over_ages() -> None:
    """Deals of every age, half of them won on the last day of a 30-day window: the odds are one half.

    A curve over age sees the wins of day 30 among deals that are on their day 1, and says much less.
    """
    ages = np.repeat(np.arange(0, 60), 10)
    spells = _spells(ages, ages + 30, ["won", "open"] * 300)
    by_age = WinPolicy(ladder=((("stage",), True),))
    assert win_probabilities(_deals([20]), spells, 30)["win_probability_rate"][0] == pytest.approx(0.5)
    assert win_probabilities(_deals([20]), spells, 30, by_age)["win_probability_rate"][0] < 0.45


def test_a_lone_early_loss_does_not_poison_later_ages() -> None:
    """One deal at risk at day 1 that is lost there: S is 0 ever after, yet day 50 has plenty of history."""
    spells = _spells([0] + [10] * 40, [1] + [60] * 40, ["lost"] + ["won"] * 10 + ["open"] * 30)
    found = win_probabilities(_deals([50]), spells, 20, WinPolicy(ladder=((("stage",), True),)))
    assert found["win_probability_rate"][0] == pytest.approx(10 / 40)


def test_null_keys_are_a_group_and_null_age_has_no_odds() -> None:
    spells = _spells([0] * 60, [30] * 60, ["won"] * 15 + ["lost"] * 45).with_columns(
        sales_motion=pl.lit(None, dtype=pl.String)
    )
    deals = _deals([0, None]).with_columns(sales_motion=pl.lit(None, dtype=pl.String))
    found = win_probabilities(deals, spells, 30)
    assert found["win_status"].to_list() == ["ok", "not_enough_history"]
