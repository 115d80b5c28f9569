"""Whole stories in Chromium, each as the person it is for would walk it."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import expect

from pipelines import runs
from pipelines.progress import Silent
from pipelines.settings import Workspace
from pipelines.warehouse import editions
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


def test_the_ceo_reads_the_verdict_and_asks_what_if(browser: Chromium, server: Server) -> None:
    """Above the fold: one verdict, one range. Then one deal less, and the link that carries it."""
    with visiting(browser, server) as visit:
        page = visit.open("/")
        verdict = page.locator("h1")
        assert verdict.bounding_box()["y"] < 300  # type: ignore[index]
        assert "4 times in 5 between" in visit.text
        page.get_by_text("What if a deal goes another way?").click()
        box = page.get_by_role("combobox", name="Deal", exact=True)
        box.scroll_into_view_if_needed()
        box.fill("a")
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        visit.settle()
        page.get_by_role("button", name="Assume it").click()
        page.get_by_text("We would then expect").wait_for()
        visit.settle()
        told = page.locator("p", has_text="We would then expect").inner_text()
        assert "if=out" in page.url
        link = page.url.removeprefix(server.url)
        look_over(visit)
    with visiting(browser, server) as visit:
        page = visit.open(link)
        assert page.locator("p", has_text="We would then expect").inner_text() == told


def test_the_cro_goes_from_everybody_to_one_rep_to_one_deal_with_the_filters(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        page = visit.open("/forecasters")
        people = page.get_by_role("combobox", name="Which calls")
        people.fill("Reps: most likely")
        page.get_by_role("option", name="Reps: most likely").wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**calls=**")
        visit.settle()
        box = page.get_by_placeholder("Find a forecaster")
        box.click()
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/forecaster?**forecaster=**")
        visit.settle()
        assert "calls=" in page.url
        look_over(visit)
        deals = page.get_by_placeholder("Open a deal")
        deals.scroll_into_view_if_needed()
        deals.click()
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/deal?**deal=**")
        visit.settle()
        assert "calls=" in page.url
        look_over(visit)
        page.get_by_role("link", name="The calls of").click()
        page.wait_for_url("**/forecaster?**forecaster=**")
        visit.settle()
        assert "calls=" in page.url


def test_finance_opens_an_older_edition_and_takes_the_workbook(
    browser: Chromium, company: Path, tmp_path: Path
) -> None:
    """Two editions: the older one is opened from the Record by its link, and its workbook says which edition it is."""
    root = tmp_path / "workspace"
    shutil.copytree(company, root)
    workspace = Workspace(root)
    newer = editions.current(workspace)
    assert newer is not None
    older = runs.publish(workspace, Silent(), as_of=newer.as_of_at - timedelta(days=21))
    workspace.current.write_text(newer.edition_id, encoding="utf-8")
    with harness.serving(root, tmp_path / "log.txt") as server, visiting(browser, server) as visit:
        page = visit.open("/record")
        look_over(visit)
        assert newer.edition_id in page.locator(".st-key-footer").inner_text()
        box = page.get_by_role("combobox", name="As of")
        box.fill(older.as_of_at.strftime("%b %Y"))
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**edition=**")
        visit.settle()
        assert older.edition_id in page.locator(".st-key-footer").inner_text()
        page.get_by_role("button", name="Take it with you").click()
        page.get_by_role("button", name="Finance workbook").click()
        save = page.get_by_role("button", name="Save the XLSX file")
        save.wait_for(timeout=WORK_MS)
        with page.expect_download(timeout=WORK_MS) as download:
            save.click()
        taken = tmp_path / "taken.xlsx"
        download.value.save_as(taken)
        book = openpyxl.load_workbook(taken, read_only=True)
        cells = {str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row if cell}
        assert any(older.edition_id in cell for cell in cells)
        assert not any(newer.edition_id in cell for cell in cells)
