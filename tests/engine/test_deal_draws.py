"""Draws of what open deals land: six proofs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from pipelines.engine.coverage import interval_score
from pipelines.engine.deal_draws import (
    LARGEST_SHOCK,
    AmountChange,
    OpenDeals,
    PastBusiness,
    PastPeriod,
    draw_deals,
    draw_new_business,
    estimate_shock,
    probit,
    shock_draws,
    solve_shift,
)
from pipelines.engine.landing import fit_call
from pipelines.engine.landing_tables import quantile_at

AS_IT_WAS = AmountChange(np.ones(1), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64))


def _totals(p: list[float], a: list[float], z: np.ndarray, delta: float = 0.0) -> np.ndarray:
    zeros = np.zeros(len(p), dtype=np.int64)
    deals = OpenDeals(zeros, zeros, np.array(a, dtype=float), special.ndtri(np.array(p)))
    keep = np.zeros(len(p), dtype=bool)
    rng = np.random.default_rng(1)
    return draw_deals(deals=deals, change=AS_IT_WAS, z=z, delta=delta, owner_count=1, rng=rng, keep=keep)[0][0]


# By pencil


def test_shock_of_five_periods_by_hand() -> None:
    """One deal of 100 at odds one half in each of five periods, E = 50; landed 60, 40, 50, 70, 30: R = 1.

    Residuals 10, −10, 0, 20, −20: Σ² = 1000, × 5/4 = 1250. Chance: 5 · (½·square − 50²), with square = 2·(2500+40) that
    is 5 · 40 = 200. Relative variance (1250 − 200) / (5·2500) = 0.084. Elasticity 100·φ(0)/50 = 0.797885.
    """
    half, size, square = np.array([0.5]), np.array([100.0]), np.array([2 * 2540.0])
    past = [PastPeriod(half, size, square, landed, 0.0, 0.0, 0.0) for landed in (60.0, 40.0, 50.0, 70.0, 30.0)]
    shock = estimate_shock(past)
    assert (shock.raw_correction, shock.correction) == (0.0, 0.0)
    assert shock.relative_sd == pytest.approx(0.084**0.5)
    assert shock.elasticity == pytest.approx(0.7978845608)
    assert shock.sd == pytest.approx(0.084**0.5 / 0.7978845608 * (4 / 2 * 6 / 5) ** 0.5)


def test_correction_is_shrunk_by_n_over_n_plus_two() -> None:
    past = [PastPeriod(np.array([0.5]), np.array([100.0]), np.array([10000.0]), 40.0, 0.0, 0.0, 0.0)] * 6
    shock = estimate_shock(past)
    assert shock.raw_correction == pytest.approx(np.log(0.8))
    assert shock.correction == pytest.approx(6 / 8 * np.log(0.8))
    assert shock.sd == 0.0


# By the literature


def test_deals_alone_are_a_poisson_binomial() -> None:
    """R PoissonBinomial 1.2.5: pgpbinom(probs, val_p = amounts, val_q = 0)."""
    p = [0.9, 0.75, 0.6, 0.5, 0.35, 0.2, 0.1]
    total = _totals(p, [10, 25, 40, 15, 60, 80, 120], np.zeros(200_000))
    assert total.mean() == pytest.approx(108.25, abs=0.5)
    assert total.var() == pytest.approx(3705.4375, rel=0.015)
    assert (total >= 150).mean() == pytest.approx(0.2577525, abs=0.004)
    expected = {0.05: 25, 0.1: 35, 0.25: 65, 0.5: 90, 0.75: 150, 0.9: 195, 0.95: 230}
    for level, amount in expected.items():
        assert np.quantile(total, level) == pytest.approx(amount, abs=5.01)


# By another road


def test_shift_preserves_the_corrected_mean_over_the_shock() -> None:
    """Against numerical integration over the t5 density, deal by deal."""
    rng = np.random.default_rng(2)
    p, amount = rng.beta(1, 3, 300), rng.lognormal(10, 1, 300)
    z = shock_draws(0.35, 20_000, rng)
    shift = solve_shift(special.ndtri(p), amount, z, -0.2)
    nodes = stats.t.ppf((np.arange(4000) + 0.5) / 4000, 5) * 0.35 * np.sqrt(3 / 5)
    mean = (special.ndtr(special.ndtri(p)[:, None] - shift.delta + nodes) @ np.full(4000, 1 / 4000)) @ amount
    assert mean == pytest.approx(np.exp(-0.2) * (p @ amount), rel=2e-3)
    assert shift.delta > 0  # a negative correction lowers the odds
    assert shift.scale.mean() == pytest.approx(1.0)


def test_variance_with_shock_is_chance_plus_common() -> None:
    """Var T = E[Σ p(z)(1−p(z))a²] + Var[Σ p(z)a], by integration over z."""
    p, a = [0.3] * 200, [10.0] * 200
    z = shock_draws(0.3, 40_000, np.random.default_rng(3))
    total = _totals(p, a, z)
    given_z = special.ndtr(special.ndtri(0.3) + z)
    assert total.var() == pytest.approx((200 * 100 * given_z * (1 - given_z)).mean() + (2000 * given_z).var(), rel=0.03)


def test_amount_changes_follow_their_stage() -> None:
    change = AmountChange.of(np.array([0] * 10 + [1] * 10), np.array([2.0] * 10 + [0.5] * 10), 3)
    np.testing.assert_allclose(change.moments()[0], [2, 0.5, 1.25])  # the third stage never won: all together
    drawn = change.draw(np.array([0, 1, 0, 1]), np.random.default_rng(1), np.ones(4, dtype=np.int64))
    np.testing.assert_allclose(drawn, [2, 0.5, 2, 0.5])


def test_new_business_repeats_past_periods_and_keeps_the_company_total() -> None:
    past = PastBusiness(np.array([0, 1, -1]), np.array([0, 0, 1]), np.array([10.0, 30, 70]), np.array([1.0, 2.0]))
    total = np.zeros((3, 1000))
    draw_new_business(
        past=past,
        total=total,
        recipients=np.array([0, 1, 2]),
        scale=np.ones(1000),
        own_share=0.5,
        rng=np.random.default_rng(4),
    )
    values, counts = np.unique(total.sum(axis=0), return_counts=True)
    assert values.tolist() == [40, 140]  # the second period at today's doubled pace
    assert counts.tolist() == [500, 500]
    assert (total[2] > 0).any()  # another person may have the luck


# By axiom


@settings(max_examples=40, deadline=None)
@given(
    p=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=30),
    correction=st.floats(-1, 1),
    sd=st.floats(0, 1),
)
def test_shift_moves_the_mean_the_way_it_should(p: list[float], correction: float, sd: float) -> None:
    z = shock_draws(sd, 500, np.random.default_rng(1))
    x, money = special.ndtri(np.array(p)), np.ones(len(p))
    more = solve_shift(x, money, z, correction + 0.1)
    less = solve_shift(x, money, z, correction)
    assert more.delta <= less.delta + 1e-9
    assert np.isfinite([more.delta, less.delta]).all()


# By simulation


def _one_factor_company(seed: int, n: int, deals: int) -> list[tuple[str, float, float, float]]:
    """(method, lower, upper, actual) of a company with a planted probit shock of .25 and odds set far too high."""
    rng = np.random.default_rng(seed)
    past, calls, actuals, book = [], [], [], None
    lean = rng.normal(0.15, 0.1)
    for _ in range(n + 1):
        p = rng.beta(2, 3, deals)
        amount = rng.lognormal(0, 1, deals)
        won = rng.random(deals) < special.ndtr(special.ndtri(p) + rng.normal(0, 0.25))
        stated = special.ndtr(special.ndtri(p) + 0.35)
        calls.append(float(p @ amount) * np.exp(lean + rng.normal(0, 0.12)))
        actuals.append(float(won @ amount))
        past.append(PastPeriod(stated, amount, amount**2, actuals[-1], 0.0, 0.0, 0.0))
        book = OpenDeals(np.zeros(deals, dtype=np.int64), np.zeros(deals, dtype=np.int64), amount, probit(stated))
    assert book is not None
    shock = estimate_shock(past[:-1])
    z = shock_draws(shock.sd, 1000, rng)
    shift = solve_shift(book.x, book.amount, z, shock.correction)
    keep = np.zeros(deals, dtype=bool)

    def draws(z: np.ndarray, delta: float) -> np.ndarray:
        found = draw_deals(deals=book, change=AS_IT_WAS, z=z, delta=delta, owner_count=1, rng=rng, keep=keep)
        return np.sort(found[0][0])

    ends, level = np.array([0.1, 0.9]), (np.arange(1000) + 0.5) / 1000
    call, actual = np.array(calls[:-1]), np.array(actuals[:-1])
    ours = draws(z, shift.delta)
    corrected = fit_call(call, actual, 0.15).quantiles(calls[-1], level)
    blind = np.sqrt(np.square(np.log(actual / call)).mean() * (1 + 1 / n))
    ranges = {
        "deals": quantile_at(ours, ends),
        "call": quantile_at(corrected, ends),
        "combined": quantile_at((ours + corrected) / 2, ends),
        "independent": quantile_at(draws(0 * z, 0.0), ends),
        "raw call": calls[-1] * np.exp(blind * special.stdtrit(n, ends)),
    }
    return [(name, float(low), float(high), actuals[-1]) for name, (low, high) in ranges.items()]


@pytest.mark.parametrize("n", [5, 12])
def test_planted_shock_and_misset_odds_are_covered(n: int) -> None:
    """300 companies of 280 deals; 80 % must cover 76 to 88 % (binomial standard error 2.3 points)."""
    rows = [row for seed in range(300) for row in _one_factor_company(1000 * n + seed, n, 280)]
    frame = pl.DataFrame(rows, orient="row", schema=["method", "lower", "upper", "actual"])
    frame = frame.with_columns(
        inside=pl.col("actual").is_between("lower", "upper"),
        score=pl.Series(interval_score(frame["actual"], frame["lower"], frame["upper"], 0.8)),
    )
    found = frame.group_by("method").agg(pl.col("inside").mean(), pl.col("score").mean())
    covered = dict(found.select("method", "inside").iter_rows())
    score = dict(found.select("method", "score").iter_rows())
    for method in ("deals", "call", "combined"):
        assert 0.76 <= covered[method] <= 0.88, (method, covered)
    assert score["combined"] < 0.95 * score["raw call"]
    assert score["combined"] < 0.95 * score["independent"]
    assert covered["independent"] < 0.5  # what the shock is for


# At the edges


def test_no_deals_and_no_money_leave_nothing_to_shift() -> None:
    z = shock_draws(0.2, 100, np.random.default_rng(1))
    shift = solve_shift(np.zeros(0), np.zeros(0), z, 0.3)
    assert shift.delta == 0
    assert (shift.scale == 1).all()


def test_periods_in_which_nothing_landed_keep_every_number_finite() -> None:
    past = [PastPeriod(np.array([0.2]), np.array([100.0]), np.array([1e4]), 0.0, 0.0, 0.0, 0.0)] * 5
    shock = estimate_shock(past)
    assert shock.raw_correction == pytest.approx(-np.log(4))  # the stop: a fault in the data, not a lean
    assert np.isfinite([shock.correction, shock.sd]).all()
    empty = [PastPeriod(np.zeros(0), np.zeros(0), np.zeros(0), 0.0, 0.0, 0.0, 0.0)] * 5
    assert (estimate_shock(empty).correction, estimate_shock(empty).sd) == (0.0, 0.0)


def test_certain_odds_stay_half_an_observation_from_certainty() -> None:
    np.testing.assert_allclose(special.ndtr(probit(np.array([0.0, 1.0]), np.array([49.0, 49.0]))), [0.01, 0.99])


def test_blocks_do_not_change_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deals handled three at a time: totals per owner still have the right means."""
    monkeypatch.setattr("pipelines.engine.deal_draws.CELLS_AT_ONCE", 3 * 20_000)
    owner = np.array([0, 0, 1, 1, 1, 3, 3])
    deals = OpenDeals(owner, np.zeros(7, dtype=np.int64), np.arange(1.0, 8.0), special.ndtri(np.full(7, 0.4)))
    total, bits = draw_deals(
        deals=deals,
        change=AS_IT_WAS,
        z=np.zeros(20_000),
        delta=0.0,
        owner_count=4,
        rng=np.random.default_rng(5),
        keep=owner == 3,
    )
    np.testing.assert_allclose(total.mean(axis=1), 0.4 * np.array([3, 12, 0, 13]), atol=0.12)
    won = np.unpackbits(bits, axis=1, count=20_000)
    np.testing.assert_array_equal(total[3], np.array([6.0, 7.0]) @ won)


def test_certain_deals_that_fail_do_not_blow_the_shock_up() -> None:
    """Odds of nearly 1 hardly move with a shock; that they failed in one period is no shock of hundreds."""
    sure = np.full(12, 0.999)
    past = [PastPeriod(sure, np.ones(12), np.ones(12), landed, 0.0, 0.0, 0.0) for landed in (12, 12, 3, 12, 12, 12)]
    shock = estimate_shock(past)
    assert shock.sd == LARGEST_SHOCK
    shift = solve_shift(probit(sure), np.ones(12), shock_draws(shock.sd, 400, np.random.default_rng(1)), 0.0)
    assert np.isfinite(shift.delta)
