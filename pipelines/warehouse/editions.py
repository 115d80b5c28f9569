"""Editions: one immutable file per publication, and a pointer to the one the pages show.

``editions/<as-of>-<digest>.duckdb`` is built in a scratch file beside its final name, checked against the contracts,
synced to disk and renamed; then ``CURRENT`` is replaced atomically. No file is ever written again: whoever holds an
``EditionRef`` reads the same rows for good. The digest covers everything the numbers depend on (the facts visible at
the as-of, policy, settings, method and package version), so that publishing the same again finds the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import dataframely as dy
import duckdb
import polars as pl

from pipelines.contracts import PUBLISHED_TABLES
from pipelines.errors import EditionError
from pipelines.finance_contracts import FINANCE_GRAINS
from pipelines.history_contracts import HISTORY_GRAINS
from pipelines.landing_contracts import LANDING_GRAINS
from pipelines.outcome_contracts import OUTCOME_GRAINS
from pipelines.policy import METHOD_VERSION
from pipelines.process_contracts import PROCESS_GRAINS
from pipelines.scenario_contracts import SCENARIO_GRAINS
from pipelines.settings import Workspace
from pipelines.warehouse.edition_invariants import INVARIANTS
from pipelines.warehouse.store import OWNER_ONLY, column_types, content_digest, frame, frame_schema

GRAINS: dict[str, tuple[str, ...]] = {
    "edition": ("edition_id",),
    "inputs": ("landed_at", "file_name", "table_name", "sha256", "mapping_name"),
    "rejected_rows": ("file_name", "line", "table_name", "rule", "column_name", "value"),
    "policy": ("name",),
    "periods": ("period_start_on",),
    "scopes": ("scope",),
    "scope_members": ("period_start_on", "person_id", "scope"),
    "table_status": ("table_name",),
    "quotas": ("person_id", "period_start_on"),
    "forecast_pairs": ("layer", "forecaster_id", "period_start_on", "category", "week_of_period"),
    "forecaster_bias": ("layer", "forecaster_id", "category", "horizon_bucket"),
    "team_bias": ("scope", "layer", "category", "week_of_period"),
    "accuracy": ("layer", "category", "week_of_period", "period_start_on"),
    "deals": ("opportunity_id",),
    "miss_attribution": ("period_start_on", "week_of_period", "scope", "layer", "cause"),
    "miss_deals": ("period_start_on", "week_of_period", "opportunity_id", "cause"),
    "attribution_cut": ("period_start_on", "week_of_period", "cut", "value", "cause"),
    "luck": ("period_start_on", "week_of_period", "scope"),
    "reconciliation": ("record_kind", "record_id"),
    "reconciliation_totals": ("break_kind",),
    **HISTORY_GRAINS,
    **LANDING_GRAINS,
    **PROCESS_GRAINS,
    **SCENARIO_GRAINS,
    **FINANCE_GRAINS,
    **OUTCOME_GRAINS,
}
"""What one row of each published table stands for; rows are written in this order, so that editions can be compared."""

MAY_REPEAT = frozenset({"inputs", "rejected_rows"})
"""Logs: the same file may be refused twice, the same fault may be found twice on a line."""

_DIGESTS = "content_digests"
_NAME = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{12}$")
_UNDER_CONSTRUCTION = ".building-"
_ABANDONED_SECONDS = 86_400


@dataclass(frozen=True)
class EditionRef:
    """One published edition: where it is, and its one row of the ``edition`` table. Hashable: use it as a cache key."""

    path: Path
    edition_id: str
    as_of_at: datetime
    published_at: datetime
    method_version: str
    reporting_currency: str
    input_digest: str
    company_name: str | None
    period_kind: str
    fiscal_year_start_month: int
    lock_week: int
    open_period_start_on: date | None
    open_period_week: int | None
    is_simulated: bool
    actual_source: str = "closed_won"


class Damaged(NamedTuple):
    """A file of the editions folder that cannot be read as an edition, and why, in two sentences."""

    edition_id: str
    problem: str
    remedy: str


class Finding(NamedTuple):
    """One invariant: its name, whether it holds, and what was looked at."""

    name: str
    ok: bool
    detail: str


def publish_edition(workspace: Workspace, row: Mapping[str, object], tables: Mapping[str, pl.DataFrame]) -> EditionRef:
    """Write the edition and make it current. ``row``: the columns of contracts.Edition but ``edition_id``.

    ``tables``: every other published table. Where an edition of the same digest exists it stays as it is and becomes
    current. Errors: EditionError when a table is missing or does not fit its contract, or when the existing file of
    that name has been altered; nothing is published then, and CURRENT is untouched.
    """
    workspace.create()
    edition_id = _edition_id(row, tables)
    target = _path(workspace, edition_id)
    if target.exists():
        ref = _open(target)
        broken = [finding for finding in verify(ref) if not finding.ok]
        if broken:
            raise EditionError(
                f"The edition {edition_id} exists but is not as it was published: {broken[0].detail}.",
                f"Move {target.name} out of the editions folder and publish again.",
            )
    else:
        _write(target, _fitted({**tables, "edition": pl.DataFrame([{**row, "edition_id": edition_id}])}))
        ref = _open(target)
    _point_at(workspace, edition_id)
    return ref


def make_current(workspace: Workspace, ref: EditionRef) -> None:
    """Point the pages at an edition that is already published."""
    _point_at(workspace, ref.edition_id)


def current_id(workspace: Workspace) -> str | None:
    """What CURRENT names, unopened; None when nothing has been published. Errors: EditionError if it is no text."""
    try:
        return workspace.current.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EditionError(
            f"{workspace.current} cannot be read, so that no edition is the current one.",
            "Remove it, then run `forecast-trust publish`.",
        ) from error


def current(workspace: Workspace) -> EditionRef | None:
    """The edition that CURRENT names; None when nothing has been published.

    Errors: EditionError when CURRENT names an edition that is not there, or cannot be read.
    """
    edition_id = current_id(workspace)
    return None if edition_id is None else find(workspace, edition_id)


def find(workspace: Workspace, edition_id: str) -> EditionRef:
    """One edition by its id. Errors: EditionError when there is none of that id, or its file is damaged."""
    path = _path(workspace, edition_id) if _NAME.match(edition_id) else None
    if path is None or not path.exists():
        raise EditionError(
            f"There is no edition {edition_id!r} in {workspace.root}.",
            "See the list with `forecast-trust editions`, or make one with `forecast-trust publish`.",
        )
    return _open(path)


def list_editions(workspace: Workspace) -> list[EditionRef]:
    """Every edition of the workspace that can be read, oldest as-of first; ``damaged_editions`` names the others."""
    return _looked_through(workspace)[0]


def damaged_editions(workspace: Workspace) -> list[Damaged]:
    """Every edition of the workspace that cannot be read, by name: one of them keeps nobody from the rest."""
    return _looked_through(workspace)[1]


def _looked_through(workspace: Workspace) -> tuple[list[EditionRef], list[Damaged]]:
    sound: list[EditionRef] = []
    damaged: list[Damaged] = []
    for path in sorted(path for path in workspace.editions.glob("*.duckdb") if _NAME.match(path.stem)):
        try:
            sound.append(_open(path))
        except EditionError as error:
            damaged.append(Damaged(path.stem, error.problem, error.remedy))
    return sorted(sound, key=lambda ref: (ref.as_of_at, ref.published_at)), damaged


def read(
    ref: EditionRef,
    table: str,
    *,
    where: Mapping[str, object] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of one published table in the contract's dtypes, in the order of its grain.

    ``where``: column → value, or a list of values of which one must hold; None means the value is missing. A column
    that may be null and that an edition of an earlier version does not have is null throughout.
    Errors: EditionError for a table or column that is not published, or a damaged file.
    """
    known = _columns(table)
    wanted = list(columns) if columns is not None else list(known)
    where = where or {}
    unknown = sorted(({*wanted, *where}) - set(known))
    if unknown:
        raise EditionError(f"{table} has no column {', '.join(unknown)}.", f"Its columns are {', '.join(known)}.")
    conditions: list[str] = []
    params: dict[str, object] = {}
    for column, value in where.items():
        if isinstance(value, list | tuple | set | frozenset):
            conditions.append(f"list_contains(cast($w_{column} as {known[column]}[]), {column})")
            params[f"w_{column}"] = list(value)
        elif value is None:
            conditions.append(f"{column} is null")
        else:
            # Equality, unlike "is not distinct from", lets DuckDB skip the blocks that cannot hold the value.
            conditions.append(f"{column} = cast($w_{column} as {known[column]})")
            params[f"w_{column}"] = value
    clause = f" where {' and '.join(conditions)}" if conditions else ""
    with _reading(ref.path) as con:
        lacking = _may_lack(table, set(wanted)) - set(_types(con, table))
        picked = [f"cast(null as {known[name]}) as {name}" if name in lacking else name for name in wanted]
        return frame(con, f"select {', '.join(picked)} from {table}{clause} order by rowid", params)


def verify(ref: EditionRef) -> list[Finding]:
    """Whether the file is as it was published, and what must be true in every edition.

    An edition made by another version of the method or of the tables is held against its own recorded digests, and
    that it is another version's is said; what must be true today is not asked of it.
    """
    with _reading(ref.path) as con:
        present = {name for (name,) in con.sql("select table_name from duckdb_tables()").fetchall()}
        if _DIGESTS not in present:
            return [Finding("tables are there", False, f"missing: {_DIGESTS}")]
        as_published: dict[str, str] = dict(con.sql(f"select table_name, digest from {_DIGESTS}").fetchall())
        missing = sorted(set(as_published) - present)
        if missing or not as_published:
            return [Finding("tables are there", False, f"missing: {', '.join(missing) or 'all of them'}")]
        findings = [Finding("tables are there", True, f"{len(as_published)} tables")]
        own = {name: _types(con, name) for name in as_published}
        differing = sorted(set(own) ^ set(PUBLISHED_TABLES)) + [
            name for name in PUBLISHED_TABLES if name in own and own[name] != _columns(name)
        ]
        if differing:
            detail = f"made by another version of the program: {len(differing)} tables differ from today's"
            findings.append(Finding("columns are its own version's", True, detail))
        else:
            findings.append(Finding("columns fit the contracts", True, "names and types"))
        altered = [name for name in as_published if content_digest(con, name, own[name]) != as_published[name]]
        findings.append(Finding("content is as published", not altered, _named("altered", altered, "digests agree")))
        graded = [name for name in GRAINS if name not in MAY_REPEAT and set(GRAINS[name]) <= set(own.get(name, {}))]
        repeated = [name for name in graded if _repeats(con, name)]
        findings.append(Finding("one row per grain", not repeated, _named("repeated", repeated, "no repeated row")))
        if differing or ref.method_version != METHOD_VERSION:
            detail = (
                f"method {ref.method_version}, this program has {METHOD_VERSION}: held against its own digests alone"
            )
            findings.append(Finding("made by another version", True, detail))
        else:
            findings.extend(_invariant(con, name, query) for name, query in INVARIANTS.items())
    named = ref.edition_id == ref.path.stem
    findings.append(Finding("the file bears its edition's name", named, ref.path.name))
    return findings


def _invariant(con: duckdb.DuckDBPyConnection, name: str, query: str) -> Finding:
    with con.cursor() as cursor:
        ((offenders,),) = cursor.sql(query).fetchall()
    return Finding(name, offenders == 0, "no offending row" if offenders == 0 else f"{offenders:,} offending rows")


def _named(word: str, names: list[str], otherwise: str) -> str:
    return f"{word}: {', '.join(names)}" if names else otherwise


def _repeats(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    with con.cursor() as cursor:
        query = f"select 1 from {table} group by {', '.join(GRAINS[table])} having count(*) > 1 limit 1"
        return bool(cursor.sql(query).fetchall())


def _edition_id(row: Mapping[str, object], tables: Mapping[str, pl.DataFrame]) -> str:
    """As-of and twelve hex digits over all that the numbers depend on, but not over when they were published."""
    as_of = row["as_of_at"]
    if not isinstance(as_of, datetime):
        raise TypeError("as_of_at must be a datetime")
    policy = tables["policy"].sort("name").rows() if "policy" in tables else []
    layout = {name: list(_columns(name).items()) for name in PUBLISHED_TABLES}
    stated = {name: str(value) for name, value in row.items() if name not in ("published_at", "edition_id")}
    content = json.dumps([stated, policy, layout, version("forecast-trust")], sort_keys=True)
    return f"{as_of:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _fitted(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Every published table in its contract's columns and its grain's order. Errors: EditionError for a misfit."""
    fitted: dict[str, pl.DataFrame] = {}
    for name, schema in PUBLISHED_TABLES.items():
        if name not in tables:
            raise EditionError(f"The edition lacks its table {name}.", "This is a fault of the program: please report.")
        rows = tables[name]
        if name == "edition":
            rows = rows.cast({column: kind for column, kind in frame_schema(schema).items() if column in rows.columns})
        try:
            rows = schema.validate(rows.select(schema.column_names()))
        except (pl.exceptions.ColumnNotFoundError, dy.exc.SchemaError, dy.exc.ValidationError) as error:
            reason = str(error).strip().replace("\n", " ")[:300]
            raise EditionError(
                f"The table {name} does not fit its contract: {reason}.",
                "This is a fault of the program: please report.",
            ) from error
        repeated = name not in MAY_REPEAT and rows.select(GRAINS[name]).is_duplicated().any()
        if repeated:
            raise EditionError(
                f"The table {name} has two rows for one {' × '.join(GRAINS[name])}.",
                "This is a fault of the program: please report.",
            )
        fitted[name] = rows.sort(GRAINS[name], nulls_last=True, maintain_order=True)
    return fitted


def _write(target: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Build beside the final name, sync, rename: a killed process leaves no half edition."""
    _clear_abandoned(target.parent)
    scratch = target.parent / f"{_UNDER_CONSTRUCTION}{target.stem}-{os.getpid()}.duckdb"
    scratch.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(scratch), config=_CONFIG) as con:
            scratch.chmod(OWNER_ONLY)
            con.execute(f"create table {_DIGESTS} (table_name VARCHAR, digest VARCHAR)")
            for name, rows in tables.items():
                columns = ", ".join(f"{column} {kind}" for column, kind in _columns(name).items())
                con.execute(f"create table {name} ({columns})")
                con.register("rows_to_write", rows)
                con.execute(f"insert into {name} select * from rows_to_write")
                con.unregister("rows_to_write")
                digest = content_digest(con, name, _columns(name))
                con.execute(f"insert into {_DIGESTS} values ($name, $digest)", {"name": name, "digest": digest})
            con.execute("checkpoint")
        _sync(scratch)
        scratch.replace(target)
        _sync(target.parent)
    except (duckdb.Error, OSError) as error:
        raise EditionError(
            f"The edition {target.stem} could not be written: {str(error).splitlines()[0][:200]}.",
            "Make room on the disk and publish again; nothing has changed.",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)


def _point_at(workspace: Workspace, edition_id: str) -> None:
    """Replace CURRENT in one step: readers see the old edition or the new one, never neither."""
    fresh = workspace.current.with_name(f".{workspace.current.name}-{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(edition_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(OWNER_ONLY)
        fresh.replace(workspace.current)
        _sync(workspace.root)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise EditionError(
            f"The edition {edition_id} is written but {workspace.current} cannot be made to name it: {error.strerror}.",
            "Check the folder's permissions and its room, remove CURRENT if it is no plain file, and publish again.",
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear_abandoned(folder: Path) -> None:
    """Remove what killed publications left behind, once it cannot belong to a running one."""
    for path in folder.glob(f"{_UNDER_CONSTRUCTION}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "2GB",
}


class _Held:
    """The editions read last, left open: opening one costs more than most questions to it. None unless asked for."""

    def __init__(self) -> None:
        self.most = 0
        self._open: dict[Path, tuple[tuple[int, int, int], duckdb.DuckDBPyConnection]] = {}
        self._lock = threading.Lock()

    def reader(self, path: Path) -> duckdb.DuckDBPyConnection:
        """A connection for one reader: its own cursor of what is open, or a file opened for it alone."""
        if self.most == 0:
            return duckdb.connect(str(path), read_only=True, config=_CONFIG)
        with self._lock:
            found = path.stat() if path.exists() else None
            stamp = None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)
            before, con = self._open.pop(path, (None, None))
            if con is not None and before != stamp:
                con.close()  # another file stands there now, or none
                con = None
            if con is None or stamp is None:
                con = duckdb.connect(str(path), read_only=True, config=_CONFIG)
            if stamp is not None:
                self._open[path] = (stamp, con)  # the one read last is the last in order
            while len(self._open) > self.most:
                self._open.pop(next(iter(self._open)))[1].close()
            return con.cursor()

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1][1].close()


_HELD = _Held()


def hold_open(most: int) -> None:
    """Keep up to ``most`` editions open between reads, as a server does that is asked of them all day; 0: none."""
    _HELD.most = most
    if most == 0:
        _HELD.close()


@contextmanager
def _reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of one's own, read-only. Errors: EditionError when the file is damaged or gone."""
    try:
        with _HELD.reader(path) as con:
            yield con
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise EditionError(
            f"The edition {path.stem} was published by another version of this program, and lacks what is asked for.",
            "Publish again with `forecast-trust publish`, or read it with the version that made it.",
        ) from error
    except duckdb.Error as error:
        raise EditionError(
            f"The edition {path.stem} cannot be read: {str(error).strip().splitlines()[0][:200]}.",
            f"Restore {path.name} from a backup, or move it out of its folder and run `forecast-trust publish`.",
        ) from error


def _open(path: Path) -> EditionRef:
    with _reading(path) as con:
        rows = frame(con, "select * from edition").to_dicts()
    if len(rows) != 1:
        raise EditionError(f"{path.name} does not say which edition it is.", "Restore its file from a backup.")
    names = {field.name for field in fields(EditionRef)} - {"path"}
    if not _stated(names) <= set(rows[0]):
        raise EditionError(
            f"The edition {path.stem} was published by another version of this program, and lacks what is asked for.",
            "Publish again with `forecast-trust publish`, or read it with the version that made it.",
        )
    rows[0] |= {name: None for name in names - _stated(names) if name not in rows[0]}
    return EditionRef(path=path, **{name: value for name, value in rows[0].items() if name in names})


def _stated(names: set[str]) -> set[str]:
    """What an edition of any version must say of itself."""
    return names - _may_lack("edition", names)


def _path(workspace: Workspace, edition_id: str) -> Path:
    return workspace.editions / f"{edition_id}.duckdb"


def _columns(table: str) -> dict[str, str]:
    if table not in PUBLISHED_TABLES:
        raise EditionError(f"There is no published table {table!r}.", f"The tables are {', '.join(PUBLISHED_TABLES)}.")
    return column_types(PUBLISHED_TABLES[table])


def _may_lack(table: str, columns: set[str]) -> set[str]:
    """Those of the columns whose value may be missing."""
    return {name for name, column in PUBLISHED_TABLES[table].columns().items() if column.nullable and name in columns}


def _types(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    with con.cursor() as cursor:
        return {str(row[0]): str(row[1]) for row in cursor.sql(f"describe {table}").fetchall()}
