"""What if: the open period's landing with a reader's own assumptions about single deals.

The very draws of the issued range are taken up again. In each of them a deal was won or not; an assumption changes that
for this deal alone, and everything else stays: the other deals, the shock they share, business not yet opened. So the
unchanged scenario is the issued range to the cent, and a difference is the assumption's and not chance's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import optimize, special

from pipelines.engine.competing_risks import Floats
from pipelines.engine.deal_book import Book, Drawn
from pipelines.engine.deal_draws import calibrated_chance, probit
from pipelines.engine.landing_tables import DOTS, Line, combine, quantile_at

MATERIAL_DEALS = 25
"""Deals of a scope that can be named: those with the largest share of the variance. The rest is in the draws."""

Columns = dict[str, pl.DataType]

SCOPES: Columns = {
    "period_start_on": pl.Date(),
    "week_of_period": pl.Int64(),
    "scope": pl.String(),
    "closed_amount": pl.Float64(),
    "deal_weight": pl.Float64(),
    "call_correction": pl.Float64(),
    "call_scale": pl.Float64(),
    "call_df": pl.Float64(),
    "call_offset": pl.Float64(),
    "call_line": pl.Float64(),
    "shift": pl.Float64(),
}
DRAWS: Columns = {
    "scope": pl.String(),
    "draw": pl.Int64(),
    "amount": pl.Float64(),
    "shock": pl.Float64(),
}
DEALS: Columns = {
    "opportunity_id": pl.String(),
    "owner_id": pl.String(),
    "amount": pl.Float64(),
    "worth_amount": pl.Float64(),
    "win_probability_rate": pl.Float64(),
    "threshold": pl.Float64(),
    "is_due": pl.Boolean(),
    "threshold_if_moved": pl.Float64(),
    "won_bits": pl.String(),
}


@dataclass(frozen=True)
class CallModel:
    """ln((landed + offset)/(call + offset)) ~ correction + scale · t with ``df`` degrees of freedom."""

    correction: float
    scale: float
    df: float
    offset: float

    def quantiles(self, call: float, level: Floats, t: Floats | None = None) -> Floats:
        """Landing amount at each level for a call of ``call``; ``t`` the Student quantiles if already at hand."""
        t = special.stdtrit(self.df, level) if t is None else t
        amount: Floats = (call + self.offset) * np.exp(self.correction + self.scale * t) - self.offset
        return amount


# What is published, so that a page can take the draws up again


@dataclass
class Basis:
    """Collects the draws of the scopes ``wanted`` while a landing is made; ``frames``: scopes, draws, deals."""

    wanted: Collection[str]
    _scopes: list[tuple[object, ...]] = field(default_factory=list)
    _draws: list[pl.DataFrame] = field(default_factory=list)
    _deals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DEALS))

    def add(
        self,
        period: tuple[date, int],
        line: Line,
        *,
        weight: float,
        model: CallModel | None,
        drawn: Drawn,
        row: int,
    ) -> None:
        """One scope: what its range was made of. ``period``: its start and week; ``row``: its ``drawn.amounts``."""
        if line.scope not in self.wanted:
            return
        call: tuple[float | None, ...] = (None,) * 5
        if model is not None:
            call = (model.correction, model.scale, model.df, model.offset, line.call_amount)
        self._scopes.append((*period, line.scope, line.closed_amount, weight, *call, drawn.delta))
        amounts = drawn.amounts[row]
        # The shock is one for all scopes and stands with the first.
        shock = drawn.z if not self._draws else np.full(len(amounts), np.nan)
        self._draws.append(
            pl.DataFrame(
                {
                    "scope": pl.repeat(line.scope, len(amounts), eager=True),
                    "draw": np.arange(len(amounts)),
                    "amount": amounts,
                    "shock": pl.Series(shock).fill_nan(None),
                }
            ).cast(pl.Schema(DRAWS))
        )

    def add_deals(self, book: Book, drawn: Drawn, scopes: Sequence[str], owners: pl.DataFrame) -> None:
        """The weightiest deals of every wanted scope, of those whose draws were kept."""
        rows: set[int] = set()
        kept = np.unique(np.concatenate([np.arange(0), *drawn.top_rows])).astype(np.int64)
        weight = drawn.chance[kept] * (1 - drawn.chance[kept]) * book.worth[kept] ** 2
        heaviest = kept[np.argsort(-weight, kind="stable")]
        for place, scope in enumerate(scopes):
            if scope in self.wanted:
                start, end = book.members.indptr[place : place + 2]
                own = heaviest[np.isin(book.deals.owner[heaviest], book.members.indices[start:end])]
                rows |= set(own[:MATERIAL_DEALS].tolist())
        if not rows:
            return
        chosen = np.array(sorted(rows))
        modelled = book.modelled[chosen.tolist()]
        names = dict(owners.select("owner", "owner_id").iter_rows())
        moved = book.odds_of(modelled.with_columns(is_due=~pl.col("is_due")))
        known = moved["win_probability_rate"].is_not_null().to_numpy() & modelled["is_due"].is_not_null().to_numpy()
        if_moved = np.full(len(chosen), np.nan)
        if known.any():
            usable = moved.filter(pl.Series(known))
            counts = usable["spell_count"].cast(pl.Float64).to_numpy()
            if_moved[known] = probit(usable["win_probability_rate"].to_numpy(), counts)
        self._deals = pl.DataFrame(
            {
                "opportunity_id": modelled["opportunity_id"],
                "owner_id": [names[int(code)] for code in book.deals.owner[chosen]],
                "amount": book.deals.amount[chosen],
                "worth_amount": book.worth[chosen],
                "win_probability_rate": drawn.chance[chosen],
                "threshold": book.deals.x[chosen],
                "is_due": modelled["is_due"],
                "threshold_if_moved": pl.Series(if_moved).fill_nan(None),
                "won_bits": [base64.b64encode(drawn.bits[drawn.bit_row[at]].tobytes()).decode() for at in chosen],
            },
            schema=DEALS,
        ).sort("opportunity_id")

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        draws = pl.concat(self._draws) if self._draws else pl.DataFrame(schema=DRAWS)
        return pl.DataFrame(self._scopes, schema=SCOPES, orient="row"), draws, self._deals


# The bench


@dataclass(frozen=True)
class Assumption:
    """What a reader assumes of one deal. ``win_rate`` its chance to be won in the period (0: it is out, 1: it is in);
    ``is_due`` whether its close date lies in the period; ``kept_rate`` the share of its amount that is kept. None: as
    it is."""

    opportunity_id: str
    win_rate: float | None = None
    is_due: bool | None = None
    kept_rate: float = 1.0


@dataclass(frozen=True)
class BenchDeal:
    """One deal that can be named. ``won`` whether it is won, draw by draw; ``worth`` its mean amount if won."""

    opportunity_id: str
    amount: float
    worth: float
    chance: float
    threshold: float
    is_due: bool | None
    threshold_if_moved: float | None
    won: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bench:
    """One scope's draws, ready to be taken up again. ``amounts`` and ``shock`` in the order they were drawn."""

    closed: float
    weight: float
    model: CallModel | None
    call_line: float | None
    delta: float
    amounts: Floats
    shock: Floats
    deals: Mapping[str, BenchDeal]


@dataclass(frozen=True)
class Scenario:
    """Where the period lands under the assumptions; to the cent as ``landing`` and ``landing_dots`` say it."""

    estimate: Decimal
    lower: Decimal
    upper: Decimal
    dots: tuple[Decimal, ...]


def make_bench(scope: pl.DataFrame, amounts: pl.DataFrame, shock: pl.DataFrame, deals: pl.DataFrame) -> Bench:
    """From published rows: one of ``SCOPES``, that scope's ``DRAWS``, those with the shock, and its deals."""
    row = scope.row(0, named=True)
    count = amounts.height
    model = None
    if row["call_line"] is not None:
        model = CallModel(row["call_correction"], row["call_scale"], row["call_df"], row["call_offset"])
    named = {
        str(deal["opportunity_id"]): BenchDeal(
            str(deal["opportunity_id"]),
            deal["amount"],
            deal["worth_amount"],
            deal["win_probability_rate"],
            deal["threshold"],
            deal["is_due"],
            deal["threshold_if_moved"],
            np.unpackbits(np.frombuffer(base64.b64decode(deal["won_bits"]), dtype=np.uint8), count=count).astype(bool),
        )
        for deal in deals.iter_rows(named=True)
    }
    return Bench(
        row["closed_amount"],
        row["deal_weight"],
        model,
        row["call_line"],
        row["shift"],
        amounts.sort("draw")["amount"].to_numpy(),
        shock.sort("draw")["shock"].to_numpy(),
        named,
    )


def scenario(bench: Bench, assumptions: Sequence[Assumption], *, level: float) -> Scenario:
    """**What if.** The landing with the reader's assumptions; without any, the issued one to the cent.

    An assumption about a deal changes in which of the draws it is won, and for how much: it is won in as many more or
    fewer of them as its chance goes up or down, under the same shock of the period. What that does to the landing by
    deals is done to the landing by call alike: whoever called is taken to have counted on the deal at its old odds.
    Deals not named, and business not yet opened, stay as they were drawn. Errors: ValueError for a deal that the bench
    does not have.
    """
    levels = (np.arange(len(bench.amounts)) + 0.5) / len(bench.amounts)
    issued = np.sort(bench.amounts)
    call = np.full(len(levels), np.nan)
    if bench.model is not None and bench.call_line is not None:
        call = np.maximum(bench.model.quantiles(bench.call_line, levels), bench.closed)
    ordered = combine(issued[None, :], call[None, :], np.array([bench.weight]))[0]
    if assumptions:
        amounts = bench.amounts.copy()
        for assumption in assumptions:
            amounts += _difference(bench, assumption)
        ordered = np.sort(np.maximum(ordered + np.sort(np.maximum(amounts, bench.closed)) - issued, bench.closed))
    tail = (1 - level) / 2
    lower, upper = quantile_at(ordered, np.array([tail, (1 + level) / 2]))
    estimate = float(quantile_at(ordered, 0.5))
    money = _cents([estimate, float(lower), float(upper), *quantile_at(ordered, DOTS).tolist()])
    return Scenario(money[0], money[1], money[2], tuple(money[3:]))


def chance_of(bench: Bench, assumption: Assumption) -> float:
    """The deal's chance to be won in the period under the assumption."""
    deal = _known(bench, assumption)
    if assumption.win_rate is not None:
        return assumption.win_rate
    threshold = _threshold(deal, assumption)
    if threshold == deal.threshold:
        return deal.chance
    return float(calibrated_chance(np.array([threshold]), bench.delta, bench.shock)[0])


def _known(bench: Bench, assumption: Assumption) -> BenchDeal:
    if assumption.opportunity_id not in bench.deals:
        raise ValueError(f"{assumption.opportunity_id!r} is not among the deals of this bench")
    return bench.deals[assumption.opportunity_id]


def _threshold(deal: BenchDeal, assumption: Assumption) -> float:
    """Probit of the odds by the date: a deal moved across the period's end gets the odds of deals due there."""
    is_moved = assumption.is_due is not None and deal.is_due is not None and assumption.is_due != deal.is_due
    return deal.threshold_if_moved if is_moved and deal.threshold_if_moved is not None else deal.threshold


def _difference(bench: Bench, assumption: Assumption) -> Floats:
    """What the assumption adds to each draw."""
    deal = _known(bench, assumption)
    before = special.ndtr(deal.threshold - bench.delta + bench.shock)
    if assumption.win_rate is None:
        after = special.ndtr(_threshold(deal, assumption) - bench.delta + bench.shock)
    elif assumption.win_rate in {0.0, 1.0}:
        after = np.full(len(before), assumption.win_rate)
    else:
        after = special.ndtr(_threshold_for(bench, assumption.win_rate) - bench.delta + bench.shock)
    won = _won(deal, before, after)
    changed: Floats = won * deal.worth * assumption.kept_rate - deal.won * deal.worth
    return changed


def _won(deal: BenchDeal, before: Floats, after: Floats) -> npt.NDArray[np.bool_]:
    """In which draws it is won with the chance ``after``: as drawn, but for as few changes as the two chances allow.

    A won draw stays won with chance after ÷ before, a lost one turns with (after − before) ÷ (1 − before): the coupling
    that a common normal would give, of which the outcome alone was kept. The numbers behind it are the deal's own, so
    that a scenario is the same whenever it is asked, and more chance never loses a draw.
    """
    seed = int.from_bytes(hashlib.sha256(f"scenario\x1f{deal.opportunity_id}".encode()).digest()[:8], "big")
    u = np.random.default_rng(seed).random(len(before))
    stays = np.minimum(after / np.maximum(before, 1e-300), 1.0)
    turns = np.maximum((after - before) / np.maximum(1 - before, 1e-300), 0.0)
    return np.where(deal.won, u < stays, u >= 1 - turns)


def _threshold_for(bench: Bench, rate: float) -> float:
    """The probit whose chance over the shocks is ``rate``."""

    def excess(threshold: float) -> float:
        return float(calibrated_chance(np.array([threshold]), bench.delta, bench.shock)[0]) - rate

    return float(optimize.brentq(excess, -40.0, 40.0, xtol=1e-9))


def _cents(amounts: Sequence[float]) -> list[Decimal]:
    return pl.Series(amounts, dtype=pl.Float64).round(2).cast(pl.Decimal(18, 2)).to_list()
