"""Landing: every accepted and every rejected row, append-only, with a ledger of who landed what and when.

One table ``landed_<table>`` per input table: the contract's columns, then ``load_id`` and ``line`` (where the row came
from), ``key_hash`` and ``row_hash``. A row is in force for its key until a later load brings another content for that
key; nothing is updated or deleted. A column that a file does not have says nothing: the row keeps there what was in
force, and the ledger's ``stated_columns`` tells what the file itself stated. A file lands in one transaction, rows,
rejects and ledger entry together, or not at all: a killed process leaves the file unlanded and everything before it
intact.

A row that takes the place of other content of its key corrects what had been said: ``corrected_at`` is the latest
instant that anything landed by then tells of, so that until then the other content can still be had. It is null where
nothing is contradicted: a value that was not stated before, or the same file read again through another mapping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType

import duckdb
import polars as pl

from pipelines.contracts import INPUT_TABLES, InputTable
from pipelines.settings import Workspace
from pipelines.warehouse.claims import Absence, absence, is_claimed
from pipelines.warehouse.store import (
    OWNER_ONLY,
    column_types,
    connect,
    frame,
    frame_schema,
    hash_expression,
    is_storage_fault,
    statement,
    trouble,
)

DUPLICATE_RULE = "duplicate_id"

_LEDGER = """
create table if not exists loads (
    load_id BIGINT, file_name VARCHAR, table_name VARCHAR, mapping_name VARCHAR, sha256 VARCHAR,
    extracted_at TIMESTAMP, landed_at TIMESTAMP, row_count BIGINT, accepted_count BIGINT, rejected_count BIGINT,
    unchanged_count BIGINT, rejected_amount DECIMAL(18,2), status VARCHAR, problem VARCHAR, remedy VARCHAR
);
create table if not exists rejected_rows (
    file_name VARCHAR, line BIGINT, table_name VARCHAR, rule VARCHAR, column_name VARCHAR, value VARCHAR,
    amount DECIMAL(18,2), load_id BIGINT
);
alter table loads add column if not exists stated_columns VARCHAR;
alter table loads add column if not exists latest_at TIMESTAMP;
"""

_REJECTED_COLUMNS = ("file_name", "line", "table_name", "rule", "column_name", "value", "amount")

_HELD_BY_STAGE = frozenset({"is_closed", "is_won", "outcome_reason", "modified_at"})
"""Columns of an opportunity that were stated of one stage: they outlive a file without them only while it lasts."""

_TOLD_OVER_TIME: dict[str, tuple[str, ...]] = {
    "opportunities": (
        "owner_id", "created_on", "close_on", "stage", "amount", "currency", "probability_rate", "forecast_category",
        "is_closed", "is_won", "is_deleted",
    ),
    "opportunity_history": ("old_value", "new_value"),
    "opportunity_states": (
        "stage", "amount", "close_on", "probability_rate", "forecast_category", "owner_id",
    ),
}  # fmt: skip
"""Of the tables that versions are made of, the columns that a later row of the same key can correct."""

_AT_ONCE = 4
"""Batches taken in together."""

_DATED = {
    "opportunities": ("extracted_at", "modified_at"),
    "opportunity_history": ("changed_at", "recorded_at"),
    "opportunity_states": ("changed_at", "recorded_at"),
}


@dataclass(frozen=True)
class LandResult:
    """Rows of one file: newly landed, rejected, and equal to what was in force; money the rejected rows stand for.

    ``rejected_amount`` is in the rows' own currencies, None when no rejected row states an amount.
    """

    accepted_count: int
    rejected_count: int
    unchanged_count: int
    rejected_amount: Decimal | None = None


class Landing:
    """The landing file, open for writing by one process. Use as a context manager."""

    def __init__(self, workspace: Workspace, con: duckdb.DuckDBPyConnection) -> None:
        self._workspace = workspace
        self._con = con

    @classmethod
    def open(cls, workspace: Workspace) -> Landing:
        """Open the workspace's landing, making it where there is none.

        Errors: WorkspaceError when another process holds it or when it is damaged.
        """
        workspace.create()
        path = workspace.landing
        if path.exists() and path.stat().st_size == 0:
            path.unlink()  # a process killed while creating the file; nothing can be in it
        con = connect(path, workspace.settings())
        try:
            path.chmod(OWNER_ONLY)
            con.execute(_LEDGER)
            for table in INPUT_TABLES.values():
                _fit_table(con, table)
        except duckdb.Error as error:
            con.close()
            if not is_storage_fault(error):
                raise
            raise trouble(path, error) from error
        return cls(workspace, con)

    def __enter__(self) -> Landing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        # A question may be the first to read what is damaged.
        if isinstance(error, duckdb.Error) and is_storage_fault(error):
            raise trouble(self._workspace.landing, error) from error

    def close(self) -> None:
        self._con.close()

    def already_landed(self, sha256: str, table: str, mapping: str, extracted_at: datetime | None = None) -> bool:
        """Whether this very file has landed as this table through this mapping (and for this extract, if given)."""
        found = frame(
            self._con,
            """
            select 1 from loads
            where sha256 = $sha256 and table_name = $table_name and mapping_name = $mapping_name and status = 'landed'
              and ($extracted_at is null or extracted_at is not distinct from $extracted_at)
            limit 1
            """,
            {"sha256": sha256, "table_name": table, "mapping_name": mapping, "extracted_at": extracted_at},
        )
        return found.height > 0

    def land(
        self,
        *,
        file_name: str,
        table: str,
        mapping_name: str,
        sha256: str,
        batches: Iterable[tuple[pl.DataFrame, pl.DataFrame]],
        extracted_at: datetime | None = None,
        stated_columns: Collection[str] | None = None,
    ) -> LandResult:
        """Land one file: everything of it or nothing.

        ``stated_columns``: the columns that the file has, or that its mapping gives it; a column with any value counts
        in any case. None: not known, and all of them count. What a file does not state stays as it was in force for
        that key, and does not make a row a changed one; of an opportunity, the flags, reason and stamp of its stage
        stay only while the stage does.

        Each batch is (accepted rows in the contract's columns + ``line`` Int64, unique in the file, and where there is
        more in the file ``other_columns``, a JSON text that is kept and makes no row a changed one; rejected rows in
        the columns of contracts.RejectedRows). Errors raised by ``batches`` pass through and nothing of the file
        lands; WorkspaceError when the disk or the landing file fails.
        """
        contract = INPUT_TABLES[table]
        try:
            self._con.execute("begin transaction")
            try:
                load_id = self._next_load_id()
                is_first = not self._con.execute(f"select 1 from landed_{table} limit 1").fetchall()
                said, latest_at = self._stage(contract, batches, load_id, directly=is_first)
                stated = None
                if stated_columns is not None:
                    stated = tuple(name for name in contract.columns if name in stated_columns or said[name] > 0)
                unquestioned = self._unland_repeated(contract, load_id) if is_first else 0
                if stated is not None and not is_first:
                    self._carry_over(contract, stated)
                self._settle(contract, file_name, load_id, latest_at, is_read_again=self._knows(sha256, table))
                result = self._count(load_id, unquestioned)
                self._con.execute("drop table staged_rows; drop table outcomes; drop view landed_rows")
                self._record(
                    load_id=load_id,
                    file_name=file_name,
                    table_name=table,
                    mapping_name=mapping_name,
                    sha256=sha256,
                    extracted_at=extracted_at,
                    result=result,
                    status="landed",
                    stated_columns=stated,
                    latest_at=latest_at,
                )
            except BaseException:
                self._con.execute("rollback")
                raise
            self._con.execute("commit")
        except duckdb.Error as error:
            if not is_storage_fault(error):
                raise
            raise trouble(self._workspace.landing, error) from error
        return result

    def _stage(
        self,
        contract: InputTable,
        batches: Iterable[tuple[pl.DataFrame, pl.DataFrame]],
        load_id: int,
        *,
        directly: bool,
    ) -> tuple[Counter[str], datetime | None]:
        """Take in the file's rows with their hashes, and the rows rejected on the way; values seen per column, and the
        latest instant that any row tells of.

        ``directly``: straight into the landing, which holds none of the table yet; else to ``staged_rows``.
        """
        con, columns = self._con, ", ".join(contract.columns)
        con.execute(
            f"create or replace temp table staged_rows as select {columns}, line, other_columns, key_hash, row_hash, "
            f"{_precedence(contract)} as precedence_at from landed_{contract.name} limit 0"
        )
        row_hash, key_hash = hash_expression(contract.columns), hash_expression(contract.key)
        wanted = {**frame_schema(contract.schema), "line": pl.Int64(), "other_columns": pl.String()}
        values = f"{columns}, line, other_columns, {key_hash}, {row_hash}"
        into, values = (
            (
                f"landed_{contract.name} ({columns}, line, other_columns, key_hash, row_hash, load_id)",
                f"{values}, $load_id",
            )
            if directly
            else ("staged_rows", f"{values}, {_precedence(contract)}")
        )
        said: Counter[str] = Counter()
        instants = [name for name, kind in wanted.items() if isinstance(kind, pl.Datetime)]
        latest: list[datetime] = []
        waiting: list[pl.DataFrame] = []

        def take_in() -> None:
            """Rows that wait, at once: DuckDB shares the chunks of a frame among its threads, and one chunk has one."""
            if waiting:
                con.register("batch_rows", pl.concat(waiting, rechunk=False))
                con.execute(
                    f"insert into {into} select {values} from batch_rows", {"load_id": load_id} if directly else None
                )
                con.unregister("batch_rows")
                waiting.clear()

        for accepted, rejected in batches:
            if accepted.height:
                if "other_columns" not in accepted.columns:
                    accepted = accepted.with_columns(other_columns=pl.lit(None, pl.String))  # noqa: PLW2901
                said.update({name: accepted.height - accepted[name].null_count() for name in contract.columns})
                latest += [moment for name in instants if isinstance(moment := accepted[name].max(), datetime)]
                waiting.append(accepted.select(pl.col(name).cast(kind) for name, kind in wanted.items()))
            if len(waiting) == _AT_ONCE:
                take_in()
            if rejected.height:
                con.register("batch_rejects", rejected)
                con.execute(
                    f"insert into rejected_rows select {', '.join(_REJECTED_COLUMNS)}, $load_id from batch_rejects",
                    {"load_id": load_id},
                )
                con.unregister("batch_rejects")
        take_in()
        return said, max(latest, default=None)

    def _unland_repeated(self, contract: InputTable, load_id: int) -> int:
        """Move rows landed directly whose key the file repeats to ``staged_rows``; how many others stay landed."""
        con, table, columns = self._con, f"landed_{contract.name}", ", ".join(contract.columns)
        con.execute(
            "create or replace temp table repeated_keys as "
            f"select key_hash from {table} group by key_hash having count(*) > 1"
        )
        if con.execute("select 1 from repeated_keys limit 1").fetchall():
            con.execute(
                f"insert into staged_rows select {columns}, line, other_columns, key_hash, row_hash, "
                f"{_precedence(contract)} from {table} where key_hash in (select key_hash from repeated_keys)"
            )
            con.execute(f"delete from {table} where key_hash in (select key_hash from repeated_keys)")
        con.execute("drop table repeated_keys")
        ((count,),) = con.execute(f"select count(*) from {table}").fetchall()
        return int(count)

    def _carry_over(self, contract: InputTable, stated: Collection[str]) -> None:
        """Fill the columns that the file does not state from the row in force of each key."""
        con, columns = self._con, contract.columns
        unsaid = [name for name in columns if name not in stated and name not in contract.key]
        if not unsaid:
            return

        def source(name: str) -> str:
            if name not in unsaid:
                return f"staged_rows.{name}"
            if contract.name == "opportunities" and name in _HELD_BY_STAGE:
                return f"case when staged_rows.stage = in_force.stage then in_force.{name} end as {name}"
            return f"in_force.{name}"

        con.execute(
            f"create or replace temp table carried_rows as "
            f"with newest as (select key_hash, max(load_id) as load_id from landed_{contract.name} "
            "where key_hash in (select key_hash from staged_rows) group by key_hash), "
            f"in_force as (select landed_{contract.name}.* from landed_{contract.name} "
            "inner join newest using (key_hash, load_id)) "
            f"select {', '.join(source(name) for name in columns)}, staged_rows.line, "
            "staged_rows.other_columns, staged_rows.key_hash, precedence_at "
            "from staged_rows left join in_force using (key_hash)"
        )
        con.execute(
            f"create or replace temp table staged_rows as select {', '.join(columns)}, line, other_columns, key_hash, "
            f"{hash_expression(columns)} as row_hash, precedence_at from carried_rows"
        )
        con.execute("drop table carried_rows")

    def _knows(self, sha256: str, table: str) -> bool:
        """Whether this file has landed as this table before, through whatever mapping."""
        found = self._con.execute(
            "select 1 from loads where sha256 = $sha256 and table_name = $table_name and status = 'landed' limit 1",
            {"sha256": sha256, "table_name": table},
        ).fetchall()
        return bool(found)

    def _corrections(self, contract: InputTable, latest_at: datetime | None) -> tuple[str, dict[str, object]]:
        """The expression for ``corrected_at`` of the staged rows, and its values. It cannot have been recorded before
        anything that had landed by then. An extract without an instant of its own tells another state, and corrects
        none."""
        told = _TOLD_OVER_TIME.get(contract.name)
        if told is None:
            return "cast(null as timestamp)", {}
        differs = " or ".join(
            f"in_force.{name} <> coalesce(staged_rows.{name}, in_force.{name})" if name != "new_value" else
            "in_force.new_value is distinct from staged_rows.new_value"
            for name in told
        )  # fmt: skip
        dated = " and staged_rows.extracted_at is not null" if "extracted_at" in contract.columns else ""
        self._con.execute(
            "create or replace temp table contradicting as "
            f"with newest as (select key_hash, max(load_id) as load_id from landed_{contract.name} "
            "where key_hash in (select key_hash from staged_rows) group by key_hash) "
            f"select distinct staged_rows.line from staged_rows inner join newest using (key_hash) "
            f"inner join landed_{contract.name} as in_force using (key_hash, load_id) where ({differs}){dated}"
        )
        if not self._con.execute("select 1 from contradicting limit 1").fetchall():
            return "cast(null as timestamp)", {}
        known = [f"select max({name}) from landed_{table}" for table, names in _DATED.items() for name in names]
        rows = self._con.execute(f"select max(latest_at) from loads union all {' union all '.join(known)}").fetchall()
        told_of = "extracted_at" if "extracted_at" in contract.columns else "changed_at"
        return (
            "case when line in (select line from contradicting) and cast($corrected_at as timestamp) > "
            f"{told_of} then cast($corrected_at as timestamp) end",
            {"corrected_at": max((moment for (moment,) in [(latest_at,), *rows] if moment is not None), default=None)},
        )

    def _settle(
        self,
        contract: InputTable,
        file_name: str,
        load_id: int,
        latest_at: datetime | None,
        *,
        is_read_again: bool,
    ) -> None:
        """Decide what becomes of each staged row, land what is new, keep the losers of a repeated key as rejects."""
        con, columns = self._con, ", ".join(contract.columns)
        corrected_at, moment = (
            ("cast(null as timestamp)", {}) if is_read_again else self._corrections(contract, latest_at)
        )
        con.execute(
            f"create or replace temp view landed_rows as select key_hash, row_hash, load_id from landed_{contract.name}"
        )
        con.execute(f"create or replace temp table outcomes as {statement('landing_outcome')}")
        con.execute(
            f"insert into landed_{contract.name} "
            f"({columns}, load_id, line, other_columns, key_hash, row_hash, corrected_at) "
            f"select {columns}, $load_id, line, other_columns, key_hash, row_hash, {corrected_at} "
            "from staged_rows inner join outcomes using (line) where outcome = 'landed' order by line",
            {"load_id": load_id, **moment},
        )
        key, amount = contract.key[0], contract.amount_column or "null"
        con.execute(
            "insert into rejected_rows "
            f"select $file_name, line, $table_name, $rule, '{key}', cast({key} as varchar), "
            f"cast({amount} as decimal(18,2)), $load_id "
            "from staged_rows inner join outcomes using (line) where outcome = 'duplicate'",
            {"file_name": file_name, "table_name": contract.name, "rule": DUPLICATE_RULE, "load_id": load_id},
        )

    def record_failed(
        self, *, file_name: str, sha256: str, table: str | None, mapping_name: str | None, problem: str, remedy: str
    ) -> None:
        """Note in the ledger that a file was refused whole, with its two sentences; no row of it has landed."""
        try:
            self._record(
                load_id=self._next_load_id(),
                file_name=file_name,
                table_name=table,
                mapping_name=mapping_name,
                sha256=sha256,
                extracted_at=None,
                result=LandResult(0, 0, 0),
                status="failed",
                problem=problem,
                remedy=remedy,
            )
        except duckdb.Error as error:
            if not is_storage_fault(error):
                raise
            raise trouble(self._workspace.landing, error) from error

    def extracts_in(self, sha256s: Collection[str]) -> tuple[list[datetime | None], int]:
        """The instants of the extracts whose opportunities these files hold, and how many rows of them were rejected
        for what they say (the losers of a repeated id are there all the same)."""
        values = {"sha256s": list(sha256s), "rule": DUPLICATE_RULE}
        loads = (
            "select load_id from loads where table_name = 'opportunities' and status = 'landed' "
            "and list_contains($sha256s, sha256)"
        )
        instants = self._con.execute(
            f"select distinct extracted_at from landed_opportunities where load_id in ({loads}) order by all",
            {"sha256s": values["sha256s"]},
        ).fetchall()
        ((rejected,),) = self._con.execute(
            "select count(distinct (load_id, line)) from rejected_rows "
            f"where table_name = 'opportunities' and rule <> $rule and load_id in ({loads})",
            values,
        ).fetchall()
        return [moment for (moment,) in instants], int(rejected)

    def absence(self, extracted_at: datetime) -> Absence:
        """What a claim that the extract of this instant was full would close as deleted."""
        return absence(self._con, extracted_at)

    def claim_full(self, extracted_at: datetime) -> None:
        """Note in the ledger that the extract of this instant held every opportunity; claimed twice, it is once."""
        if is_claimed(self._con, extracted_at):
            return
        try:
            self._record(
                load_id=self._next_load_id(),
                file_name=f"full extract of {extracted_at:%Y-%m-%d %H:%M:%S}",
                table_name="opportunities",
                mapping_name=None,
                sha256="",
                extracted_at=extracted_at,
                result=LandResult(0, 0, 0),
                status="whole",
            )
        except duckdb.Error as error:
            if not is_storage_fault(error):
                raise
            raise trouble(self._workspace.landing, error) from error

    def loads(self) -> pl.DataFrame:
        """The ledger, one row per file landed or refused, in order."""
        return frame(self._con, "select * from loads order by load_id")

    def rejected_rows(self) -> pl.DataFrame:
        """One row per rule that a landed row broke (contracts.RejectedRows + ``load_id``)."""
        return frame(self._con, "select * from rejected_rows order by load_id, line, rule, column_name")

    def rows(self, table: str) -> pl.DataFrame:
        """Every landed row of one input table in the contract's columns, with ``load_id`` and ``line``."""
        columns = ", ".join(INPUT_TABLES[table].columns)
        return frame(self._con, f"select {columns}, load_id, line from landed_{table} order by load_id, line")

    def summary(self) -> pl.DataFrame:
        """One row per input table: ``table_name``, ``row_count`` landed, ``rejected_count`` and ``file_count``."""
        counts = [
            frame(
                self._con,
                "select $table_name as table_name, "
                f"(select count(*) from landed_{name}) as row_count, "
                "(select count(distinct (load_id, line)) from rejected_rows where table_name = $table_name) "
                "as rejected_count, "
                "(select count(*) from loads where table_name = $table_name and status = 'landed') as file_count",
                {"table_name": name},
            )
            for name in INPUT_TABLES
        ]
        return pl.concat(counts)

    def _next_load_id(self) -> int:
        ((load_id,),) = self._con.execute("select coalesce(max(load_id), 0) + 1 from loads").fetchall()
        return int(load_id)

    def _count(self, load_id: int, unquestioned: int) -> LandResult:
        """``unquestioned``: rows landed whose key had no other row to be compared with."""
        (row,) = self._con.execute(
            """
            select
                $unquestioned + (select count(*) from outcomes where outcome = 'landed'),
                (select count(distinct line) from rejected_rows where load_id = $load_id),
                (select count(*) from outcomes where outcome = 'unchanged'),
                (select sum(amount) from
                    (select line, max(amount) as amount from rejected_rows where load_id = $load_id group by line))
            """,
            {"load_id": load_id, "unquestioned": unquestioned},
        ).fetchall()
        return LandResult(*row)

    def _record(
        self,
        *,
        load_id: int,
        file_name: str,
        table_name: str | None,
        mapping_name: str | None,
        sha256: str,
        extracted_at: datetime | None,
        result: LandResult,
        status: str,
        problem: str | None = None,
        remedy: str | None = None,
        stated_columns: tuple[str, ...] | None = None,
        latest_at: datetime | None = None,
    ) -> None:
        self._con.execute(
            """
            insert into loads select
                $load_id, $file_name, $table_name, $mapping_name, $sha256, $extracted_at, $landed_at, $row_count,
                $accepted_count, $rejected_count, $unchanged_count, $rejected_amount, $status, $problem, $remedy,
                $stated_columns, $latest_at
            """,
            {
                "load_id": load_id,
                "file_name": file_name,
                "table_name": table_name,
                "mapping_name": mapping_name,
                "sha256": sha256,
                "extracted_at": extracted_at,
                "landed_at": datetime.now(UTC).replace(tzinfo=None),
                "row_count": result.accepted_count + result.rejected_count + result.unchanged_count,
                "accepted_count": result.accepted_count,
                "rejected_count": result.rejected_count,
                "unchanged_count": result.unchanged_count,
                "rejected_amount": result.rejected_amount,
                "status": status,
                "problem": problem,
                "remedy": remedy,
                "stated_columns": None if stated_columns is None else ",".join(stated_columns),
                "latest_at": latest_at,
            },
        )


def _precedence(contract: InputTable) -> str:
    """What decides between two lines of one key before their place does."""
    return "modified_at" if "modified_at" in contract.columns else "cast(null as timestamp)"


def _fit_table(con: duckdb.DuckDBPyConnection, table: InputTable) -> None:
    """Make the landing table, or add the columns that a newer contract has."""
    types = column_types(table.schema) | {
        "load_id": "BIGINT",
        "line": "BIGINT",
        "other_columns": "VARCHAR",
        "key_hash": "UHUGEINT",
        "row_hash": "UHUGEINT",
        "corrected_at": "TIMESTAMP",
    }
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    con.execute(f"create table if not exists landed_{table.name} ({columns})")
    for name, kind in types.items():
        con.execute(f"alter table landed_{table.name} add column if not exists {name} {kind}")
