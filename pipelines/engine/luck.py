"""Was the miss luck, and whose error is it over time?

Reads the ``deals`` frame described in ``attribution``, with ``probability_rate`` beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy import stats

from pipelines.engine.attribution import GRAIN, entries_of, placed_under

LUCK_LEVEL = 0.90
"""The range the probabilities allow: nine quarters in ten land inside it if they are right."""


class Luck(dy.Schema):
    """Period × week_of_period × scope: what the called deals' own probabilities allowed.

    ``expected_amount`` Σ p·a over called deals with a probability; ``won_amount`` Σ a of those won; ``lower, upper,
    level`` the allowed range of ``won_amount``. ``direction``: ``inside``, ``below``, ``above``. ``status``: ``ok``,
    ``no_probability`` (no called deal has one), ``certain`` (every probability is 0 or 1: no allowance).
    """

    period_start_on = dy.Date(nullable=False)
    week_of_period = dy.Int64(nullable=False)
    scope = dy.String(nullable=False)
    deal_count = dy.Int64(nullable=False)
    unrated_count = dy.Int64(nullable=False)
    expected_amount = dy.Decimal(18, 2, nullable=True)
    won_amount = dy.Decimal(18, 2, nullable=True)
    allowance_sd_amount = dy.Decimal(18, 2, nullable=True)
    z = dy.Float64(nullable=True)
    lower = dy.Decimal(18, 2, nullable=True)
    upper = dy.Decimal(18, 2, nullable=True)
    level = dy.Float64(nullable=False)
    direction = dy.String(nullable=True)
    status = dy.String(nullable=False)


class ErrorShares(dy.Schema):
    """Forecaster: share of the company's mean squared error over the periods (Euler, equal to the Shapley value).

    ``share_amount2`` = mean(eᵢ·E), in money squared; adds up over forecasters to mean(E²). ``share_rate`` the same over
    the total, can be negative (this forecaster's errors offset the others'). ``latest_error_amount`` eᵢ of the newest
    period: show money for one quarter, never a percentage of a miss that may be near zero.
    """

    forecaster_id = dy.String(nullable=False)
    period_count = dy.Int64(nullable=False)
    share_amount2 = dy.Float64(nullable=False)
    share_rate = dy.Float64(nullable=True)
    latest_error_amount = dy.Decimal(18, 2, nullable=True)


def luck(
    deals: pl.DataFrame,
    members_at_lock: pl.DataFrame,
    scopes: Sequence[str],
    *,
    factor_sd: float,
    level: float = LUCK_LEVEL,
) -> pl.DataFrame:
    """Were the losses within what the deals' own probabilities allow? Frame ``Luck``.

    ``deals`` as above with ``probability_rate``: the chance, at lock, to be won in the period. ``factor_sd``:
    sd (probit) of the shock all deals share; without it the allowance is far too small and every miss looks dramatic.
    Variance of Σ a·won: Σ p(1−p)a² + s²·[(Σ aφ)² − Σ (aφ)²] with φ = φ(Φ⁻¹(p)), the first-order covariance of pairs;
    a single deal's own variance is p(1−p)a² whatever it shares.
    """
    entries = entries_of(deals).filter(pl.col("called_cents") != 0)
    placed = placed_under(entries, "lock_side_id", members_at_lock).filter(pl.col("scope").is_in(list(scopes)))
    rows = []
    ordered = placed.sort(*GRAIN, "scope", "opportunity_id")
    for key, part in ordered.group_by([*GRAIN, "scope"], maintain_order=True):
        rated = part.filter(pl.col("probability_rate").is_not_null())
        row = dict(zip([*GRAIN, "scope"], key, strict=True))
        row |= {"deal_count": part.height, "unrated_count": part.height - rated.height, "level": level}
        rows.append(row | _luck_of(rated, factor_sd, level))
    if not rows:
        return Luck.create_empty()
    return Luck.validate(pl.DataFrame(rows, infer_schema_length=None).select(Luck.column_names()), cast=True)


def _luck_of(rated: pl.DataFrame, factor_sd: float, level: float) -> dict[str, object]:
    names = ("expected_amount", "won_amount", "allowance_sd_amount", "z", "lower", "upper", "direction")
    nothing: dict[str, object] = dict.fromkeys(names)
    if rated.is_empty():
        return nothing | {"status": "no_probability"}
    p = rated["probability_rate"].to_numpy()
    a = rated["called_cents"].to_numpy() / 100
    won = float(a[(rated["outcome"] == "won").to_numpy()].sum())
    expected = float(p @ a)
    sd = float(np.sqrt(landed_variance(p, a, factor_sd)))
    found = {"expected_amount": round(expected, 2), "won_amount": round(won, 2)}
    if sd <= 0:
        return nothing | found | {"status": "certain"}
    half = float(stats.norm.ppf(0.5 + level / 2)) * sd
    z = (won - expected) / sd
    word = "inside" if abs(won - expected) <= half else ("below" if z < 0 else "above")
    return found | {
        "allowance_sd_amount": round(sd, 2),
        "z": z,
        "lower": round(expected - half, 2),
        "upper": round(expected + half, 2),
        "direction": word,
        "status": "ok",
    }


def landed_variance(probability: ArrayLike, amount: ArrayLike, factor_sd: float) -> float:
    """Variance of Σ amount·won when the deals share one probit-normal shock, to first order in its variance."""
    p, a = np.asarray(probability, dtype=float), np.asarray(amount, dtype=float)
    pull = a * stats.norm.pdf(stats.norm.ppf(p))
    return float((p * (1 - p) * a**2).sum() + factor_sd**2 * (pull.sum() ** 2 - (pull**2).sum()))


def error_shares(errors: pl.DataFrame) -> pl.DataFrame:
    """Who the error comes from, over time: frame ``ErrorShares``.

    ``errors``: forecaster × period with ``error_amount`` (forecast − actual; null rows are left out: a period without a
    call is no part of the total). Euler allocation mean(eᵢ·E) of the mean square, E the sum over forecasters; equal to
    the Shapley value (Colini-Baldeschi, Scarsini and Vaccari 2018), so no enumeration is needed.
    """
    known = errors.filter(pl.col("error_amount").is_not_null()).with_columns(
        error=pl.col("error_amount").cast(pl.Float64)
    )
    if known.is_empty():
        return ErrorShares.create_empty()
    periods = known["period_start_on"].n_unique()
    newest = known["period_start_on"].max()
    ordered = known.sort("forecaster_id", "period_start_on")
    with_total = ordered.with_columns(total=pl.col("error").sum().over("period_start_on"))
    shares = with_total.group_by("forecaster_id", maintain_order=True).agg(
        period_count=pl.len().cast(pl.Int64),
        share_amount2=(pl.col("error") * pl.col("total")).sum() / periods,
        latest_error_amount=pl.col("error_amount").filter(pl.col("period_start_on") == newest).first(),
    )
    mean_square = float(shares["share_amount2"].sum())
    rate = pl.col("share_amount2") / mean_square if mean_square > 0 else pl.lit(None, pl.Float64)
    return ErrorShares.validate(shares.with_columns(share_rate=rate).select(ErrorShares.column_names()), cast=True)
