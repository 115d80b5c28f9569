"""One simulated company, one server and one browser for all browser tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
from tests.browser import harness
from tests.browser.harness import Chromium, Server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    if harness.chromium() is None:
        pytest.skip(harness.HOW_TO_GET_CHROMIUM)
    with harness.browsing() as opened:
        yield opened


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published workspace: a small simulated company, through the same door as a customer's files."""
    root = tmp_path_factory.mktemp("company") / "workspace"
    runs.demo(Workspace.at(root), Silent(), reps=12, quarters=8, seed=3)
    return root


@pytest.fixture(scope="session")
def server(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with harness.serving(company, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def forecaster(company: Path) -> str:
    """The id of somebody with a record."""
    ref = editions.current(Workspace.at(company))
    assert ref is not None
    return str(editions.read(ref, "forecaster_bias", where={"status": "ok", "layer": "rep"})["forecaster_id"][0])


@pytest.fixture(scope="session")
def deal(company: Path) -> str:
    """The id of an open deal that is worth a look."""
    ref = editions.current(Workspace.at(company))
    assert ref is not None
    return str(editions.read(ref, "deals", where={"is_past_due": True})["opportunity_id"][0])


@pytest.fixture(scope="session")
def named(forecaster: str, deal: str) -> dict[str, str]:
    """What the addresses of pages name."""
    return {"forecaster": forecaster, "deal": deal}
