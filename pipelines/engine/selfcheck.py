"""Would the engine be right about a company of this shape? Companies like it, with known leans, are drawn and measured.

What a method promises in general says little about twelve people with seven quarters. So the company's own shape is
taken from its closed calls, companies of that shape are drawn with leans that are known, and the engine that publishes
measures them (simulation-based calibration; Talts et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.contracts import CALL_CATEGORIES, LAYERS, MONEY, ScopeMembers
from pipelines.engine.bias import forecaster_bias
from pipelines.engine.pooling import Evidence, pool
from pipelines.engine.ratios import SMALL_CALL_SHARE, landing_ratios, shock_variance
from pipelines.engine.records import Slice, amounts, codes, schema_of, slices
from pipelines.engine.shares import inflation, wilson
from pipelines.engine.team import team_bias
from pipelines.policy import COMPANY_SCOPE, Policy
from pipelines.process_contracts import SELFCHECK_MEASURES, Selfcheck

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

FEWEST_PERIODS = 4
FEWEST_FORECASTERS = 2

REAL_LEAN = 0.15
"""A lean worth finding: calls land more than 15 % off what they say."""

INTERVAL_LEVEL = 0.95
"""Of the intervals around the shares that come out: how far another seed might move them."""

LARGEST_FACTOR = 10.0
"""A forecaster's chance error is drawn at most so many times its estimate: a record of two quarters allows any."""

SMALLEST_NOISE = 1e-8

SHOCK_FLOOR = 0.1
"""Taking the shock out of a forecaster's scatter leaves at least this share of it."""


@dataclass(frozen=True)
class Shape:
    """What is kept of a company when others like it are drawn.

    ``pairs``: its closed pairs of one layer and category at the lock week, sorted by forecaster and period; ``unit``,
    ``period``, ``forecast`` the same as arrays. ``tau``, ``weight`` (G): posterior of the spread between forecasters;
    ``lean_mean``, ``lean_sd`` (G): of the common ln(landing rate) given each. ``shock_sd`` of the shock that a period's
    calls share. ``dispersion`` (K): variance of one period's actual ÷ its expectation for a call of usual size, without
    the shock; ``dispersion_df`` (K) degrees of freedom behind it.
    """

    layer: str
    category: str
    pairs: pl.DataFrame
    unit: Whole
    period: Whole
    forecast: Floats
    tau: Floats
    weight: Floats
    lean_mean: Floats
    lean_sd: Floats
    shock_sd: float
    dispersion: Floats
    dispersion_df: Floats
    power: float

    @property
    def forecaster_count(self) -> int:
        return len(self.dispersion)

    @property
    def period_count(self) -> int:
        return int(self.period.max()) + 1

    @property
    def lean(self) -> float:
        """Posterior mean of the common ln(landing rate)."""
        return float(self.weight @ self.lean_mean)

    @property
    def spread(self) -> float:
        """Posterior mean of the spread of ln(landing rate) between forecasters."""
        return float(self.weight @ self.tau)


def selfcheck(
    pairs: pl.DataFrame, policy: Policy, *, companies: int, seed: int, most_forecasters: int | None = None
) -> pl.DataFrame:
    """Six rows, one per measure: ``process_contracts.Selfcheck``; deterministic for the same ``pairs`` and ``seed``.

    ``pairs``: ``contracts.ForecastPairs``; the layer and category with most closed pairs at the lock week is judged.
    Each simulated company keeps the forecasters, their quarters, their calls and their counts of won deals. Drawn are:

    * the common lean and the spread τ between forecasters from their posterior, then each ln(landing rate) θ from
      N(lean, τ²), so that what the few quarters cannot tell is not taken for known;
    * the shock that all share in a period, lognormal with mean 1 and the fitted sd;
    * each forecaster's dispersion from its scaled inverse χ² (Smyth 2004);
    * each actual from a gamma distribution with mean e^θ·shock·call and variance in proportion to call^1.5, the law the
      engine itself assumes; a gamma is positively skewed, as sums of a few won deals are.

    As many further companies are drawn with θ = 0 for everybody (``alike_unnamed``). ``forecaster_bias`` and
    ``team_bias``, the very functions that publish, measure them all. Intervals are Wilson's over trials that are
    thinned by how much more companies differ than chance explains (``shares.inflation``), since the forecasters of one
    company share its quarters.

    No numbers, and a status, below ``FEWEST_PERIODS`` closed periods (``not_enough_history``), below
    ``FEWEST_FORECASTERS`` forecasters with a usable record (``one_forecaster``), without any closed call (``no_call``),
    and above ``most_forecasters`` (``too_many_forecasters``).
    """
    chosen = judged(pairs, policy)
    if chosen is None:
        return _refused("no_call", None)
    forecasters = chosen.closed["forecaster_id"].n_unique()
    if chosen.closed["period_start_on"].n_unique() < FEWEST_PERIODS:
        return _refused("not_enough_history", chosen)
    if most_forecasters is not None and forecasters > most_forecasters:
        return _refused("too_many_forecasters", chosen)
    shape = shape_of(chosen, policy)
    if shape is None:
        return _refused("one_forecaster", chosen)
    hits, trials = np.zeros((2, len(SELFCHECK_MEASURES), companies))
    for company in range(companies):
        hits[:, company], trials[:, company] = _company(shape, seed, company, policy)
    rows = []
    for place, measure in enumerate(SELFCHECK_MEASURES):
        hit, trial = hits[place], trials[place]
        thinned = inflation(hit, trial)
        lower, upper = wilson(hit.sum() / thinned, trial.sum() / thinned, INTERVAL_LEVEL)
        known = trial.sum() > 0
        rows.append(
            {
                "measure": measure,
                "hit_count": int(hit.sum()),
                "trial_count": int(trial.sum()),
                "hit_rate": float(hit.sum() / trial.sum()) if known else None,
                "lower": float(lower) if known else None,
                "upper": float(upper) if known else None,
                "company_count": companies,
                "status": "ok",
            }
        )
    return _table(rows, chosen, policy)


def judged(pairs: pl.DataFrame, policy: Policy) -> Slice | None:
    """The layer and category with most closed pairs at the lock week; of equals, reps' before managers', and commit
    first."""
    parts = [part for part in slices(pairs, frozenset({policy.lock_week})) if not part.closed.is_empty()]

    def rank(part: Slice) -> tuple[int, int, int]:
        return -part.closed.height, _place(part.layer, LAYERS), _place(part.category, CALL_CATEGORIES)

    return min(parts, key=rank, default=None)


def _place(word: str, words: tuple[str, ...]) -> int:
    return words.index(word) if word in words else len(words)


def shape_of(part: Slice, policy: Policy) -> Shape | None:
    """The shape of one company; None where fewer than two forecasters have a usable record.

    The shared shock is part of every forecaster's own scatter too, and is taken out of it: it would be drawn twice.
    """
    closed = part.closed
    unit, units = codes(closed["forecaster_id"])
    period, periods = codes(closed["period_start_on"])
    forecast, actual = amounts(closed["forecast_amount"]), amounts(closed["actual_amount"])
    ratios = landing_ratios(
        unit, period, forecast, actual, unit_count=len(units), period_count=len(periods), policy=policy
    )
    usable = ratios.is_usable
    if int(usable.sum()) < FEWEST_FORECASTERS:
        return None
    counted = usable[unit]
    shock, inflated = shock_variance(
        period[counted],
        forecast[counted],
        actual[counted],
        sum_forecast=ratios.sum_forecast[usable],
        variance=ratios.variance[usable],
    )
    evidence = Evidence.with_intercept(ratios.y[usable], ratios.variance[usable], ratios.loading[usable], inflated)
    pooled = pool(evidence, prior_scale=policy.tau_prior_scale, points=policy.tau_points)
    usual = float(np.median(ratios.phi_moderated[usable]))
    dispersion = np.where(np.isfinite(ratios.phi_moderated), ratios.phi_moderated, usual)
    return Shape(
        layer=part.layer,
        category=part.category,
        pairs=closed,
        unit=unit,
        period=period,
        forecast=forecast,
        tau=pooled.spread.tau,
        weight=pooled.weight,
        lean_mean=pooled.beta_mean[:, 0],
        lean_sd=np.sqrt(pooled.beta_covariance[:, 0, 0]),
        shock_sd=float(np.sqrt(shock)),
        dispersion=np.maximum(dispersion - shock, SHOCK_FLOOR * dispersion),
        dispersion_df=ratios.prior.df + np.where(np.isfinite(ratios.phi), ratios.df, 0.0),
        power=policy.variance_power,
    )


def draw(shape: Shape, rng: np.random.Generator, *, alike: bool) -> tuple[Floats, pl.DataFrame]:
    """(θ of each forecaster (K), closed pairs) of one company of this shape; θ is 0 for all if ``alike``."""
    size = shape.forecaster_count
    at = int(rng.choice(len(shape.tau), p=shape.weight))
    lean = rng.normal(shape.lean_mean[at], shape.lean_sd[at])
    theta = np.zeros(size) if alike else rng.normal(lean, shape.tau[at], size)
    shock = rng.normal(-(shape.shock_sd**2) / 2.0, shape.shock_sd, shape.period_count)
    df = np.clip(shape.dispersion_df, 1.0, 1e9)
    factor = np.clip(df / rng.chisquare(df), 1.0 / LARGEST_FACTOR, LARGEST_FACTOR)
    noise = np.maximum((shape.dispersion * factor)[shape.unit] * _relative_noise(shape), SMALLEST_NOISE)
    expected = np.exp(theta[shape.unit] + shock[shape.period]) * shape.forecast
    actual = rng.gamma(1.0 / noise, expected * noise)
    landed = pl.Series("actual_amount", actual.round(2)).cast(MONEY)
    pairs = shape.pairs.with_columns(landed).with_columns(
        (pl.col("forecast_amount") - pl.col("actual_amount")).cast(MONEY).alias("error_amount")
    )
    return theta, pairs


def _relative_noise(shape: Shape) -> Floats:
    """Per pair: the relative variance of its actual, for a dispersion of 1. Calls far under the forecaster's average
    are taken at the share of it from which on the law is believed."""
    count = np.bincount(shape.unit).astype(np.float64)
    mean_call = np.bincount(shape.unit, weights=shape.forecast) / count
    call = np.maximum(shape.forecast, SMALL_CALL_SHARE * mean_call[shape.unit])
    usual = np.bincount(shape.unit, weights=call ** (2.0 - shape.power)) / count
    relative = np.ones(len(call))
    np.divide(usual[shape.unit], call ** (2.0 - shape.power), out=relative, where=call > 0.0)
    return relative


def _company(shape: Shape, seed: int, company: int, policy: Policy) -> tuple[Floats, Floats]:
    """(hits, trials) per measure, of one company and its counterpart in which everybody is alike and unbiased."""
    theta, pairs = draw(shape, np.random.default_rng([seed, company, 0]), alike=False)
    found = forecaster_bias(pairs, policy)
    truth = np.exp(theta)
    lower, upper = found["lower"].to_numpy(), found["upper"].to_numpy()
    has_range = np.isfinite(lower)
    sign = _signs(found)
    is_real = np.abs(truth - 1.0) > REAL_LEAN

    together = team_bias(pairs, ScopeMembers.create_empty(), policy).filter(pl.col("scope") == COMPANY_SCOPE)
    rate = float((truth[shape.unit] * shape.forecast).sum() / shape.forecast.sum())
    low, high = together["lower"].to_numpy(), together["upper"].to_numpy()

    _, same = draw(shape, np.random.default_rng([seed, company, 1]), alike=True)
    nobody = not _signs(forecaster_bias(same, policy)).any()
    counts = {
        "forecaster_range": (((lower <= truth) & (truth <= upper)).sum(), has_range.sum()),
        "company_range": (((low <= rate) & (rate <= high)).sum(), np.isfinite(low).sum()),
        "leans_named": ((sign != 0).sum(), len(sign)),
        "wrong_way": (((sign != 0) & (sign != np.sign(theta))).sum(), (sign != 0).sum()),
        "leans_found": ((is_real & (sign == np.sign(theta))).sum(), is_real.sum()),
        "alike_unnamed": (int(nobody), 1),
    }
    hits, trials = (np.array([counts[name][side] for name in SELFCHECK_MEASURES], dtype=np.float64) for side in (0, 1))
    return hits, trials


def _signs(found: pl.DataFrame) -> Floats:
    word = found["direction"].to_numpy()
    return np.asarray(np.select([word == "runs_high", word == "runs_low"], [-1.0, 1.0], 0.0), dtype=np.float64)


def _refused(status: str, part: Slice | None) -> pl.DataFrame:
    rows: list[dict[str, object]] = [
        {"measure": measure, "company_count": 0, "status": status} for measure in SELFCHECK_MEASURES
    ]
    return _table(rows, part, None)


def _table(rows: list[dict[str, object]], part: Slice | None, policy: Policy | None) -> pl.DataFrame:
    aims = {} if policy is None else _aims(policy)
    for row in rows:
        row |= {
            "layer": part.layer if part else None,
            "category": part.category if part else None,
            "forecaster_count": part.closed["forecaster_id"].n_unique() if part else 0,
            "period_count": part.closed["period_start_on"].n_unique() if part else 0,
            "aim_rate": aims.get(str(row["measure"])),
            "level": INTERVAL_LEVEL,
        }
    return pl.DataFrame(rows, schema=schema_of(Selfcheck)).sort("measure")


def _aims(policy: Policy) -> dict[str, float]:
    return {
        "forecaster_range": policy.level,
        "company_range": policy.level,
        "wrong_way": policy.flag_mean_lfsr,
        # Two tests must both stay silent, each of which speaks of nothing this often (``bias.anybody_leans``).
        "alike_unnamed": 1.0 - 2.0 * policy.flag_mean_lfsr,
    }


def shape_in_words(table: pl.DataFrame) -> str:
    """What companies were simulated: ``40 simulated companies of this shape: ...``; ``table``: ``Selfcheck`` rows."""
    row = table.row(0, named=True)
    return (
        f"{row['company_count']} simulated companies of this shape: {row['forecaster_count']} forecasters over "
        f"{row['period_count']} closed periods, {row['layer']} layer, {str(row['category']).replace('_', ' ')} calls."
    )


def in_words(table: pl.DataFrame) -> list[tuple[str, str, str]]:
    """(what is asked, hits of trials, one sentence) per measure; ``table``: ``Selfcheck`` rows with status ``ok``."""
    rows = {row["measure"]: row for row in table.iter_rows(named=True)}
    return [
        (
            QUESTIONS[measure],
            f"{rows[measure]['hit_count']:,} of {rows[measure]['trial_count']:,}",
            _sentence(rows[measure]),
        )
        for measure in SELFCHECK_MEASURES
    ]


QUESTIONS = {
    "forecaster_range": "Does a forecaster's range hold the truth?",
    "company_range": "Does the company's range?",
    "leans_named": "How many are named?",
    "wrong_way": "Does a name point the wrong way?",
    "leans_found": "Is a real lean found?",
    "alike_unnamed": "Is anybody named where nobody leans?",
}


def _sentence(row: dict[str, Any]) -> str:
    """One measure in words, with how sure the share is and, where there is an aim, whether it was met."""
    measure = row["measure"]
    if not row["trial_count"]:
        return NONE_TO_COUNT.get(measure, "Nothing could be measured.")
    share, sure = _of_a_hundred(row["hit_rate"]), f"({_interval(row)})"
    is_one = share == "1"
    if measure in ("forecaster_range", "company_range"):
        return _of_ranges(row, share, sure)
    if measure == "leans_named":
        sentence = (
            f"{row['hit_count'] / row['company_count']:.1f} of {row['forecaster_count']} forecasters in a company."
        )
    elif measure == "wrong_way":
        aim = _of_a_hundred(row["aim_rate"])
        sentence = f"Of 100 names, {share} {'points' if is_one else 'point'} the wrong way {sure}"
        is_met = round(row["lower"], 2) <= row["aim_rate"]
        sentence += f"; meant are at most {aim}." if is_met else f": more than the {aim} meant, so hold a name lightly."
    elif measure == "leans_found":
        sentence = f"Of 100 forecasters who lean by more than 15 %, {share} {'is' if is_one else 'are'} named {sure}."
    else:
        sentence = (
            f"Of 100 companies whose forecasters are all alike and unbiased, {share} {'sees' if is_one else 'see'} "
            f"nobody named {sure}; meant are at least {_of_a_hundred(row['aim_rate'])}."
        )
    return sentence


NONE_TO_COUNT = {
    "wrong_way": "Nobody was named, so no name could point the wrong way.",
    "leans_found": "No forecaster of these companies leaned by more than 15 %, so there was none to find.",
}


def _of_ranges(row: dict[str, Any], share: str, sure: str) -> str:
    whose = "" if row["measure"] == "forecaster_range" else " for the company"
    sentence = f"Of 100 ranges{whose} meant to hold {_of_a_hundred(row['aim_rate'])}, {share} held {sure}."
    if round(row["upper"], 2) < row["aim_rate"]:
        sentence += " That is too few: read these ranges as a little too narrow."
    elif round(row["lower"], 2) > row["aim_rate"]:
        sentence += " That is more than meant: these ranges are wider than they need be."
    return sentence


def _interval(row: dict[str, Any]) -> str:
    return f"{100 * row['lower']:.0f} to {100 * row['upper']:.0f} with {100 * row['level']:.0f} % confidence"


def _of_a_hundred(rate: float) -> str:
    """A share as a whole number of a hundred; nothing and everything are said only where they are meant."""
    if 0.0 < rate < 0.005:
        return "fewer than 1"
    if 0.995 < rate < 1.0:
        return "more than 99"
    return f"{100 * rate:.0f}"
