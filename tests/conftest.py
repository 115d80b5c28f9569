"""Fixtures that every test shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would test the machine's other work, not ours; the same examples everywhere keep a red run repeatable.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference numbers and third-party data that lies beside the repository on a developer's machine."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared reference data beside the repository, which is absent here")
    return SHARED
