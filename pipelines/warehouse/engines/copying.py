"""How the landed rows come to another engine: copied, or read where the company's own history lies.

Of a table that lies there, each row counts as landed once and now, in one load of its own; its columns are the
contract's, cast to the contract's types. What ingest would have refused row by row is refused as a whole: the table
is not ours to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dataframely as dy
import duckdb
import polars as pl

from pipelines.contracts import INPUT_TABLES, InputTable
from pipelines.errors import TrustError
from pipelines.settings import Settings
from pipelines.warehouse.engines.remote import Remote
from pipelines.warehouse.store import column_types, connect, frame, frame_schema

HEAVY_TABLES = ("opportunities", "opportunity_history", "opportunity_states", "activities")
"""Tables that may lie in a company's own engine; the others are small, and land."""

_COPIED_ROWS = 500_000


def bring_landing(engine: Remote, landing: Path, settings: Settings, history: str | None) -> None:
    """Lay every table of the landing in the engine. Errors: TrustError when what lies at ``history`` will not do."""
    own = engine.own_tables(history, HEAVY_TABLES) if history is not None else {}
    if history is not None and "opportunities" not in own:
        raise TrustError(
            f"There is no table opportunities at {engine.place(history)}.",
            f"Name the place that holds any of {', '.join(HEAVY_TABLES)}, under these names.",
        )
    con = connect(landing, settings, read_only=True)
    try:
        for name, table in INPUT_TABLES.items():
            ((landed,),) = con.execute(f"select count(*) from landed_{name}").fetchall()
            if name not in own:
                _copy(engine, con, table)
            elif landed:
                raise TrustError(
                    f"Rows of {name} have landed in this workspace, and they lie at {engine.place(history or '')} too.",
                    "Use a workspace without them, or publish without --history: the two are never mixed.",
                )
        engine.lay(engine.landed("rejected_rows"), frame(con, "select * from rejected_rows"))
        loads = frame(con, "select * from loads")
    finally:
        con.close()
    first = (loads["load_id"].max() or 0) if loads.height else 0
    if not isinstance(first, int):
        raise TypeError("load_id is a whole number")
    entries = [
        _show_own(engine, INPUT_TABLES[name], columns, first + number, engine.place(history or ""))
        for number, (name, columns) in enumerate(own.items(), start=1)
    ]
    added = pl.DataFrame(entries, schema={name: loads.schema[name] for name in entries[0]}) if entries else None
    engine.lay(engine.landed("loads"), loads if added is None else pl.concat([loads, added], how="diagonal"))


def _copy(engine: Remote, con: duckdb.DuckDBPyConnection, table: InputTable) -> None:
    """One landing table, in parts that fit the memory. Hashes are compared only with each other: text will do."""
    columns = ", ".join(table.columns)
    query = (
        f"select {columns}, other_columns, load_id, line, cast(key_hash as varchar) as key_hash, "
        f"cast(row_hash as varchar) as row_hash, corrected_at from landed_{table.name}"
    )
    schema = {
        **frame_schema(table.schema),
        "other_columns": pl.String(), "load_id": pl.Int64(), "line": pl.Int64(),
        "key_hash": pl.String(), "row_hash": pl.String(), "corrected_at": pl.Datetime("us"),
    }  # fmt: skip
    target = engine.landed(f"landed_{table.name}")
    engine.lay(target, pl.DataFrame(schema=schema))
    for part in _parts(con, query):
        engine.extend(target, part.cast(schema))  # type: ignore[arg-type]
    engine.settle(target)


def _parts(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[pl.DataFrame]:
    with con.cursor() as cursor:
        for batch in cursor.sql(query).to_arrow_reader(_COPIED_ROWS):
            rows = pl.from_arrow(batch)
            if isinstance(rows, pl.DataFrame) and rows.height:
                yield rows


def _show_own(engine: Remote, table: InputTable, columns: set[str], load_id: int, place: str) -> dict[str, object]:
    """Show a company's own table as a landing table; its entry for the ledger."""
    missing = [name for name in table.required if name not in columns]
    if missing:
        raise TrustError(
            f"{table.name} at {place} has no column {missing[0]}.",
            f"It needs {', '.join(table.required)}; a view with these names will do.",
        )
    types = column_types(table.schema)
    said = ", ".join(
        f"cast({name if name in columns else 'null'} as {types[name]}) as {name}" for name in table.columns
    )
    key = " || chr(31) || ".join(f"coalesce(cast({name} as varchar), '')" for name in table.key)
    line = (
        "row_number() over (partition by opportunity_id order by extracted_at)"
        if table.name == "opportunities"
        else "cast(0 as bigint)"
    )
    engine.show(
        engine.landed(f"landed_{table.name}"),
        f"select {', '.join(table.columns)}, cast(null as varchar) as other_columns, "
        f"cast({load_id} as bigint) as load_id, {line} as line, "
        f"{key} as key_hash, '' as row_hash, cast(null as timestamp) as corrected_at "
        f"from (select {said} from own_{table.name}) as typed",
    )
    shown = engine.landed(f"landed_{table.name}")
    _refuse_unfit(engine, table, shown, place)
    ((count,),) = engine.frame(f"select count(*) as n from {shown}").rows()
    return {
        "load_id": load_id,
        "file_name": f"{table.name} ({engine.name})",
        "table_name": table.name,
        "mapping_name": "generic",
        "sha256": engine.digest(shown, table.columns),
        "landed_at": datetime.now(UTC).replace(tzinfo=None),
        "row_count": count,
        "accepted_count": count,
        "rejected_count": 0,
        "unchanged_count": 0,
        "status": "landed",
        "stated_columns": ",".join(name for name in table.columns if name in columns),
    }


def _refuse_unfit(engine: Remote, table: InputTable, shown: str, place: str) -> None:
    """Errors: TrustError when a required value is missing, a value is none of its list, or a key is there twice."""
    rules = {f"no {name}": f"{name} is null" for name in table.required if name not in table.also_required}
    for name, column in table.schema.columns().items():
        if isinstance(column, dy.String) and column.regex:
            rules[f"a {name} that is none of those known"] = f"not regexp_matches({name}, '{column.regex}')"
        if isinstance(column, dy.Float64) and column.max is not None:
            rules[f"a {name} that is not between 0 and 1"] = f"{name} < 0 or {name} > 1"
    counts = ", ".join(
        f"count(case when {rule} then 1 end) as broken_{number}" for number, rule in enumerate(rules.values())
    )
    for what, count in zip(rules, engine.frame(f"select {counts} from {shown}").row(0), strict=True):
        if count:
            raise TrustError(
                f"{table.name} at {place} has {what} in {count:,} rows.",
                "Show a view without them under that name, or ingest the rows, which sets them aside one by one.",
            )
    if table.name == "activities":
        return
    key = ", ".join(table.key)
    repeated = f"select {key} from {shown} group by {key} having count(*) > 1"
    ((count,),) = engine.frame(f"select count(*) as n from ({repeated}) as repeated").rows()
    if count:
        raise TrustError(
            f"{table.name} at {place} holds {count:,} keys ({key}) more than once.",
            "Show a view with one row per key under that name: nothing there says which row is in force.",
        )
