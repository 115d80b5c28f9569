"""What the Method page shows is what the code says: read, not retyped."""

from __future__ import annotations

import inspect

import pytest

from dashboard import definitions
from pipelines.contracts import INPUT_TABLES
from pipelines.engine.verdict import verdict
from pipelines.policy import DEFAULT_POLICY, Policy

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
