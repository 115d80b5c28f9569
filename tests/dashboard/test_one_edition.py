"""A page is of one edition, whatever becomes the current one while it is drawn."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import answers, shelf
from dashboard.filters import Filters
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions as published
from pipelines.warehouse.editions import EditionRef
from tests.dashboard import editions
from tests.dashboard.conftest import APP, Open, at_page

FILE_ADDRESS = re.compile(r'deferred_file_id: "[0-9a-f]+"')
PAGES = (
    "trust",
    "forecasters",
    "forecaster",
    "deal",
    "pipeline",
    "miss",
    "win-loss",
    "value-added",
    "reconcile",
    "record",
    "data",
    "start",
    "method",
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, EditionRef, EditionRef]]:
    """Two editions that say something else on every page that has something to say."""
    workspace = editions.workspace_of(tmp_path_factory.mktemp("two"), "held")
    first = published.current(workspace)
    editions.publish(workspace, editions.VARIANTS["full"])
    second = published.current(workspace)
    assert first is not None
    assert second is not None
    assert first != second
    yield workspace, first, second
    shutil.rmtree(workspace.root)


def spoken(at: AppTest) -> list[tuple[str, str]]:
    """Everything on a page, in its order; a file's address is its own each time."""
    return [
        (element.type, FILE_ADDRESS.sub("", str(element.proto)))
        for element in at.main
        if element.type not in ("main", "unknown")
    ]


def test_every_page_of_the_site_map_is_looked_at(open_app: Open, full_workspace: Path) -> None:
    at = open_app(full_workspace)
    assert {info.get("url_pathname") or "trust" for info in at._registered_pages.values()} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_mixes_no_two_editions_when_another_becomes_current_while_it_is_drawn(
    page: str, two: tuple[Workspace, EditionRef, EditionRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, first, second = two
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    other = {first.edition_id: second, second.edition_id: first}
    at = AppTest.from_file(str(APP), default_timeout=60)
    at.query_params["forecaster"] = "r01"
    published.make_current(workspace, first)
    at.run()
    at_page(at, "" if page == "trust" else page)
    at_rest = spoken(at)
    plain = Path.read_text
    swaps: list[str] = []

    def read_text(path: Path, *args: Any, **kwargs: Any) -> str:
        said = plain(path, *args, **kwargs)
        if path == workspace.current:
            # The moment after the pointer was read, another edition is published: at every reading, so that no second
            # one within the run could find what the first did.
            swaps.append(said.strip())
            published.make_current(workspace, other[said.strip()])
        return said

    st.cache_data.clear()
    st.cache_resource.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", read_text)
        at.run()
    assert not at.exception
    assert swaps == [first.edition_id], "the pointer is read once in a run"
    assert plain(workspace.current).strip() == second.edition_id
    assert spoken(at) == at_rest


def test_freshness_is_judged_today_for_the_current_edition_of_a_real_company_and_then_for_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = editions.workspace_of(tmp_path, "full")
    real = editions.publish(workspace, replace(editions.VARIANTS["records"], quarters=9))
    older = editions.publish(workspace, editions.VARIANTS["records"])
    published.make_current(workspace, real)
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    offered = shelf.on_offer(workspace)
    simulated = shelf.edition(
        workspace, next(name for name, _ in offered.editions if name not in (real.edition_id, older.edition_id))
    )
    today = max(datetime.now(UTC).date(), real.as_of_at.date())
    assert [offered.judged_on(ref) for ref in (real, older, simulated)] == [today, None, None]
    judged = Filters(real.edition_id, judged_on=offered.judged_on(real))
    assert answers.trust(judged).fresh.judged_on == today
    assert answers.trust(Filters(older.edition_id)).fresh.judged_on == older.as_of_at.date()
