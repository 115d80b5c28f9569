"""Documentation is tested: every command, setting and make target is mentioned, and nothing is that does not exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_mentioned(command: str) -> None:
    assert f"forecast-trust {command}" in README or f"make {command}" in README


def test_no_command_is_mentioned_that_does_not_exist() -> None:
    assert set(re.findall(r"forecast-trust ([a-z]+)", README)) <= set(main.commands)


@pytest.mark.parametrize("setting", [field.name for field in fields(Settings)])
def test_every_setting_is_mentioned(setting: str) -> None:
    assert f"`{setting}`" in README


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) & targets >= {"demo", "test"}
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets


def test_every_picture_is_there() -> None:
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture


def test_no_committed_text_names_a_machine_or_an_index() -> None:
    names = ("pyproject.toml", "requirements.lock", "Makefile", ".ci/run", "README.md", "CONTRIBUTING.md")
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!127\.0\.0\.1)", text), name
        assert not re.search(r"(?m)(^|\s)/(work|root|home|tmp)/", text), name
