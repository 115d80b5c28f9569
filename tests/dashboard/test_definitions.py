"""What the Method page shows is what the code says: read, not retyped."""

from __future__ import annotations

import gc
import inspect
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dashboard import definitions
from pipelines.contracts import INPUT_TABLES
from pipelines.engine.selfcheck import selfcheck
from pipelines.engine.verdict import verdict
from pipelines.policy import DEFAULT_POLICY, Policy
from tests.engine.records_made import pairs_of

STATED = {row["name"]: row["value"] for row in DEFAULT_POLICY.as_rows()}


def test_every_definition_has_a_text_from_the_code() -> None:
    entries = [entry for _, found in definitions.definitions() for entry in found]
    assert len(entries) >= 10
    for entry in entries:
        assert len(entry.text) > 80, entry.source
        assert "``" not in entry.text, entry.source
    shown = next(entry for entry in entries if entry.heading == "The verdict").text
    assert "Rules are read from the top" in shown
    assert "Rules are read from the top" in (inspect.getdoc(verdict) or "")


def test_docstrings_become_markdown() -> None:
    text = definitions.markdown(
        """**A title.** For every $1.00 called, ``landing_rate`` lands; θ ~ N.

            R = ΣA ÷ ΣF ~ $

        * a point"""
    )
    assert text == "For every \\$1.00 called, `landing_rate` lands; θ \\~ N.\n\n    R = ΣA ÷ ΣF ~ $\n\n* a point"


def test_every_choice_of_the_policy_has_a_reason() -> None:
    named = {choice.name for choice in definitions.choices(STATED)}
    assert named == set(inspect.get_annotations(Policy))
    assert all(len(choice.reason) > 10 for choice in definitions.choices(STATED))


def test_choices_show_the_editions_values_not_the_programs() -> None:
    found = {choice.name: choice.value for choice in definitions.choices(STATED | {"lock_week": "5"})}
    assert found["lock_week"] == "5"
    assert found["half_life_periods"] == "off"
    assert found["horizon_weeks"] == "start 0, lock 3, middle 6, late 9, end 12"


def test_minimum_evidence_is_the_policys() -> None:
    needed = dict(definitions.evidence_needed(STATED | {"min_periods_label": "7"}))
    assert needed["A word for a forecaster's lean"] == "7 closed periods and 10 won deals"


@pytest.mark.parametrize("name", sorted(INPUT_TABLES))
def test_the_contract_of_every_input_table_is_shown(name: str) -> None:
    table = INPUT_TABLES[name]
    shown = definitions.columns(table)
    assert [column.name for column in shown] == list(table.columns)
    assert {column.name for column in shown if column.is_required} == set(table.required)
    assert all(column.kind for column in shown)
    assert definitions.grain(table)


def test_the_study_has_the_rows_it_promises() -> None:
    study = definitions.operating_characteristics()
    assert [row[0] for row in study.rows] == ["4 quarters", "6 quarters", "8 quarters", "12 quarters"]
    assert all(len(row) == len(study.headings) for row in study.rows)
    # Below six quarters nobody is given a word, so none can be wrong.
    assert study.rows[0][1] == "0.0"
    assert study.rows[0][2] == "—"


def test_the_self_check_is_told_or_why_it_is_not() -> None:
    rng = np.random.default_rng(3)
    calls = {who: [(100_000.0, float(rng.gamma(10.0, 9_000.0))) for _ in range(8)] for who in "abcd"}
    told = definitions.self_check(selfcheck(pairs_of(calls, won_count=9), DEFAULT_POLICY, companies=5, seed=1))
    assert told.introduction.startswith("5 simulated companies of this shape: 4 forecasters over 8 closed periods")
    assert len(told.rows) == 6
    assert all(len(row) == len(told.headings) for row in told.rows)
    assert told.rows[0][1].startswith("Of 100 ranges meant to hold 80, ")

    many = selfcheck(pairs_of(calls), DEFAULT_POLICY, companies=5, seed=1, most_forecasters=3)
    short = selfcheck(pairs_of({who: some[:3] for who, some in calls.items()}), DEFAULT_POLICY, companies=5, seed=1)
    alone = selfcheck(pairs_of({"a": calls["a"]}), DEFAULT_POLICY, companies=5, seed=1)
    reasons = [definitions.self_check(table) for table in (many, short, alone, alone.clear())]
    assert [reason.rows for reason in reasons] == [()] * 4
    for reason, words in zip(reasons, ("left to the command", "4 closed", "2 forecasters", "no call"), strict=True):
        assert words in reason.introduction


def test_many_readers_at_once_see_every_choice() -> None:
    """Python 3.11's ``ast`` fails where two threads parse at once, as two readers of the Method page would: a
    collection in the midst of it lets the other go on."""

    class Knot:
        """Garbage that another follows, for every collection to find."""

        ties = True

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            time.sleep(0)
            if Knot.ties:
                Knot()

    before = gc.get_threshold()
    Knot()
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(8) as readers:
            seen = list(readers.map(lambda _: definitions._reasons.__wrapped__(), range(32)))
    finally:
        Knot.ties = False
        gc.set_threshold(*before)
    assert all(each == definitions._reasons() for each in seen)
