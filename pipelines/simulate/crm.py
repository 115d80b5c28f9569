"""Deals as a CRM, a marketing tool and a finance system record them: frames with the canonical columns.

Grain and columns follow the data contract; money is in the deal's own currency; instants are UTC without a zone.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate.company import Company, words
from pipelines.simulate.deals import AMOUNT, CLOSE, OWNER, STAGE, Chunk, Deals
from pipelines.simulate.hazards import (
    ALL_STAGES,
    LOST,
    MOTIONS,
    NO_DECISION,
    SOURCES,
    STAGE_CATEGORY,
    STAGE_PROBABILITY,
    WON,
)
from pipelines.simulate.scenario import CURRENCIES, DAY_SECONDS, EXTRACTED_AT, EXTRACTED_SECONDS, Calendar, Flags, Ints

IDS_PER_CHUNK = 100_000_000
ACCOUNT_WORDS = words(
    """
    Alder Amber Beacon Birch Blue Bright Cedar Cinder Clear Copper Crown Delta Ember Falcon Fern Garnet Granite Harbor
    Hazel Ivory Juniper Keystone Lark Laurel Linden Maple Meridian North Oak Onyx Orchid Pine Quarry Raven River Rowan
    Sable Silver Spruce Stone Summit Tidal Umber Vale Willow Zephyr
    """
)
ACCOUNT_TRADES = words(
    """
    Analytics Bank Biotech Brands Care Components Energy Foods Freight Group Health Industries Insurance Labs Logistics
    Media Mobility Networks Optics Partners Pharma Power Retail Robotics Software Steel Systems Telecom Travel Works
    """
)
PRODUCTS = ("Platform", "Insights", "Automation", "Security", "Integration")
NEXT_STEPS = (
    "Send proposal",
    "Call with economic buyer",
    "Security review",
    "Technical demo",
    "Legal redlines",
    "Follow up",
)
LOST_REASONS = ("Price", "Competitor", "Missing feature", "Timing")
IDLE_REASONS = ("No budget", "Status quo", "Champion left", "Priorities changed")
WON_REASONS = ("Product fit", "Price", "Relationship", "Time to value")


def text_of(words: tuple[str, ...], index: Ints) -> pl.Series:
    """Words by index."""
    return pl.Series(words, dtype=pl.String).gather(pl.Series(index, dtype=pl.UInt32))


def ids(prefix: str, number: Ints) -> pl.Series:
    """Fifteen-character identifiers as a CRM has them."""
    numbers = pl.Series(number, dtype=pl.Int64).cast(pl.String).str.zfill(12)
    return pl.select(pl.lit(prefix) + numbers).to_series()


def days(day: Ints) -> pl.Series:
    return pl.Series(day, dtype=pl.Int32).cast(pl.Date)


def instants(second: Ints) -> pl.Series:
    return (pl.Series(second, dtype=pl.Int64) * 1_000_000).cast(pl.Datetime("us"))


def only(series: pl.Series, where: Flags) -> pl.Series:
    """The series with null where the flag is false."""
    return pl.select(pl.when(pl.Series(where)).then(series)).to_series()


def category_of(stage: Ints, optimist: Flags) -> Ints:
    """Index into the stages' forecast categories; optimists put open deals one category up."""
    return np.where(optimist & (stage < WON), np.minimum(stage + 1, 4), stage)


def quarter_of(calendar: Calendar, day: Ints) -> Ints:
    return np.clip(np.searchsorted(calendar.quarter_start, day, side="right") - 1, 0, calendar.last)


def in_export(deals: Deals, calendar: Calendar) -> Flags:
    """Deals the export holds: known by then, and not over before the company kept a CRM."""
    over_before = (deals.stage >= WON) & (deals.close < calendar.quarter_start[calendar.first])
    return np.asarray((deals.created <= EXTRACTED_SECONDS) & ~over_before)


def owner_of(company: Company, calendar: Calendar, deals: Deals) -> Ints:
    """Person who owned the deal when it closed, or owns it now."""
    quarter = np.where(deals.stage >= WON, quarter_of(calendar, deals.close), calendar.last)
    return np.asarray(company.rep[deals.seat, quarter])


def opportunities(
    company: Company, calendar: Calendar, chunk: Chunk, part: int, *, last_touch: Ints, rng: np.random.Generator
) -> pl.DataFrame:
    """One row per deal of the export, in its state at the export."""
    d, count = chunk.now, len(chunk.now)
    closed = d.stage >= WON
    account = rng.integers(0, max(1, int(count / 1.6)), count)
    word, trade = account % len(ACCOUNT_WORDS), (account // len(ACCOUNT_WORDS)) % len(ACCOUNT_TRADES)
    account_name = pl.select(
        pl.concat_str(
            text_of(ACCOUNT_WORDS, word),
            text_of(ACCOUNT_TRADES, trade),
            pl.Series(account // (len(ACCOUNT_WORDS) * len(ACCOUNT_TRADES)) + 1 + 100 * part).cast(pl.String),
            separator=" ",
        )
    ).to_series()
    expansion = rng.random(count) < 0.28
    product, choice = rng.integers(0, len(PRODUCTS), count), rng.integers(0, 4, count)
    reasons = np.select([d.stage == LOST, d.stage == NO_DECISION], [choice, 4 + choice], 8 + choice)
    stated = closed & (rng.random(count) > np.where(d.stage == WON, 0.30, 0.10))
    next_step = ~closed & (rng.random(count) > 0.32)
    modified = np.maximum(d.changed_at, np.where(last_touch > 0, last_touch, 0))
    frame = pl.DataFrame(
        {
            "opportunity_id": ids("006", part * IDS_PER_CHUNK + np.arange(count) + 1),
            "owner_id": ids("005", owner_of(company, calendar, d) + 1),
            "created_on": days(d.created // DAY_SECONDS),
            "close_on": days(d.close),
            "stage": text_of(ALL_STAGES, d.stage),
            "amount": d.amount,
            "currency": text_of(CURRENCIES, d.currency),
            "probability_rate": np.array(STAGE_PROBABILITY)[d.stage],
            "forecast_category": text_of(STAGE_CATEGORY, category_of(d.stage, d.optimist)),
            "name": pl.select(pl.concat_str(account_name, pl.lit(" - "), text_of(PRODUCTS, product))).to_series(),
            "account_id": ids("001", part * IDS_PER_CHUNK + account + 1),
            "account_name": account_name,
            "opportunity_type": text_of(("New Business", "Existing Business"), expansion.astype(np.int64)),
            "lead_source": text_of(SOURCES, d.source),
            "sales_motion": text_of(MOTIONS, d.motion),
            "outcome_reason": only(text_of((*LOST_REASONS, *IDLE_REASONS, *WON_REASONS), reasons), stated),
            "next_step": only(text_of(NEXT_STEPS, rng.integers(0, len(NEXT_STEPS), count)), next_step),
            "last_activity_on": only(days(last_touch // DAY_SECONDS), last_touch > 0),
            "is_won": d.stage == WON,
            "is_closed": closed,
            "is_deleted": np.zeros(count, dtype=np.bool_),
            "modified_at": instants(modified),
            "extracted_at": pl.repeat(EXTRACTED_AT, count, dtype=pl.Datetime("us"), eager=True),
        }
    )
    return frame.filter(pl.Series(in_export(d, calendar)))


def history(company: Company, calendar: Calendar, chunk: Chunk, part: int) -> pl.DataFrame:
    """One row per changed field, in the order of the changes of each deal."""
    d, events = chunk.now, chunk.events
    deal, second, kind = events["deal"].astype(np.int64), events["second"].astype(np.int64), events["field"]
    seat = d.seat[deal]
    by = company.rep[seat, np.maximum(quarter_of(calendar, second // DAY_SECONDS), company.opens[seat])]
    keep = in_export(d, calendar)[deal]
    rows: list[pl.DataFrame] = []

    def add(which: Flags, name: str, old: pl.Series, new: pl.Series) -> None:
        rows.append(
            pl.DataFrame(
                {
                    "opportunity_id": ids("006", part * IDS_PER_CHUNK + deal[which] + 1),
                    "changed_at": instants(second[which]),
                    "field": pl.repeat(name, int(which.sum()), dtype=pl.String, eager=True),
                    "old_value": old,
                    "new_value": new,
                    "changed_by": ids("005", by[which] + 1),
                }
            ).filter(old.ne_missing(new))
        )

    def values(which: Flags) -> tuple[Ints, Ints]:
        return events["old"][which].astype(np.int64), events["new"][which].astype(np.int64)

    moved = keep & (kind == STAGE)
    optimist = d.optimist[deal[moved]]
    probability = tuple(f"{rate:g}" for rate in STAGE_PROBABILITY)
    old, new = values(moved)
    add(moved, "stage", text_of(ALL_STAGES, old), text_of(ALL_STAGES, new))
    add(moved, "probability_rate", text_of(probability, old), text_of(probability, new))
    before, after = category_of(old, optimist), category_of(new, optimist)
    add(moved, "forecast_category", text_of(STAGE_CATEGORY, before), text_of(STAGE_CATEGORY, after))
    priced = keep & (kind == AMOUNT)
    money = [pl.Series(events[side][priced]).cast(pl.Decimal(18, 2)).cast(pl.String) for side in ("old", "new")]
    add(priced, "amount", *money)
    dated = keep & (kind == CLOSE)
    add(dated, "close_on", *(days(value).cast(pl.String) for value in values(dated)))
    handed = keep & (kind == OWNER)
    add(handed, "owner_id", *(ids("005", value + 1) for value in values(handed)))
    return pl.concat(rows).sort("opportunity_id", "changed_at", "field")


def activities(calendar: Calendar, chunk: Chunk, part: int, rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """One row per touch, and the second of each deal's last touch (0 if none)."""
    d = chunk.now
    end = np.minimum(np.where(d.stage >= WON, d.closed_at, EXTRACTED_SECONDS), EXTRACTED_SECONDS)
    weeks = np.maximum(end - d.created, 0) / (7 * DAY_SECONDS)
    pace = np.where(d.stage == NO_DECISION, 0.22, 0.42)
    counts = np.where(in_export(d, calendar), np.minimum(rng.poisson(0.7 + pace * weeks), 30), 0)
    deal = np.repeat(np.arange(len(d)), counts)
    fading = rng.beta(1.0, np.where(d.stage[deal] == NO_DECISION, 2.5, 1.1))
    at = d.created[deal] + (fading * np.maximum(end - d.created, 0)[deal]).astype(np.int64)
    last = np.zeros(len(d), dtype=np.int64)
    np.maximum.at(last, deal, at)
    frame = pl.DataFrame(
        {
            "opportunity_id": ids("006", part * IDS_PER_CHUNK + deal + 1),
            "occurred_at": instants(at),
            "kind": text_of(("email", "call", "meeting"), rng.choice(3, len(deal), p=(0.5, 0.3, 0.2))),
            "direction": text_of(("outbound", "inbound"), rng.choice(2, len(deal), p=(0.68, 0.32))),
        }
    )
    return frame.unique(maintain_order=True), last


def leads(calendar: Calendar, chunk: Chunk, part: int, rng: np.random.Generator) -> pl.DataFrame:
    """One row per lead: those that became deals with their hand-off dates, and about twice as many that did not."""
    d = chunk.now
    share = np.array([0.3, 0.5, 1.0, 1.0, 0.6])[d.source]
    deal = np.flatnonzero(in_export(d, calendar) & (rng.random(len(d)) < share))
    converted = d.created[deal] // DAY_SECONDS
    qualified = converted - rng.integers(0, 9, len(deal))
    accepted = qualified - rng.integers(0, 12, len(deal))
    created = accepted - rng.geometric(0.25, len(deal))
    export_day = EXTRACTED_SECONDS // DAY_SECONDS

    idle = rng.choice(deal, 2 * len(deal)) if len(deal) else deal
    idle_created = np.minimum(d.created[idle] // DAY_SECONDS + rng.integers(-20, 20, len(idle)), export_day - 1)
    idle_accepted = idle_created + rng.geometric(0.2, len(idle))
    idle_qualified = idle_accepted + rng.integers(1, 14, len(idle))
    depth = rng.random(len(idle))
    source = np.where(
        rng.random(len(idle)) < 0.5, rng.choice(5, len(idle), p=(0.04, 0.06, 0.4, 0.3, 0.2)), d.source[idle]
    )
    got, sorted_out = (depth < 0.7) & (idle_accepted < export_day), (depth < 0.3) & (idle_qualified < export_day)
    count = len(deal) + len(idle)
    there = np.arange(count) < len(deal)
    dates = [np.concatenate(pair) for pair in ((accepted, idle_accepted), (qualified, idle_qualified))]
    known = [np.concatenate([np.ones(len(deal), np.bool_), flag]) for flag in (got, sorted_out)]
    return pl.DataFrame(
        {
            "lead_id": ids("00Q", part * IDS_PER_CHUNK + np.arange(count) + 1),
            "created_on": days(np.concatenate([created, idle_created])),
            "source": text_of(SOURCES, np.concatenate([d.source[deal], source])),
            "accepted_on": only(days(dates[0]), known[0]),
            "qualified_on": only(days(dates[1]), known[1]),
            "converted_on": only(days(np.concatenate([converted, idle_created])), there),
            "opportunity_id": only(ids("006", part * IDS_PER_CHUNK + np.concatenate([deal, idle]) + 1), there),
        }
    )


def bookings(won: pl.DataFrame, part: int, rng: np.random.Generator) -> pl.DataFrame:
    """Booking lines of won deals with the usual breaks: credits, late postings, missing ids, parts, one line for many.

    won: ``opportunity_id, close_on, amount, currency, account_name`` of won deals. Lines recorded after the export are
    not in it.
    """
    count = len(won)
    close = won["close_on"].cast(pl.Int32).to_numpy().astype(np.int64)
    amount = won["amount"].cast(pl.Float64).to_numpy()
    kind = rng.random(count)
    booked = close + rng.choice([0, 0, 1, 2, 3, 6], count)
    late = rng.random(count) < 0.05
    recorded = booked + np.where(late, rng.integers(20, 75, count), rng.integers(0, 4, count))
    short, split, joined = kind < 0.025, (kind >= 0.025) & (kind < 0.075), (kind >= 0.075) & (kind < 0.095)
    absent = (kind >= 0.095) & (kind < 0.107)
    line = np.where(short, np.round(amount * rng.uniform(0.75, 0.99, count), 2), amount)
    first_half = np.round(amount * rng.uniform(0.3, 0.7, count), 2)
    line = np.where(split, first_half, line)
    order = np.arange(count)
    partner = np.where(joined & (order + 1 < count), order + 1, order)
    merged = joined & (partner != order) & ~joined[partner] & ~absent[partner] & ~split[partner]
    same = won["currency"].to_numpy() == won["currency"].to_numpy()[partner]
    merged &= same
    line = line + np.where(merged, amount[partner], 0.0)
    swallowed = np.zeros(count, dtype=np.bool_)
    swallowed[partner[merged]] = True
    main = ~absent & ~swallowed
    credit = main & (rng.random(count) < 0.02)
    plan = (
        (main, line, booked, recorded, "invoice"),
        (main & split, amount - first_half, booked + 30, recorded + 31, "invoice"),
        (credit, -np.round(amount * rng.choice([0.1, 0.25, 1.0], count), 2), booked + 45, recorded + 50, "credit note"),
    )
    parts, number = [], part * IDS_PER_CHUNK
    for which, value, on, at, label in plan:
        rows = int(which.sum())
        nameless = rng.random(rows) < 0.04
        parts.append(
            pl.DataFrame(
                {
                    "booking_id": pl.Series([f"INV-{number + k + 1:09d}" for k in range(rows)], dtype=pl.String),
                    "booked_on": days(on[which]),
                    "amount": value[which],
                    "currency": won["currency"].filter(pl.Series(which)),
                    "opportunity_id": only(won["opportunity_id"].filter(pl.Series(which)), ~nameless),
                    "account_name": won["account_name"].filter(pl.Series(which)),
                    "kind": pl.repeat(label, rows, dtype=pl.String, eager=True),
                    "recorded_at": instants(at[which] * DAY_SECONDS + 60 * rng.integers(8 * 60, 18 * 60, rows)),
                }
            )
        )
        number += rows
    return pl.concat(parts).filter(pl.col("recorded_at") <= EXTRACTED_AT).sort("recorded_at", "booking_id")
