"""The arrows between rooms hold, and each rule is shown to catch a planted offence."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# One offence per contract, in the order of pyproject.toml: the file that offends and the line added to it.
OFFENCES = {
    "Screens depend on pipelines, never the other way round": ("pipelines/runs.py", "import dashboard.theme"),
    "Inside pipelines: the command calls runs, runs call rooms, rooms share contracts, policy, settings and errors": (
        "pipelines/warehouse/editions.py",
        "import pipelines.runs",
    ),
    "The engine is arithmetic: no database, no file formats, no screen, no other room": (
        "pipelines/engine/bias.py",
        "import duckdb",
    ),
    "The simulator shares nothing with the engine it is used to test": (
        "pipelines/engine/bias.py",
        "import pipelines.simulate",
    ),
    "Charts and wording draw and speak: no Streamlit, no database": ("dashboard/wording.py", "import streamlit"),
    "Other engines and translation stay behind the seam: their packages are extras": (
        "pipelines/warehouse/history.py",
        "import psycopg",
    ),
}


def _contracts() -> list[str]:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in stated["tool"]["importlinter"]["contracts"]]


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder), "PATH": ""}, capture_output=True, text=True, check=False
    )


def test_every_contract_has_a_planted_offence() -> None:
    assert set(_contracts()) == set(OFFENCES)


@pytest.mark.parametrize("contract", OFFENCES)
def test_a_planted_offence_is_caught(contract: str, tmp_path: Path) -> None:
    for name in ("pipelines", "dashboard"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    offender, line = OFFENCES[contract]
    with (tmp_path / offender).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    result = _lint(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract}BROKEN".replace(" ", "") in "".join(result.stdout.split())  # the report wraps at will
