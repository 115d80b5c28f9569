"""The digest of a table's content: by another road, whatever the order of its rows, from hashes already at hand too."""

from __future__ import annotations

import hashlib
from functools import reduce
from operator import xor

import duckdb
import pytest

from pipelines.warehouse.engines.embedded import BESIDE_THE_FACT, Embedded
from pipelines.warehouse.store import content_digest, hash_expression

PRIME = 2**64 - 59


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def by_hand(hashes: list[int]) -> str:
    rows = [(len(hashes), reduce(xor, hashes), sum(each % PRIME for each in hashes))]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@pytest.mark.parametrize(
    "hashes",
    [
        [0],
        [1, 1],
        [PRIME - 1, PRIME, PRIME + 1, 2 * PRIME - 1, 2 * PRIME, 2**64 - 1, 2**64, 2**64 + 58, 2**64 + 59],
        [2**128 - 1, 2**128 - 2**64, 2**128 - 59, PRIME * PRIME, PRIME * PRIME - 1, PRIME * (2**64 - 1)],
        [int.from_bytes(hashlib.md5(str(i).encode()).digest()) for i in range(500)],
    ],
)
def test_the_digest_is_that_of_whole_number_arithmetic(con: duckdb.DuckDBPyConnection, hashes: list[int]) -> None:
    con.execute("create table hashed (row_hash UHUGEINT)")
    con.executemany("insert into hashed values (cast($1 as UHUGEINT))", [(str(each),) for each in hashes])
    assert content_digest(con, "hashed", (), row_hash="row_hash") == by_hand(hashes)


def test_a_facts_own_hash_gives_the_digest_of_its_content(con: duckdb.DuckDBPyConnection) -> None:
    columns = ("who", "much")
    con.execute(
        f"create table facts as select *, {hash_expression(columns)} as row_hash from "
        "(values ('a', 1.50), ('b', null), (null, null)) as said(who, much)"
    )
    con.execute("create table bare as select who, much from facts order by who")
    for name in BESIDE_THE_FACT:
        con.execute(f"alter table facts add column if not exists {name} BIGINT")
    engine = Embedded(con)
    assert engine.digest("facts", columns) == engine.digest("bare", columns)
    con.execute("update facts set row_hash = row_hash + 1 where who = 'a'")
    assert engine.digest("facts", columns) != engine.digest("bare", columns), "the hash at hand is what is used"
    assert engine.digest("facts", ("who",)) == engine.digest("bare", ("who",)), "and only for the whole of the fact"
