"""The board paper: a tagged PDF of two pages, the verdict and the record behind it. Set by typst, without a browser.

The layout is ``board.typ``; this module gives it facts and pictures as data, never as markup, so that no name of a
customer can change the page.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import typst

from dashboard import (
    inventory,
    language,
    theme,
    wording,
    wording_forecasters,
    wording_landing,
    wording_packs,
    wording_trust,
)
from dashboard.language import say
from dashboard.packs import parts
from dashboard.packs.content import Brief
from dashboard.packs.pictures import dots_picture, leans_picture, record_picture, strip_picture
from dashboard.packs.svg import Drawing, printable

TEMPLATE = Path(__file__).with_name("board.typ")
FONTS = Path(__file__).parents[1] / "assets" / "fonts"

CENT_ROWS = 8
FAULT_ROWS = 3
"""What a page has room for; the pages and the workbook have all."""


def board(brief: Brief) -> bytes:
    """The paper as PDF/UA-1: tagged, titled, in one language, with a text for every picture.

    The same edition and filters give the same bytes: the creation date is the edition's.
    """
    return typeset(facts(brief), int(brief.ref.published_at.timestamp()))


def typeset(told: dict[str, Any], created_at: int) -> bytes:
    """Set the template with these facts.

    A name in a script that the shipped fonts lack is set in a font of this machine; where there is none either, the
    letters are boxes on paper but stay text for search and for a screen reader, and the standard is not claimed.
    """
    template, said = TEMPLATE.read_bytes(), {"brief": json.dumps(told, ensure_ascii=False)}
    shipped = typst.Fonts(include_system_fonts=False, font_paths=[str(FONTS)])
    for fonts, standards in (
        (shipped, ["ua-1"]),
        (typst.Fonts(include_system_fonts=True, font_paths=[str(FONTS)]), ["ua-1"]),
    ):
        try:
            return _compiled(template, said, fonts, standards, created_at)
        except typst.TypstError as error:
            if "could not be displayed with font" not in f"{error.message}{error.diagnostic}":
                raise
    return _compiled(template, said, shipped, [], created_at)


def _compiled(template: bytes, said: dict[str, str], fonts: Any, standards: list[Any], created_at: int) -> bytes:
    compiler = typst.Compiler(template, font_paths=fonts, sys_inputs=said)
    made = compiler.compile(format="pdf", pdf_standards=standards, timestamp=created_at)
    if not isinstance(made, bytes):
        raise TypeError("the PDF is one file")
    return made


def drawn(told: dict[str, Any], pixels_per_inch: int = 96) -> list[bytes]:
    """The same pages as PNG pictures, in order."""
    said = {"brief": json.dumps(told, ensure_ascii=False)}
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(FONTS)])
    made = typst.Compiler(TEMPLATE.read_bytes(), font_paths=fonts, sys_inputs=said).compile(
        format="png", ppi=pixels_per_inch
    )
    return made if isinstance(made, list) else [made] if made is not None else []


def facts(brief: Brief) -> dict[str, Any]:
    """Everything the template shows, as JSON data; sentences as segments (``parts.segments``)."""
    ref, trust, frame = brief.ref, brief.trust, brief.trust.context.frame
    word = wording.VERDICTS[trust.verdict.state][0]
    reason = wording_trust.verdict_reason(trust.verdict, frame, trust.grounds)
    second: list[list[object]] = []
    for sentence in parts.second_lines(trust):
        second += [*parts.segments(sentence), [" ", False]]
    return {
        "language": language.code(),
        "title": printable(wording_packs.document_title(brief.company, trust.context.period_label)),
        "author": printable(brief.company),
        "description": printable(f"{word}: {wording.plain(reason)}"),
        "keywords": [ref.edition_id, ref.method_version],
        "date": [ref.as_of_at.year, ref.as_of_at.month, ref.as_of_at.day],
        "company": printable(brief.company),
        "simulated": say("simulated company: no real person or deal") if ref.is_simulated else "",
        "period": printable(trust.context.period_label or ""),
        "context": printable(parts.context_line(trust)),
        "footer": printable(parts.footer(brief)),
        "colours": {name: getattr(theme.LIGHT, name) for name in ("ink", "muted", "grid", "surface")},
        "verdict": {
            "word": word,
            "mark": parts.MARKS[trust.verdict.state],
            "colour": parts.state_colour(trust.verdict.state),
            "reason": parts.segments(reason),
        },
        "outlook": second,
        "cards": [
            {"label": card.label, "value": card.value, "note": printable(card.note)} for card in parts.cards(trust)
        ],
        "why": _why(brief),
        "dots": _dots(brief),
        "record": _record(brief),
        "second": {"title": wording_packs.HEADINGS["record"], "no_range": wording_landing.nothing_to_hold(frame.noun)},
        "held": _held(brief),
        "leans": _leans(brief),
        "misses": _misses(brief),
        "cents": _cents(brief),
        "inputs": _inputs(brief),
    }


def _drawn(picture: Drawing) -> dict[str, Any]:
    """Marks as SVG, words as data: the template sets them where they belong."""
    return {
        "svg": picture.svg(),
        "width": picture.width,
        "height": picture.height,
        "words": [asdict(word) for word in picture.words],
    }


def _why(brief: Brief) -> dict[str, Any]:
    trust, frame = brief.trust, brief.trust.context.frame
    tint = {True: theme.LIGHT.trust, False: theme.LIGHT.distrust, None: theme.LIGHT.muted}
    trend = wording_trust.trend(trust.summary)
    return {
        "title": wording_packs.HEADINGS["why"],
        "checks": [
            {
                "mark": parts.CHECKED[check.holds],
                "colour": tint[check.holds],
                "said": parts.segments(wording_trust.check_sentence(check, frame, trust.grounds)),
            }
            for check in trust.checks
        ],
        "also": [parts.segments(trend)] if trend else [],
    }


def _dots(brief: Brief) -> dict[str, Any] | None:
    found, frame = brief.trust.outlook, brief.trust.context.frame
    if found is None or not found.dots:
        return None
    also = [wording_landing.swing_sentence(found.swing, frame), wording_landing.basis(found, frame)]
    return {
        "title": wording_landing.dots_title(found, frame.noun),
        "picture": _drawn(
            dots_picture(
                dots=found.dots,
                across=parts.across(found, frame),
                span=(found.lower, found.estimate, found.upper),
                currency=frame.currency,
            )
        ),
        "alt": wording_landing.dots_alt(found, frame),
        "caption": wording_landing.dots_caption(found),
        "also": [parts.segments(sentence) for sentence in also if sentence],
    }


def _record(brief: Brief) -> dict[str, Any] | None:
    trust, frame = brief.trust, brief.trust.context.frame
    if trust.record.is_empty():
        return None
    shown = trust.record.tail(parts.SHOWN)
    called = shown.select("label", "call_amount", "landed_amount", "landing_rate").rows()
    return {
        "title": wording_trust.record_title(trust.summary, frame.noun),
        "picture": _drawn(
            record_picture(
                rows=shown,
                open_period=parts.open_period(trust),
                currency=frame.currency,
                fair_bounds=trust.context.lean_bounds,
            )
        ),
        "alt": printable(wording_trust.record_alt(called, frame, trust.expected)),
        "caption": wording_trust.record_caption(frame, shown=shown.height, total=trust.record.height),
    }


def _held(brief: Brief) -> dict[str, Any] | None:
    trust, frame, found = brief.trust, brief.trust.context.frame, brief.trust.outlook
    if found is None or found.held is None or trust.ranges.is_empty():
        return None
    shown = trust.ranges.tail(parts.SHOWN)
    cells = shown.select("label", "lower", "upper", "actual_amount", "is_inside").rows()
    return {
        "title": wording_landing.held_title(found.held, frame.noun),
        "picture": _drawn(strip_picture(rows=shown, currency=frame.currency)),
        "alt": printable(wording_landing.held_alt(cells, found.held, frame)),
        "caption": wording_landing.held_caption(found),
        "detail": parts.segments(wording_landing.held_detail(found.held, frame.noun)),
    }


def _leans(brief: Brief) -> dict[str, Any]:
    rows, context = brief.leans, brief.trust.context
    told = rows.to_dicts()
    title = wording_packs.leans_title(told)
    if rows.is_empty():
        return {"title": title, "picture": None}
    labelled = rows.with_columns(
        label=pl.Series([wording_packs.lean_label(row["layer"], row["category"]) for row in told]),
        kind=pl.Series([wording_packs.lean_kind(row["lower"], row["upper"]) for row in told]),
    )
    words = [
        (row["label"], row["estimate"], row["lower"], row["upper"], wording.DIRECTIONS[row["kind"]])
        for row in labelled.to_dicts()
    ]
    return {
        "title": title,
        "picture": _drawn(leans_picture(rows=labelled, fair_bounds=context.fair_bounds, currency=context.currency)),
        "alt": wording_forecasters.caterpillar_alt(words, told[0]["level"]),
        "caption": wording_packs.leans_caption(told[0]["level"], context.lock_week),
    }


def _misses(brief: Brief) -> dict[str, Any]:
    lines = [found for answer in brief.past_misses if (found := parts.miss_lines(answer)) is not None]
    return {
        "title": wording_packs.HEADINGS["misses"],
        "told": [{"title": printable(title), "causes": parts.segments(causes)} for title, causes in lines],
        "none": [] if lines else [parts.segments(sentence) for sentence in parts.miss_problem(brief.miss)],
    }


def _cents(brief: Brief) -> dict[str, Any]:
    """The latest periods in full: called, landed, their difference, the range that stood then and whether it held."""
    trust, currency = brief.trust, brief.trust.context.currency
    ranges = parts.ranges_by_label(trust)
    rows = []
    for row in trust.record.tail(CENT_ROWS).reverse().iter_rows(named=True):
        lower, upper, held = ranges.get(row["label"], (None, None, None))
        span = theme.MISSING
        if lower is not None:
            span = f"{theme.money_full(lower, currency)} to {theme.money_full(upper, currency)}"
        rows.append(
            [
                printable(str(row["label"])),
                theme.money_full(row["call_amount"], currency),
                theme.money_full(row["landed_amount"], currency),
                theme.money_full(row["error_amount"], currency, signed=True),
                theme.percent(row["landing_rate"], 1),
                span,
                wording_packs.held_word(held),
            ]
        )
    return {
        "title": wording_packs.HEADINGS["cents"],
        "head": [trust.context.noun.capitalize(), *wording_packs.RECORD_HEADINGS],
        "rows": rows,
        "numbers": [False, True, True, True, True, True, False],
    }


def _inputs(brief: Brief) -> dict[str, Any]:
    found, currency = brief.inputs, brief.ref.reporting_currency
    rows = inventory.fault_rows(found.faults[:FAULT_ROWS], currency)
    absent = "; ".join(f"{name} ({brings})" for name, brings in found.missing[:FAULT_ROWS])
    title = inventory.title(found.states, found.rejected, currency)
    return {
        "title": title,
        "summary": inventory.summary(found.states, found.rejected, currency, found.file_count).removesuffix(
            inventory.LISTED_BELOW
        ),
        "head": [say("Set aside because"), say("Where"), say("Rows"), say("Money")],
        "rows": [[printable(cell) for cell in row[:4]] for row in rows],
        "numbers": [False, False, True, True],
        "missing": printable(say("Not landed: {absent}.", absent=absent)) if absent else "",
    }
