"""Closed pairs of one layer, category and week as arrays: the records the engine measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.policy import Policy

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LOCK_BUCKET = "lock"

GROUP = ("layer", "category", "week_of_period")


@dataclass(frozen=True)
class Slice:
    """All ``forecast_pairs`` rows of one layer, category and week, sorted by forecaster and period."""

    layer: str
    category: str
    week_of_period: int
    rows: pl.DataFrame

    @property
    def closed(self) -> pl.DataFrame:
        """The rows that count: period closed, call and actual both known. A missing call is not a call of zero."""
        return self.rows.filter(is_closed_pair())


def is_closed_pair() -> pl.Expr:
    return (
        (pl.col("status") == "closed") & pl.col("forecast_amount").is_not_null() & pl.col("actual_amount").is_not_null()
    )


def slices(pairs: pl.DataFrame, weeks: frozenset[int] | None = None) -> Iterator[Slice]:
    """One ``Slice`` per layer, category and week present (only ``weeks`` if given), in sorted order."""
    chosen = pairs if weeks is None else pairs.filter(pl.col("week_of_period").is_in(sorted(weeks)))
    if chosen.is_empty():
        return
    parts = chosen.partition_by(*GROUP, as_dict=True)
    for key in sorted(parts, key=lambda k: (str(k[0]), str(k[1]), int(str(k[2])))):
        rows = parts[key].sort("forecaster_id", "period_start_on")
        yield Slice(str(key[0]), str(key[1]), int(str(key[2])), rows)


def horizon_weeks(policy: Policy) -> dict[int, str]:
    """Week of the period → name of its horizon bucket; the bucket named ``lock`` is always the lock week."""
    return {policy.lock_week if name == LOCK_BUCKET else week: name for name, week in reversed(policy.horizon_weeks)}


def codes(column: pl.Series) -> tuple[Whole, pl.Series]:
    """Each value's position among the sorted distinct values, and those values."""
    values = column.unique().sort()
    places = pl.DataFrame({"value": values, "code": np.arange(len(values), dtype=np.int64)})
    joined = pl.DataFrame({"value": column}).join(places, on="value", how="left", maintain_order="left")
    return joined["code"].to_numpy(), values


def amounts(column: pl.Series) -> Floats:
    """Money as floats for statistics; sums that are shown stay decimal."""
    return column.cast(pl.Float64).to_numpy().astype(np.float64)


def schema_of(contract: type[dy.Schema]) -> pl.Schema:
    """Column name → dtype of a contract, in its order."""
    return pl.Schema({name: column.dtype for name, column in contract.columns().items()})
