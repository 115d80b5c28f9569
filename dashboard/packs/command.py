"""What the command ``brief`` loads: the packs, without the pages' framework complaining that no server runs."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

import streamlit

from pipelines.settings import Workspace


def write(
    workspace: Workspace,
    *,
    edition_id: str | None,
    file_format: str,
    out: Path | None,
    scope: str | None,
    calls: str | None,
    period: str | None,
) -> Path:
    """``brief.write``, imported late: the caches of the pages look for a server while they are imported."""
    for part in ("cache_data_api", "cache_resource_api"):
        logging.getLogger(f"{streamlit.__name__}.runtime.caching.{part}").setLevel(logging.ERROR)
    found: Path = import_module("dashboard.packs.brief").write(
        workspace,
        edition_id=edition_id,
        file_format=file_format,
        out=out,
        scope=scope,
        calls=calls,
        period=period,
    )
    return found
