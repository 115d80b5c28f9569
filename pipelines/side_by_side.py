"""Independent pieces of work, two at a time: numpy and polars let go of Python while they calculate."""

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
