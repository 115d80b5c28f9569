"""The QBR deck: one finding a slide, charts that can be edited, the method in the notes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal

import polars as pl
from pptx.util import Inches

from dashboard import theme, wording, wording_forecasters, wording_landing, wording_packs, wording_trust
from dashboard.answers import ForecasterAnswer
from dashboard.charts.dots import stacked
from dashboard.charts.track_record import OpenPeriod
from dashboard.language import say
from dashboard.packs import native, parts
from dashboard.packs.content import Brief
from dashboard.packs.deck_causes import COLOURS, ends, method, miss, pipeline, unsaid, value
from dashboard.packs.native import Range
from dashboard.packs.slides import LEFT, RIGHT, Slides
from pipelines.engine import (
    bias,
    coverage,
    expectation,
    outlook,
    team,
    verdict,
)

LEANS_SHOWN = 16
"""What one slide has room for; the pages have all."""


def deck(brief: Brief) -> bytes:
    """The deck as PPTX. A question that the edition cannot answer has no slide: the last one says what would help."""
    trust = brief.trust
    slides = Slides(
        title=wording_packs.document_title(brief.company, trust.context.period_label),
        author=brief.company,
        about=parts.context_line(trust),
        footer=parts.footer(brief),
        created_at=brief.ref.published_at,
    )
    _verdict(slides, brief)
    _landing(slides, brief)
    _record(slides, brief)
    _held(slides, brief)
    _leans(slides, brief)
    for person in brief.people:
        _person(slides, brief, person)
    miss(slides, brief)
    pipeline(slides, brief)
    value(slides, brief)
    unsaid(slides, brief)
    return slides.saved()


def _verdict(slides: Slides, brief: Brief) -> None:
    trust, frame = brief.trust, brief.trust.context.frame
    reason = wording.plain(wording_trust.verdict_sentence(trust.verdict, frame, trust.grounds))
    slide = slides.add(
        wording_packs.verdict_title(trust.verdict, frame, trust.grounds),
        parts.context_line(trust),
        [reason, *method(verdict.verdict, expectation.expectation)],
    )
    slides.sentences(slide, parts.second_lines(trust), left=LEFT, bottom=Inches(2.9), largest=20)
    slides.tiles(slide, parts.cards(trust), top=Inches(2.95), height=Inches(1.25))
    marks = [
        f"{parts.CHECKED[check.holds]}  {wording_trust.check_sentence(check, frame, trust.grounds)}"
        for check in trust.checks
    ]
    trend = wording_trust.trend(trust.summary)
    slides.sentences(slide, [*marks, *([trend] if trend else [])], left=LEFT, top=Inches(4.45), largest=14)


def _landing(slides: Slides, brief: Brief) -> None:
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    line = parts.context_line(trust)
    if found is None or not found.dots:
        return
    cents = [
        wording_packs.amount_told(name, amount, frame.currency)
        for name, amount in (
            (say("Lower"), found.lower),
            (say("Expected"), found.estimate),
            (say("Upper"), found.upper),
            *((wording_landing.line_label(of, frame), of.amount) for of in found.lines),
        )
    ]
    slide = slides.add(
        wording_landing.dots_title(found, frame.noun),
        line,
        [wording_landing.dots_alt(found, frame), "\n".join(cents), *method(outlook.Outlook, outlook.misses)],
    )
    across = sorted(parts.across(found, frame), key=lambda one: one.amount)
    lowest = float(min([found.dots[0], *(one.amount for one in across)]))
    highest = float(max([found.dots[-1], *(one.amount for one in across)]))
    room = 0.06 * (highest - lowest) or 1.0
    wide = (highest - lowest + 2 * room) / 18
    plan = next((one.amount for one in across if one.is_plan), None)
    drawn = stacked(found.dots, [one.amount for one in across], wide)
    top = max(max(dot.place for dot in drawn) + 1.0, 5.0)
    missed = bisect_left(sorted(found.dots), plan) if plan is not None else 0
    slides.chart(
        slide,
        "dots",
        native.dots_data(drawn, missed, across, (found.lower, found.estimate, found.upper), top),
        lambda chart: native.dress_dots(
            chart, across, between=(lowest - room, highest + room), top=top, size=24, currency=frame.currency
        ),
        alt=wording_landing.dots_alt(found, frame),
    )
    also = [wording_landing.swing_sentence(found.swing, frame), wording_landing.basis(found, frame)]
    said = [wording_landing.outlook_sentence(found, frame), *(one for one in also if one)]
    slides.sentences(slide, [*said, wording_landing.dots_caption(found)])


def _record(slides: Slides, brief: Brief) -> None:
    trust, frame = brief.trust, brief.trust.context.frame
    rows = trust.record.tail(parts.SHOWN)
    title = wording_trust.record_title(trust.summary, frame.noun)
    notes = method(expectation.record, expectation.summarise)
    if rows.is_empty():
        return
    cells = rows.select("label", "call_amount", "landed_amount", "landing_rate").rows()
    alt = wording_trust.record_alt(cells, frame, trust.expected)
    slide = slides.add(title, parts.context_line(trust), [alt, _to_the_cent(trust.record, frame.currency), *notes])
    labels, called, landed = _bars(rows, parts.open_period(trust))
    slides.chart(
        slide,
        "bars",
        native.called_and_landed(labels, called, landed),
        lambda chart: native.dress_called_and_landed(chart, _top(called, landed), frame.currency),
        alt=alt,
        right=RIGHT,
        bottom=Inches(5.6),
    )
    reason = wording.plain(wording_trust.verdict_reason(trust.verdict, frame, trust.grounds))
    trend = wording_trust.trend(trust.summary)
    said = [wording_packs.opened(reason), *([trend] if trend else []), wording_packs.BARS_CAPTION]
    slides.sentences(slide, said, left=LEFT, top=Inches(5.7), largest=16)


def _bars(rows: pl.DataFrame, shown: OpenPeriod | None) -> tuple[list[str], list[Decimal | None], list[Decimal | None]]:
    """Periods with the lean of their call, called, landed; the open period is called and has not landed."""
    labels = [
        f"{label}\n{theme.percent(lean, signed=True)}" for label, lean in rows.select("label", "lean_rate").iter_rows()
    ]
    labels += [shown.label] if shown else []
    called = [*rows["call_amount"].to_list(), *([shown.call] if shown else [])]
    landed = [*rows["landed_amount"].to_list(), *([None] if shown else [])]
    return labels, called, landed


def _top(*columns: Sequence[Decimal | None]) -> Decimal:
    return max((amount for column in columns for amount in column if amount is not None), default=Decimal(1))


def _to_the_cent(rows: pl.DataFrame, currency: str) -> str:
    """The record for the notes, a period a line."""
    return "\n".join(
        f"{label}: called {theme.money_full(call, currency)}, landed {theme.money_full(landed, currency)}"
        for label, call, landed in rows.select("label", "call_amount", "landed_amount").rows()
    )


def _held(slides: Slides, brief: Brief) -> None:
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    if found is None or found.held is None or trust.ranges.is_empty():
        return
    rows = trust.ranges.tail(parts.SHOWN)
    cells = rows.select("label", "lower", "upper", "actual_amount", "is_inside").rows()
    alt = wording_landing.held_alt(cells, found.held, frame)
    cents = "\n".join(
        f"{label}: {theme.money_full(lower, frame.currency)} to {theme.money_full(upper, frame.currency)}, "
        f"landed {theme.money_full(landed, frame.currency)}, {wording_packs.held_word(inside)}"
        for label, lower, upper, landed, inside in cells
    )
    slide = slides.add(
        wording_landing.held_title(found.held, frame.noun),
        parts.context_line(trust),
        [alt, cents, *method(coverage.coverage_verdict)],
    )
    labels, expected = rows["label"].to_list(), rows["estimate"].to_list()
    lower, upper, landed = (rows[name].to_list() for name in ("lower", "upper", "actual_amount"))
    slides.chart(
        slide,
        "past_ranges",
        native.past_ranges_data(labels, expected, landed, rows["is_inside"].to_list()),
        lambda chart: native.dress_past_ranges(
            chart, expected=expected, lower=lower, upper=upper, landed=landed, currency=frame.currency
        ),
        alt=alt,
    )
    slides.sentences(slide, [wording_landing.held_detail(found.held, frame.noun), wording_landing.held_caption(found)])


def _leans(slides: Slides, brief: Brief) -> None:
    answer, frame = brief.forecasters, brief.forecasters.context.frame
    context, counts = answer.context, answer.counts
    line = wording_forecasters.lock_line(
        frame, context.layer, context.category, context.scope_name, theme.instant(context.as_of_at)
    )
    first = wording_forecasters.differ_sentence(
        answer.differ,
        frame,
        forecaster_count=answer.forecaster_count,
        period_count=answer.period_count,
        common=answer.common,
        layer=context.layer,
    )
    said = [first, wording_forecasters.differ_detail(answer.differ, answer.between_sd)]
    title = wording_forecasters.counts_title(
        counts.get("runs_high", 0),
        counts.get("runs_low", 0),
        counts.get("fair", 0),
        counts.get("not_enough_evidence", 0),
    )
    notes = method(bias.forecaster_bias, bias.classify, team.team_bias)
    if answer.drawn.is_empty():
        return
    rows = _fewer(answer.drawn).select("name", "estimate", "lower", "upper", "kind").to_dicts()
    alt = wording_forecasters.caterpillar_alt(
        [(row["name"], row["estimate"], row["lower"], row["upper"], wording.DIRECTIONS[row["kind"]]) for row in rows],
        context.policy.level,
    )
    ranges = [
        Range(
            f"{wording_packs.clipped(row['name'])}  {theme.percent(row['estimate'])}",
            row["lower"],
            row["estimate"],
            row["upper"],
            COLOURS[row["kind"]],
        )
        for row in rows
    ]
    slide = slides.add(title, line, [wording.plain(first), alt, *notes])
    slides.chart(
        slide,
        "ranges",
        native.ranges_data(ranges),
        lambda chart: native.dress_ranges(chart, ranges, line_at=1.0, between=ends(ranges, 1.0), number_format="0%"),
        alt=alt,
    )
    shown = wording_packs.drawn_of(len(rows), answer.drawable_count)
    people = wording_packs.people_shown(len(brief.people), brief.people_count)
    caption = wording_packs.leans_slide_caption(context.policy.level)
    slides.sentences(slide, [*said, *(one for one in (shown, people) if one), caption], largest=16)


def _fewer(rows: pl.DataFrame) -> pl.DataFrame:
    """Half from each end of a list that is too long for a slide."""
    if rows.height <= LEANS_SHOWN:
        return rows
    return pl.concat([rows.head(LEANS_SHOWN // 2), rows.tail(LEANS_SHOWN // 2)])


def _person(slides: Slides, brief: Brief, answer: ForecasterAnswer) -> None:
    context, frame, row = answer.context, answer.context.frame, answer.bias or {}
    interval = {name: row.get(name) for name in ("lower", "upper")}
    status = row.get("status", "no_call")
    word = wording_forecasters.forecaster_word(
        frame,
        direction=row.get("direction", "not_enough_evidence"),
        status=status,
        wrong_sign_rate=row.get("wrong_sign_rate"),
        min_periods_label=context.policy.min_periods_label,
        **interval,
    )
    sentence = wording_forecasters.forecaster_sentence(
        answer.name,
        frame,
        estimate=row.get("estimate"),
        level=row.get("level"),
        period_count=row.get("period_count", 0),
        status=status,
        **interval,
    )
    facts = wording_forecasters.forecaster_facts(
        answer.name,
        own_weight_rate=row.get("own_weight_rate"),
        called=row.get("pair_count"),
        expected=row.get("expected_count"),
        noun=frame.noun,
        unforecast_rate=row.get("unforecast_rate"),
    )
    person = wording_forecasters.person_line(
        role=answer.role, team=answer.team, region=answer.region, hired_on=answer.hired_on, left_on=answer.left_on
    )
    line = wording_forecasters.lock_line(
        frame, context.layer, context.category, answer.name, theme.instant(context.as_of_at)
    )
    notes = [wording_packs.opened(wording.plain(word)), wording.plain(sentence), facts]
    slide = slides.add(
        wording_packs.forecaster_title(answer.name, answer.bias, answer.word),
        line,
        [*notes, _to_the_cent(answer.record, frame.currency), *method(bias.forecaster_bias, bias.classify)],
    )
    said = [word, sentence, facts, person]
    if answer.record.is_empty():
        slides.sentences(slide, [one for one in said if one], left=LEFT)
        return
    rows = answer.record.tail(parts.SHOWN)
    shown = None
    if answer.open_call is not None and context.period_label is not None:
        shown = OpenPeriod(context.period_label, answer.open_call, None, None, None)
    labels, called, landed = _bars(rows, shown)
    cells = rows.select("label", "call_amount", "landed_amount", "landing_rate").rows()
    slides.chart(
        slide,
        "bars",
        native.called_and_landed(labels, called, landed),
        lambda chart: native.dress_called_and_landed(chart, _top(called, landed), frame.currency),
        alt=wording_trust.record_alt(cells, frame, None),
    )
    slides.sentences(
        slide,
        [one for one in (*said, f"{wording_trust.record_title(answer.summary, frame.noun)}.") if one]
        + [wording_packs.BARS_CAPTION],
        largest=16,
    )
