"""How far calls were from what landed, against naive: by pencil, axioms, edges."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from pipelines.contracts import Accuracy
from pipelines.engine.accuracy import LAST_YEAR, PREVIOUS, accuracy
from pipelines.policy import DEFAULT_POLICY
from tests.engine.records_made import pairs_of


def rows(pairs: pl.DataFrame) -> list[dict[str, object]]:
    frame = accuracy(pairs, DEFAULT_POLICY)
    Accuracy.validate(frame)
    assert frame.columns == list(Accuracy.columns())
    return list(frame.iter_rows(named=True))


def test_rates_by_pencil() -> None:
    # a calls 120, lands 100; b calls 40, lands 60: Σ|e| = 40, Σe = 0, ΣA = 160.
    # Next quarter a calls 90, lands 100; b calls 100, lands 80: Σ|e| = 30, Σe = 10, ΣA = 180;
    # naive is the quarter before: |100 − 100| + |60 − 80| = 20.
    first, second = rows(pairs_of({"a": [(120, 100), (90, 100)], "b": [(40, 60), (100, 80)]}))
    assert (first["wape_rate"], first["bias_rate"]) == (pytest.approx(40 / 160), pytest.approx(0.0))
    assert (first["naive_wape_rate"], first["skill_rate"], first["status"]) == (None, None, "no_naive")
    assert (second["wape_rate"], second["bias_rate"]) == (pytest.approx(30 / 180), pytest.approx(10 / 180))
    assert second["naive_wape_rate"] == pytest.approx(20 / 180)
    assert second["skill_rate"] == pytest.approx(1 - 30 / 20)
    assert (second["naive_kind"], second["status"], second["forecaster_count"]) == (PREVIOUS, "ok", 2)


def test_the_same_period_last_year_comes_before_the_previous_one() -> None:
    last = rows(pairs_of({"a": [(100, 100), (100, 500), (100, 500), (100, 500), (110, 120)]}))[-1]
    assert (last["naive_kind"], last["naive_wape_rate"]) == (LAST_YEAR, pytest.approx(20 / 120))
    assert last["skill_rate"] == pytest.approx(1 - last["wape_rate"] / last["naive_wape_rate"])


def test_last_year_is_found_in_a_calendar_of_weeks() -> None:
    pairs = pairs_of({"a": [(100, 100), (100, 500), (100, 500), (100, 500), (110, 120)]})
    shifted = pairs.with_columns(
        period_start_on=pl.when(pl.col("period_start_on").dt.year() == 2023)
        .then(pl.col("period_start_on") - timedelta(days=2))
        .otherwise(pl.col("period_start_on"))
    )
    assert rows(shifted)[-1]["naive_kind"] == LAST_YEAR


def test_newcomers_do_not_tilt_skill() -> None:
    alone = pairs_of({"a": [(100, 100), (90, 110)]})
    joined = pl.concat([alone, pairs_of({"new": [(None, None), (500, 100)]})])
    before, after = rows(alone)[-1], rows(joined)[-1]
    assert after["skill_rate"] == before["skill_rate"] == pytest.approx(1 - 20 / 10)
    assert after["wape_rate"] > before["wape_rate"]
    assert after["forecaster_count"] == 2


def test_a_quarter_missed_still_serves_as_naive() -> None:
    first_called = rows(pairs_of({"a": [(None, 100), (90, 110)]}))
    assert len(first_called) == 1
    assert first_called[0]["naive_wape_rate"] == pytest.approx(10 / 110)


def test_a_gap_is_not_the_previous_period() -> None:
    pairs = pairs_of({"a": [(100, 100), (100, 100), (100, 120)]})
    gap = pairs.filter(pl.col("period_start_on") != pairs["period_start_on"][1])
    assert rows(gap)[-1]["naive_kind"] is None


def test_nothing_landed_has_no_rates_and_a_perfect_naive_no_skill() -> None:
    nothing = rows(pairs_of({"a": [(100, 50), (100, 0)]}))[-1]
    assert (nothing["wape_rate"], nothing["bias_rate"], nothing["skill_rate"]) == (None, None, None)
    assert nothing["status"] == "nothing_landed"
    flat = rows(pairs_of({"a": [(100, 50), (100, 50)]}))[-1]
    assert (flat["naive_wape_rate"], flat["skill_rate"], flat["status"]) == (0.0, None, "no_naive")


def test_axioms() -> None:
    pairs = pairs_of({"a": [(120, 100), (90, 100), (70, 80)], "b": [(40, 60), (100, 80), (90, 90)]})
    measured = accuracy(pairs, DEFAULT_POLICY)
    assert accuracy(pairs.sample(fraction=1.0, shuffle=True, seed=1), DEFAULT_POLICY).equals(measured)
    money = pl.col("forecast_amount", "actual_amount", "error_amount")
    scaled = accuracy(pairs.with_columns(money * 1000), DEFAULT_POLICY)
    rates = ["wape_rate", "bias_rate", "naive_wape_rate", "skill_rate"]
    for rate in rates:
        assert scaled[rate].to_list() == pytest.approx(measured[rate].to_list())
    perfect = rows(pairs_of({"a": [(100, 100), (90, 90)]}))[-1]
    assert (perfect["wape_rate"], perfect["bias_rate"], perfect["skill_rate"]) == (0.0, 0.0, 1.0)
    high = rows(pairs_of({"a": [(120, 100)]}))[0]
    low = rows(pairs_of({"a": [(80, 100)]}))[0]
    assert high["bias_rate"] == pytest.approx(0.2)
    assert low["bias_rate"] == pytest.approx(-0.2)


def test_layers_categories_and_weeks_stay_apart_and_open_quarters_out() -> None:
    parts = [
        pairs_of({"a": [(120, 100), (1, None)]}, week=week, layer=layer, category=category, open_last=True)
        for week in (0, 3)
        for layer in ("rep", "manager")
        for category in ("commit", "best_case")
    ]
    frame = accuracy(pl.concat(parts), DEFAULT_POLICY)
    assert len(frame) == 8
    assert set(frame["forecaster_count"]) == {1}
    grain = ["layer", "category", "week_of_period", "period_start_on"]
    assert frame.equals(frame.sort(grain))


def test_nothing_in_gives_nothing_out() -> None:
    assert rows(pairs_of({})) == []
    assert rows(pairs_of({"a": [(None, 5)]})) == []
