"""What kind of company to make up, and the calendar it lives in.

Time is counted in steps: thirteen steps to a calendar quarter. A step is a week, but the last one runs to the
quarter's end (six to eight days), so every quarter has the same thirteen and no step crosses a quarter's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from pipelines.errors import TrustError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STEPS = 13
"""Steps of a quarter, numbered 0 to 12."""

WARM_UP_QUARTERS = 4
"""Quarters simulated and thrown away first, so that the pipeline is as old and as mixed as a real one."""

LAYOUTS = ("canonical", "salesforce")
EXTRACTED_AT = datetime(2026, 11, 9, 6)  # noqa: DTZ001 - instants carry no zone here
"""The instant of the export: a Monday in the middle of Q4 2026. Fixed, so that a seed means the same data for ever."""

OPEN_QUARTER = date(2026, 10, 1)
EPOCH = date(1970, 1, 1)
DAY_SECONDS = 86_400
EMAIL_DOMAIN = "simulated.example"
CURRENCIES = ("USD", "EUR", "GBP")


@dataclass(frozen=True)
class Scenario:
    """One company to simulate.

    reps: seats that carry a quota. Managers and executives follow from it (one per 6.7 and one per 3).
    quarters: closed quarters in the exports; an open one always follows, half-way through.
    lean_spread: standard deviation of ln(landing rate) between reps; their distribution is two-humped and skewed.
    common_lean: by how much everybody's calls run high on top of it: 0.15 = a landing rate of 1/1.15 in the middle.
    identical: all reps alike, without a lean of their own; managers and executives pass the sum on as it is.
    shock_sd: standard deviation of the multiplier that a whole quarter's winning shares.
    drift: by how much the consultative step from proposal to negotiation gets rarer from first to last quarter.
    """

    reps: int = 40
    quarters: int = 12
    seed: int = 1
    lean_spread: float = 0.20
    common_lean: float = 0.06
    identical: bool = False
    shock_sd: float = 0.15
    drift: float = 0.35

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("reps", self.reps, 1, 100_000),
            ("quarters", self.quarters, 1, 80),
            ("seed", self.seed, 0, 2**63 - 1),
            ("lean_spread", self.lean_spread, 0.0, 1.0),
            ("common_lean", self.common_lean, -0.8, 4.0),
            ("shock_sd", self.shock_sd, 0.0, 0.5),
            ("drift", self.drift, -0.9, 0.9),
        ):
            if not low <= value <= high:
                raise TrustError(
                    f"A simulated company cannot have {name} = {value}.", f"Choose a value from {low} to {high}."
                )

    @property
    def manager_count(self) -> int:
        return max(1, round(self.reps / 6.7))

    @property
    def executive_count(self) -> int:
        return max(1, round(self.manager_count / 3))


@dataclass(frozen=True)
class Calendar:
    """Quarters from the first of the warm-up to the open one; all days are days since 1970-01-01.

    quarter_start: first day of each quarter, and of the one after the last (length quarter_count + 1).
    first: index of the first quarter in the exports.
    """

    quarter_start: Ints
    first: int

    @property
    def quarter_count(self) -> int:
        return len(self.quarter_start) - 1

    @property
    def last(self) -> int:
        """Index of the open quarter."""
        return self.quarter_count - 1

    @property
    def exported(self) -> range:
        return range(self.first, self.quarter_count)

    def step_start(self, quarter: int, step: int) -> int:
        return int(self.quarter_start[quarter]) + 7 * step

    def step_days(self, quarter: int, step: int) -> int:
        """Days in the step: seven, but the last step runs to the quarter's end."""
        if step < STEPS - 1:
            return 7
        return int(self.quarter_start[quarter + 1]) - self.step_start(quarter, step)

    def day(self, quarter: int) -> date:
        """First day of a quarter."""
        return EPOCH + timedelta(days=int(self.quarter_start[quarter]))


def calendar_of(scenario: Scenario) -> Calendar:
    """Calendar quarters that end with the open one; more of them move the start back, never the end."""
    total = scenario.quarters + 1 + WARM_UP_QUARTERS
    last_month = OPEN_QUARTER.year * 12 + OPEN_QUARTER.month - 1
    months = [last_month - 3 * back for back in range(total - 1, -2, -1)]
    starts = [(date(month // 12, month % 12 + 1, 1) - EPOCH).days for month in months]
    return Calendar(np.array(starts, dtype=np.int64), WARM_UP_QUARTERS)


def seconds(instant: datetime) -> int:
    """Seconds since 1970-01-01 of an instant in UTC."""
    return int((instant - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 - instants carry no zone here


EXTRACTED_SECONDS = seconds(EXTRACTED_AT)
