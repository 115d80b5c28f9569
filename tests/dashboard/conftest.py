"""What several tests of the pages share: an AppTest over a workspace, and the fixed editions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pipelines.settings import WORKSPACE_VARIABLE

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"

Open = Callable[..., AppTest]


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> Open:
    """``open_app(workspace_folder, scope="…")``: the Trust page of that workspace, drawn without a browser."""

    def opened(folder: Path, **query: str) -> AppTest:
        monkeypatch.setenv(WORKSPACE_VARIABLE, str(folder))
        st.cache_resource.clear()
        st.cache_data.clear()
        at = AppTest.from_file(str(APP), default_timeout=30)
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    return opened


def at_page(at: AppTest, url_path: str) -> AppTest:
    """Go to another page of the site map, as a click in the navigation does; ``AppTest`` knows pages by file alone."""
    addresses = {info.get("url_pathname"): page_hash for page_hash, info in at._registered_pages.items()}
    at._page_hash = addresses[url_path]
    return at.run()


@pytest.fixture(scope="session")
def full_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company whose forecasters differ. Read it; a test that alters a workspace makes its own."""
    from tests.dashboard.editions import workspace_of

    return workspace_of(tmp_path_factory.mktemp("full"), "full").root
