"""The open deals of a period with their odds, the calibration of past periods, and the draws of what they land.

``LandingInputs`` states every frame the landing is made from; ``LandingPolicy`` every choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse, special

from pipelines.engine.competing_risks import (
    AGE_BAND,
    Floats,
    Past,
    Whole,
    WinPolicy,
    dense_codes,
    key_code,
    spell_arrays,
    win_odds,
    win_probabilities,
)
from pipelines.engine.deal_draws import (
    AmountChange,
    OpenDeals,
    PastBusiness,
    PastPeriod,
    Shock,
    calibrated_chance,
    draw_deals,
    draw_new_business,
    estimate_shock,
    probit,
    shock_draws,
    solve_shift,
)

ODDS = {
    "opportunity_id": pl.String(),
    "win_probability_rate": pl.Float64(),
    "expected_amount": pl.Float64(),
    "win_basis": pl.String(),
    "win_status": pl.String(),
}


@dataclass(frozen=True)
class LandingPolicy:
    """Choices behind the landing."""

    draws: int = 4000
    """Draws per landing: the 10 % quantile moves by about 0.5 % of the range between seeds."""
    min_periods: int = 5
    """Closed periods seen at this week before a range is issued: the widening for few periods needs n > 3, and below
    five its own error is as large as the range."""
    max_periods: int = 12
    """Only the latest three years speak: a company is not the one it was before."""
    levels: tuple[float, ...] = (0.5, 0.8, 0.9)
    """A coin flip, four in five, nine in ten."""
    correction_prior_periods: float = 2.0
    """The deal correction is shrunk by n/(n+2)."""
    call_prior_sd: float = 0.15
    """Calls lean by some 15 %: the call's correction is shrunk by .15²/(.15² + s²/n)."""
    least_weight: float = 0.1
    """Either method keeps a tenth of the combination: a width is estimated too, and nobody is certain."""
    own_new_business: float = 0.5
    """Share of created-and-won business that stays with the person who had it; the rest may fall to anyone."""
    run_rate_limit: float = 2.0
    """Run-rate scaling of past new business stays within a factor of two."""
    top_deals: int = 5
    """Single deals per scope whose weight on the outcome is told."""
    win: WinPolicy = field(default_factory=WinPolicy)


@dataclass(frozen=True)
class LandingInputs:
    """What a landing at one week of the period is made from: every period seen at that week, as known then.

    Amounts in the reporting currency. Null ``sales_motion``, ``stage`` and ``is_due`` are groups of their own.

    ``periods``: one row per period, the one to forecast included: ``period_start_on``; ``origin_at`` the instant of
    the week; ``closed_at`` when its outcome was frozen (period end + grace; null while open); ``horizon_days`` from
    ``origin_at`` to the period's end; ``run_rate`` any positive measure of pace known at ``origin_at`` (opportunities
    created in the 91 days before), or null.
    ``deals``: period × opportunity open at ``origin_at``: ``period_start_on``, ``opportunity_id``, ``owner_id``,
    ``stage``, ``sales_motion``, ``is_due`` (close date then inside the period), ``age_days`` (since creation),
    ``amount`` (null if none), and for closed periods ``outcome`` (``won``, ``lost``, ``no_decision``; ``open`` = not
    closed by the period's end), ``follow_up_days`` (origin to close, or to the period's end), ``final_amount`` (won
    deals: amount when frozen; else null). An optional ``given_probability_rate`` replaces the engine's own odds.
    ``new_business``: past period × deal created after ``origin_at`` and won inside it: ``period_start_on``,
    ``owner_id``, ``amount``.
    ``closed``: period × owner: ``period_start_on``, ``owner_id``, ``closed_amount`` won inside the period by
    ``origin_at``.
    ``calls``: period × scope: ``period_start_on``, ``scope``, ``call_amount`` in force at ``origin_at``,
    ``actual_amount`` (null while open), ``quota_amount``.
    ``scope_members``: ``period_start_on``, ``person_id``, ``scope``, as published. An owner in no scope counts for the
    company alone.
    """

    periods: pl.DataFrame
    deals: pl.DataFrame
    new_business: pl.DataFrame
    closed: pl.DataFrame
    calls: pl.DataFrame
    scope_members: pl.DataFrame


@dataclass(frozen=True)
class TopDeal:
    """One of a scope's weightiest deals. ``worth`` mean amount if won; ``won`` 1 in the draws it wins, else 0."""

    opportunity_id: str
    amount: float
    chance: float
    worth: float
    won: Floats


@dataclass(frozen=True)
class Book:
    """What the deals of one period are drawn from. Scopes × owners in ``members``; deals sorted by owner.

    ``every``: all open deals with their odds; ``modelled``: those with odds and an amount, in the order of ``deals``;
    ``odds_of``: deals as they might be → the same with ``win_probability_rate``, ``spell_count``, from the same past.
    """

    policy: LandingPolicy
    members: sparse.csr_array
    owner_count: int
    change: AmountChange
    fresh: PastBusiness
    shock: Shock
    every: pl.DataFrame
    modelled: pl.DataFrame
    deals: OpenDeals
    worth: Floats
    odds_of: Callable[[pl.DataFrame], pl.DataFrame]

    def gaps(self) -> Floats:
        """Scopes × (open deals, deals outside the simulation for want of odds or amount, their amount)."""
        outside = ~(self.every["win_probability_rate"].is_not_null() & (self.every["amount"] > 0).fill_null(False))
        amount = self.every.select(pl.when(outside).then("amount")).to_series().fill_null(0.0)  # a sum of known amounts
        columns = (np.ones(self.every.height), outside.to_numpy().astype(float), amount.to_numpy())
        owner = self.every["owner"].to_numpy()
        found: Floats = (
            self.members @ np.stack([np.bincount(owner, values, minlength=self.owner_count) for values in columns]).T
        )
        return found

    def top_rows(self) -> list[Whole]:
        """Per scope, rows of the deals with the largest share of the variance, p(1−p)·amount²."""
        chance = special.ndtr(self.deals.x)
        place = np.empty(len(chance), dtype=np.int64)
        place[np.argsort(-chance * (1 - chance) * self.worth**2, kind="stable")] = np.arange(len(chance))
        first, last = (
            np.searchsorted(self.deals.owner, np.arange(self.owner_count), side=side) for side in ("left", "right")
        )
        found: list[Whole] = []
        for row in range(self.members.shape[0]):
            owners = self.members.indices[self.members.indptr[row] : self.members.indptr[row + 1]]
            rows = np.concatenate([np.arange(0), *(np.arange(first[owner], last[owner]) for owner in owners)])
            found.append(rows[np.argsort(place[rows])][: self.policy.top_deals])
        return found

    def draw(self, closed: Floats, seed: int, *, with_top: bool = True) -> Drawn:
        """Landed amount in each draw; ``closed`` (owners,) is what each has won in the period so far.

        ``with_top`` False: the same draws, without those of the scopes' weightiest deals one by one.
        """
        rng = np.random.default_rng(seed)
        top = self.top_rows() if with_top else []
        keep = np.zeros(len(self.deals.x), dtype=bool)
        keep[np.concatenate([np.arange(0), *top])] = True
        z = shock_draws(self.shock.sd, self.policy.draws, rng)
        shift = solve_shift(self.deals.x, self.worth, z, self.shock.correction)
        total, bits = draw_deals(
            deals=self.deals,
            change=self.change,
            z=z,
            delta=shift.delta,
            owner_count=self.owner_count,
            rng=rng,
            keep=keep,
        )
        active = np.union1d(self.deals.owner, np.flatnonzero(closed > 0)).astype(np.int64)
        draw_new_business(
            past=self.fresh,
            total=total,
            recipients=active,
            scale=shift.scale,
            own_share=self.policy.own_new_business,
            rng=rng,
        )
        total += closed[:, None]
        return Drawn(self, self.members @ total, top, np.cumsum(keep) - 1, bits, z, shift.delta)


@dataclass(frozen=True)
class Drawn:
    """Draws of a book: ``amounts`` scopes × draws; ``z`` (draws,) and ``delta``: the shock all deals share, and how far
    their odds were shifted."""

    book: Book
    amounts: Floats
    top_rows: list[Whole]
    bit_row: Whole
    bits: npt.NDArray[np.uint8]
    z: Floats
    delta: float

    @cached_property
    def chance(self) -> Floats:
        """Calibrated win probability of each modelled deal."""
        return calibrated_chance(self.book.deals.x, self.delta, self.z)

    def top(self, scope_row: int) -> list[TopDeal]:
        """A scope's weightiest deals, weightiest first."""
        ids, deals = self.book.modelled["opportunity_id"], self.book.deals
        return [
            TopDeal(
                str(ids[int(row)]),
                float(deals.amount[row]),
                float(self.chance[row]),
                float(self.book.worth[row]),
                np.unpackbits(self.bits[self.bit_row[row]], count=self.amounts.shape[1]).astype(float),
            )
            for row in self.top_rows[scope_row]
        ]

    def odds(self) -> pl.DataFrame:
        """One row per open deal: calibrated ``win_probability_rate`` within the period and ``expected_amount`` (null
        when it could not be modelled), the group the odds rest on and their status (see ``win_probabilities``)."""
        found = pl.DataFrame(
            {
                "opportunity_id": self.book.modelled["opportunity_id"],
                "win_probability_rate": self.chance,
                "expected_amount": self.chance * self.book.worth,
            }
        )
        every = self.book.every.select("opportunity_id", "win_basis", "win_status")
        return every.join(found, on="opportunity_id", how="left").select(list(ODDS)).sort("opportunity_id")


def make_book(
    *,
    inputs: LandingInputs,
    period_start_on: date,
    past: list[date],
    owners: pl.DataFrame,
    members: sparse.csr_array,
    policy: LandingPolicy,
) -> Book:
    """Odds of the period's open deals from ``past`` periods, and how such odds landed in each of those.

    A past period's own odds are estimated without it: its deals would otherwise vouch for themselves and the shock
    would come out too small.
    """
    age = pl.col("age_days").cast(pl.Float64)
    deals = inputs.deals.filter(pl.col("period_start_on").is_in([*past, period_start_on])).with_columns(
        pl.col("amount").cast(pl.Float64),
        pl.col("final_amount").cast(pl.Float64),
        entry_days=age,
        exit_days=age + pl.col("follow_up_days").cast(pl.Float64),
    )
    words = {key for keys, _ in policy.win.ladder for key in keys} - {AGE_BAND}
    plain = deals.with_columns(pl.Series("stage_code", dense_codes(deals["stage"])))
    deals = plain.with_columns(
        pl.Series(key_code(key), dense_codes(deals[key])) for key in sorted(words - {"stage"}) if key in deals.columns
    )
    is_now = pl.col("period_start_on") == period_start_on
    now, spells = deals.filter(is_now), deals.filter(~is_now)
    change = _amount_change(spells, deals["stage_code"])
    mean_factor, square_factor = change.moments()
    fresh, past_new = _new_business(inputs, period_start_on, past, owners, policy.run_rate_limit)
    horizon_days: dict[date, float] = dict(inputs.periods.select("period_start_on", "horizon_days").iter_rows())
    given = "given_probability_rate" in deals.columns
    arrays = None if given else spell_arrays(spells, policy.win)
    place = spells["period_start_on"].replace_strict(past, list(range(len(past))), return_dtype=pl.Int64).to_numpy()
    before = None if arrays is None else Past(arrays, place)
    stages, amounts = spells["stage_code"].to_numpy(), spells["amount"].to_numpy()
    landed = spells.select(pl.when(pl.col("outcome") == "won").then("final_amount")).to_series().to_numpy()
    periods = []
    for index, start in enumerate(past):
        own = place == index
        if arrays is None or before is None:
            probability = spells["given_probability_rate"].cast(pl.Float64).to_numpy()[own]
        else:
            probability = win_odds(
                arrays.take(own), before.without(index), float(horizon_days[start]), policy.win
            ).probability
        usable = np.isfinite(probability) & (amounts[own] > 0)
        stage, amount = stages[own][usable], amounts[own][usable]
        others = np.delete(past_new * fresh.scale, index) / fresh.scale[index]
        periods.append(
            PastPeriod(
                probability[usable],
                amount * mean_factor[stage],
                amount**2 * square_factor[stage],
                float(np.nansum(landed[own][usable])),
                float(past_new[index]),
                float(others.mean()),
                float(others.var(ddof=1)),
            )
        )
    shock = estimate_shock(periods, prior_periods=policy.correction_prior_periods)
    every = _with_odds(now, spells, float(horizon_days[period_start_on]), policy)
    every = every.join(owners, on="owner_id").sort("owner", "opportunity_id")
    modelled = every.filter(pl.col("win_probability_rate").is_not_null() & (pl.col("amount") > 0))
    x = probit(modelled["win_probability_rate"].to_numpy(), modelled["spell_count"].cast(pl.Float64).to_numpy())
    stage, amount = modelled["stage_code"].to_numpy(), modelled["amount"].to_numpy()
    open_deals = OpenDeals(modelled["owner"].cast(pl.Int64).to_numpy(), stage, amount, x)
    days, columns = float(horizon_days[period_start_on]), plain.columns

    def odds_of(changed: pl.DataFrame) -> pl.DataFrame:
        # Deals as they might be have other words than they are coded by.
        words_alone = spells.select(name for name in columns if name != "stage_code")
        return _with_odds(changed.select(columns), words_alone, days, policy)

    worth = amount * mean_factor[stage]
    return Book(policy, members, owners.height, change, fresh, shock, every, modelled, open_deals, worth, odds_of)


def _amount_change(spells: pl.DataFrame, stage_codes: pl.Series) -> AmountChange:
    won = spells.filter((pl.col("outcome") == "won") & (pl.col("amount") > 0) & (pl.col("final_amount") > 0))
    won = won.select("stage_code", factor=pl.col("final_amount") / pl.col("amount")).sort("stage_code", "factor")
    stage_count = 1 + max(stage_codes.to_list(), default=0)
    return AmountChange.of(won["stage_code"].to_numpy(), won["factor"].to_numpy(), stage_count)


def _new_business(
    inputs: LandingInputs, now: date, past: list[date], owners: pl.DataFrame, limit: float
) -> tuple[PastBusiness, Floats]:
    """Created-and-won lumps of past periods with today's run rate ÷ theirs, and their sum per period as it was."""
    pace: dict[date, float | None] = dict(
        inputs.periods.select("period_start_on", pl.col("run_rate").cast(pl.Float64)).iter_rows()
    )
    today = pace[now]
    ratio = [today / then if today and (then := pace[start]) else 1.0 for start in past]
    lumps = inputs.new_business.filter(pl.col("period_start_on").is_in(past)).join(owners, on="owner_id", how="left")
    lumps = lumps.with_columns(pl.col("amount").cast(pl.Float64), pl.col("owner").cast(pl.Int64).fill_null(-1))
    lumps = lumps.drop_nulls("amount").sort("period_start_on", "owner_id", "amount")
    order = list(range(len(past)))
    period = lumps["period_start_on"].replace_strict(past, order, return_dtype=pl.Int64).to_numpy()
    amount = lumps["amount"].to_numpy()
    scale = np.clip(np.array(ratio, dtype=float), 1 / limit, limit)
    fresh = PastBusiness(lumps["owner"].to_numpy(), period, amount, scale)
    return fresh, np.bincount(period, amount, minlength=len(past)).astype(float)


def _with_odds(now: pl.DataFrame, spells: pl.DataFrame, horizon_days: float, policy: LandingPolicy) -> pl.DataFrame:
    """Open deals with a win probability: the one given, else competing risks from ``spells``."""
    if "given_probability_rate" not in now.columns:
        return pl.concat([now, win_probabilities(now, spells, horizon_days, policy.win)], how="horizontal")
    given = pl.col("given_probability_rate").cast(pl.Float64)
    status = pl.when(given.is_null()).then(pl.lit("not_given")).otherwise(pl.lit("given"))
    # Stated odds rest on no count; a thousand keeps a stated 0 or 1 within half a per mille.
    return now.with_columns(win_probability_rate=given, spell_count=1000, win_basis=pl.lit("given"), win_status=status)
