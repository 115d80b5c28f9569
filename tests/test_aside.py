"""Finished results wait on disk, as they were and no larger than they are."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipelines.contracts import MONEY, PUBLISHED_TABLES
from pipelines.errors import WorkspaceError
from pipelines.warehouse.aside import put_aside
from pipelines.warehouse.store import frame_schema


def test_every_published_dtype_comes_back_as_it_went(tmp_path: Path) -> None:
    empty = {name: pl.DataFrame(schema=frame_schema(table)) for name, table in PUBLISHED_TABLES.items()}
    some = pl.DataFrame(
        {
            "amount": [Decimal("0.10"), None, Decimal("-9999999999999999.99")],
            "on": [date(2026, 1, 1), None, date(9999, 12, 31)],
            "at": [datetime(2026, 1, 1, 12), None, datetime(1970, 1, 1)],  # noqa: DTZ001 - instants are UTC
            "rate": [0.1, None, float("inf")],
            "count": [1, None, -(2**62)],
            "name": ["a name that is longer than twelve letters", None, ""],
            "is_so": [True, None, False],
        },
        schema_overrides={"amount": MONEY, "at": pl.Datetime("us")},
    )
    frames = {**empty, "some": some}
    waiting = put_aside(frames, tmp_path)
    for name, frame in waiting.take().items():
        assert frame.schema == frames[name].schema
        assert frame.equals(frames[name])
    assert waiting.take("some")["some"].equals(some), "it can be taken again"


def test_what_was_cut_from_a_large_frame_leaves_its_texts_behind(tmp_path: Path) -> None:
    large = pl.DataFrame({"name": [f"an opportunity of number {number:012d}" for number in range(100_000)]})
    cut = large[[5, 99_999]]
    waiting = put_aside({"cut": cut}, tmp_path)
    assert waiting.take("cut")["cut"].equals(cut)
    assert waiting.paths["cut"].stat().st_size < 10_000


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond a few kilobytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, usual)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_said_in_two_sentences(tmp_path: Path) -> None:
    many = pl.DataFrame({"number": pl.int_range(1_000_000, eager=True).shuffle(seed=1)})
    with pytest.raises(WorkspaceError, match="cannot be put on the disk") as told:
        put_aside({"many": many}, tmp_path)
    assert "Make room" in told.value.remedy
