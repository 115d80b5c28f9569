"""The Method page tells what the edition's own self-check found, or why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipelines.settings import WORKSPACE_VARIABLE
from tests.dashboard import editions
from tests.dashboard.test_app import words


def _method_page() -> None:
    from dashboard import filters, shelf
    from dashboard.views import method
    from pipelines.settings import Workspace

    edition_id = shelf.current_id(Workspace.at())
    assert edition_id is not None
    method.page(filters.Filters(edition_id))


def _opened(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> tuple[str, str]:
    """What the page says as text, and its tables."""
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace))
    at = AppTest.from_function(_method_page, default_timeout=60).run()
    assert not at.exception
    return words(at).replace("\\", ""), "\n".join(str(element.proto.body) for element in at.get("html"))


def test_the_self_check_of_the_edition_is_told(monkeypatch: pytest.MonkeyPatch, full_workspace: Path) -> None:
    said, tables = _opened(monkeypatch, full_workspace)
    assert "For a company of your shape" in said
    assert "3 simulated companies of this shape: 12 forecasters over 12 closed periods" in said
    assert "Of 100 ranges meant to hold 80, " in tables
    assert "Is anybody named where nobody leans?" in tables


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        ("one_rep", "2 forecasters with calls and landings"),
        ("two_quarters", "4 closed periods with calls are needed"),
        ("no_calls", "no call of a closed period is known"),
        ("many", "left to the command"),
    ],
)
def test_without_one_the_page_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variant: str, why: str) -> None:
    said, tables = _opened(monkeypatch, editions.workspace_of(tmp_path, variant).root)
    assert why in said
    assert "Of 100 ranges" not in tables
