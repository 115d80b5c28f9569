"""Where the open period lands, at every scope, as a range and as odds.

Three methods side by side. ``deals``: deal simulation with a calibrated common shock (``deal_draws``), summed per
scope draw by draw, so the ranges of people, teams and company belong together by construction. ``call``: the call in
force, corrected for how past calls landed, with a Student-t predictive. ``combined``: the average of the two quantile
functions at every level (Vincent; Lichtendahl, Grushka-Cockayne & Winkler 2013), the narrower of the two weighing more
(``precision_weight``).

Everything is estimated from past periods seen at the same week, with what was known then. Under five of them nothing
is issued, with a status.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from scipy import sparse, special

from pipelines.engine.competing_risks import Floats
from pipelines.engine.deal_book import ODDS, LandingInputs, LandingPolicy, make_book
from pipelines.engine.deal_draws import Shock
from pipelines.engine.landing_tables import LandingTables, Line, quantile_at
from pipelines.engine.scenario import Basis, CallModel
from pipelines.policy import COMPANY_SCOPE

SCOPES_AT_ONCE = 256
"""Scopes whose quantile functions are held together: 8 MB each method at 4,000 draws."""


@dataclass(frozen=True)
class LandingResult:
    """Frames of ``landing_tables``, the calibration behind ``deals`` (null under five closed periods), and what a
    scenario takes up again."""

    landing: pl.DataFrame
    quantiles: pl.DataFrame
    dots: pl.DataFrame
    swings: pl.DataFrame
    odds: pl.DataFrame
    shock: Shock | None
    basis: Basis


def seed_of(*parts: str) -> int:
    """A seed that depends on the words alone: the same edition draws the same numbers on every machine."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "big")


def fit_call(call: Floats, actual: Floats, prior_sd: float) -> CallModel:
    """Shrunken correction and predictive spread of calls at one horizon, from n ≥ 2 closed periods.

    m̃ = w·m with w = prior²/(prior² + s²/n); predictive scale s·√(1 + w/n), t with n − 1 degrees of freedom. An
    infinite prior gives the textbook predictive. A period in which nothing landed or was called has no logarithm: then
    a quarter of the mean call is added to both sides.
    """
    n = len(call)
    offset = 0.25 * float(np.abs(call).mean()) if (call <= 0).any() or (actual <= 0).any() else 0.0
    error = np.log(np.maximum(actual + offset, 1e-9) / np.maximum(call + offset, 1e-9))
    mean = float(error.sum()) / n
    sd = (float(((error - mean) ** 2).sum()) / (n - 1)) ** 0.5
    weight = 1.0 if np.isinf(prior_sd) or sd == 0 else prior_sd**2 / (prior_sd**2 + sd**2 / n)
    return CallModel(weight * mean, sd * (1 + weight / n) ** 0.5, n - 1.0, offset)


def precision_weight(deals: Floats, call: Floats, least: float) -> Floats:
    """**How much the deals weigh against the call.** Weights ∝ 1/width² of each method's own 80 % range (Bates &
    Granger 1969), never below ``least`` for either. ``deals``, ``call``: ordered quantile functions, scopes × levels.

    Either width is already what the method's own past errors at this week have earned it: the calls' scatter, the
    shock and the deals' luck. It moves far less than the mean of a few past scores, whose noise is why weights
    estimated from few periods lose to equal ones (Smith & Wallis 2009). On planted companies (one generator to decide,
    another to confirm) the interval score falls by 2 to 6 % for companies and by 9 to 12 % for single people against
    equal weights, and ranges that had held 85 to 89 % of the time late in the period hold what they promise: averaging
    a wide method into a narrow one had kept half of its width for none of its knowledge. A method that seems certain
    (nobody's deal is open) is not left alone. ½ where neither has a width, or one is silent (nan).
    """
    ends = np.array([0.1, 0.9])
    variance = [np.diff(quantile_at(part, ends), axis=1)[:, 0] ** 2 for part in (deals, call)]
    both = variance[0] + variance[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(both > 0, variance[1] / both, 0.5)
    found: Floats = np.clip(weight, least, 1 - least)
    return found


def landing(
    inputs: LandingInputs,
    *,
    period_start_on: date,
    week_of_period: int,
    seed: int,
    policy: LandingPolicy | None = None,
    with_swings: bool = True,
    with_odds: bool = True,
    bench_scopes: Collection[str] = (),
) -> LandingResult:
    """Range and odds of one period at one week, for every scope that has members in it.

    ``with_swings`` False leaves the weightiest deals out, ``with_odds`` False the odds of each; of ``bench_scopes`` the
    draws are kept for scenarios. The same inputs in any row order, with the same seed, give the same result. Rows: see
    ``landing_tables``. ValueError if the period is not among ``inputs.periods`` exactly once.
    """
    policy = LandingPolicy() if policy is None else policy
    target = inputs.periods.filter(pl.col("period_start_on") == period_start_on)
    if target.height != 1:
        raise ValueError(
            f"the period starting {period_start_on} must be in periods exactly once, not {target.height} times"
        )
    past = usable_past(inputs.periods, period_start_on, policy.max_periods)
    scopes, owners, members = membership(inputs, period_start_on)
    of_period = pl.col("period_start_on") == period_start_on
    closed_by_owner = closed_so_far(inputs, period_start_on, owners)
    closed = members @ closed_by_owner
    lines = {str(row["scope"]): row for row in inputs.calls.filter(of_period).iter_rows(named=True)}
    histories = _call_histories(inputs.calls, past)
    # A company that brings calls and actuals but no deals has nothing to simulate, and zero is not its forecast.
    seen = set(inputs.deals["period_start_on"].unique())
    deal_past = [start for start in past if start in seen]
    enough = len(deal_past) >= policy.min_periods
    book = (
        make_book(
            inputs=inputs,
            period_start_on=period_start_on,
            past=deal_past,
            owners=owners,
            members=members,
            policy=policy,
        )
        if enough
        else None
    )
    drawn = None if book is None else book.draw(closed_by_owner, seed, with_top=with_swings)
    gaps = None if book is None else book.gaps()
    tables = LandingTables(period_start_on, week_of_period, target["origin_at"][0], policy.levels)
    level = (np.arange(policy.draws) + 0.5) / policy.draws
    student: dict[float, Floats] = {}
    basis = Basis(bench_scopes)
    for begin in range(0, len(scopes), SCOPES_AT_ONCE):
        part = slice(begin, begin + SCOPES_AT_ONCE)
        given = [lines.get(scope, {}) for scope in scopes[part]]
        some = [
            Line(scope, float(amount), _number(row.get("call_amount")), _number(row.get("quota_amount")))
            for scope, amount, row in zip(scopes[part], closed[part], given, strict=True)
        ]
        call = np.full((len(some), policy.draws), np.nan)
        counts = [len(histories[line.scope][0]) if line.scope in histories else 0 for line in some]
        models: list[CallModel | None] = [None] * len(some)
        for row, (line, count) in enumerate(zip(some, counts, strict=True)):
            if line.call_amount is not None and count >= policy.min_periods:
                models[row] = model = fit_call(*histories[line.scope], policy.call_prior_sd)
                if model.df not in student:
                    student[model.df] = special.stdtrit(model.df, level)
                call[row] = np.maximum(model.quantiles(line.call_amount, level, student[model.df]), line.closed_amount)
        deals = None if drawn is None else np.sort(drawn.amounts[part], axis=1)
        weight = precision_weight(call if deals is None else deals, call, policy.least_weight)
        tables.add(
            some,
            deals=deals,
            call=call,
            weight=weight,
            period_counts=(len(deal_past), counts),
            gaps=None if gaps is None else gaps[part],
        )
        if drawn is not None and with_swings:
            for row, line in enumerate(some, start=begin):
                tables.add_swings(line, drawn.top(row), drawn.amounts[row])
            for row, line in enumerate(some):
                basis.add(
                    (period_start_on, week_of_period),
                    line,
                    weight=float(weight[row]),
                    model=models[row],
                    drawn=drawn,
                    row=begin + row,
                )
    if book is not None and drawn is not None and with_swings:
        basis.add_deals(book, drawn, scopes, owners)
    odds = drawn.odds() if drawn is not None and with_odds else pl.DataFrame(schema=ODDS)
    return LandingResult(*tables.frames(), odds, None if book is None else book.shock, basis)


def landing_backtest(
    inputs: LandingInputs,
    *,
    week_of_period: int,
    seed_words: tuple[str, ...],
    policy: LandingPolicy | None = None,
    only: Collection[date] | None = None,
    with_odds: bool = True,
) -> LandingResult:
    """The landings that would have been issued at this week of every closed period (or ``only`` of these), from earlier
    periods alone.

    Rolling origin: each period uses the periods whose outcome was frozen by its own ``origin_at``, nothing later.
    Periods with too few of them issue nothing and are left out. Score with ``coverage.backtest_rows``. ``odds`` has
    ``period_start_on`` before its columns: each open deal's chance as it would have been issued then (``with_odds``
    False: none). ``swings``, ``shock`` and ``basis`` are left out.
    """
    policy = LandingPolicy() if policy is None else policy
    starts = inputs.periods.drop_nulls("closed_at")["period_start_on"].sort().to_list()
    issued = {
        start: landing(
            inputs,
            period_start_on=start,
            week_of_period=week_of_period,
            seed=seed_of(*seed_words, str(start), str(week_of_period)),
            policy=policy,
            with_swings=False,
            with_odds=with_odds,
        )
        for start in starts
        if (only is None or start in only)
        and len(usable_past(inputs.periods, start, policy.max_periods)) >= policy.min_periods
    }
    empty = LandingTables(date.min, week_of_period, None, policy.levels).frames()
    names = ("landing", "quantiles", "dots", "swings")
    stacked = [
        pl.concat([empty[i], *(getattr(result, name) for result in issued.values())]) for i, name in enumerate(names)
    ]
    odds = pl.DataFrame(schema={"period_start_on": pl.Date(), **ODDS})
    for start, result in issued.items():
        odds = odds.vstack(result.odds.select(pl.lit(start).alias("period_start_on"), *ODDS))
    return LandingResult(stacked[0], stacked[1], stacked[2], stacked[3], odds, None, Basis(()))


def usable_past(periods: pl.DataFrame, period_start_on: date, latest: int) -> list[date]:
    """Start of the latest periods whose outcome was frozen by this period's ``origin_at``, oldest first."""
    origin_at = periods.filter(pl.col("period_start_on") == period_start_on)["origin_at"][0]
    return periods.filter(pl.col("closed_at") <= origin_at)["period_start_on"].sort().to_list()[-latest:]


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def membership(inputs: LandingInputs, period_start_on: date) -> tuple[list[str], pl.DataFrame, sparse.csr_array]:
    """Scopes by name, owners with their code, and the scopes × owners matrix of the period."""
    of_period = pl.col("period_start_on") == period_start_on
    members = inputs.scope_members.filter(of_period).select(owner_id="person_id", scope="scope").unique()
    seen = pl.concat([inputs.deals.filter(of_period)["owner_id"], inputs.closed.filter(of_period)["owner_id"]])
    stray = pl.DataFrame({"owner_id": seen.unique()}).join(members, on="owner_id", how="anti")
    members = pl.concat([members, stray.with_columns(scope=pl.lit(COMPANY_SCOPE))])
    owners = members.select("owner_id").unique().sort("owner_id").with_row_index("owner")
    scopes = members.select("scope").unique().sort("scope").with_row_index("row")
    cells = members.join(owners, on="owner_id").join(scopes, on="scope")
    matrix = sparse.csr_array(
        (np.ones(cells.height), (cells["row"].to_numpy(), cells["owner"].to_numpy())),
        shape=(scopes.height, owners.height),
    )
    return scopes["scope"].to_list(), owners, matrix


def closed_so_far(inputs: LandingInputs, period_start_on: date, owners: pl.DataFrame) -> Floats:
    """Amount each owner, by code, has won in the period by its ``origin_at``."""
    of_period = pl.col("period_start_on") == period_start_on
    won = inputs.closed.filter(of_period).join(owners, on="owner_id").drop_nulls("closed_amount")
    amount = won["closed_amount"].cast(pl.Float64).to_numpy()
    return np.bincount(won["owner"].to_numpy(), amount, minlength=owners.height).astype(float)


def _call_histories(calls: pl.DataFrame, past: list[date]) -> dict[str, tuple[Floats, Floats]]:
    """Scope → calls and actuals of its past periods, oldest first."""
    known = calls.filter(pl.col("period_start_on").is_in(past)).drop_nulls(["call_amount", "actual_amount"])
    known = known.sort("scope", "period_start_on").with_columns(
        pl.col("call_amount").cast(pl.Float64), pl.col("actual_amount").cast(pl.Float64)
    )
    scopes = known.select("scope", pl.col("scope").rle_id().alias("run")).group_by("run", maintain_order=True)
    runs = scopes.agg(pl.col("scope").first(), pl.len())
    ends = np.cumsum(runs["len"].to_numpy())[:-1]
    calls_by_scope = np.split(known["call_amount"].to_numpy(), ends)
    actuals_by_scope = np.split(known["actual_amount"].to_numpy(), ends)
    return dict(zip(runs["scope"].to_list(), zip(calls_by_scope, actuals_by_scope, strict=True), strict=False))
