"""Tables as text, with the dirt of a real CRM, written one group of seats after another.

Dirt never touches a fact the truth rests on: it adds rows (repeated, outdated, entered twice and deleted, tests) and a
footer, or spells dates another way. ``Dirt`` counts what was added, so a reader of the files can be held to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import polars as pl

from pipelines.simulate.scenario import EMAIL_DOMAIN, EXTRACTED_AT

FOOTER = (
    "Grand Totals ({rows:,} records)",
    "Confidential Information - Do Not Distribute",
    f"Copyright (c) 2000-{EXTRACTED_AT.year} {EMAIL_DOMAIN}. All rights reserved.",
)
MONEY_COLUMNS = ("amount",)
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Dirt:
    """How many rows of each kind of dirt were written, by table and kind."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, table: str, kind: str, rows: int) -> None:
        self.counts[table, kind] += rows

    def frame(self) -> pl.DataFrame:
        rows = [(table, kind, count) for (table, kind), count in sorted(self.counts.items())]
        return pl.DataFrame(rows, schema=["table_name", "kind", "row_count"], orient="row")


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Every cell as the text a canonical file holds: ISO dates, UTC instants, money with two digits."""
    columns = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind == pl.Datetime("us"):
            column = column.dt.strftime(INSTANT_FORMAT)
        elif name in MONEY_COLUMNS:
            column = column.round(2).cast(pl.Decimal(18, 2)).cast(pl.String)
        else:
            column = column.cast(pl.String)
        columns.append(column)
    return frame.select(columns)


class Sink:
    """A CSV file that grows: the header with the first rows, an optional footer at the end."""

    def __init__(self, path: Path, footer: bool = False, encoding: str = "utf-8") -> None:
        self.path, self.footer, self.encoding, self.rows = path, footer, encoding, 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Sink:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("wb")
        return self

    def write(self, frame: pl.DataFrame) -> None:
        assert self._file is not None
        text = frame.write_csv(include_header=self._file.tell() == 0)
        self._file.write(text.encode(self.encoding))
        self.rows += len(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        if self.footer and kind is None:
            lines = ["", *(f'"{line.format(rows=self.rows)}"' for line in FOOTER)]
            self._file.write(("\n".join(lines) + "\n").encode(self.encoding))
        self._file.close()


def dirty_opportunities(text: pl.DataFrame, first: bool, dirt: Dirt, rng: np.random.Generator) -> pl.DataFrame:
    """Opportunities as text plus repeated rows, outdated copies, deals entered twice and deleted, and test rows."""
    open_deals = text.filter(pl.col("is_closed") == "false")

    def some(frame: pl.DataFrame, share: float) -> pl.DataFrame:
        count = min(len(frame), max(1, round(len(frame) * share))) if len(frame) else 0
        return frame[np.sort(rng.choice(len(frame), count, replace=False))] if count else frame

    repeated = some(text, 0.003)
    outdated = some(open_deals, 0.006).with_columns(
        modified_at=(pl.col("modified_at").str.to_datetime(INSTANT_FORMAT) - pl.duration(days=9)).dt.strftime(
            INSTANT_FORMAT
        ),
        amount=(pl.col("amount").cast(pl.Float64) * 1.1).round(2).cast(pl.Decimal(18, 2)).cast(pl.String),
        next_step=pl.lit(None, dtype=pl.String),
    )
    twice = some(open_deals, 0.006).with_columns(
        opportunity_id=pl.lit("006D") + pl.col("opportunity_id").str.slice(4), is_deleted=pl.lit("true")
    )
    parts = [text, repeated, outdated, twice]
    names = ["repeated row", "outdated copy", "entered twice, deleted"]
    if first and len(open_deals):
        junk = pl.concat([open_deals[:1]] * 3).with_columns(
            opportunity_id=pl.Series(["006T00000000001", "006T00000000002", "006T00000000003"]),
            name=pl.lit("TEST please ignore"),
            owner_id=pl.when(pl.Series([True, False, False])).then(None).otherwise("owner_id"),
            amount=pl.when(pl.Series([False, True, False])).then(pl.lit("TBD")).otherwise("amount"),
            close_on=pl.when(pl.Series([False, False, True])).then(pl.lit("2206-03-31")).otherwise("close_on"),
        )
        parts.append(junk)
        names.append("test row")
    for name, part in zip(names, parts[1:], strict=True):
        dirt.add("opportunities", name, len(part))
    past_due = open_deals.filter(pl.col("close_on") < EXTRACTED_AT.date().isoformat())
    dirt.add("opportunities", "close date past on an open deal", len(past_due))
    dirt.add("opportunities", "no next step on an open deal", open_deals["next_step"].null_count())
    return pl.concat(parts).sort("opportunity_id", maintain_order=True)


def dirty_activities(text: pl.DataFrame, first: bool, dirt: Dirt) -> pl.DataFrame:
    """Activities as text, the first three of a company once more without their opportunity."""
    if not first:
        return text
    orphans = text[:3].with_columns(opportunity_id=pl.lit(None, dtype=pl.String))
    dirt.add("activities", "no opportunity", len(orphans))
    return pl.concat([text, orphans])


def dirty_bookings(text: pl.DataFrame, first: bool, dirt: Dirt) -> pl.DataFrame:
    """Bookings as finance exports them: d.m.Y, a line typed by hand, a line exported twice."""
    local = text.with_columns(
        pl.col("booked_on").str.to_date("%Y-%m-%d").dt.strftime("%d.%m.%Y"),
        pl.col("recorded_at").str.to_datetime(INSTANT_FORMAT).dt.strftime("%d.%m.%Y %H:%M"),
    )
    if not first or not len(local):
        return local
    typed = local[:1].with_columns(booking_id=pl.lit("MANUAL-1"), amount=pl.lit("see contract"))
    dirt.add("bookings", "amount in words", 1)
    dirt.add("bookings", "repeated row", 1)
    return pl.concat([local, local[-1:], typed])


def dirty_submissions(text: pl.DataFrame, dirt: Dirt) -> pl.DataFrame:
    """Calls as text, a few sent twice."""
    repeated = text[::997]
    dirt.add("forecast_submissions", "repeated row", len(repeated))
    return pl.concat([text, repeated])
