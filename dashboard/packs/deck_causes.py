"""The second half of the deck: where the miss came from, the pipeline, what judgement adds, what cannot be said."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from pptx.util import Inches

from dashboard import theme, wording_miss, wording_packs, wording_pipeline, wording_value
from dashboard.language import say
from dashboard.packs import native, parts
from dashboard.packs.content import Brief
from dashboard.packs.native import Range
from dashboard.packs.slides import LEFT, RIGHT, Slides
from pipelines.engine import attribution, blame, health, luck, value_added

SENTENCES = 5
UNSAID = 10
"""What one slide has room for; the pages have all."""

COLOURS = {
    "runs_high": theme.LIGHT.high,
    "runs_low": theme.LIGHT.low,
    "fair": theme.LIGHT.fair,
    "not_enough_evidence": theme.LIGHT.unsure,
    "adds_value": theme.LIGHT.low,
    "hurts": theme.LIGHT.high,
}


def method(*sources: Callable[..., object]) -> list[str]:
    """How the figures of a slide are made: the definitions that the pages show under “How computed”."""
    return [inspect.getdoc(source) or source.__qualname__ for source in sources]


def ends(ranges: Sequence[Range], line_at: float) -> tuple[float, float]:
    """An axis in steps of a tenth that holds every range and the line they are read against."""
    lowest = min([line_at, *(row.lower for row in ranges)])
    highest = max([line_at, *(row.upper for row in ranges)])
    step = 0.1 if highest - lowest > 0.15 else 0.02
    return max(_floor(lowest - step / 4, step), -5.0), min(-_floor(-highest - step / 4, step), 5.0)


def _floor(value: float, step: float) -> float:
    return round(value // step * step, 6)


def miss(slides: Slides, brief: Brief) -> None:
    answer = brief.miss
    lines = parts.miss_lines(answer)
    notes = method(attribution.miss_attribution, blame.blame, luck.luck)
    if lines is None:
        return
    title, causes = lines
    steps = parts.bridge(answer)
    alt = wording_miss.bridge_alt(
        answer.label, [(step.name, step.amount, step.kind != "change") for step in steps], answer.currency
    )
    cents = "\n".join(
        wording_packs.amount_told(name, amount, answer.currency)
        for name, amount in (
            (say("Call"), answer.call_amount),
            *((wording_miss.CAUSES[cause][0].capitalize(), amount) for cause, (amount, _) in answer.bridge.items()),
            (say("Landed"), answer.actual_amount),
        )
    )
    line = wording_miss.miss_line(
        lock_week=answer.lock_week,
        scope_name=answer.scope_name,
        layer=answer.layer,
        category=answer.category,
        missing=answer.missing_count,
        currency=answer.currency,
    )
    slide = slides.add(title, line, [alt, cents, *notes])
    slides.chart(
        slide,
        "waterfall",
        native.waterfall_data(steps, answer.currency),
        lambda chart: native.dress_waterfall(chart, steps, answer.currency),
        alt=alt,
        right=RIGHT,
        bottom=Inches(5.35),
    )
    rows = answer.parts.to_dicts()
    said = [
        causes,
        f"{wording_miss.blame_title(rows)}.",
        wording_miss.luck_sentence(answer.luck, luck.LUCK_LEVEL, answer.currency),
    ]
    slides.sentences(slide, said, left=LEFT, top=Inches(5.4), largest=14)


def pipeline(slides: Slides, brief: Brief) -> None:
    answer, context = brief.pipeline, brief.pipeline.context
    line = say(
        "{scope_name} · as of {as_of}",
        scope_name=wording_pipeline.opened(context.scope_name),
        as_of=theme.instant(context.as_of_at),
    )
    title = wording_pipeline.title(answer.measures, context.noun, has_deals=answer.has_deals)
    notes = method(health.pipeline_health)
    said = wording_pipeline.sentences(answer.measures, context.noun, context.currency)[:SENTENCES]
    rows = answer.shares.drop_nulls(["lower", "upper"]).to_dicts() if not answer.shares.is_empty() else []
    if not answer.has_deals or not said:
        return
    slide = slides.add(title, line, notes)
    if not rows:
        slides.sentences(slide, said, left=LEFT)
        return
    ranges = [
        Range(
            f"{row['label']}  {theme.percent(row['estimate'])}",
            row["lower"],
            row["estimate"],
            row["upper"],
            theme.LIGHT.call,
        )
        for row in rows
    ]
    slides.chart(
        slide,
        "ranges",
        native.ranges_data(ranges),
        lambda chart: native.dress_ranges(
            chart, ranges, line_at=0.0, between=(0.0, ends(ranges, 0.0)[1]), number_format="0%"
        ),
        alt=wording_pipeline.shares_alt(rows),
    )
    slides.sentences(slide, [*said, wording_packs.range_caption(context.policy.level)], largest=16)


def value(slides: Slides, brief: Brief) -> None:
    answer, context = brief.value, brief.value.context
    steps = answer.steps.to_dicts()
    line = say(
        "{whose} · calls in force at week {week} · as of {as_of}",
        whose=say("Whole company") if answer.is_company else context.scope_name,
        week=context.lock_week,
        as_of=theme.instant(context.as_of_at),
    )
    title = wording_value.title(
        steps, has_judgement=answer.has_judgement, team=None if answer.is_company else context.scope_name
    )
    notes = method(value_added.value_added, value_added.naive_forecasts)
    drawn = [row for row in steps if None not in (row["fva_rate"], row["lower"], row["upper"])]
    said = [wording_value.step_sentence(row, context.noun, context.currency) for row in steps]
    if not said:
        return
    if not drawn:
        slides.sentences(slides.add(wording_packs.fitting(title), line, notes), said, left=LEFT)
        return
    alt = wording_value.stairs_alt(drawn, context.currency)
    ranges = [
        Range(
            f"{wording_value.STEPS[row['step']]}  {theme.percent(row['fva_rate'], 1, signed=True)}",
            row["lower"],
            row["fva_rate"],
            row["upper"],
            COLOURS.get(row["direction"], theme.LIGHT.unsure),
        )
        for row in drawn
    ]
    slide = slides.add(wording_packs.fitting(title), line, [alt, *notes])
    slides.chart(
        slide,
        "ranges",
        native.ranges_data(ranges),
        lambda chart: native.dress_ranges(chart, ranges, line_at=0.0, between=ends(ranges, 0.0), number_format="0%"),
        alt=alt,
    )
    caption = wording_packs.gains_caption(value_added.VERDICT_LEVEL)
    slides.sentences(slide, [*said[-SENTENCES:], caption], largest=14)


def unsaid(slides: Slides, brief: Brief) -> None:
    """What is asked of this deck and cannot be answered, each with what would change that."""
    said = parts.unsaid(brief)
    slide = slides.add(wording_packs.unsaid_title(len(said)), parts.context_line(brief.trust), said)
    slides.sentences(slide, said[:UNSAID], left=LEFT, largest=18)
