"""Another language is one file: it reaches every module of words, however a sentence is imported, and errs aloud."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dashboard import language
from pipelines.errors import TrustError

ROOT = Path(__file__).resolve().parents[2]

PLANTED = '''
"""A language of a test."""

LABELS = {"Why this verdict": "Warum dieses Urteil", "Every {noun}": "Jedes {noun}"}


class theme:
    MISSING = "fehlt"

    def plural(number, one, many=None):
        return f"{number} x {one}"


class wording:
    VERDICTS = {"trust": ("Ja", "a"), "trust_with_care": ("Obacht", "b"), "do_not_rely": ("Nein", "c"),
                "not_enough_history": ("Noch nicht", "d")}

    def how_often(level):
        return f"{level:.0%} der Zeit"

    def lean_range(lower, upper):
        return "liegen schief"
'''

SPEAKING = """
import sys
import dashboard.languages
dashboard.languages.__path__.append(sys.argv[1])
from decimal import Decimal
from dashboard import language, theme, wording, wording_landing, wording_packs, wording_trust
print(theme.money(None, "USD"))
print(wording_landing.asked(0.8), wording_landing.how_often(0.8))
print(wording_packs.forecaster_title("Ann", {"lower": 0.5, "upper": 0.6}, "runs_high"))
print(wording.VERDICTS["trust"][0], theme.plural(3, "Quartal"), wording_trust.lapse(12))
print(language.say("Why this verdict"), language.say("Every {noun}", noun="Quartal"), language.say("Left in English"))
"""


def spoken(folder: Path, file: str, code: str = "xx") -> subprocess.CompletedProcess[str]:
    (folder / f"{code}.py").write_text(file, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", SPEAKING, str(folder)],
        env={"PYTHONPATH": str(ROOT), language.LANGUAGE_VARIABLE: "xx", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_file_speaks_everywhere_and_leaves_the_rest_in_english(tmp_path: Path) -> None:
    done = spoken(tmp_path, PLANTED)
    assert done.returncode == 0, done.stderr
    missing, often, title, words, labels = done.stdout.splitlines()
    assert missing == "fehlt"
    assert often == "80% der Zeit 80% der Zeit", "also where a module took the name by itself"
    assert title == "Ann: calls liegen schief"
    assert words == "Ja 3 x Quartal 12 x day"
    assert labels == "Warum dieses Urteil Jedes Quartal Left in English"


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (
            "class wording:\n    def how_oft(level):\n        return ''\n",
            "wording.how_oft, which English does not have",
        ),
        ("class wording:\n    def how_often(a, b):\n        return ''\n", "other parameters than English has"),
        ("class wording:\n    VERDICTS = {'trust': 1}\n", "other keys than English has"),
    ],
)
def test_a_translation_that_fits_nothing_is_refused(file: str, problem: str, tmp_path: Path) -> None:
    done = spoken(tmp_path, file)
    assert done.returncode != 0
    assert problem in done.stderr


@pytest.mark.parametrize("code", ["qq", "../x", "de-AT"])
def test_a_language_without_a_file_is_said(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.LANGUAGE_VARIABLE, code)
    with pytest.raises(TrustError, match="no words in the language"):
        language.say("anything")


def test_english_is_spoken_where_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(language.LANGUAGE_VARIABLE, raising=False)
    assert language.say("Every {noun} of {n}", noun="quarter", n=3) == "Every quarter of 3"
    assert language.say("100 % {as it stands}") == "100 % {as it stands}"


@pytest.mark.parametrize(
    "path",
    [
        *sorted((ROOT / "dashboard").glob("wording*.py")),
        *(ROOT / f"dashboard/{name}.py" for name in ("theme", "inventory", "definitions")),
    ],
    ids=lambda path: path.stem,
)
def test_every_module_of_words_can_be_replaced(path: Path) -> None:
    assert path.read_text(encoding="utf-8").rstrip().endswith("language.take(__name__, globals())")


# Nothing a reader sees is written outside the seam


OTHERS = [
    path
    for folder in ("", "views", "charts", "packs")
    for path in sorted((ROOT / "dashboard" / folder).glob("*.py"))
    if not path.name.startswith(("wording", "theme", "inventory", "definitions", "language", "launch"))
]
"""Modules that may hold words only as ``say("…")``: the others can be replaced whole, or speak to the command line."""

PROSE = re.compile(r"[A-Za-z]{2,},? [a-zA-Z]{2,}|^[A-Z][a-z]{2,}( |$)")
OTHERWISE_SAID = {"say", "page_at", "_page", "Later", "getLogger", "set_properties"}
NO_WORDS = {
    "Forecast Trust",  # a name
    "About",  # the framework's key of its menu
    "Calibri", "General", "d mmm yyyy", "D MMM YYYY",  # formats of sheets
    "Footer", "Page", "Findings", "Of",  # names of boxes on a slide, which nobody reads
    "Left", "Right", "Esc",  # keys
    "Link", "Cache", "Only this machine may ask.",  # HTTP
    "bottom left", "middle left", "top center", "bottom center",  # places of a label
    "could not be displayed with font",  # a warning of the paper's compiler, recognised
    "ft-table ft-stacks",
}  # fmt: skip


def nodes_of(tree: ast.AST) -> set[int]:
    return {id(node) for node in ast.walk(tree)}


def said_otherwise(tree: ast.Module) -> set[int]:
    """Texts that go through the seam, and those that no page shows: docstrings, errors on their way, annotations."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) or isinstance(node, ast.Raise):
            found |= nodes_of(node)
        elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            found |= nodes_of(node.annotation)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            by_say = name == "map" and isinstance(node.args[0], ast.Name) and node.args[0].id == "say"
            to_log = ast.unparse(node.func).startswith("log.")
            if name in OTHERWISE_SAID or by_say or to_log:
                found |= nodes_of(node)
    return found


def said_by_name(tree: ast.Module) -> bool:
    """Whether texts listed here are said one by one: ``say(text) for text in (…)``."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "say"
        and isinstance(node.args[0], ast.Name)
        for node in ast.walk(tree)
    )


def unsaid(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    skipped, listed = said_otherwise(tree), set()
    if said_by_name(tree):
        listed = {id(each) for node in ast.walk(tree) if isinstance(node, ast.Tuple) for each in node.elts}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in skipped | listed:
            continue
        is_markup = "<" in node.value or "--workspace" in node.value
        if PROSE.search(node.value) and node.value.strip() not in NO_WORDS and not is_markup:
            yield node.value


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_words_are_written_outside_the_seam(path: Path) -> None:
    assert list(unsaid(path.read_text(encoding="utf-8"))) == []


def test_words_outside_the_seam_would_be_found() -> None:
    assert list(unsaid('"""Read me."""\nst.header("What the deals say")\nst.caption(say("Not this one"))')) == [
        "What the deals say"
    ]
    assert list(unsaid('raise TrustError("The file is gone.", "Bring it again.")')) == []
    assert list(unsaid('line = f"{whose} and as of {day}"')) == [" and as of "]


def test_an_error_is_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "There is no edition '2026' in /data/a (b)."
    assert language.told(text) == text

    file = SimpleNamespace(ERRORS={"There is no edition {id} in {folder}.": "In {folder} gibt es keine Ausgabe {id}."})
    monkeypatch.setattr(language, "_file", lambda _: file)
    language._errors.cache_clear()
    try:
        assert language.told(text) == "In /data/a (b) gibt es keine Ausgabe '2026'."
        assert language.told("Another error.") == "Another error."
    finally:
        language._errors.cache_clear()
