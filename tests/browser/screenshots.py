"""The pictures in the README, from the real pages: ``python -m tests.browser.screenshots [WORKSPACE]``.

Without a workspace the demo's company is simulated, ingested and published first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pipelines import runs
from pipelines.progress import Spoken
from pipelines.settings import Workspace
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
        ("data.png", "/data", DESKTOP, False),
        ("method.png", "/method", DESKTOP, False),
    ]


def telling(workspace: Workspace) -> str:
    """The forecaster whose lean is surest."""
    ref = editions.current(workspace)
    assert ref is not None
    where = {"layer": "rep", "category": "commit", "horizon_bucket": "lock", "status": "ok"}
    return str(editions.read(ref, "forecaster_bias", where=where).sort("wrong_sign_rate")["forecaster_id"][0])


def take(server: Server, forecaster: str) -> None:
    TARGET.mkdir(exist_ok=True)
    with browsing() as browser:
        for name, path, (width, height), dark in pictures(forecaster):
            with visiting(browser, server, width=width, height=height, dark=dark) as visit:
                visit.open(path)
                visit.screenshot(TARGET / name, whole=False)
            size = (TARGET / name).stat().st_size
            if size > LARGEST_BYTES:
                raise SystemExit(f"{name} is {size:,} bytes; a picture may have {LARGEST_BYTES:,}.")
            sys.stdout.write(f"docs/{name}  {size // 1000} kB\n")


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


if __name__ == "__main__":
    main()
