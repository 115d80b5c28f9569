"""The next batch is made while the last one is used: reading, sorting and landing each take a core of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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
