"""axe-core on every page in both themes, and the keyboard alone from the first page to one forecaster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from pipelines import inbox
from pipelines.settings import Workspace
from tests.browser.harness import Chromium, Server, Visit, serving, visiting
from tests.browser.test_pages import PAGES
from tests.dashboard import editions
from tests.test_kept_mappings import MESSY

AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
UPSTREAM = {
    "presentation-role-conflict": "Streamlit's place to drop files: a section said to be presentation takes the focus.",
}
"""Rule → the framework's component that breaks it, which cannot be put right here; each is minor, by axe's own word."""

STATES = (
    *PAGES,
    "/forecaster?forecaster={forecaster}&present=1",
    "/?if=nobody",
    "/forecasters?scope=Nobody",
    "/start?batch={batch}",
)
"""Every page, and states with a warning, a box that is open, files that wait."""


@pytest.fixture(scope="module")
def batch(company: Path) -> str:
    return inbox.receive(Workspace(company), [("messy.csv", MESSY.encode())])


def faults(visit: Visit) -> list[dict[str, Any]]:
    """What axe finds on the whole page as it stands, however small; contrast is judged only of what is in sight, so
    that the window is made as tall as the page. Its code is evaluated, which the pages' own policy allows."""
    size = visit.page.viewport_size
    assert size is not None
    height = visit.page.evaluate("() => document.querySelector('.stMain').scrollHeight")
    visit.page.set_viewport_size({"width": size["width"], "height": max(int(height) + 1, size["height"])})
    visit.page.wait_for_timeout(300)
    visit.page.evaluate(AXE)
    found = visit.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    visit.page.set_viewport_size(size)
    return [
        {"rule": item["id"], "where": [node["target"] for node in item["nodes"]][:5], "help": item["help"]}
        for item in found
        if item["impact"] != "minor" or item["id"] not in UPSTREAM
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_any_page(
    browser: Chromium, server: Server, named: dict[str, str], batch: str, dark: bool
) -> None:
    found = {}
    with visiting(browser, server, dark=dark) as visit:
        for path in STATES:
            visit.open(path.format(**named, batch=batch))
            if grave := faults(visit):
                found[path] = grave
    assert found == {}


@pytest.mark.parametrize(("variant", "dark"), [("two_quarters", False), ("no_calls", True)])
def test_axe_finds_nothing_where_data_are_absent(browser: Chromium, variant: str, dark: bool, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, variant)
    found = {}
    with serving(workspace.root, tmp_path / "log.txt") as server, visiting(browser, server, dark=dark) as visit:
        for path in PAGES:
            visit.open(path.format(forecaster="r01", deal="none"))
            if some := faults(visit):
                found[path] = some
    assert found == {}


def test_a_planted_fault_would_be_found(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/data")
        visit.page.evaluate(
            """() => {
                const button = document.createElement('button');
                document.querySelector('.stMainBlockContainer').appendChild(button);
                const faint = document.createElement('p');
                faint.textContent = 'hardly to be read';
                faint.style.color = '#dddddd';
                document.querySelector('.stMainBlockContainer').appendChild(faint);
            }"""
        )
        assert {"button-name", "color-contrast"} <= {fault["rule"] for fault in faults(visit)}


def tab_to(visit: Visit, name: str, *, most: int = 60) -> None:
    """Press Tab until the element with this accessible name has the focus."""
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        said = visit.page.evaluate(
            """() => {
                const at = document.activeElement;
                return (at.getAttribute('aria-label') || at.textContent || '').trim();
            }"""
        )
        if said.startswith(name):
            return
    pytest.fail(f"{most} Tabs did not reach {name!r}")


def test_the_keyboard_alone_goes_from_the_verdict_to_one_forecaster(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        page = visit.open("/")
        reached = set()
        for _ in range(45):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("() => (document.activeElement.getAttribute('aria-label')"
                              " || document.activeElement.textContent || '').trim().slice(0, 40)")
            )  # fmt: skip
        assert any("What if" in name for name in reached), "the bench is reached"
        assert any(name.startswith("functionHow computed") or "How computed" in name for name in reached)
        visit.open("/")
        tab_to(visit, "Forecasters")
        page.keyboard.press("Enter")
        page.wait_for_url("**/forecasters**")
        visit.settle()
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.getAttribute('role') === 'combobox'") and page.evaluate(
                "() => document.activeElement.placeholder === 'Find a forecaster'"
            ):
                break
        page.keyboard.press("ArrowDown")
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/forecaster?**")
        visit.settle()
        assert page.locator("h1").count() == 1
