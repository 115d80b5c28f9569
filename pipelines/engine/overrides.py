"""What people changed on the way up: the override ledger, and what overrides brought by direction and size.

Reads the ``calls`` frame described in ``value_added``. Small and upward overrides are the ones that usually hurt
(Fildes, Goodwin, Lawrence and Nikolopoulos 2009).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import polars as pl

from pipelines.engine.value_added import MIN_PERIODS_VERDICT, VERDICT_LEVEL, paired_difference, verdict
from pipelines.policy import COMPANY_SCOPE
from pipelines.process_contracts import Overrides, OverrideSummary

HUMAN_CHAIN = ("stage_weighted", "rep_rollup", "manager", "executive")
"""Each of these starts from the one before it, so the difference between neighbours is an override."""

SIZE_BANDS = ((0.05, "small"), (0.15, "middle"))
"""An override below 5 % of the call it changes is small, below 15 % middle, else large."""


def override_ledger(calls: pl.DataFrame, chain: Iterable[str] = HUMAN_CHAIN) -> pl.DataFrame:
    """Every call that neighbouring steps of ``chain`` made differently, or left: frame ``Overrides``."""
    keys = ["scope", "week_of_period", "period_start_on"]
    known = calls.filter(pl.col("forecast_amount").is_not_null(), pl.col("actual_amount").is_not_null())
    parts = []
    for reference, step in pairwise(chain):
        before = known.filter(pl.col("step") == reference).select(
            *keys, pl.col("step").alias("reference_step"), pl.col("forecast_amount").alias("reference_amount")
        )
        parts.append(known.filter(pl.col("step") == step).join(before, on=keys))
    change = pl.col("forecast_amount") - pl.col("reference_amount")
    share = pl.when(pl.col("reference_amount") > 0).then(change.cast(pl.Float64) / pl.col("reference_amount"))
    ledger = pl.concat(parts).with_columns(
        adjustment_amount=change,
        adjustment_rate=share.cast(pl.Float64),
        improvement_amount=(pl.col("reference_amount") - pl.col("actual_amount")).abs()
        - (pl.col("forecast_amount") - pl.col("actual_amount")).abs(),
        override_direction=pl.when(change > 0)
        .then(pl.lit("raised"))
        .when(change < 0)
        .then(pl.lit("lowered"))
        .otherwise(pl.lit("unchanged")),
    )
    size = pl.col("adjustment_rate").abs()
    (small, small_word), (middle, middle_word) = SIZE_BANDS
    band = (
        pl.when(size.is_null() | (size == 0))
        .then(None)
        .when(size < small)
        .then(pl.lit(small_word))
        .when(size < middle)
        .then(pl.lit(middle_word))
        .otherwise(pl.lit("large"))
    )
    order = ["week_of_period", "step", "scope", "period_start_on"]
    columns = Overrides.column_names()
    return Overrides.validate(ledger.with_columns(size_band=band).select(columns).sort(order), cast=True)


def override_summary(ledger: pl.DataFrame, *, level: float = VERDICT_LEVEL) -> pl.DataFrame:
    """Overrides by direction and size, and all together: frame ``OverrideSummary``.

    Unchanged calls are no overrides and are left out. A step's teams are summarised where there are any, else the
    company, so that no override counts twice. A verdict needs six periods.
    """
    is_team = pl.col("scope") != COMPANY_SCOPE
    has_teams = is_team.any().over("week_of_period", "step", "reference_step")
    made = ledger.filter(is_team | ~has_teams, pl.col("override_direction") != "unchanged")
    rows = []
    for columns in ((), ("override_direction",), ("size_band",), ("override_direction", "size_band")):
        cut = made.filter(pl.col("size_band").is_not_null()) if "size_band" in columns else made
        keys = ["week_of_period", "step", "reference_step", *columns]
        for key, part in cut.sort("period_start_on").group_by(keys, maintain_order=True):
            label: dict[str, object] = {"override_direction": "all", "size_band": "all"}
            label |= dict(zip(keys, key, strict=True))
            gains = part.group_by("period_start_on").agg(pl.col("improvement_amount").cast(pl.Float64).mean())
            found = paired_difference(gains.sort("period_start_on")["improvement_amount"], level)
            enough = found.count >= MIN_PERIODS_VERDICT
            rows.append(
                label
                | {
                    "override_count": part.height,
                    "helped_count": part.filter(pl.col("improvement_amount") > 0).height,
                    "period_count": found.count,
                    "improvement_amount": part["improvement_amount"].sum(),
                    "mean_amount": _cents(found.mean),
                    "lower_amount": _cents(found.lower),
                    "upper_amount": _cents(found.upper),
                    "level": level,
                    "p_value": found.sign_flip_p_value,
                    "direction": verdict(found) if enough else "not_enough_evidence",
                    "status": "ok" if enough else "not_enough_history",
                }
            )
    if not rows:
        return OverrideSummary.create_empty()
    order = ["week_of_period", "step", "override_direction", "size_band"]
    frame = pl.DataFrame(rows, infer_schema_length=None).select(OverrideSummary.column_names()).sort(order)
    return OverrideSummary.validate(frame, cast=True)


def _cents(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
