"""Landing rows without files: what ingest would hand over, in a few words."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.contracts import INPUT_TABLES, RejectedRows
from pipelines.policy import DEFAULT_POLICY, Policy
from pipelines.settings import Workspace
from pipelines.warehouse import history
from pipelines.warehouse.landing import Landing, LandResult
from pipelines.warehouse.store import frame_schema

Rows = Sequence[Mapping[str, Any]]

_FILES = count(1)


def at(text: str) -> datetime:
    """An instant in UTC: ``2026-07-05`` or ``2026-07-05 12:30``."""
    return datetime.fromisoformat(text)


def day(text: str) -> date:
    return date.fromisoformat(text)


def accepted(table: str, rows: Rows, first_line: int = 2) -> pl.DataFrame:
    """Rows as ingest accepts them; days, instants and money may be given as text."""
    schema = frame_schema(INPUT_TABLES[table].schema)

    def typed(value: Any, kind: pl.DataType) -> Any:
        if value is None:
            return None
        if kind == pl.Date:
            return day(value) if isinstance(value, str) else value
        if kind == pl.Datetime("us"):
            return at(value) if isinstance(value, str) else value
        return Decimal(str(value)) if isinstance(kind, pl.Decimal) else value

    full = [
        {name: typed(row.get(name), kind) for name, kind in schema.items()} | {"line": first_line + offset}
        for offset, row in enumerate(rows)
    ]
    return pl.DataFrame(full, schema={**schema, "line": pl.Int64()})


def no_rejects() -> pl.DataFrame:
    return pl.DataFrame(schema=frame_schema(RejectedRows))


def land(workspace: Workspace, table: str, rows: Rows) -> LandResult:
    """Land rows as one file of its own."""
    number = next(_FILES)
    with Landing.open(workspace) as landing:
        return landing.land(
            file_name=f"{table}-{number}.csv",
            table=table,
            mapping_name="generic",
            sha256=f"{number:064d}",
            batches=[(accepted(table, rows), no_rejects())],
        )


def land_all(workspace: Workspace, tables: Mapping[str, Rows]) -> None:
    for table, rows in tables.items():
        if rows:
            land(workspace, table, rows)


@contextmanager
def prepared(workspace: Workspace, as_of: str | datetime | None = None, policy: Policy = DEFAULT_POLICY) -> Any:
    """The rebuilt history at an instant, in a scratch folder that is gone afterwards."""
    moment = at(as_of) if isinstance(as_of, str) else as_of
    with (
        tempfile.TemporaryDirectory() as folder,
        history.build(workspace, moment, policy, workspace.settings(), Path(folder)) as built,
    ):
        yield built
