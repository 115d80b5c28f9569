"""The charts of the pages on paper: the same rows, marks and ticks, drawn as SVG without a browser. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from math import log, log1p

import polars as pl

from dashboard import theme
from dashboard.charts.dots import Across, stacked
from dashboard.charts.marks import marks, money_ticks, rate_ticks, round_ticks, two_lines
from dashboard.charts.track_record import OpenPeriod
from dashboard.language import say
from dashboard.packs.svg import Drawing, Scale

INK = theme.LIGHT
SMALL = 8.0
AXIS = 38.0
"""Points left of a panel for its amounts."""

LABEL_ROOM = 64.0
_OTHER_SIDE = {"start": "end", "end": "start"}


def dots_picture(
    *,
    dots: Sequence[Decimal],
    across: Sequence[Across],
    span: tuple[Decimal, Decimal, Decimal],
    currency: str,
    width: float = 248,
    height: float = 200,
) -> Drawing:
    """``charts.dots.dotplot`` on paper: twenty outcomes, the lines across them, the range below."""
    picture = Drawing(width, height)
    radius = (width - 12) / 32
    lowest = float(min([dots[0], span[0], *(line.amount for line in across)]))
    highest = float(max([dots[-1], span[2], *(line.amount for line in across)]))
    room = 0.05 * (highest - lowest) or 1.0
    x = Scale(lowest - room, highest + room, 6, width - 6)
    wide = 2.1 * radius * (highest - lowest + 2 * room) / (width - 12)
    plan = next((line.amount for line in across if line.is_plan), None)
    missed = bisect_left(sorted(dots), plan) if plan is not None else 0
    ground = height - 44
    ordered = sorted(across, key=lambda line: line.amount)
    for place, line in enumerate(ordered):
        tint, top = (INK.ink if line.is_plan else INK.call), 8 + 11 * place
        at = x(float(line.amount))
        dash = "" if line.is_plan else "1.5 2"
        picture.line(at, top, at, ground + 14, stroke=tint, line=1.6 if line.is_plan else 1.2, dash=dash)
        # Labels stand away from the other line; where the edge is near, on the side that has room.
        outwards = "end" if place == 0 and len(ordered) > 1 else "start"
        anchor = outwards if (at if outwards == "end" else width - at) > LABEL_ROOM else _OTHER_SIDE[outwards]
        picture.text(at + (4 if anchor == "start" else -4), top, line.label, fill=INK.ink, anchor=anchor)
    drawn = stacked(dots, [line.amount for line in across], wide)
    tallest = max(dot.place for dot in drawn)
    rise = min(2.1 * radius, (ground - 34) / max(tallest, 1))
    for number, dot in enumerate(drawn):
        at, high = x(dot.at), ground - rise * (dot.place - 0.5)
        if number < missed:
            picture.diamond(at, high, min(radius, rise / 2) * 1.05, fill=INK.high)
        else:
            picture.circle(at, high, min(radius, rise / 2) * 0.95, fill=INK.low)
    _span(picture, x, span, ground + 9, currency)
    values, texts = round_ticks(lowest, highest, currency)
    for value, text in zip(values, texts, strict=True):
        picture.text(x(value), height - 6, text, fill=INK.muted, anchor="middle", size=SMALL)
    return picture


def _span(picture: Drawing, x: Scale, span: tuple[Decimal, Decimal, Decimal], y: float, currency: str) -> None:
    lower, expected, upper = (x(float(amount)) for amount in span)
    picture.line(lower, y, upper, y, stroke=INK.ink, line=2.6)
    picture.diamond(expected, y, 4.6, fill=INK.ink, stroke=INK.background, line=1)
    texts = [theme.money(amount, currency) for amount in span]
    # Three amounts need some 30 points each; where the range is shorter, the middle one is told in words alone.
    if upper - lower > 96:
        picture.text(expected, y + 12, texts[1], fill=INK.ink, anchor="middle", is_bold=True)
    picture.text(lower, y + 12, texts[0], fill=INK.ink, anchor="start" if upper - lower > 60 else "end")
    picture.text(upper, y + 12, texts[2], fill=INK.ink, anchor="end" if upper - lower > 60 else "start")


def record_picture(
    *,
    rows: pl.DataFrame,
    open_period: OpenPeriod | None,
    currency: str,
    fair_bounds: tuple[float, float],
    width: float = 510,
    height: float = 262,
) -> Drawing:
    """``charts.track_record.track_record`` on paper: called outlined, landed solid, the lean of each call below."""
    picture = Drawing(width, height)
    labels = [*rows["label"].to_list(), *([open_period.label] if open_period else [])]
    across = Scale(-0.6, len(labels) - 0.4, AXIS, width - 4)
    step = min(across(1) - across(0), 56.0)
    amounts = [*rows["call_amount"], *rows["landed_amount"], *_amounts(open_period)]
    top = max(amounts, default=Decimal(0))
    split = 0.60 * height
    up = Scale(0, float(top) * 1.14 or 1.0, split - 4, 6)
    values, texts = money_ticks(top, currency)
    _grid(picture, up, values, texts, width)
    for place, (call, landed) in enumerate(rows.select("call_amount", "landed_amount").iter_rows()):
        _bar(picture, across(place), step * 0.66, up, call, stroke=INK.call)
        _bar(picture, across(place), step * 0.38, up, landed, fill=INK.actual)
    if open_period is not None:
        _open(picture, open_period, x=across(len(labels) - 1), step=step, up=up, currency=currency)
    _pins(picture, rows, across=across, fair_bounds=fair_bounds, between=(split + 6, height - 24))
    for place, label in enumerate(two_lines(labels)):
        for number, part in enumerate(label.split("<br>")):
            at = (across(place), height - 15 + 9.5 * number)
            picture.text(at[0], at[1], part, fill=INK.muted, anchor="middle", size=SMALL)
    return picture


def _amounts(shown: OpenPeriod | None) -> list[Decimal]:
    if shown is None:
        return []
    return [amount for amount in (shown.call, shown.expected, shown.highest) if amount is not None]


def _grid(picture: Drawing, up: Scale, values: Sequence[float], texts: Sequence[str], width: float) -> None:
    for value, text in zip(values, texts, strict=True):
        picture.line(AXIS, up(value), width - 4, up(value), stroke=INK.grid, line=0.7)
        picture.text(AXIS - 4, up(value), text, fill=INK.muted, anchor="end", size=SMALL)


def _bar(
    picture: Drawing, x: float, wide: float, up: Scale, amount: Decimal, *, fill: str = "none", stroke: str = "none"
) -> None:
    picture.rect(x - wide / 2, up(0), wide, up(float(amount)) - up(0), fill=fill, stroke=stroke, line=1.3)


def _open(picture: Drawing, shown: OpenPeriod, *, x: float, step: float, up: Scale, currency: str) -> None:
    """The call that has not landed: an outline with slanted strokes, and on it what is expected."""
    wide = step * 0.66
    top = up(float(shown.call))
    _bar(picture, x, wide, up, shown.call, stroke=INK.call)
    slant = 5.0
    at = top
    while at < up(0) - slant:
        picture.line(x - wide / 2, at + slant, x + wide / 2, at, stroke=INK.call, line=0.5)
        at += slant
    if shown.expected is None:
        return
    middle = up(float(shown.expected))
    if shown.lowest is not None and shown.highest is not None:
        picture.line(x, up(float(shown.lowest)), x, up(float(shown.highest)), stroke=INK.ink, line=1.6)
    picture.diamond(x, middle, 4.6, fill=INK.ink, stroke=INK.background, line=1)
    said = f"expect {theme.money(shown.expected, currency)}"
    highest = min(up(float(amount)) for amount in _amounts(shown))
    picture.text(picture.width - 4, max(highest - 6, 5), said, fill=INK.ink, anchor="end", is_bold=True)


def _pins(
    picture: Drawing,
    rows: pl.DataFrame,
    *,
    across: Scale,
    fair_bounds: tuple[float, float],
    between: tuple[float, float],
) -> None:
    """By how much each call exceeded what landed, on a logarithmic scale: twice and half reach equally far."""
    (top, bottom), width = between, picture.width
    pins = rows.with_row_index("place").filter(pl.col("lean_rate") > -1)
    heights = [log1p(lean) for lean in pins["lean_rate"]]
    lowest_fair, highest_fair = (log1p(bound) for bound in fair_bounds)
    high, low = max([*heights, highest_fair]), min([*heights, lowest_fair])
    room = 0.42 * (high - low)
    up = Scale(low - room, high + room, bottom, top)
    picture.rect(AXIS, up(highest_fair), width - 4 - AXIS, up(lowest_fair) - up(highest_fair), fill=INK.surface)
    picture.line(AXIS, up(0), width - 4, up(0), stroke=INK.muted, line=0.8)
    picture.text(AXIS - 4, up(0), f"0{theme.NO_BREAK}%", fill=INK.muted, anchor="end", size=SMALL)
    for (place, lean, is_fair), at in zip(
        pins.select("place", "lean_rate", "is_fair").iter_rows(), heights, strict=True
    ):
        x, y = across(place), up(at)
        tint = INK.fair if is_fair else INK.high if lean > 0 else INK.low
        picture.line(x, up(0), x, y, stroke=tint, line=1.4)
        mark = picture.square if is_fair else picture.diamond if lean > 0 else picture.circle
        mark(x, y, 2.6 if is_fair else 3.6 if lean > 0 else 3.0, fill=tint)
        said = theme.percent(lean, signed=True).removesuffix(f"{theme.NO_BREAK}%")
        picture.text(x, y + (-8 if lean >= 0 else 8), said, fill=INK.ink, anchor="middle", size=SMALL)


def strip_picture(*, rows: pl.DataFrame, currency: str, width: float = 510, height: float = 150) -> Drawing:
    """``charts.coverage.coverage_strip`` on paper: each past range as issued, and where it landed."""
    picture = Drawing(width, height)
    across = Scale(-0.6, rows.height - 0.4, AXIS, width - 4)
    step = min(across(1) - across(0), 60.0)
    amounts = [float(value) for name in ("lower", "upper", "actual_amount") for value in rows[name]]
    room = 0.06 * (max(amounts) - min(amounts)) or 1.0
    lowest, highest = min(amounts) - room, max(amounts) + room
    up = Scale(lowest, highest, height - 26, 6)
    values, texts = round_ticks(lowest, highest, currency)
    _grid(picture, up, values, texts, width)
    wide = step * 0.46
    for place, (lower, expected, upper, landed, held) in enumerate(
        rows.select("lower", "estimate", "upper", "actual_amount", "is_inside").iter_rows()
    ):
        x, low, high = across(place), up(float(lower)), up(float(upper))
        picture.rect(x - wide / 2, low, wide, high - low, fill=INK.call, opacity=0.16, stroke=INK.call, line=0.9)
        picture.line(x - wide / 2, up(float(expected)), x + wide / 2, up(float(expected)), stroke=INK.call, line=1.5)
        if held:
            picture.circle(x, up(float(landed)), 3.6, fill=INK.ink, stroke=INK.background)
        else:
            picture.diamond(x, up(float(landed)), 5.0, fill=INK.high, stroke=INK.background)
    for place, label in enumerate(two_lines(rows["label"].to_list())):
        for number, part in enumerate(label.split("<br>")):
            at = (across(place), height - 15 + 9.5 * number)
            picture.text(at[0], at[1], part, fill=INK.muted, anchor="middle", size=SMALL)
    return picture


def leans_picture(
    *, rows: pl.DataFrame, fair_bounds: tuple[float, float], currency: str, width: float = 250
) -> Drawing:
    """``charts.caterpillar.caterpillar`` on paper, for few rows: ``label, kind, estimate, lower, upper``."""
    tall = 21.0
    picture = Drawing(width, tall * rows.height + 30)
    left = 92.0
    lowest = max(min([value for value in rows["lower"] if value > 0], default=0.8), 0.1)
    highest = min(max([*rows["upper"], 1.2]), 5.0)
    x = Scale(log(min(lowest, 0.85)), log(highest), left, width - 10)
    ground = 18 + tall * rows.height
    fair = [min(max(x(log(bound)), left), width - 10) for bound in fair_bounds]
    picture.rect(fair[0], 18, fair[1] - fair[0], ground - 18, fill=INK.grid, opacity=0.7)
    picture.line(x(0), 14, x(0), ground, stroke=INK.muted, line=0.8)
    picture.text(x(0) - 5, 7, say("← runs high"), fill=INK.high, anchor="end", size=SMALL)
    picture.text(x(0) + 5, 7, say("runs low →"), fill=INK.low, size=SMALL)
    looks = marks(dark=False)
    for place, (label, kind, estimate, lower, upper) in enumerate(
        rows.select("label", "kind", "estimate", "lower", "upper").iter_rows()
    ):
        y, look = 18 + tall * (place + 0.5), looks[kind]
        ends = [min(max(x(log(max(value, 1e-6))), left), width - 10) for value in (lower, upper)]
        picture.line(ends[0], y, ends[1], y, stroke=look.colour, line=1.8)
        mark = {"diamond": picture.diamond, "circle": picture.circle, "square": picture.square}[look.symbol]
        at = min(max(x(log(max(estimate, 1e-6))), left), width - 10)
        fill = INK.background if look.hollow else look.colour
        mark(at, y, 4.0, fill=fill, stroke=look.colour, line=1.3)
        picture.text(0, y, label, fill=INK.ink, size=SMALL)
    values, texts = rate_ticks(min(lowest, 0.85), highest, currency)
    for value, text in zip(values, texts, strict=True):
        if min(lowest, 0.85) <= value <= highest:
            picture.text(x(log(value)), ground + 7, text, fill=INK.muted, anchor="middle", size=SMALL)
    return picture
