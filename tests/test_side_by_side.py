"""Two at a time, or one ahead: the same in the same order, errors in their place, nothing made for nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pipelines.side_by_side import AT_ONCE, ahead, side_by_side


def test_answers_come_in_the_order_of_the_items() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(5), "the second began while the first still ran"
        else:
            first_may_end.set()
        return item * item

    assert list(side_by_side(work, range(6))) == [0, 1, 4, 9, 16, 25]
    assert list(side_by_side(work, [])) == []
    assert AT_ONCE >= 2


def test_an_error_comes_after_the_answers_before_it() -> None:
    answers = side_by_side(lambda item: 12 // item, [3, 2, 0, 1])
    assert [next(answers), next(answers)] == [4, 6]
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_small_matrices_stay_on_one_core_unless_told_otherwise() -> None:
    ask = "import pipelines, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    for stated, expected in ((None, "1"), ("3", "3")):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        environment |= {} if stated is None else {"OPENBLAS_NUM_THREADS": stated}
        told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == expected


# One ahead


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
