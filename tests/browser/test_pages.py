"""The real pages in Chromium: they draw, fit, fetch nothing, can be reached, and never show a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.settings import Workspace
from tests.browser import harness
from tests.browser.harness import Chromium, Server, Visit, visiting
from tests.dashboard import editions

PAGES = (
    "/",
    "/forecasters",
    "/forecaster?forecaster={forecaster}",
    "/deal?deal={deal}",
    "/pipeline",
    "/value-added",
    "/miss",
    "/win-loss",
    "/reconcile",
    "/record",
    "/data",
    "/start",
    "/method",
)
LOOKS = [(1440, False), (1440, True), (390, False), (390, True)]
TOLERATED = "404 (Not Found)"
"""On a deep link the framework asks for _stcore/health and _stcore/host-config below the page's own path first, and
finds them at the second try. An answer there would make it take the page for the application's root, breaking links."""


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"data", "blob"} or parts.hostname == "127.0.0.1"


def look_over(visit: Visit) -> None:
    """What must hold on every page in every size and colour."""
    assert not [word for word in harness.ERROR_WORDS if word in visit.text]
    assert visit.page.locator("[data-testid=stException]").count() == 0
    assert visit.page.locator("h1").count() == 1
    assert "Edition " in visit.text
    assert visit.sideways_overflow() == 0
    assert [url for url in visit.requests if not is_local(url)] == []
    assert [line for line in visit.complaints if TOLERATED not in line] == []


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{'dark' if look[1] else 'light'}")
@pytest.mark.parametrize("path", PAGES)
def test_every_page_draws_fits_and_fetches_nothing(
    browser: Chromium, server: Server, named: dict[str, str], path: str, look: tuple[int, bool]
) -> None:
    width, dark = look
    with visiting(browser, server, width=width, dark=dark) as visit:
        visit.open(path.format(**named))
        look_over(visit)


def test_a_planted_request_elsewhere_would_be_seen(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/method")
        visit.page.evaluate("() => { new Image().src = 'http://198.51.100.1/pixel.png' }")
        visit.page.wait_for_timeout(200)
        assert any("198.51.100.1" in line for line in visit.complaints + visit.requests)
        assert any("Content Security Policy" in line for line in visit.complaints)


def test_a_planted_wide_element_would_be_seen(browser: Chromium, server: Server) -> None:
    with visiting(browser, server, width=390) as visit:
        visit.open("/method")
        visit.page.evaluate(
            """() => {
                const wide = document.createElement('div');
                wide.style.width = '900px';
                wide.textContent = 'wide';
                document.querySelector('.stMainBlockContainer').appendChild(wide);
            }"""
        )
        assert visit.sideways_overflow() > 0


def test_the_theme_follows_the_reader(browser: Chromium, server: Server) -> None:
    seen = []
    for dark in (False, True):
        with visiting(browser, server, dark=dark) as visit:
            visit.open("/method")
            seen.append(visit.page.evaluate("() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"))
    assert seen == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_small_text_keeps_its_contrast(browser: Chromium, server: Server) -> None:
    for dark, ink in ((False, "rgb(92, 100, 112)"), (True, "rgb(163, 171, 182)")):
        with visiting(browser, server, dark=dark) as visit:
            visit.open("/data")
            caption = "() => { const c = document.querySelector('[data-testid=stCaptionContainer]'); "
            assert visit.page.evaluate(caption + "return getComputedStyle(c).color }") == ink
            assert visit.page.evaluate(caption + "return getComputedStyle(c).opacity }") == "1"


def test_the_keyboard_reaches_the_navigation_and_turns_the_page(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/")
        for _ in range(12):
            visit.page.keyboard.press("Tab")
            if visit.page.evaluate("() => document.activeElement.textContent.trim()") == "Data":
                break
        else:
            pytest.fail("twelve Tabs did not reach the Data page's link")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url("**/data")
        visit.settle()
        look_over(visit)


def test_a_filter_goes_into_the_url_and_survives_a_page_switch(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        page = visit.open("/")
        page.get_by_role("combobox", name="Whose number").click()
        option = page.get_by_role("option").nth(1)
        chosen = option.inner_text()
        option.click()
        page.wait_for_url("**scope=**")
        visit.settle()
        page.get_by_role("link", name="Forecasters").click()
        page.wait_for_url("**/forecasters?**scope=**")
        visit.settle()
        assert page.get_by_role("combobox", name="Whose number").input_value() == chosen
        look_over(visit)
        address = page.url
    with visiting(browser, server) as visit:
        visit.open(address.removeprefix(server.url))
        assert visit.page.get_by_role("combobox", name="Whose number").input_value() == chosen


def test_a_typed_line_is_answered_and_goes_into_the_url(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/")
        field = visit.page.get_by_label("The odds of any line")
        field.fill("1.2M")
        field.press("Enter")
        visit.page.get_by_text("The chance of landing at").or_(visit.page.get_by_text("has been reached")).wait_for()
        assert "line=1.2M" in visit.page.url
        visit.open(f"/?{urlsplit(visit.page.url).query}")
        assert "your line" in visit.text


def test_nonsense_in_the_url_is_named(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/?scope=Nobody+Such")
        assert "Nobody Such" in visit.text
        look_over(visit)


def test_an_unknown_forecaster_is_said_in_words(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/forecaster?forecaster=nobody-such")
        look_over(visit)


def test_developer_buttons_are_not_shown(browser: Chromium, server: Server) -> None:
    with visiting(browser, server) as visit:
        visit.open("/method")
        assert visit.page.get_by_text("Deploy", exact=True).count() == 0


def test_an_older_edition_stays_open_from_page_to_page_until_it_is_let_go(browser: Chromium, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, "alike")
    older = editions.publish(workspace, editions.VARIANTS["full"]).edition_id
    editions.publish(workspace, editions.VARIANTS["fair"])
    with harness.serving(workspace.root, tmp_path / "log.txt") as server, visiting(browser, server) as visit:
        page = visit.open(f"/?edition={older}")
        for name in ("Forecasters", "Data"):
            page.get_by_role("link", name=name, exact=True).first.click()
            page.wait_for_url(f"**/{name.lower()}?edition={older}")
            visit.settle()
            assert "You are reading the record of" in visit.text
        page.get_by_role("button", name="Back to the current edition").click()
        page.wait_for_url(f"{server.url}/data")
        visit.settle()
        assert "You are reading the record of" not in visit.text


def test_an_edition_that_vanishes_is_two_sentences_and_comes_back(browser: Chromium, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, "full")
    (file,) = workspace.editions.glob("*.duckdb")
    with harness.serving(workspace.root, tmp_path / "log.txt") as server, visiting(browser, server) as visit:
        visit.open("/")
        look_over(visit)
        aside = file.rename(tmp_path / file.name)
        visit.page.get_by_role("link", name="Data", exact=True).click()
        visit.page.get_by_text("There is no edition").wait_for()
        assert not [word for word in ("Traceback", "could not be drawn") if word in visit.text]
        shutil.move(aside, file)
        visit.open("/")
        look_over(visit)


def test_an_empty_workspace_says_what_to_do_and_shows_the_first_edition(browser: Chromium, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    with harness.serving(root, tmp_path / "log.txt") as server, visiting(browser, server) as visit:
        visit.open("/")
        visit.page.get_by_text("The same from a terminal").click()
        visit.page.get_by_text("forecast-trust demo").wait_for()
        assert f"Forecast Trust is at {server.url}" in server.output
        editions.publish(Workspace.at(root), editions.VARIANTS["records"])
        visit.open("/")
        look_over(visit)


def test_every_kind_of_company_fits_a_phone_and_a_new_edition_shows_at_once(browser: Chromium, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, "full")
    with harness.serving(workspace.root, tmp_path / "log.txt") as server:
        for variant in ("alike", "two_quarters", "no_calls", "records", "stale"):
            ref = editions.publish(workspace, editions.VARIANTS[variant])
            for path in ("/", "/forecasters"):
                with visiting(browser, server, width=390) as visit:
                    visit.open(path)
                    assert ref.edition_id in visit.text, variant
                    look_over(visit)
