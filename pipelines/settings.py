"""Where things are, and the few facts about the company that no export states.

A workspace is one folder::

    workspace/
      settings.toml      optional; see Settings
      landing.duckdb     every accepted and rejected row, append-only, with the ledger of loads
      history.duckdb     the history as last rebuilt, so that the next publication goes on from it; may be deleted
      editions/          one immutable file per published edition
      mappings/          how files with a known header are read, where a person corrected it
      signoffs.jsonl     notes on breaks of the books, added to and never rewritten
      CURRENT            the name of the edition the pages show
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from pipelines.errors import WorkspaceError

WORKSPACE_VARIABLE = "FORECAST_TRUST_WORKSPACE"
DEFAULT_WORKSPACE = "workspace"
PERIOD_KINDS = ("quarter", "month")
ACTUAL_SOURCES = ("closed_won", "bookings")
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


MEMORY_SHARE = 0.4
MOST_MEMORY_MB = 4_000


def usual_memory_limit() -> str:
    """Two fifths of this machine's memory, and never more than 4 GB: beyond it a larger limit saves no time, and what
    is measured needs room of its own beside the database. A container's own limit counts as the machine."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if CONTAINER_LIMIT.exists() and (stated := CONTAINER_LIMIT.read_text(encoding="ascii").strip()).isdecimal():
        most = min(most, int(stated))
    return f"{max(min(int(MEMORY_SHARE * most / 1e6), MOST_MEMORY_MB), 1)}MB"


@dataclass(frozen=True)
class Settings:
    """What a workspace may state in ``settings.toml``; anything left out is inferred from the data.

    reporting_currency: ISO code money is reported in (else the currency whose rate is 1, else the commonest).
    period_kind: ``quarter`` or ``month`` (else inferred from the periods that calls were made for).
    fiscal_year_start_month: 1 to 12 (else inferred likewise).
    company_name: shown on every page.
    actual_source: what counts as landed, everywhere: ``closed_won`` (the CRM's won deals) or ``bookings`` (what finance
    booked in the period: a person's are those tied to their won deals; lines tied to none are the company's alone).
    memory_limit, threads, spill_directory: what DuckDB may use while publishing (``usual_memory_limit``, every core, a
    folder in the workspace).
    """

    reporting_currency: str | None = None
    period_kind: str | None = None
    fiscal_year_start_month: int | None = None
    company_name: str | None = None
    actual_source: str = "closed_won"
    memory_limit: str = field(default_factory=usual_memory_limit)
    threads: int | None = None
    spill_directory: str | None = None


@dataclass(frozen=True)
class Workspace:
    """The paths of one workspace. Making the object touches nothing on disk."""

    root: Path

    @classmethod
    def at(cls, folder: str | os.PathLike[str] | None = None) -> Workspace:
        """The named folder, else the environment's, else ``./workspace``."""
        return cls(Path(folder or os.environ.get(WORKSPACE_VARIABLE) or DEFAULT_WORKSPACE).expanduser())

    @property
    def landing(self) -> Path:
        return self.root / "landing.duckdb"

    @property
    def history(self) -> Path:
        return self.root / "history.duckdb"

    @property
    def editions(self) -> Path:
        return self.root / "editions"

    @property
    def current(self) -> Path:
        return self.root / "CURRENT"

    @property
    def mappings(self) -> Path:
        return self.root / "mappings"

    @property
    def inbox(self) -> Path:
        """Files brought to a page, until they have landed."""
        return self.root / ".inbox"

    @property
    def job(self) -> Path:
        """What work started from a page last said of itself."""
        return self.root / ".job.json"

    @property
    def signoffs(self) -> Path:
        return self.root / "signoffs.jsonl"

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.toml"

    def create(self) -> None:
        """Make the folders, readable by their owner alone: what is in them is personnel data."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.editions.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"The workspace {self.root} cannot be created: {error.strerror}.",
                "Choose a folder you may write to with --workspace.",
            ) from error

    def settings(self) -> Settings:
        """Read ``settings.toml``; a missing file means every default."""
        if not self.settings_file.exists():
            return Settings()
        try:
            stated = tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WorkspaceError(
                f"{self.settings_file.name} is not valid TOML: {error}.", "Correct that line and run again."
            ) from error
        except OSError as error:
            raise WorkspaceError(
                f"{self.settings_file.name} cannot be read: {error.strerror}.", "Make it a text file you may read."
            ) from error
        known = {field.name for field in fields(Settings)}
        unknown = sorted(set(stated) - known)
        if unknown:
            raise WorkspaceError(
                f"{self.settings_file.name} has an unknown setting: {', '.join(unknown)}.",
                f"Known settings are {', '.join(sorted(known))}.",
            )
        for name, value in stated.items():
            if not _PLAUSIBLE[name][0](value):
                raise WorkspaceError(f"{name} is {value!r} in {self.settings_file.name}.", f"{_PLAUSIBLE[name][1]}.")
        return Settings(**stated)


def _is_text(value: object, pattern: str = r".*\S.*") -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_PLAUSIBLE: dict[str, tuple[Callable[[object], bool], str]] = {
    "reporting_currency": (
        lambda value: _is_text(value, "[A-Z]{3}"),
        "Use a currency's three capital letters, for example EUR",
    ),
    "period_kind": (lambda value: value in PERIOD_KINDS, f"Use one of {', '.join(PERIOD_KINDS)}"),
    "fiscal_year_start_month": (lambda value: _is_whole(value, 1, 12), "Use a whole number from 1 to 12"),
    "actual_source": (lambda value: value in ACTUAL_SOURCES, f"Use one of {', '.join(ACTUAL_SOURCES)}"),
    "company_name": (_is_text, "Write the name in quotation marks"),
    "memory_limit": (
        lambda value: _is_text(value, r"\d{1,9}(\.\d+)? ?[KMGT]i?B|(\d{1,2}(\.\d+)?|100) ?%"),
        "Write a size in quotation marks, for example 4GB or 40%",
    ),
    "threads": (lambda value: _is_whole(value, 1, 1024), "Use a whole number from 1"),
    "spill_directory": (_is_text, "Write the folder in quotation marks"),
}
"""Per setting: what it may be, and what to write instead."""
