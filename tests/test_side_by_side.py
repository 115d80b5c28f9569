"""Two at a time: the same answers in the same order, the first error where it belongs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from pipelines.side_by_side import AT_ONCE, side_by_side


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
