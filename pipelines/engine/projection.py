"""What finance should carry: from sales' call to the number for the plan, each step with its reason and its interval.

A step taken from history is a share of a base (the call, or what closes won) over closed periods, as a ratio of sums::

    R = Σ x_t / Σ b_t        e_t = x_t − R·b_t        se = √(n/(n−1) · Σ e_t²) / Σ b_t       R ± t(n−1) · se

one period being one observation (ratio estimator: Cochran, 1977, Sampling Techniques, 3rd ed., ch. 6; quarters share
their shocks). One period to come scatters by ``period_sd = √(Σ e_t² / (n−1)) · n / Σ b_t`` about it, and about what is
known of it by √(1 + 1/n) of that, t(n−1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from scipy import stats

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Share:
    """A share of a base, from history: ``estimate``, its interval at ``level``, and how far one period scatters.

    ``status``: ``ok``, or ``not_enough_history`` (all numbers null).
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    level: float | None
    period_sd: float | None
    period_count: int
    status: str


@dataclass(frozen=True)
class Step:
    """One step of the bridge. Money in the reporting currency; what the step adds."""

    step: str
    amount: Decimal | None
    lower: Decimal | None = None
    upper: Decimal | None = None
    level: float | None = None
    period_count: int | None = None
    status: str = "ok"


@dataclass(frozen=True)
class Range:
    """Where the period lands, as issued: the middle and the ends of the range at ``level``."""

    estimate: Decimal
    lower: Decimal
    upper: Decimal
    level: float
    period_count: int


def share_of_base(amounts: Sequence[float], bases: Sequence[float], *, level: float, least: int) -> Share:
    """Ratio of sums with its t interval over periods; none below ``least`` periods or without a base."""
    n, base = len(amounts), math.fsum(bases)
    if n < max(least, 2) or base <= 0:
        return Share(None, None, None, None, None, n, "not_enough_history")
    rate = math.fsum(amounts) / base
    scatter = math.fsum((x - rate * b) ** 2 for x, b in zip(amounts, bases, strict=True))
    error = math.sqrt(n / (n - 1) * scatter) / base
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    return Share(rate, rate - reach, rate + reach, level, math.sqrt(scatter / (n - 1)) * n / base, n, "ok")


def bridge(
    *,
    call: Decimal | None,
    landing_rate: Share,
    timing: Share | None,
    landing: Range | None,
    books: Mapping[str, Share],
    calls_land_as_booked: bool,
) -> list[Step]:
    """**From the call to the number to carry.** The steps in order; the totals are exactly the sums of their steps.

    ``landing_rate``: what calls of this kind land at, as a share of the call. ``timing``: (pulled in − pushed out) as a
    share of the call; None where it cannot be told for this kind of call. ``landing``: the range issued for the period.
    ``books``: ``bookings_lag``, ``bookings_breaks`` and ``currency`` as shares of closed won.

    Lean is what is left of the average miss when timing is taken out; ``deals`` takes it to the middle of the range,
    which knows the deals open today. Where the calls are measured by bookings (``calls_land_as_booked``), the average
    miss holds the books' steps already: they are taken out of the lean instead of being added to the landing.
    A step without enough history has no amount and is left out of the sum; the total is then ``partial``.
    """
    middle = None if landing is None else landing.estimate
    by_record = None if call is None or landing_rate.estimate is None else _times(call, landing_rate.estimate)
    base = by_record if middle is None else middle
    booked = [_from_share(name, base, share) for name, share in books.items()]
    within = Decimal(0)
    if calls_land_as_booked:
        within = sum((step.amount for step in booked if step.amount is not None), Decimal(0))
    led = [
        Step("call", call, status="no_call" if call is None else "ok"),
        *_leaning(call, landing_rate, timing, within),
    ]
    told = sum((step.amount for step in led if step.amount is not None), Decimal(0))
    total = None if base is None else base - within
    if call is None:
        led.append(Step("deals", None, status="no_call"))
    elif landing is None or total is None:
        led.append(Step("deals", None, status="not_enough_history"))
    else:
        led.append(Step("deals", total - told))
    steps = [*led, _landing_step(total, landing, within), *booked]
    return [*steps, _carried(steps, landing, {} if calls_land_as_booked else books, base)]


def split_by_weight(total: Decimal, weights: Sequence[float]) -> list[Decimal] | None:
    """``total`` in proportion to the weights, in cents that add up (largest remainder); None without any weight."""
    whole = math.fsum(weights)
    if whole <= 0:
        return None
    cents = int(total / CENT)
    raw = [cents * weight / whole for weight in weights]
    shares = [math.floor(part) for part in raw]
    order = sorted(range(len(raw)), key=lambda i: (-(raw[i] - shares[i]), i))
    for i in range(cents - sum(shares)):
        shares[order[i % len(order)]] += 1
    return [Decimal(share) * CENT for share in shares]


def _leaning(call: Decimal | None, rate: Share, timing: Share | None, within: Decimal) -> list[Step]:
    """Lean and timing: together what calls like it miss by on average."""
    if call is None:
        return [Step("lean", None, status="no_call"), Step("timing", None, status="no_call")]
    if rate.estimate is None or rate.lower is None or rate.upper is None:
        lean = Step("lean", None, period_count=rate.period_count, status="not_enough_history")
        return [lean, Step("timing", None, status="not_enough_history")]
    whole = _times(call, rate.estimate - 1.0)
    moved = Step("timing", None, status="not_told") if timing is None else _from_share("timing", call, timing)
    apart = (moved.amount or Decimal(0)) + within
    ends = (_times(call, rate.lower - 1.0) - apart, _times(call, rate.upper - 1.0) - apart)
    return [Step("lean", whole - apart, *ends, rate.level, rate.period_count), moved]


def _landing_step(total: Decimal | None, landing: Range | None, within: Decimal) -> Step:
    if total is None:
        return Step("landing", None, status="none")
    if landing is None:
        return Step("landing", total, status="partial")
    ends = (landing.lower - within, landing.upper - within)
    return Step("landing", total, *ends, landing.level, landing.period_count)


def _carried(steps: list[Step], landing: Range | None, books: Mapping[str, Share], base: Decimal | None) -> Step:
    """The total, with the range of the landing carried through: independent scatters add as squares. ``books``: empty
    where the range is of bookings, and holds their scatter already."""
    added = ("landing", "bookings_lag", "bookings_breaks", "currency")
    parts = {step.step: step.amount for step in steps if step.step in added}
    if parts["landing"] is None:
        return Step("carry", None, status="none")
    total = sum((amount for amount in parts.values() if amount is not None), Decimal(0))
    status = "ok" if all(amount is not None for amount in parts.values()) and landing is not None else "partial"
    if landing is None or base is None:
        return Step("carry", total, status=status)
    scatter = [
        float(stats.t.ppf(0.5 + landing.level / 2, n - 1)) * share.period_sd * math.sqrt(1 + 1 / n)
        for share in books.values()
        if share.period_sd is not None and (n := share.period_count) > 1
    ]
    by_books = float(base) * math.sqrt(math.fsum(reach**2 for reach in scatter))

    def reach(end: Decimal) -> Decimal:
        return _money(math.hypot(float(end - landing.estimate), by_books))

    ends = (total - reach(landing.lower), total + reach(landing.upper))
    counts = [share.period_count for share in books.values() if share.status == "ok"]
    return Step("carry", total, *ends, landing.level, min([landing.period_count, *counts]), status)


def _from_share(name: str, base: Decimal | None, share: Share) -> Step:
    if base is None or share.estimate is None or share.lower is None or share.upper is None:
        return Step(name, None, period_count=share.period_count, status="not_enough_history")
    amount, lower, upper = (_times(base, rate) for rate in (share.estimate, share.lower, share.upper))
    return Step(name, amount, lower, upper, share.level, share.period_count)


def _times(amount: Decimal, rate: float) -> Decimal:
    return _money(float(amount) * rate)


def _money(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(CENT, ROUND_HALF_UP)
