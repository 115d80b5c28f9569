"""What waits to land, and how it would be read: one cached answer per batch and state of its mappings."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.language import say
from pipelines import inbox
from pipelines.ingest.kept import Correction, in_use
from pipelines.ingest.mapping import Mapping
from pipelines.ingest.preview import TableView, correct, preview, sources_of
from pipelines.settings import Workspace


def waiting(workspace: Workspace, token: str) -> tuple[TableView, ...]:
    """Every table of a batch as it would land; nothing where there is no such batch.

    Errors: MappingError when a mapping kept in the workspace is wrong.
    """
    return _waiting(str(workspace.root.resolve()), token, _stamp(workspace, token))


def correction(workspace: Workspace, token: str, view: TableView, said: Correction) -> None:
    """Keep what a reader said of one table, with the batch, until it lands.

    Errors: MappingError where it does not fit the file; WorkspaceError when it cannot be kept.
    """
    folder = inbox.mappings(workspace, token)
    if folder is not None:
        correct(view.path, view.file_name, said, _mappings(workspace, token), folder)


def read_as(workspace: Workspace, token: str, view: TableView, table: str) -> dict[str, str]:
    """Canonical column → header, were the view read as another table."""
    return sources_of(view.path, view.file_name, table, _mappings(workspace, token))


@st.cache_resource(max_entries=32, show_spinner=say("Reading what you brought …"))
def _waiting(root: str, token: str, stamp: tuple[tuple[str, int], ...]) -> tuple[TableView, ...]:
    workspace = Workspace.at(root)
    return tuple(preview(inbox.files(workspace, token), _mappings(workspace, token)))


def _mappings(workspace: Workspace, token: str) -> list[Mapping]:
    folder = inbox.mappings(workspace, token)
    return in_use(workspace, *([] if folder is None else [folder]))


def _stamp(workspace: Workspace, token: str) -> tuple[tuple[str, int], ...]:
    """Every file the answer depends on with its time, so that a correction is read at once."""
    folders: list[Path] = [workspace.mappings]
    own = inbox.mappings(workspace, token)
    found = [*inbox.files(workspace, token)]
    for folder in [*folders, *([] if own is None else [own])]:
        found += sorted(folder.glob("*.toml")) if folder.is_dir() else []
    return tuple((str(path), path.stat().st_mtime_ns) for path in found)
