"""A module that is loaded when something of it is first used: what only a measure needs, no page waits for."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for the module ``name``. Errors: ImportError at the first use, where an import would have had it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
