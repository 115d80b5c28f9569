"""Palette, number formats and the chart template: one look for every page, and one way to write a figure.

Colours are Okabe and Ito (2008), darkened or lightened where a background asks for it: text at least 4.5:1, lines and
marks at least 3:1. High and low are vermillion and blue, never red against green, and a shape always doubles a colour.
Missing is an em-dash, minus is U+2212, and a number and its percent sign never part (U+00A0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

import plotly.graph_objects as go

from dashboard import language

MISSING = "—"
MINUS = "\u2212"
EN_DASH = "–"
NO_BREAK = "\u00a0"
WORD_JOINER = "\u2060"

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif'
NO_CURRENCY = "XXX"
"""ISO 4217 for "no currency": the data state none, so no symbol is shown."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CAD": "CA$", "AUD": "A$", "NZD": "NZ$"}
_SCALES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "K"))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:-])")
_SIGNED = re.compile(f"([{MINUS}+])(?=[$€£¥₹])")
"""A sign that belongs to an amount: a line may not end between the two."""

Number = Decimal | float | int


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean. ``ink`` and ``muted`` may carry text; the rest are marks and lines."""

    background: str
    surface: str
    ink: str
    muted: str
    grid: str
    call: str
    actual: str
    high: str
    low: str
    fair: str
    unsure: str
    trust: str
    care: str
    distrust: str
    band: str
    accent: str


LIGHT = Palette(
    background="#FFFFFF",
    surface="#F6F7F8",
    ink="#1D2127",
    muted="#5C6470",
    grid="#E3E6EA",
    call="#0072B2",
    actual="#1D2127",
    high="#D55E00",
    low="#0072B2",
    fair="#1D2127",
    unsure="#7A828E",
    trust="#0072B2",
    care="#A8720A",
    distrust="#D55E00",
    band="rgba(0, 114, 178, 0.16)",
    accent="#0072B2",
)

DARK = Palette(
    background="#14171B",
    surface="#1D2126",
    ink="#ECEEF1",
    muted="#A3ABB6",
    grid="#2E343B",
    call="#56B4E9",
    actual="#ECEEF1",
    high="#E8843A",
    low="#56B4E9",
    fair="#ECEEF1",
    unsure="#8A929D",
    trust="#56B4E9",
    care="#E69F00",
    distrust="#E8743B",
    band="rgba(86, 180, 233, 0.22)",
    accent="#56B4E9",
)


def palette(dark: bool = False) -> Palette:
    return DARK if dark else LIGHT


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#RRGGBB`` colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


# Money


def currency_prefix(currency: str) -> str:
    """What stands before an amount: ``$``, ``CHF`` and a space, or nothing where the data state no currency."""
    if currency in ("", NO_CURRENCY):
        return ""
    return _SYMBOLS.get(currency, currency + NO_BREAK)


def money(amount: Number | None, currency: str, *, signed: bool = False) -> str:
    """Three significant digits, for headlines: ``$12.4M``, ``−$412K``, ``$0``; with ``signed`` also ``+$412K``."""
    value = _decimal(amount)
    if value is None:
        return MISSING
    magnitude = _three_digits(abs(value))
    for scale, letter in _SCALES:
        if magnitude >= scale:
            digits = f"{magnitude / scale:.{_places(magnitude / scale)}f}{letter}"
            break
    else:
        whole = magnitude == magnitude.to_integral_value()
        digits = f"{magnitude:.0f}" if whole else f"{magnitude:.2f}"
    return _sign(value if magnitude else Decimal(0), signed) + currency_prefix(currency) + digits


def money_full(amount: Number | None, currency: str, *, cents: bool = True, signed: bool = False) -> str:
    """Every digit, for tables: ``$12,412,345.67``; ``cents=False`` rounds to whole units."""
    value = _decimal(amount)
    if value is None:
        return MISSING
    rounded = value.quantize(Decimal("0.01") if cents else Decimal(1), ROUND_HALF_UP)
    return _sign(rounded, signed) + currency_prefix(currency) + f"{abs(rounded):,}"


def money_range(lower: Number | None, upper: Number | None, currency: str) -> str:
    """``$12.4M–$13.7M``; a missing end is an em-dash for the whole."""
    if _decimal(lower) is None or _decimal(upper) is None:
        return MISSING
    return f"{money(lower, currency)}{EN_DASH}{money(upper, currency)}"


def per_unit(rate: float | None, currency: str) -> str:
    """What lands of each unit called: ``$0.82 of each $1.00``."""
    value = _decimal(rate)
    if value is None:
        return MISSING
    prefix = currency_prefix(currency)
    return f"{unit(rate, currency)} of each {prefix}1.00"


def unit(rate: float | None, currency: str) -> str:
    """A landing rate as money: ``$0.82``."""
    value = _decimal(rate)
    if value is None:
        return MISSING
    rounded = value.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return _sign(rounded, False) + currency_prefix(currency) + f"{abs(rounded):,.2f}"


# Shares, counts, plain numbers


def percent(rate: Number | None, digits: int = 0, *, signed: bool = False) -> str:
    """A 0–1 rate as ``82 %``; with ``signed`` also ``+3 %``."""
    value = _decimal(rate)
    if value is None:
        return MISSING
    rounded = (value * 100).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{_sign(rounded, signed)}{abs(rounded):,}{NO_BREAK}%"


def percent_range(lower: Number | None, upper: Number | None, digits: int = 0) -> str:
    """``12–24 %``; with a negative end ``−3 to 5 %``, so that a minus is never taken for a dash."""
    ends = (percent(lower, digits), percent(upper, digits))
    if MISSING in ends:
        return MISSING
    if ends[0] == ends[1]:
        return ends[0]
    joint = " to " if any(end.startswith(MINUS) for end in ends) else EN_DASH
    return ends[0].removesuffix(f"{NO_BREAK}%") + joint + ends[1]


def count(number: int | None) -> str:
    """``12,345``."""
    return MISSING if number is None else _sign(Decimal(number), False) + f"{abs(number):,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 period``, ``12 periods``, ``no periods``."""
    if number == 0:
        return f"no {many or one + 's'}"
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def decimal(number: Number | None, digits: int = 2, *, signed: bool = False) -> str:
    """A plain number with a fixed number of decimals and a real minus: ``0.82``, ``−0.16``."""
    value = _decimal(number)
    if value is None:
        return MISSING
    rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return _sign(rounded, signed) + f"{abs(rounded):,}"


# Dates


def month(on: date | None) -> str:
    """``Oct 2026``."""
    return MISSING if on is None else f"{_MONTHS[on.month - 1]} {on.year}"


def day(on: date | None) -> str:
    """``9 Nov 2026``."""
    return MISSING if on is None else f"{on.day} {month(on)}"


def instant(at: datetime | None) -> str:
    """``9 Nov 2026, 14:05 UTC``; a day's last second or the midnight after it is ``end of 8 Nov 2026``."""
    if at is None:
        return MISSING
    if (at + timedelta(seconds=1)).time() <= time(0, 0, 1):
        return f"end of {day((at - timedelta(seconds=1)).date())}"
    return f"{day(at.date())}, {at.hour:02d}:{at.minute:02d} UTC"


# Pages


@cache
def stylesheet(dark: bool) -> str:
    """The pages' own rules, in the colours of one theme. Not in the entrypoint, where it would be new at every run."""
    colours = palette(dark)
    variables = f":root {{ --ft-ink: {colours.ink}; --ft-muted: {colours.muted}; --ft-line: {colours.grid}; }}"
    return f"{variables}\n{Path(__file__).with_name('assets').joinpath('style.css').read_text(encoding='utf-8')}"


# Text


def escape(text: str) -> str:
    """Text that Markdown must show as it stands: two dollar signs would otherwise turn a sentence into mathematics.

    A name from a CRM may hold anything, so every character that means something to Markdown, Streamlit's directives
    or HTML is escaped.
    """
    return _MARKDOWN.sub(r"\\\1", _SIGNED.sub(rf"\1{WORD_JOINER}", text))


# Charts


def projected(fig: go.Figure, *, height: int = 400, size: int = 18) -> go.Figure:
    """The same figure for a room: taller, and every text of it in one larger size. The one given stays as it is."""
    larger = go.Figure(fig)
    larger.update_layout(height=height, font={"size": size})
    larger.update_xaxes(tickfont={"size": size}).update_yaxes(tickfont={"size": size})
    larger.update_annotations(font={"size": size})
    larger.for_each_trace(lambda trace: trace.update(textfont={"size": size}) if hasattr(trace, "textfont") else None)
    return larger


def figure_layout(fig: go.Figure, dark: bool = False, *, height: int | None = None) -> go.Figure:
    """Dress a figure in the house template and return it: transparent, no legend, thin horizontal grid, local font.

    Titles stand above the chart as text of the page, so that they wrap and are read aloud; a figure has none.
    """
    colours = palette(dark)
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "tickcolor": colours.grid,
        "zerolinecolor": colours.muted,
        "zerolinewidth": 1,
        "tickfont": {"color": colours.muted, "size": 13},
        "title": {"font": {"color": colours.muted, "size": 13}},
        "automargin": True,
        "fixedrange": True,
    }
    fig.update_layout(
        template="none",
        font={"family": FONT, "size": 14, "color": colours.ink},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 12, "b": 8, "pad": 4},
        hoverlabel={
            "bgcolor": colours.surface,
            "bordercolor": colours.grid,
            "font": {"family": FONT, "color": colours.ink, "size": 13},
        },
        dragmode=False,
        separators=".,",
    )
    fig.update_xaxes(**axis, showgrid=False)
    fig.update_yaxes(**axis, showgrid=True)
    if height is not None:
        fig.update_layout(height=height)
    return fig


CHART_CONFIG: dict[str, object] = {"displayModeBar": False, "scrollZoom": False, "responsive": True}
"""Passed to every ``st.plotly_chart``: no mode bar, no zoom that traps a finger."""


def _decimal(number: Number | None) -> Decimal | None:
    """Exact value, by way of the shortest text for a float; not-a-number and infinities are missing."""
    if number is None:
        return None
    value = number if isinstance(number, Decimal) else Decimal(str(number))
    return value if value.is_finite() else None


def _three_digits(magnitude: Decimal) -> Decimal:
    """Rounded to three significant digits, cents at the finest; the thousands step is chosen after rounding."""
    if not magnitude:
        return Decimal(0)
    return magnitude.quantize(Decimal(1).scaleb(max(magnitude.adjusted() - 2, -2)), ROUND_HALF_UP)


def _places(scaled: Decimal) -> int:
    return max(0, 2 - scaled.adjusted())


def _sign(value: Decimal, signed: bool) -> str:
    if value < 0:
        return MINUS
    return "+" if signed and value > 0 else ""


language.take(__name__, globals())
