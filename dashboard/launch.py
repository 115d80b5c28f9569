"""Serve the pages to this machine alone: one process, one address, nothing fetched from anywhere else."""

from __future__ import annotations

import base64
import gc
import hashlib
import importlib
import logging
import os
import re
import socket
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App

from pipelines.errors import TrustError
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions

ADDRESS = "127.0.0.1"
READY = "/ready"
EDITIONS_OPEN = 4
"""Editions left open between questions: the current one, and those that a reader lays beside it."""
TURN_SECONDS = 0.0005
"""How long one reader's run may keep the interpreter while another's waits for it.

A page is a hundred messages and gives its turn away at each. At the interpreter's own 0.005 it waits that long for
every one of them where others are at work, and fifty readers wait for seconds on a machine that is half idle.
"""
ENTRYPOINT = Path(__file__).with_name("app.py")
_CONFIG_FILES = (
    ENTRYPOINT.parent / ".streamlit" / "config.toml",  # installed from a wheel
    ENTRYPOINT.parents[1] / ".streamlit" / "config.toml",  # a checkout
)
_LOOPBACK = re.compile(r"^(?:https?://)?(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$")


def serve(workspace: Workspace, port: int, *, headless: bool = True) -> int:
    """Serve the workspace's current edition on ``127.0.0.1:port`` until interrupted; the process's exit code.

    Raises TrustError where the port is taken or the theme is missing from the installation.
    """
    _refuse_taken(port)
    # The pages run inside the server's own script runner and read the workspace as every command does.
    os.environ[WORKSPACE_VARIABLE] = str(workspace.root.resolve())
    # The server looks for its script beside argv[0], which a console script points at a bin folder.
    sys.argv = [str(ENTRYPOINT)]
    address = f"http://{ADDRESS}:{port}"
    application = App(
        ENTRYPOINT,
        routes=[Route(READY, ready)],
        middleware=[Middleware(LoopbackOnly), Middleware(SecurityHeaders, policy=content_security_policy(port))],
        lifespan=_announcing(f"Forecast Trust is at {address} (Ctrl+C stops it)."),
    )
    # The pages' caches find no server while they are imported before it starts; they find it at the first run.
    logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)
    # Everything imported lives as long as the process; frozen, it is left out of the collection after every run.
    importlib.import_module("dashboard.app")
    gc.collect()
    gc.freeze()
    editions.hold_open(EDITIONS_OPEN)
    sys.setswitchinterval(TURN_SECONDS)
    application.run(config=options() | {"server.port": port, "server.headless": headless})
    return 0


def options() -> dict[str, Any]:
    """Every line of config.toml as ``section.option``; telemetry is off and the address local whatever it says.

    Passed explicitly because the server reads config.toml only from the working directory and beside its script.
    """
    found = next((file for file in _CONFIG_FILES if file.is_file()), None)
    if found is None:
        raise TrustError(
            "The theme of the pages (.streamlit/config.toml) is missing from this installation.",
            "Install the package again with pip install --force-reinstall.",
        )
    stated = _flat(tomllib.loads(found.read_text(encoding="utf-8")))
    return stated | {"browser.gatherUsageStats": False, "server.address": ADDRESS, "server.fileWatcherType": "none"}


def content_security_policy(port: int) -> str:
    """What a page may load: this server alone, and no text run as code.

    Styles stay inline (the pages' framework writes them so); its one inline script is allowed by its digest.
    """
    sockets = " ".join(f"ws://{host}:{port}" for host in (ADDRESS, "localhost"))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {_inline_script_digests()}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' {sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def ready(_: Request) -> PlainTextResponse:
    """Whether there is something to read: 200 with the current edition's id, or ``empty`` before the first.

    503 with the problem and its remedy where the edition cannot be read. That the server runs is ``/_stcore/health``.
    """
    try:
        ref = editions.current(Workspace.at())
    except TrustError as error:
        return PlainTextResponse(f"{error.problem} {error.remedy}", status_code=503)
    return PlainTextResponse("empty" if ref is None else ref.edition_id)


class LoopbackOnly:
    """Refuse a request whose Host or Origin is not this machine.

    A web page elsewhere could otherwise point its own name at 127.0.0.1 and read the numbers; and the server, asked
    from an origin it does not know, would look up its public address on the internet to compare.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and not _is_local(Headers(scope=scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse("Only this machine may ask.", status_code=403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class SecurityHeaders:
    """Put the content security policy and its companions on every answer, and on a page what it will need first."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self.app = app
        self.policy = policy
        self.early = early_code()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self.policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                if headers.get("Content-Type", "").startswith("text/html"):
                    headers["Link"] = self.early
            await send(message)

        await self.app(scope, receive, send_with_headers)


def early_code() -> str:
    """A Link header with the code that draws figures: most of what a browser loads, and otherwise asked for last, once
    the first figure has come over the wire. Empty where the framework's file is called something else."""
    folder = Path(streamlit.__file__).parent / "static" / "static" / "js"
    return ", ".join(f"</static/js/{file.name}>; rel=modulepreload" for file in sorted(folder.glob("PlotlyChart.*.js")))


def _is_local(headers: Headers) -> bool:
    origin = headers.get("origin")
    return bool(_LOOPBACK.match(headers.get("host", ""))) and (origin is None or bool(_LOOPBACK.match(origin)))


def _inline_script_digests() -> str:
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _announcing(line: str) -> Any:
    @asynccontextmanager
    async def lifespan(_: App) -> AsyncIterator[None]:
        click.echo(line)
        yield

    return lifespan


def _refuse_taken(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise TrustError(
                f"Port {port} cannot be used: {error.strerror}.",
                f"Stop what is using it, or choose another with --port {port + 1 if port < 65_535 else 8501}.",
            ) from error


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
