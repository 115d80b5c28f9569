"""The same rows on DuckDB, PostgreSQL and Spark: every table of the history and every question asked of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipelines import runs
from pipelines.contracts import INPUT_TABLES, PUBLISHED_TABLES
from pipelines.errors import TrustError
from pipelines.policy import DEFAULT_POLICY
from pipelines.progress import Silent
from pipelines.settings import Settings, Workspace
from pipelines.warehouse import editions, history
from pipelines.warehouse.deal_lives import deal_lives, stage_exits
from pipelines.warehouse.deal_states import deal_states
from pipelines.warehouse.engines.choice import EMBEDDED, EngineChoice
from pipelines.warehouse.engines.copying import HEAVY_TABLES
from pipelines.warehouse.engines.embedded import Embedded
from pipelines.warehouse.engines.remote import Remote
from pipelines.warehouse.landing import Landing
from pipelines.warehouse.landing_looks import landing_looks, members_by_week
from pipelines.warehouse.miss_facts import known_since, ledgers, members_at_end, miss_facts
from pipelines.warehouse.prepared import Prepared
from pipelines.warehouse.restated import corrected_values
from tests.engines.companies import simulated, ugly
from tests.engines.servers import postgres_binaries, postgres_server

MADE = (
    "opportunity_rows", "opportunity_history", "opportunity_states", "opportunity_seen", "opportunity_extracts",
    "opportunity_changes", "opportunity_openings", "opportunity_closings", "opportunity_events",
    "opportunity_versions", "stage_flags", "fx_days", "calendar_days", "people_spans", "lineage", "won_deals",
    "actuals", "calls", "record_calls", "quotas_in_force", "weeks", "expected_calls", "movement_path",
    "movement_steps", "movement_stood", "movement_moved", "weekly_sums", "visible_loads", "opportunity_absences",
    "version_corrections", "reported_versions", "seen_versions", "frozen_versions",
)  # fmt: skip
"""Tables of the rebuild itself, beside the published ones."""

FROM_FILES = ("inputs", "rejected_rows", "table_status")
"""Published tables that tell of files and lines: a table that lies elsewhere has none."""


@pytest.fixture(scope="session")
def companies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workspace]:
    folder = tmp_path_factory.mktemp("companies")
    return {"ugly": ugly(folder / "ugly"), "simulated": simulated(folder / "simulated")}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    if postgres_binaries() is None:
        assert not os.environ.get("CI"), "CI has PostgreSQL installed"
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with postgres_server() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> EngineChoice:
    if shutil.which("java") is None:
        assert not os.environ.get("CI"), "CI has Java installed"
        pytest.skip("Java is missing: apt-get install openjdk-17-jre-headless")
    conf = tmp_path_factory.mktemp("conf")
    shutil.copy(Path(__file__).with_name("spark-defaults.conf"), conf)
    os.environ["SPARK_CONF_DIR"] = str(conf)
    return EngineChoice("spark", spark_master="local[2]")


def comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """Whole numbers and money in one width: engines choose their own. Hashes of the landing are texts elsewhere.

    A number in coded text (``4=1.0``) is written as each engine writes it, and read back when the versions are made.
    """
    frame = frame.drop("key_hash", "row_hash", strict=False)
    coded = [name for name in ("probability_rate", "first_probability_rate") if frame.schema.get(name) == pl.String]
    frame = frame.with_columns(pl.col(name).str.strip_prefix("=").str.replace(r"^\d=", "") for name in coded)
    frame = frame.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in coded)
    wide = {
        name: pl.Int64() if kind.is_integer() else pl.Decimal(38, 10)
        for name, kind in frame.schema.items()
        if kind.is_integer() or isinstance(kind, pl.Decimal)
    }
    frame = frame.cast(wide).select(sorted(frame.columns))  # type: ignore[arg-type]
    return frame.sort(frame.columns, nulls_last=True)


def everything_of(prepared: Prepared) -> dict[str, pl.DataFrame]:
    """Every table published, every table on the way there, and every answer a measure asks for."""
    policy = DEFAULT_POLICY
    states = deal_states(prepared, [0, 3, 12], policy)
    lock = states.filter(pl.col("week_of_period") == policy.lock_week, pl.col("period_status") == "closed")
    won, booked = ledgers(prepared)
    since = known_since(prepared)
    asked = {
        "deal_states": states,
        "deal_lives": deal_lives(prepared, policy),
        "stage_exits": stage_exits(prepared),
        "landing_looks": landing_looks(prepared, [0, 5]),
        "members_by_week": members_by_week(prepared, 2, policy),
        "members_at_end": members_at_end(prepared),
        "miss_facts": miss_facts(prepared, lock, policy),
        "corrected_values": corrected_values(prepared),
        "won_ledger": won,
        "booking_ledger": booked,
        "known_since": pl.DataFrame(sorted(since.items()), schema=["field", "since_at"], orient="row"),
    }
    made = {f"made {name}": prepared.engine.frame(f"select * from {name}") for name in MADE}
    return {name: comparable(frame) for name, frame in {**prepared.tables(), **asked, **made}.items()}


def what_counts_of(prepared: Prepared) -> dict[str, pl.DataFrame]:
    """The versions, what is published of them, and the two largest answers."""
    lives, states = deal_lives(prepared, DEFAULT_POLICY), deal_states(prepared, [0, 3, 12], DEFAULT_POLICY)
    asked = {"made opportunity_versions": prepared.versions(), "deal_lives": lives, "deal_states": states}
    return {name: comparable(frame) for name, frame in {**prepared.tables(), **asked}.items()}


def rebuilt(
    workspace: Workspace,
    choice: EngineChoice,
    asked: Callable[[Prepared], dict[str, pl.DataFrame]] = everything_of,
) -> tuple[str, dict[str, pl.DataFrame]]:
    if choice == EMBEDDED:
        return plainly_rebuilt(workspace)
    with (
        tempfile.TemporaryDirectory() as folder,
        history.build(workspace, None, DEFAULT_POLICY, workspace.settings(), Path(folder), choice=choice) as prepared,
    ):
        return prepared.input_digest, asked(prepared)


def plainly_rebuilt(workspace: Workspace) -> tuple[str, dict[str, pl.DataFrame]]:
    """The embedded engine from nothing: a publish goes on from what the last one left, and drops what is on the way."""
    with tempfile.TemporaryDirectory() as folder:
        settings = workspace.settings()
        engine = Embedded.over(workspace.landing, settings, Path(folder))
        with history.rebuild(engine, None, DEFAULT_POLICY, settings) as prepared:
            return prepared.input_digest, everything_of(prepared)


@pytest.fixture(scope="session")
def reference(companies: dict[str, Workspace]) -> dict[str, tuple[str, dict[str, pl.DataFrame]]]:
    """What the embedded engine makes of each company."""
    return {name: rebuilt(workspace, EMBEDDED) for name, workspace in companies.items()}


def assert_same_rows(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert set(found) == set(expected)
    for name, rows in expected.items():
        other = found[name]
        assert other.columns == rows.columns, name
        other = other.cast(rows.schema)  # type: ignore[arg-type]
        only_here = rows.join(other, on=rows.columns, how="anti", nulls_equal=True)
        only_there = other.join(rows, on=rows.columns, how="anti", nulls_equal=True)
        assert other.equals(rows), (
            f"{name}: DuckDB alone {only_here.head(3).to_dicts()}, it {only_there.head(3).to_dicts()}"
        )


def test_the_ugly_company_is_ugly(reference: dict[str, tuple[str, dict[str, pl.DataFrame]]]) -> None:
    """What is to be compared is there: no table of the comparison is empty for want of rows."""
    tables = reference["ugly"][1]
    assert [name for name, rows in tables.items() if rows.is_empty()] == []
    rejected = set(tables["rejected_rows"]["value"])
    assert {"a lot", "2026-02-29", "2100-02-29", "2026-04-31", "tomorrow", "1.5", "high", "perhaps"} <= rejected
    assert {"won", "lost", "no_decision", "open"} <= set(tables["deal_lives"]["outcome"])
    assert {"reopened", "pulled_in", "pushed_out", "currency", "deleted", "owner_in"} <= set(
        tables["pipeline_movement"]["movement"]
    )


@pytest.mark.parametrize("company", ["ugly", "simulated"])
def test_postgres_makes_the_same_rows(
    company: str,
    companies: dict[str, Workspace],
    server: str,
    reference: dict[str, tuple[str, dict[str, pl.DataFrame]]],
) -> None:
    digest, tables = rebuilt(companies[company], EngineChoice("postgres", postgres_dsn=server))
    assert_same_rows(tables, reference[company][1])
    assert digest == reference[company][0]


def test_spark_makes_the_same_rows(
    companies: dict[str, Workspace],
    spark: EngineChoice,
    reference: dict[str, tuple[str, dict[str, pl.DataFrame]]],
) -> None:
    digest, tables = rebuilt(companies["ugly"], spark)
    assert_same_rows(tables, reference["ugly"][1])
    assert digest == reference["ugly"][0]


# A history that lies in an engine of the company's own


@pytest.fixture(scope="session")
def divided(
    companies: dict[str, Workspace], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, dict[str, pl.DataFrame]]:
    """The simulated company in two places: a workspace with what is small, and the heavy tables as frames."""
    whole = companies["simulated"]
    small = Workspace(tmp_path_factory.mktemp("small") / "workspace")
    heavy: dict[str, pl.DataFrame] = {}
    with Landing.open(whole) as source, Landing.open(small) as target:
        for number, (name, table) in enumerate(INPUT_TABLES.items()):
            rows = source.rows(name)
            if name in HEAVY_TABLES:
                stated = [column for column in table.columns if column in table.required or rows[column].count()]
                heavy[name] = rows.sort("load_id").unique(list(table.key), keep="last").select(stated)
            elif rows.height:
                empty = source.rejected_rows().drop("load_id").clear()
                target.land(
                    file_name=f"{name}.csv", table=name, mapping_name="generic", sha256=f"{number:064d}",
                    batches=[(rows.drop("load_id"), empty)],
                )  # fmt: skip
    return small, heavy


def expected_of(whole: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The rows that do not tell of files."""
    without = {"load_id", "line"}
    kept = {name: rows for name, rows in whole.items() if name not in FROM_FILES and name != "made visible_loads"}
    return {name: comparable(rows.drop(without & set(rows.columns))) for name, rows in kept.items()}


def test_postgres_reads_a_schema_of_the_companys_own(
    divided: tuple[Workspace, dict[str, pl.DataFrame]],
    server: str,
    reference: dict[str, tuple[str, dict[str, pl.DataFrame]]],
) -> None:
    from pipelines.warehouse.engines.postgres import Postgres

    small, heavy = divided
    keeper = Postgres(server)
    try:
        for name, rows in heavy.items():
            keeper.lay(name, rows)
        choice = EngineChoice("postgres", postgres_dsn=server, history=keeper.schema)
        _, tables = rebuilt(small, choice)
    finally:
        keeper.close()
    assert_same_rows(expected_of(tables), expected_of(reference["simulated"][1]))
    assert {"opportunities (postgres)", "activities (postgres)"} <= set(tables["inputs"]["file_name"])


def test_spark_reads_parquet_where_it_lies(
    divided: tuple[Workspace, dict[str, pl.DataFrame]],
    spark: EngineChoice,
    tmp_path: Path,
    reference: dict[str, tuple[str, dict[str, pl.DataFrame]]],
) -> None:
    """One table as a file, one as a folder of files."""
    small, heavy = divided
    for name, rows in heavy.items():
        if name == "opportunity_history":
            (tmp_path / name).mkdir()
            for number, part in enumerate(rows.iter_slices(rows.height // 3 + 1)):
                part.write_parquet(tmp_path / name / f"part-{number}.parquet")
        else:
            rows.write_parquet(tmp_path / f"{name}.parquet")
    _, tables = rebuilt(small, replace(spark, history=str(tmp_path)), what_counts_of)
    whole = {name: rows for name, rows in reference["simulated"][1].items() if name in tables}
    assert_same_rows(expected_of(tables), expected_of(whole))


def test_an_edition_is_the_same_whichever_engine_rebuilt_the_history(
    companies: dict[str, Workspace], server: str
) -> None:
    """Beyond the history: the measures work on what came back, and its digest names the edition."""
    workspace = companies["simulated"]
    ours = runs.publish(workspace, Silent())
    theirs = runs.publish(workspace, Silent(), engine=EngineChoice("postgres", postgres_dsn=server))
    assert ours.input_digest == theirs.input_digest
    for name in PUBLISHED_TABLES:
        if name != "edition":
            assert editions.read(theirs, name).equals(editions.read(ours, name)), name


# What goes wrong is said in two sentences, and leaves nothing behind


def schemas(server: str) -> set[str]:
    import psycopg

    with psycopg.connect(server) as con:
        rows = con.execute("select schema_name from information_schema.schemata").fetchall()
    return {name for (name,) in rows if name.startswith("forecast_trust")}


def test_nothing_is_left_on_the_server(companies: dict[str, Workspace], server: str) -> None:
    assert schemas(server) == set()
    with pytest.raises(TrustError, match=r"no table opportunities at schema elsewhere"):
        rebuilt(companies["ugly"], EngineChoice("postgres", postgres_dsn=server, history="elsewhere"))
    assert schemas(server) == set()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda rows: rows.drop("owner_id"), "opportunities at schema .* has no column owner_id"),
        (
            lambda rows: rows.with_columns(owner_id=pl.lit(None, pl.String)),
            r"opportunities at schema .* has no owner_id in [\d,]+ rows",
        ),
        (lambda rows: pl.concat([rows, rows.head(2)]), "holds 2 keys .* more than once"),
        (
            lambda rows: rows.with_columns(forecast_category=pl.lit("sure")),
            "a forecast_category that is none of those known",
        ),
        (
            lambda rows: rows.with_columns(probability_rate=pl.lit(7.0)),
            "a probability_rate that is not between 0 and 1",
        ),
    ],
)
def test_a_table_that_will_not_do_is_refused(
    spoil: object, problem: str, divided: tuple[Workspace, dict[str, pl.DataFrame]], server: str
) -> None:
    from pipelines.warehouse.engines.postgres import Postgres

    small, heavy = divided
    keeper = Postgres(server)
    try:
        keeper.lay("opportunities", spoil(heavy["opportunities"]))  # type: ignore[operator]
        with pytest.raises(TrustError, match=problem):
            rebuilt(small, EngineChoice("postgres", postgres_dsn=server, history=keeper.schema))
    finally:
        keeper.close()


def test_a_table_in_two_places_is_refused(
    companies: dict[str, Workspace], divided: tuple[Workspace, dict[str, pl.DataFrame]], server: str
) -> None:
    from pipelines.warehouse.engines.postgres import Postgres

    keeper = Postgres(server)
    try:
        keeper.lay("opportunities", divided[1]["opportunities"])
        with pytest.raises(TrustError, match="have landed in this workspace, and they lie at"):
            rebuilt(companies["simulated"], EngineChoice("postgres", postgres_dsn=server, history=keeper.schema))
    finally:
        keeper.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://trust:s3cret@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 user=trust password=s3cret",
        "password=s3cret nonsense s3cret",
        "postgresql://trust:s3cret@[broken/none",
    ],
)
def test_a_server_out_of_reach_is_named_without_its_password(dsn: str, companies: dict[str, Workspace]) -> None:
    choice = EngineChoice("postgres", postgres_dsn=dsn)
    assert "s3cret" not in repr(choice)
    with pytest.raises(TrustError) as caught:
        rebuilt(companies["ugly"], choice)
    told = f"{caught.value.problem} {caught.value.remedy}"
    assert "s3cret" not in told
    assert "PostgreSQL" in told
    assert caught.value.__cause__ is None


EVERY_KIND = pl.DataFrame(
    {
        "text": ["", None, 'Ü "quoted", \\ and\ttabs'],
        "day": [date(1, 1, 1), None, date(9999, 12, 31)],
        "instant": [datetime.fromisoformat("2026-01-02 03:04:05.000678"), None, datetime.fromisoformat("9999-12-31")],
        "money": [Decimal("-0.05"), None, Decimal("9999999999999999.99")],
        "share": [0.1 + 0.2, None, 1e-05],
        "whole": [-1, None, 2**62],
        "flag": [True, None, False],
    },
    schema_overrides={"money": pl.Decimal(18, 2), "instant": pl.Datetime("us")},
)


def assert_keeps(engine: Remote) -> None:
    """What is laid comes back as it was; so does what is added to it, and nothing."""
    for rows in (EVERY_KIND, EVERY_KIND.clear()):
        engine.lay("kept", rows)
        kept = engine.frame("select * from kept")
        assert kept.sort("whole", nulls_last=True).equals(rows.sort("whole", nulls_last=True))
    engine.extend("kept", EVERY_KIND.head(1))
    engine.add("kept", "select * from kept")
    assert engine.frame("select count(*) as n from kept").item() == 2
    assert engine.columns("kept") == tuple(EVERY_KIND.columns)


def test_postgres_keeps_every_kind_of_value(server: str) -> None:
    from pipelines.warehouse.engines.postgres import Postgres

    engine = Postgres(server)
    try:
        assert_keeps(engine)
    finally:
        engine.close()


def test_spark_keeps_every_kind_of_value_on_a_cluster_too(spark: EngineChoice, tmp_path: Path) -> None:
    """On this machine frames become files; where the session shares no disk with us they travel through it."""
    from pipelines.warehouse.engines.spark import Spark

    engine = Spark(spark.spark_master or "", Settings(), tmp_path)
    try:
        assert_keeps(engine)
        engine.shares_disk = False
        assert_keeps(engine)
        assert engine.place("s3a://key:secret@bucket/crm") == "s3a://bucket/crm"
    finally:
        engine.close()


def test_a_folder_without_tables_is_named(companies: dict[str, Workspace], spark: EngineChoice, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="no table opportunities"):
        rebuilt(companies["ugly"], replace(spark, history=str(tmp_path)))
