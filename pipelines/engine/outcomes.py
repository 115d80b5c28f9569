"""How deals end: win, loss and no decision by what deals have in common, and the reasons stated for it.

Sources: Wilson (1927); rates compared within periods (Mantel and Haenszel 1959); overdispersion between periods
(McCullagh and Nelder 1989, §4.5); Bonferroni over the values of a cut.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
from scipy import stats

from pipelines.contracts import MONEY
from pipelines.engine.explained import beyond_chance, mantel_haenszel
from pipelines.engine.shares import inflation, wilson
from pipelines.outcome_contracts import OutcomeReasons, WinLoss

OUTCOMES = ("won", "lost", "no_decision")

RECENT_PERIODS = 8
"""Closed periods told: two years of quarters, long enough for a rate and short enough to be still true."""

FEWEST_DEALS = 30
"""Closed deals of a value, and of the rest, before the two are compared."""

FEWEST_PERIODS = 4

FAMILY_ERROR = 0.05
"""Chance that any value of a cut is called better or worse where none is."""

LARGEST_VALUES = 40
OTHERS = "(others together)"
ALL = "all"


def win_loss(closed: pl.DataFrame, cuts: tuple[str, ...], *, level: float) -> pl.DataFrame:
    """**Win, loss, no decision.** ``WinLoss`` of deals closed in the latest eight closed periods.

    A rate is won ÷ (won + lost + no decision), by deals and by money. Its range is Wilson's, over as many deals as
    they are worth: deals of one period share its luck, so where a value's periods differ beyond chance (Pearson X²
    over its degrees of freedom, φ) n deals count as n ÷ φ and a t quantile takes the normal's place. A value is called
    above or below the rest only where the ratio of the two rates within periods is beyond chance at 5 % for all values
    of the cut together; with less than 30 deals on either side, or less than four periods with both, nothing is said.
    Deals that state no value are "not recorded", and are compared with nothing.

    ``closed``: one row per closed deal: ``period_start_on``, ``outcome``, ``amount`` and the columns of ``cuts``. A cut
    that no deal states is left out; of free text the 40 commonest values are told, the rest together.
    """
    latest = _latest(closed)
    if latest.is_empty():
        return WinLoss.create_empty()
    told = [_told(latest.with_columns(value=pl.lit(None, pl.String)), ALL, level)]
    for cut in cuts:
        valued = latest.with_columns(value=_commonest(latest[cut]))
        if valued["value"].is_not_null().any():
            told.append(_told(valued, cut, level))
    return WinLoss.validate(pl.concat(told).select(WinLoss.column_names()), cast=True)


def outcome_reasons(closed: pl.DataFrame, *, level: float) -> pl.DataFrame:
    """**Why deals end as they do.** ``OutcomeReasons``: each stated reason's share of its outcome, with its range.

    Shares are of the deals that state a reason; those that state none are their own row, with their share of all, for
    a reason written on a third of the deals explains a third of them. Ranges as for win rates.
    """
    latest = _latest(closed)
    if latest.is_empty():
        return OutcomeReasons.create_empty()
    rows = []
    for outcome in OUTCOMES:
        ended = latest.filter(pl.col("outcome") == outcome)
        ended = ended.with_columns(reason=_commonest(ended["outcome_reason"]))
        if ended.is_empty():
            continue
        stated = ended.drop_nulls("reason")
        periods = stated.group_by("period_start_on").len().sort("period_start_on")
        money = float(stated["amount"].cast(pl.Float64).sum())
        for (reason,), deals in ended.sort("reason").group_by("reason", maintain_order=True):
            counts = periods.join(deals.group_by("period_start_on").len("k"), on="period_start_on", how="left")
            ends: tuple[float | None, ...] = (None, None, None)
            if reason is not None:
                ends = _rate(_none_is_nothing(counts["k"]), counts["len"].to_numpy(), level)
            amount = deals["amount"].sum()
            rows.append(
                {
                    "outcome": outcome,
                    "reason": reason,
                    "deal_count": deals.height,
                    "amount": amount,
                    "deal_share_rate": deals.height / ended.height,
                    "share_rate": ends[0],
                    "lower": ends[1],
                    "upper": ends[2],
                    "level": level,
                    "amount_share_rate": float(amount) / money if reason is not None and money > 0 else None,
                }
            )
    kinds = {name: column.dtype for name, column in OutcomeReasons.columns().items()}
    return OutcomeReasons.validate(pl.DataFrame(rows, schema=kinds), cast=True)


def _latest(closed: pl.DataFrame) -> pl.DataFrame:
    starts = closed["period_start_on"].unique().sort().to_list()[-RECENT_PERIODS:]
    return closed.filter(pl.col("period_start_on").is_in(starts) & pl.col("outcome").is_in(OUTCOMES))


def _commonest(values: pl.Series) -> pl.Series:
    """Free text bounded: its commonest values, ties by name; the others together; null stays null."""
    counts = values.drop_nulls().value_counts().sort("count", values.name, descending=[True, False])
    if counts.height <= LARGEST_VALUES:
        return values.cast(pl.String)
    kept = counts[values.name].head(LARGEST_VALUES).to_list()
    frame = pl.DataFrame({"value": values})
    bounded = pl.when(pl.col("value").is_null() | pl.col("value").is_in(kept)).then("value").otherwise(pl.lit(OTHERS))
    return frame.select(bounded.cast(pl.String)).to_series()


def _told(deals: pl.DataFrame, cut: str, level: float) -> pl.DataFrame:
    """Every value of one cut, with its rates, its ranges, and whether it stands out."""
    money = [
        pl.col("amount").filter(pl.col("outcome") == outcome).sum().cast(MONEY).alias(f"{outcome}_amount")
        for outcome in OUTCOMES
    ]
    counts = [(pl.col("outcome") == outcome).sum().cast(pl.Int64).alias(f"{outcome}_count") for outcome in OUTCOMES]
    counted = deals.group_by("value", "period_start_on").agg(
        n=pl.len().cast(pl.Int64),
        won=(pl.col("outcome") == "won").sum().cast(pl.Int64),
        none=(pl.col("outcome") == "no_decision").sum().cast(pl.Int64),
    )
    by_period = counted.sort("value", "period_start_on")
    sums = deals.group_by("value").agg(
        *counts,
        *money,
        period_count=pl.col("period_start_on").n_unique().cast(pl.Int64),
        unvalued_count=pl.col("amount").is_null().sum().cast(pl.Int64),
    )
    values = sums.sort("value", nulls_last=True)
    tested = sum(_able(by_period, value) for value in values["value"].drop_nulls())
    rows = []
    for row in values.iter_rows(named=True):
        own = by_period.filter(pl.col("value").eq_missing(pl.lit(row["value"], pl.String)))
        n, won, none = (own[name].to_numpy() for name in ("n", "won", "none"))
        total = sum(float(row[f"{outcome}_amount"]) for outcome in OUTCOMES)
        win_rate, lower, upper = _rate(won, n, level)
        idle_rate, idle_lower, idle_upper = _rate(none, n, level)
        rows.append(
            {
                **row,
                "cut": cut,
                "level": level,
                "win_rate": win_rate,
                "lower": lower,
                "upper": upper,
                "no_decision_rate": idle_rate,
                "no_decision_lower": idle_lower,
                "no_decision_upper": idle_upper,
                "win_amount_rate": float(row["won_amount"]) / total if total > 0 else None,
                **_directions(by_period, row["value"], tested),
            }
        )
    return pl.DataFrame(rows, schema={name: column.dtype for name, column in WinLoss.columns().items()})


def _directions(by_period: pl.DataFrame, value: str | None, tested: int) -> dict[str, str | None]:
    if value is None:
        return {"direction": None, "no_decision_direction": None}
    return {
        "direction": _direction(by_period, value, "won", tested),
        "no_decision_direction": _direction(by_period, value, "none", tested),
    }


def _rate(hits: np.ndarray, trials: np.ndarray, level: float) -> tuple[float, float, float]:
    """A rate over periods with Wilson's range, over as many deals as periods that differ leave of them."""
    k, n = float(hits.sum()), float(trials.sum())
    phi = inflation(hits, trials)
    degrees = float(np.count_nonzero(trials) - 1) if phi > 1 else np.inf
    lower, upper = wilson(k / phi, n / phi, level, degrees)
    return k / n, float(lower), float(upper)


def _able(by_period: pl.DataFrame, value: str) -> bool:
    own, rest = _sides(by_period, value)
    # Only periods with deals on both sides compare anything: a value that another replaced faces it in one or two.
    both = own.join(rest, on="period_start_on", suffix="_rest")
    return both.height >= FEWEST_PERIODS and min(both["n"].sum(), both["n_rest"].sum()) >= FEWEST_DEALS


def _sides(by_period: pl.DataFrame, value: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The value's periods, and those of every other stated value together."""
    stated = by_period.drop_nulls("value")
    others = stated.filter(pl.col("value") != value).group_by("period_start_on").agg(pl.col("n", "won", "none").sum())
    return stated.filter(pl.col("value") == value), others.sort("period_start_on")


def _direction(by_period: pl.DataFrame, value: str, hit: str, tested: int) -> str:
    """``above``, ``below`` or ``like_the_rest``, by the ratio of the two rates within periods: a bad quarter is bad for
    both sides, and cancels."""
    if not _able(by_period, value):
        return "too_few"
    own, rest = _sides(by_period, value)
    both = own.join(rest, on="period_start_on", suffix="_rest").sort("period_start_on")
    strata = both.select("period_start_on", exposed="n", exposed_missed=hit, rest="n_rest", rest_missed=f"{hit}_rest")
    found = mantel_haenszel(*(strata[name].to_numpy() for name in strata.columns[1:]))
    if found is None or found[1] <= 0:
        return "like_the_rest"
    error = sqrt(found[1] * beyond_chance(strata, found[0]))
    threshold = float(stats.t.ppf(1 - FAMILY_ERROR / 2 / tested, both.height - 1)) * error
    return "like_the_rest" if abs(found[0]) <= threshold else "above" if found[0] > 0 else "below"


def _none_is_nothing(counts: pl.Series) -> np.ndarray:
    """A period in which no deal stated this reason has exactly none of it."""
    return np.asarray([0 if count is None else count for count in counts.to_list()], dtype=float)
