"""What the call in force is worth, read from how calls like it have landed.

Two statements that must not be mixed. *On average*: the call × the company's landing rate, with the interval of that
average (``team_bias``: quarter-clustered t). *A single period*: the landing rates that past periods showed at the same
week, as they were; between the lowest and the highest kept lies a stated number of them. The interval of the average is
narrower than the scatter of single periods and is never offered as a range for the period to come.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import polars as pl
from scipy import stats

from pipelines.policy import COMPANY_SCOPE

CENT = Decimal("0.01")
SAME_PERIOD_SLACK_DAYS = 10
"""A 52-week calendar starts up to a week earlier each year; ten days never reach the neighbouring period."""

RECORD_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "period_start_on": pl.Date,
    "period_end_on": pl.Date,
    "call_amount": pl.Decimal(18, 2),
    "landed_amount": pl.Decimal(18, 2),
    "error_amount": pl.Decimal(18, 2),
    "landing_rate": pl.Float64,
    "lean_rate": pl.Float64,
    "is_fair": pl.Boolean,
    "everyone_amount": pl.Decimal(18, 2),
    "naive_amount": pl.Decimal(18, 2),
    "naive_error_amount": pl.Decimal(18, 2),
    "naive_kind": pl.String,
    "caller_count": pl.Int64,
    "missing_count": pl.Int64,
}


def share_of(amount: Decimal | None, rate: float | None) -> Decimal | None:
    """``amount`` × ``rate`` in cents, half away from zero; null if either is missing or the rate is not finite."""
    if amount is None or rate is None or not math.isfinite(rate):
        return None
    return (amount * Decimal(repr(rate))).quantize(CENT, rounding=ROUND_HALF_UP)


def fair_bounds(fair_zone: float) -> tuple[float, float]:
    """Landing rates that count as fair: 1 ÷ (1 + zone) to 1 + zone, so that high and low are judged alike."""
    return 1.0 / (1.0 + fair_zone), 1.0 + fair_zone


def lean_bounds(fair_zone: float) -> tuple[float, float]:
    """The same zone as leans, (call − landed) ÷ landed = 1 ÷ landing rate − 1."""
    lower, upper = fair_bounds(fair_zone)
    return 1.0 / upper - 1.0, 1.0 / lower - 1.0


def is_within(rate: float, fair_zone: float) -> bool:
    """Whether a landing rate lies in the fair zone, its ends counted."""
    lower, upper = fair_bounds(fair_zone)
    return lower - 1e-12 <= rate <= upper + 1e-12


@dataclass(frozen=True)
class Expectation:
    """The call in force and what calls like it have landed at on average. Money in the reporting currency.

    ``expected_amount`` call × ``estimate``. ``lower_amount`` and ``upper_amount`` bound that *average*, not the period.
    ``status``: ``ok``, ``no_call`` or ``not_enough_history`` (the call stands alone).
    """

    call_amount: Decimal | None
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float | None
    expected_amount: Decimal | None
    lower_amount: Decimal | None
    upper_amount: Decimal | None
    status: str


def expectation(
    *,
    call_amount: Decimal | None,
    estimate: float | None,
    lower: float | None,
    upper: float | None,
    level: float | None,
    has_history: bool,
) -> Expectation:
    """**What calls like this one have landed at.** The call in force × the landing rate of the same kind of call.

    The landing rate is Σ landed ÷ Σ called over closed periods at the same week of the period. Its interval says how
    surely the *average* is known (``level`` of such intervals hold the true average); single periods scatter more.
    Without an interval (fewer periods than the policy asks for) nothing is expected: the call is shown alone.
    """
    known = has_history and estimate is not None and lower is not None and upper is not None
    rates = (estimate, lower, upper) if known else (None, None, None)
    status = "no_call" if call_amount is None else "ok" if known else "not_enough_history"
    return Expectation(
        call_amount,
        *rates,
        level if known else None,
        share_of(call_amount, rates[0]),
        share_of(call_amount, rates[1]),
        share_of(call_amount, rates[2]),
        status,
    )


def _earlier(start: date, landed: dict[date, Decimal]) -> tuple[Decimal | None, str | None]:
    """What landed in the same period a year before, else in the latest period before ``start``."""
    a_year_before = date(start.year - 1, start.month, min(start.day, 28))
    same = [day for day in landed if abs((day - a_year_before).days) <= SAME_PERIOD_SLACK_DAYS]
    if same:
        return landed[same[0]], "same_period_last_year"
    before = [day for day in landed if day < start]
    return (landed[max(before)], "previous_period") if before else (None, None)


def record(pairs: pl.DataFrame, *, fair_zone: float) -> pl.DataFrame:
    """**The record at this week.** One row per closed period, oldest first: what was called, what landed.

    ``pairs``: ``forecast_pairs`` of one layer, category and week, already limited to a scope. A period's call and
    landed amounts sum over the forecasters who had called by that week; one without a call is counted in
    ``missing_count`` and in neither sum. ``error_amount`` = call − landed (positive = ran high); ``landing_rate``
    landed ÷ call; ``lean_rate`` error ÷ landed; ``is_fair``: call and landing within a factor 1 + ``fair_zone`` of each
    other, whichever is larger.
    ``everyone_amount`` is what all landed, those without a call by that week too. ``naive_amount``: the same a year
    before, else in the latest period before; its error is against ``everyone_amount``: early in a period few have
    called, and the naive forecast must not look far off because it is of everyone.
    Columns and types: ``RECORD_SCHEMA``.
    """
    called = pl.col("status") == "closed"
    by_period = (
        pairs.filter(pl.col("status").is_in(["closed", "no_call"]) & pl.col("actual_amount").is_not_null())
        .group_by("period_start_on", "period_end_on")
        .agg(
            pl.col("forecast_amount").filter(called).sum().alias("call_amount"),
            pl.col("actual_amount").filter(called).sum().alias("landed_amount"),
            pl.col("actual_amount").sum().alias("everyone_amount"),
            called.sum().cast(pl.Int64).alias("caller_count"),
            (~called).sum().cast(pl.Int64).alias("missing_count"),
        )
        .sort("period_start_on")
    )
    landed_in: dict[date, Decimal] = dict(by_period.select("period_start_on", "everyone_amount").iter_rows())
    rows = []
    for row in by_period.filter(pl.col("caller_count") > 0).iter_rows(named=True):
        call, landed = row["call_amount"], row["landed_amount"]
        naive, kind = _earlier(row["period_start_on"], landed_in)
        rate = float(landed / call) if call else None
        rows.append(
            {
                **{name: row[name] for name in ("period_start_on", "period_end_on", "caller_count", "missing_count")},
                "call_amount": call,
                "landed_amount": landed,
                "error_amount": call - landed,
                "landing_rate": rate,
                "lean_rate": float((call - landed) / landed) if landed else None,
                "is_fair": None if rate is None else is_within(rate, fair_zone),
                "everyone_amount": row["everyone_amount"],
                "naive_amount": naive,
                "naive_error_amount": None if naive is None else naive - row["everyone_amount"],
                "naive_kind": kind,
            }
        )
    return pl.DataFrame(rows, schema=RECORD_SCHEMA)


def in_scope(pairs: pl.DataFrame, members: pl.DataFrame, scope: str) -> pl.DataFrame:
    """The pairs of those who belonged to ``scope`` in each period (``scope_members``); the company holds everyone."""
    if scope == COMPANY_SCOPE:
        return pairs
    inside = members.filter(pl.col("scope") == scope).select("period_start_on", forecaster_id="person_id").unique()
    return pairs.join(inside, on=["period_start_on", "forecaster_id"], how="semi", maintain_order="left")


def callers(pairs: pl.DataFrame, *, period: date, departed: Collection[str]) -> tuple[int, int]:
    """How many have called for ``period``, and how many who called for the latest closed period before it have not.

    ``pairs``: of one layer, category, week and scope. Who has left (``departed``) is not missed.
    """
    called = pairs.filter(pl.col("forecast_amount").is_not_null())
    now = set(called.filter(pl.col("period_start_on") == period)["forecaster_id"].to_list())
    before = called.filter((pl.col("status") == "closed") & (pl.col("period_start_on") < period))
    latest = before.filter(pl.col("period_start_on") == pl.col("period_start_on").max())
    usual = set(latest["forecaster_id"].to_list()) - set(departed)
    return len(now), len(usual - now)


def total(amounts: pl.Series) -> Decimal | None:
    """Exact sum of what is known; null when nothing is."""
    known = [amount for amount in amounts.to_list() if amount is not None]
    return sum(known, Decimal(0)) if known else None


@dataclass(frozen=True)
class RecordSummary:
    """What the record at one week adds up to.

    ``fair_count`` of ``period_count`` periods landed within the fair zone; ``high_count`` calls were above what landed
    and ``low_count`` below. ``wape_rate`` Σ|call − landed| ÷ Σ landed;
    ``naive_wape_rate`` and ``skill_rate`` over the ``compared_count`` periods that have a naive forecast;
    ``naive_kind``: ``same_period_last_year``, ``previous_period``, or ``mixed`` where some had no year before;
    ``gain_lower`` and ``gain_upper`` bound the average of |naive error| − |call error|, each ÷ its average landed (t
    interval over periods at ``level``; null below three). ``lowest_rate`` and ``highest_rate``: the landing rates
    between which ``inside_count`` of the periods lie. ``recent_wape_rate`` and ``earlier_wape_rate``: the last four
    periods and the four before, null below eight.
    """

    period_count: int
    fair_count: int
    high_count: int
    low_count: int
    wape_rate: float | None
    compared_count: int
    naive_wape_rate: float | None
    skill_rate: float | None
    gain_lower: float | None
    gain_upper: float | None
    level: float
    lowest_rate: float | None
    highest_rate: float | None
    inside_count: int
    recent_wape_rate: float | None
    earlier_wape_rate: float | None
    naive_kind: str | None = None


def kept_rates(rates: Sequence[float], *, level: float) -> tuple[float | None, float | None, int]:
    """Lowest and highest rate kept, and how many of ``rates`` lie between them (both ends counted).

    With n rates and j − 1 left out at each end, one more period like these lies between with probability
    (n + 1 − 2j) ÷ (n + 1) (order statistics of exchangeable values; Wilks, 1941). As many are left out as leaves this
    at ``level`` or more; at 80 % that is none below nineteen. Below nine not even all of them reach it (four keep
    60 %), so what is said of them is how many there were, never a level.
    """
    ordered = sorted(rates)
    if not ordered:
        return None, None, 0
    left_out = max(1, math.floor((1.0 - level) / 2.0 * (len(ordered) + 1) + 1e-9)) - 1
    kept = ordered[left_out : len(ordered) - left_out]
    return kept[0], kept[-1], len(kept)


def _wape(rows: pl.DataFrame, error: str, of: str = "landed_amount") -> float | None:
    landed, missed = total(rows[of]), total(rows[error].abs())
    return float(missed / landed) if landed and missed is not None and landed > 0 else None


def summarise(rows: pl.DataFrame, *, level: float) -> RecordSummary:
    """**How far off calls were, and whether a naive forecast would have done better.** ``rows``: from ``record``.

    The typical miss is Σ|call − landed| ÷ Σ landed (WAPE). Skill is 1 − that ÷ the same for the naive forecast
    (what everyone landed in the same period a year before, else in the latest period before), over the periods that
    have one: above 0 the calls were closer. Calls are held against what their callers landed, the naive forecast
    against what everyone did.
    """
    compared = rows.filter(pl.col("naive_amount").is_not_null())
    wape = _wape(compared, "error_amount")
    naive = _wape(compared, "naive_error_amount", of="everyone_amount")
    gain_lower = gain_upper = None
    landed, everyone = total(compared["landed_amount"]), total(compared["everyone_amount"])
    if compared.height >= 3 and landed is not None and everyone is not None and min(landed, everyone) > 0:
        called, naively = (
            compared[error].abs().cast(pl.Float64).to_numpy() / (float(size) / compared.height)
            for error, size in (("error_amount", landed), ("naive_error_amount", everyone))
        )
        gains = naively - called
        half = stats.t.ppf((1 + level) / 2, gains.size - 1) * gains.std(ddof=1) / math.sqrt(gains.size)
        gain_lower, gain_upper = float(gains.mean() - half), float(gains.mean() + half)
    kinds = compared["naive_kind"].unique().to_list()
    lowest, highest, inside = kept_rates(rows["landing_rate"].drop_nulls().to_list(), level=level)
    long_enough = rows.height >= 8
    return RecordSummary(
        period_count=rows.height,
        fair_count=rows.filter(pl.col("is_fair")).height,
        high_count=rows.filter(pl.col("error_amount") > 0).height,
        low_count=rows.filter(pl.col("error_amount") < 0).height,
        wape_rate=_wape(rows, "error_amount"),
        compared_count=compared.height,
        naive_wape_rate=naive,
        skill_rate=None if wape is None or not naive else 1.0 - wape / naive,
        gain_lower=gain_lower,
        gain_upper=gain_upper,
        level=level,
        lowest_rate=lowest,
        highest_rate=highest,
        inside_count=inside,
        recent_wape_rate=_wape(rows.tail(4), "error_amount") if long_enough else None,
        earlier_wape_rate=_wape(rows.slice(rows.height - 8, 4), "error_amount") if long_enough else None,
        naive_kind=kinds[0] if len(kinds) == 1 else "mixed" if kinds else None,
    )
