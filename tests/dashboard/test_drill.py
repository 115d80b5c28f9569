"""Every number leads to its definition and to its rows, and headings lead down one level at a time: on every page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.views import parts
from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions as published
from tests.dashboard import editions
from tests.dashboard.conftest import APP, at_page
from tests.dashboard.test_one_edition import PAGES

LEVELS = {"title": 1, "header": 2, "subheader": 3}
DEFINES = frozenset({parts.HOW_COMPUTED, "How a scenario is computed"})
IS_ITSELF_THE_DEFINITION = frozenset({"method"})
RECONCILE = ("deals", "calls", "projection")


@dataclass
class Section:
    """What stands between a heading of the first or second level and the next one."""

    heading: str
    charts: int = 0
    tables: int = 0
    tiles_unexplained: int = 0
    definitions: int = 0
    rows: int = 0
    kinds: list[str] = field(default_factory=list)

    @property
    def has_numbers(self) -> bool:
        return self.charts + self.tables > 0

    @property
    def faults(self) -> list[str]:
        found = []
        if self.has_numbers and not self.definitions:
            found.append("numbers without a definition")
        if self.charts and not self.rows:
            found.append("a chart without its rows")
        if self.tiles_unexplained:
            found.append("a tile without an explanation")
        return found


def sections(at: AppTest) -> list[Section]:
    found = [Section("above the title")]
    for element in at.main:
        kind, proto = element.type, getattr(element, "proto", None)
        if kind in ("title", "header"):
            found.append(Section(str(element.value)))
        here = found[-1]
        here.kinds.append(kind)
        is_table = kind == "html" and "<table" in str(proto.body)
        here.charts += kind == "plotly_chart"
        here.tables += kind in ("dataframe", "arrow_data_frame") or (is_table and 'class="number"' in str(proto.body))
        here.rows += is_table or kind in ("dataframe", "arrow_data_frame", "page_link", "download_button")
        here.definitions += kind == "popover" and _label(element) in DEFINES
        here.tiles_unexplained += kind == "metric" and not str(proto.help)
    return found


def _label(popover: Any) -> str:
    return str(popover.proto.popover.label)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A simulated company with something on every page."""
    workspace = Workspace(tmp_path_factory.mktemp("drill") / "workspace")
    runs.demo(workspace, Silent(), reps=8, quarters=7, seed=9)
    return workspace


@pytest.fixture
def pages(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(company.root))
    ref = published.current(company)
    assert ref is not None
    at = AppTest.from_file(str(APP), default_timeout=60)
    at.query_params["forecaster"] = published.read(ref, "forecaster_bias")["forecaster_id"][0]
    at.query_params["deal"] = published.read(ref, "movement_deals")["opportunity_id"][0]
    yield at.run()
    st.cache_data.clear()
    st.cache_resource.clear()


def visits(at: AppTest) -> Iterator[tuple[str, AppTest]]:
    for page in PAGES:
        for part in RECONCILE if page == "reconcile" else ("",):
            if part:
                at.query_params["tie"] = part
            drawn = at_page(at, "" if page == "trust" else page)
            assert not drawn.exception, page
            yield f"{page} {part}".strip(), drawn


def test_every_section_with_numbers_names_its_definition_and_its_rows(pages: AppTest) -> None:
    faults: dict[str, list[str]] = {}
    charts = 0
    for page, at in visits(pages):
        if page in IS_ITSELF_THE_DEFINITION:
            continue
        for section in sections(at):
            charts += section.charts
            if section.faults:
                faults[f"{page}: {section.heading}"] = section.faults
    assert faults == {}
    assert charts > 20


def test_what_is_named_has_a_definition(pages: AppTest) -> None:
    seen = 0
    for page, at in visits(pages):
        for popover in at.main:
            if popover.type == "popover" and _label(popover) in DEFINES:
                said = "".join(str(element.value) for element in popover.markdown)
                bold = re.findall(r"^\*\*.+\*\*$", said, re.MULTILINE)
                assert bold, page
                assert len(said) > 50 * len(bold), f"{page}: {bold}"
                seen += 1
    assert seen > 20


def test_a_number_that_leads_nowhere_would_be_found() -> None:
    def bare() -> None:
        import plotly.graph_objects as go
        import streamlit as st

        st.title("A page")
        st.header("A finding")
        st.plotly_chart(go.Figure(go.Bar(y=[1, 2])))
        st.metric("Calls land at", "85 %")

    (_, page, finding) = sections(AppTest.from_function(bare).run())
    assert page.faults == []
    assert finding.faults == [
        "numbers without a definition",
        "a chart without its rows",
        "a tile without an explanation",
    ]


def levels(at: AppTest) -> list[int]:
    return [LEVELS[element.type] for element in at.main if element.type in LEVELS]


def is_outline(found: list[int]) -> bool:
    """One title, first; below it no level is left out on the way down."""
    steps = itertools.pairwise(found)
    return found[:1] == [1] and found.count(1) == 1 and all(below <= above + 1 for above, below in steps)


def test_headings_step_down_one_level_at_a_time(pages: AppTest) -> None:
    assert {page: levels(at) for page, at in visits(pages) if not is_outline(levels(at))} == {}


@pytest.mark.parametrize("variant", ["one_rep", "two_quarters", "no_calls", "records", "failed"])
def test_headings_step_down_where_data_are_absent_too(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(editions.workspace_of(tmp_path, variant).root))
    at = AppTest.from_file(str(APP), default_timeout=60)
    at.query_params["forecaster"] = "r00"
    at.run()
    assert {page: levels(drawn) for page, drawn in visits(at) if not is_outline(levels(drawn))} == {}


def test_a_page_that_lacks_data_leads_to_where_they_are_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(editions.workspace_of(tmp_path, "no_calls").root))
    at = AppTest.from_file(str(APP), default_timeout=60).run()
    for page in ("", "value-added", "miss", "win-loss", "reconcile"):
        links = [element.proto.label for element in at_page(at, page).main if element.type == "page_link"]
        assert parts.BRING in links, page


def test_a_level_left_out_would_be_found() -> None:
    assert is_outline([1, 2, 3, 3, 2, 2, 3])
    assert not is_outline([1, 3])
    assert not is_outline([2, 1])
    assert not is_outline([1, 2, 1])
