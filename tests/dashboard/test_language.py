"""Another language is one file: it reaches every module of words, however a sentence is imported, and errs aloud."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
from dashboard import language, theme, wording, wording_landing, wording_packs
print(theme.money(None, "USD"))
print(wording_landing.asked(0.8), wording_landing.how_often(0.8))
print(wording_packs.forecaster_title("Ann", {"lower": 0.5, "upper": 0.6}, "runs_high"))
print(wording.VERDICTS["trust"][0], theme.plural(3, "Quartal"), wording.lapse(12))
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
    [*sorted((ROOT / "dashboard").glob("wording*.py")), ROOT / "dashboard/theme.py", ROOT / "dashboard/inventory.py"],
    ids=lambda path: path.stem,
)
def test_every_module_of_words_can_be_replaced(path: Path) -> None:
    assert path.read_text(encoding="utf-8").rstrip().endswith("language.take(__name__, globals())")
