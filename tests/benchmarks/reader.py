"""One reader over Streamlit's own protocol: asks for a page as a browser does and reads all that is sent until it ends.

A browser also keeps messages it has seen and is then sent their names alone; this reader keeps none and is sent every
page whole, so that the server does at least the work it does for a browser.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE_SECONDS = 60
_TOLD = ("markdown", "heading", "html", "metric", "plotly_chart", "alert", "arrow_data_frame")
"""Elements that say something of the edition; widgets and files are left out, as their addresses differ each time."""

_FOOTER = re.compile(r"^Edition (\d{8}T\d{6}Z(?:\\?-)[0-9a-f]{12})\b")
_OF_THE_EDITION_CHOICE = "As of"


@dataclass(frozen=True)
class Asked:
    """One page with its filters: the address without the host."""

    page: str
    query: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"/{self.page}" + (f"?{urlencode(self.query)}" if self.query else "")


@dataclass(frozen=True)
class Told:
    """One run of one page, from the question sent to the last message read.

    ``seconds``: until the run was finished; ``editions``: ids named by the footer and by the choice of edition;
    ``digest``: of everything the page said; ``faults``: exceptions and errors drawn on it.
    """

    asked: Asked
    seconds: float
    size: int
    editions: frozenset[str]
    digest: str
    faults: tuple[str, ...]


@dataclass
class Reader:
    """One session with the server at ``127.0.0.1:port``. Errors: OSError, TimeoutError and those of websockets."""

    port: int
    _socket: ClientConnection | None = field(default=None, repr=False)
    _pages: dict[str, str] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            compression=None,
            proxy=None,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._socket is not None
        await self._socket.close()

    async def ask(self, asked: Asked) -> Told:
        """Open a page. The first question of a session names it by its address; later ones as the site map does."""
        assert self._socket is not None
        question = BackMsg()
        state = question.rerun_script
        state.query_string = urlencode(asked.query)
        # The filters are taken from the address, as when a reader follows a link or goes back.
        state.is_history_navigation = True
        if asked.page in self._pages:
            state.page_script_hash = self._pages[asked.page]
        else:
            state.page_name = asked.page
        state.context_info.timezone = "UTC"
        state.context_info.locale = "en-GB"
        state.context_info.url = f"http://127.0.0.1:{self.port}{asked}"
        state.context_info.is_embedded = False
        state.context_info.color_scheme = "light"
        began = time.perf_counter()
        await self._socket.send(question.SerializeToString())
        async with asyncio.timeout(PATIENCE_SECONDS):
            received, seconds = await self._until_finished(began)
        return self._read(asked, seconds, received)

    async def _until_finished(self, began: float) -> tuple[list[bytes], float]:
        assert self._socket is not None
        received: list[bytes] = []
        message = ForwardMsg()
        while True:
            raw = await self._socket.recv(decode=False)
            received.append(raw)
            # The messages that end a run are a few bytes: only those are read while the clock runs.
            if len(raw) > 200:
                continue
            message.ParseFromString(raw)
            if message.WhichOneof("type") == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    received.clear()
                    continue
                return received, time.perf_counter() - began

    def _read(self, asked: Asked, seconds: float, received: list[bytes]) -> Told:
        editions: set[str] = set()
        said: list[bytes] = []
        faults: list[str] = []
        message = ForwardMsg()
        for raw in received:
            message.ParseFromString(raw)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self._pages = {
                    page.url_pathname if not page.is_default else "": page.page_script_hash
                    for page in message.navigation.app_pages
                }
            elif kind == "page_not_found":
                faults.append("page not found")
            elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                faults.append("the script did not finish")
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                editions |= _editions_named(element)
                faults.extend(_faults(element))
                if element.WhichOneof("type") in _TOLD:
                    said.append(element.SerializeToString(deterministic=True))
        digest = hashlib.sha256(b"\0".join(said)).hexdigest()[:16]
        return Told(asked, seconds, sum(map(len, received)), frozenset(editions), digest, tuple(faults))


def _editions_named(element: Element) -> set[str]:
    if element.WhichOneof("type") == "markdown":
        found = _FOOTER.match(element.markdown.body)
        return {found[1].replace("\\", "")} if found else set()
    return set()


def _faults(element: Element) -> list[str]:
    kind = element.WhichOneof("type")
    if kind == "exception":
        return [f"{element.exception.type}: {element.exception.message}"]
    if kind == "alert" and element.alert.format == Alert.ERROR:
        return [element.alert.body]
    return []
