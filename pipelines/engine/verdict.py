"""The verdict of the Trust page, by written rules.

Four states, strongest first: ``trust``, ``trust_with_care``, ``do_not_rely``, ``not_enough_history``. The verdict is on
the *call as made*: one that always runs 30 % high is not to be relied on, though what it lands at may be well known.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.engine.expectation import fair_bounds
from pipelines.policy import Policy

STATES = ("trust", "trust_with_care", "do_not_rely", "not_enough_history")


@dataclass(frozen=True)
class Evidence:
    """What the rules look at, all for one layer, category, week and scope.

    ``lower`` and ``upper`` bound the average landing rate; ``fair_count`` of ``period_count`` periods landed within the
    fair zone; ``skill_rate`` against the naive forecast over ``compared_count`` periods, with the bounds of the gain;
    ``missing_count`` of those who usually call have not; ``is_stale``: the newest fact is too old.
    """

    has_call: bool
    period_count: int
    lower: float | None
    upper: float | None
    fair_count: int
    skill_rate: float | None
    compared_count: int
    gain_upper: float | None
    caller_count: int
    missing_count: int
    is_stale: bool
    nothing_landed: bool = False
    """Money was called in closed periods and none of it landed: a rate of 0, which has no interval."""
    range_verdict: str | None = None
    """What past ranges at this week say of the one issued now (``engine.coverage``); null where none is issued."""


@dataclass(frozen=True)
class Verdict:
    """``state`` is one of ``STATES``; ``reasons`` are codes, the weightiest first; ``reasons[0]`` is said aloud.

    Codes: ``no_calls``, ``few_periods``, ``nothing_called``, ``nothing_landed``, ``far_high``, ``far_low``,
    ``worse_than_naive``, ``stale``, ``runs_high``, ``runs_low``, ``lean_uncertain``, ``scattered``,
    ``range_failed``, ``no_better_than_naive``, ``skill_unknown``, ``missing_calls``, ``no_call_now``, ``on_record``.
    """

    state: str
    reasons: tuple[str, ...]


def verdict(evidence: Evidence, policy: Policy) -> Verdict:
    """**The verdict.** Rules are read from the top; the first that holds names the state.

    1. *Not enough history to say*: no calls at all (``no_calls``), fewer closed periods with a call at this week than
       ``min_periods_company`` (``few_periods``), or every such call was 0 (``nothing_called``).
    2. *Do not rely on it*: nothing of what was called has landed (``nothing_landed``); the whole interval of the
       average landing rate lies beyond twice ``fair_zone`` (a factor of 1.20 at 10 %: ``far_high``, ``far_low``); or,
       over at least ``min_periods_label`` periods, the naive forecast was closer and the whole interval of the
       difference says so (``worse_than_naive``).
    3. *Trust*: the interval of the average lies inside ±``fair_zone``, more than half of the periods landed inside it,
       the calls beat the naive forecast over at least ``min_periods_accuracy`` periods, at most one in ten of those
       who usually call are missing, and the ranges issued at this week of past periods have not shown themselves too
       narrow: so few of them held as happens to an honest range one time in ten at most (eight periods or more).
    4. *Trust with care*: anything else, with each unmet condition as a reason: the average leans (``runs_high``,
       ``runs_low``: the whole interval on one side of 1) or may lean (``lean_uncertain``), single periods scatter
       (``scattered``), ranges have not held (``range_failed``), the naive forecast did as well
       (``no_better_than_naive``) or cannot be compared (``skill_unknown``), calls are missing (``missing_calls``).

    Stale data (older than ``stale_days``) lower *Trust* to *Trust with care* and that to *Do not rely on it*. Without a
    call for the period that is open the verdict is on the record alone (``no_call_now``).
    """
    known = evidence.lower is not None and evidence.upper is not None
    if evidence.period_count == 0 and not evidence.has_call:
        return Verdict("not_enough_history", ("no_calls",))
    if evidence.period_count < policy.min_periods_company:
        return Verdict("not_enough_history", ("few_periods",))
    if not known and not evidence.nothing_landed:
        return Verdict("not_enough_history", ("nothing_called",))
    reasons = ["nothing_landed"] if evidence.nothing_landed else _against_reliance(evidence, policy)
    state = "do_not_rely"
    if not reasons:
        reasons = _for_care(evidence, policy)
        state = "trust_with_care" if reasons else "trust"
    if evidence.is_stale:
        reasons = ["stale", *reasons]
        state = {"trust": "trust_with_care"}.get(state, "do_not_rely")
    if not evidence.has_call:
        reasons.append("no_call_now")
    return Verdict(state, tuple(reasons) or ("on_record",))


@dataclass(frozen=True)
class Check:
    """One condition of *Trust*: ``name`` is ``lean``, ``close``, ``range`` (only where ranges were issued), ``skill``,
    ``complete`` or ``fresh``.

    ``holds`` is null where it cannot be judged.
    """

    name: str
    holds: bool | None


def checks(evidence: Evidence, policy: Policy) -> tuple[Check, ...]:
    """Each condition of *Trust* in the verdict's rules, whether or not another one decided."""
    unmet = set(_for_care(evidence, policy)) if evidence.period_count >= policy.min_periods_company else None

    def holds(*codes: str) -> bool | None:
        return None if unmet is None else unmet.isdisjoint(codes)

    unknown_skill = unmet is not None and "skill_unknown" in unmet
    return (
        Check("lean", None if evidence.lower is None else holds("runs_high", "runs_low", "lean_uncertain")),
        Check("close", holds("scattered")),
        *_range_check(evidence),
        Check("skill", None if unknown_skill else holds("no_better_than_naive")),
        Check("complete", not _too_few_callers(evidence) if evidence.has_call else None),
        Check("fresh", not evidence.is_stale),
    )


def _range_check(evidence: Evidence) -> tuple[Check, ...]:
    told = evidence.range_verdict
    if told is None:
        return ()
    return (Check("range", None if told == "too_few" else told != "too_narrow"),)


def _against_reliance(evidence: Evidence, policy: Policy) -> list[str]:
    lower, upper = evidence.lower, evidence.upper
    lowest, highest = fair_bounds(2 * policy.fair_zone)
    found = []
    if upper is not None and upper < lowest:
        found.append("far_high")
    if lower is not None and lower > highest:
        found.append("far_low")
    clearly = evidence.gain_upper is not None and evidence.gain_upper < 0
    if clearly and evidence.compared_count >= policy.min_periods_label:
        found.append("worse_than_naive")
    return found


def _for_care(evidence: Evidence, policy: Policy) -> list[str]:
    lower, upper = evidence.lower, evidence.upper
    lowest, highest = fair_bounds(policy.fair_zone)
    found = []
    if lower is None or upper is None:
        found.append("lean_uncertain")
    elif lower < lowest or upper > highest:
        found.append("runs_high" if upper < 1 else "runs_low" if lower > 1 else "lean_uncertain")
    if evidence.fair_count * 2 <= evidence.period_count:
        found.append("scattered")
    if evidence.range_verdict == "too_narrow":
        found.append("range_failed")
    if evidence.skill_rate is None or evidence.compared_count < policy.min_periods_accuracy:
        found.append("skill_unknown")
    elif evidence.skill_rate <= 0:
        found.append("no_better_than_naive")
    if _too_few_callers(evidence):
        found.append("missing_calls")
    return found


def _too_few_callers(evidence: Evidence) -> bool:
    return evidence.missing_count * 10 > evidence.caller_count + evidence.missing_count


def differ(
    *,
    heterogeneity_p_value: float | None,
    between_status: str,
    forecaster_count: int,
    period_count: int,
    policy: Policy,
) -> str:
    """**Do the forecasters differ from each other at all, beyond chance?** ``differ``, ``no_evidence``, ``too_little``.

    ``differ`` needs a heterogeneity p-value (the shared shock of a period removed) no larger than ``flag_mean_lfsr``:
    the one error in twenty that labels are held to. Without it one common lean is shown and nobody is ranked.
    ``too_little``: fewer than two forecasters with enough periods to compare, or fewer than ``min_periods_company``
    closed periods: a shared shock and a difference between people cannot be told apart from so few.
    """
    too_few = forecaster_count < 2 or period_count < policy.min_periods_company
    if too_few or between_status != "ok" or heterogeneity_p_value is None:
        return "too_little"
    return "differ" if heterogeneity_p_value <= policy.flag_mean_lfsr else "no_evidence"
