"""Spark: the statements run in a session of this process or on a cluster, in a database that is dropped at the end.

Instants are without a zone, as everywhere here; a session's own zone is UTC. Every table is kept as Parquet in the
session's warehouse, and frames travel as Arrow.
"""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import polars as pl
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import SparkSession

from pipelines.errors import TrustError
from pipelines.settings import Settings
from pipelines.warehouse.engines.remote import Remote, reversed_bytes

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.cteRecursionLevelLimit": "1000",
    "spark.sql.cteRecursionRowLimit": "-1",
}
"""What the statements rely on, whoever's session it is."""

_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


class Spark(Remote):
    """One session, one database. ``master``: ``local[*]``, a cluster's URL, or ``sc://host`` for Spark Connect."""

    name: ClassVar[str] = "spark"

    def __init__(self, master: str, settings: Settings, scratch: Path) -> None:
        """Errors: TrustError when no session can be had there."""
        self.database = f"forecast_trust_{secrets.token_hex(6)}"
        self._master = master
        is_local = master.startswith("local")
        builder: Any = SparkSession.builder.appName("forecast-trust")
        builder = builder.remote(master) if master.startswith("sc://") else builder.master(master)
        for name, value in {**_SETTINGS, **(_LOCAL if is_local else {})}.items():
            builder = builder.config(name, value)
        if is_local:
            builder = builder.config("spark.local.dir", str(scratch))
            builder = builder.config("spark.sql.warehouse.dir", str(scratch / "spark-warehouse"))
            builder = builder.config("spark.driver.memory", _java_size(settings.memory_limit))
        try:
            self._session: SparkSession = builder.getOrCreate()
            for name, value in _SETTINGS.items():
                self._session.conf.set(name, value)
            place = f" location '{scratch / self.database}'" if is_local else ""
            self._session.sql(f"create database {self.database}{place}")
            self._session.sql(f"use {self.database}")
            self.shares_disk = is_local
            self._folder = scratch
            self._laid: dict[str, Path] = {}
        except ImportError as error:  # pyspark without its Connect client
            raise TrustError(
                f"Spark Connect is not installed ({error.name or 'grpcio'} is missing).",
                "Run pip install 'forecast-trust[spark]', then the command again.",
            ) from error
        except (PySparkException, Py4JError) as error:
            raise TrustError(
                f"No Spark session can be had at {self.place(master)}: {_told(error)}",
                "Check --spark-master and that the cluster is running; without it Spark runs on this machine.",
            ) from None

    def run(self, text: str) -> None:
        with _plainly():
            self._session.sql(text)

    def rows(self, text: str) -> pl.DataFrame:
        with _plainly():
            fetched = pl.from_arrow(self._session.sql(text).toArrow())
        if not isinstance(fetched, pl.DataFrame):
            raise TypeError("a query's rows are a frame")
        kinds: dict[str, pl.DataType] = {
            name: pl.Int64() if kind.is_integer() else pl.Datetime("us")
            for name, kind in fetched.schema.items()
            if kind.is_integer() or isinstance(kind, pl.Datetime)
        }
        return fetched.cast(kinds)  # type: ignore[arg-type]

    def make_from(self, table: str, text: str) -> None:
        self.run(f"create table {table} using parquet as {text}")

    def lay(self, table: str, frame: pl.DataFrame) -> None:
        self.run(f"drop table if exists {table}")
        declared = ", ".join(f"{name} {column_kind(kind)}" for name, kind in frame.schema.items())
        place = ""
        self._laid.pop(table, None)
        if self.shares_disk:
            folder = self._folder / f"laid-{table}-{secrets.token_hex(4)}"
            folder.mkdir()
            self._laid[table] = folder
            place = f" location '{folder}'"
        self.run(f"create table {table} ({declared}) using parquet{place}")
        self.extend(table, frame)

    def extend(self, table: str, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        if table in self._laid:  # on this machine a file is read where it lies, without a job
            frame.write_parquet(self._laid[table] / f"part-{secrets.token_hex(8)}.parquet")
            self.run(f"refresh table {table}")
            return
        with _plainly():
            self._session.createDataFrame(frame.to_arrow()).write.insertInto(table)

    def settle(self, table: str) -> None:
        """Nothing: Parquet tells what it holds."""

    def own_tables(self, history: str, names: Sequence[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in names:
            for path in (f"{history.rstrip('/')}/{name}", f"{history.rstrip('/')}/{name}.parquet"):
                try:
                    with _plainly():
                        source = self._session.read.parquet(path)
                        found[name] = set(source.columns)
                        source.createOrReplaceTempView(f"own_{name}")
                    break
                except AnalysisException as error:
                    if "PATH_NOT_FOUND" not in str(error.getCondition()):
                        raise TrustError(
                            f"{name} at {self.place(history)} cannot be read as Parquet: {_told(error)}",
                            "Name a folder that holds one Parquet file or folder per table.",
                        ) from error
        return found

    def place(self, history: str) -> str:
        """An address without user and password."""
        parts = urlsplit(history)
        if not parts.scheme or "@" not in parts.netloc:
            return history
        return parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]).geturl()

    def columns(self, table: str) -> tuple[str, ...]:
        with _plainly():
            return tuple(self._session.table(table).columns)

    def text_parts(self, table: str, columns: Sequence[str]) -> list[str]:
        kinds = self.rows(f"select {', '.join(columns)} from {table} limit 0").schema
        return [
            f"'{name}=' || {_number_text(name) if kinds[name] == pl.Float64 else f'cast({name} as string)'}"
            for name in columns
        ]

    def halves(self, digest: str) -> tuple[str, str]:
        low, high = (f"cast(conv({reversed_bytes(digest, first)}, 16, -10) as bigint)" for first in (1, 17))
        return low, high

    def close(self) -> None:
        try:
            self._session.sql("use default")
            self._session.sql(f"drop database if exists {self.database} cascade")
        except (PySparkException, Py4JError):
            return  # the cluster is gone: the database's name tells whose it was
        finally:
            self._session.stop()


def _number_text(name: str) -> str:
    """A number as DuckDB writes it: ``0.5``, ``1.0``, ``1.25e-05``. Java writes 5.0E-4 for 0.0005, and 2.0E7 too."""
    plain = f"cast({name} as string)"
    mantissa = f"regexp_replace(substring_index({plain}, 'E', 1), '[.]0$', '')"
    exponent = f"cast(substring_index({plain}, 'E', -1) as int)"
    decimals = f"rtrim('0', cast(cast({name} as decimal(38, 20)) as string))"
    return (
        f"case when instr({plain}, 'E') = 0 then {plain} "
        f"when abs({name}) >= 0.0001 and abs({name}) < 10000000000000000 "
        f"then case when {decimals} like '%.' then {decimals} || '0' else {decimals} end "
        f"else {mantissa} || 'e' || case when {exponent} < 0 then '-' else '+' end "
        f"|| lpad(cast(abs({exponent}) as string), greatest(2, length(cast(abs({exponent}) as string))), '0') end"
    )


def column_kind(kind: pl.DataType) -> str:
    """How a column of a frame is declared."""
    if isinstance(kind, pl.Decimal):
        return f"decimal({kind.precision}, {kind.scale})"
    plain = {
        pl.String: "string", pl.Date: "date", pl.Datetime: "timestamp_ntz", pl.Float64: "double", pl.Int64: "bigint",
        pl.Int32: "int", pl.Boolean: "boolean", pl.Null: "string",
    }  # fmt: skip
    return plain[kind.base_type()]


def _java_size(memory_limit: str) -> str:
    """``4GB`` → ``4g``: the driver's share of the memory on this machine."""
    found = re.fullmatch(r"\s*(\d+)\s*([KMG])i?B\s*", memory_limit, re.IGNORECASE)
    return f"{found[1]}{found[2].lower()}" if found else "2g"


def _told(error: BaseException) -> str:
    """The first line of what Spark says, as a sentence."""
    lines = str(error).strip().splitlines()
    line = lines[0][:200] if lines else type(error).__name__
    return line if line.endswith(".") else f"{line}."


@contextmanager
def _plainly() -> Iterator[None]:
    """What a cluster may do, in two sentences; a wrong statement is a fault of the program and passes through."""
    try:
        with warnings.catch_warnings():
            # PySpark warns of every pandas newer than itself; nothing here goes through pandas.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            yield
    except (AnalysisException, ParseException):
        raise
    except (PySparkException, Py4JError) as error:
        raise TrustError(
            f"Spark failed: {_told(error)}", "Nothing was published; look at the session's log, then publish again."
        ) from error
