"""Batches made one ahead: the same in the same order, errors in their place, nothing made for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pipelines.side_by_side import ahead


def test_items_come_in_order_and_nothing_may_be_one() -> None:
    assert list(ahead([3, None, 1, None])) == [3, None, 1, None]
    assert list(ahead([])) == []


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    items = ahead(broken())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(items)


def test_the_next_is_made_while_this_one_is_used_and_no_more() -> None:
    made: list[int] = []
    second = threading.Event()

    def source() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    items = ahead(source())
    assert next(items) == 0
    assert second.wait(5)
    time.sleep(0.05)
    assert made == [0, 1]


def test_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    items = ahead(iter(range(1000)))
    next(items)
    assert isinstance(items, Iterator)
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
