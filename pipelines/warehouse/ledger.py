"""Whether what an edition was made from is still there: its input files against the landing's ledger."""

from __future__ import annotations

import duckdb
import polars as pl

from pipelines.contracts import INPUT_TABLES
from pipelines.errors import WorkspaceError
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from pipelines.warehouse.editions import EditionRef, Finding
from pipelines.warehouse.store import connect, faults_of, frame

NAMED = 3


def verify_inputs(workspace: Workspace, ref: EditionRef) -> list[Finding]:
    """Every input file of the edition is in the ledger by its sha256, and each landed file's rows are all still there.

    Reads the landing without writing. Errors: WorkspaceError when it is not there, in use by another process, or
    damaged.
    """
    if not workspace.landing.exists():
        raise WorkspaceError(
            f"{workspace.landing.name} is not in {workspace.root}, so that the edition's files cannot be looked up.",
            "Restore it from a backup; the edition itself can be read without it.",
        )
    inputs = editions.read(ref, "inputs")
    con = connect(workspace.landing, workspace.settings(), read_only=True)
    try:
        with faults_of(workspace.landing):
            ledger = frame(con, "select load_id, file_name, table_name, sha256, accepted_count, status from loads")
            kept = _rows_kept(con)
    finally:
        con.close()
    lost = inputs.join(ledger, on=["sha256", "table_name"], how="anti", nulls_equal=True)["file_name"].to_list()
    used = ledger.filter(pl.col("status") == "landed").join(inputs, on=["sha256", "table_name"], how="semi")
    short = used.join(kept, on=["load_id", "table_name"], how="left").filter(
        (pl.col("accepted_count") > 0)
        & (pl.col("kept_count").is_null() | (pl.col("kept_count") < pl.col("accepted_count")))
    )
    return [
        Finding("its files are in the landing's ledger, by sha256", not lost, _named(lost, inputs.height, "file")),
        Finding(
            "their rows are all still landed",
            short.is_empty(),
            _named(short["file_name"].to_list(), used.height, "file"),
        ),
    ]


def _rows_kept(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Load × table: rows in the landing now."""
    counts = [
        frame(
            con,
            f"select load_id, $table_name as table_name, count(*) as kept_count from landed_{name} group by load_id",
            {"table_name": name},
        )
        for name in INPUT_TABLES
    ]
    return pl.concat(counts)


def _named(lost: list[str], count: int, noun: str) -> str:
    if lost:
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        return f"not found: {', '.join(lost[:NAMED])}{more}"
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
