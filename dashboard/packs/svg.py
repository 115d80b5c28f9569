"""A picture for paper, built mark by mark: shapes as SVG, and words beside them for the page to set. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}


def printable(text: str) -> str:
    """Text that any file format can hold: what no one can see (control characters) becomes a blank."""
    return "".join(sign if sign.isprintable() or sign == " " else " " for sign in text)


@dataclass(frozen=True)
class Word:
    """A text whose middle stands at ``y``; ``anchor``: which share of its width lies left of ``x``."""

    x: float
    y: float
    said: str
    fill: str
    size: float
    anchor: float
    is_bold: bool


class Drawing:
    """Marks and words in points, the origin at the top left.

    ``svg()`` holds the marks alone: the words are set by the page in its own font, at the weight that is asked for.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self.words: list[Word] = []
        self._marks: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        stroke: str = "none",
        line: float = 1.0,
        opacity: float = 1.0,
    ) -> None:
        """A rectangle; a negative height reaches upwards."""
        top, tall = (y, height) if height >= 0 else (y + height, -height)
        self._add(
            "rect",
            x=x,
            y=top,
            width=max(width, 0.0),
            height=tall,
            fill=fill,
            stroke=stroke,
            stroke_width=line,
            fill_opacity=opacity,
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, stroke: str, line: float = 1.0, dash: str = ""
    ) -> None:
        more = {"stroke_dasharray": dash} if dash else {}
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=line, **more)

    def circle(self, x: float, y: float, radius: float, *, fill: str, stroke: str = "none", line: float = 1.0) -> None:
        self._add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=stroke, stroke_width=line)

    def diamond(self, x: float, y: float, radius: float, *, fill: str, stroke: str = "none", line: float = 1.0) -> None:
        corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
        self._polygon(corners, fill=fill, stroke=stroke, line=line)

    def square(self, x: float, y: float, radius: float, *, fill: str, stroke: str = "none", line: float = 1.0) -> None:
        self.rect(x - radius, y - radius, 2 * radius, 2 * radius, fill=fill, stroke=stroke, line=line)

    def text(
        self,
        x: float,
        y: float,
        said: str,
        *,
        fill: str,
        size: float = 8.5,
        anchor: str = "start",
        is_bold: bool = False,
    ) -> None:
        """``y``: the middle of the letters. ``anchor``: ``start``, ``middle`` or ``end``."""
        self.words.append(Word(round(x, 2), round(y, 2), printable(said), fill, size, ANCHORS[anchor], is_bold))

    def svg(self) -> str:
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(self._marks)}</svg>'

    def _polygon(self, corners: Sequence[tuple[float, float]], *, fill: str, stroke: str, line: float) -> None:
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
        self._add("polygon", points=points, fill=fill, stroke=stroke, stroke_width=line)

    def _add(self, tag: str, **attributes: float | str) -> None:
        said = " ".join(
            f"{name.replace('_', '-')}={quoteattr(value if isinstance(value, str) else f'{value:.2f}')}"
            for name, value in attributes.items()
        )
        self._marks.append(f"<{tag} {said}/>")


class Scale:
    """Values between two ends onto points between two others, straight."""

    def __init__(self, lowest: float, highest: float, start: float, end: float) -> None:
        self._lowest, self._start = lowest, start
        self._slope = (end - start) / ((highest - lowest) or 1.0)

    def __call__(self, value: float) -> float:
        return self._start + (value - self._lowest) * self._slope
