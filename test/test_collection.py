"""A test file that skips itself leaves the others alone, whatever plugins are loaded."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What launch_testing's plugin does (ROS 2 Humble to Jazzy): it imports each file, to look for a
# launch test in it, before pytest makes a module of it that may skip itself.
STAND_IN = """
import importlib
import sys

import pytest


def pytest_pycollect_makemodule(module_path, parent):
    sys.path.insert(0, str(module_path.parent))
    getattr(importlib.import_module(module_path.stem), "generate_test_description", None)
    return pytest.Module.from_parent(parent, path=module_path)
"""


def collected(folder: Path, repository: Path, plugin: str) -> subprocess.CompletedProcess[str]:
    """Runs the tests of a folder that has our conftest.py, with a plugin loaded."""
    shutil.copy(repository / "test" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "imports_early.py").write_text(STAND_IN)
    path = [str(folder), str(repository / "test"), *sys.path]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-ra",
        "-p",
        "no:cacheprovider",
        "-p",
        plugin,
    ]
    # Where this run is measured, that one is not.
    ours = {name: one for name, one in os.environ.items() if not name.startswith("SLIPCOVER_")}
    return subprocess.run(
        [*command, "-p", "no:xdist", "-c", "pytest.ini", str(folder)],
        cwd=folder,
        env={**ours, "PYTHONPATH": os.pathsep.join(path), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("plugin", ["imports_early", "launch_testing"])
def test_a_file_that_skips_itself_does_not_empty_the_collection(
    plugin: str, repository: Path, tmp_path: Path
) -> None:
    if plugin == "launch_testing" and not importlib.util.find_spec("launch_testing"):
        pytest.skip("launch_testing comes with ROS")
    skipping = "import pytest\n\nmissing = pytest.importorskip('no_such_module')\n"
    passing = "def test_it() -> None:\n    assert True\n"
    (tmp_path / "test_a_first.py").write_text(passing)
    (tmp_path / "test_b_skips.py").write_text(skipping + "\n\n" + passing)
    (tmp_path / "test_c_last.py").write_text(passing)
    run = collected(tmp_path, repository, plugin)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed, 1 skipped" in run.stdout
    assert "no_such_module" in run.stdout  # says why
