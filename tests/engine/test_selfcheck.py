"""The self-check: the shape it takes from a company, what it finds on companies like it, what it says and refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipelines.engine import selfcheck as module
from pipelines.engine.bias import forecaster_bias
from pipelines.engine.selfcheck import Shape, draw, in_words, judged, selfcheck, shape_in_words, shape_of
from pipelines.policy import DEFAULT_POLICY, Policy
from pipelines.process_contracts import SELFCHECK_MEASURES, Selfcheck
from tests.engine.records_made import pairs_of

LEAN, SPREAD, SHOCK, NOISE = -0.12, 0.25, 0.15, 0.30


def planted(
    forecasters: int, quarters: int, seed: int = 1, *, layer: str = "rep", category: str = "commit"
) -> pl.DataFrame:
    """Closed pairs of a company whose shape is known; its noise is lognormal, not the gamma that the check draws."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(LEAN, SPREAD, forecasters)
    shock = rng.normal(-(SHOCK**2) / 2, SHOCK, quarters)
    call = rng.uniform(80_000, 120_000, (forecasters, quarters))
    sigma = np.sqrt(np.log1p(NOISE**2))
    noise = rng.lognormal(-(sigma**2) / 2, sigma, call.shape)
    actual = call * np.exp(theta[:, None] + shock) * noise
    records = {
        f"f{who:03d}": list(zip(call[who].round(2).tolist(), actual[who].round(2).tolist(), strict=True))
        for who in range(forecasters)
    }
    return pairs_of(records, won_count=9, layer=layer, category=category)


def shape(pairs: pl.DataFrame) -> Shape:
    part = judged(pairs, DEFAULT_POLICY)
    assert part is not None
    found = shape_of(part, DEFAULT_POLICY)
    assert found is not None
    return found


def rates(table: pl.DataFrame) -> dict[str, float]:
    return dict(table.select("measure", "hit_rate").iter_rows())


def test_the_planted_shape_is_recovered() -> None:
    found = shape(planted(150, 12))
    assert (found.forecaster_count, found.period_count) == (150, 12)
    assert found.lean == pytest.approx(LEAN, abs=3 * SHOCK / np.sqrt(12))
    assert found.spread == pytest.approx(SPREAD, abs=0.05)
    assert found.shock_sd == pytest.approx(SHOCK, abs=0.08)
    # Without taking the shock out it would be NOISE² + SHOCK², a quarter more.
    assert float(np.mean(found.dispersion)) == pytest.approx(NOISE**2, rel=0.12)


def test_companies_drawn_have_the_shape_they_were_drawn_from() -> None:
    """The same fit on drawn companies gives the shape back, and their calls are this company's own."""
    origin = shape(planted(60, 12, seed=3))
    drawn = [draw(origin, np.random.default_rng(seed), alike=False)[1] for seed in range(30)]
    for name in ("forecaster_id", "period_start_on", "forecast_amount", "won_count"):
        assert drawn[0][name].equals(origin.pairs[name])
    again = [shape(pairs) for pairs in drawn]
    assert float(np.mean([one.spread for one in again])) == pytest.approx(origin.spread, abs=0.04)
    assert float(np.mean([one.lean for one in again])) == pytest.approx(origin.lean, abs=0.05)
    assert float(np.mean([one.shock_sd for one in again])) == pytest.approx(origin.shock_sd, abs=0.04)
    typical = float(np.mean([np.mean(one.dispersion) for one in again]))
    assert typical == pytest.approx(float(np.mean(origin.dispersion)), rel=0.1)


def test_noise_follows_the_variance_law_and_is_skewed_upwards() -> None:
    small, large = 40_000.0, 160_000.0
    quarters = [(small, small * 1.1), (large, large * 0.9)] * 4
    pairs = pairs_of({"a": quarters, "b": [(call, call * 0.95) for call, _ in quarters]}, won_count=9)
    found = replace(shape(pairs), shock_sd=0.0)
    landed = np.array(
        [draw(found, np.random.default_rng(seed), alike=True)[1]["actual_amount"] for seed in range(3000)]
    )
    landed = landed.astype(float)[:, :8]
    variance = landed.var(axis=0)
    assert np.sqrt(variance[1::2].mean() / variance[::2].mean()) == pytest.approx((large / small) ** 0.75, rel=0.1)
    assert landed.mean(axis=0) == pytest.approx(np.tile([small, large], 4), rel=0.03)
    standard = (landed - landed.mean(axis=0)) / landed.std(axis=0)
    assert float((standard**3).mean()) > 0.02


def test_the_same_seed_finds_the_same_whatever_the_order_of_rows() -> None:
    pairs = planted(8, 8)
    first = selfcheck(pairs, DEFAULT_POLICY, companies=6, seed=1)
    assert selfcheck(pairs.sample(fraction=1.0, shuffle=True, seed=5), DEFAULT_POLICY, companies=6, seed=1).equals(
        first
    )
    assert not selfcheck(pairs, DEFAULT_POLICY, companies=6, seed=2).equals(first)
    assert first.columns == list(Selfcheck.columns())
    Selfcheck.validate(first)


def test_ranges_hold_what_they_promise_on_companies_of_this_shape() -> None:
    table = selfcheck(planted(16, 8), DEFAULT_POLICY, companies=60, seed=1)
    found = rates(table)
    assert 0.72 < found["forecaster_range"] < 0.88
    assert 0.65 < found["company_range"] < 0.95
    assert found["wrong_way"] < 0.10
    assert found["leans_found"] > 0.3
    assert found["alike_unnamed"] > 0.8
    for row in table.iter_rows(named=True):
        assert row["lower"] < row["hit_rate"] < row["upper"] or row["hit_rate"] in (0.0, 1.0)


def _narrow(pairs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """An engine whose ranges are a quarter as wide as they should be."""
    middle = pl.col("estimate").log()
    return forecaster_bias(pairs, policy).with_columns(
        *((middle + (pl.col(end).log() - middle) / 4).exp().alias(end) for end in ("lower", "upper"))
    )


def _backwards(pairs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """An engine that names the opposite lean."""
    swap = {"runs_high": "runs_low", "runs_low": "runs_high"}
    return forecaster_bias(pairs, policy).with_columns(pl.col("direction").replace(swap))


def _accusing(pairs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """An engine that names everybody."""
    return forecaster_bias(pairs, policy).with_columns(direction=pl.lit("runs_high"))


@pytest.mark.parametrize(
    ("engine", "measure", "most", "words"),
    [
        (_narrow, "forecaster_range", 0.4, "That is too few"),
        (_backwards, "leans_found", 0.05, "Of 100 forecasters who lean by more than 15 %"),
        (_accusing, "alike_unnamed", 0.0, "0 see nobody named"),
    ],
)
def test_an_engine_that_errs_is_found_out(
    engine: Callable[[pl.DataFrame, Policy], pl.DataFrame],
    measure: str,
    most: float,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "forecaster_bias", engine)
    table = selfcheck(planted(10, 8), DEFAULT_POLICY, companies=20, seed=1)
    assert rates(table)[measure] <= most
    if engine is _backwards:
        assert rates(table)["wrong_way"] > 0.9
        assert any("hold a name lightly" in sentence for _, _, sentence in in_words(table))
    assert any(words in sentence for _, _, sentence in in_words(table))


@pytest.mark.parametrize(
    ("forecasters", "quarters", "status"),
    [(6, 3, "not_enough_history"), (1, 8, "one_forecaster"), (7, 8, "too_many_forecasters")],
)
def test_too_little_and_too_much_give_a_status_and_no_number(forecasters: int, quarters: int, status: str) -> None:
    table = selfcheck(planted(forecasters, quarters), DEFAULT_POLICY, companies=5, seed=1, most_forecasters=6)
    assert table["status"].unique().to_list() == [status]
    assert table.select("hit_count", "trial_count", "hit_rate", "lower", "upper").null_count().row(0) == (6,) * 5
    assert table["forecaster_count"][0] == forecasters
    assert table["period_count"][0] == quarters
    Selfcheck.validate(table)


def test_without_a_closed_call_there_is_no_shape() -> None:
    for pairs in (planted(2, 4).clear(), pairs_of({"a": [(100.0, None)] * 5})):
        table = selfcheck(pairs, DEFAULT_POLICY, companies=5, seed=1)
        assert table["status"].to_list() == ["no_call"] * 6
        assert table["layer"].null_count() == 6


def test_the_calls_with_most_history_are_judged() -> None:
    few, many = planted(3, 6, layer="manager"), planted(5, 6, category="best_case")
    found = judged(pl.concat([few, many]), DEFAULT_POLICY)
    assert found is not None
    assert (found.layer, found.category) == ("rep", "best_case")
    equal = judged(pl.concat([planted(5, 6), many, planted(5, 6, layer="manager")]), DEFAULT_POLICY)
    assert equal is not None
    assert (equal.layer, equal.category) == ("rep", "commit")


def test_somebody_who_landed_nothing_and_calls_of_zero_are_drawn_too() -> None:
    odd = pairs_of({"nil": [(90_000.0, 0.0)] * 8, "off": [(0.0, 5_000.0), *[(80_000.0, 70_000.0)] * 7]}, won_count=9)
    table = selfcheck(pl.concat([planted(6, 8), odd]), DEFAULT_POLICY, companies=5, seed=1)
    assert table["status"].unique().to_list() == ["ok"]
    assert table["forecaster_count"][0] == 8


def _said(**changes: object) -> pl.DataFrame:
    """A finished check, made by hand: 200 companies of 40 forecasters, every share one half unless said."""
    aims = {"forecaster_range": 0.8, "company_range": 0.8, "wrong_way": 0.05, "alike_unnamed": 0.9}
    base = {
        "layer": "rep",
        "category": "most_likely",
        "company_count": 200,
        "forecaster_count": 40,
        "period_count": 12,
        "hit_count": 640,
        "trial_count": 8000,
        "hit_rate": 0.79,
        "lower": 0.774,
        "upper": 0.806,
        "level": 0.95,
        "status": "ok",
    }
    rows = [{"measure": name, **base, "aim_rate": aims.get(name), **changes} for name in SELFCHECK_MEASURES]
    return pl.DataFrame(rows, schema={name: column.dtype for name, column in Selfcheck.columns().items()})


def _sentence(measure: str, **changes: object) -> str:
    return in_words(_said(**changes))[SELFCHECK_MEASURES.index(measure)][2]


@pytest.mark.parametrize(
    ("measure", "changes", "words"),
    [
        ("forecaster_range", {}, "Of 100 ranges meant to hold 80, 79 held (77 to 81 with 95 % confidence)."),
        (
            "company_range",
            {"hit_rate": 0.7, "lower": 0.65, "upper": 0.75},
            "Of 100 ranges for the company meant to hold 80, 70 held (65 to 75 with 95 % confidence). "
            "That is too few: read these ranges as a little too narrow.",
        ),
        (
            "forecaster_range",
            {"hit_rate": 0.998, "lower": 0.99, "upper": 1.0},
            "Of 100 ranges meant to hold 80, more than 99 held (99 to 100 with 95 % confidence). "
            "That is more than meant: these ranges are wider than they need be.",
        ),
        ("leans_named", {}, "3.2 of 40 forecasters in a company."),
        (
            "wrong_way",
            {"hit_rate": 0.01, "lower": 0.0, "upper": 0.02},
            "Of 100 names, 1 points the wrong way (0 to 2 with 95 % confidence); meant are at most 5.",
        ),
        (
            "wrong_way",
            {"hit_rate": 0.004, "lower": 0.001, "upper": 0.02},
            "Of 100 names, fewer than 1 point the wrong way (0 to 2 with 95 % confidence); meant are at most 5.",
        ),
        ("wrong_way", {"trial_count": 0}, "Nobody was named, so no name could point the wrong way."),
        (
            "leans_found",
            {"hit_rate": 0.41, "lower": 0.36, "upper": 0.46},
            "Of 100 forecasters who lean by more than 15 %, 41 are named (36 to 46 with 95 % confidence).",
        ),
        (
            "alike_unnamed",
            {"hit_rate": 0.94, "lower": 0.9, "upper": 0.97},
            "Of 100 companies whose forecasters are all alike and unbiased, 94 see nobody named (90 to 97 with 95 % "
            "confidence); meant are at least 90.",
        ),
    ],
)
def test_what_is_said(measure: str, changes: dict[str, object], words: str) -> None:
    assert _sentence(measure, **changes) == words


def test_the_shape_is_said() -> None:
    assert shape_in_words(_said()) == (
        "200 simulated companies of this shape: 40 forecasters over 12 closed periods, rep layer, most likely calls."
    )
