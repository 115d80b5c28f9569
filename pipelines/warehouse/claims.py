"""Full extracts: a claim in the ledger that an extract held every opportunity, which proves that the others are gone.

A claim is an entry of the ledger with status ``whole`` and the extract's instant. It changes no landed row: what it
says of absent opportunities is worked out when the history is rebuilt, and an extract without a claim says nothing of
them. A cut-off file would close most of the pipeline, so an implausible share of absent deals has to be insisted on.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import duckdb

MOST_ABSENT_RATE = 0.25
"""Share of the deals known before beyond which a full extract without them is taken for a cut-off one. Companies delete
or merge a few per cent between two exports; a file of a filtered view, or one cut off, lacks much more."""

FEWEST_ABSENT = 5
"""Absent deals below which no share is implausible: of four deals, two may well be gone."""


class Absence(NamedTuple):
    """Deals that a full extract lacks, of those that stood before it (in an earlier extract, neither deleted there nor
    gone since)."""

    absent_count: int
    stood_count: int

    @property
    def is_plausible(self) -> bool:
        return self.absent_count < FEWEST_ABSENT or self.absent_count <= MOST_ABSENT_RATE * self.stood_count


def absence(con: duckdb.DuckDBPyConnection, extracted_at: datetime) -> Absence:
    """What a claim that the extract of this instant was full would close as deleted."""
    ((absent, stood),) = con.execute(_ABSENCE, {"extracted_at": extracted_at}).fetchall()
    return Absence(int(absent), int(stood))


def is_claimed(con: duckdb.DuckDBPyConnection, extracted_at: datetime) -> bool:
    """Whether the extract of this instant is known to be full, and nothing of it landed after that."""
    found = con.execute(_CLAIMED, {"extracted_at": extracted_at}).fetchall()
    return bool(found)


_ABSENCE = """
with rows_before as (
    select opportunity_id, extracted_at, is_deleted, load_id from landed_opportunities
    where extracted_at < $extracted_at
        or (extracted_at is null and cast(created_on as timestamp) < $extracted_at and load_id not in (
            select load_id from landed_opportunities where extracted_at = $extracted_at))
),

last_rows as (
    select
        opportunity_id,
        max(extracted_at) as seen_at,
        arg_max(coalesce(is_deleted, false), (coalesce(extracted_at, timestamp '1000-01-01'), load_id)) as is_deleted
    from rows_before
    group by opportunity_id
),

last_claim as (
    select max(extracted_at) as claimed_at from loads where status = 'whole' and extracted_at < $extracted_at
),

stood as (
    select last_rows.opportunity_id
    from last_rows
    cross join last_claim
    where not last_rows.is_deleted
        and (last_claim.claimed_at is null or last_rows.seen_at is null or last_rows.seen_at >= last_claim.claimed_at)
),

present as (
    select distinct opportunity_id from landed_opportunities where extracted_at = $extracted_at
)

select count(case when present.opportunity_id is null then 1 end) as absent_count, count(*) as stood_count
from stood
left join present on stood.opportunity_id = present.opportunity_id
"""

_CLAIMED = """
select 1 from loads as claims
where claims.status = 'whole' and claims.extracted_at = $extracted_at and not exists (
    select 1 from landed_opportunities as landed
    where landed.extracted_at = $extracted_at and landed.load_id > claims.load_id
)
limit 1
"""
