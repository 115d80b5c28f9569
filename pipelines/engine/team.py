"""The lean of a scope's calls together, and whether its forecasters differ from each other at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from pipelines.contracts import MONEY, TeamBias
from pipelines.engine.pooling import Evidence, spread_posterior
from pipelines.engine.ratios import Ratios, landing_ratios, shock_variance
from pipelines.engine.records import Slice, amounts, codes, horizon_weeks, schema_of, slices
from pipelines.policy import COMPANY_SCOPE, Policy

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def team_bias(pairs: pl.DataFrame, scope_members: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """One row per scope × layer × category × week_of_period: ``contracts.TeamBias``, sorted by that grain.

    ``pairs``: ``contracts.ForecastPairs``; ``scope_members``: ``contracts.ScopeMembers``, who belonged where in each
    period. Only closed pairs count. A forecaster missing from ``scope_members`` still counts for the company.

    * The scope's calls and actuals are added up per period; with n periods R = ΣA/ΣF and, on the log scale,
      se = √(n/(n−1)·Σ_t(A_t − R·F_t)²) / ΣA; ``estimate`` R, ``lower``, ``upper`` R·e^(∓t·se) with n − 1 degrees of
      freedom. Periods are the clusters: what all share in a period is in the A_t (Cochran 1977). Null below
      ``policy.min_periods_company`` periods; ``standard_error`` is se.
    * ``between_sd``, ``between_lower``, ``between_upper``: median and equal-tailed interval at ``level`` of the
      posterior of τ, the spread of ln(landing rate) between the scope's forecasters beyond chance and beyond the
      shared shock, whose own sd is ``shock_sd``.
    * ``heterogeneity_p_value``: see ``heterogeneity_p_value`` below.
    * These four come for the company at every week, and for other scopes at the weeks of ``policy.horizon_weeks``;
      ``between_status`` is ``ok``, ``one_forecaster``, ``not_enough_history`` (fewer than two forecasters with
      ``policy.min_periods_value`` periods, or too few periods), or ``not_published`` (another scope in another week).
    * ``status``: ``ok``, ``not_enough_history``, ``nothing_landed``, ``no_call``.
    """
    weeks = frozenset(horizon_weeks(policy))
    pairs, members = _named_once(pairs, scope_members)
    # One after the other: thousands of small steps of Python, which two threads would only take turns at.
    frames = [_measure(part, members, part.week_of_period in weeks, policy) for part in slices(pairs)]
    frames = [frame for frame in frames if not frame.is_empty()]
    columns = schema_of(TeamBias)
    if not frames:
        return pl.DataFrame(schema=columns)
    order = ["scope", "layer", "category", "week_of_period"]
    return pl.concat(frames).select(*columns).cast(columns).sort(order)


def _named_once(pairs: pl.DataFrame, scope_members: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs, and the members of every scope but the company, with people and scopes as places in lists of their names:
    in the same order, a hundred times over, places are sorted and joined in a fraction of the time of names."""
    names = pl.concat([pairs["forecaster_id"], scope_members["person_id"]]).unique().sort()
    scopes = pl.concat([scope_members["scope"], pl.Series("scope", [COMPANY_SCOPE])]).unique().sort()
    people = pl.Enum(names)
    members = scope_members.filter(pl.col("scope") != COMPANY_SCOPE).select(
        "period_start_on", forecaster_id=pl.col("person_id").cast(people), scope=pl.col("scope").cast(pl.Enum(scopes))
    )
    return pairs.with_columns(pl.col("forecaster_id").cast(people)), members.unique()


def _measure(part: Slice, members: pl.DataFrame, is_bucket_week: bool, policy: Policy) -> pl.DataFrame:
    """All scopes of one layer, category and week."""
    closed = part.closed.select("forecaster_id", "period_start_on", "forecast_amount", "actual_amount")
    if closed.is_empty():
        return pl.DataFrame(schema=schema_of(TeamBias))
    company = pl.lit(COMPANY_SCOPE).cast(members.schema["scope"]).alias("scope")
    rows = pl.concat(
        [closed.with_columns(company), closed.join(members, on=["period_start_on", "forecaster_id"], how="inner")]
    ).sort("scope", "forecaster_id", "period_start_on")
    summary = _together(rows, policy)
    between = _between(rows, summary, is_bucket_week, policy)
    return summary.join(between, on="scope", how="left", maintain_order="left").with_columns(
        pl.lit(part.layer).alias("layer"),
        pl.lit(part.category).alias("category"),
        pl.lit(part.week_of_period, dtype=pl.Int64).alias("week_of_period"),
    )


def _together(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Per scope: sums, and the period-clustered interval."""
    money = ["forecast_amount", "actual_amount"]
    people = rows.group_by("scope").agg(pl.col("forecaster_id").n_unique().cast(pl.Int64).alias("forecaster_count"))
    by_period = rows.group_by("scope", "period_start_on").agg(pl.col(money).sum()).sort("scope", "period_start_on")
    sums = (
        by_period.group_by("scope")
        .agg(pl.len().cast(pl.Int64).alias("period_count"), pl.col(money).sum().cast(MONEY))
        .join(people, on="scope")
        .sort("scope")
    )
    scope, _ = codes(by_period["scope"])
    called, landed = amounts(by_period["forecast_amount"]), amounts(by_period["actual_amount"])
    rate, any_error = clustered_rate(scope, called, landed)
    n = sums["period_count"].to_numpy().astype(np.float64)
    is_ok = (n >= policy.min_periods_company) & np.isfinite(any_error)
    error = np.where(is_ok, any_error, np.nan)
    reach = special.stdtrit(np.maximum(n - 1.0, 1.0), (1.0 + policy.level) / 2.0) * error
    return sums.with_columns(
        _column("landing_rate", rate),
        _column("estimate", np.where(is_ok, rate, np.nan)),
        _column("lower", rate * np.exp(-reach)),
        _column("upper", rate * np.exp(reach)),
        _column("level", np.where(is_ok, policy.level, np.nan)),
        _column("standard_error", error),
        pl.when(pl.col("forecast_amount") <= 0)
        .then(pl.lit("no_call"))
        .when(pl.col("actual_amount") <= 0)
        .then(pl.lit("nothing_landed"))
        .when(pl.col("period_count") < policy.min_periods_company)
        .then(pl.lit("not_enough_history"))
        .otherwise(pl.lit("ok"))
        .alias("status"),
    )


def clustered_rate(scope: Whole, called: Floats, landed: Floats) -> tuple[Floats, Floats]:
    """R = ΣA/ΣF of each scope and se(ln R) = √(n/(n−1)·Σ_t(A_t − R·F_t)²) / ΣA, from one entry per scope and period.

    R is NaN where nothing was called; se is NaN there, where nothing landed, and for a single period.
    """
    n = np.bincount(scope).astype(np.float64)
    total_called, total_landed = np.bincount(scope, weights=called), np.bincount(scope, weights=landed)
    rate = np.full(len(n), np.nan)
    np.divide(total_landed, total_called, out=rate, where=total_called > 0.0)
    residual = np.where(np.isfinite(rate[scope]), landed - rate[scope] * called, 0.0)
    root = np.sqrt(n / np.maximum(n - 1.0, 1.0) * np.bincount(scope, weights=residual**2))
    has_error = (total_called > 0.0) & (total_landed > 0.0) & (n > 1.0)
    error = np.full(len(n), np.nan)
    np.divide(root, total_landed, out=error, where=has_error)
    return rate, error


def _column(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64).fill_nan(None)


@dataclass(frozen=True)
class _Group:
    """The forecasters of one scope with a usable record, and their closed pairs."""

    ratios: Ratios
    chosen: slice
    unit: Whole
    period: Whole
    forecast: Floats
    actual: Floats


def _between(rows: pl.DataFrame, summary: pl.DataFrame, is_bucket_week: bool, policy: Policy) -> pl.DataFrame:
    """Per scope: spread between forecasters, shared shock, p-value of no spread."""
    published = (pl.col("scope") == COMPANY_SCOPE) | pl.lit(is_bucket_week)
    status = summary.select(
        "scope",
        pl.when(pl.col("forecaster_count") < 2)
        .then(pl.lit("one_forecaster"))
        .when(~published)
        .then(pl.lit("not_published"))
        .otherwise(pl.lit("not_enough_history"))
        .alias("between_status"),
    )
    wanted = rows.join(status.filter(pl.col("between_status") == "not_enough_history"), on="scope", how="semi")
    names = ["between_sd", "between_lower", "between_upper", "heterogeneity_p_value", "shock_sd"]
    found: dict[str, list[float]] = {}
    if not wanted.is_empty():
        wanted = wanted.sort("scope", "forecaster_id", "period_start_on")
        scope, scopes = codes(wanted["scope"])
        person, _ = codes(wanted["forecaster_id"])
        period, periods = codes(wanted["period_start_on"])
        starts = np.flatnonzero(np.diff(np.stack([scope, person]), axis=1, prepend=-1).any(axis=0))
        unit = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(scope)))
        scope_of_unit = scope[starts]
        forecast, actual = amounts(wanted["forecast_amount"]), amounts(wanted["actual_amount"])
        company = np.asarray(scopes.to_numpy()[scope_of_unit] == COMPANY_SCOPE)
        ratios = landing_ratios(
            unit,
            period,
            forecast,
            actual,
            unit_count=len(starts),
            period_count=len(periods),
            policy=policy,
            peers=company,
        )
        row_bounds = np.searchsorted(scope, np.arange(len(scopes) + 1))
        unit_bounds = np.searchsorted(scope_of_unit, np.arange(len(scopes) + 1))
        for s, name in enumerate(scopes.to_list()):
            inside = slice(int(row_bounds[s]), int(row_bounds[s + 1]))
            group = _Group(
                ratios,
                slice(int(unit_bounds[s]), int(unit_bounds[s + 1])),
                unit[inside],
                period[inside],
                forecast[inside],
                actual[inside],
            )
            answer = _spread(group, policy)
            if answer is not None:
                found[name] = answer
    answers = pl.DataFrame(
        {"scope": list(found), **{name: [row[i] for row in found.values()] for i, name in enumerate(names)}},
        schema={"scope": status.schema["scope"], **dict.fromkeys(names, pl.Float64)},
    )
    return status.join(answers, on="scope", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("between_sd").is_not_null())
        .then(pl.lit("ok"))
        .otherwise(pl.col("between_status"))
        .alias("between_status")
    )


def _spread(group: _Group, policy: Policy) -> list[float] | None:
    """τ's median and interval, the p-value, the shock's sd; None with fewer than two usable records."""
    usable = group.ratios.is_usable[group.chosen]
    if int(usable.sum()) < 2:
        return None
    variance = group.ratios.variance[group.chosen][usable]
    counted = group.ratios.is_usable[group.unit]
    shock, inflated = shock_variance(
        group.period[counted],
        group.forecast[counted],
        group.actual[counted],
        sum_forecast=group.ratios.sum_forecast[group.chosen][usable],
        variance=variance,
    )
    loading = group.ratios.loading[group.chosen][usable]
    y = group.ratios.y[group.chosen][usable]
    evidence = Evidence.with_intercept(y, variance, loading, inflated)
    spread = spread_posterior(evidence, prior_scale=policy.tau_prior_scale, points=policy.tau_points)
    tail = (1.0 - policy.level) / 2.0
    place = np.cumsum(group.ratios.is_usable) - 1
    unit = place[group.unit[counted]] - place[group.unit[counted]].min()
    p_value = heterogeneity_p_value(
        unit, group.period[counted], (group.forecast[counted], group.actual[counted]), variance
    )
    return [spread.quantile(0.5), spread.quantile(tail), spread.quantile(1.0 - tail), p_value, float(np.sqrt(shock))]


def heterogeneity_p_value(unit: Whole, period: Whole, money: tuple[Floats, Floats], variance: Floats) -> float:
    """How often forecasters who all lean alike would differ this much by chance.

    ``unit`` (0 to K − 1), ``period``, ``money`` (forecasts, actuals): the closed pairs; ``variance`` (K): sampling
    variances.

    Somebody who leans differently misses to the same side period after period; by chance alone, misses of different
    periods have nothing to do with each other. With R_t = ΣA_t/ΣF_t, which takes out the common lean and the
    period's shared shock, and x_it = (A_it − R_t·F_it) / Σ_t R_t·F_it:

        T = Σ_i (1/v_i)·Σ_{t≠s} x_it·x_is       mean 0 without differences, whatever the variances are
        Var T = 2·Σ_i (1/v_i²)·Σ_{t≠s} x_it²·x_is²

    referred to a χ² shifted and scaled to T's mean, variance and skewness, one-sided. Cochran's (1954) Q leans on
    the v_i being right: among simulated forecasters alike in all but their noise it fell below 5 % in one company
    out of six, T in one out of fifteen, with the same power. 1 when there is no error at all; NaN for fewer than two
    forecasters.
    """
    forecast, actual = money
    size = len(variance)
    if size < 2:
        return float("nan")
    called, landed = np.bincount(period, weights=forecast), np.bincount(period, weights=actual)
    together = np.full(len(called), landed.sum() / called.sum())
    np.divide(landed, called, out=together, where=called > 0.0)
    expected = together[period] * forecast
    scale = np.bincount(unit, weights=expected, minlength=size)
    miss = np.divide(actual - expected, scale[unit], out=np.zeros(len(unit)), where=scale[unit] > 0.0)
    total, square, fourth = (np.bincount(unit, weights=miss**power, minlength=size) for power in (1, 2, 4))
    spread = np.sqrt(np.maximum(square**2 - fourth, 0.0)) / variance
    total_variance = 2.0 * float(np.sum(spread**2))
    if total_variance == 0.0:
        return 1.0
    z = float(np.sum((total**2 - square) / variance)) / np.sqrt(total_variance)
    skewness = 8.0 * float(np.sum(spread**3)) / total_variance**1.5
    df = 8.0 / skewness**2
    return float(special.chdtrc(df, max(df + z * np.sqrt(2.0 * df), 0.0)))
