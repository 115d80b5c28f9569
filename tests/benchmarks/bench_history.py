"""The history on one machine: ``python -m tests.benchmarks.bench_history [SIZE …]``. Ratios within a run, peak memory.

A company of SIZE opportunities with about eleven versions each, 20,000 owners and 157 weeks, written by SQL straight
into a landing. Each size runs in a process of its own, so that its peak memory is its own. What is measured are the
statements of ``pipelines/warehouse/sql`` as a publication runs them:

* the whole rebuild and its stages (versions, cube, weekly, movement), anew, and after 1 % of the opportunities changed;
* the cube again by the methods it is not made by: one row per opportunity and day, and ``ASOF JOIN`` with the weeks.

Seconds are those of the processor, user and system, of all threads together: on a machine that others use too, the
clock on the wall says how busy they are. Every ratio is one of such seconds. The clock's are printed beside them.

The cube does not reach its limit of fifty times the daily method, and cannot while it is one table of texts. At a
million opportunities (two cores, 2026-11-22) daily copies take 275 s and the cube 16.5 s. Merely to copy the finished
cube, 11.7 million rows, takes 5.5 s: a fiftieth of the daily method with nothing computed yet. Of the 16.5 s, writing
takes 6, grouping 30 million weeks of deals into 11 million cells 4, and the rest, some 6, is spread over joins and
casts. Difference arrays (one up in a deal's first week, one down after its last, and a running sum per cell) do not
help: most deals are alone in their cell, so that nearly every week of a cell has an event of its own, and the window
costs more than the grouping it spares. For the few deals that stay for weeks, and for them alone, they would save
about one second.

Exits with 1 over a limit. The other methods are left out beyond a million opportunities: one writes a row per day, the
other one per deal and week. What is spilled to disk is limited (SPILL), so that a run out of bounds fails instead of
filling the disk; ten million opportunities take about 30 GB beside that, and more than an hour of processor.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb

from pipelines.contracts import INPUT_TABLES
from pipelines.policy import DEFAULT_POLICY
from pipelines.settings import Settings, Workspace
from pipelines.warehouse import history
from pipelines.warehouse.engines import Params
from pipelines.warehouse.kept import Kept
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.store import hash_expression, statement

SIZES = (100_000, 1_000_000)
OWNERS = 20_000
LAST_DAILY_SIZE = 1_000_000
AS_OF = datetime.fromisoformat("2025-12-31 12:00:00")
FIRST_DAY = "2023-01-01"
DAYS = 1_096
MEMORY = "3.3GB"
SPILL = "20GB"
CONFIG: dict[str, str | bool | int | float | list[str]] = {"memory_limit": MEMORY}
POLICY = replace(DEFAULT_POLICY, movement_periods=12)
"""Every period of the 157 weeks, where a publication tells five."""

STAGES = {
    "versions": (
        "opportunity_rows", "opportunity_history", "opportunity_states", "opportunity_seen", "opportunity_extracts",
        "opportunity_changes", "opportunity_openings", "opportunity_closings", "opportunity_events",
        "opportunity_versions",
    ),
    "cube": ("pipeline_cube",),
    "weekly": ("weekly_sums", "pipeline_weekly"),
    "movement": (
        "movement_path", "owner_scopes", "movement_steps", "movement_stood", "movement_moved", "pipeline_movement",
    ),
}  # fmt: skip

DAILY_LIMIT, GROWTH_LIMIT, INCREMENT_LIMIT, MEMORY_LIMIT_MB = 50.0, 1.3, 0.1, 4_000.0
"""Cube against daily copies at a million; seconds per opportunity, ten million against one; the history after 1 %
against all of it anew; peak memory of the process, of which DuckDB is given MEMORY."""

WHOLE = "history"


@dataclass
class Measured:
    """Processor seconds by stage of one size: anew, and after 1 % changed; and by other methods. ``wall``: the clock's
    seconds of the two. Peak memory, and the largest the files became, in megabytes."""

    size: int
    full: dict[str, float] = field(default_factory=dict)
    increment: dict[str, float] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)
    version_count: int = 0
    cube_count: int = 0
    state_count: int = 0
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    wall: list[float] = field(default_factory=list)


DEALS = """
    select
        i,
        'o' || lpad(cast(i as varchar), 9, '0') as opportunity_id,
        'r' || lpad(cast(((i * 104729) % {owners}) as varchar), 6, '0') as owner_id,
        'r' || lpad(cast((i * 13) % {owners} as varchar), 6, '0') as next_owner_id,
        cast(date '{first}' + cast((i * 7919) % ({days} - 30) as integer) as date) as created_on,
        cast(2 + (i * 31) % 12 as integer) as pace,
        cast((i * 7907) % 1000000 + 1000 as decimal(18, 2)) as amount,
        i % 8 as fate
    from range({low}, {high}) as numbers (i)
"""
"""Pace: days between a deal's ten changes. Fate: of eight deals three are won, three lost, two stay open."""

CHANGES = """
    with deals as ({deals}),
    steps as (
        select deals.*, k, cast(created_on as timestamp) + to_days(cast(k * pace as integer))
            + to_seconds(cast((i * 7919 + k * 104729) % 80000 as integer)) as changed_at
        from deals cross join range(1, 11) as steps (k)
    )
    select
        opportunity_id, changed_at,
        case when k in (1, 4, 7, 10) then 'stage' when k in (2, 6) then 'amount' when k in (3, 8) then 'close_on'
            when k = 9 and i % 3 = 0 then 'owner_id' else 'forecast_category' end as field,
        case k when 1 then 'Discovery' when 4 then 'Qualified' when 7 then 'Proposal' when 10 then 'Negotiation'
            when 2 then cast(amount as varchar) when 6 then cast(amount + 100 as varchar)
            when 3 then cast(created_on + 60 as varchar) when 8 then cast(created_on + 90 as varchar)
            when 5 then 'pipeline' when 9 then case when i % 3 = 0 then owner_id else 'best_case' end end as old_value,
        case k when 1 then 'Qualified' when 4 then 'Proposal' when 7 then 'Negotiation'
            when 10 then case when fate < 3 then 'Won' when fate < 6 then 'Lost' else 'Verbal' end
            when 2 then cast(amount + 100 as varchar) when 6 then cast(amount + {more} as varchar)
            when 3 then cast(created_on + 90 as varchar) when 8 then cast(created_on + 11 * pace as varchar)
            when 5 then 'best_case'
            when 9 then case when i % 3 = 0 then next_owner_id else 'commit' end
        end as new_value
    from steps
    where changed_at <= timestamp '{as_of}'
"""


def lay_company(workspace: Workspace, size: int) -> None:
    """Write the company's landing: people, stages, opportunities without an extract's date, and their field history."""
    with Landing.open(workspace):
        pass
    with duckdb.connect(str(workspace.landing), config=CONFIG) as con:
        con.execute("set preserve_insertion_order = false; set enable_progress_bar = false")
        names = ["Discovery", "Qualified", "Proposal", "Negotiation", "Verbal", "Won", "Lost"]
        order = ", ".join(
            f"('{name}', {place}, {name in ('Won', 'Lost')}, {name == 'Won'})" for place, name in enumerate(names)
        )
        _land(con, 1, "stages", f"select * from (values {order}) as listed (stage, stage_order, is_closed, is_won)")
        _land(
            con, 2, "people",
            f"select {_name('r', 'n')} as person_id, {_name('m', 'n // 8')} as manager_id, "
            f"{_name('Rep ', 'n')} as name from range({OWNERS}) as numbers (n) union all "
            f"select {_name('m', 'n')}, {_name('v', 'n // 25')}, {_name('Manager ', 'n')} "
            f"from range({OWNERS // 8}) as numbers (n) union all "
            f"select {_name('v', 'n')}, null, {_name('Head ', 'n')} from range({OWNERS // 200}) as numbers (n)",
        )  # fmt: skip
        for low in range(0, size, 1_000_000):
            _land(con, 3, "opportunities", _opportunities(low, min(low + 1_000_000, size), more=300))
            _land(con, 4, "opportunity_history", _changes(low, min(low + 1_000_000, size), more=300))


def change_some(workspace: Workspace, size: int) -> None:
    """One opportunity in a hundred changes its amount, and its last values are exported again."""
    with duckdb.connect(str(workspace.landing), config=CONFIG) as con:
        con.execute("set enable_progress_bar = false")
        moment = AS_OF + timedelta(hours=1)
        some = f"({_deals(0, size)}) as deals where i % 100 = 7"
        _land(
            con, 5, "opportunity_history",
            f"select opportunity_id, timestamp '{moment}' as changed_at, 'amount' as field, "
            f"cast(amount + 300 as varchar) as old_value, cast(amount + 777 as varchar) as new_value from {some}",
        )  # fmt: skip
        again = (
            f"select * from ({_opportunities(0, size, more=777)}) as given where substr(opportunity_id, 9, 2) = '07'"
        )
        _land(con, 6, "opportunities", again)


def _deals(low: int, high: int) -> str:
    return DEALS.format(owners=OWNERS, first=FIRST_DAY, days=DAYS, low=low, high=high)


def _changes(low: int, high: int, *, more: int) -> str:
    return CHANGES.format(deals=_deals(low, high), owners=OWNERS, as_of=AS_OF, more=more)


def _opportunities(low: int, high: int, *, more: int) -> str:
    """The last state of each deal, as its changes left it."""
    return f"""
        select
            opportunity_id,
            case when done >= 9 and i % 3 = 0 then next_owner_id else owner_id end as owner_id,
            created_on,
            created_on + case when done >= 8 then 11 * pace when done >= 3 then 90 else 60 end as close_on,
            case when done >= 10 then case when fate < 3 then 'Won' when fate < 6 then 'Lost' else 'Verbal' end
                when done >= 7 then 'Negotiation' when done >= 4 then 'Proposal' when done >= 1 then 'Qualified'
                else 'Discovery' end as stage,
            amount + case when done >= 6 then {more} when done >= 2 then 100 else 0 end as amount,
            'USD' as currency,
            case when done >= 9 and i % 3 <> 0 then 'commit' when done >= 5 then 'best_case' else 'pipeline' end
                as forecast_category,
            'Deal ' || i as name
        from (
            select
                *, least(10, cast(date_diff('day', created_on, date '{AS_OF.date()}') - 1 as integer) // pace) as done
            from ({_deals(low, high)}) as deals
        ) as deals
    """


def _name(prefix: str, number: str) -> str:
    return f"'{prefix}' || lpad(cast({number} as varchar), 6, '0')"


def _land(con: duckdb.DuckDBPyConnection, load_id: int, table: str, query: str) -> None:
    """Rows as ``Landing.land`` would leave them, without a file."""
    contract = INPUT_TABLES[table]
    con.execute(f"create or replace temp table given as {query}")
    given = {str(row[0]) for row in con.execute("describe given").fetchall()}
    shown = ", ".join(name if name in given else f"null as {name}" for name in contract.columns)
    con.execute(
        f"insert into landed_{table} by name select typed.*, {load_id} as load_id, row_number() over () as line, "
        f"{hash_expression(contract.key)} as key_hash, {hash_expression(contract.columns)} as row_hash "
        f"from (select {shown} from given) as typed"
    )
    con.execute("delete from loads where load_id = $load_id", {"load_id": load_id})
    con.execute(
        "insert into loads by name select $load_id as load_id, $name as file_name, $name as table_name, 'generic' as "
        "mapping_name, $name as sha256, timestamp '2026-01-01' as landed_at, 0 as row_count, 0 as rejected_count, "
        "'landed' as status, $stated as stated_columns",
        {"load_id": load_id, "name": table, "stated": ",".join(name for name in contract.columns if name in given)},
    )


class Timed(Kept):
    """A ``Kept`` that notes what each table took, and how large the files beside it became."""

    seconds: dict[str, float]
    folder: Path
    disk_mb: float = 0.0

    def make(self, table: str, query: str, params: Params | None = None) -> None:
        began = time.process_time()
        super().make(table, query, params)
        self.seconds[table] = time.process_time() - began
        sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
        self.disk_mb = max(self.disk_mb, sum(sizes) / 1e6)


def measure(size: int) -> Measured:
    """Everything of one size, in this process."""
    found = Measured(size)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        lay_company(workspace, size)
        found.full = publish(workspace, AS_OF, found, Path(folder))
        change_some(workspace, size)
        found.increment = publish(workspace, AS_OF + timedelta(hours=2), found, Path(folder))
    found.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return found


def publish(workspace: Workspace, as_of: datetime, found: Measured, folder: Path) -> dict[str, float]:
    """Seconds by stage of one rebuild, and of the whole of it (``history``)."""
    scratch = folder / f"scratch-{as_of:%H}"
    scratch.mkdir()
    limits = Settings(memory_limit=MEMORY, spill_directory=str(scratch))
    engine = Timed.beside(workspace.landing, workspace.history, limits, scratch)
    assert isinstance(engine, Timed)
    engine.seconds, engine.folder = {}, folder
    engine.con.execute(f"set enable_progress_bar = false; set max_temp_directory_size = '{SPILL}'")
    began, clock = time.process_time(), time.perf_counter()
    with history.rebuild(engine, as_of, POLICY, limits) as built:
        whole = time.process_time() - began
        found.wall.append(time.perf_counter() - clock)
        seconds = {stage: sum(engine.seconds[table] for table in tables) for stage, tables in STAGES.items()}
        seconds[WHOLE] = whole
        found.disk_mb = max(found.disk_mb, engine.disk_mb)
        if not found.full:
            counts = "select (select count(*) from opportunity_versions), (select count(*) from pipeline_cube)"
            found.version_count, found.cube_count = engine.con.execute(counts).fetchall()[0]
            with _timed(found.other, "deal states"):
                values = {"weeks": str(POLICY.lock_week), "no_decision": POLICY.no_decision_pattern}
                found.state_count = built.engine.frame(STATES.format(statement("deal_states")), values).item(0, 0)
            if found.size <= LAST_DAILY_SIZE:
                _other_ways(engine.con, found)
    shutil.rmtree(scratch)
    return seconds


def _other_ways(con: duckdb.DuckDBPyConnection, found: Measured) -> None:
    """The open pipeline per week, owner, category and stage, by other methods, on the versions just made."""
    with _timed(found.other, "cube by ASOF JOIN"):
        con.execute(ASOF)
    assert _open(con, "asof_cube") == _open(con, "pipeline_cube")
    with _timed(found.other, "cube by daily copies"):
        con.execute(DAILY_COPIES.format(first=FIRST_DAY, last=AS_OF.date()))
        con.execute(DAILY_CUBE)
    assert _open(con, "daily_cube") == _open(con, "pipeline_cube")
    con.execute("drop table daily_copies")


def _open(con: duckdb.DuckDBPyConnection, table: str) -> tuple[object, ...]:
    query = f"select count(*), sum(open_count), sum(open_amount) from {table} where open_count > 0"
    found: tuple[object, ...] = con.execute(query).fetchall()[0]
    return found


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.process_time()
    yield
    seconds[name] = time.process_time() - began


STATES = """
    select count(*), sum(lock_amount), count(outcome), sum(end_amount_at_lock_rate), max(end_on), max(lock_owner_id)
    from ({}) as states
"""
"""Every deal at the lock week of every period, looked at without a frame of them all."""

ASOF = """
    create table asof_cube as
    with deals as (select distinct opportunity_id, created_on from opportunity_extracts),
    looks as (
        select deals.opportunity_id, weeks.* from deals
        inner join pipeline_weeks as weeks on cast(deals.created_on as timestamp) < weeks.until_at
    ),
    states as (
        select looks.period_start_on, looks.week_of_period, versions.*
        from looks asof join opportunity_versions as versions
            on looks.opportunity_id = versions.opportunity_id and looks.until_at > versions.valid_from_at
    )
    select period_start_on, week_of_period, owner_id, forecast_category, stage,
        count(*) as open_count, sum(reporting_amount) as open_amount
    from states where not is_closed and not is_deleted group by all
"""

DAILY_COPIES = """
    create table daily_copies as
    select
        versions.opportunity_id, versions.owner_id, versions.forecast_category, versions.stage,
        versions.reporting_amount, versions.is_closed, versions.is_deleted, cast(days.day as date) as on_day
    from opportunity_versions as versions
    inner join generate_series(timestamp '{first}', timestamp '{last}', interval '1 day') as days (day)
        on versions.valid_from_at < days.day + interval '1 day' and versions.valid_to_at >= days.day + interval '1 day'
"""

DAILY_CUBE = """
    create table daily_cube as
    select weeks.period_start_on, weeks.week_of_period, copies.owner_id, copies.forecast_category, copies.stage,
        count(*) as open_count, sum(copies.reporting_amount) as open_amount
    from daily_copies as copies
    inner join pipeline_weeks as weeks on copies.on_day = weeks.on_day - 1
    where not copies.is_closed and not copies.is_deleted
    group by all
"""


def report(found: Measured, small: Measured | None) -> bool:
    """Print one size, and whether it keeps within the limits."""
    print(
        f"\n{found.size:,} opportunities, {found.version_count:,} versions; the cube has {found.cube_count:,} cells, "
        f"the deal states {found.state_count:,} rows; {found.memory_mb:,.0f} MB of memory "
        f"and {found.disk_mb:,.0f} MB of disk at peak; on the clock {found.wall[0]:.0f} s and {found.wall[1]:.0f} s"
    )
    for stage, seconds in found.full.items():
        again = found.increment[stage]
        print(f"    {stage:22}{seconds:9.1f} s   after 1 % changed {again:7.1f} s   ratio {again / seconds:.3f}")
    for name, seconds in found.other.items():
        print(f"    {name:22}{seconds:9.1f} s   {seconds / found.full['cube']:.1f}× the cube")
    made, remade = found.full[WHOLE], found.increment[WHOLE]
    limits = [("megabytes of memory at peak", found.memory_mb, MEMORY_LIMIT_MB)]
    if found.size >= LAST_DAILY_SIZE:
        limits.append(("the history after 1 % changed, against all of it anew", remade / made, INCREMENT_LIMIT))
    if small is not None:
        base = small.full[WHOLE] / small.size
        limits.append((f"seconds per opportunity, against {small.size:,}", made / found.size / base, GROWTH_LIMIT))
    is_fine = all(_kept_to(name, value, at_most=limit) for name, value, limit in limits)
    if found.size == LAST_DAILY_SIZE:
        ratio = found.other["cube by daily copies"] / found.full["cube"]
        is_fine &= _kept_to("the cube's gain over daily copies", ratio, at_least=DAILY_LIMIT)
    return is_fine


def _kept_to(name: str, value: float, *, at_most: float = float("inf"), at_least: float = 0.0) -> bool:
    is_fine = at_least <= value <= at_most
    limit = f"at most {at_most:g}" if at_least == 0.0 else f"at least {at_least:g}"
    print(f"{'ok ' if is_fine else 'NOT'} {name}: {value:,.2f} ({limit})")
    return is_fine


def main(sizes: list[int]) -> int:
    is_fine, small = True, None
    print("History: versions, weekly cube and pipeline movement out of landed rows")
    for size in sizes:
        with get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure, (size,))
        is_fine &= report(found, small if size > LAST_DAILY_SIZE else None)
        small = found if size == LAST_DAILY_SIZE else small
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main([int(text.replace("_", "")) for text in sys.argv[1:]] or list(SIZES)))
