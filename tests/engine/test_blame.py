"""The miss in parts: exact, and beside what is usual. ``range by pencil`` is worked out in the test itself."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from pipelines.engine.attribution import CAUSES
from pipelines.engine.blame import PARTS, blame

STARTS = [date(2022 + n // 4, 1 + 3 * (n % 4), 1) for n in range(40)]


def bridges(steps: dict[str, list[float]], calls: list[float], status: str = "ok") -> pl.DataFrame:
    """One bridge per period: cause → amount in each."""
    rows = [
        {
            "period_start_on": STARTS[n],
            "cause": cause,
            "amount": Decimal(str(round(steps[cause][n], 2))) if cause in steps else Decimal(0),
            "call_amount": Decimal(str(called)),
            "status": status,
        }
        for n, called in enumerate(calls)
        for cause in CAUSES
    ]
    return pl.DataFrame(rows, schema_overrides={"amount": pl.Decimal(18, 2), "call_amount": pl.Decimal(18, 2)})


def test_every_cause_is_in_exactly_one_part() -> None:
    named = [cause for causes in PARTS.values() for cause in causes]
    assert sorted(named) == sorted(CAUSES)


def test_parts_add_up_to_the_miss_to_the_cent_whatever_the_order() -> None:
    steps = {cause: [0.1 * (n + 1), -37.33] for n, cause in enumerate(CAUSES)}
    table = bridges(steps, [100, 300])
    found = blame(table, level=0.8, least=4)
    for start in STARTS[:2]:
        whole = table.filter(pl.col("period_start_on") == start)["amount"].sum()
        assert found.filter(pl.col("period_start_on") == start)["amount"].sum() == whole
    shuffled = blame(table.sample(fraction=1, shuffle=True, seed=3), level=0.8, least=4)
    assert found.equals(shuffled)


def test_the_usual_range_by_pencil() -> None:
    """Shares −10, −20, −10, −20 %: mean −15 %, s = √(100/3) % = 5.7735 %; t₃ at 90 % = 1.637744."""
    found = blame(bridges({"lost": [-10, -40, -10, -40, -60]}, [100, 200, 100, 200, 200]), level=0.8, least=4)
    row = found.filter(pl.col("part") == "deals", pl.col("period_start_on") == STARTS[4]).row(0, named=True)
    half = 1.637744 * 0.0577350 * math.sqrt(1.25) * 200
    assert (row["period_count"], row["usual_amount"]) == (4, Decimal("-30.00"))
    assert float(row["lower"]) == pytest.approx(-30 - half, abs=0.01)
    assert float(row["upper"]) == pytest.approx(-30 + half, abs=0.01)
    assert (row["direction"], row["status"]) == ("below", "ok")


def test_only_earlier_periods_say_what_is_usual_and_few_say_nothing() -> None:
    found = blame(bridges({"lost": [-10, -10, -10, -99]}, [100] * 4), level=0.8, least=4)
    assert set(found["status"]) == {"not_enough_history"}
    assert found["direction"].null_count() == found.height
    later = blame(bridges({"lost": [-10, -10, -10, -10, -10, 500]}, [100] * 6), level=0.8, least=4)
    fifth = later.filter(pl.col("part") == "deals").row(4, named=True)
    assert (fifth["usual_amount"], fifth["direction"]) == (Decimal("-10.00"), "inside")
    assert later.filter(pl.col("part") == "deals").row(5, named=True)["direction"] == "above"


def test_a_period_without_a_call_has_no_parts() -> None:
    assert blame(bridges({}, [100], status="no_call"), level=0.8, least=4).is_empty()
    assert blame(bridges({}, [0]), level=0.8, least=4).is_empty()


def test_the_range_holds_the_next_period_as_often_as_it_says() -> None:
    """400 companies of eight quarters alike: 80 % of ninth quarters inside, within three standard errors."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(400):
        shares = rng.normal(-0.2, 0.08, 9)
        found = blame(bridges({"no_decision": list(shares * 1e6)}, [1e6] * 9), level=0.8, least=4)
        last = found.filter(pl.col("part") == "buyers", pl.col("period_start_on") == STARTS[8])
        inside += last["direction"][0] == "inside"
    assert abs(inside / 400 - 0.8) < 3 * math.sqrt(0.16 / 400)
