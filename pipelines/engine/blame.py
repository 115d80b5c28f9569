"""Of this miss, how much was judgement, deals, buyers, timing? And is that out of the ordinary?"""

from __future__ import annotations

import math

import polars as pl
from scipy import stats

PARTS: dict[str, tuple[str, ...]] = {
    "judgement": ("judgement",),
    "deals": ("lost", "shrunk", "grew"),
    "buyers": ("no_decision",),
    "timing": ("pushed_out", "pulled_in"),
    "unseen": ("left_out", "created_and_won"),
    "moved": ("transferred",),
    "currency": ("currency",),
}
"""Each cause of the bridge in exactly one part."""

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "period_start_on": pl.Date,
    "part": pl.String,
    "amount": pl.Decimal(18, 2),
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


def blame(bridge: pl.DataFrame, *, level: float, least: int) -> pl.DataFrame:
    """**Who is to blame?** Every miss split over seven parts, each beside what is usual for it. Columns: ``SCHEMA``.

    *Judgement* is what callers added to or cut from their own called deals; *deals* were lost, shrank or grew;
    *buyers* decided nothing; *timing* is what was pushed out or pulled in; *unseen* business was won though it was not
    called (left out, or created later); *moved* deals changed hands between scopes; *currency* is the rates'. Each
    cause of the bridge belongs to one part, whatever the order, so the parts add up to actual − call exactly.

    A part's share of the call is compared with the same share in earlier periods alone (n of them, mean m, standard
    deviation s): the range m ± t·s·√(1 + 1/n) with n − 1 degrees of freedom holds the next period's share ``level`` of
    the time if periods are alike (normal prediction interval). ``direction``: ``inside``, ``below`` or ``above`` it.
    With seven parts, one or two outside at 80 % mean nothing by themselves. Below ``least`` earlier periods the part is
    given without a range (``not_enough_history``).

    ``bridge``: ``miss_attribution`` of one scope and layer. Periods without a call, or with a call of 0, are left out.
    """
    part_of = {cause: part for part, causes in PARTS.items() for cause in causes}
    told = bridge.filter((pl.col("status") == "ok") & (pl.col("call_amount") > 0))
    summed = (
        told.with_columns(part=pl.col("cause").replace_strict(part_of, return_dtype=pl.String))
        .group_by("period_start_on", "part")
        .agg(pl.col("amount").sum().cast(pl.Decimal(18, 2)), call=pl.col("call_amount").first())
        .with_columns(rate=pl.col("amount").cast(pl.Float64) / pl.col("call").cast(pl.Float64))
    )
    rows = []
    for part in PARTS:
        earlier: list[float] = []
        for row in summed.filter(pl.col("part") == part).sort("period_start_on").iter_rows(named=True):
            rows.append(_compared(row, part, earlier, level=level, least=least))
            earlier.append(row["rate"])
    order = pl.col("part").replace_strict(list(PARTS), range(len(PARTS)), return_dtype=pl.Int64)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("period_start_on", order)


def _compared(
    row: dict[str, object], part: str, earlier: list[float], *, level: float, least: int
) -> tuple[object, ...]:
    n, rate, call = len(earlier), float(row["rate"]), float(row["call"])  # type: ignore[arg-type]
    known = (row["period_start_on"], part, row["amount"], rate, n)
    if n < max(least, 2):
        return (*known, None, None, None, None, level, None, "not_enough_history")
    mean = sum(earlier) / n
    sd = math.sqrt(sum((value - mean) ** 2 for value in earlier) / (n - 1))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd * math.sqrt(1 + 1 / n)
    tiny = 1e-12
    word = "inside" if abs(rate - mean) <= half + tiny else "above" if rate > mean else "below"
    usual, lower, upper = (round(value * call, 2) for value in (mean, mean - half, mean + half))
    return (*known, mean, usual, lower, upper, level, word, "ok")
