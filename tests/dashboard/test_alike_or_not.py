"""Two companies with planted truth, from files to sentences: one whose reps are all alike and all call 15 % high, one
whose reps differ. What the pages conclude of each must be right, in figures and in words.

Both are the product's simulator, which shares nothing with the engine; the truth is read from what it planted.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dashboard import wording
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse import editions
from tests.dashboard.conftest import Open
from tests.dashboard.test_app import words
from tests.dashboard.test_pipeline_pages import drawn

REPS, QUARTERS = 20, 12
COMMON_LEAN = 0.15
LANDS_AT = 1 / (1 + COMMON_LEAN)
"""Who calls 15 % high lands 87 cents of each unit called."""


def published(folder: Path, *, alike: bool) -> tuple[Workspace, Path]:
    if alike:
        simulate(folder / "files", reps=REPS, quarters=QUARTERS, seed=11, identical=True, common_lean=COMMON_LEAN)
    else:
        simulate(folder / "files", reps=REPS, quarters=QUARTERS, seed=11, lean_spread=0.35)
    workspace = Workspace.at(folder / "workspace")
    runs.ingest(workspace, [path for path in sorted((folder / "files").iterdir()) if path.is_file()], Silent())
    runs.publish(workspace, Silent())
    return workspace, folder / "files" / "truth"


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    return published(tmp_path_factory.mktemp("alike"), alike=True)


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    return published(tmp_path_factory.mktemp("different"), alike=False)


def read(workspace: Workspace, table: str, **where: object) -> pl.DataFrame:
    ref = editions.current(workspace)
    assert ref is not None
    return editions.read(ref, table, where={"layer": "rep", "category": "commit", **where})


def company(workspace: Workspace) -> dict[str, object]:
    return read(workspace, "team_bias", scope="company", week_of_period=3).row(0, named=True)


def of_reps(workspace: Workspace) -> pl.DataFrame:
    return read(workspace, "forecaster_bias", week_of_period=3).drop_nulls("estimate")


def trust_page(open_app: Open, workspace: Workspace) -> str:
    at = open_app(workspace.root)
    assert not at.exception
    return wording.plain(words(at)).replace("\\", "").replace("*", "")


def forecasters_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    return wording.plain(words(drawn(workspace.root, "forecasters", monkeypatch))).replace("\\", "").replace("*", "")


def test_of_reps_who_are_alike_no_difference_is_found(alike: tuple[Workspace, Path]) -> None:
    workspace, _ = alike
    team = company(workspace)
    assert team["heterogeneity_p_value"] > 0.05  # type: ignore[operator]
    assert team["upper"] < 1, "the common lean is found"  # type: ignore[operator]
    assert abs(float(str(team["estimate"])) / LANDS_AT - 1) < 0.08, "and is what was planted, to a few cents"
    reps = of_reps(workspace)
    assert reps.height > 12
    assert reps.filter(pl.col("direction") == "runs_low").is_empty(), "nobody is said to call low"
    spread = float(str(reps["estimate"].log().std()))
    assert spread < 0.05, "everybody is drawn to the one lean they share"
    assert (reps["estimate"] / LANDS_AT - 1).abs().max() < 0.12  # type: ignore[operator]


def test_the_page_says_so_and_ranks_nobody(
    alike: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch, open_app: Open
) -> None:
    said = forecasters_page(alike[0], monkeypatch)
    assert "No evidence that the" in said
    assert "One lean fits all of them" in said
    assert "Forecasters differ by more than chance" not in said
    assert "calls at this week run high" in trust_page(open_app, alike[0])


def test_of_reps_who_differ_the_difference_is_found_and_signs_are_right(different: tuple[Workspace, Path]) -> None:
    workspace, truth = different
    team = company(workspace)
    assert team["heterogeneity_p_value"] < 0.01  # type: ignore[operator]
    planted = truth_of(truth)
    reps = of_reps(workspace).join(planted, on="forecaster_id")
    assert reps.height > 12
    said = reps.filter(pl.col("direction").is_in(["runs_high", "runs_low"]))
    wrong = said.filter((pl.col("direction") == "runs_high") != (pl.col("planted") < 1))
    assert said.height >= 4, "with a spread of a third, some are far out"
    assert wrong.height <= 1, "a label's sign is the planted one"
    held = reps.select(pl.col("planted").is_between(pl.col("lower"), pl.col("upper")).mean()).item()
    assert held >= 0.6, "80 % ranges: fewer than three in five seldom happens to honest ones"
    assert reps.select(pl.corr("estimate", "planted", method="spearman")).item() > 0.6


def test_the_page_says_that_they_differ(different: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    said = forecasters_page(different[0], monkeypatch)
    assert "Forecasters differ by more than chance" in said
    assert "No evidence that the" not in said


def truth_of(folder: Path) -> pl.DataFrame:
    """``forecaster_id``, ``planted``: the landing rate planted for each rep's commit at the lock week."""
    rows = pl.read_csv(folder / "forecasters.csv", schema_overrides={"forecaster_id": pl.String}).filter(
        pl.col("layer") == "rep", pl.col("category") == "commit", pl.col("week_of_period") == 3
    )
    return rows.select("forecaster_id", planted="planted_landing_rate")
