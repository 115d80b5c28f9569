"""Which language the pages speak: English as it stands in the modules of words, or what one file says instead.

Another language is the file ``dashboard/languages/<code>.py``, chosen with ``FORECAST_TRUST_LANGUAGE=<code>``. In it, a
class named after each module of words (``theme``, ``wording``, ``wording_miss`` …) holds what that module is to say in
its place: functions with the parameters of the English ones, constants with the same keys. ``LABELS`` maps the short
texts of pages (``say``) to theirs, ``ERRORS`` the sentences of errors (``told``), ``{name}`` standing for a value.
Definitions and the reasons of the policy are read from the code and stay English, as does the command line. What is
left out stays English; a name that English does not have is refused, so that no translation is silently lost when a
sentence is renamed.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, MutableMapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pipelines.errors import TrustError

LANGUAGE_VARIABLE = "FORECAST_TRUST_LANGUAGE"
ENGLISH = "en"


def code() -> str:
    """The language asked for, as a BCP 47 code: what a document states about itself."""
    return os.environ.get(LANGUAGE_VARIABLE) or ENGLISH


def say(text: str, **values: object) -> str:
    """A short text of a page in the language of the reader; ``{name}`` stands for a value."""
    file = _file(code())
    said = text if file is None else str(getattr(file, "LABELS", {}).get(text, text))
    return said.format(**values) if values else said


def told(text: str) -> str:
    """A sentence of an error, written in English where it was raised, in the language of the reader."""
    for english, said in _errors(code()):
        found = english.fullmatch(text)
        if found is not None:
            return said.format(**found.groupdict())
    return text


@cache
def _errors(asked: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each sentence as what recognises it whole: ``{name}`` stands for any value."""
    stated: dict[str, str] = getattr(_file(asked), "ERRORS", {})
    return tuple(
        (re.compile(_VALUE.sub(r"(?P<\1>.+?)", re.escape(english)), re.DOTALL), said)
        for english, said in stated.items()
    )


_VALUE = re.compile(r"\\\{(\w+)\\\}")


def take(name: str, words: MutableMapping[str, Any]) -> None:
    """Called at the end of a module of words with its name and globals: puts the language's words in their place."""
    file = _file(code())
    module = name.rpartition(".")[2]
    if file is None or not hasattr(file, module):
        return
    for said, value in _stated(getattr(file, module)).items():
        words[said] = _fitting(f"{module}.{said}", words, said, value)


def _stated(part: object) -> dict[str, Any]:
    return {name: value for name, value in vars(part).items() if not name.startswith("__")}


def _fitting(what: str, words: Mapping[str, Any], said: str, value: Any) -> Any:
    if said not in words:
        raise TrustError(
            f"The language {code()} translates {what}, which English does not have.",
            "Rename it in the language's file, or remove it there.",
        )
    english = words[said]
    if callable(english) and list(inspect.signature(english).parameters) != list(inspect.signature(value).parameters):
        raise TrustError(
            f"The language {code()} gives {what} other parameters than English has.",
            f"Give it {inspect.signature(english)}.",
        )
    if isinstance(english, dict) and english.keys() != value.keys():
        raise TrustError(
            f"The language {code()} gives {what} other keys than English has.", f"Use {', '.join(map(str, english))}."
        )
    return value


@cache
def _file(asked: str) -> ModuleType | None:
    if asked == ENGLISH:
        return None
    if not asked.isidentifier() or find_spec(f"dashboard.languages.{asked}") is None:
        raise TrustError(
            f"The pages have no words in the language {asked!r}.",
            f"Leave {LANGUAGE_VARIABLE} out for English, or add dashboard/languages/{asked}.py.",
        )
    return import_module(f"dashboard.languages.{asked}")
