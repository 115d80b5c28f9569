"""Files brought to a page wait here, in a folder of the workspace that only its owner may read, until they have landed.

One folder per batch, named by a token that nobody can guess; the names of files are labels that lead nowhere.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pipelines.errors import FileError, WorkspaceError
from pipelines.settings import Workspace

MOST_FILES = 50
LONGEST_NAME = 120
KEPT_SECONDS = 86_400

_TOKEN = re.compile(r"[0-9a-f]{24}")
_MAPPINGS = "mappings"


def receive(workspace: Workspace, files: Iterable[tuple[str, bytes | memoryview]]) -> str:
    """Write files (name as sent, content) into a new batch; its token.

    Batches that nobody landed for a day are removed. Errors: FileError for no or too many files; WorkspaceError when
    the workspace cannot be written.
    """
    brought = list(files)
    if not 0 < len(brought) <= MOST_FILES:
        raise FileError(
            f"{len(brought)} files were brought at once.", f"Bring from 1 to {MOST_FILES}, or one zip of them all."
        )
    workspace.create()
    token = secrets.token_hex(12)
    folder = workspace.inbox / token
    try:
        workspace.inbox.mkdir(mode=0o700, exist_ok=True)
        _sweep(workspace)
        folder.mkdir(mode=0o700)
        taken: set[str] = set()
        for place, (name, content) in enumerate(brought):
            label = safe_name(name)
            if label.casefold() in taken:
                label = f"{place + 1}-{label}"
            taken.add(label.casefold())
            path = folder / label
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(content)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise WorkspaceError(
            f"The files cannot be written into {workspace.root}: {error.strerror}.",
            "Make room or change its permissions, and bring them again.",
        ) from error
    return token


def safe_name(name: str) -> str:
    """The last part of a name as sent, in letters, digits, spaces and ``._()-`` alone, never hidden, never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = re.sub(r"[^\w .()\-]", "_", last).strip(" .")
    stem, suffix = PurePosixPath(plain).stem, PurePosixPath(plain).suffix
    return f"{stem[: LONGEST_NAME - len(suffix)] or 'file'}{suffix[:LONGEST_NAME]}" if plain else "file"


def files(workspace: Workspace, token: str) -> list[Path]:
    """The files of a batch by name; empty where there is no such batch (any more)."""
    folder = _folder(workspace, token)
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file())


def mappings(workspace: Workspace, token: str) -> Path | None:
    """Where corrections of this batch are kept; None where there is no such batch."""
    folder = _folder(workspace, token)
    return None if folder is None or not folder.is_dir() else folder / _MAPPINGS


def adopt(workspace: Workspace, token: str) -> None:
    """Move the corrections of a batch to the workspace's own mappings. Errors: WorkspaceError when they cannot be."""
    folder = mappings(workspace, token)
    if folder is None or not folder.is_dir():
        return
    try:
        workspace.mappings.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(folder.glob("*.toml")):
            path.replace(workspace.mappings / path.name)
    except OSError as error:
        raise WorkspaceError(
            f"The mapping cannot be kept in {workspace.mappings}: {error.strerror}.",
            "Change its permissions and bring the file again.",
        ) from error


def discard(workspace: Workspace, token: str) -> None:
    """Remove a batch and all in it."""
    folder = _folder(workspace, token)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(workspace: Workspace, token: str) -> Path | None:
    return workspace.inbox / token if _TOKEN.fullmatch(token) else None


def _sweep(workspace: Workspace) -> None:
    for folder in workspace.inbox.iterdir():
        if _TOKEN.fullmatch(folder.name) and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
