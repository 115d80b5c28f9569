"""One cell of text → a date, an instant, a number or a flag; and what a whole column says about its own notation.

Nothing is guessed. A value that can be read in one way only is read that way; one that can be read in two ways
(``03/04/2026``, ``1.234``) is read as the rest of its column must be read, and if the column does not say, the file is
refused and the mapping has to state it.

Money is exact: digits become decimals, never binary fractions. More than two decimals (float artefacts, unit prices)
are rounded to cents, half away from zero, and counted. Signs: ``-``, ``−``, a trailing ``-`` or brackets mean negative.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY_FIRST = "d/m/y"
MONTH_FIRST = "m/d/y"
YEAR_FIRST = "y/m/d"
ORDERS = (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)

SYMBOLS = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₩": "KRW",
    "₽": "RUB",
    "₺": "TRY",
    "₪": "ILS",
    "zł": "PLN",
    "us$": "USD",
    "ca$": "CAD",
    "c$": "CAD",
    "a$": "AUD",
    "au$": "AUD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
    "r$": "BRL",
    "mx$": "MXN",
}
BARE_SYMBOLS = ("$", "¥", "kr", "fr.", "kč")
"""Symbols several currencies share: removed, and taken for no currency in particular."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero",
            "feb february februar février fevrier febrero",
            "mar march märz maerz mars marzo mär",
            "apr april avril abril",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet julio",
            "aug august août aout agosto",
            "sep sept september septembre septiembre",
            "oct october okt oktober octobre octubre",
            "nov november novembre noviembre",
            "dec december dez dezember décembre decembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_CLOCK = (
    r"(?:,?[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_ISO = re.compile(r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})" + _CLOCK + _ZONE)
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})" + _CLOCK + _ZONE)
_NUMERIC = re.compile(r"(?P<a>\d{1,2})(?P<sep>[-/. ])(?P<b>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE)
_DAY_MONTH = re.compile(r"(?P<day>\d{1,2})[ .-]{1,2}(?P<name>[^\W\d]+)\.?,?[ -](?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE)
_MONTH_DAY = re.compile(r"(?P<name>[^\W\d]+)\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})" + _CLOCK + _ZONE)
_EPOCH = re.compile(r"\d{10}|\d{13}")
_QUARTER = re.compile(r"(?:Q(?P<q1>[1-4])[ \-/']*(?P<y1>\d{4})|(?P<y2>\d{4})[ \-/]*Q(?P<q2>[1-4]))", re.IGNORECASE)
_YEAR_MONTH = re.compile(r"(?P<year>\d{4})[-/](?P<month>\d{1,2})")
_MONTH_YEAR = re.compile(r"(?P<name>[^\W\d]+)\.?[ \-/](?P<year>\d{4})")


@dataclass(frozen=True)
class DateNotation:
    """How a column writes dates. ``order`` settles what a value leaves open; ``pattern`` is one strptime pattern."""

    order: str | None = None
    pattern: str | None = None
    zone: str | None = None
    names_periods: bool = False


def parse_instant(text: str, notation: DateNotation) -> datetime | None:
    """The instant in UTC without a zone, or None if the text is no date or stays ambiguous.

    A date without a time is its midnight. A value without an offset is in ``notation.zone``, by default UTC.
    """
    if notation.pattern:
        try:
            return _in_utc(datetime.strptime(text, notation.pattern), None, notation.zone)  # noqa: DTZ007
        except ValueError:
            pass  # another notation, readable only if unambiguous
    try:
        return _parse_known(text, notation)
    except (ValueError, OverflowError):
        return None


def _parse_known(text: str, notation: DateNotation) -> datetime | None:
    if found := (_ISO.fullmatch(text) or _COMPACT.fullmatch(text)):
        return _build(found, int(found["year"]), int(found["month"]), int(found["day"]), notation)
    if found := _NUMERIC.fullmatch(text):
        return _parse_numeric(found, notation)
    if found := (_DAY_MONTH.fullmatch(text) or _MONTH_DAY.fullmatch(text)):
        month = _MONTHS.get(found["name"].lower())
        return _build(found, _full_year(found["year"]), month, int(found["day"]), notation) if month else None
    if _EPOCH.fullmatch(text):
        milliseconds = int(text) * (1000 if len(text) == 10 else 1)
        return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)  # noqa: DTZ001
    return _parse_period(text) if notation.names_periods else None


def _parse_numeric(found: re.Match[str], notation: DateNotation) -> datetime | None:
    a, b = int(found["a"]), int(found["b"])
    order = notation.order
    if order == YEAR_FIRST:
        return _build(found, _full_year(found["a"].zfill(2)), b, int(found["year"]), notation)
    if order is None:
        order = _own_order(found)
        if order is None:
            if a != b:
                return None
            order = DAY_FIRST
    day, month = (a, b) if order == DAY_FIRST else (b, a)
    return _build(found, _full_year(found["year"]), month, day, notation)


def _own_order(found: re.Match[str]) -> str | None:
    # Points between day, month and year are written day first wherever they are written.
    if found["sep"] == "." or int(found["a"]) > 12:
        return DAY_FIRST
    return MONTH_FIRST if int(found["b"]) > 12 else None


def _parse_period(text: str) -> datetime | None:
    """The first day of a calendar quarter or month named in words."""
    if found := _QUARTER.fullmatch(text):
        quarter, year = found["q1"] or found["q2"], found["y1"] or found["y2"]
        return datetime(int(year), 3 * int(quarter) - 2, 1)  # noqa: DTZ001
    if found := _YEAR_MONTH.fullmatch(text):
        return datetime(int(found["year"]), int(found["month"]), 1)  # noqa: DTZ001
    if (found := _MONTH_YEAR.fullmatch(text)) and (month := _MONTHS.get(found["name"].lower())):
        return datetime(int(found["year"]), month, 1)  # noqa: DTZ001
    return None


def _full_year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= 90 else 2000)


def _build(found: re.Match[str], year: int, month: int, day: int, notation: DateNotation) -> datetime:
    hour = int(found["hour"] or "0")
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if found["half"][0] in "pP" else 0)
    micros = int((found["fraction"] or "").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, int(found["minute"] or "0"), int(found["second"] or "0"), micros)  # noqa: DTZ001
    return _in_utc(moment, found["zone"], notation.zone)


def _in_utc(moment: datetime, offset: str | None, zone: str | None) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    if offset in {"Z", "UTC", "GMT"}:
        return moment
    if offset:
        sign = -1 if offset[0] == "-" else 1
        digits = offset[1:].replace(":", "").ljust(4, "0")
        return moment - sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if zone:
        return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
    return moment


@dataclass
class Evidence:
    """What a column's values say about its notation: the first value seen of each kind, with its line."""

    seen: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, kind: str | None, line: int, text: str) -> None:
        if kind is not None:
            self.seen.setdefault(kind, (line, text))

    def decide(self, first: str, second: str) -> str | None:
        """``first`` or ``second`` if the column speaks for exactly one of them, else None."""
        return {(True, False): first, (False, True): second}.get((first in self.seen, second in self.seen))

    @property
    def ambiguous(self) -> tuple[int, str] | None:
        return self.seen.get("ambiguous")


def date_evidence(text: str) -> str | None:
    """``d/m/y`` or ``m/d/y`` if the value can only be that, ``ambiguous`` if it can be both, else None.

    Points and equal parts are unambiguous by themselves and say nothing of the other values.
    """
    found = _NUMERIC.fullmatch(text)
    if found is None or found["sep"] == "." or found["a"].zfill(2) == found["b"].zfill(2):
        return None
    if int(found["a"]) > 12 and int(found["b"]) > 12:
        return None
    return _own_order(found) or "ambiguous"


# Numbers

POINT = "."
COMMA = ","
_SPACES = str.maketrans(
    dict.fromkeys("\u00a0\u202f\u2009\u2007", " ") | dict.fromkeys("’`´", "'") | {"−": "-", "–": "-"}
)
_BODY = re.compile(
    r"(?P<before>[^\d.,\s'+-][^\d,\s'+-]{0,3})?\s*(?P<sign>[+-]?)\s*"
    r"(?P<digits>[\d.]+[eE][+-]?\d+|[\d.,' ]*\d[.,]?)\s*(?P<after>\S{1,4})?"
)
_SCIENTIFIC = re.compile(r"\d+(\.\d+)?[eE][+-]?\d{1,3}")
_GROUPED = re.compile(r"\d{1,3}([ '])\d{3}(\1\d{3})*([.,]\d*)?")
_GROUPS = {
    COMMA: re.compile(r"\d{1,3}(,\d{2,3})*,\d{3}"),
    POINT: re.compile(r"\d{1,3}(\.\d{2,3})*\.\d{3}"),
}


@dataclass(frozen=True)
class Written:
    """A number as written: ``kind`` ``whole``, ``.`` or ``,`` (its decimal sign for certain) or ``ambiguous``."""

    kind: str
    digits: str
    is_negative: bool
    currency: str | None
    is_percent: bool

    def value(self, decimal: str | None) -> Decimal | None:
        """The number, or None if ``decimal`` contradicts it or is needed and unknown."""
        digits = self.digits
        if self.kind == "ambiguous":
            if decimal is None:
                return None
            group = COMMA if decimal == POINT else POINT
            digits = digits.replace(group, "").replace(decimal, ".")
        elif self.kind in (POINT, COMMA):
            if decimal not in (None, self.kind):
                return None
            group = COMMA if self.kind == POINT else POINT
            digits = digits.replace(group, "").replace(self.kind, ".")
        number = Decimal(digits)
        return -number if self.is_negative else number


@lru_cache(maxsize=65_536)
def dissect(text: str) -> Written | None:
    """Take a written number apart, or None if it is no number."""
    text = text.translate(_SPACES).strip()
    bracketed = text.startswith("(") and text.endswith(")")
    if bracketed:
        text = text[1:-1].strip()
    sign = ""
    if text[:1] in {"-", "+"}:
        sign, text = text[0], text[1:].lstrip()
    if text.endswith("-") and not sign:
        sign, text = "-", text[:-1].rstrip()
    found = _BODY.fullmatch(text)
    if not found or (found["sign"] and sign):
        return None
    currency, is_percent = None, False
    for mark in (found["before"], found["after"]):
        if mark is None:
            continue
        if mark == "%":
            is_percent = True
        elif mark.lower() in SYMBOLS:
            currency = SYMBOLS[mark.lower()]
        elif re.fullmatch(r"[A-Z]{3}", mark):
            currency = mark
        elif mark.lower() not in BARE_SYMBOLS:
            return None
    shape = _shape(found["digits"].strip())
    if shape is None or (bracketed and (sign or found["sign"])):
        return None
    return Written(shape[0], shape[1], bracketed or "-" in (sign, found["sign"]), currency, is_percent)


def _shape(digits: str) -> tuple[str, str] | None:
    """Kind and digits without spaces and apostrophes."""
    if digits.isdecimal() or _SCIENTIFIC.fullmatch(digits):
        return "whole", digits
    if " " in digits or "'" in digits:
        if not _GROUPED.fullmatch(digits):
            return None
        digits = digits.replace(" ", "").replace("'", "")
        mark = next((sign for sign in (POINT, COMMA) if sign in digits), None)
        return (mark or "whole", digits)
    points, commas = digits.count(POINT), digits.count(COMMA)
    if points and commas:
        mark = POINT if digits.rfind(POINT) > digits.rfind(COMMA) else COMMA
        whole, _, rest = digits.rpartition(mark)
        group = COMMA if mark == POINT else POINT
        return (mark, digits) if rest.isdecimal() and _GROUPS[group].fullmatch(whole) else None
    mark = POINT if points else COMMA
    other = COMMA if points else POINT
    if digits.count(mark) > 1:
        return (other, digits) if _GROUPS[mark].fullmatch(digits) else None
    whole, _, rest = digits.partition(mark)
    is_group = len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
    return ("ambiguous" if is_group else mark), digits


def number_evidence(text: str) -> str | None:
    """``.`` or ``,`` if the value's decimal sign is certain, ``ambiguous`` if it is not, None if it says nothing."""
    written = dissect(text)
    return None if written is None or written.kind == "whole" else written.kind


def rounded(value: Decimal, scale: int) -> Decimal:
    """Half away from zero, as cents are rounded on paper."""
    return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
