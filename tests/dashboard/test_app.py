"""The site map, the designed states, and the one boundary where errors become two sentences."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import streamlit
from starlette.types import Message, Receive, Scope, Send
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import app, launch, shelf, theme
from dashboard.views import parts
from pipelines.errors import EditionError, TrustError
from pipelines.settings import Workspace
from tests.dashboard import editions
from tests.dashboard.conftest import Open

ROOT = Path(__file__).resolve().parents[2]


def words(at: AppTest) -> str:
    """Everything a reader sees as text."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "code", "text")
    return "\n".join(str(element.value) for kind in kinds for element in at.get(kind))


def copied(workspace: Path, folder: Path) -> Path:
    return Path(shutil.copytree(workspace, folder / "workspace"))


# Designed states


def test_an_empty_workspace_takes_files_or_a_simulated_company(open_app: Open, tmp_path: Path) -> None:
    at = open_app(tmp_path / "nothing")
    assert not at.exception
    assert at.title[0].value == "No forecast to judge yet"
    assert [button.label for button in at.button] == ["Simulate a company"]
    assert any("forecast-trust demo --workspace" in block.value for block in at.code)
    assert r"forecaster\_id" in words(at)
    assert not (tmp_path / "nothing").exists(), "looking makes nothing"


def test_landed_but_unpublished_offers_to_publish(open_app: Open, tmp_path: Path) -> None:
    (tmp_path / "landing.duckdb").touch()
    at = open_app(tmp_path)
    assert not at.exception
    assert at.title[0].value == "Files have landed; nothing is published yet"
    assert [button.label for button in at.button] == ["Publish"]
    assert any("forecast-trust publish" in block.value for block in at.code)


def test_the_current_edition_is_shown_and_named_in_the_footer(open_app: Open, full_workspace: Path) -> None:
    at = open_app(full_workspace)
    assert not at.exception
    assert not at.error
    footer = at.caption[-1].value
    edition_id = (full_workspace / "CURRENT").read_text().strip()
    assert theme.escape(edition_id) in footer
    assert "simulated data" in footer
    assert app.SIMULATED in words(at)


def test_a_real_company_wears_no_simulated_badge(open_app: Open, tmp_path: Path) -> None:
    at = open_app(editions.workspace_of(tmp_path, "records").root)
    assert not at.exception
    assert app.SIMULATED not in words(at)
    assert "simulated data" not in at.caption[-1].value


@pytest.mark.parametrize("variant", sorted(editions.VARIANTS))
@pytest.mark.parametrize(
    "page",
    ["trust", "forecasters", "forecaster", "pipeline", "value_added", "outcomes", "record", "data", "start", "method"],
)
def test_every_page_draws_for_every_company(
    variant: str, page: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _workspaces(tmp_path_factory, variant)
    monkeypatch.setenv("FORECAST_TRUST_WORKSPACE", str(root))
    at = AppTest.from_function(_one_page, kwargs={"name": page}, default_timeout=60)
    at.query_params["forecaster"] = "r01"
    at.run()
    assert not at.exception
    assert not at.error
    assert at.title


_MADE: dict[str, Path] = {}


def _workspaces(factory: pytest.TempPathFactory, variant: str) -> Path:
    if variant not in _MADE:
        _MADE[variant] = editions.workspace_of(factory.mktemp(variant), variant).root
    return _MADE[variant]


def _one_page(name: str) -> None:
    from importlib import import_module

    from dashboard import shelf
    from dashboard.filters import Filters
    from pipelines.settings import Workspace

    workspace = Workspace.at()
    view = import_module(f"dashboard.views.{name}")
    calls = shelf.choices(shelf.edition(workspace, shelf.current_id(workspace))).calls
    layer, category = calls[0] if calls else ("rep", "commit")
    filters = Filters(shelf.current_id(workspace), layer=layer, category=category)
    with_shelf = (shelf.on_offer(workspace),) if name in ("trust", "record") else ()
    view.page(filters, *with_shelf)


def test_a_damaged_edition_is_two_sentences(open_app: Open, full_workspace: Path, tmp_path: Path) -> None:
    root = copied(full_workspace, tmp_path)
    (file,) = (root / "editions").glob("*.duckdb")
    file.chmod(0o600)
    file.write_bytes(b"not a database at all" * 500)
    at = open_app(root)
    assert not at.exception
    assert "cannot be read" in at.error[0].value
    assert "forecast-trust publish" in at.error[0].value


def test_a_vanished_edition_is_two_sentences_even_once_cached(
    open_app: Open, full_workspace: Path, tmp_path: Path
) -> None:
    root = copied(full_workspace, tmp_path)
    at = open_app(root)
    (file,) = (root / "editions").glob("*.duckdb")
    file.unlink()
    at.run()
    assert not at.exception
    assert "There is no edition" in at.error[0].value


def test_an_edition_of_another_layout_is_two_sentences(open_app: Open, full_workspace: Path, tmp_path: Path) -> None:
    import duckdb

    root = copied(full_workspace, tmp_path)
    (file,) = (root / "editions").glob("*.duckdb")
    file.chmod(0o600)
    with duckdb.connect(str(file)) as con:
        con.execute("alter table edition drop column lock_week")
    at = open_app(root)
    assert not at.exception
    assert at.error
    assert "Traceback" not in words(at)


def test_an_edition_of_another_method_says_so(open_app: Open, full_workspace: Path, tmp_path: Path) -> None:
    import duckdb

    root = copied(full_workspace, tmp_path)
    (file,) = (root / "editions").glob("*.duckdb")
    file.chmod(0o600)
    with duckdb.connect(str(file)) as con:
        con.execute("update edition set method_version = '0'")
    at = open_app(root)
    assert not at.exception
    assert "another version of the method" in at.caption[-1].value


def test_an_older_edition_is_chosen_by_the_url_and_marked(open_app: Open, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, "alike")
    older = shelf.current_id(workspace)
    editions.publish(workspace, editions.VARIANTS["full"])
    newest = shelf.current_id(workspace)
    assert newest != older
    at = open_app(workspace.root)
    assert theme.escape(str(newest)) in at.caption[-1].value
    at = open_app(workspace.root, edition=older)
    assert not at.exception
    assert theme.escape(str(older)) in at.caption[-1].value
    assert "You are reading the record of" in at.info[0].value
    at.button(key="back").click().run()
    assert theme.escape(str(newest)) in at.caption[-1].value
    assert not at.info


def test_a_link_to_an_edition_that_is_not_there_says_so_and_offers_the_others(
    open_app: Open, full_workspace: Path
) -> None:
    at = open_app(full_workspace, edition="20200101T000000Z-000000000000")
    assert not at.exception
    assert at.title[0].value == "That edition is not on this record"
    at.button(key="back").click().run()
    assert not at.exception
    assert at.caption[-1].value.startswith("Edition ")


def test_a_link_to_a_damaged_edition_says_so_and_offers_the_others(
    open_app: Open, full_workspace: Path, tmp_path: Path
) -> None:
    root = copied(full_workspace, tmp_path)
    (root / "editions" / "20200101T000000Z-000000000000.duckdb").write_bytes(b"not a database at all" * 500)
    at = open_app(root, edition="20200101T000000Z-000000000000")
    assert not at.exception
    assert at.title[0].value == "That edition cannot be read"
    assert "cannot be read" in at.error[0].value
    at.button(key="back").click().run()
    assert not at.error


def test_the_pointer_is_read_again_on_every_run(open_app: Open, tmp_path: Path) -> None:
    workspace = editions.workspace_of(tmp_path, "alike")
    at = open_app(workspace.root)
    ref = editions.publish(workspace, editions.VARIANTS["full"])
    at.run()
    assert theme.escape(ref.edition_id) in at.caption[-1].value


# The boundary


def _fixable() -> None:
    from dashboard.views.boundary import boundary
    from pipelines.errors import TrustError

    with boundary():
        raise TrustError("The file a_b.csv costs $5 and $6.", "Run `forecast-trust ingest a_b.csv`.")


def _unexpected() -> None:
    from dashboard.views.boundary import boundary

    with boundary():
        raise ZeroDivisionError("Ann Lee called $120,000")


def test_a_fixable_problem_is_said_as_it_is() -> None:
    at = AppTest.from_function(_fixable).run()
    assert not at.exception
    assert r"costs \$5 and \$6" in at.error[0].value
    assert "`forecast-trust ingest a_b.csv`" in at.error[0].value


def test_the_unexpected_is_apologised_for_with_an_id_and_no_detail(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="forecast_trust"):
        at = AppTest.from_function(_unexpected).run()
    assert not at.exception
    shown = at.error[0].value
    assert "Ann Lee" not in shown
    assert "ZeroDivisionError" not in shown
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.args[0]) in shown  # type: ignore[index]


def test_prose_keeps_commands_as_code_and_everything_else_as_text() -> None:
    assert parts.prose("Use `a_b` for *x*.") == r"Use `a_b` for \*x\*."
    assert parts.prose("An odd ` tick") == r"An odd \` tick"


# Serving


def test_config_is_the_palette_of_the_theme() -> None:
    stated = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    for section, colours in (("light", theme.LIGHT), ("dark", theme.DARK)):
        assert stated[section]["backgroundColor"] == colours.background
        assert stated[section]["secondaryBackgroundColor"] == colours.surface
        assert stated[section]["textColor"] == colours.ink
        assert stated[section]["primaryColor"] == colours.accent
        for name in ("linkColor", "blueTextColor", "orangeTextColor", "redTextColor", "grayTextColor"):
            assert theme.contrast(stated[section][name], colours.background) >= 4.5, (section, name)


def test_every_option_is_one_the_server_knows_and_nothing_is_fetched() -> None:
    options = launch.options()
    assert set(options) <= set(config.get_config_options())
    assert options["browser.gatherUsageStats"] is False
    assert options["server.address"] == "127.0.0.1"
    assert options["client.showErrorDetails"] == "none"
    assert not any("http" in str(value) for value in options.values())


def test_a_taken_port_is_two_sentences() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(TrustError) as caught:
            launch.serve(Workspace(Path("nowhere")), port)
    assert str(port) in caught.value.problem
    assert "--port" in caught.value.remedy


def test_a_missing_theme_is_two_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch, "_CONFIG_FILES", (tmp_path / "config.toml",))
    with pytest.raises(TrustError, match="missing from this installation"):
        launch.options()


def test_the_security_policy_allows_no_other_place_and_no_text_as_code() -> None:
    policy = launch.content_security_policy(8501)
    assert "unsafe-eval" not in policy
    assert "http" not in policy.replace("https:", "")
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src")]
    assert "unsafe-inline" not in scripts
    assert "sha256-" in scripts


@pytest.mark.parametrize(
    ("host", "origin", "is_local"),
    [
        ("127.0.0.1:8501", None, True),
        ("localhost:8501", "http://localhost:8501", True),
        ("[::1]:8501", None, True),
        ("evil.example", None, False),
        ("127.0.0.1.evil.example", None, False),
        ("127.0.0.1:8501", "https://evil.example", False),
        ("127.0.0.1:8501", "null", False),
        ("", None, False),
    ],
)
def test_only_this_machine_may_ask(host: str, origin: str | None, is_local: bool) -> None:
    """Asked over ASGI itself: the framework's own test client would need one more package."""
    reached: list[str] = []
    sent: list[Message] = []

    async def numbers(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    asked = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    asyncio.run(launch.LoopbackOnly(numbers)(asked, receive, send))
    assert bool(reached) is is_local
    assert [message.get("status") for message in sent[:1]] == ([] if is_local else [403])
    sent.clear()
    reached.clear()
    asyncio.run(launch.LoopbackOnly(numbers)({**asked, "type": "websocket"}, receive, send))
    assert bool(reached) is is_local
    assert [message["type"] for message in sent] == ([] if is_local else ["websocket.close"])


def test_editions_are_offered_current_first_and_a_damaged_one_does_not_hide_the_rest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.create()
    names = ("20261108T235959Z-aaaaaaaaaaaa", "20261109T180000Z-bbbbbbbbbbbb", "20261001T000000Z-cccccccccccc")
    for name in names:
        (workspace.editions / f"{name}.duckdb").write_bytes(b"")
    (workspace.editions / ".building-x.duckdb").write_bytes(b"")
    workspace.current.write_text("20261108T235959Z-aaaaaaaaaaaa\n")
    offered = shelf.on_offer(workspace)
    assert offered.current_id == "20261108T235959Z-aaaaaaaaaaaa"
    assert offered.editions == (
        ("20261108T235959Z-aaaaaaaaaaaa", "As of 8 Nov 2026"),
        ("20261109T180000Z-bbbbbbbbbbbb", "As of 9 Nov 2026"),
        ("20261001T000000Z-cccccccccccc", "As of 30 Sep 2026"),
    )
    with pytest.raises(EditionError):
        shelf.edition(workspace, "20261108T235959Z-aaaaaaaaaaaa")
    # The hour is told only where the day alone would name two: a phone has no room for it.
    (workspace.editions / "20261109T070000Z-dddddddddddd.duckdb").write_bytes(b"")
    labels = dict(shelf.on_offer(workspace).editions)
    assert labels[names[1]] == "As of 9 Nov 2026, 18:00"
    assert labels["20261109T070000Z-dddddddddddd"] == "As of 9 Nov 2026, 07:00"
    assert labels[names[0]] == "As of 8 Nov 2026"
    # Published again as of the same instant, after a correction: the file's name tells the two apart.
    (workspace.editions / "20261109T070000Z-eeee00000000.duckdb").write_bytes(b"")
    labels = dict(shelf.on_offer(workspace).editions)
    assert labels["20261109T070000Z-dddddddddddd"] == "As of 9 Nov 2026, 07:00 · dddd"
    assert labels["20261109T070000Z-eeee00000000"] == "As of 9 Nov 2026, 07:00 · eeee"


def test_starting_loads_nothing_that_only_a_measure_or_a_pack_needs() -> None:
    asked = ("statsmodels", "pandas", "pptx", "xlsxwriter", "typst", "lxml")
    code = f"import sys, dashboard.launch, dashboard.app; print([name for name in {asked} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_page_asks_for_the_code_of_figures_at_once_and_other_answers_do_not() -> None:
    sent: list[Message] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", scope["kind"])]})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    wrapped = launch.SecurityHeaders(page, "default-src 'self'")
    for kind in (b"text/html; charset=utf-8", b"text/javascript"):
        asyncio.run(wrapped({"type": "http", "kind": kind}, receive, send))
    html, script = (dict(message["headers"]) for message in sent)
    file = html[b"link"].decode().removeprefix("</").partition(">")[0]
    assert (Path(streamlit.__file__).parent / "static" / file).is_file()
    assert b"link" not in script
    assert html[b"content-security-policy"] == script[b"content-security-policy"]
