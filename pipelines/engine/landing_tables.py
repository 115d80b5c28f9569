"""Landing results as frames: levels, quantiles, dots and single-deal swings.

``landing``: period × week × scope × method × level; ``estimate`` is the median, so it lies inside every range and half
the odds lie above it; ``mean_amount`` adds up over scopes (method ``deals`` alone: the mean of the exponential of a
Student-t does not exist). ``status``: ``ok``; ``deals_only`` / ``call_only`` (``combined`` rests on one method);
``not_enough_history`` (fewer closed periods at this week than the policy asks: no numbers); ``no_call`` (nothing called
for the period). ``deals_weight_rate``: weight of ``deals`` in ``combined``, where both speak. ``unmodelled_count``:
open deals without an amount, or with odds nothing is known of.
``landing_quantiles``: ... × ``quantile`` 0.01 to 0.99. ``landing_dots``: ``combined`` at twenty equally likely levels,
(i − ½)/20. ``landing_swings``: scope × its weightiest open deals: ``swing_amount`` landing if won minus if not, all
else equal (its mean amount at close), ``share_of_gap_rate`` that ÷ (call − closed), and the odds of the call either
way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import polars as pl

from pipelines.engine.competing_risks import Floats
from pipelines.engine.deal_book import TopDeal

QUANTILES = np.arange(1, 100) / 100
DOTS = (np.arange(20) + 0.5) / 20
METHODS = ("deals", "call", "combined")

Columns = dict[str, pl.DataType]

LANDING_GRAIN = ("period_start_on", "week_of_period", "scope", "method", "level")

_HEAD: Columns = {
    "period_start_on": pl.Date(),
    "week_of_period": pl.Int64(),
    "scope": pl.String(),
}
LANDING: Columns = {
    **_HEAD,
    "method": pl.String(),
    "level": pl.Float64(),
    "as_of_at": pl.Datetime("us"),
    "closed_amount": pl.Float64(),
    "deals_weight_rate": pl.Float64(),
    "estimate": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "mean_amount": pl.Float64(),
    "call_amount": pl.Float64(),
    "quota_amount": pl.Float64(),
    "probability_of_call_rate": pl.Float64(),
    "probability_of_quota_rate": pl.Float64(),
    "period_count": pl.Int64(),
    "open_count": pl.Int64(),
    "unmodelled_count": pl.Int64(),
    "unmodelled_amount": pl.Float64(),
    "status": pl.String(),
}
LANDING_QUANTILES: Columns = {
    **_HEAD,
    "method": pl.String(),
    "quantile": pl.Float64(),
    "amount": pl.Float64(),
}
LANDING_DOTS: Columns = {**_HEAD, "dot": pl.Int64(), "amount": pl.Float64()}
LANDING_SWINGS: Columns = {
    **_HEAD,
    "rank": pl.Int64(),
    "opportunity_id": pl.String(),
    "amount": pl.Float64(),
    "win_probability_rate": pl.Float64(),
    "expected_amount": pl.Float64(),
    "swing_amount": pl.Float64(),
    "share_of_gap_rate": pl.Float64(),
    "probability_of_call_if_won_rate": pl.Float64(),
    "probability_of_call_if_lost_rate": pl.Float64(),
}


@dataclass(frozen=True)
class Line:
    """A scope's lines of the period: what has closed, what was called, what was asked."""

    scope: str
    closed_amount: float
    call_amount: float | None
    quota_amount: float | None


def quantile_at(ordered: Floats, level: Floats | float) -> Floats:
    """Quantiles along the last axis of ordered samples whose i-th value stands for the level (i + ½)/n."""
    n = ordered.shape[-1]
    place = np.clip(np.asarray(level, dtype=float) * n - 0.5, 0, n - 1)
    below = np.minimum(place.astype(np.int64), max(n - 2, 0))
    part = place - below
    above = np.minimum(below + 1, n - 1)
    found: Floats = ordered[..., below] * (1 - part) + ordered[..., above] * part
    return found


def combine(deals: Floats, call: Floats, weight: Floats) -> Floats:
    """The average of the two quantile functions at every level, ``weight`` (scopes,) on ``deals``.

    ``deals`` alone where ``call`` is nan. Arrays are scopes × levels, ordered.
    """
    has_call = np.isfinite(call[:, 0])
    both: Floats = np.where(has_call[:, None], weight[:, None] * deals + (1 - weight[:, None]) * call, deals)
    return both


def probability_of_reaching(quantiles: pl.DataFrame, line: float) -> float | None:
    """**The chance of reaching a line.** Of landing at or above ``line``, read off the published quantiles of one scope
    and method (``quantile``, ``amount``), straight between neighbours.

    Between 0.01 and 0.99, the ends of what is published: say "over 99 %" there. Null without quantiles.
    """
    known = quantiles.drop_nulls("amount").sort("quantile")
    if known.is_empty():
        return None
    amount, level = known["amount"].to_numpy(), known["quantile"].to_numpy()
    # Equal amounts (the floor of what has closed) hold a whole lump of probability: reaching them is certain.
    below = int(np.searchsorted(amount, line, side="left"))
    if below == 0:
        return float(1 - level[0])
    if below == len(amount):
        return float(1 - level[-1])
    gap = amount[below] - amount[below - 1]
    part = (line - amount[below - 1]) / gap
    return float(1 - (level[below - 1] + part * (level[below] - level[below - 1])))


@dataclass
class LandingTables:
    """Collects the rows of one period and week."""

    period_start_on: date
    week_of_period: int
    as_of_at: datetime | None
    levels: tuple[float, ...]
    _landing: list[pl.DataFrame] = field(default_factory=list)
    _quantiles: list[tuple[pl.Series, str, Floats]] = field(default_factory=list)
    _dots: list[tuple[pl.Series, str, Floats]] = field(default_factory=list)
    _status: dict[str, dict[str, str]] = field(default_factory=dict)
    _swings: list[tuple[object, ...]] = field(default_factory=list)

    def add(
        self,
        lines: list[Line],
        *,
        deals: Floats | None,
        call: Floats,
        weight: Floats,
        period_counts: tuple[int, list[int]],
        gaps: Floats | None,
    ) -> None:
        """Some scopes: ordered ``deals`` and ``call`` quantile functions on the same levels, scopes × levels.

        ``deals`` None or a ``call`` row of nan where that method says nothing. ``weight`` (scopes,) of ``deals``.
        """
        has_call = np.isfinite(call[:, 0])
        combined = call if deals is None else combine(deals, call, weight)
        empty = "not_enough_history"
        for row, line in enumerate(lines):
            no_call = "no_call" if line.call_amount is None else empty
            only_one = "deals_only" if not has_call[row] else "call_only"
            both = "ok" if deals is not None and has_call[row] else only_one
            self._status[line.scope] = {
                "deals": empty if deals is None else "ok",
                "call": "ok" if has_call[row] else no_call,
                "combined": both if deals is not None or has_call[row] else empty,
            }
        call_line = np.array([np.nan if line.call_amount is None else line.call_amount for line in lines])
        quota_line = np.array([np.nan if line.quota_amount is None else line.quota_amount for line in lines])
        periods = {"deals": [period_counts[0]] * len(lines), "call": period_counts[1]}
        periods["combined"] = [max(pair) for pair in zip(periods["deals"], periods["call"], strict=True)]
        scopes = pl.Series([line.scope for line in lines], dtype=pl.String)
        is_both = np.array([self._status[line.scope]["combined"] == "ok" for line in lines], dtype=bool)
        for method, ordered in (("deals", deals), ("call", call), ("combined", combined)):
            known = np.zeros(len(lines), dtype=bool) if ordered is None else np.isfinite(ordered[:, 0])
            per_line = {
                "scope": scopes,
                "closed_amount": np.array([line.closed_amount for line in lines], dtype=float),
                "estimate": np.full(len(lines), np.nan),
                "mean_amount": np.full(len(lines), np.nan),
                "call_amount": call_line,
                "quota_amount": quota_line,
                "probability_of_call_rate": np.full(len(lines), np.nan),
                "probability_of_quota_rate": np.full(len(lines), np.nan),
                "period_count": periods[method],
                "open_count": None if gaps is None else gaps[:, 0].astype(np.int64),
                "unmodelled_count": None if gaps is None else gaps[:, 1].astype(np.int64),
                "unmodelled_amount": None if gaps is None else gaps[:, 2],
                "status": [self._status[line.scope][method] for line in lines],
                "deals_weight_rate": np.where(is_both & (method == "combined"), weight, np.nan),
            }
            ends = np.full((len(lines), 2 * len(self.levels)), np.nan)
            if ordered is not None:
                tails = np.array([[(1 - level) / 2, (1 + level) / 2] for level in self.levels]).ravel()
                per_line["estimate"] = quantile_at(ordered, 0.5)
                per_line["probability_of_call_rate"] = _share_at_or_above(ordered, call_line)
                per_line["probability_of_quota_rate"] = _share_at_or_above(ordered, quota_line)
                ends = quantile_at(ordered, tails)
                if method == "deals":
                    per_line["mean_amount"] = ordered.mean(axis=1)
                names = scopes.filter(pl.Series(known))
                self._quantiles.append((names, method, quantile_at(ordered[known], QUANTILES)))
                if method == "combined":
                    self._dots.append((names, method, quantile_at(ordered[known], DOTS)))
            for index, level in enumerate(self.levels):
                columns = {**per_line, "lower": ends[:, 2 * index], "upper": ends[:, 2 * index + 1]}
                self._landing.append(
                    pl.DataFrame(columns).with_columns(
                        pl.lit(method).alias("method"), pl.lit(level, dtype=pl.Float64).alias("level")
                    )
                )

    def add_swings(self, line: Line, top: list[TopDeal], draws: Floats) -> None:
        """How much the scope's outcome hangs on each of its weightiest deals; ``draws`` in drawing order.

        All else equal: the deal alone is set to won or not in every draw. Conditioning on its outcome instead would
        lend it the whole common shock (a win is news about everybody) and show twice its size.
        """
        gap = None if line.call_amount is None else line.call_amount - line.closed_amount
        for rank, deal in enumerate(top, start=1):
            if_won = if_lost = None
            if line.call_amount is not None:
                without = draws - deal.won * deal.worth
                if_won = float((without + deal.worth >= line.call_amount).mean())
                if_lost = float((without >= line.call_amount).mean())
            share = deal.worth / gap if gap is not None and gap > 0 else None
            self._swings.append(
                (
                    *(line.scope, rank, deal.opportunity_id, deal.amount, deal.chance),
                    *(deal.chance * deal.worth, deal.worth, share, if_won, if_lost),
                )
            )

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """``landing``, ``landing_quantiles``, ``landing_dots``, ``landing_swings``, each sorted by its grain."""
        head = (self.period_start_on, self.week_of_period)
        empty = pl.DataFrame(schema=LANDING)
        # Parts are stacked as they came and dressed once: there are a hundred small ones to a landing.
        stacked = pl.concat(self._landing, how="vertical_relaxed") if self._landing else empty
        landing = (
            stacked.with_columns(
                pl.lit(self.period_start_on).alias("period_start_on"),
                pl.lit(self.week_of_period).alias("week_of_period"),
                pl.lit(self.as_of_at, dtype=pl.Datetime("us")).alias("as_of_at"),
                pl.col(pl.Float64).fill_nan(None),
            )
            .select(*LANDING)
            .cast(pl.Schema(LANDING))
            .sort(*LANDING_GRAIN)
        )
        swings = pl.DataFrame([head + row for row in self._swings], schema=LANDING_SWINGS, orient="row")
        quantiles = self._long(LANDING_QUANTILES, self._quantiles, QUANTILES)
        dots = self._long(LANDING_DOTS, self._dots, np.arange(1.0, 21.0))
        return landing, quantiles, dots, swings

    def _long(self, schema: Columns, parts: list[tuple[pl.Series, str, Floats]], level: Floats) -> pl.DataFrame:
        """One row per scope, method and level, in order; ``parts``: scopes, their method, amounts (scopes × levels)."""
        position = list(schema)[-2]
        lines = pl.concat(
            [
                pl.DataFrame(schema={"scope": pl.String, "method": pl.String}),
                *(pl.DataFrame({"scope": scopes}).with_columns(method=pl.lit(method)) for scopes, method, _ in parts),
            ]
        ).with_row_index("line")
        if lines.is_empty():
            return pl.DataFrame(schema=schema)
        # The lines are put in order, a hundred times fewer than the rows.
        lines = lines.sort("scope", "method")
        amount = np.concatenate([values for _, _, values in parts])[lines["line"].to_numpy()]
        rows = lines.select("scope", "method")[np.repeat(np.arange(lines.height), len(level))]
        return (
            rows.with_columns(
                pl.lit(self.period_start_on).alias("period_start_on"),
                pl.lit(self.week_of_period).alias("week_of_period"),
                pl.Series(position, np.tile(level, lines.height)),
                pl.Series("amount", amount.ravel()),
            )
            .select(*schema)
            .cast(pl.Schema(schema))
        )


def _share_at_or_above(ordered: Floats, line: Floats) -> Floats:
    """Share of each row's values at or above that row's ``line``; nan where there is no line or no row."""
    share = (ordered >= line[:, None]).mean(axis=1)
    known: Floats = np.where(np.isnan(line) | np.isnan(ordered[:, 0]), np.nan, share)
    return known
