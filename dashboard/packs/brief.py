"""One pack from one edition and one set of filters, made on demand: for the command and for the pages' buttons."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from dashboard import shelf
from dashboard.filters import Filters, calls_label
from dashboard.packs.content import gather
from pipelines.errors import EditionError, TrustError
from pipelines.policy import COMPANY_SCOPE
from pipelines.settings import WORKSPACE_VARIABLE, Workspace

MAKERS = {
    "pdf": ("dashboard.packs.board", "board"),
    "pptx": ("dashboard.packs.deck", "deck"),
    "xlsx": ("dashboard.packs.ledger", "finance_workbook"),
}
"""Format → (module, function); loaded when the first pack is made, as no page needs what writes these files."""

NAMES = {"pdf": "board-paper", "pptx": "qbr-deck", "xlsx": "finance-workbook"}
MEDIA = {
    "pdf": "application/pdf",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def make(file_format: str, filters: Filters, period: str | None = None) -> bytes:
    """The pack as a file's bytes, of the workspace that the pages read. ``period``: the miss told in full."""
    module, maker = MAKERS[file_format]
    made: bytes = getattr(import_module(module), maker)(gather(Workspace.at(), filters, period))
    return made


def known_or_none(filters: Filters, period: str | None) -> str | None:
    """The period of a link, if it has closed in this edition; else none, which is the latest closed one."""
    if period is None:
        return None
    return period if period in _closed(Workspace.at(), filters) else None


def file_name(file_format: str, filters: Filters) -> str:
    """``board-paper-20261109T052509Z-4334d2b5c93b.pdf``; with a scope's id where it is not the whole company."""
    scope = "" if filters.scope == COMPANY_SCOPE else "-" + "".join(c if c.isalnum() else "_" for c in filters.scope)
    return f"{NAMES[file_format]}-{filters.edition_id}{scope}.{file_format}"


def write(
    workspace: Workspace,
    *,
    edition_id: str | None,
    file_format: str,
    out: Path | None,
    scope: str | None = None,
    calls: str | None = None,
    period: str | None = None,
) -> Path:
    """Write one pack and return where. Errors: nothing is published, the edition, scope, calls or period is unknown,
    or the file cannot be written."""
    # The answers read the workspace as every page does.
    os.environ[WORKSPACE_VARIABLE] = str(workspace.root.resolve())
    filters = _filters(workspace, edition_id, scope, calls)
    made = make(file_format, filters, _known_period(workspace, filters, period))
    path = out or Path(file_name(file_format, filters))
    try:
        path.write_bytes(made)
    except OSError as error:
        raise TrustError(f"{path} cannot be written: {error.strerror}.", "Choose another file with --out.") from error
    return path


def _filters(workspace: Workspace, edition_id: str | None, scope: str | None, calls: str | None) -> Filters:
    shelved = shelf.on_offer(workspace)
    chosen = edition_id or shelved.current_id
    if chosen is None:
        raise EditionError(
            f"The workspace {workspace.root} has no published edition to brief from.",
            f"Publish one first: forecast-trust publish --workspace {workspace.root}",
        )
    ref = shelf.edition(workspace, chosen)
    offered = shelf.choices(ref)
    scopes = {key: key for key, _ in offered.scopes} | {label: key for key, label in offered.scopes}
    if scope is not None and scope not in scopes:
        raise TrustError(
            f"Scope {scope!r} is not in edition {chosen}.",
            f"Use one of: {_listed([label for _, label in offered.scopes])}.",
        )
    named = {f"{layer}:{category}": (layer, category) for layer, category in offered.calls}
    named |= {calls_label(*pair): pair for pair in offered.calls}
    if calls is not None and calls not in named:
        raise TrustError(
            f"Calls {calls!r} are not in edition {chosen}.",
            f"Use one of: {_listed([':'.join(pair) for pair in offered.calls])}.",
        )
    first = offered.calls[0] if offered.calls else ("rep", "commit")
    layer, category = first if calls is None else named[calls]
    asked_scope = COMPANY_SCOPE if scope is None else scopes[scope]
    return Filters(chosen, asked_scope, layer, category, shelved.judged_on(ref))


def _known_period(workspace: Workspace, filters: Filters, period: str | None) -> str | None:
    closed = _closed(workspace, filters)
    if period is not None and period not in closed:
        raise TrustError(
            f"Period {period!r} has not closed in edition {filters.edition_id}.",
            f"Use one of: {_listed(closed)}." if closed else "Leave --period out: no period has closed yet.",
        )
    return period


def _closed(workspace: Workspace, filters: Filters) -> list[str]:
    """Labels of the closed periods, latest first."""
    periods = shelf.table(shelf.edition(workspace, filters.edition_id), "periods").filter(status="closed")
    return periods.sort("period_start_on", descending=True)["label"].to_list()


def _listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
