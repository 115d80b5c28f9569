"""Fiscal periods: which months or quarters a company plans in, told by its settings or by its own calls.

A period is a half-open matter only for instants; its days are inclusive, ``period_start_on`` to ``period_end_on``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.settings import Settings

QUARTER_WEEKS = 12
MONTH_WEEKS = 3
STATED_WEEKS = 52
_LONGEST_MONTH_DAYS = 45


@dataclass(frozen=True)
class Period:
    """One fiscal period; ``index`` counts along the calendar."""

    index: int
    start_on: date
    end_on: date
    label: str


@dataclass(frozen=True)
class Calendar:
    """How a company cuts time. ``last_week``: the last week of a period that is looked at."""

    period_kind: str
    fiscal_year_start_month: int
    last_week: int
    stated: tuple[Period, ...] = ()

    def covering(self, first: date, last: date) -> list[Period]:
        """Every period from the one that contains ``first`` to the one that contains ``last``, in order."""
        if self.stated:
            return list(self.stated)
        months = 3 if self.period_kind == "quarter" else 1
        start = self._start_of_period(first)
        periods: list[Period] = []
        while start <= last:
            following = _add_months(start, months)
            periods.append(Period(len(periods), start, following - timedelta(days=1), self._label(start)))
            start = following
        return periods

    def _start_of_period(self, day: date) -> date:
        if self.period_kind == "month":
            return day.replace(day=1)
        into_quarter = (day.month - self.fiscal_year_start_month) % 3
        return _add_months(day.replace(day=1), -into_quarter)

    def _label(self, start: date) -> str:
        """``Oct 2026`` for a month; ``Q3 2026``, or ``Q1 FY2027`` where the fiscal year ends in another year."""
        if self.period_kind == "month":
            return f"{_MONTHS[start.month - 1]} {start.year}"
        into_year = (start.month - self.fiscal_year_start_month) % 12
        quarter = into_year // 3 + 1
        if self.fiscal_year_start_month == 1:
            return f"Q{quarter} {start.year}"
        last_month_of_year = _add_months(start, 11 - into_year)
        return f"Q{quarter} FY{last_month_of_year.year}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _add_months(first_of_month: date, months: int) -> date:
    count = first_of_month.year * 12 + first_of_month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def decide_calendar(settings: Settings, starts: Sequence[date], stated: Sequence[tuple[date, date, str]]) -> Calendar:
    """The calendar a company states (its ``periods`` table, its settings) or else plainly uses.

    ``starts``: first days of the periods that calls, records and quotas name. All in one class of month modulo 3 →
    quarters beginning there (of the fiscal years that fit, the one beginning earliest in the calendar year); otherwise
    months; none at all → calendar quarters. ``stated``: rows of ``periods``.
    """
    month = settings.fiscal_year_start_month
    if stated:
        periods = tuple(Period(index, *row) for index, row in enumerate(sorted(stated)))
        lengths = sorted((period.end_on - period.start_on).days + 1 for period in periods)
        kind = "month" if lengths[len(lengths) // 2] <= _LONGEST_MONTH_DAYS else "quarter"
        return Calendar(settings.period_kind or kind, month or periods[0].start_on.month, STATED_WEEKS, periods)
    residues = {start.month % 3 for start in starts}
    kind = settings.period_kind or ("month" if len(residues) > 1 else "quarter")
    if month is None:
        month = min((start.month - 1) % 3 + 1 for start in starts) if kind == "quarter" and len(residues) == 1 else 1
    return Calendar(kind, month, QUARTER_WEEKS if kind == "quarter" else MONTH_WEEKS)
