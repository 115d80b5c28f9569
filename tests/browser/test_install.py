"""`pip install .` gives the command its pages, their theme and their pictures, from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import json
from importlib.metadata import entry_points
from pathlib import Path
serve = next(point for point in entry_points(group="forecast_trust.screens") if point.name == "dashboard").load()
from dashboard import launch
print(json.dumps({
    "file": launch.__file__,
    "options": launch.options(),
    "assets": sorted(path.name for path in (Path(launch.__file__).parent / "assets").iterdir()),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel puts it, beside nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", "--target", folder, ROOT], check=True)
    return folder


def test_a_wheel_carries_the_theme_and_is_silent_to_the_world(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["file"]).is_relative_to(installed)
    assert found["options"]["theme.light.primaryColor"] == "#0072B2"
    assert found["options"]["browser.gatherUsageStats"] is False
    assert {"icon.png", "style.css", "operating_characteristics.csv"} <= set(found["assets"])
