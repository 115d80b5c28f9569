"""Finished results wait on disk: a large company's fill a gigabyte or two that the next stage needs.

What is read back is also smaller than what was written: a frame cut from a large one keeps the large one's texts alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.errors import WorkspaceError


@dataclass(frozen=True)
class Aside:
    """Frames by name, in files of their own."""

    paths: Mapping[str, Path]

    def take(self, *names: str) -> dict[str, pl.DataFrame]:
        """These frames, or all of them where none is named; they can be taken again.

        Errors: WorkspaceError where a file is gone or damaged.
        """
        try:
            return {name: pl.read_ipc(self.paths[name]) for name in names or self.paths}
        except (OSError, pl.exceptions.ComputeError) as error:
            raise WorkspaceError(
                f"What was measured and put aside cannot be read again: {_first_line(error)}.",
                "Look after the workspace's disk, and publish again.",
            ) from error


def put_aside(frames: Mapping[str, pl.DataFrame], folder: Path) -> Aside:
    """Write every frame to a file in ``folder``, whose owner removes it. Errors: WorkspaceError if it fails."""
    paths = {name: folder / f"{name}.aside" for name in frames}
    for name, frame in frames.items():
        try:
            # Texts one after the other, as Arrow wrote them first: those that nobody points at any more stay behind.
            frame.write_ipc(paths[name], compression="lz4", compat_level=pl.CompatLevel.oldest())
        except OSError as error:
            raise WorkspaceError(
                f"What was measured cannot be put on the disk of {folder.parent}: {_first_line(error)}.",
                "Make room or change the folder's permissions, and publish again.",
            ) from error
    return Aside(paths)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
