"""Which engine a publish uses, and how it is opened. What is not installed is named, and where it comes from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import TrustError
from pipelines.settings import Settings
from pipelines.warehouse.engines import Engine
from pipelines.warehouse.engines.embedded import Embedded

if TYPE_CHECKING:
    from pipelines.warehouse.engines.remote import Remote

ENGINES = ("duckdb", "postgres", "spark")

DIALECTS = ("duckdb", "postgres", "spark", "databricks", "snowflake", "bigquery", "trino")
"""Engines whose words the statements can be put in; the first three are also run."""

DSN_VARIABLE = "FORECAST_TRUST_POSTGRES_DSN"


@dataclass(frozen=True)
class EngineChoice:
    """``history``: where the company's own tables lie; a schema (postgres), or a folder or address (spark)."""

    name: str = "duckdb"
    spark_master: str | None = None
    postgres_dsn: str | None = field(default=None, repr=False)
    history: str | None = None


EMBEDDED = EngineChoice()


def open_engine(choice: EngineChoice, landing: Path, settings: Settings, scratch: Path) -> Engine:
    """The engine of that choice, with the landing in reach. Errors: TrustError naming what is missing."""
    if choice.name == "duckdb":
        if choice.history is not None:
            raise TrustError(
                "The embedded engine reads what has landed, and no other history.",
                "Leave --history out, or add --engine spark or --engine postgres.",
            )
        return Embedded.over(landing, settings, scratch)
    try:
        # The extras are imported where they are asked for: nothing else needs them installed.
        from pipelines.warehouse.engines.copying import bring_landing  # noqa: PLC0415

        engine = _postgres(choice) if choice.name == "postgres" else _spark(choice, settings, scratch)
    except ImportError as error:
        raise TrustError(
            f"The {choice.name} engine is not installed ({error.name or error} is missing).",
            f"Run pip install 'forecast-trust[{choice.name}]', then the command again.",
        ) from error
    try:
        bring_landing(engine, landing, settings, choice.history)
    except BaseException:
        engine.close()
        raise
    return engine


def _postgres(choice: EngineChoice) -> Remote:
    from pipelines.warehouse.engines.postgres import Postgres  # noqa: PLC0415

    if not choice.postgres_dsn:
        raise TrustError(
            "No PostgreSQL server is named.",
            "Add --postgres-dsn postgresql://user@host:5432/database, with the password in PGPASSWORD or ~/.pgpass.",
        )
    return Postgres(choice.postgres_dsn)


def _spark(choice: EngineChoice, settings: Settings, scratch: Path) -> Remote:
    if find_spec("pyspark") is None:  # its own name is told, and not that of something it stands on
        raise ModuleNotFoundError("No module named 'pyspark'", name="pyspark")
    from pipelines.warehouse.engines.spark import Spark  # noqa: PLC0415

    master = choice.spark_master or f"local[{settings.threads or '*'}]"
    if not master.startswith("sc://") and not (environ.get("JAVA_HOME") or shutil.which("java")):
        raise TrustError(
            "Spark needs Java, and there is none on this machine.",
            "Install Java 17 (Debian: apt-get install openjdk-17-jre-headless), or name a Spark Connect server with "
            "--spark-master sc://host.",
        )
    return Spark(master, settings, scratch)
