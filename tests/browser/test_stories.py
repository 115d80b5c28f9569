"""Whole stories in Chromium, each as the person it is for would walk it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipelines.settings import Workspace
from tests.browser import harness
from tests.browser.harness import Chromium, Server, Visit, visiting
from tests.browser.test_pages import look_over
from tests.test_kept_mappings import SOURCES

WORK_MS = 120_000
BOTTOM = "() => document.querySelector('.stMainBlockContainer').getBoundingClientRect().bottom"


def choose(visit: Visit, label: str, option: str) -> None:
    """By keyboard, as a list draws only the part of itself in sight and closes when the page scrolls."""
    visit.settle()
    box = visit.page.get_by_role("combobox", name=label, exact=True)
    box.scroll_into_view_if_needed()
    box.fill(option)
    visit.page.get_by_role("option", name=option, exact=True).wait_for()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    expect(box).to_have_value(option)


def test_revops_uploads_a_messy_export_and_reads_the_verdict(browser: Chromium, tmp_path: Path) -> None:
    """Semicolons, German dates and money, a header nobody knows, bad rows: corrected and landed without a terminal."""
    lines = ["Who;Quarter starts;Said;Came in", "eve;01.04.2025;viel;1.000,00"]
    lines += [
        f"{who};01.{month:02d}.{year};1.200,50;1.000,00"
        for who in ("ann", "bob", "cleo")
        for year in (2023, 2024, 2025)
        for month in (1, 4, 7, 10)
    ]
    export = tmp_path / "Forecast final (2).csv"
    export.write_text("\n".join(lines), encoding="cp1252")
    workspace = Workspace(tmp_path / "workspace")
    with harness.serving(workspace.root, tmp_path / "log.txt") as server, visiting(browser, server) as visit:
        page = visit.open("/")
        page.set_input_files("input[type=file]", export)
        page.wait_for_url("**batch=**")
        visit.settle()
        assert "not recognised" in visit.text
        choose(visit, "What one row is", "Forecast records")
        page.get_by_role("combobox", name="forecaster_id *").wait_for()
        for column, header in SOURCES:
            choose(visit, f"{column} *", header)
        choose(visit, "Order of dates", "Day, month, year")
        choose(visit, "Decimal sign", "Comma: 1.234,56")
        page.get_by_role("button", name="Read it this way").click()
        page.get_by_text("1 would be set aside").wait_for()
        visit.settle()
        page.get_by_role("button", name="Land and publish").click()
        page.get_by_role("heading", name="Landed and published; 1 row set aside").wait_for(timeout=WORK_MS)
        page.get_by_role("button", name="See the verdict").click()
        page.get_by_text("Edition ").wait_for()
        visit.settle()
        assert "batch=" not in page.url
        look_over(visit)
        page.goto(f"{server.url}/start")
        visit.settle()
        # The next file with that header needs no hand.
        page.set_input_files("input[type=file]", export)
        page.wait_for_url("**batch=**")
        page.get_by_text("1 would be set aside").wait_for()
    assert "Traceback" not in server.output


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1920, 1080)])
def test_a_room_sees_one_forecaster_after_the_other_above_the_fold(
    browser: Chromium, server: Server, forecaster: str, width: int, height: int
) -> None:
    with visiting(browser, server, width=width, height=height) as visit:
        page = visit.open(f"/forecaster?forecaster={forecaster}&present=1")
        for key in ("ArrowRight", "ArrowLeft"):
            before = page.url
            assert page.evaluate(BOTTOM) <= height
            assert visit.sideways_overflow() == 0
            assert not page.locator("[data-testid=stHeader]").is_visible()
            if page.get_by_role("button", name="Next" if key == "ArrowRight" else "Previous").is_disabled():
                continue
            page.keyboard.press(key)
            page.wait_for_url(lambda url, before=before: url != before)
            visit.settle()
            assert "present=1" in page.url
        page.keyboard.press("Escape")
        page.wait_for_url(lambda url: "present" not in url)
        visit.settle()
        look_over(visit)
