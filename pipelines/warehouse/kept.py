"""The embedded engine with a memory: what a publication costs is in proportion to what changed since the last one.

Tables of which every row belongs to one opportunity (``kept_groups``) stay between publications in one file of the
workspace, ``history.duckdb``. A publication finds the opportunities of which anything can have changed, runs the very
same statements over their rows alone, and replaces their rows. They are those

* with a row in a load that is new;
* with a landed day or instant between the last as-of and this one: a fact that becomes visible, a deal that begins to
  exist or closes, an extract that may be used from now on;
* closed with a close date after the last as-of, whose rate of exchange was that of the as-of's day;
* for the movement, of people above whom the hierarchy changed.

Whatever else a statement reads must be as it was for them all; where it is not, the tables of that group and of those
after it are made anew from the kept facts. The file is disposable: missing, damaged, of another program, or left half
done by a killed process, it is made anew. An as-of before the last one is answered aside, from the landing alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.warehouse.engines import Params
from pipelines.warehouse.engines.embedded import BATCH, Embedded, quoted
from pipelines.warehouse.kept_groups import GROUP_OF, GROUPS, NOTED, REMEMBERED, TAKEN_OFF, Cells, Group, Steady
from pipelines.warehouse.store import OWNER_ONLY, connect, content_sums, sums_digest

FEW_RATE = 0.25
"""Share of the opportunities beyond which replacing rows takes longer than making every table anew."""

WEEKS_BATCH = 1_000_000
"""Opportunities of which all weeks are summed at once; of more, so many weeks at a time that it is about as much."""

Statement = tuple[str, str, dict[str, object]]
"""Table, query, values."""


@dataclass
class State:
    """What the kept tables were made with. ``sums`` are those of ``store.content_sums``."""

    program: str
    as_of_at: str = ""
    last_load_id: int = 0
    loads: str = ""
    made_with: dict[str, str] = field(default_factory=dict)
    sums: dict[str, list[int]] = field(default_factory=dict)
    replaced_count: int = 0


class Kept(Embedded):
    """An ``Embedded`` that keeps. Call ``begin`` once the as-of is known, and ``keep`` when the history is sound.

    ``told`` says what was done, for the progress line. While it is open the file is this process's alone; whoever finds
    it taken makes the history aside, without it.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, store: Path, *, full: bool = False) -> None:
        super().__init__(con)
        self._store = store
        self._full = full
        self._is_aside = True
        self._looks_back = False
        self._last: State | None = None
        self._now = State(_program())
        self._patched: set[str] = set()
        self._waiting: list[Statement] = []
        self._count = 0
        self.told = ""

    @classmethod
    def beside(cls, landing: Path, store: Path, settings: Settings, scratch: Path, *, full: bool = False) -> Kept:
        """As ``Embedded.over``, with the kept tables in the file ``store``. ``full``: make them anew."""
        con = connect(scratch / "history.duckdb", settings)
        try:
            con.execute(f"attach {_quoted(landing)} as landing (read_only)")
        except BaseException:
            con.close()
            raise
        return cls(con, store, full=full)

    def begin(self, as_of_at: datetime) -> None:
        """Decide what has to be made: what changed alone, everything, or everything aside."""
        if self._full:
            _forget(self._store)
        if not self._attach():
            self.told = "another publication is running, so this one is made aside"
            return
        self._looks_back = not self._full
        self._last = self._recall()
        if self._last is not None and as_of_at < datetime.fromisoformat(self._last.as_of_at):
            self._last, self._looks_back = None, False
            self.con.execute("detach kept")
            self.told = "an earlier instant, made aside"
            return
        self._is_aside = False
        for schema in ("part", "old", "cell", "batch", "told"):
            self.con.execute(f"create schema {schema}")
        self._now.as_of_at = as_of_at.isoformat()
        self._now.last_load_id = int(self.one("select coalesce(max(load_id), 0) from landing.loads"))
        self._now.loads = self._ledger(self._now.last_load_id)
        reason = "asked for" if self._full else self._reason_for_all(as_of_at)
        if reason:
            self._last, self._looks_back = None, False
            self.con.execute("detach kept")
            _forget(self._store)
            self._attach()
            self.told = f"every opportunity ({reason})"
        else:
            self.con.execute("drop table kept.main.state")  # until `keep`, a killed process leaves nothing to rely on

    def keep(self) -> None:
        """The history is sound: note what it was made with, so that the next publication can go on from here."""
        if self._is_aside:
            return
        for table in NOTED:
            self.con.execute(f"create or replace table kept.main.noted_{table} as select * from main.{table}")
        self.con.execute("create table kept.main.state as select $content as content", {"content": _said(self._now)})
        self.con.execute("checkpoint kept")

    def show(self, view: str, query: str) -> None:
        super().show(view, query)
        if view == "landed_rows" and self._last is not None and "opportunity_id" in self.columns(view):
            self._restrict(view)

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        group = None if self._is_aside else GROUP_OF.get(table)
        if group is None:
            super().make(table, query, params)
            return
        self._waiting.append((table, query, dict(params or {})))
        if table != group.kept:
            return
        statements, self._waiting = self._waiting, []
        if self._may_replace(group, statements):
            self._replace(group, statements)
            self._patched.add(group.kept)
        else:
            self._make_all(group, statements)
        super().show(group.kept, f"select * from kept.main.{group.kept}")

    @property
    def relies_on_before(self) -> bool:
        """Whether rows of the last time are part of it, or are being looked at to find out."""
        return self._looks_back

    def digest(self, table: str, columns: Sequence[str]) -> str:
        """As the digest of all rows, from what replaced rows took off and brought."""
        if self._is_aside or table not in REMEMBERED:
            return super().digest(table, columns)
        key = f"{table}: {', '.join(columns)}"
        if table in self._patched and self._last is not None and key in self._last.sums:
            before = self._last.sums[key]
            gone, come = (content_sums(self.con, f"{schema}.{table}", columns) for schema in ("old", "part"))
            sums = (before[0] - gone[0] + come[0], before[1] ^ gone[1] ^ come[1], before[2] - gone[2] + come[2])
        else:
            sums = content_sums(self.con, table, columns)
        self._now.sums[key] = list(sums)
        return sums_digest(sums)

    def changed(self, query: str) -> pl.DataFrame:
        """The rows of a query over the rows that were replaced, or over all where the versions were made anew."""
        if "opportunity_versions" not in self._patched:
            return self.frame(query)
        with self.looking_at("part, main"):
            rows: pl.DataFrame = self.con.sql(query).pl()
        return rows

    def _attach(self) -> bool:
        """Attach the file, anew where it is damaged; False when another process holds it."""
        try:
            self.con.execute(f"attach {_quoted(self._store)} as kept")
        except duckdb.Error as error:
            if isinstance(error, duckdb.ResourceInUseException) or "lock on file" in str(error):
                return False
            _forget(self._store)
            self.con.execute(f"attach {_quoted(self._store)} as kept")
        self._store.chmod(OWNER_ONLY)
        return True

    def _recall(self) -> State | None:
        found = self.con.execute("select table_name from duckdb_tables() where database_name = 'kept'").fetchall()
        wanted = {"state", *(group.kept for group in GROUPS), *(f"noted_{table}" for table in NOTED)}
        if not wanted <= {name for (name,) in found}:
            return None
        return State(**json.loads(self.one("select content from kept.main.state")))

    def _reason_for_all(self, as_of_at: datetime) -> str:
        """Why no row can be relied on, in words; else the opportunities touched are in ``part.touched``."""
        last = self._last
        if last is None:
            return "nothing is kept from before"
        if last.program != self._now.program:
            return "the program is another one"
        if last.loads != self._ledger(last.last_load_id):
            return "the landing is another one"
        before = datetime.fromisoformat(last.as_of_at)
        self.con.execute(
            f"create table part.touched as {_TOUCHED}",
            {"load_id": last.last_load_id, "before_at": before, "as_of_at": as_of_at},
        )
        self._count = int(self.one("select count(distinct opportunity_id) from kept.main.opportunity_rows"))
        touched = int(self.one("select count(*) from part.touched"))
        self._now.replaced_count = last.replaced_count + touched
        if touched > FEW_RATE * self._count:
            return f"{touched:,} of {self._count:,} changed"
        if self._now.replaced_count > self._count:
            return "as many were replaced before"
        self.told = f"{touched:,} of {self._count:,} opportunities"
        return ""

    def _ledger(self, last_load_id: int) -> str:
        rows = self.con.execute(
            "select load_id, sha256, table_name, landed_at, status from landing.loads where load_id <= $load_id "
            "order by all",
            {"load_id": last_load_id},
        ).fetchall()
        return sha256(repr(rows).encode()).hexdigest()

    def _may_replace(self, group: Group, statements: Sequence[Statement]) -> bool:
        last = self._last
        for table, query, params in statements:
            stated = sorted((name, repr(value)) for name, value in params.items() if name != "as_of_at")
            self._now.made_with[table] = sha256(repr([query, stated]).encode()).hexdigest()
        if last is None:
            return False
        reason = next((f"{table} was made anew" for table in group.after if table not in self._patched), "")
        if any(last.made_with.get(table) != self._now.made_with[table] for table, _, _ in statements):
            reason = "a choice behind it changed"
        for steady in group.steady:
            reason = reason or (f"{steady.table} changed" if self._strayed(steady) else "")
        if _is_numbered(statements[-1]) and not reason and self._first_fresh(_required(group.cells)) is None:
            reason = "its weeks changed"
        if group.kept == "movement_path" and not reason and not self._touch_led():
            reason = "the hierarchy changed"
        if reason and group.kept not in group.after:
            self.told += f"; {group.kept} as a whole ({reason})"
        return not reason

    def _strayed(self, steady: Steady) -> bool:
        same = " and ".join(f"now.{name} is not distinct from last.{name}" for name in steady.key)
        equal = " and ".join(f"now.{name} is not distinct from last.{name}" for name in steady.columns) or "true"
        missing = [f"now.{steady.key[0]} is null"] * steady.grows + [f"last.{steady.key[0]} is null"] * steady.stays
        both = f"now.{steady.key[0]} is not null and last.{steady.key[0]} is not null and not ({equal})"
        return bool(
            self.con.execute(
                f"select 1 from (select * from main.{steady.table} where {steady.where}) as now "
                f"full join (select * from kept.main.noted_{steady.table} where {steady.where}) as last on {same} "
                f"where {' or '.join([both, *missing])} limit 1"
            ).fetchall()
        )

    def _touch_led(self) -> bool:
        """Touch the deals of everybody above whom the hierarchy changed; False where they are too many."""
        self.con.execute(f"create table part.led as {_LED}")
        if int(self.one("select count(*) from part.led")) > FEW_RATE * self._count:
            return False
        for table in REMEMBERED:  # they come and go as they were, so that sums are not moved
            for schema in ("old", "part"):
                self.con.execute(
                    f"insert into {schema}.{table} select * from main.{table} "
                    "where opportunity_id in (select opportunity_id from part.led)"
                )
        self.con.execute("insert into part.touched select opportunity_id from part.led")
        return True

    def _replace(self, group: Group, statements: Sequence[Statement]) -> None:
        """Make the group for the touched opportunities, and put their rows in place of those kept."""
        if group.told_by:
            self._replace_told(group, *statements)
            return
        for table in group.inputs:
            if not self._is_there("part", table):
                self._restrict(table)
        if group.is_summed:
            self._replace_sums(group, *statements)
            return
        kept = group.kept
        if kept in TAKEN_OFF:
            self.con.execute(f"create table old.{kept} as select * from kept.main.{kept} where {_IS_TOUCHED}")
        with self.looking_at("part, main"):
            for table, query, params in statements:
                self.con.execute(f"create table part.{table} as {query}", params)
        self.con.execute(f"delete from kept.main.{kept} where {_IS_TOUCHED}")
        self.con.execute(f"insert into kept.main.{kept} select * from part.{kept}")

    def _lay_cells(self, cells: Cells, *, is_fresh: bool) -> bool:
        """In ``cell``, the cells that are as they were, or those that are not (``is_fresh``); whether there are any."""
        self.con.execute(
            f"create or replace table cell.{cells.table} as select * from main.{cells.table} as now "
            f"where {'not ' * is_fresh}exists "
            f"(select 1 from kept.main.noted_{cells.table} as last where {_is_same(cells)})"
        )
        return bool(self.one(f"select count(*) from cell.{cells.table}"))

    def _drop_stale(self, group: Group) -> None:
        """Remove the rows of cells that are gone or not as they were."""
        cells = _required(group.cells)
        here = " and ".join(f"last.{name} = {group.kept}.{name}" for name in cells.key)
        stale = (
            f"from kept.main.noted_{cells.table} as last "
            f"where not exists (select 1 from main.{cells.table} as now where {_is_same(cells)})"
        )
        if self.one(f"select count(*) {stale}"):
            self.con.execute(f"delete from kept.main.{group.kept} where exists (select 1 {stale} and {here})")

    def _first_fresh(self, cells: Cells) -> int | None:
        """The number of the first week that is new, where all before it are as they were; None where they are not."""
        same = " and ".join(f"now.{name} = last.{name}" for name in (*cells.key, *cells.columns))
        ((known, fresh),) = self.con.execute(
            "select max(case when last.until_at is not null then now.week_number end), "
            "min(case when last.until_at is null then now.week_number end) "
            f"from main.{cells.table} as now left join kept.main.noted_{cells.table} as last on {same}"
        ).fetchall()
        if known is None or (fresh is not None and fresh < known):
            return None
        return int(known) + 1

    def _replace_sums(self, group: Group, statement: Statement) -> None:
        """Of the cells known, take the touched opportunities' old part off and add their new one; add new cells."""
        kept, query, params = statement
        cells = _required(group.cells)
        known, fresh = params, params
        if _is_numbered(statement):
            first = self._first_fresh(cells)
            known, fresh = {**params, "to_week": (first or 1) - 1}, {**params, "from_week": first}
        else:
            self._lay_cells(cells, is_fresh=False)
        for table in group.before:
            self.con.execute(f"create or replace view old.{table} as select * from kept.main.noted_{table}")
        for schema in ("old", "part"):
            with self.looking_at(f"{schema}, cell, main"):
                self.con.execute(f"create table {schema}.{kept} as {query}", known)
        self._drop_stale(group)
        self._add_up(kept)
        if _is_numbered(statement) or self._lay_cells(cells, is_fresh=True):
            with self.looking_at("cell, main"):
                self.con.execute(f"insert into kept.main.{kept} {query}", fresh)
        self.con.execute(f"drop table if exists cell.{cells.table}")

    def _add_up(self, kept: str) -> None:
        """Bring the sums kept from ``old`` to ``part``; what changed stays in ``part.change_of_…``."""
        types = dict(self.con.execute(f"select column_name, column_type from (describe part.{kept})").fetchall())
        sums = [name for name in types if name.endswith(("_count", "amount"))]
        keys = [name for name in types if name not in sums]
        totals = ", ".join(f"cast(sum({name}) as {types[name]}) as {name}" for name in sums)
        negative = ", ".join([*keys, *(f"-{name} as {name}" for name in sums)])
        same = " and ".join(f"now.{name} is not distinct from change.{name}" for name in keys)
        here, order = ", ".join(keys), ", ".join([*keys, *sums])
        self.con.execute(
            f"create table part.change_of_{kept} as select {here}, {totals} from (select {order} from part.{kept} "
            f"union all select {negative} from old.{kept}) as moved group by {here} "
            f"having {' or '.join(f'sum({name}) <> 0' for name in sums)}"
        )
        self.con.execute(
            f"create or replace table part.stood as select now.rowid as kept_row, now.* from kept.main.{kept} as now "
            f"inner join part.change_of_{kept} as change on {same}"
        )
        self.con.execute(f"delete from kept.main.{kept} where rowid in (select kept_row from part.stood)")
        self.con.execute(
            f"insert into kept.main.{kept} by name select {here}, {totals} from (select {order} from part.stood "
            f"union all select {order} from part.change_of_{kept}) as moved group by {here} "
            f"having {' or '.join(f'sum({name}) <> 0' for name in sums)}"
        )

    def _replace_told(self, group: Group, statement: Statement) -> None:
        """Tell anew what rests on sums that changed, that are there for the first time or no longer, and the cells that
        are not as they were."""
        kept, query, params = statement
        cells, keys = _required(group.cells), ", ".join(group.told_by)
        changes = " union ".join(f"select {keys} from part.change_of_{table}" for table in group.inputs)
        for name, places in (("told", [f"kept.main.{kept}"]), ("summed", [f"main.{table}" for table in group.inputs])):
            every = " union ".join(f"select distinct {keys} from {place}" for place in places)
            self.con.execute(f"create or replace table part.keys_{name} as {every}")
        self.con.execute(
            f"create or replace table part.changed as {changes} "
            "union (from part.keys_summed except from part.keys_told) "
            "union (from part.keys_told except from part.keys_summed)"
        )
        self._drop_stale(group)
        self.con.execute(f"delete from kept.main.{kept} where ({keys}) in (select ({keys}) from part.changed)")
        self._lay_cells(cells, is_fresh=False)
        for table in group.inputs:
            self.con.execute(
                f"create view told.{table} as select * from main.{table} where ({keys}) in "
                f"(select ({keys}) from part.changed)"
            )
        with self.looking_at("told, cell, main"):
            self.con.execute(f"insert into kept.main.{kept} {query}", params)
        for table in group.inputs:
            self.con.execute(f"drop view told.{table}")
        if self._lay_cells(cells, is_fresh=True):
            with self.looking_at("cell, main"):
                self.con.execute(f"insert into kept.main.{kept} {query}", params)
        self.con.execute(f"drop table cell.{cells.table}")

    def _make_all(self, group: Group, statements: Sequence[Statement]) -> None:
        count = int(self.one("select count(*) from main.opportunity_rows")) if group.after else 0
        batches = 1 if group.is_summed or group.told_by else -(-count // BATCH)
        for table, _, _ in statements:
            self.con.execute(f"drop view if exists main.{table}")
        if _is_numbered(statements[-1]) and count > WEEKS_BATCH:
            self._make_by_weeks(_required(group.cells), statements[-1], -(-count // WEEKS_BATCH))
        elif batches <= 1:
            for table, query, params in statements:
                place = f"kept.main.{table}" if table == group.kept else f"main.{table}"
                self.con.execute(f"create or replace table {place} as {query}", params)
        else:
            self._make_in_batches(group, statements, batches)
        for table, _, _ in statements[:-1]:
            self.con.execute(f"drop table if exists main.{table}")

    def _make_in_batches(self, group: Group, statements: Sequence[Statement], batches: int) -> None:
        for number, where in enumerate(self.ranges("opportunity_rows", batches)):
            for table in group.inputs:
                self.con.execute(f"create or replace view batch.{table} as select * from main.{table} where {where}")
            with self.looking_at("batch, main"):
                for table, query, params in statements:
                    self.con.execute(f"create or replace table batch.{table} as {query}", params)
            verb = "create or replace table {} as" if number == 0 else "insert into {}"
            self.con.execute(f"{verb.format(f'kept.main.{group.kept}')} select * from batch.{group.kept}")
        for table, _, _ in statements:
            self.con.execute(f"drop table batch.{table}")
        for table in group.inputs:
            self.con.execute(f"drop view batch.{table}")

    def _make_by_weeks(self, cells: Cells, statement: Statement, batches: int) -> None:
        """Sums of numbered weeks, some weeks after the others: what is summed up is many times what is read for it."""
        kept, query, params = statement
        last = int(self.one(f"select coalesce(max(week_number), 1) from main.{cells.table}"))
        length = -(-last // batches)
        for first in range(1, last + 1, length):
            verb = f"create or replace table kept.main.{kept} as" if first == 1 else f"insert into kept.main.{kept}"
            self.con.execute(f"{verb} {query}", {**params, "from_week": first, "to_week": first + length - 1})

    def _restrict(self, table: str) -> None:
        self.con.execute(f"create or replace view part.{table} as select * from main.{table} where {_IS_TOUCHED}")

    def _is_there(self, schema: str, table: str) -> bool:
        found = self.con.execute(
            "select 1 from information_schema.tables where table_schema = $schema and table_name = $table_name",
            {"schema": schema, "table_name": table},
        ).fetchall()
        return bool(found)


_IS_TOUCHED = "opportunity_id in (select opportunity_id from part.touched)"

_TOUCHED = """
    select opportunity_id from landing.landed_opportunities where load_id > $load_id
    union select opportunity_id from landing.landed_opportunity_history where load_id > $load_id
    union select opportunity_id from landing.landed_opportunity_states where load_id > $load_id
    union
    select opportunity_id from kept.main.opportunity_rows
    where $as_of_at > $before_at and (
        (extracted_at > $before_at and extracted_at <= $as_of_at)
        or (modified_at > $before_at and modified_at <= $as_of_at)
        or created_on between cast($before_at as date) and cast($as_of_at as date)
        or close_on between cast($before_at as date) and cast($as_of_at as date))
    union
    select opportunity_id from kept.main.opportunity_rows
    where coalesce(extracted_at, modified_at) between cast($before_at as timestamp) - interval '1 second' and $before_at
    group by opportunity_id having count(*) > 1
    union
    select opportunity_id from kept.main.opportunity_history
    where changed_at > $before_at and changed_at <= $as_of_at
    union
    select opportunity_id from kept.main.opportunity_states
    where changed_at > $before_at and changed_at <= $as_of_at
    union
    select opportunity_id from kept.main.opportunity_history
    where recorded_at > $before_at and recorded_at <= $as_of_at
    union
    select opportunity_id from kept.main.opportunity_states
    where recorded_at > $before_at and recorded_at <= $as_of_at
    union
    select opportunity_id from landing.landed_opportunities
    where corrected_at > $before_at and corrected_at <= $as_of_at
    union
    select opportunity_id from landing.landed_opportunity_history
    where corrected_at > $before_at and corrected_at <= $as_of_at
    union
    select opportunity_id from landing.landed_opportunity_states
    where corrected_at > $before_at and corrected_at <= $as_of_at
    union
    select gone.opportunity_id
    from kept.main.opportunity_rows as gone
    cross join (
        select distinct extracted_at from landing.loads
        where status = 'whole' and extracted_at <= $as_of_at and (load_id > $load_id or extracted_at > $before_at)
    ) as claims
    left join landing.landed_opportunities as present
        on gone.opportunity_id = present.opportunity_id and claims.extracted_at = present.extracted_at
    where present.opportunity_id is null
    union
    select opportunity_id from kept.main.opportunity_versions
    where is_closed and close_on > cast($before_at as date) and cast($as_of_at as date) > cast($before_at as date)
"""
"""A day counts whole: a deal exists from its first second or from its last, and so it closes. Of two extracts within a
second, the later one may close a deal a second after the earlier one was taken."""

_LED = """
    with turned as (
        (select person_id, ancestor_id, from_on, to_on from main.lineage where depth > 0
        except select person_id, ancestor_id, from_on, to_on from kept.main.noted_lineage where depth > 0)
        union
        (select person_id, ancestor_id, from_on, to_on from kept.main.noted_lineage where depth > 0
        except select person_id, ancestor_id, from_on, to_on from main.lineage where depth > 0)
        union
        select person_id, ancestor_id, from_on, to_on
        from main.lineage, (select max(to_at) as at from kept.main.noted_movement_spans) as last,
            (select max(to_at) as at from main.movement_spans) as now
        where depth > 0 and (
            (cast(from_on as timestamp) >= last.at and cast(from_on as timestamp) < now.at)
            or (cast(to_on as timestamp) >= last.at and cast(to_on as timestamp) < now.at))
    )
    select distinct opportunity_id from main.opportunity_versions
    where owner_id in (select person_id from turned)
        and opportunity_id not in (select opportunity_id from part.touched)
"""


def _program() -> str:
    """Digest of everything that makes the kept tables out of the landed rows."""
    sources = resources.files("pipelines.warehouse")
    statements = sorted(sources.joinpath("sql").iterdir(), key=lambda path: path.name)
    modules = [
        sources.joinpath(name)
        for name in ("history.py", "kept.py", "kept_groups.py", "movement.py", "reported.py", "weekly.py")
    ]
    texts = [path.read_text(encoding="utf-8") for path in (*statements, *modules)]
    return sha256("\0".join([duckdb.__version__, version("forecast-trust"), *texts]).encode()).hexdigest()


def _said(state: State) -> str:
    return json.dumps(vars(state), sort_keys=True)


def _is_same(cells: Cells) -> str:
    """Whether the cell ``now`` is the cell ``last``, in SQL."""
    same = " and ".join(f"now.{name} is not distinct from last.{name}" for name in (*cells.key, *cells.columns))
    if not cells.grows:
        return same
    return (
        f"{same} and (now.{cells.grows} = last.{cells.grows} or (now.{cells.grows} > last.{cells.grows} and "
        f"last.{cells.grows} = (select max({cells.grows}) from kept.main.noted_{cells.table})))"
    )


def _is_numbered(statement: Statement) -> bool:
    """Whether the statement leaves out weeks by their numbers."""
    return "from_week" in statement[2]


def _required(cells: Cells | None) -> Cells:
    if cells is None:
        raise TypeError("this group has no cells")
    return cells


def _forget(store: Path) -> None:
    for path in (store, store.with_name(store.name + ".wal")):
        path.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return quoted(str(path))
