"""What the paper and the deck share: the Trust page's lines, tiles and marks, put together from its own answer."""

from __future__ import annotations

from decimal import Decimal

from dashboard import (
    theme,
    wording,
    wording_forecasters,
    wording_landing,
    wording_miss,
    wording_packs,
    wording_pipeline,
    wording_reconcile,
    wording_trust,
    wording_value,
)
from dashboard.answers import TrustAnswer
from dashboard.answers_miss import MissAnswer
from dashboard.charts.dots import Across
from dashboard.charts.track_record import OpenPeriod
from dashboard.charts.waterfall import Step
from dashboard.language import say
from dashboard.packs.content import Brief
from dashboard.packs.svg import printable
from dashboard.wording import Card
from pipelines.engine.outlook import Outlook

Segments = list[list[object]]
"""A sentence as (text, is it bold)."""

SHOWN = 16
"""Periods on one chart, as on the pages."""

MARKS = {"trust": "✓", "trust_with_care": "!", "do_not_rely": "✕", "not_enough_history": "…"}
CHECKED = {True: "✓", False: "!", None: "?"}


def segments(sentence: str) -> Segments:
    """A sentence of wording, cut where bold begins and ends."""
    return [[printable(part), place % 2 == 1] for place, part in enumerate(sentence.split(wording.BOLD)) if part]


def state_colour(state: str) -> str:
    colours = theme.LIGHT
    return {"trust": colours.trust, "trust_with_care": colours.care, "do_not_rely": colours.distrust}.get(
        state, colours.muted
    )


def context_line(answer: TrustAnswer) -> str:
    """What every figure of the first page is of."""
    context, as_of = answer.context, theme.instant(answer.context.as_of_at)
    if not answer.has_calls:
        return wording_trust.bare_line(context.frame, as_of)
    return wording_trust.context_line(
        context.frame,
        layer=context.layer,
        category=context.category,
        scope_name=context.scope_name,
        days_left=context.days_left,
        as_of=as_of,
        quota=answer.quota_amount,
    )


def second_lines(answer: TrustAnswer) -> list[str]:
    """Expected number, range, odds; without calls what deals alone say."""
    frame, deals = answer.context.frame, answer.deals
    if answer.outlook is not None:
        return [wording_landing.outlook_sentence(answer.outlook, frame)]
    if answer.has_calls:
        return [
            wording_trust.expected_sentence(
                answer.expected,
                frame,
                summary=answer.summary,
                lowest_amount=answer.lowest_amount,
                highest_amount=answer.highest_amount,
            )
        ]
    known = []
    if deals.open_count:
        known = [
            wording_trust.open_deals(
                deals.open_count,
                deals.open_amount,
                deals.past_due_count,
                deals.past_due_amount,
                answer.context.currency,
            )
        ]
    return [*known, *wording_trust.without_calls(deals.has_deals)]


def cards(answer: TrustAnswer) -> list[Card]:
    """The four tiles of the Trust page."""
    found = wording_trust.trust_cards(
        answer.context.frame,
        summary=answer.summary,
        expected=answer.expected,
        fresh=answer.fresh,
        fair=answer.record["is_fair"].to_list(),
    )
    held = None if answer.outlook is None else answer.outlook.held
    if held is not None:
        found[2] = wording_landing.held_card(held, answer.ranges["is_inside"].to_list(), answer.context.frame)
    return found


def across(found: Outlook, frame: wording.Frame) -> list[Across]:
    """Quota and call as lines across the dots."""
    return [
        Across(line.amount, wording_landing.line_label(line, frame), is_plan=line is found.plan) for line in found.lines
    ]


def open_period(answer: TrustAnswer) -> OpenPeriod | None:
    """The call that has not landed, with the range issued for it or what past periods make of it."""
    call, label, found = answer.expected.call_amount, answer.context.period_label, answer.outlook
    if call is None or label is None:
        return None
    if found is not None:
        return OpenPeriod(label, call, found.estimate, found.lower, found.upper)
    return OpenPeriod(label, call, answer.expected.expected_amount, answer.lowest_amount, answer.highest_amount)


def bridge(answer: MissAnswer) -> list[Step]:
    """Call, judgement, the called deals, what became of them, what came beside them, landed; empty steps left out."""
    call, rollup, landed = answer.call_amount, answer.rollup_amount, answer.actual_amount
    if call is None or rollup is None or landed is None:
        return []
    steps = [Step(say("call"), call, "call")]
    for cause, (name, told) in wording_miss.CAUSES.items():
        amount = answer.bridge[cause][0] if cause in answer.bridge else None
        if amount:
            steps.append(Step(name, amount, told=told))
        if cause == "judgement" and amount:
            steps.append(Step(say("called deals"), rollup, "call", say("the deals behind the call")))
    return [*steps, Step(say("landed"), landed, "total")]


def miss_problem(answer: MissAnswer) -> list[str]:
    """Why this period's miss cannot be told, in sentences; empty where it can."""
    if answer.status == "no_period":
        return wording_miss.no_bridge(answer.why, answer.noun)
    told = {
        "no_layer": wording_miss.no_layer(answer.layer, answer.scope_name, answer.label),
        "no_call": wording_miss.no_call(answer.label, answer.lock_week),
        "no_rate": wording_miss.no_rate(answer.label),
    }
    return [told[answer.status]] if answer.status in told else []


def miss_lines(answer: MissAnswer) -> tuple[str, str] | None:
    """(title, causes) of one period's miss; null where it cannot be told."""
    missed, call = answer.miss_amount, answer.call_amount
    if miss_problem(answer) or missed is None or call is None:
        return None
    title = wording_miss.miss_title(answer.label, missed, call, answer.currency)
    return title, wording_miss.largest_causes(answer.bridge, missed, answer.currency)


def ranges_by_label(answer: TrustAnswer) -> dict[str, tuple[Decimal, Decimal, bool]]:
    """Period → the range issued at this week, and whether it held."""
    if answer.ranges.is_empty():
        return {}
    rows = answer.ranges.select("label", "lower", "upper", "is_inside").rows()
    return {label: (lower, upper, held) for label, lower, upper, held in rows}


def footer(brief: Brief) -> str:
    ref, context = brief.ref, brief.trust.context
    return wording_packs.footer_line(
        edition_id=ref.edition_id,
        as_of=ref.as_of_at,
        method=ref.method_version,
        published=ref.published_at,
        simulated=ref.is_simulated,
        whose=f"{wording_packs.lean_label(context.layer, context.category)}, {context.scope_name}",
    )


def unsaid(brief: Brief) -> list[str]:
    """What the record cannot say, the weightiest first; each is a sentence of the page that would say it."""
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    held = None if found is None else found.held
    counts = brief.forecasters.counts
    unsure, total = counts.get("not_enough_evidence", 0), sum(counts.values())
    said = [
        *(
            wording_trust.check_sentence(check, frame, trust.grounds)
            for check in trust.checks
            if check.holds is None and check.name != "range" and trust.has_calls
        ),
        "" if trust.has_calls else wording_trust.record_title(trust.summary, frame.noun) + ".",
        wording_packs.no_range(frame.noun) if found is None else "",
        "" if held is None or held.verdict == "too_narrow" else wording_landing.held_detail(held, frame.noun),
        wording_packs.unsaid_people(unsure, total),
        "" if total else wording_forecasters.too_young(trust.context.policy.min_periods_value, frame.noun),
        *miss_problem(brief.miss),
        wording_packs.NO_SHARE_OF_PROCESS if brief.miss.status == "ok" else "",
        *(
            wording_value.without_judgement(frame.noun, has_calls=brief.value.has_calls)[:1]
            if not brief.value.has_judgement
            else []
        ),
        *(wording_reconcile.no_bookings()[:1] if brief.reconcile.status == "no_bookings" else []),
        "" if brief.pipeline.has_deals else wording_pipeline.title({}, frame.noun, has_deals=False) + ".",
        *wording_pipeline.missing(has_history=brief.pipeline.has_history, has_quotas=brief.pipeline.has_quotas),
        *(wording_packs.missing_table(name, brings) for name, brings in brief.inputs.missing),
    ]
    return [wording.plain(sentence) for sentence in said if sentence]
