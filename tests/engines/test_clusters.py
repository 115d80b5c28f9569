"""An edition is the same when a cluster rebuilt the history, asked over Spark Connect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.contracts import PUBLISHED_TABLES
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.simulate import simulate
from pipelines.warehouse import editions
from tests.engines.clusters import Cluster, spark_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if shutil.which("java") is None:
        assert not os.environ.get("CI"), "CI has Java installed"
        pytest.skip("Java is missing: apt-get install openjdk-17-jre-headless")
    conf = tmp_path_factory.mktemp("conf")
    shutil.copy(Path(__file__).with_name("spark-defaults.conf"), conf)
    with spark_cluster(tmp_path_factory.mktemp("cluster"), conf) as running:
        yield running


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """As small as a company with every table can be: a cluster's rounds cost more than its rows."""
    folder = tmp_path_factory.mktemp("company")
    simulate(folder / "exports", reps=2, quarters=2, seed=4, layout="canonical", progress=Silent())
    workspace = Workspace(folder / "workspace")
    runs.ingest(workspace, sorted(path for path in (folder / "exports").iterdir() if path.is_file()), Silent())
    return workspace


def test_a_cluster_makes_the_same_edition(cluster: Cluster, company: Workspace, tmp_path: Path) -> None:
    """The command itself, in a process of its own: a session over Connect and one of local Spark exclude each other."""
    ours = runs.publish(company, Silent())
    elsewhere = Workspace(tmp_path / "workspace")
    elsewhere.root.mkdir()
    shutil.copy(company.landing, elsewhere.landing)
    command = ["-m", "pipelines.cli", "publish", "--workspace", str(elsewhere.root)]
    finished = subprocess.run(
        [sys.executable, *command, "--engine", "spark", "--spark-master", cluster.connect],
        env=cluster.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    theirs = editions.current(elsewhere)
    assert theirs is not None
    assert theirs.edition_id == ours.edition_id
    for name in PUBLISHED_TABLES:
        if name != "edition":
            assert editions.read(theirs, name).equals(editions.read(ours, name)), name
