"""Slides by the house's rules: a finding as title, one chart or a few sentences under it, the method in the notes.

Placeholders carry title and text, so that an outline and a screen reader find them; every chart has a text of its own.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pptx import Presentation
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.lang import MSO_LANGUAGE_ID
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.presentation import Presentation as Deck
from pptx.shapes.base import BaseShape
from pptx.slide import Slide
from pptx.text.text import TextFrame
from pptx.util import Emu, Inches, Length, Pt

from dashboard import language, theme, wording
from dashboard.packs.native import CHART_TYPES, rgb
from dashboard.packs.svg import printable

WIDTH, HEIGHT = Inches(13.333), Inches(7.5)
LEFT, RIGHT = Inches(0.6), Inches(12.733)
TOP, BOTTOM = Inches(1.75), Inches(6.75)
SPLIT = Inches(8.35)
"""Where a chart ends and its sentences begin."""

SIZES = (20, 18, 16, 14, 13, 12, 11)
_TITLE_ONLY = 5
_ACCENTS = ("0072B2", "D55E00", "009E73", "E69F00", "56B4E9", "CC79A7")
"""Okabe and Ito (2008): what somebody who adds a series to a chart is given first."""

Sentence = str


class Slides:
    """A deck under construction; ``saved()`` is the file."""

    def __init__(self, *, title: str, author: str, about: str, footer: str, created_at: datetime) -> None:
        self._deck: Deck = Presentation()
        self._deck.slide_width, self._deck.slide_height = WIDTH, HEIGHT
        self._footer = printable(footer)
        properties = self._deck.core_properties
        properties.title, properties.author = printable(title), printable(author)
        properties.subject, properties.language = printable(about), language.code()
        properties.created = properties.modified = created_at
        properties.last_modified_by = printable(author)
        _house(self._deck)

    def add(self, title: str, line: str, notes: Sequence[str]) -> Slide:
        """A slide with its finding as title, a line on what it is of, the footer, and notes for who presents it."""
        layout = self._deck.slide_layouts[0]
        slide = self._deck.slides.add_slide(layout)
        heading = slide.shapes.title
        if heading is None:
            raise ValueError("the layout has no title")
        _place(heading, LEFT, Inches(0.42), RIGHT - LEFT, Inches(0.75))
        frame = heading.text_frame
        frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.BOTTOM
        frame.margin_left = frame.margin_right = 0
        _write(frame, [title], 28, is_bold=True)
        _write(
            _box(slide, "Of", (LEFT, Inches(1.17), RIGHT - LEFT, Inches(0.36))), [line], 12, colour=theme.LIGHT.muted
        )
        below, beside = Inches(6.95), Inches(0.7)
        footer = _box(slide, "Footer", (LEFT, below, RIGHT - LEFT - beside, Inches(0.3)))
        _write(footer, [self._footer], 9, colour=theme.LIGHT.muted)
        page = _box(slide, "Page", (RIGHT - beside, below, beside, Inches(0.3)))
        _write(page, [str(len(self._deck.slides))], 9, colour=theme.LIGHT.muted)
        page.paragraphs[0].alignment = PP_ALIGN.RIGHT
        notes_frame = slide.notes_slide.notes_text_frame
        if notes_frame is not None:
            notes_frame.text = printable_lines("\n\n".join([*notes, self._footer]))
        return slide

    def sentences(
        self,
        slide: Slide,
        said: Sequence[Sentence],
        *,
        left: Length = SPLIT,
        top: Length = TOP,
        width: Length | None = None,
        bottom: Length = BOTTOM,
        largest: int = 18,
    ) -> None:
        """Sentences of wording in the largest size at which all of them fit; bold where they are marked."""
        wide = RIGHT - left if width is None else width
        size = fitting_size([wording.plain(sentence) for sentence in said], wide, bottom - top, largest)
        _write(_box(slide, "Findings", (left, top, wide, bottom - top)), said, size)

    def tiles(self, slide: Slide, cards: Sequence[wording.Card], *, top: Length, height: Length) -> None:
        """Tiles side by side: label, value, what stands beside the value."""
        gap = Inches(0.2)
        wide = (RIGHT - LEFT - gap * (len(cards) - 1)) // len(cards)
        for place, card in enumerate(cards):
            frame = _box(slide, card.label, (LEFT + place * (wide + gap), top, wide, height), is_framed=True)
            frame.margin_left = frame.margin_right = Inches(0.15)
            frame.vertical_anchor = MSO_ANCHOR.MIDDLE
            _write(frame, [card.label], 12, colour=theme.LIGHT.muted)
            _write(frame, [card.value], 26, is_bold=True, is_more=True)
            _write(frame, [card.note], 11, colour=theme.LIGHT.muted, is_more=True)

    def chart(
        self,
        slide: Slide,
        kind: str,
        data: CategoryChartData | XyChartData,
        dress: Callable[[Chart], None],
        *,
        alt: str,
        right: Length = SPLIT,
        top: Length = TOP,
        bottom: Length = BOTTOM,
    ) -> None:
        """A native chart with its text; ``kind`` as in ``native.CHART_TYPES``."""
        wide = Emu(right - LEFT - Inches(0.3 if right == SPLIT else 0))
        frame: Any = slide.shapes.add_chart(CHART_TYPES[kind], LEFT, top, wide, Emu(bottom - top), data)  # type: ignore[arg-type]
        # python-pptx has no name for the text that a screen reader says instead.
        frame._element.nvGraphicFramePr.cNvPr.set("descr", printable(alt))
        dress(frame.chart)

    def saved(self) -> bytes:
        file = io.BytesIO()
        self._deck.save(file)
        return file.getvalue()


def fitting_size(said: Sequence[str], width: int, height: int, largest: int = SIZES[0]) -> int:
    """The largest size at which these sentences should fit a box; a letter is half as wide as it is high."""
    for size in SIZES:
        if size > largest:
            continue
        across = max(width / Pt(size) / 0.50, 1)
        lines = sum(math.ceil(max(len(sentence), 1) / across) for sentence in said)
        if (lines * 1.2 + 0.5 * len(said)) * Pt(size) <= height:
            return size
    return SIZES[-1]


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _write(
    frame: TextFrame,
    said: Sequence[Sentence],
    size: int,
    *,
    colour: str = theme.LIGHT.ink,
    is_bold: bool = False,
    is_more: bool = False,
) -> None:
    """One paragraph a sentence, bold where wording marked it."""
    for place, sentence in enumerate(said):
        is_first = place == 0 and not is_more
        paragraph = frame.paragraphs[0] if is_first else frame.add_paragraph()
        if place:
            paragraph.space_before = Pt(0.5 * size)
        paragraph.alignment = PP_ALIGN.LEFT
        for number, part in enumerate(sentence.split(wording.BOLD)):
            if not part:
                continue
            run = paragraph.add_run()
            run.text = printable(part)
            run.font.size, run.font.bold = Pt(size), is_bold or number % 2 == 1
            run.font.color.rgb = rgb(colour)
            if language.code() == language.ENGLISH:
                run.font.language_id = MSO_LANGUAGE_ID.ENGLISH_US


def _box(slide: Slide, name: str, at: tuple[int, int, int, int], *, is_framed: bool = False) -> TextFrame:
    """An empty text box without margins, wrapping its text. ``at``: left, top, width, height."""
    box = slide.shapes.add_textbox(*(Emu(length) for length in at))
    box.name = name
    if is_framed:
        box.line.color.rgb, box.line.width = rgb(theme.LIGHT.grid), Pt(1)
    frame = box.text_frame
    frame.word_wrap = True
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = Emu(0)
    return frame


def _place(shape: BaseShape, left: int, top: int, width: int, height: int) -> None:
    shape.left, shape.top, shape.width, shape.height = Emu(left), Emu(top), Emu(width), Emu(height)


def _house(deck: Deck) -> None:
    """One layout of a title, and the house's colours first in every colour menu."""
    layouts = deck.slide_layouts
    for layout in [layout for place, layout in enumerate(layouts) if place != _TITLE_ONLY]:
        layouts.remove(layout)
    for shapes in (layouts[0].placeholders, deck.slide_master.placeholders):
        for shape in list(shapes):
            if shape.placeholder_format.type is not None and shape.placeholder_format.idx in (10, 11, 12):
                shape._element.getparent().remove(shape._element)
    for shapes in (layouts[0].placeholders, deck.slide_master.placeholders):
        for shape in list(shapes):
            if shape.placeholder_format.idx == 0:
                _place(shape, LEFT, Inches(0.42), RIGHT - LEFT, Inches(0.75))
            else:
                _place(shape, LEFT, TOP, RIGHT - LEFT, Emu(BOTTOM - TOP))
    part = deck.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    text = part.blob.decode("utf-8")
    for place, colour in enumerate(_ACCENTS, start=1):
        begin = text.index(f"<a:accent{place}>")
        end = text.index(f"</a:accent{place}>")
        text = f'{text[:begin]}<a:accent{place}><a:srgbClr val="{colour}"/>{text[end:]}'
    part.blob = text.encode("utf-8")
