"""One forecaster after the other: the order of the list, its ends, the filters kept, and the projected page."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import theme
from tests.dashboard import editions

PEOPLE = 12


def one_page() -> None:
    from dashboard import shelf
    from dashboard.filters import Filters
    from dashboard.views import forecaster
    from pipelines.settings import Workspace

    forecaster.page(Filters(str(shelf.current_id(Workspace.at()))))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editions.workspace_of(tmp_path_factory.mktemp("walk"), "full").root


def opened(root: Path, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(root))
    at = AppTest.from_function(one_page, default_timeout=60)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def button(at: AppTest, label: str) -> object:
    return next(found for found in at.button if found.label == label)


def test_next_visits_everybody_once_and_previous_goes_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(root, monkeypatch, forecaster="r01")
    while not button(at, "Previous").disabled:  # type: ignore[attr-defined]
        button(at, "Previous").click()  # type: ignore[attr-defined]
        at.run()
    seen = [at.title[0].value]
    while not button(at, "Next").disabled:  # type: ignore[attr-defined]
        button(at, "Next").click()  # type: ignore[attr-defined]
        at.run()
        assert not at.exception
        seen.append(at.title[0].value)
    # One of the twelve has left, and the walk is among those who are there.
    assert len(seen) == len(set(seen)) == PEOPLE - 1
    assert any(caption.value == f"{len(seen)} of {len(seen)}" for caption in at.caption)


def test_the_projected_page_has_the_story_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(root, monkeypatch, forecaster="r01", present="1", scope="x")
    assert not at.exception
    assert not at.selectbox
    assert not at.expander
    assert at.title[0].value
    button(at, "Next").click()  # type: ignore[attr-defined]
    at.run()
    assert at.query_params["present"] == "1"
    assert at.query_params["scope"] == "x"
    button(at, "Leave the projection").click()  # type: ignore[attr-defined]
    at.run()
    assert "present" not in at.query_params
    assert at.expander
    button(at, "Project").click()  # type: ignore[attr-defined]
    at.run()
    assert at.query_params["present"] == "1"


def test_alone_there_is_nobody_to_turn_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(editions.workspace_of(tmp_path, "one_rep").root, monkeypatch, forecaster="r00")
    assert not at.exception
    assert button(at, "Previous").disabled  # type: ignore[attr-defined]
    assert button(at, "Next").disabled  # type: ignore[attr-defined]


def test_a_figure_for_a_room_is_larger_and_leaves_the_shared_one_alone() -> None:
    small = go.Figure(go.Scatter(x=[1], y=[1], mode="text", text=["a"], textfont={"size": 12}))
    small.add_bar(x=[1], y=[1])
    small.add_annotation(text="b", x=1, y=1, font={"size": 11})
    small.update_layout(height=300)
    large = theme.projected(small, height=400, size=18)
    assert (large.layout.height, large.data[0].textfont.size, large.layout.annotations[0].font.size) == (400, 18, 18)
    assert (small.layout.height, small.data[0].textfont.size, small.layout.annotations[0].font.size) == (300, 12, 11)
