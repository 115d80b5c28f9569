"""Of this miss, how much was judgement, deals, buyers, timing, sourcing, process, data? Is that out of the ordinary?"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import polars as pl
from scipy import stats

from pipelines.outcome_contracts import MissExplained

PARTS: dict[str, tuple[str, ...]] = {
    "judgement": ("judgement",),
    "deals": ("lost", "shrunk", "grew"),
    "buyers": ("no_decision",),
    "timing": ("pushed_out", "pulled_in"),
    "sourcing": (),
    "process": (),
    "data": (),
    "unseen": ("left_out", "created_and_won"),
    "moved": ("transferred",),
    "currency": ("currency",),
}
"""Each cause of the bridge in exactly one part; three parts have no cause of their own, but what explains others'."""

EXPLAINING = tuple(part for part, causes in PARTS.items() if not causes)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "period_start_on": pl.Date,
    "part": pl.String,
    "amount": pl.Decimal(18, 2),
    "claim_lower": pl.Decimal(18, 2),
    "claim_upper": pl.Decimal(18, 2),
    "rate": pl.Float64,
    "period_count": pl.Int64,
    "usual_rate": pl.Float64,
    "usual_amount": pl.Decimal(18, 2),
    "lower": pl.Decimal(18, 2),
    "upper": pl.Decimal(18, 2),
    "level": pl.Float64,
    "direction": pl.String,
    "status": pl.String,
}

NOTHING_EXPLAINED: pl.DataFrame = MissExplained.create_empty()
_NONE = Decimal("0.00")


def blame(
    bridge: pl.DataFrame, explained: pl.DataFrame = NOTHING_EXPLAINED, *, level: float, least: int
) -> pl.DataFrame:
    """**Who is to blame?** Every miss split over ten parts, each beside what is usual for it. Columns: ``SCHEMA``.

    *Judgement* is what callers added to or cut from their own called deals; *deals* were lost, shrank or grew;
    *buyers* decided nothing; *timing* is what was pushed out or pulled in; *unseen* business was won though it was not
    called (left out, or created later); *moved* deals changed hands between scopes; *currency* is the rates'. Each
    cause of the bridge belongs to one of these parts, whatever the order. From the deals that were lost, undecided or
    pushed out, *sourcing*, *process* and *data* then take what is theirs by "What explains the miss", deal by deal,
    and the rest stays where it was: so the ten parts add up to actual − call exactly. ``claim_lower`` and
    ``claim_upper``: those three parts at the ends of what they rest on; null for the others, which are counted.

    A part's share of the call is compared with the same share in earlier periods alone (n of them, mean m, standard
    deviation s): the range m ± t·s·√(1 + 1/n) with n − 1 degrees of freedom holds the next period's share ``level`` of
    the time if periods are alike (normal prediction interval). Earlier periods' missed deals are split by the very
    rates that this period's are, so that a source that was always weak is no news; a stage's drift, from the periods on
    that it is told of. ``direction``: ``inside``, ``below`` or ``above`` the range. With ten parts, two outside at 80 %
    mean nothing by themselves. Below ``least``
    earlier periods the part is given without a range (``not_enough_history``).

    ``bridge``: ``miss_attribution`` of one scope and layer; ``explained``: ``miss_explained`` of that scope. Periods
    without a call, or with a call of 0, are left out.
    """
    part_of = {cause: part for part, causes in PARTS.items() for cause in causes}
    told = bridge.filter((pl.col("status") == "ok") & (pl.col("call_amount") > 0)).sort("period_start_on")
    calls: dict[date, Decimal] = dict(told.select("period_start_on", "call_amount").iter_rows())
    counted = _summed(told.select("period_start_on", "cause", "amount").iter_rows(), part_of)
    columns = ("of_period_start_on", "cause", "part", "amount", "lower_amount", "upper_amount")
    by_period = {start: explained.filter(pl.col("period_start_on") == start).select(columns).rows() for start in calls}
    rows = []
    for start, call in calls.items():
        earlier = [other for other in calls if other < start]
        split = _split(counted, by_period[start], part_of)
        claims = _claims(by_period[start], start)
        for part in PARTS:
            rates = [float(split.get((other, part), _NONE) / calls[other]) for other in earlier]
            amount = split.get((start, part), _NONE)
            ends = claims.get(part, (amount, amount)) if part in EXPLAINING else (None, None)
            rows.append((start, part, amount, *ends, *_compared(amount, call, rates, level=level, least=least)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _summed(steps: object, part_of: dict[str, str]) -> dict[tuple[date, str], Decimal]:
    sums: dict[tuple[date, str], Decimal] = {}
    for start, cause, amount in steps:  # type: ignore[attr-defined]
        key = (start, part_of[cause])
        sums[key] = sums.get(key, _NONE) + amount
    return sums


def _split(
    counted: dict[tuple[date, str], Decimal],
    explained: list[tuple[date, str, str, Decimal, Decimal, Decimal]],
    part_of: dict[str, str],
) -> dict[tuple[date, str], Decimal]:
    """What is explained leaves its cause's part and comes to its own: no cent is added or lost."""
    split = dict(counted)
    for of, cause, part, amount, *_ in explained:
        if (of, part_of[cause]) in counted:
            split[of, part_of[cause]] -= amount
            split[of, part] = split.get((of, part), _NONE) + amount
    return split


def _claims(
    explained: list[tuple[date, str, str, Decimal, Decimal, Decimal]], start: date
) -> dict[str, tuple[Decimal, Decimal]]:
    """Each explaining part of the period at the ends of its fractions."""
    ends: dict[str, tuple[Decimal, Decimal]] = {}
    for of, _, part, _, lower, upper in explained:
        if of == start:
            low, high = ends.get(part, (_NONE, _NONE))
            ends[part] = (low + lower, high + upper)
    return ends


def _compared(
    amount: Decimal, called: Decimal, earlier: list[float], *, level: float, least: int
) -> tuple[object, ...]:
    n, call = len(earlier), float(called)
    rate = float(amount) / call
    known = (rate, n)
    if n < max(least, 2):
        return (*known, None, None, None, None, level, None, "not_enough_history")
    mean = sum(earlier) / n
    sd = math.sqrt(sum((value - mean) ** 2 for value in earlier) / (n - 1))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd * math.sqrt(1 + 1 / n)
    tiny = 1e-12
    word = "inside" if abs(rate - mean) <= half + tiny else "above" if rate > mean else "below"
    usual, lower, upper = (round(value * call, 2) for value in (mean, mean - half, mean + half))
    return (*known, mean, usual, lower, upper, level, word, "ok")
