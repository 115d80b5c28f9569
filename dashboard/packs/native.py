"""Charts that PowerPoint owns: their figures sit in a sheet behind them, to the cent, and can be edited there.

A bar between two values is a transparent bar with the visible one stacked on it; where it crosses zero it is cut there,
because bars above and below zero are stacked apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from lxml import etree
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.chart.series import BarSeries, LineSeries, XySeries
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
    XL_TICK_MARK,
)
from pptx.enum.dml import MSO_LINE_DASH_STYLE
from pptx.oxml.ns import qn
from pptx.util import Pt

from dashboard import theme
from dashboard.charts.dots import Across, Dot
from dashboard.charts.waterfall import Step
from dashboard.language import say

INK = theme.LIGHT
HIDDEN = "base"
BAR_AT = 0.25
FEW = 5
NEARER = say("to the estimate")
FARTHER = say("beyond it")
BELOW = say(", below zero")
FONT_SIZE = 12

_MARKERS = {
    "circle": XL_MARKER_STYLE.CIRCLE,
    "diamond": XL_MARKER_STYLE.DIAMOND,
    "square": XL_MARKER_STYLE.SQUARE,
    "dash": XL_MARKER_STYLE.DASH,
}


@dataclass(frozen=True)
class Range:
    """One bar from ``lower`` to ``upper`` that changes shade at ``estimate``; ``colour`` as ``#RRGGBB``."""

    label: str
    lower: float
    estimate: float
    upper: float
    colour: str


def rgb(colour: str) -> RGBColor:
    return RGBColor.from_string(colour.removeprefix("#"))


def tint(colour: str, share: float = 0.5) -> str:
    """The colour mixed with white."""
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)


def axis_format(top: Decimal | float, currency: str) -> str:
    """Whole thousands, millions, billions: what an axis needs."""
    size, prefix = abs(float(top)), theme.currency_prefix(currency)
    lead = f'"{prefix}"' if prefix else ""
    for scale, letter, commas in ((1e12, "T", ",,,,"), (1e9, "B", ",,,"), (1e6, "M", ",,"), (1e3, "K", ",")):
        if size >= 0.8 * scale:
            return f'{lead}0{".0" if size < 4 * scale else ""}{commas}"{letter}"'
    return f"{lead}0"


def called_and_landed(
    labels: Sequence[str], called: Sequence[Decimal | None], landed: Sequence[Decimal | None]
) -> CategoryChartData:
    """Two bars a period; what has not landed has none."""
    data = CategoryChartData(number_format="#,##0.00")
    data.categories = list(labels)
    data.add_series(say("Called"), [_plain(amount) for amount in called])
    data.add_series(say("Landed"), [_plain(amount) for amount in landed])
    return data


def dress_called_and_landed(chart: Chart, top: Decimal, currency: str) -> None:
    called, landed = chart.plots[0].series
    _outlined(called)
    _filled(landed, INK.actual)
    chart.plots[0].gap_width, chart.plots[0].overlap = 60, 35
    _dressed(chart, axis_format(top, currency))
    chart.category_axis.tick_labels.font.color.rgb = rgb(INK.ink)
    chart.category_axis.tick_labels.font.size = Pt(11)
    _legend(chart)


def waterfall_data(steps: Sequence[Step], currency: str) -> CategoryChartData:
    """Stacked columns: where a bar hangs, then one series per kind of step, above zero and, where needed, below it.

    A stacked bar has no label outside of it, so that each step's amount stands under its name.
    """
    data = CategoryChartData(number_format="#,##0.00")
    data.categories = [
        f"{step.name}\n{theme.money(step.amount, currency, signed=step.kind == 'change')}" for step in steps
    ]
    at = Decimal(0)
    rows: list[tuple[str, Decimal, Decimal]] = []
    for step in steps:
        begin = at if step.kind == "change" else Decimal(0)
        at = begin + step.amount
        rows.append((_kind(step), min(begin, at), max(begin, at)))
    data.add_series(HIDDEN, [_plain(_hidden(low, high)) for _, low, high in rows])
    for kind in ("call", "total", "gain", "loss"):
        above = [_above(low, high) if kind == mine else None for mine, low, high in rows]
        below = [_below(low, high) if kind == mine else None for mine, low, high in rows]
        if any(above) or not any(below):
            data.add_series(kind, [_plain(value) for value in above])
        if any(below):
            data.add_series(f"{kind}{BELOW}", [_plain(value) for value in below])
    return data


def dress_waterfall(chart: Chart, steps: Sequence[Step], currency: str) -> None:
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 45, 100
    fills = {"total": INK.actual, "gain": INK.low, "loss": INK.high}
    for series in plot.series:
        kind = series.name.removesuffix(BELOW)
        if series.name == HIDDEN:
            series.format.fill.background()
        elif kind == "call":
            _outlined(series)
        else:
            _filled(series, fills[kind])
    _dressed(chart, axis_format(max((abs(step.amount) for step in steps), default=Decimal(1)), currency))
    chart.category_axis.tick_labels.font.size = Pt(10)
    chart.category_axis.tick_labels.font.color.rgb = rgb(INK.ink)
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.has_legend = False


def ranges_data(ranges: Sequence[Range]) -> CategoryChartData:
    """Rows from the bottom up, as a horizontal bar chart draws them: base, up to the estimate, beyond it.

    Below zero bars are stacked away from zero, so that there the part beyond the estimate comes first.
    """
    data = CategoryChartData(number_format="0.0%")
    shown = list(reversed(ranges))
    data.categories = [row.label for row in shown]
    data.add_series(HIDDEN, [_hidden_rate(row.lower, row.upper) for row in shown])
    nearer = [(row.lower, row.estimate) for row in shown]
    farther = [(row.estimate, row.upper) for row in shown]
    for name, spans in ((NEARER, nearer), (FARTHER, farther)):
        data.add_series(name, [max(high, 0.0) - max(low, 0.0) for low, high in spans])
    for name, spans in ((FARTHER, farther), (NEARER, nearer)):
        below = [min(low, 0.0) - min(high, 0.0) for low, high in spans]
        if any(below):
            data.add_series(f"{name}{BELOW}", below)
    return data


def dress_ranges(
    chart: Chart, ranges: Sequence[Range], *, line_at: float, between: tuple[float, float], number_format: str
) -> None:
    """``line_at``: what the reader holds the ranges against; the axis of names stands there."""
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 70 if len(ranges) >= FEW else 250, 100
    for series in plot.series:
        if series.name == HIDDEN:
            series.format.fill.background()
            continue
        series.invert_if_negative = False
        is_nearer = series.name.removesuffix(BELOW) == NEARER
        for place, row in enumerate(reversed(ranges)):
            fill = series.points[place].format.fill
            fill.solid()
            fill.fore_color.rgb = rgb(row.colour if is_nearer else tint(row.colour))
    _dressed(chart, number_format)
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = between
    chart.value_axis.crosses_at = line_at
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.category_axis.format.line.color.rgb = rgb(INK.ink)
    chart.category_axis.format.line.width = Pt(1.25)
    chart.has_legend = False


def past_ranges_data(
    labels: Sequence[str], expected: Sequence[Decimal], landed: Sequence[Decimal], inside: Sequence[bool]
) -> CategoryChartData:
    """Expected twice, to carry the ranges and to lie over them; then what landed, inside its range or outside."""
    data = CategoryChartData(number_format="#,##0.00")
    data.categories = list(labels)
    data.add_series(say("Range"), [_plain(amount) for amount in expected])
    data.add_series(say("Expected"), [_plain(amount) for amount in expected])
    for name, is_held in ((say("Landed inside"), True), (say("Landed outside"), False)):
        data.add_series(
            name, [_plain(amount) if held is is_held else None for amount, held in zip(landed, inside, strict=True)]
        )
    return data


def dress_past_ranges(
    chart: Chart,
    *,
    expected: Sequence[Decimal],
    lower: Sequence[Decimal],
    upper: Sequence[Decimal],
    landed: Sequence[Decimal],
    currency: str,
) -> None:
    carrier, middle, held, failed = chart.plots[0].series
    carrier.format.line.fill.background()
    carrier.marker.style = XL_MARKER_STYLE.NONE
    for series, shape, size, colour in (
        (middle, "dash", 16, INK.call),
        (held, "circle", 9, INK.ink),
        (failed, "diamond", 12, INK.high),
    ):
        _marked(series, shape, size, colour)
    plus = [float(high - at) for high, at in zip(upper, expected, strict=True)]
    minus = [float(at - low) for low, at in zip(lower, expected, strict=True)]
    _error_bars(carrier, plus, minus, tint(INK.call, 0.6), 16.0)
    lowest, highest = float(min([*lower, *landed])), float(max([*upper, *landed]))
    room = 0.1 * (highest - lowest) or 1.0
    _dressed(chart, axis_format(highest, currency))
    # A range is a length between two amounts, not a height: the axis need not begin at 0.
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = _round_ends(lowest - room, highest + room)
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    _legend(chart)
    entry = etree.Element(qn("c:legendEntry"))
    etree.SubElement(entry, qn("c:idx"), val="0")
    etree.SubElement(entry, qn("c:delete"), val="1")
    chart.legend._element.find(qn("c:legendPos")).addnext(entry)


def dots_data(
    drawn: Sequence[Dot], missed: int, across: Sequence[Across], span: tuple[Decimal, Decimal, Decimal], top: float
) -> XyChartData:
    """Twenty outcomes as two series, the range under them and its middle, then two points per line across them."""
    data = XyChartData(number_format="#,##0.00")
    for name, part in ((say("Misses"), drawn[:missed]), (say("Reaches"), drawn[missed:])):
        series = data.add_series(name)
        for dot in part:
            series.add_data_point(dot.at, dot.place)
    lower, expected, upper = (float(amount) for amount in span)
    for name, ends in ((say("Range"), (lower, upper)), (say("Expected"), (expected,))):
        series = data.add_series(name)
        for end in ends:
            series.add_data_point(end, BAR_AT)
    for line in across:
        series = data.add_series(line.label)
        for height in (0.0, top):
            series.add_data_point(float(line.amount), height)
    return data


def dress_dots(
    chart: Chart, across: Sequence[Across], *, between: tuple[float, float], top: float, size: int, currency: str
) -> None:
    misses, reaches, bar, middle, *lines = list(chart.plots[0].series)
    for series, shape, colour in ((misses, "diamond", INK.high), (reaches, "circle", INK.low)):
        _marked(series, shape, size, colour)
    bar.marker.style = XL_MARKER_STYLE.NONE
    bar.format.line.color.rgb, bar.format.line.width = rgb(INK.ink), Pt(4)
    _marked(middle, "diamond", 13, INK.ink)
    middle.marker.format.line.color.rgb = rgb(INK.background)
    for place, (series, line) in enumerate(zip(lines, across, strict=True)):
        series.marker.style = XL_MARKER_STYLE.NONE
        series.format.line.color.rgb = rgb(INK.ink if line.is_plan else INK.call)
        series.format.line.width = Pt(2.25 if line.is_plan else 1.5)
        if not line.is_plan:
            series.format.line.dash_style = MSO_LINE_DASH_STYLE.SQUARE_DOT
        label = series.points[1].data_label
        label.has_text_frame = True
        label.text_frame.text = line.label
        # Away from the other line.
        is_left = place == 0 and len(across) > 1
        label.position = XL_LABEL_POSITION.LEFT if is_left else XL_LABEL_POSITION.RIGHT
        run = label.text_frame.paragraphs[0].runs[0]
        run.font.size, run.font.color.rgb = Pt(FONT_SIZE), rgb(INK.ink)
    _dressed(chart, axis_format(between[1], currency))
    chart.category_axis.minimum_scale, chart.category_axis.maximum_scale = between
    chart.category_axis.has_major_gridlines = False
    chart.category_axis.tick_labels.number_format = axis_format(between[1], currency)
    chart.category_axis.tick_labels.number_format_is_linked = False
    chart.value_axis.visible = False
    chart.value_axis.has_major_gridlines = False
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = 0.0, top * 1.08
    chart.has_legend = False


CHART_TYPES = {
    "bars": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "waterfall": XL_CHART_TYPE.COLUMN_STACKED,
    "ranges": XL_CHART_TYPE.BAR_STACKED,
    "past_ranges": XL_CHART_TYPE.LINE_MARKERS,
    "dots": XL_CHART_TYPE.XY_SCATTER,
}


def _round_ends(lowest: float, highest: float) -> tuple[float, float]:
    """Ends on round amounts just beyond what is drawn."""
    step = 10 ** math.floor(math.log10((highest - lowest) / 2))
    return math.floor(lowest / step) * step, math.ceil(highest / step) * step


def _plain(amount: Decimal | None) -> float | None:
    """Cents survive: below 90 trillion a double holds every cent."""
    return None if amount is None else float(amount)


def _hidden(low: Decimal, high: Decimal) -> Decimal:
    """The transparent bar below (or, below zero, above) the visible one; none where the bar crosses zero."""
    return low if low > 0 else high if high < 0 else Decimal(0)


def _hidden_rate(low: float, high: float) -> float:
    return low if low > 0 else high if high < 0 else 0.0


def _above(low: Decimal, high: Decimal) -> Decimal | None:
    found = max(high, Decimal(0)) - max(low, Decimal(0))
    return found or None


def _below(low: Decimal, high: Decimal) -> Decimal | None:
    found = min(low, Decimal(0)) - min(high, Decimal(0))
    return found or None


def _kind(step: Step) -> str:
    if step.kind != "change":
        return step.kind
    return "loss" if step.amount < 0 else "gain"


def _filled(series: BarSeries, colour: str) -> None:
    series.format.fill.solid()
    series.format.fill.fore_color.rgb = rgb(colour)
    series.invert_if_negative = False


def _outlined(series: BarSeries) -> None:
    series.format.fill.solid()
    series.format.fill.fore_color.rgb = rgb(INK.background)
    series.format.line.color.rgb = rgb(INK.call)
    series.format.line.width = Pt(1.75)
    series.invert_if_negative = False


def _marked(series: LineSeries | XySeries, shape: str, size: int, colour: str) -> None:
    series.format.line.fill.background()
    if isinstance(series, LineSeries):
        series.smooth = False
    series.marker.style = _MARKERS[shape]
    series.marker.size = size
    series.marker.format.fill.solid()
    series.marker.format.fill.fore_color.rgb = rgb(colour)
    series.marker.format.line.color.rgb = rgb(colour)


def _dressed(chart: Chart, number_format: str) -> None:
    """Thin grid, quiet axes, house ink."""
    chart.font.size = Pt(FONT_SIZE)
    chart.font.color.rgb = rgb(INK.muted)
    axis = chart.value_axis
    axis.tick_labels.number_format = number_format
    axis.tick_labels.number_format_is_linked = False
    axis.major_tick_mark = XL_TICK_MARK.NONE
    axis.format.line.fill.background()
    axis.major_gridlines.format.line.color.rgb = rgb(INK.grid)
    axis.major_gridlines.format.line.width = Pt(0.75)
    chart.category_axis.major_tick_mark = XL_TICK_MARK.NONE
    chart.category_axis.format.line.color.rgb = rgb(INK.muted)
    chart.has_title = False


def _error_bars(series: LineSeries, plus: Sequence[float], minus: Sequence[float], colour: str, width: float) -> None:
    """Lines from each point up and down by its own lengths (``c:errBars``, which python-pptx does not write)."""
    bars = etree.Element(qn("c:errBars"))
    for name, value in (("errDir", "y"), ("errBarType", "both"), ("errValType", "cust"), ("noEndCap", "1")):
        etree.SubElement(bars, qn(f"c:{name}"), val=value)
    for name, lengths in (("plus", plus), ("minus", minus)):
        literal = etree.SubElement(etree.SubElement(bars, qn(f"c:{name}")), qn("c:numLit"))
        etree.SubElement(literal, qn("c:formatCode")).text = "General"
        etree.SubElement(literal, qn("c:ptCount"), val=str(len(lengths)))
        for place, length in enumerate(lengths):
            point = etree.SubElement(literal, qn("c:pt"), idx=str(place))
            etree.SubElement(point, qn("c:v")).text = repr(length)
    line = etree.SubElement(etree.SubElement(bars, qn("c:spPr")), qn("a:ln"), w=str(Pt(width)), cap="flat")
    fill = etree.SubElement(etree.SubElement(line, qn("a:solidFill")), qn("a:srgbClr"))
    fill.set("val", colour.removeprefix("#"))
    # Before the categories, as the schema asks.
    series._element.find(qn("c:cat")).addprevious(bars)


def _legend(chart: Chart) -> None:
    chart.has_legend = True
    chart.legend.position = XL_LEGEND_POSITION.TOP
    chart.legend.include_in_layout = False
    chart.legend.font.size = Pt(FONT_SIZE)
