"""A column of text → a column of its canonical type, with a mask of the cells that could not be read.

The plain notations (ISO dates, numbers with a decimal point) are read by polars; every other distinct text goes through
``values``, whose answer for the plain ones is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

import polars as pl

from pipelines.contracts import INSTANT
from pipelines.ingest.mapping import ColumnRule, Mapping
from pipelines.ingest.values import DateNotation, dissect, parse_instant, rounded

MISSING_WORDS = ("null", "none", "n/a", "na", "#n/a", "nan", "nil", "-", "–", "—")
DATABASE_NULLS = ("null", "\\n")
"""What a database writes for nothing in text columns; names are spared, for people are called Null."""

TRUE_WORDS = ("true", "t", "yes", "y", "1", "1.0", "x", "ja", "oui", "si", "sí")
FALSE_WORDS = ("false", "f", "no", "n", "0", "0.0", "nein", "non")
EARLIEST, LATEST = date(1990, 1, 1), date(2100, 12, 31)
EARLIEST_HIRE = date(1940, 1, 1)
LARGEST_AMOUNT = Decimal(10) ** 13
_PLAIN_NUMBER = r"^-?\d{1,15}(\.\d{1,2})?$"
_ISO_DAY = "%Y-%m-%d"
_ISO_NOTATIONS = (
    (r"^\d{4}-\d{2}-\d{2}$", _ISO_DAY),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$", "%Y-%m-%dT%H:%M:%S%.fZ"),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?\+0000$", "%Y-%m-%dT%H:%M:%S%.f+0000"),
    (r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d+)?$", "%Y-%m-%d %H:%M:%S%.f"),
)
_ISO_START = r"^\d{4}-\d{2}-\d{2}($|[T ])"


Value = TypeVar("Value")


@dataclass
class Cells:
    """``values`` in the canonical type; ``problems``: rule → mask of the rows that break it."""

    values: pl.Series
    problems: dict[str, pl.Series] = field(default_factory=dict)
    currency: pl.Series | None = None
    rounded_count: int = 0

    def refuse(self, rule: str, mask: pl.Series) -> None:
        """Empty the masked cells and remember why."""
        mask = mask.fill_null(value=False)
        if mask.any():
            self.problems[rule] = mask
            self.values = self.values.set(mask, None)


@dataclass(frozen=True)
class Notation:
    """What was stated or decided for one column."""

    dates: DateNotation = field(default_factory=DateNotation)
    decimal: str | None = None
    is_percent: bool = False


def without_missing(text: pl.Series, mapping: Mapping) -> pl.Series:
    """Null for the words that mean "no value"; for typed columns only: a person may be called Null."""
    words = [*MISSING_WORDS, *(word.casefold() for word in mapping.missing)]
    return text.set(text.str.to_lowercase().is_in(words).fill_null(value=False), None)


def without_database_nulls(text: pl.Series) -> pl.Series:
    return text.set(text.str.to_lowercase().is_in(DATABASE_NULLS).fill_null(value=False), None)


def is_plain_date(text: pl.Series) -> pl.Series:
    """Cells that begin as an ISO date: they say nothing about the column's other dates."""
    return text.str.contains(_ISO_START)


def is_plain_number(text: pl.Series) -> pl.Series:
    return text.str.contains(_PLAIN_NUMBER)


def _each_distinct(text: pl.Series, read: Callable[[str], Value | None], dtype: pl.DataType) -> pl.Series:
    distinct = text.drop_nulls().unique()
    if not distinct.len():
        return pl.Series(text.name, [None] * text.len(), dtype=dtype)
    answers = pl.Series([read(value) for value in distinct.to_list()], dtype=dtype)
    return text.replace_strict(distinct, answers, default=None, return_dtype=dtype)


def _patterns_like(text: pl.Series) -> list[str]:
    """The plain ISO notations that occur, found in a sample: trying all of them on every cell would cost most."""
    sample = text.drop_nulls()
    sample = pl.concat([sample.head(50), sample.tail(50)])
    return [pattern for shape, pattern in _ISO_NOTATIONS if sample.str.contains(shape).any()]


def read_instants(text: pl.Series, notation: DateNotation) -> Cells:
    """Instants in UTC; ``not_a_date`` where the text is none."""
    values = pl.Series(text.name, [None] * text.len(), dtype=INSTANT)
    rest = text
    if notation.pattern is None and notation.zone is None:
        for pattern in _patterns_like(text):
            if pattern == _ISO_DAY:
                parsed = rest.str.to_date(pattern, strict=False).cast(INSTANT)
            else:
                parsed = rest.str.to_datetime(pattern, time_unit="us", strict=False)
            values = parsed if values.null_count() == values.len() else values.zip_with(values.is_not_null(), parsed)
            rest = text.set(values.is_not_null(), None)
    if rest.null_count() < rest.len():
        others = _each_distinct(rest, lambda value: parse_instant(value, notation), INSTANT)
        values = values.zip_with(values.is_not_null(), others)
    cells = Cells(values)
    cells.refuse("not_a_date", values.is_null() & text.is_not_null())
    return cells


def read_days(text: pl.Series, notation: DateNotation) -> Cells:
    """Calendar days; of an instant its day as written, or in UTC if it states an offset."""
    cells = read_instants(text, DateNotation(notation.order, notation.pattern, None, notation.names_periods))
    return Cells(cells.values.cast(pl.Date), cells.problems)


def check_range(cells: Cells, column: str) -> None:
    """Refuse dates outside 1990 to 2100; of validity spans such dates mean "always"."""
    earliest = EARLIEST_HIRE if column == "hired_on" else EARLIEST
    days = cells.values.cast(pl.Date)
    outside = (days < earliest) | (days > LATEST)
    if column in {"valid_from_on", "valid_to_on"}:
        cells.values = cells.values.set(outside.fill_null(value=False), None)
    else:
        cells.refuse("date_out_of_range", outside)


def read_decimals(text: pl.Series, notation: Notation, rule: ColumnRule, dtype: pl.Decimal, mapping: Mapping) -> Cells:
    """Exact decimals at the type's scale, and the currency where the text names one."""
    symbols = {key.casefold(): code for key, code in mapping.symbols.items()}
    scale = dtype.scale
    limit = LARGEST_AMOUNT if scale == 2 else Decimal(10) ** (dtype.precision or 18) / Decimal(10) ** scale
    rest, values = text, pl.Series(text.name, [None] * text.len(), dtype=dtype)
    if notation.decimal != "," and rule.multiply is None and not rule.invert:
        plain = text.set(~is_plain_number(text).fill_null(value=False), None)
        values = plain.cast(dtype, strict=False)
        rest = text.set(values.is_not_null(), None)
    inexact: set[str] = set()
    codes: dict[str, str] = {}
    enormous: set[str] = set()

    def read(value: str) -> Decimal | None:
        written = dissect(value)
        number = written.value(notation.decimal) if written and not written.is_percent else None
        if written is None or number is None:
            return None
        if rule.multiply is not None:
            number *= rule.multiply
        if rule.invert:
            if number == 0:
                return None
            number = 1 / number
        if abs(number) > limit:
            enormous.add(value)
            return None
        cents = rounded(number, scale)
        if cents != number and not rule.invert:
            inexact.add(value)
        code = written.currency or next((symbols[mark] for mark in symbols if mark in value.casefold()), None)
        if code:
            codes[value] = code
        return cents

    if rest.null_count() < rest.len():
        others = _each_distinct(rest, read, dtype)
        values = values.zip_with(values.is_not_null(), others)
    cells = Cells(values, rounded_count=int(rest.is_in(list(inexact)).sum()) if inexact else 0)
    too_large = rest.is_in(list(enormous)) if enormous else pl.repeat(False, text.len(), eager=True)
    unread = "not_money" if scale == 2 else "not_a_number"
    cells.refuse(unread, values.is_null() & text.is_not_null() & ~too_large.fill_null(value=False))
    cells.refuse("amount_out_of_range" if scale == 2 else "out_of_range", too_large | (values.abs() > limit))
    if codes:
        cells.currency = text.replace_strict(list(codes), list(codes.values()), default=None, return_dtype=pl.String)
    return cells


def read_numbers(text: pl.Series, notation: Notation) -> Cells:
    """Floats; a % sign, or a percent column, divides by 100."""

    def read(value: str) -> float | None:
        written = dissect(value)
        number = written.value(notation.decimal) if written and not written.currency else None
        if written is None or number is None:
            return None
        return float(number / 100 if written.is_percent or notation.is_percent else number)

    cells = Cells(_each_distinct(text, read, pl.Float64()))
    cells.refuse("not_a_number", cells.values.is_null() & text.is_not_null())
    return cells


def read_whole(text: pl.Series, notation: Notation) -> Cells:
    """Whole numbers; ``3.0`` is one, ``3.5`` is not."""
    cells = read_numbers(text, Notation(decimal=notation.decimal))
    broken = cells.values.is_not_null() & ((cells.values != cells.values.round()) | (cells.values.abs() > 2**53))
    cells.refuse("not_a_whole_number", broken)
    cells.values = cells.values.cast(pl.Int64)
    return cells


def read_flags(text: pl.Series, mapping: Mapping) -> Cells:
    """True or false, in the words people use for them."""
    words = dict.fromkeys([*FALSE_WORDS, *(word.casefold() for word in mapping.false_words)], False)
    words |= dict.fromkeys([*TRUE_WORDS, *(word.casefold() for word in mapping.true_words)], True)
    lowered = text.str.to_lowercase()
    values = lowered.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.Boolean)
    cells = Cells(values)
    cells.refuse("not_true_or_false", values.is_null() & text.is_not_null())
    return cells


def read_category(text: pl.Series, allowed: tuple[str, ...]) -> Cells:
    """One of the contract's words, without regard to case, spaces and hyphens."""
    words = text.str.to_lowercase().str.replace_all(r"[\s\-]+", "_")
    cells = Cells(words)
    cells.refuse("not_one_of", ~words.is_in(allowed) & words.is_not_null())
    return cells
