"""Columns that no table has are kept in landing and ignored: they make no row a changed one."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from pipelines.ingest import ingest_paths
from pipelines.progress import Silent
from pipelines.settings import Workspace

HEAD = "Lead Score,opportunity_id,owner_id,created_on,close_on,stage,amount,Fit"


def ingest(workspace: Workspace, path: Path, *lines: str) -> tuple[int, int]:
    path.write_text("\n".join((HEAD, *lines)) + "\n", encoding="utf-8")
    (report,) = ingest_paths(workspace, [path], progress=Silent())
    return report.accepted_count, report.unchanged_count


def test_other_columns_are_kept_as_written_and_change_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    rows = ("7,1,ann,2026-01-05,2026-03-01,Proposal,100,good", ",2,ann,2026-01-06,2026-03-01,Proposal,50,")
    assert ingest(workspace, tmp_path / "a.csv", *rows) == (2, 0)
    with duckdb.connect(str(workspace.landing), read_only=True) as con:
        kept = dict(con.execute("select opportunity_id, other_columns from landed_opportunities").fetchall())
    assert json.loads(kept["1"]) == {"Lead Score": "7", "Fit": "good"}
    assert kept["2"] is None
    assert ingest(workspace, tmp_path / "b.csv", rows[0].replace("good", "poor"), rows[1]) == (0, 2)
    assert ingest(workspace, tmp_path / "c.csv", rows[0].replace("100", "120"), rows[1]) == (1, 1)
