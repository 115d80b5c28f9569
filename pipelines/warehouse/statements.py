"""The history's statements in another engine's words, in order: what runs on an engine nobody here has a server of.

They are those of a real rebuild, over a landing without rows: whatever order the history makes its tables in is the
order of the files. Values that a run decides stay as named placeholders of the dialect.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path

import polars as pl

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import TrustError
from pipelines.policy import Policy
from pipelines.settings import Settings, Workspace
from pipelines.warehouse import history
from pipelines.warehouse.deal_lives import deal_lives, stage_exits
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.engines import Params
from pipelines.warehouse.engines.embedded import Embedded
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.landing_looks import landing_looks
from pipelines.warehouse.miss_facts import ledgers, members_at_end, miss_facts
from pipelines.warehouse.restated import corrected_values
from pipelines.warehouse.store import column_types, sql_type, statement

SCHEMA = "forecast_trust"

_ANY_INSTANT = datetime.fromisoformat("2026-01-01")

_KINDS: dict[type, str] = {datetime: "an instant in UTC", str: "a text", int: "a whole number", float: "a number"}


class _Noting(Embedded):
    """The embedded engine, noting what it is asked to make: (table, kind, statement, values)."""

    def __init__(self, inner: Embedded) -> None:
        super().__init__(inner.con)
        self.noted: list[tuple[str, str, str, Params]] = []

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        self.noted.append((table, "make", query, params or {}))
        super().make(table, query, params)

    def add(self, table: str, query: str, params: Params | None = None) -> None:
        self.noted.append((table, "add", query, params or {}))
        super().add(table, query, params)

    def show(self, view: str, query: str) -> None:
        self.noted.append((view, "show", query, {}))
        super().show(view, query)

    def lay(self, table: str, frame: pl.DataFrame) -> None:
        columns = ", ".join(f"{name} {_stored(kind)}" for name, kind in frame.schema.items())
        self.noted.append((table, "lay", columns, {}))
        super().lay(table, frame)

    def frame(self, query: str, params: Params | None = None) -> pl.DataFrame:
        name = _statement_names().get(query)
        if name is not None:
            self.noted.append((name, "ask", query, params or {}))
        return super().frame(query, params)


def _stored(kind: pl.DataType) -> str:
    return "INTEGER" if kind == pl.Int32() else "VARCHAR" if kind == pl.Null() else sql_type(kind)


@cache
def _statement_names() -> dict[str, str]:
    files = resources.files("pipelines.warehouse").joinpath("sql").iterdir()
    names = (path.name.removesuffix(".sql") for path in files if path.name.endswith(".sql"))
    return {statement(name): name for name in names}


def emitted(dialect: str, policy: Policy) -> dict[str, str]:
    """File name → text, in order: the landing's tables, then every table of the history and every question to it.

    Errors: TrustError when sqlglot is not installed, or where a statement cannot be said in the dialect.
    """
    try:
        from pipelines.warehouse.engines.dialects import placed, translate  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise TrustError(
            f"Translating statements needs {error.name or error}, which is not installed.",
            "Run pip install 'forecast-trust[dialects]', then the command again.",
        ) from error
    files: dict[str, str] = {}

    def put(table: str, texts: Sequence[str]) -> None:
        files[f"{len(files):03d}_{table}.sql"] = "\n\n".join(texts) + "\n"

    for table, columns in _landing_columns().items():
        ddl = translate(f"create table {placed(table)} ({columns})", dialect, None, schema=SCHEMA)
        put(placed(table), [f"-- Holds what has landed; forecast-trust copies it here.\n{ddl};"])
    views: list[str] = []
    for table, kind, query, params in _noted(policy):
        if kind == "lay":
            ddl = translate(f"create table {table} ({query})", dialect, None, schema=SCHEMA)
            put(table, [f"-- Small; forecast-trust works its rows out and lays them here.\n{ddl};"])
            continue
        text = translate(query, dialect, None, schema=SCHEMA)
        said = {
            "make": f"CREATE TABLE {SCHEMA}.{table} AS\n{text};",
            "add": f"INSERT INTO {SCHEMA}.{table}\n{text};",
            "show": f"CREATE OR REPLACE VIEW {SCHEMA}.{table} AS\n{text};",
            "ask": f"{text};",
        }[kind]
        if kind == "show" and _statement_names().get(query) != table:
            # A view that only names what is there already stands with the first statement that reads it.
            views.append(said)
            continue
        put(table, [*views, _opening(query, params) + said])
        views = []
    return files


def _opening(query: str, params: Params) -> str:
    """The statement's own opening, and what its placeholders stand for."""
    lines = [line for line in query.splitlines() if line.startswith("--")]
    lines += [f"-- Parameter {name}: {_KINDS.get(type(value), 'a value or null')}." for name, value in params.items()]
    return "".join(f"{line}\n" for line in lines)


def _landing_columns() -> dict[str, str]:
    where = "load_id BIGINT, line BIGINT, key_hash VARCHAR, row_hash VARCHAR, corrected_at TIMESTAMP"
    tables = {
        f"landed_{name}": ", ".join(f"{column} {kind}" for column, kind in column_types(table.schema).items())
        + f", other_columns VARCHAR, {where}"
        for name, table in INPUT_TABLES.items()
    }
    with _empty() as (_, engine):
        for name in ("loads", "rejected_rows"):
            described = engine.con.execute(f"describe landing.{name}").fetchall()
            tables[name] = ", ".join(f"{row[0]} {row[1]}" for row in described)
    return tables


def _noted(policy: Policy) -> list[tuple[str, str, str, Params]]:
    """What a rebuild makes and what the measures ask of it, in order."""
    with _empty() as (settings, engine):
        prepared = history.rebuild(engine, _ANY_INSTANT, policy, settings)
        made = len(engine.noted)
        states = deal_states(prepared, [policy.lock_week], policy)
        landing_looks(prepared, [policy.lock_week])
        members_at_end(prepared)
        miss_facts(prepared, states, policy)
        ledgers(prepared)
        corrected_values(prepared)
        deal_lives(prepared, policy)
        stage_exits(prepared)
    # While it is rebuilt, questions are of a few rows and asked again by whoever runs it: they are no tables.
    return [entry for place, entry in enumerate(engine.noted) if place >= made or entry[1] != "ask"]


@contextmanager
def _empty() -> Iterator[tuple[Settings, _Noting]]:
    """A noting engine over a landing without rows."""
    with tempfile.TemporaryDirectory(prefix="forecast-trust-") as folder:
        workspace = Workspace(Path(folder))
        Landing.open(workspace).close()
        settings = workspace.settings()
        engine = _Noting(Embedded.over(workspace.landing, settings, Path(folder)))
        try:
            yield settings, engine
        finally:
            engine.close()
