"""Errors that a person can act on: two sentences, what is wrong and what to do."""

from __future__ import annotations


class TrustError(Exception):
    """A problem a person can fix. ``problem`` names the thing, the rule and the value; ``remedy`` the next step."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[TrustError], tuple[str, str]]:
        """As it was made: an exception crosses to another process by its one text, and this one has two."""
        return type(self), (self.problem, self.remedy)


class FileError(TrustError):
    """A file that is not a table we can read. Nothing of it has landed."""


class MappingError(TrustError):
    """A mapping file, or a header it does not fit."""


class WorkspaceError(TrustError):
    """The workspace is missing, damaged, or in use by another process."""


class EditionError(TrustError):
    """An edition that does not exist, cannot be built, or has been altered."""
