"""The statements in other engines' words: every file reads back, in order, and an engine that is not there is named."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
import sqlglot
from click.testing import CliRunner
from sqlglot import ErrorLevel, exp

from pipelines.cli import main
from pipelines.errors import TrustError
from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Settings
from pipelines.warehouse.engines.choice import DIALECTS, EngineChoice, open_engine
from pipelines.warehouse.engines.dialects import translate
from pipelines.warehouse.statements import SCHEMA, emitted
from tests.warehouse_help import at

HEAVY = {
    "opportunity_rows", "opportunity_history", "opportunity_states", "opportunity_seen", "opportunity_extracts",
    "opportunity_changes", "opportunity_openings", "opportunity_closings", "opportunity_events",
    "opportunity_versions", "won_deals", "deals", "movement_path", "movement_steps", "pipeline_movement",
    "movement_deals", "pipeline_cube", "pipeline_weekly", "deal_states", "deal_lives", "stage_exits", "miss_facts",
}  # fmt: skip


@pytest.fixture(scope="module")
def written() -> dict[str, dict[str, str]]:
    return {dialect: emitted(dialect, DEFAULT_POLICY) for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_file_reads_back(dialect: str, written: dict[str, dict[str, str]]) -> None:
    """Parsed strictly: one create, insert or select each, and no function left that only DuckDB has."""
    foreign = {"row", "arg_min", "arg_max", "list_contains", "string_split", "to_days", "regexp_matches", "date_diff"}
    for name, text in written[dialect].items():
        for tree in sqlglot.parse(text, read=dialect, error_level=ErrorLevel.RAISE):
            assert isinstance(tree, exp.Create | exp.Insert | exp.Select), name
            assert tree.find(exp.Command) is None, name
            if dialect != "duckdb":
                assert not foreign & {call.name.lower() for call in tree.find_all(exp.Anonymous)}, name
    assert {re.sub(r"^\d+_", "", name).removesuffix(".sql") for name in written[dialect]} >= HEAVY


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_file_reads_an_earlier_one_made(dialect: str, written: dict[str, dict[str, str]]) -> None:
    made: set[str] = set()
    for name, text in written[dialect].items():
        for tree in sqlglot.parse(text, read=dialect):
            assert tree is not None
            read = {table.name for table in tree.find_all(exp.Table) if table.db == SCHEMA}
            target = tree.find(exp.Table) if isinstance(tree, exp.Create) else None
            assert read - ({target.name} if target is not None else set()) <= made, name
            assert {table.db for table in tree.find_all(exp.Table)} <= {SCHEMA, ""}, name
            made |= {target.name} if target is not None else set()


def test_the_files_run_in_their_order_on_duckdb(written: dict[str, dict[str, str]]) -> None:
    """With any values for the parameters, which are named in each file's opening."""
    values = {
        "as_of_at": at("2026-01-01"),
        "reporting_currency": "USD",
        "actual_source": "closed_won",
        "weeks": "3",
    }
    with duckdb.connect() as con:
        con.execute(f"create schema {SCHEMA}")
        for name, text in written["duckdb"].items():
            told = set(re.findall(r"^-- Parameter (\w+):", text, re.MULTILINE))
            used = set(re.findall(r"\$(\w+)", re.sub(r"--.*", "", text)))
            assert used <= told, name
            for part in text.split(";\n"):
                wanted = set(re.findall(r"\$(\w+)", re.sub(r"--.*", "", part)))
                if part.strip():
                    con.execute(part, {key: values.get(key, 1 if key != "no_decision" else "x") for key in wanted})


def test_the_command_writes_a_file_per_table(tmp_path: Path) -> None:
    out = tmp_path / "statements"
    result = CliRunner().invoke(main, ["sql", "--dialect", "trino", "--out", str(out)])
    assert result.exit_code == 0, result.output
    text = next(out.glob("*_opportunity_versions.sql")).read_text(encoding="utf-8")
    assert text.startswith("-- One row per opportunity and state")
    assert "-- Parameter as_of_at: an instant in UTC." in text
    assert f"CREATE TABLE {SCHEMA}.opportunity_versions AS" in text
    shown = CliRunner().invoke(main, ["sql", "--dialect", "snowflake"])
    assert f"CREATE TABLE {SCHEMA}.pipeline_cube AS" in shown.output
    assert CliRunner().invoke(main, ["sql", "--dialect", "cobol"]).exit_code == 2


def test_values_are_written_as_literals_of_their_type() -> None:
    params = {"a": "o'quote \\ %_", "b": at("2026-01-02 03:04:05.000678"), "c": date(2026, 1, 2), "d": -7, "e": None}
    query = (
        "select cast($a as varchar) as a, cast($b as timestamp) as b, cast($c as date) as c, "
        "cast($d as integer) as d, cast($e as varchar) as e"
    )
    with duckdb.connect() as con:
        assert con.sql(translate(query, "duckdb", params)).fetchall() == [tuple(params.values())]
    assert "'o''quote \\ %_'" in translate(query, "postgres", params)
    assert "'o\\'quote \\\\ %_'" in translate(query, "spark", params)


def test_only_canonical_text_is_read_as_a_day() -> None:
    """PostgreSQL has no cast that may fail: the condition before it is what decides. Run here on every day there is."""
    said = translate("select try_cast(t as date) as d from texts", "postgres", {})
    condition = said[said.index("WHEN") + 4 : said.index("THEN")].replace("~", "similar to").replace('COLLATE "C"', "")
    texts = [f"{year:04}-{month:02}-{day:02}" for year in (0, 1900, 2000, 2023, 2024, 2100)
             for month in range(14) for day in range(33)]  # fmt: skip
    texts += ["2026-1-1", "20260101", "tomorrow", "2026-01-01 10:00", ""]
    with duckdb.connect() as con:
        con.execute("create table texts as select unnest($texts) as t", {"texts": texts})
        condition = re.sub(r"(\S+(?:\([^)]*\))?) similar to '([^']*)'", r"regexp_matches(\1, '\2')", condition)
        wrong = con.sql(
            f"select t from texts where ({condition}) <> (length(t) = 10 and try_cast(t as date) is not null "
            "and t not like '0000%' and t not like '% %')"
        ).fetchall()
    assert wrong == []


@pytest.mark.parametrize(
    ("choice", "missing", "extra"),
    [
        (EngineChoice("postgres", postgres_dsn="host=nowhere"), "psycopg", "forecast-trust[postgres]"),
        (EngineChoice("spark"), "pyspark", "forecast-trust[spark]"),
        (EngineChoice("postgres", postgres_dsn="host=nowhere"), "sqlglot", "forecast-trust[postgres]"),
    ],
)
def test_an_engine_that_is_not_installed_is_named(
    choice: EngineChoice, missing: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith(("pipelines.warehouse.engines.", missing))]:
        if not module.endswith((".choice", ".embedded")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(TrustError) as caught:
        open_engine(choice, tmp_path / "landing.duckdb", Settings(), tmp_path)
    assert missing in caught.value.problem
    assert extra in caught.value.remedy


def test_a_dialect_without_its_translator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [
        name for name in sys.modules if name.startswith(("pipelines.warehouse.engines.dialects", "sqlglot"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(TrustError, match="sqlglot"):
        emitted("trino", DEFAULT_POLICY)


def test_the_embedded_engine_reads_no_other_history(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="reads what has landed"):
        open_engine(EngineChoice(history="crm"), tmp_path / "landing.duckdb", Settings(), tmp_path)


def test_postgres_needs_a_server(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="No PostgreSQL server is named"):
        open_engine(EngineChoice("postgres"), tmp_path / "landing.duckdb", Settings(), tmp_path)
