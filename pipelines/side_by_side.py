"""Independent pieces of work, two at a time, or the next one while the last is used: numpy, polars and DuckDB let go of
Python while they calculate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

AT_ONCE = 2
"""More would hold more in memory than they save time: what calculates here already uses every core now and then."""


def side_by_side(work: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """``work`` of each item, in their order; the first error comes where it would have come one after the other.

    The work may share nothing that it changes: then two at once say what one after the other says.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as workers:
        yield from workers.map(work, items)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items in the same order, made one ahead in a thread of their own; errors come where they would have.

    A consumer that stops early waits for one item at most, and none is made after it.
    """
    source = iter(items)

    def following() -> tuple[Item] | None:
        # An item in a tuple: None is what an iterator that has ended gives.
        for item in source:
            return (item,)
        return None

    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting = worker.submit(following)
        while (made := waiting.result()) is not None:
            waiting = worker.submit(following)
            yield made[0]
