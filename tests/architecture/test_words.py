"""A page's words are told apart from its code: sentences in modules of words, short texts through ``say``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"
PLACES = [
    DASHBOARD / "app.py",
    DASHBOARD / "filters.py",
    DASHBOARD / "shelf.py",
    *sorted((DASHBOARD / "views").glob("*.py")),
    *sorted((DASHBOARD / "charts").glob("*.py")),
]
PROSE = re.compile(r"[A-Za-z]{2,}[ ,:·]+(\{\})?[ ,:·]*[A-Za-z]{2,}|^[A-Z][a-z]+$")
"""Two words, or one with a capital letter."""

CODE = re.compile(
    r"^(\s*<|:root|top center|bottom center|bottom left|middle left|D MMM YYYY|%Y|/|Unexpected error %s$"
    r"|forecast-trust )"
)
"""What looks like words and is read by a program: markup, places of a label, formats, the log."""

NAMES = {"Forecast Trust", "About", "Left", "Right", "Esc"}
"""The product, a key of the framework's menu, and keys of a keyboard."""


SAYS = {"say", "_page", "page_at"}
"""What is given to these is said in the reader's language, or read by nobody but us."""


def loose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each text a reader would see that no language could replace."""
    tree = ast.parse(source)
    told: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            told |= {id(line.value) for line in node.body if isinstance(line, ast.Expr)}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        is_said = isinstance(node, ast.Call) and (
            _name(node.func) in SAYS or (_name(node.func) == "map" and _name(node.args[0]) == "say")
        )
        if isinstance(node, ast.GeneratorExp | ast.ListComp) and _says(node.elt):
            told |= {id(inner) for loop in node.generators for inner in ast.walk(loop.iter)}
        if is_said or isinstance(node, ast.Subscript):
            told |= {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Constant | ast.JoinedStr)}
    for node in ast.walk(tree):
        if id(node) in told:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            told |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if PROSE.search(text) and not CODE.search(text) and text not in NAMES and id(node) not in told:
            yield node.lineno, text


def _says(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Call) and _name(inner.func) == "say" for inner in ast.walk(node))


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(DASHBOARD)))
def test_no_page_holds_words_that_a_language_cannot_replace(path: Path) -> None:
    found = [f"{line}: {text}" for line, text in loose(path.read_text(encoding="utf-8"))]
    assert not found, "put it into a module of words, or into say(...)"


@pytest.mark.parametrize("planted", ['st.title("Why so late")', 'st.caption(f"of {n} deals")', 'Column("Deals")'])
def test_a_planted_word_is_found(planted: str) -> None:
    assert list(loose(planted))
    assert not list(loose(planted.replace("(", "(say(", 1).replace(")", "))")))
