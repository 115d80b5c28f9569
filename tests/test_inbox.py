"""Files brought to a page: owner-only, under names that lead nowhere, gone after a day."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipelines import inbox
from pipelines.errors import FileError
from pipelines.settings import Workspace


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("deals.csv", "deals.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/abs/path/x.xlsx", "x.xlsx"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("Prévision (Q4) – final.csv", "Prévision (Q4) _ final.csv"),
        ("x" * 500 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_a_name_is_a_label_that_leads_nowhere(sent: str, kept: str) -> None:
    assert inbox.safe_name(sent) == kept


def test_what_is_brought_stays_inside_one_folder_that_only_its_owner_reads(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    token = inbox.receive(workspace, [("../../evil.csv", b"a"), ("evil.csv", b"b"), ("EVIL.csv", b"c")])
    files = inbox.files(workspace, token)
    assert sorted(path.read_bytes() for path in files) == [b"a", b"b", b"c"]
    assert {path.parent for path in files} == {workspace.inbox / token}
    for path in (workspace.root, workspace.inbox, workspace.inbox / token, *files):
        assert path.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "evil.csv").exists()


@pytest.mark.parametrize("token", ["", "..", "../..", "0" * 23, "g" * 24, "/etc", "0" * 24 + "/.."])
def test_a_token_from_elsewhere_finds_and_removes_nothing(tmp_path: Path, token: str) -> None:
    workspace = Workspace(tmp_path / "ws")
    inbox.receive(workspace, [("a.csv", b"a")])
    outside = tmp_path / "precious.csv"
    outside.write_text("x")
    assert inbox.files(workspace, token) == []
    assert inbox.mappings(workspace, token) is None
    inbox.discard(workspace, token)
    assert outside.exists()
    assert len(list(workspace.inbox.iterdir())) == 1


def test_nothing_and_too_much_are_refused(tmp_path: Path) -> None:
    for count in (0, inbox.MOST_FILES + 1):
        with pytest.raises(FileError):
            inbox.receive(Workspace(tmp_path / "ws"), [(f"{at}.csv", b"") for at in range(count)])


def test_a_batch_nobody_landed_is_gone_after_a_day(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    old = inbox.receive(workspace, [("a.csv", b"a")])
    young = inbox.receive(workspace, [("a.csv", b"a")])
    day_ago = time.time() - inbox.KEPT_SECONDS - 60
    os.utime(workspace.inbox / old, (day_ago, day_ago))
    inbox.receive(workspace, [("b.csv", b"b")])
    assert inbox.files(workspace, old) == []
    assert len(inbox.files(workspace, young)) == 1
