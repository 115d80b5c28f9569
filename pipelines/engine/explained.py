"""What of a miss is sourcing's, process's or data's: established before the lock, split exactly, without an order.

Sources: attributable fraction of those exposed, (RR − 1) ÷ RR (Levin 1953; Miettinen 1974); pooled over strata (Mantel
and Haenszel 1959) with the variance of Greenland and Robins (1985); shared between explanations whatever their order
(average attributable fractions: Eide and Gefeller 1995, the Shapley value of Shapley 1953).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from math import exp, factorial, log, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from pipelines.engine.attribution import entries_of, placed_under
from pipelines.outcome_contracts import EXPLAINED_PARTS, EXPLANATIONS, MissExplained, MissFractions

FEWEST_PERIODS = 4
"""Earlier periods before anything is claimed, and periods of each half before a drift is."""

FEWEST_DEALS = 20
"""Called deals on each side of a comparison."""

FAMILY_ERROR = 0.05
"""Chance that anything at all is claimed of a period where nothing differs (Bonferroni over all values tested)."""

RECENT_PERIODS = 4
"""The periods in which a stage's conversion is held against the ones before: a year of quarters."""

MISSED = ("lost", "no_decision", "pushed_out")
HAND_OFF_BANDS = ((7, "handed over within 7 days"), (30, "handed over in 8 to 30 days"))
HAND_OFF_LATE, NO_LEAD = "handed over after 30 days", "without a lead"
WRONG = "wrong at the lock"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """One value held against the rest: counts, rates, and where there is enough of both (``able``) the log risk ratio
    with its standard error, periods that differ beyond chance included."""

    explanation: str
    value: str
    deal_count: int
    missed_rate: float | None
    rest_count: int
    rest_rate: float | None
    period_count: int
    status: str = "too_few"
    log_ratio: float = 0.0
    standard_error: float = 0.0
    degrees: int = 0

    def row(self, tested: int, level: float) -> tuple[object, ...]:
        """As ``MissFractions`` without its period; ``tested``: how many values share the family's error."""
        counts = (self.explanation, self.value, self.deal_count, self.missed_rate, self.rest_count, self.rest_rate)
        if self.status != "able":
            return (*counts, self.period_count, None, None, None, level, tested, self.status)
        threshold = float(stats.t.ppf(1 - FAMILY_ERROR / tested, self.degrees)) * self.standard_error
        half = float(stats.t.ppf(0.5 + level / 2, self.degrees)) * self.standard_error
        ends = (1 - exp(-ratio) for ratio in (self.log_ratio, self.log_ratio - half, self.log_ratio + half))
        status = "claimed" if self.log_ratio > threshold else "not_established"
        return (*counts, self.period_count, *ends, level, tested, status)


def explained_misses(deals: pl.DataFrame, members: pl.DataFrame, *, level: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """**What explains the miss.** ``MissFractions`` and ``MissExplained`` of every closed period.

    Four questions are asked of each called deal at its lock: do deals of its *lead source*, or *handed over* from a
    lead as late as it was, fail to close in their period more often than the rest; has the conversion of its *stage*
    drifted down in the last four periods; was its *record* already wrong (close date past, no next step, untouched for
    30 days), and do such deals fail more often? Each is answered from earlier periods alone, so that no deal's own end
    speaks, and compared within one period, stage, source and state of the record, so that neither a bad quarter nor the
    mix is taken for the source. It counts only if it is worse beyond chance, with all comparisons of the period
    allowed for and periods that differ more than deals do; otherwise the explanation gets nothing.

    Where it is, of this value's missed deals the share f = 1 − (rest's miss rate ÷ its own) would not have been missed
    at the rest's rate. A missed deal with several such reasons is shared between them as the average over every order
    of taking them away (Shapley value of 1 − Π(1 − f)); Π(1 − f) of it stays with its own cause: deals, buyers or
    timing. Cents go by largest remainder, deal by deal, so that parts add up exactly in every scope.
    """
    called = _asked_of(deals)
    fractions: list[pl.DataFrame] = []
    explained: list[pl.DataFrame] = []
    leading = _leading(members)
    for start in called["period_start_on"].unique().sort().to_list():
        found = fractions_of(called.filter(pl.col("period_start_on") < start), level=level)
        if found.is_empty():
            continue
        fractions.append(found.with_columns(period_start_on=pl.lit(start)))
        claimed = found.filter(pl.col("status") == "claimed")
        if claimed.height:
            missed = called.filter((pl.col("period_start_on") <= start) & (pl.col("outcome") != "won"))
            split = split_deals(_since_the_drift(missed, start), claimed)
            explained.append(_summed(split, leading).with_columns(period_start_on=pl.lit(start)))
    return (
        _fitted(fractions, MissFractions, ["period_start_on", "explanation", "value"]),
        _fitted(explained, MissExplained, ["period_start_on", "of_period_start_on", "scope", "cause", "part"]),
    )


def fractions_of(earlier: pl.DataFrame, *, level: float) -> pl.DataFrame:
    """Every value of every explanation held against the rest over ``earlier`` called deals: ``MissFractions`` without
    its period. ``earlier``: as ``_asked_of`` makes it."""
    periods = earlier["period_start_on"].n_unique()
    if periods < FEWEST_PERIODS:
        return pl.DataFrame()
    known = earlier.with_columns(is_missed=pl.col("outcome") != "won")
    compared = []
    for explanation in EXPLANATIONS:
        for value in known[explanation].drop_nulls().unique().sort().to_list():
            if explanation == "stage":
                compared.append(_drift(known.filter(pl.col("stage") == value), value))
            elif explanation != "record" or value == WRONG:
                compared.append(_against_rest(known, explanation, value))
    tested = sum(one.status == "able" for one in compared)
    columns = {name: kind.dtype for name, kind in MissFractions.columns().items() if name != "period_start_on"}
    return pl.DataFrame([one.row(tested, level) for one in compared], schema=columns, orient="row")


def split_deals(missed: pl.DataFrame, claimed: pl.DataFrame) -> pl.DataFrame:
    """Missed deals with the cents of each part: ``sourcing_cents``, ``process_cents``, ``data_cents`` and
    ``rest_cents``, adding up to ``called_cents`` in every deal; ``_low`` and ``_high``: at the fractions' ends."""
    split = missed
    for suffix, column in (("", "fraction"), ("_low", "lower"), ("_high", "upper")):
        each = np.column_stack([_fraction_of(missed, claimed, name, column) for name in EXPLANATIONS])
        cents = shared_cents(missed["called_cents"].to_numpy(), parts_of(each))
        names = [*dict.fromkeys(EXPLAINED_PARTS.values()), "rest"]
        split = split.with_columns(
            pl.Series(f"{name}_cents{suffix}", cents[:, place]) for place, name in enumerate(names)
        )
    return split


def parts_of(fractions: Floats) -> Floats:
    """Deals × explanations, each fraction 0 to 1 → deals × (sourcing, process, data, rest), adding up to 1.

    The Shapley value of v(T) = 1 − Π(1 − f) over T: an explanation's mean share over every order in which they could
    be taken away.
    """
    count = fractions.shape[1]
    left = 1.0 - fractions
    shares = np.zeros_like(fractions)
    for place in range(count):
        others = [other for other in range(count) if other != place]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                shares[:, place] += weight * fractions[:, place] * left[:, list(chosen)].prod(axis=1)
    parts = list(dict.fromkeys(EXPLAINED_PARTS.values()))
    by_part = np.column_stack(
        [
            shares[:, [place for place, name in enumerate(EXPLANATIONS) if EXPLAINED_PARTS[name] == part]].sum(axis=1)
            for part in parts
        ]
    )
    return np.column_stack([by_part, left.prod(axis=1)])


def shared_cents(cents: Integers, shares: Floats) -> Integers:
    """Whole cents by largest remainder, row by row: each row adds up to its ``cents``, whatever the sign.

    A tie goes to the last column (what nothing explains), then to the one before it.
    """
    exact = np.abs(cents)[:, None] * shares
    whole = np.floor(exact + 1e-9)
    left = np.abs(cents) - whole.sum(axis=1).astype(np.int64)
    remainder = exact - whole
    columns = shares.shape[1]
    order = np.argsort(-np.round(remainder[:, ::-1], 9), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(columns)[None, :].repeat(len(cents), axis=0), axis=1)
    added = whole + (rank[:, ::-1] < left[:, None])
    return np.asarray(np.sign(cents)[:, None] * added, dtype=np.int64)


def mantel_haenszel(
    exposed: Integers, exposed_missed: Integers, rest: Integers, rest_missed: Integers
) -> tuple[float, float] | None:
    """(log risk ratio, its variance) over strata; None where the rest, or the exposed, miss nothing."""
    n1, a, n0, b = (np.asarray(x, dtype=float) for x in (exposed, exposed_missed, rest, rest_missed))
    both = (n1 > 0) & (n0 > 0)
    n1, a, n0, b = n1[both], a[both], n0[both], b[both]
    total = n1 + n0
    upper, lower = float((a * n0 / total).sum()), float((b * n1 / total).sum())
    if upper <= 0 or lower <= 0:
        return None
    variance = float(((n1 * n0 * (a + b) - a * b * total) / total**2).sum()) / (upper * lower)
    return log(upper / lower), variance


def _against_rest(known: pl.DataFrame, explanation: str, value: str) -> Comparison:
    """One value against all other deals, within period, stage and whatever else is asked about the deal."""
    within = ["period_start_on", "stage", *(name for name in ("lead_source", "record") if name != explanation)]
    sides = known.drop_nulls(explanation) if explanation == "record" else known
    strata = _counted(sides.with_columns(is_exposed=pl.col(explanation).eq_missing(pl.lit(value))), within)
    periods = _facing(strata)["period_start_on"].n_unique()
    found, variance = _compared(explanation, value, strata, periods=periods, degrees=periods - 1)
    if found.status != "able":
        return found
    return replace(found, standard_error=sqrt(variance * beyond_chance(_facing(strata), found.log_ratio)))


def _drift(of_stage: pl.DataFrame, value: str) -> Comparison:
    """A stage's called deals of the latest earlier periods against those of the periods before, within source and state
    of the record."""
    starts = of_stage["period_start_on"].unique().sort().to_list()
    old, recent = starts[:-RECENT_PERIODS], starts[-RECENT_PERIODS:]
    sides = of_stage.with_columns(is_exposed=pl.col("period_start_on").is_in(recent))
    strata = _counted(sides, ["lead_source", "record"])
    periods = len(starts) if min(len(old), len(recent)) >= FEWEST_PERIODS else 0
    found, variance = _compared("stage", value, strata, periods=periods, degrees=len(starts) - 2)
    if found.status != "able":
        return found
    halves = sides.group_by("period_start_on", "is_exposed").agg(n=pl.len(), k=pl.col("is_missed").sum())
    counts = halves.sort("period_start_on")
    expected = counts.with_columns(q=pl.col("k").sum().over("is_exposed") / pl.col("n").sum().over("is_exposed"))
    spread = pl.col("n") * pl.col("q") * (1 - pl.col("q"))
    x2 = expected.filter(spread > 0).select(((pl.col("k") - pl.col("n") * pl.col("q")) ** 2 / spread).sum()).item()
    return replace(found, standard_error=sqrt(variance * max(1.0, float(x2) / found.degrees)))


def _counted(sides: pl.DataFrame, within: list[str]) -> pl.DataFrame:
    exposed = pl.col("is_exposed")
    counted = sides.group_by(within).agg(
        exposed=exposed.sum().cast(pl.Int64),
        exposed_missed=(exposed & pl.col("is_missed")).sum().cast(pl.Int64),
        rest=(~exposed).sum().cast(pl.Int64),
        rest_missed=(~exposed & pl.col("is_missed")).sum().cast(pl.Int64),
    )
    # In order: a sum of floats shows the order of its terms in the last digit, and an edition must not.
    return counted.sort(within)


def _facing(strata: pl.DataFrame) -> pl.DataFrame:
    """Strata with deals on both sides: only they compare anything."""
    return strata.filter((pl.col("exposed") > 0) & (pl.col("rest") > 0))


def _compared(
    explanation: str, value: str, strata: pl.DataFrame, *, periods: int, degrees: int
) -> tuple[Comparison, float]:
    """Counts and rates of one comparison, its log risk ratio where there is enough of both sides, and its variance."""
    names = ("exposed", "exposed_missed", "rest", "rest_missed")
    n1, a, n0, b = (int(strata[name].sum()) for name in names)
    found = Comparison(explanation, value, n1, a / n1 if n1 else None, n0, b / n0 if n0 else None, periods)
    both = _facing(strata)
    if periods < FEWEST_PERIODS or min(int(both["exposed"].sum()), int(both["rest"].sum())) < FEWEST_DEALS:
        return found, 0.0
    pooled = mantel_haenszel(*(both[name].to_numpy() for name in names))
    if pooled is None or pooled[1] <= 0:
        return found, 0.0
    return replace(found, status="able", log_ratio=pooled[0], degrees=degrees), pooled[1]


def beyond_chance(both: pl.DataFrame, log_ratio: float) -> float:
    """φ ≥ 1: by how much the periods' counts differ from the common ratio's beyond chance (Pearson X² over df).

    ``both``: ``period_start_on``, ``exposed``, ``exposed_missed``, ``rest``, ``rest_missed``, in order of the period.
    """
    ratio = exp(log_ratio)
    n1, n0 = pl.col("exposed"), pl.col("rest")
    missed, total = pl.col("exposed_missed") + pl.col("rest_missed"), n1 + n0
    share = n1 * ratio / (n1 * ratio + n0)
    by_period = both.group_by("period_start_on", maintain_order=True).agg(
        gap=(pl.col("exposed_missed") - missed * share).sum(),
        variance=(missed * share * (1 - share) * (total - missed) / (total - 1)).sum(),
    )
    told = by_period.filter(pl.col("variance") > 0)
    if told.height < 2:
        return 1.0
    return max(1.0, float(told.select((pl.col("gap") ** 2 / pl.col("variance")).sum()).item()) / (told.height - 1))


def _asked_of(deals: pl.DataFrame) -> pl.DataFrame:
    """Called deals that were open at the lock, with what each explanation asks of them; unknown is null."""
    flags = {
        "past due": pl.col("lock_close_on") < pl.col("lock_on"),
        "no next step": pl.col("has_no_next_step"),
        "untouched": ~pl.col("is_touched"),
    }
    is_known = pl.any_horizontal(flag.is_not_null() for flag in flags.values())
    is_wrong = pl.any_horizontal(flag.eq_missing(pl.lit(True)) for flag in flags.values())
    days = pl.col("handoff_days")
    band = pl.lit(HAND_OFF_LATE)
    for upper, name in reversed(HAND_OFF_BANDS):
        band = pl.when(days <= upper).then(pl.lit(name)).otherwise(band)
    entries = entries_of(deals).filter((pl.col("called_cents") != 0) & ~pl.col("won_by_week"))
    has_leads = entries["handoff_days"].is_not_null().any()
    return entries.with_columns(
        hand_off=pl.when(days.is_not_null()).then(band).when(pl.lit(has_leads)).then(pl.lit(NO_LEAD)),
        stage=pl.col("lock_stage"),
        record=pl.when(is_known & is_wrong).then(pl.lit(WRONG)).when(is_known).then(pl.lit("in order")),
        cause=pl.col("outcome").replace({"open": "pushed_out"}),
    )


def _fraction_of(missed: pl.DataFrame, claimed: pl.DataFrame, explanation: str, column: str) -> Floats:
    """Each deal's fraction for one explanation; a value of which nothing is claimed explains exactly nothing."""
    told = claimed.filter(pl.col("explanation") == explanation)
    return np.asarray(
        missed[explanation]
        .replace_strict(told["value"], told[column].clip(0.0, 1.0), default=0.0, return_dtype=pl.Float64)
        .to_numpy(),
        dtype=np.float64,
    )


def _since_the_drift(missed: pl.DataFrame, start: date) -> pl.DataFrame:
    """Missed deals up to the period ``start``, their stage unknown before the periods a drift of it is told of: what
    has changed since then cost nothing before."""
    earlier = missed.filter(pl.col("period_start_on") < start)
    told = earlier.group_by("stage").agg(
        told_from=pl.col("period_start_on").unique().sort().tail(RECENT_PERIODS).first()
    )
    since = pl.col("period_start_on") >= pl.col("told_from")
    return missed.join(told, on="stage", how="left", maintain_order="left").with_columns(
        stage=pl.when(since).then("stage")
    )


def _leading(members: pl.DataFrame) -> pl.DataFrame:
    """Members of the scopes that hold somebody beside themselves: what a reader can ask the miss of."""
    scopes = members.filter(pl.col("scope") != pl.col("person_id"))["scope"].unique()
    return members.filter(pl.col("scope").is_in(scopes.to_list()))


def _summed(split: pl.DataFrame, leading: pl.DataFrame) -> pl.DataFrame:
    """Missed deals' parts as steps of the bridge, summed over each scope."""
    grain = ["period_start_on", "week_of_period", "scope", "cause"]
    placed = placed_under(split, "lock_side_id", leading)
    parts = dict.fromkeys(EXPLAINED_PARTS.values())
    sums = [
        placed.group_by(grain)
        .agg(
            part=pl.lit(part),
            amount=-pl.col(f"{part}_cents").sum(),
            one=-pl.col(f"{part}_cents_low").sum(),
            other=-pl.col(f"{part}_cents_high").sum(),
            deal_count=(pl.col(f"{part}_cents") != 0).sum().cast(pl.Int64),
        )
        .with_columns(lower_amount=pl.min_horizontal("one", "other"), upper_amount=pl.max_horizontal("one", "other"))
        for part in parts
    ]
    money = [
        (pl.col(name).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2))
        for name in ("amount", "lower_amount", "upper_amount")
    ]
    return (
        pl.concat(sums)
        .filter(pl.col("amount") != 0)
        .with_columns(money)
        .rename({"period_start_on": "of_period_start_on"})
    )


def _fitted(
    frames: list[pl.DataFrame], schema: type[MissFractions] | type[MissExplained], order: list[str]
) -> pl.DataFrame:
    if not frames:
        return schema.create_empty()
    table = pl.concat(frames, how="diagonal").select(schema.column_names()).sort(order)
    return schema.validate(table, cast=True)
