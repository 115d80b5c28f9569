"""Deals, week by week: every open deal of a group of seats moves at once, and every change is written down.

Heavy tails: first amounts come from a log-logistic body with a Pareto tail. Arrivals are clustered (gamma-mixed
counts), losses come in bursts by team, and the last days of a quarter carry more than their share.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.simulate import hazards as planted
from pipelines.simulate.company import NOBODY, Company, arrivals
from pipelines.simulate.hazards import LOST, NO_DECISION, WON, Hazards
from pipelines.simulate.scenario import (
    DAY_SECONDS,
    EXTRACTED_SECONDS,
    STEPS,
    Calendar,
    Flags,
    Floats,
    Ints,
)

STAGE, AMOUNT, CLOSE, OWNER = range(4)
MEDIAN, SHAPE = (18_500.0, 86_000.0), (2.7, 2.3)
TAIL_SHARE, TAIL_SHAPE, TAIL_FROM = 0.06, 2.1, 3.0
LARGEST = 2_500_000.0
TRANSFER = 0.004
LATE_ENTRY = 0.02


def first_amount(share: Floats, motion: Ints, size: Floats) -> Floats:
    """First amount of a deal at a share of its distribution: log-logistic, its top 6 % replaced by a Pareto tail."""
    median, shape = np.array(MEDIAN)[motion], np.array(SHAPE)[motion]
    body_share = np.clip(share / (1 - TAIL_SHARE), 1e-6, 0.97)
    body = median * (body_share / (1 - body_share)) ** (1 / shape)
    tail_share = np.clip((share - (1 - TAIL_SHARE)) / TAIL_SHARE, 0.0, 1 - 1e-6)
    tail = TAIL_FROM * median * (1 - tail_share) ** (-1 / TAIL_SHAPE)
    return rounded(np.minimum(np.where(share < 1 - TAIL_SHARE, body, tail) * size, LARGEST))


def rounded(amount: Floats) -> Floats:
    """Amounts as people type them: coarser the larger."""
    edges = np.array([5_000.0, 20_000.0, 100_000.0, 500_000.0])
    step = np.array([50.0, 100.0, 500.0, 1_000.0, 5_000.0])[np.searchsorted(edges, amount)]
    return np.asarray(np.maximum(np.round(amount / step) * step, 500.0))


@dataclass
class Deals:
    """State of every deal of a chunk, one entry per deal; ``seat`` is the index in the whole company."""

    seat: Ints
    motion: Ints
    source: Ints
    currency: Ints
    stage: Ints
    amount: Floats
    close: Ints
    created: Ints
    age: Ints
    closed_at: Ints
    changed_at: Ints
    first_stage: Ints
    optimist: Flags

    def copy(self) -> Deals:
        return Deals(*(getattr(self, name).copy() for name in self.__dataclass_fields__))

    def append(self, more: Deals) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))

    def __len__(self) -> int:
        return len(self.seat)


def _none() -> Deals:
    whole, real, flag = np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
    return Deals(whole, whole, whole, whole, whole, real, whole, whole, whole, whole, whole, whole, flag)


@dataclass
class Chunk:
    """What a group of seats did.

    now: deals as of the export. events: (deal, second, field, old, new) per change up to the export.
    actual: seat × quarter landed. closed, expected: seat × quarter × step, landed so far and expected landing of the
    quarter at the step's start (landed, plus open deals and deals to come by the planted chances); reporting currency.
    """

    now: Deals
    events: dict[str, np.ndarray]
    actual: Floats
    closed: Floats
    expected: Floats


@dataclass
class _Log:
    parts: list[tuple[Ints, Ints, Ints, Floats, Floats]] = field(default_factory=list)

    def write(self, deal: Ints, second: Ints, kind: int, old: np.ndarray, new: np.ndarray) -> None:
        if len(deal):
            kinds = np.full(len(deal), kind, dtype=np.int64)
            self.parts.append((deal, second, kinds, old.astype(np.float64), new.astype(np.float64)))

    def read(self) -> dict[str, np.ndarray]:
        names = ("deal", "second", "field", "old", "new")
        if not self.parts:
            return {name: np.empty(0, dtype=np.int64) for name in names}
        return {name: np.concatenate(column) for name, column in zip(names, zip(*self.parts, strict=True), strict=True)}


class Floor:
    """The sales floor of a group of seats: holds the deals and moves them one step at a time.

    values: per quarter, the expected landing of a deal as ``hazards.expected_landing`` gives it.
    """

    def __init__(
        self,
        company: Company,
        calendar: Calendar,
        hazards: Hazards,
        *,
        values: list[Floats],
        bursts: Flags,
        seats: Ints,
        rng: np.random.Generator,
    ) -> None:
        self.company, self.calendar, self.hazards, self.bursts, self.rng = company, calendar, hazards, bursts, rng
        self.values = values
        self.seats, self.base = seats, int(seats[0])
        self.deals, self.log, self.recording = _none(), _Log(), True
        grid = (np.arange(20_000) + 0.5) / 20_000
        self.mean_amount = np.array(
            [
                [first_amount(grid, np.full(len(grid), motion), np.full(len(grid), size)).mean() for motion in range(2)]
                for size in company.size[seats]
            ]
        )

    def run(self) -> Chunk:
        calendar, company = self.calendar, self.company
        shape = (len(self.seats), calendar.quarter_count)
        actual, closed, expected = np.zeros(shape), np.zeros((*shape, STEPS)), np.zeros((*shape, STEPS))
        now, events = self.deals, self.log.read()
        for quarter in range(calendar.quarter_count):
            value = self.values[quarter]
            rate = planted.expected_of_new(value, np.ones(2))
            mean = arrivals(company, calendar, quarter)[self.seats]
            worth = mean * rate[None] * self.mean_amount[:, :, None] * self._fx(quarter)[:, None, None]
            to_come = worth.sum(axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
            self._new_quarter(quarter)
            for step in range(STEPS):
                closed[:, quarter, step] = actual[:, quarter]
                expected[:, quarter, step] = (
                    actual[:, quarter] + to_come[:, step] + self._open_worth(quarter, value[step])
                )
                actual[:, quarter] += self._step(quarter, step)
                self._arrive(quarter, step, mean[:, :, step])
                after = calendar.step_start(quarter, step) + calendar.step_days(quarter, step)
                if self.recording and after * DAY_SECONDS > EXTRACTED_SECONDS:
                    now, events = self._as_of_export()
                    self.recording = False
        return Chunk(now, events, actual, closed, expected)

    def _fx(self, quarter: int) -> Floats:
        return np.asarray(self.company.fx[quarter, self.company.currency[self.seats]])

    def _open(self) -> Ints:
        return np.flatnonzero(self.deals.stage < WON)

    def _open_worth(self, quarter: int, value: Floats) -> Floats:
        d, i = self.deals, self._open()
        due = (d.close[i] < self.calendar.quarter_start[quarter + 1]).astype(np.int64)
        worth = value[d.motion[i], d.source[i], d.age[i], d.stage[i], due] * d.amount[i]
        worth *= self.company.fx[quarter, d.currency[i]]
        return np.asarray(
            np.bincount(d.seat[i] - self.base, weights=worth, minlength=len(self.seats)), dtype=np.float64
        )

    def _moment(self, start: int, days: int, count: int, rush: bool = False) -> Ints:
        """Working hours of a day in the step; with ``rush`` the quarter's last days are preferred."""
        weekday = (np.arange(start, start + days) + 3) % 7
        weight = np.where(weekday < 5, 1.0, 0.06)
        if rush:
            weight[-4:] *= (1.3, 1.8, 2.6, 4.0)
        day = start + self.rng.choice(days, count, p=weight / weight.sum())
        return np.asarray(day * DAY_SECONDS + self.rng.integers(8 * 3600, 19 * 3600, count))

    def _set(self, i: Ints, second: Ints, kind: int, new: np.ndarray) -> None:
        """Change a field of some deals, in the state and in the log; a value that stays is no change."""
        column = (self.deals.stage, self.deals.amount, self.deals.close)[kind]
        changed = column[i] != new
        i, second, new = i[changed], second[changed], new[changed]
        if self.recording:
            self.log.write(i, second, kind, column[i], new)
        column[i] = new

    def _date_in(self, quarter: int, after: int, count: int) -> Ints:
        """Close dates between a day and the quarter's end: half of them a month's or the quarter's last day."""
        first, last = after, int(self.calendar.quarter_start[quarter + 1]) - 1
        first = min(first, last)
        anywhere = self.rng.integers(first, last + 1, count)
        month_ends = last - np.array([61, 31, 0])
        heap = self.rng.choice(month_ends[month_ends >= first], count) if first <= last else anywhere
        return np.where(self.rng.random(count) < 0.5, heap, anywhere)

    def _date_later(self, quarter: int, motion: Ints) -> Ints:
        """Close dates in one of the quarters after this one, the next most of all."""
        last = int(self.calendar.quarter_start[quarter + 1]) - 1
        ahead = np.where(motion == 1, self.rng.choice(3, len(motion), p=(0.65, 0.25, 0.10)), 0)
        inside = np.where(self.rng.random(len(motion)) < 0.5, 89, self.rng.integers(1, 89, len(motion)))
        return last + 91 * ahead + inside

    def _new_quarter(self, quarter: int) -> None:
        """First morning of a quarter: inherited deals, a few transfers, overdue close dates moved (most of them)."""
        d, rng, company = self.deals, self.rng, self.company
        start, i = int(self.calendar.quarter_start[quarter]), self._open()
        before = company.rep[d.seat[i], quarter - 1] if quarter else company.rep[d.seat[i], 0]
        seat = d.seat[i].copy()
        if quarter > self.calendar.first:
            for k in np.flatnonzero(rng.random(len(i)) < TRANSFER):
                team = self.seats[company.home[self.seats] == company.home[seat[k]]]
                team = team[company.rep[team, quarter] != NOBODY]
                seat[k] = rng.choice(team)
        after = company.rep[seat, quarter]
        second = start * DAY_SECONDS + rng.integers(5 * 3600, 7 * 3600, len(i))
        handed = before != after
        if self.recording:
            self.log.write(i[handed], second[handed], OWNER, before[handed], after[handed])
        d.seat[i] = seat
        late = i[(d.close[i] < start) & (rng.random(len(i)) < 0.78)]
        stays = rng.random(len(late)) < 0.62
        new = np.where(stays, self._date_in(quarter, start + 7, len(late)), self._date_later(quarter, d.motion[late]))
        self._set(late, start * DAY_SECONDS + rng.integers(7 * 3600, 8 * 3600, len(late)), CLOSE, new)

    def _step(self, quarter: int, step: int) -> Floats:
        """Move every open deal one step; returns what landed, by seat, in the reporting currency."""
        d, rng, h = self.deals, self.rng, self.hazards
        start, days = self.calendar.step_start(quarter, step), self.calendar.step_days(quarter, step)
        end = int(self.calendar.quarter_start[quarter + 1])
        i = self._open()
        motion, stage, age = d.motion[i], d.stage[i], d.age[i]
        due = (d.close[i] < end).astype(np.int64)
        burst = self.bursts[quarter, step, self.company.home[d.seat[i]]]
        draw = rng.random((6, len(i)))
        lost = draw[0] < planted.LOSS[motion, stage] + np.where(burst, planted.BURST_LOSS, 0.0)
        dropped = ~lost & (
            draw[1] < np.minimum(h.no_decision[motion, age, stage] * planted.CLEAN_UP_BY_STEP[step], 0.6)
        )
        chance = h.win[motion, d.source[i], age, stage, due] * planted.WIN_BY_STEP[step] * h.shocks[quarter]
        won = ~lost & ~dropped & (draw[2] < np.minimum(chance, planted.MAX_WIN))
        ends = lost | dropped | won
        on = ~ends & (draw[3] < h.advance[quarter][motion, age, stage])
        back = ~ends & ~on & (draw[4] < planted.BACK[motion, stage])

        landed = self._win(i[won], quarter, start, days, step)
        for chosen, outcome in ((lost, LOST), (dropped, NO_DECISION)):
            gone = i[chosen]
            second = self._moment(start, days, len(gone))
            self._set(gone, second, CLOSE, second // DAY_SECONDS)
            self._set(gone, second, STAGE, np.full(len(gone), outcome))
            d.closed_at[gone] = second
        self._move(i[on], i[back], start, days)
        self._redate(i[~ends], due[~ends], draw[5][~ends], quarter, step)
        d.age[i] = np.minimum(d.age[i] + 1, planted.MAX_AGE)
        return landed

    def _win(self, i: Ints, quarter: int, start: int, days: int, step: int) -> Floats:
        d, rng = self.deals, self.rng
        second = self._moment(start, days, len(i), rush=step == STEPS - 1)
        day = second // DAY_SECONDS
        late = np.where(rng.random(len(i)) < LATE_ENTRY, rng.integers(1, 4, len(i)), 0)
        second = second + late * DAY_SECONDS
        self._set(i, second, AMOUNT, rounded(d.amount[i] * planted.draw_factor(rng, d.motion[i], planted.AT_WIN)))
        self._set(i, second, CLOSE, day)
        self._set(i, second, STAGE, np.full(len(i), WON))
        d.closed_at[i] = second
        money = d.amount[i] * self.company.fx[quarter, d.currency[i]]
        return np.asarray(
            np.bincount(d.seat[i] - self.base, weights=money, minlength=len(self.seats)), dtype=np.float64
        )

    def _move(self, on: Ints, back: Ints, start: int, days: int) -> None:
        d, rng = self.deals, self.rng
        second = self._moment(start, days, len(on))
        quoted = d.stage[on] == planted.ADVANCE_TO_PROPOSAL
        factor = planted.draw_factor(rng, d.motion[on[quoted]], planted.AT_PROPOSAL)
        self._set(on[quoted], second[quoted], AMOUNT, rounded(d.amount[on[quoted]] * factor))
        self._set(on, second, STAGE, d.stage[on] + 1)
        self._set(back, self._moment(start, days, len(back)), STAGE, d.stage[back] - 1)

    def _redate(self, i: Ints, due: Ints, draw: Floats, quarter: int, step: int) -> None:
        """Close dates put off, pulled in, or, when overdue, moved within the quarter; many stay overdue."""
        d, rng = self.deals, self.rng
        start, days = self.calendar.step_start(quarter, step), self.calendar.step_days(quarter, step)
        off, near = (due == 1) & (draw < planted.PUSH[step]), (due == 0) & (draw < planted.PULL_IN)
        overdue = (due == 1) & ~off & (d.close[i] < start) & (rng.random(len(i)) < 0.45)
        for chosen, new in (
            (off, self._date_later(quarter, d.motion[i])),
            (near | overdue, self._date_in(quarter, start + days, len(i))),
        ):
            self._set(i[chosen], self._moment(start, days, int(chosen.sum())), CLOSE, new[chosen])

    def _arrive(self, quarter: int, step: int, mean: Floats) -> None:
        rng, calendar = self.rng, self.calendar
        start, days = calendar.step_start(quarter, step), calendar.step_days(quarter, step)
        counts = rng.poisson(mean * rng.gamma(2.5, 1 / 2.5, mean.shape))
        seat = np.repeat(np.repeat(self.seats, 2), counts.ravel())
        motion = np.repeat(np.tile(np.arange(2), len(self.seats)), counts.ravel())
        count = len(seat)
        created = self._moment(start, days, count)
        share = planted.SOURCE_SHARE.cumsum(axis=1)[motion]
        source = (rng.random(count)[:, None] > share[:, :-1]).sum(axis=1)
        due = rng.random(count) < planted.DUE_AT_CREATION[motion, step]
        close = np.where(due, self._date_in(quarter, start + days, count), self._date_later(quarter, motion))
        stage = (rng.random(count) < planted.LATER_START).astype(np.int64)
        zero = np.zeros(count, dtype=np.int64)
        more = Deals(
            seat=seat,
            motion=motion,
            source=source,
            currency=self.company.currency[seat],
            stage=stage,
            amount=first_amount(rng.random(count), motion, self.company.size[seat]),
            close=close,
            created=created,
            age=zero,
            closed_at=zero.copy(),
            changed_at=created,
            first_stage=stage.copy(),
            optimist=rng.random(count) < 0.12,
        )
        self.deals.append(more)

    def _as_of_export(self) -> tuple[Deals, dict[str, np.ndarray]]:
        """State and changes as the export saw them: what the export's week changed later is taken back."""
        now, events = self.deals.copy(), self.log.read()
        known = events["second"] <= EXTRACTED_SECONDS
        columns = (now.stage, now.amount, now.close)
        for kind in (STAGE, AMOUNT, CLOSE):
            later = ~known & (events["field"] == kind)
            columns[kind][events["deal"][later]] = events["old"][later]
        now.closed_at[now.stage < WON] = 0
        kept = {name: column[known] for name, column in events.items()}
        now.changed_at = now.created.copy()
        np.maximum.at(now.changed_at, kept["deal"], kept["second"])
        return now, kept
