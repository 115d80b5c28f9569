"""What if: nothing assumed is the issued range; an assumption moves its own deal and nothing else."""

from __future__ import annotations

import base64
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from pipelines.engine.deal_draws import calibrated_chance, shock_draws
from pipelines.engine.landing import landing, seed_of
from pipelines.engine.scenario import (
    Assumption,
    Bench,
    BenchDeal,
    CallModel,
    chance_of,
    make_bench,
    scenario,
)
from pipelines.policy import COMPANY_SCOPE
from tests.benchmarks.planted import planted_company, target_of
from tests.engine.test_landing import SMALL

DRAWS = 4000
INPUTS = planted_company(SMALL, 7, (4,))[4]
NOW = target_of(INPUTS)
LEVEL = 0.8


def bench(*, count: int = 3, sd: float = 0.25, closed: float = 100.0, with_call: bool = False) -> Bench:
    """A book of ``count`` deals worth 100 each and 200 of anything else, drawn as the engine draws."""
    rng = np.random.default_rng(5)
    z = shock_draws(sd, DRAWS, rng)
    amounts = np.full(DRAWS, closed) + rng.gamma(4.0, 50.0, DRAWS)
    deals = {}
    for at, threshold in enumerate(np.linspace(-1.0, 1.0, count)):
        won = rng.standard_normal(DRAWS) < threshold + z
        amounts = amounts + won * 100.0
        chance = float(calibrated_chance(np.array([threshold]), 0.0, z)[0])
        deals[f"d{at}"] = BenchDeal(f"d{at}", 110.0, 100.0, chance, float(threshold), True, float(threshold) - 1, won)
    model = CallModel(-0.1, 0.2, 7.0, 0.0) if with_call else None
    return Bench(closed, 0.5, model, 500.0 if with_call else None, 0.0, amounts, z, deals)


def test_an_issued_range_is_repeated_to_the_cent_for_every_scope() -> None:
    inputs = INPUTS
    result = landing(
        inputs, period_start_on=NOW, week_of_period=4, seed=seed_of("x"), bench_scopes=inputs.scope_members["scope"]
    )
    scopes, draws, deals = result.basis.frames()
    assert scopes.height > 1
    for scope in scopes["scope"]:
        made = make_bench(
            scopes.filter(pl.col("scope") == scope),
            draws.filter(pl.col("scope") == scope),
            draws.drop_nulls("shock"),
            deals,
        )
        issued = result.landing.filter(
            pl.col("scope") == scope, pl.col("method") == "combined", pl.col("level") == LEVEL
        ).row(0, named=True)
        again = scenario(made, [], level=LEVEL)
        for name in ("estimate", "lower", "upper"):
            assert getattr(again, name) == Decimal(str(round(issued[name], 2))).quantize(Decimal("0.01"))
        dots = result.dots.filter(pl.col("scope") == scope).sort("dot")["amount"].round(2)
        assert [float(dot) for dot in again.dots] == dots.to_list()


def test_named_deals_carry_their_own_draws() -> None:
    inputs = INPUTS
    result = landing(inputs, period_start_on=NOW, week_of_period=4, seed=1, bench_scopes=[COMPANY_SCOPE])
    scopes, draws, deals = result.basis.frames()
    made = make_bench(scopes, draws, draws.drop_nulls("shock"), deals)
    assert made.deals
    swings = result.swings.filter(pl.col("scope") == COMPANY_SCOPE)
    for deal in swings.iter_rows(named=True):
        known = made.deals[deal["opportunity_id"]]
        assert known.chance == deal["win_probability_rate"]
        # Won as often as its chance says, within four binomial standard errors.
        error = (known.chance * (1 - known.chance) / DRAWS) ** 0.5
        assert abs(known.won.mean() - known.chance) < 4 * error + 1e-9
        assert known.worth == deal["swing_amount"]


def test_a_scope_that_was_not_asked_for_keeps_no_draws() -> None:
    result = landing(INPUTS, period_start_on=NOW, week_of_period=4, seed=1)
    assert [frame.height for frame in result.basis.frames()] == [0, 0, 0]


def test_by_pencil_a_deal_that_is_out_takes_its_worth_out_of_the_draws_it_had_won() -> None:
    won = np.array([True, False, True, False])
    amounts = np.array([30.0, 20.0, 50.0, 40.0])
    small = Bench(
        0.0, 1.0, None, None, 0.0, amounts, np.zeros(4),
        {"d": BenchDeal("d", 10.0, 10.0, 0.5, 0.0, True, None, won)},
    )  # fmt: skip
    # Without it 20, 20, 40, 40: half way between the second and the third is 30; with it 30, 30, 50, 50: 40.
    assert scenario(small, [Assumption("d", win_rate=0.0)], level=0.5).estimate == Decimal("30.00")
    assert scenario(small, [Assumption("d", win_rate=1.0)], level=0.5).estimate == Decimal("40.00")
    # Half its amount: 25, 20, 45, 40.
    assert scenario(small, [Assumption("d", kept_rate=0.5)], level=0.5).estimate == Decimal("32.50")


def test_what_is_as_it_was_changes_nothing() -> None:
    made = bench(with_call=True)
    before = scenario(made, [], level=LEVEL)
    same = [Assumption("d0"), Assumption("d1", is_due=True), Assumption("d2", kept_rate=1.0)]
    assert scenario(made, same, level=LEVEL) == before


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.4, 0.9, 1.0])
def test_a_deal_is_won_as_often_as_assumed(rate: float) -> None:
    made = bench(sd=0.6)
    for name, deal in made.deals.items():
        shift = _mean(made, [Assumption(name, win_rate=rate)]) - _mean(made, [])
        expected = (rate - deal.won.mean()) * deal.worth
        error = deal.worth * (0.25 / DRAWS) ** 0.5
        assert abs(shift - expected) < 4 * error
        assert chance_of(made, Assumption(name, win_rate=rate)) == rate


def test_the_shock_still_moves_a_changed_deal() -> None:
    """In good draws of the period a deal at 60 % is won more often than in bad ones."""
    from pipelines.engine.scenario import _difference

    made = bench(sd=0.8)
    deal = made.deals["d0"]
    won = (_difference(made, Assumption("d0", win_rate=0.6)) + deal.won * deal.worth) > 0
    good = made.shock > np.median(made.shock)
    assert won[good].mean() > won[~good].mean() + 0.2


@given(low=st.floats(0.01, 0.99), high=st.floats(0.01, 0.99))
def test_more_chance_never_loses_a_draw(low: float, high: float) -> None:
    from pipelines.engine.scenario import _difference

    made = MADE
    low, high = sorted((low, high))
    less, more = (_difference(made, Assumption("d1", win_rate=rate)) for rate in (low, high))
    assert (more >= less).all()


MADE = bench()


def test_a_move_across_the_end_takes_the_odds_of_deals_due_there() -> None:
    made = bench()
    moved = Assumption("d2", is_due=False)
    assert chance_of(made, moved) < made.deals["d2"].chance - 0.2
    assert chance_of(made, moved) == pytest.approx(special.ndtr(made.shock + 0.0).mean(), abs=0.01)
    assert _mean(made, [moved]) < _mean(made, []) - 20
    unknown = replace(made, deals={"d2": replace(made.deals["d2"], threshold_if_moved=None)})
    assert scenario(unknown, [moved], level=LEVEL) == scenario(unknown, [], level=LEVEL)


def test_what_is_won_already_is_never_lost() -> None:
    made = bench(closed=1000.0)
    out = scenario(made, [Assumption(name, win_rate=0.0) for name in made.deals], level=LEVEL)
    assert out.dots[0] >= Decimal("1000.00")


def test_the_call_is_taken_to_have_counted_on_the_deal() -> None:
    """With a call beside them the deals' difference moves the range in full, as it does without one."""
    for name in ("d0", "d1", "d2"):
        alone, both = bench(), bench(with_call=True)
        shifts = []
        for made in (alone, both):
            before, after = (
                scenario(made, [], level=LEVEL),
                scenario(made, [Assumption(name, win_rate=1.0)], level=LEVEL),
            )
            shifts.append(float(after.estimate - before.estimate))
        assert shifts[0] == pytest.approx(shifts[1], abs=0.5), "but for the cents between two draws"


def test_two_assumptions_add_up_in_any_order() -> None:
    made = bench()
    pair = [Assumption("d0", win_rate=1.0), Assumption("d2", win_rate=0.0)]
    assert scenario(made, pair, level=LEVEL) == scenario(made, pair[::-1], level=LEVEL)
    both = _mean(made, pair) - _mean(made, [])
    assert both == pytest.approx(sum(_mean(made, [one]) - _mean(made, []) for one in pair))


def test_an_unknown_deal_is_refused() -> None:
    with pytest.raises(ValueError, match="not among the deals"):
        scenario(bench(), [Assumption("nobody", win_rate=0.0)], level=LEVEL)


def test_a_wider_level_is_wider() -> None:
    narrow, wide = (scenario(MADE, [Assumption("d1", win_rate=0.9)], level=level) for level in (0.5, 0.9))
    assert wide.lower < narrow.lower <= narrow.estimate <= narrow.upper < wide.upper


def test_bits_are_read_back_first_draw_first() -> None:
    won = np.array([True, False, False, True, True, False, False, False, True, False])
    bits = base64.b64encode(np.packbits(won).tobytes()).decode()
    deals = pl.DataFrame(
        {
            "opportunity_id": ["d"], "owner_id": ["o"], "amount": [1.0], "worth_amount": [1.0],
            "win_probability_rate": [0.4], "threshold": [-0.2], "is_due": [True], "threshold_if_moved": [None],
            "won_bits": [bits],
        }
    )  # fmt: skip
    scope = pl.DataFrame(
        {
            "closed_amount": [0.0], "deal_weight": [0.5], "call_correction": [None], "call_scale": [None],
            "call_df": [None], "call_offset": [None], "call_line": [None], "shift": [0.0],
        }
    )  # fmt: skip
    draws = pl.DataFrame({"draw": range(10), "amount": [0.0] * 10, "shock": [0.0] * 10})
    assert make_bench(scope, draws, draws, deals).deals["d"].won.tolist() == won.tolist()


def _mean(made: Bench, assumptions: list[Assumption]) -> float:
    """The mean landing by deals: assumptions are linear in it, medians are not."""
    from pipelines.engine.scenario import _difference

    return float((made.amounts + sum(_difference(made, one) for one in assumptions)).mean())
