"""The pictures in the README, from the real pages: ``python -m tests.browser.screenshots [WORKSPACE]``.

Without a workspace the demo's company is simulated, ingested and published first.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from dashboard.filters import Filters
from dashboard.packs.board import drawn, facts
from dashboard.packs.content import gather
from pipelines import runs
from pipelines.progress import Spoken
from pipelines.settings import WORKSPACE_VARIABLE, Workspace
from pipelines.warehouse import editions
from tests.browser import harness
from tests.browser.harness import Server, browsing, serving, visiting

TARGET = Path(__file__).resolve().parents[2] / "docs"
LARGEST_BYTES = 300_000
DESKTOP, PHONE = (1440, 900), (390, 844)


def pictures(forecaster: str) -> list[tuple[str, str, tuple[int, int], bool]]:
    """(file, page, size of the window, dark)."""
    return [
        ("trust.png", "/", DESKTOP, False),
        ("trust-dark.png", "/", DESKTOP, True),
        ("trust-phone.png", "/", PHONE, False),
        ("forecasters.png", "/forecasters", DESKTOP, False),
        ("forecaster.png", f"/forecaster?forecaster={forecaster}", DESKTOP, False),
        ("pipeline.png", "/pipeline", DESKTOP, False),
        ("miss.png", "/miss", DESKTOP, False),
        ("value-added.png", "/value-added", DESKTOP, False),
        ("reconcile.png", "/reconcile", DESKTOP, False),
        ("record.png", "/record", DESKTOP, False),
    ]


def telling(workspace: Workspace) -> str:
    """The forecaster whose lean is surest."""
    ref = editions.current(workspace)
    assert ref is not None
    where = {"layer": "rep", "category": "commit", "horizon_bucket": "lock", "status": "ok"}
    return str(editions.read(ref, "forecaster_bias", where=where).sort("wrong_sign_rate")["forecaster_id"][0])


def paper(workspace: Workspace) -> None:
    """The board paper's pages, drawn by the compiler that sets them."""
    os.environ[WORKSPACE_VARIABLE] = str(workspace.root)
    ref = editions.current(workspace)
    assert ref is not None
    for number, page in enumerate(drawn(facts(gather(workspace, Filters(ref.edition_id)))), start=1):
        _kept(TARGET / f"board-paper-{number}.png", page)


def _kept(path: Path, picture: bytes | None = None) -> None:
    """Write it if it is given; refuse one that is too large for a page that people read."""
    if picture is not None:
        path.write_bytes(picture)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{path.name} is {size:,} bytes; a picture may have {LARGEST_BYTES:,}.")
    sys.stdout.write(f"docs/{path.name}  {size // 1000} kB\n")


def take(server: Server, forecaster: str) -> None:
    TARGET.mkdir(exist_ok=True)
    with browsing() as browser:
        for name, path, (width, height), dark in pictures(forecaster):
            with visiting(browser, server, width=width, height=height, dark=dark) as visit:
                visit.open(path)
                # On a busy machine the last marks of a figure come after its frame, which is what is waited for.
                visit.page.wait_for_timeout(2_000)
                visit.screenshot(TARGET / name, whole=False)
            _kept(TARGET / name)


def main() -> None:
    if harness.chromium() is None:
        raise SystemExit(f"Taking pictures {harness.HOW_TO_GET_CHROMIUM}.")
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            workspace = Workspace.at(sys.argv[1])
        else:
            workspace = Workspace.at(Path(folder) / "workspace")
            runs.demo(workspace, Spoken())
        with serving(workspace.root, Path(folder) / "log.txt") as server:
            take(server, telling(workspace))
        paper(workspace)


if __name__ == "__main__":
    main()
