"""Does a field know the outcome? One that parts won from lost deals too well cannot have been known beforehand.

CRM exports carry fields that are filled in, or recomputed, when a deal closes: a score that is high for every won deal,
a reason only lost deals have. Used as a forecast they look brilliant and teach nothing. The measure is separation: the
chance that a random won deal and a random lost one are told apart by the field (area under the ROC curve, folded to
½ … 1), for numbers by their order and by deciles (a leak need not be monotone), for words by each word's own win rate,
and for either by whether the field is empty. A field is refused when even the lower end of separation's 95 % interval
(Hanley and McNeil 1982) reaches 0.95: honest probabilities of contested deals stay near 0.75, and 0.9 is rare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from pipelines.process_contracts import Leaks

REFUSED_FROM = 0.95
SUSPECT_FROM = 0.90
MIN_EACH_OUTCOME = 20
"""Fewer won or lost deals than this are parted perfectly by chance too easily."""

MIN_WORD_COUNT = 10
"""Words seen on fewer deals are taken together: a field unique to each deal would otherwise know everything."""

DECILES = 10


@dataclass(frozen=True)
class Separation:
    """Chance that the field tells a won deal from a lost one (½ … 1), its 95 % interval, and by what."""

    rate: float
    lower: float
    upper: float
    how: str


def leaks(resolved: pl.DataFrame, fields: Iterable[str], *, seen: str = "when_opened") -> pl.DataFrame:
    """Which fields cannot have been known beforehand: frame ``Leaks``, worst first.

    ``resolved``: one row per won or lost deal with ``is_won`` and the fields, as they stood when they are said to have
    been known (``seen``: when the deal was opened, or only in the export). Numbers, dates, booleans and text are told
    apart by their column's type.
    """
    won = resolved["is_won"].to_numpy().astype(bool)
    rows = []
    for field in fields:
        found = separation(resolved[field], won)
        row = {"field": field, "seen": seen, "won_count": int(won.sum()), "lost_count": int((~won).sum())}
        if found is None:
            is_short = min(int(won.sum()), int((~won).sum())) < MIN_EACH_OUTCOME
            rows.append(row | {"status": "not_enough_history" if is_short else "constant"})
            continue
        status = "refused_as_leak" if is_leak(found) else ("suspect" if found.rate >= SUSPECT_FROM else "usable")
        measured = {"separation_rate": found.rate, "lower": found.lower, "upper": found.upper, "how": found.how}
        rows.append(row | measured | {"status": status})
    if not rows:
        return Leaks.create_empty()
    columns = Leaks.column_names()
    frame = pl.DataFrame([dict.fromkeys(columns) | row for row in rows], infer_schema_length=None).select(columns)
    worst_first = frame.cast({"separation_rate": pl.Float64}).sort(
        "separation_rate", "field", descending=[True, False], nulls_last=True
    )
    return Leaks.validate(worst_first, cast=True)


def is_leak(found: Separation | None) -> bool:
    """True if the field parts won from lost too well to have been known beforehand."""
    return found is not None and found.lower >= REFUSED_FROM


def separation(values: pl.Series, won: NDArray[np.bool_]) -> Separation | None:
    """The best a field does at telling won from lost, over its order, level or word, and emptiness.

    None with fewer than 20 deals of either outcome, or where the field never varies.
    """
    if min(int(won.sum()), int((~won).sum())) < MIN_EACH_OUTCOME:
        return None
    scored = [found for found in _scores(values, won) if np.ptp(found[0]) > 0]
    if not scored:
        return None
    best = max(((_area(score, outcome), how, outcome) for score, outcome, how in scored), key=lambda found: found[0])
    area, how, outcome = best
    error = _hanley_mcneil(area, int(outcome.sum()), int((~outcome).sum()))
    half = 1.96 * error
    return Separation(area, max(0.5, area - half), min(1.0, area + half), how)


def _scores(values: pl.Series, won: NDArray[np.bool_]) -> Iterable[tuple[NDArray[np.float64], NDArray[np.bool_], str]]:
    empty = values.is_null().to_numpy()
    yield empty.astype(float), won, "emptiness"
    known = values.drop_nulls()
    outcome = won[~empty]
    if min(int(outcome.sum()), int((~outcome).sum())) < MIN_EACH_OUTCOME:
        return
    if values.dtype == pl.String:
        counts = known.to_frame("word").with_columns(pl.len().over("word").alias("count"))
        word = counts.select(pl.when(pl.col("count") >= MIN_WORD_COUNT).then(pl.col("word").cast(pl.String)))["word"]
        yield _rate_of_level(word, outcome), outcome, "word"
        return
    number = known.to_physical().cast(pl.Float64).to_numpy()
    yield number, outcome, "order"
    edges = np.unique(np.quantile(number, np.linspace(0, 1, DECILES + 1)[1:-1]))
    decile = np.searchsorted(edges, number, side="right").astype(float)
    # A number that many deals share (a flag, a default) is a word in disguise and gets a level of its own.
    frame = pl.DataFrame({"number": number, "decile": decile}).with_columns(pl.len().over("number").alias("count"))
    shared = pl.col("count") >= MIN_WORD_COUNT
    parts = pl.struct(pl.when(shared).then(pl.col("number")), pl.when(~shared).then(pl.col("decile")))
    level = frame.select(parts.alias("level"))["level"]
    yield _rate_of_level(level, outcome), outcome, "level"


def _rate_of_level(level: pl.Series, won: NDArray[np.bool_]) -> NDArray[np.float64]:
    frame = pl.DataFrame({"level": level, "won": won})
    return frame.select(pl.col("won").cast(pl.Float64).mean().over("level"))["won"].to_numpy()


def _area(score: NDArray[np.float64], won: NDArray[np.bool_]) -> float:
    ranks = stats.rankdata(score)
    wins, losses = int(won.sum()), int((~won).sum())
    area = (float(ranks[won].sum()) - wins * (wins + 1) / 2) / (wins * losses)
    return max(area, 1 - area)


def _hanley_mcneil(area: float, wins: int, losses: int) -> float:
    """Standard error of the area; at a perfect area it is 0, so the rule of three stands in for the fewer outcome."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (wins - 1) * (q1 - area**2) + (losses - 1) * (q2 - area**2)) / (wins * losses)
    return max(float(np.sqrt(max(variance, 0.0))), 1.0 / (1.96 * min(wins, losses)) if area >= 1 else 0.0)
