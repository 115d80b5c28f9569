"""Each rule of the verdict, and that staleness lowers it by one."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from pipelines.engine.funnel import FUNNEL_SCHEMA, distances, funnel_limits
from pipelines.engine.verdict import Evidence, checks, differ, verdict
from pipelines.policy import DEFAULT_POLICY

GOOD = Evidence(
    has_call=True,
    period_count=12,
    lower=0.95,
    upper=1.02,
    fair_count=9,
    skill_rate=0.3,
    compared_count=11,
    gain_upper=0.2,
    caller_count=40,
    missing_count=0,
    is_stale=False,
)


@pytest.mark.parametrize(
    ("changes", "state", "reasons"),
    [
        ({}, "trust", ("on_record",)),
        ({"lower": 0.92, "upper": 0.97}, "trust", ("on_record",)),
        ({"lower": 0.85, "upper": 0.95}, "trust_with_care", ("runs_high",)),
        ({"lower": 1.05, "upper": 1.15}, "trust_with_care", ("runs_low",)),
        ({"lower": 0.85, "upper": 1.05}, "trust_with_care", ("lean_uncertain",)),
        ({"fair_count": 6}, "trust_with_care", ("scattered",)),
        ({"fair_count": 7}, "trust", ("on_record",)),
        ({"skill_rate": 0.0}, "trust_with_care", ("no_better_than_naive",)),
        ({"skill_rate": None}, "trust_with_care", ("skill_unknown",)),
        ({"compared_count": 3}, "trust_with_care", ("skill_unknown",)),
        ({"caller_count": 36, "missing_count": 4}, "trust", ("on_record",)),
        ({"caller_count": 35, "missing_count": 5}, "trust_with_care", ("missing_calls",)),
        ({"lower": 0.70, "upper": 0.80}, "do_not_rely", ("far_high",)),
        ({"lower": 1.21, "upper": 1.4}, "do_not_rely", ("far_low",)),
        ({"lower": 0.70, "upper": 0.84}, "trust_with_care", ("runs_high",)),
        ({"gain_upper": -0.01}, "do_not_rely", ("worse_than_naive",)),
        ({"gain_upper": -0.01, "compared_count": 5}, "trust", ("on_record",)),
        ({"is_stale": True}, "trust_with_care", ("stale",)),
        ({"is_stale": True, "fair_count": 5}, "do_not_rely", ("stale", "scattered")),
        ({"has_call": False}, "trust", ("no_call_now",)),
        ({"period_count": 3}, "not_enough_history", ("few_periods",)),
        ({"period_count": 3, "is_stale": True}, "not_enough_history", ("few_periods",)),
        ({"lower": None, "upper": None}, "not_enough_history", ("nothing_called",)),
        ({"lower": None, "upper": None, "nothing_landed": True}, "do_not_rely", ("nothing_landed",)),
        ({"lower": None, "nothing_landed": True, "period_count": 3}, "not_enough_history", ("few_periods",)),
        ({"has_call": False, "period_count": 0}, "not_enough_history", ("no_calls",)),
        ({"range_verdict": "consistent"}, "trust", ("on_record",)),
        ({"range_verdict": "too_few"}, "trust", ("on_record",)),
        ({"range_verdict": "too_wide"}, "trust", ("on_record",)),
        ({"range_verdict": "too_narrow"}, "trust_with_care", ("range_failed",)),
        ({"range_verdict": "too_narrow", "is_stale": True}, "do_not_rely", ("stale", "range_failed")),
        ({"fair_count": 3, "skill_rate": -0.1}, "trust_with_care", ("scattered", "no_better_than_naive")),
    ],
)
def test_rules(changes: dict[str, object], state: str, reasons: tuple[str, ...]) -> None:
    found = verdict(replace(GOOD, **changes), DEFAULT_POLICY)  # type: ignore[arg-type]
    assert (found.state, found.reasons) == (state, reasons)


@pytest.mark.parametrize(
    ("p_value", "status", "count", "periods", "expected"),
    [
        (0.01, "ok", 40, 12, "differ"),
        (0.05, "ok", 40, 4, "differ"),
        (0.06, "ok", 40, 12, "no_evidence"),
        (0.01, "ok", 40, 3, "too_little"),
        (None, "ok", 40, 12, "too_little"),
        (0.01, "one_forecaster", 1, 12, "too_little"),
        (0.01, "not_enough_history", 40, 12, "too_little"),
    ],
)
def test_differing_needs_evidence(p_value: float | None, status: str, count: int, periods: int, expected: str) -> None:
    found = differ(
        heterogeneity_p_value=p_value,
        between_status=status,
        forecaster_count=count,
        period_count=periods,
        policy=DEFAULT_POLICY,
    )
    assert found == expected


def test_funnel_by_pencil() -> None:
    # at an error of 0.5 and 80 %: z = 1.281552, exp(0.640776) = 1.897953; 0.9 ÷ and × that
    limits = funnel_limits(pl.Series([0.5, 0.1, None]), common=0.9, level=0.8, points=3)
    assert limits["own_error_rate"].to_list() == [0.0, 0.25, 0.5]
    assert limits.row(0) == (0.0, 0.9, 0.9)
    assert limits.row(2)[1:] == pytest.approx((0.474195, 1.708158), abs=1e-6)


def test_funnel_without_errors_is_empty() -> None:
    assert dict(funnel_limits(pl.Series([None], dtype=pl.Float64), common=0.9, level=0.8).schema) == FUNNEL_SCHEMA
    assert funnel_limits(pl.Series([0.0]), common=0.9, level=0.8).is_empty()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"lean": True, "close": True, "skill": True, "complete": True, "fresh": True}),
        ({"lower": 0.5, "upper": 0.6, "fair_count": 1}, {"lean": False, "close": False}),
        ({"skill_rate": -0.1}, {"skill": False}),
        ({"lower": None, "upper": None, "fair_count": 0}, {"lean": None, "close": False, "skill": True}),
        ({"skill_rate": None}, {"skill": None, "lean": True}),
        ({"has_call": False}, {"complete": None}),
        ({"is_stale": True}, {"fresh": False, "lean": True}),
        ({"period_count": 2}, {"lean": None, "close": None, "skill": None, "complete": True, "fresh": True}),
    ],
)
def test_each_condition_is_judged_alone(changes: dict[str, object], expected: dict[str, bool | None]) -> None:
    found = {check.name: check.holds for check in checks(replace(GOOD, **changes), DEFAULT_POLICY)}  # type: ignore[arg-type]
    assert {name: found[name] for name in expected} == expected
    assert list(found) == ["lean", "close", "skill", "complete", "fresh"]


def test_how_far_out_of_the_funnel() -> None:
    rates = pl.DataFrame({"landing_rate": [0.9, 0.5, 1.6, 0.0, None], "own_error_rate": [0.1, 0.2, 0.5, 0.1, 0.1]})
    found = distances(rates, common=0.9, level=0.8)["distance"].to_list()
    # ln(0.5/0.9) = -0.587787 over 1.281552 × 0.2; ln(1.6/0.9) = 0.575364 over 1.281552 × 0.5; nothing landed has no log
    assert found[:3] == pytest.approx([0.0, 2.293264, 0.897918], abs=1e-5)
    assert found[3:] == [None, None]
    assert distances(rates, common=0.0, level=0.8)["distance"].null_count() == 5
