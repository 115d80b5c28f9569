"""Health and readiness, asked of the real server as whoever watches over it would ask."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from dashboard.launch import READY
from pipelines.settings import Workspace
from tests.browser import harness
from tests.dashboard import editions


def asked(url: str, host: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_the_server_says_whether_it_runs_and_what_there_is_to_read(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "workspace")
    with harness.serving(workspace.root, tmp_path / "log.txt") as server:
        url = server.url + READY
        assert harness.health(server.url) == "ok"
        assert asked(url) == (200, "empty")
        ref = editions.publish(workspace, editions.VARIANTS["records"])
        assert asked(url) == (200, ref.edition_id)
        ref.path.rename(tmp_path / "aside")
        status, said = asked(url)
        assert status == 503
        assert "There is no edition" in said
        assert harness.health(server.url) == "ok", "the server itself runs"
        assert asked(url, host="evil.example")[0] == 403
