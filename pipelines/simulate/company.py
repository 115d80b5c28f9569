"""Who works there: seats with a quota, the people in them, who they report to, and how each of them calls.

A seat is a territory; people come and go in it at quarters' ends, and a successor inherits the open deals. So a
person and quarter is a seat and quarter, and the planted truth of a person is a constant of that person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.scenario import CURRENCIES, STEPS, Calendar, Floats, Ints, Scenario


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


FIRST_NAMES = words(
    """
    Ana Amir Beatriz Chen Clara Daniel Elena Emeka Fatima Felix Grace Hana Hugo Ines Ivan Jonas Julia Kai Karim Lena
    Leo Lucia Maya Marek Mei Nadia Noah Olga Omar Paula Priya Rafael Rosa Sam Sofia Tariq Thomas Uma Vera Wei Yara
    Yusuf Zoe Zoran
    """
)
LAST_NAMES = words(
    """
    Abebe Adler Almeida Andersen Bauer Becker Brandt Carter Costa Dubois Eriksson Fischer Fontana Garcia Haddad Hansen
    Hughes Ito Ivanova Jensen Kaur Keller Khan Kim Kowalski Lambert Lindqvist Lopez Maier Martin Mendes Meyer Moreau
    Nakamura Novak Okafor Olsen Park Patel Petrov Quinn Reid Rossi Sato Schmidt Silva Singh Sousa Tanaka Torres Turner
    Vogel Wagner Walsh Weber Winter Wolf Young Zhang Ziegler
    """
)
SEGMENTS = ("SMB", "Mid-market", "Enterprise")
SEGMENT_SHARE = (0.40, 0.35, 0.25)
ARRIVALS = np.array([[2.80, 0.12], [1.40, 0.46], [0.30, 0.88]])
"""New deals per week of a fully ramped seat: segment × motion."""

RAMP = (0.35, 0.65, 0.90)
"""Share of a full seat's new deals that a hire finds in the first quarters."""

TURNOVER, MANAGER_TURNOVER = 0.022, 0.010
MANAGER_CHANGE = 0.012
REGIONS = ("Americas", "Continental Europe", "United Kingdom")
REGION_SHARE = (0.62, 0.24, 0.14)
REPS, MANAGERS, EXECUTIVES = "rep", "manager", "executive"
NOBODY = -1


@dataclass
class Staff:
    """Everybody who ever worked there: one entry per person, in parallel arrays.

    lean: ln(landing rate) of the person's commit call up to the lock week. noise: relative sd of a call by an
    experienced person. skill: managers and executives, weight on correcting each person below by their own record.
    uplift: mean of (most likely / commit − 1) and (best case / most likely − 1).
    hired, left: days since 1970-01-01 (left: the last day, 0 while employed).
    """

    layer: list[str]
    slot: list[int]
    first: list[int]
    last: list[int]
    hired: list[int]
    left: list[int]
    lean: list[float]
    noise: list[float]
    skill: list[float]
    uplift: list[tuple[float, float]]
    knows: list[float]
    name: list[str]

    def person_id(self, index: int) -> str:
        return f"005{index + 1:012d}"


@dataclass(frozen=True)
class Company:
    """seat × quarter tables.

    rep: person in the seat (NOBODY before it opens). manager_slot: slot the seat reports to. tenure: quarters the
    person has been there. ramp: share of a full seat's new deals. manager: slot × quarter → person.
    executive: slot → person. manager_executive: manager slot → executive slot.
    fx: quarter × currency, reporting currency per unit.
    """

    staff: Staff
    segment: Ints
    currency: Ints
    size: Floats
    inflow: Floats
    opens: Ints
    home: Ints
    rep: Ints
    manager_slot: Ints
    tenure: Ints
    ramp: Floats
    manager: Ints
    manager_tenure: Ints
    executive: Ints
    manager_executive: Ints
    slot_currency: Ints
    fx: Floats


def lean_shape(rng: np.random.Generator, count: int) -> Floats:
    """Leans before scaling: two humps and a long tail to the side of low calls; mean 0 and sd 1 in the population.

    45 % call high (around −0.95), 43 % near what lands (+0.45), 12 % hold back, some a lot (+0.9 plus exponential).
    """
    kind, normal, tail = rng.random(count), rng.uniform(-1, 1, count), rng.exponential(0.9, count)
    shares, centres = np.array([0.45, 0.43, 0.12]), np.array([-0.95, 0.45, 0.90])
    which = np.searchsorted(np.cumsum(shares)[:2], kind)
    raw = centres[which] + np.where(which == 2, tail, 0.45 * normal)
    means = centres + np.array([0, 0, 0.9])
    variances = np.array([0.45**2 / 3, 0.45**2 / 3, 0.9**2])
    mean = float(shares @ means)
    return np.asarray((raw - mean) / np.sqrt(shares @ (variances + means**2) - mean**2))


def _hire(
    scenario: Scenario, calendar: Calendar, rng: np.random.Generator, staff: Staff, *, layer: str, slot: int, first: int
) -> int:
    """Put a new person into a slot from a quarter on and return their index."""
    index = len(staff.layer)
    start = int(calendar.quarter_start[first])
    long_ago = first == 0
    draws = rng.random(5)
    own = float(lean_shape(rng, 1)[0]) * scenario.lean_spread
    common = -float(np.log1p(scenario.common_lean))
    if scenario.identical:
        own, noise, skill, knows = 0.0, 0.14, 0.0, 0.5
    else:
        noise, skill, knows = 0.08 + 0.22 * draws[1] ** 2, draws[2], 0.35 + 0.3 * draws[3]
    if layer != REPS:
        own, common, noise = (0.35 * own, 0.0, 0.3 * noise)
    staff.layer.append(layer)
    staff.slot.append(slot)
    staff.first.append(first)
    staff.last.append(calendar.last)
    staff.hired.append(start - (int(60 + 2200 * draws[0]) if long_ago else 0))
    staff.left.append(0)
    staff.lean.append(own + common)
    staff.noise.append(noise)
    staff.skill.append(skill)
    staff.uplift.append((0.05, 0.25) if scenario.identical else (0.02 + 0.08 * draws[4], 0.15 + 0.25 * draws[3]))
    staff.knows.append(knows)
    given, family = rng.integers(len(FIRST_NAMES)), rng.integers(len(LAST_NAMES))
    staff.name.append(f"{FIRST_NAMES[given]} {LAST_NAMES[family]}")
    return index


def _fill(
    scenario: Scenario,
    calendar: Calendar,
    rng: np.random.Generator,
    staff: Staff,
    *,
    layer: str,
    opens: Ints,
    turnover: float,
) -> Ints:
    """Slot × quarter → person; a leaver's last day is a quarter's last, the successor starts the next day."""
    held = np.full((len(opens), calendar.quarter_count), NOBODY, dtype=np.int64)
    for slot, opening in enumerate(opens):
        person = _hire(scenario, calendar, rng, staff, layer=layer, slot=slot, first=int(opening))
        for quarter in range(int(opening), calendar.quarter_count):
            if quarter > max(calendar.first, opening) and rng.random() < turnover:
                staff.last[person] = quarter - 1
                staff.left[person] = int(calendar.quarter_start[quarter]) - 1
                person = _hire(scenario, calendar, rng, staff, layer=layer, slot=slot, first=quarter)
            held[slot, quarter] = person
    return held


def _tenure(staff: Staff, calendar: Calendar, held: Ints) -> Ints:
    """Quarters since the person in a slot was hired (0 in the first)."""
    hired = np.array(staff.hired, dtype=np.int64)
    return np.where(held == NOBODY, 0, (calendar.quarter_start[:-1] - hired[held]) // 91)


def company_of(scenario: Scenario, calendar: Calendar, rng: np.random.Generator) -> Company:
    """People, seats and rates of exchange of a scenario."""
    count, slots, executives = scenario.reps, scenario.manager_count, scenario.executive_count
    staff = Staff([], [], [], [], [], [], [], [], [], [], [], [])
    always = np.zeros(executives, dtype=np.int64)
    executive = _fill(scenario, calendar, rng, staff, layer=EXECUTIVES, opens=always, turnover=0.0)[:, 0]
    manager = _fill(
        scenario, calendar, rng, staff, layer=MANAGERS, opens=np.zeros(slots, dtype=np.int64), turnover=MANAGER_TURNOVER
    )
    manager_executive = np.arange(slots) * executives // slots

    home = np.arange(count) * slots // count
    late = rng.random(count) < 0.15
    opens = np.where(late, rng.integers(calendar.first + 1, calendar.last + 1, count), 0)
    rep = _fill(scenario, calendar, rng, staff, layer=REPS, opens=opens, turnover=TURNOVER)
    manager_slot = np.repeat(home[:, None], calendar.quarter_count, axis=1)
    if slots > 1:
        moves = rng.random(manager_slot.shape) < MANAGER_CHANGE
        steps = rng.integers(1, slots, manager_slot.shape)
        for quarter in range(calendar.first + 1, calendar.quarter_count):
            slot = manager_slot[:, quarter]
            slot[moves[:, quarter]] = (slot + steps[:, quarter])[moves[:, quarter]] % slots
            manager_slot[:, quarter:] = slot[:, None]

    tenure = _tenure(staff, calendar, rep)
    ramps = np.array([*RAMP, 1.0])
    ramp = np.where(rep == NOBODY, 0.0, ramps[np.minimum(tenure, len(RAMP))])
    region = np.searchsorted(np.cumsum(REGION_SHARE)[:2], (np.arange(slots) + 0.5) / slots)
    sizes = 0.65 + 0.7 * rng.beta(1.6, 2.6, count) ** 0.8
    walk = np.cumsum(rng.uniform(-0.035, 0.035, (calendar.quarter_count, 2)), axis=0)
    fx = np.ones((calendar.quarter_count, len(CURRENCIES)))
    fx[:, 1:] = np.round(np.array([1.09, 1.27]) * (1 + walk - walk[calendar.last] * 0.5), 4)
    return Company(
        staff=staff,
        segment=rng.choice(len(SEGMENTS), count, p=SEGMENT_SHARE),
        currency=region[home],
        size=sizes,
        inflow=0.7 + 0.75 * rng.beta(2.0, 3.0, count),
        opens=opens,
        home=home,
        rep=rep,
        manager_slot=manager_slot,
        tenure=tenure,
        ramp=ramp,
        manager=manager,
        manager_tenure=_tenure(staff, calendar, manager),
        executive=executive,
        manager_executive=manager_executive,
        slot_currency=region,
        fx=fx,
    )


def arrivals(company: Company, calendar: Calendar, quarter: int) -> Floats:
    """Mean number of new deals: seat × motion × step of the quarter. Holidays thin out, budgets open in January."""
    month = calendar.day(quarter).month
    season = np.ones(STEPS)
    if month == 7:
        season[3:8] = 0.75
    elif month == 10:
        season[11:] = 0.45
    elif month == 1:
        season[1:5] = 1.15
    per_week = ARRIVALS[company.segment] * (company.inflow * company.ramp[:, quarter])[:, None]
    return np.asarray(per_week[:, :, None] * season)
