"""What an edition stands on, by pencil."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from dashboard import inventory
from pipelines import ingest
from pipelines.contracts import INPUT_TABLES, RejectedRows, TableStatus
from pipelines.warehouse.store import frame_schema


def rejected(*rows: tuple[str, int, str, str, str | None, str | None, str | None]) -> pl.DataFrame:
    columns = ("file_name", "line", "table_name", "rule", "column_name", "value", "amount")
    made = [dict(zip(columns, row, strict=True)) for row in rows]
    for row in made:
        row["amount"] = Decimal(str(row["amount"])) if row["amount"] is not None else None
    return pl.DataFrame(made, schema=frame_schema(RejectedRows))


def status(**rows: int) -> pl.DataFrame:
    at = datetime(2026, 11, 9, 18, tzinfo=UTC).replace(tzinfo=None)
    made = [
        {
            "table_name": name,
            "row_count": rows.get(name, 0),
            "rejected_count": 0,
            "rejected_amount": None,
            "first_known_at": at if rows.get(name) else None,
            "last_known_at": at if rows.get(name) else None,
            "status": "landed" if rows.get(name) else "missing",
        }
        for name in INPUT_TABLES
    ]
    return pl.DataFrame(made, schema=frame_schema(TableStatus))


BAD = rejected(
    ("a.csv", 2, "opportunities", "not_money", "amount", "TBD", None),
    # One line, two rules; its money stands on the first entry.
    ("a.csv", 5, "opportunities", "missing", "owner_id", None, "100.00"),
    ("a.csv", 5, "opportunities", "not_a_date", "close_on", "soon", None),
    ("b.csv", 7, "bookings", "missing", "booked_on", None, "-40.50"),
)


def test_each_line_and_its_money_count_once() -> None:
    # Lines 2, 5 and 7; 100 + |−40.50|.
    assert inventory.set_aside(BAD) == (3, Decimal("140.50"))


def test_no_money_stated_is_no_money_not_zero() -> None:
    assert inventory.set_aside(BAD.head(1)) == (1, None)
    assert inventory.faults(BAD.head(1))[0].amount is None


def test_faults_come_with_the_most_money_first() -> None:
    found = inventory.faults(BAD)
    assert [(fault.rule, fault.table, fault.count, fault.amount) for fault in found] == [
        ("missing", "opportunities", 1, Decimal("100.00")),
        ("missing", "bookings", 1, Decimal("40.50")),
        ("not_a_date", "opportunities", 1, None),
        ("not_money", "opportunities", 1, None),
    ]
    assert found[2].example == "a.csv, line 5: soon"
    assert inventory.faults(BAD.clear()) == []


def test_a_table_is_not_missed_where_another_answers_the_same_question() -> None:
    names = [name for name, _ in inventory.missing(status(forecast_records=4, opportunity_states=9))]
    assert "Forecast submissions" not in names
    assert "Opportunity history" not in names
    assert "Opportunities" in names
    assert {name for name, _ in inventory.missing(status())} == set(inventory.TABLE_NAMES.values())


def test_every_table_has_a_name_and_a_use() -> None:
    assert set(inventory.TABLE_NAMES) == set(inventory.BRINGS) == set(INPUT_TABLES)


def test_titles_are_findings_of_seventy_characters() -> None:
    states = inventory.landed(status(opportunities=14_222, people=80))
    assert [state.name for state in states] == ["opportunities", "people"]
    title = inventory.title(states, BAD, "USD")
    assert title == "14,302 rows landed; 3 set aside, worth about $141"
    huge = inventory.landed(status(opportunities=12_345_678))
    for found in (title, inventory.title(huge, BAD, "CHF"), inventory.title(states, BAD.clear(), "USD")):
        assert len(found) <= 70


def test_summary_in_the_singular_and_the_plural() -> None:
    states = inventory.landed(status(opportunities=10))
    one = inventory.summary(states, BAD.tail(1), "USD", 1)
    assert one.startswith(
        "1 file filled 1 table. The newest recorded fact is of 9 Nov 2026, 18:00 UTC. One row was set"
    )
    assert "it stands for about $40.50, before conversion" in one
    assert "they stand for about" in inventory.summary(states, BAD, "USD", 2)
    assert "set aside" not in inventory.summary(states, BAD.clear(), "USD", 2)


def test_a_downloaded_cell_is_never_a_formula() -> None:
    csv = inventory.as_csv(
        rejected(("=x.csv", 1, "leads", "missing", "source", '=HYPERLINK("http://e")', None))
    ).decode()
    assert "'=HYPERLINK" in csv
    assert "'=x.csv" in csv


def test_every_rule_that_ingest_refuses_by_has_words() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(ingest.__file__).parent.glob("*.py"))
    named = set(re.findall(r'refuse\(\s*"([a-z_]+)"', source))
    assert "date_out_of_range" in named
    assert named <= set(inventory.RULES)


def test_unknown_rules_are_still_words() -> None:
    assert inventory.rule_in_words("some_new_rule") == "some new rule"
    assert inventory.rows_label(1, 10) == "The one row"
    assert inventory.rows_label(12, 10) == "The first 10 of 12 rows"
