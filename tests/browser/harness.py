"""The real command on a free port of this machine, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

HOW_TO_GET_CHROMIUM = "needs Chromium: apt-get install chromium (Debian, Ubuntu), or put it on the PATH as `chromium`"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 60
DRAW_MS = 30_000
_DRAWN = (
    "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
    " && !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')"
    " && [...document.querySelectorAll('.stPlotlyChart')].every(chart => chart.querySelector('.trace'))"
)
ERROR_WORDS = ("Traceback", "Error:", "could not be drawn", "Exception")


def chromium() -> str | None:
    """Where Chromium is, if it is there."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running dashboard: its address, its workspace, the file its output goes to, and its process."""

    url: str
    workspace: Path
    log: Path
    pid: int

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")


@contextmanager
def serving(workspace: Path, log: Path) -> Iterator[Server]:
    """`forecast-trust dashboard` as a user starts it, from a folder that is not the project's."""
    port = free_port()
    command = Path(sys.executable).with_name("forecast-trust")
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [command, "dashboard", "--workspace", workspace, "--port", str(port)],
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("FORECAST_", "STREAMLIT_"))},
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", workspace, log, process.pid)
            _wait_until_healthy(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def health(url: str) -> str:
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
        return str(answer.read().decode())


@dataclass
class Chromium:
    """One browser. Readers of one size and colour share a profile, so that the second finds what the first fetched."""

    browser: Browser
    profiles: dict[tuple[int, int, bool], BrowserContext] = field(default_factory=dict)

    def profile(self, width: int, height: int, dark: bool) -> BrowserContext:
        look = (width, height, dark)
        if look not in self.profiles:
            self.profiles[look] = self.browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
        return self.profiles[look]


@contextmanager
def browsing() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield Chromium(browser)
        browser.close()


@dataclass
class Visit:
    """One reader: the page, every request it made, and what its console complained of."""

    page: Page
    server: Server
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.server.url + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the script has run, the footer stands, and every figure is drawn."""
        page = self.page
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=DRAW_MS)
        page.wait_for_selector(".stMainBlockContainer", timeout=DRAW_MS)
        self._until(_DRAWN)

    def _until(self, condition: str) -> None:
        """Until it holds three times in a row: a figure's code comes late, and an early look sees no figure yet.

        Asked again and again, as the browser driver's own waiting runs text as code, which the pages' policy forbids.
        """
        deadline = time.monotonic() + DRAW_MS / 1000
        held = 0
        while held < 3:
            held = held + 1 if self.page.evaluate(f"() => {condition}") else 0
            if time.monotonic() > deadline:
                raise TimeoutError(f"never came true on {self.page.url}: {condition}")
            time.sleep(0.06)

    @property
    def text(self) -> str:
        return self.page.inner_text("body")

    def sideways_overflow(self) -> int:
        """Pixels by which the page is wider than the window; 0 when nothing is cut or scrolls sideways."""
        return int(
            self.page.evaluate(
                """() => {
                    const main = document.querySelector('.stMain');
                    return Math.max(main.scrollWidth - main.clientWidth,
                        document.documentElement.scrollWidth - document.documentElement.clientWidth);
                }"""
            )
        )

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """The window, or the whole page: its content scrolls inside the window, so the window is made as tall."""
        size = self.page.viewport_size
        assert size is not None
        if whole:
            height = self.page.evaluate("() => document.querySelector('.stMain').scrollHeight")
            self.page.set_viewport_size({"width": size["width"], "height": max(int(height) + 1, size["height"])})
            self.page.wait_for_timeout(400)
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)


@contextmanager
def visiting(
    browser: Chromium, server: Server, *, width: int = 1440, height: int = 900, dark: bool = False
) -> Iterator[Visit]:
    page = browser.profile(width, height, dark).new_page()
    visit = Visit(page, server)

    def note_request(request: Request) -> None:
        visit.requests.append(request.url)

    def note_complaint(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.complaints.append(message.text)

    page.on("request", note_request)
    page.on("websocket", lambda socket: visit.requests.append(socket.url))
    page.on("console", note_complaint)
    try:
        yield visit
    finally:
        page.close()


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server stopped: {server.output}")
        try:
            if health(server.url) == "ok":
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server did not answer in {START_SECONDS} s: {server.output}")
