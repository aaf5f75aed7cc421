"""tools/executable.in, of which CMake makes the executables, where packages are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import runpy, sys
sys.modules[sys.argv[1]] = None  # which makes its import fail as if it were not there
executable = sys.argv[2]
sys.argv = [executable, *sys.argv[3:]]
runpy.run_path(executable, run_name="__main__")
"""


def started(
    repository: Path, folder: Path, module: str, lacking: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """What starts a module of ours, where another module is not installed."""
    template = (repository / "tools" / "executable.in").read_text()
    executable = folder / "executable"
    executable.write_text(template.replace("@MODULE@", module))
    return subprocess.run(
        [sys.executable, "-c", RUN, lacking, str(executable), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_missing_pip_package_is_named_with_what_to_run(
    repository: Path, tmp_path: Path
) -> None:
    done = started(repository, tmp_path, "avemo_ros.cli.main", "numpy", "models")
    assert done.returncode == 1
    assert "'numpy' is missing: run `make setup`" in done.stderr
    assert ". tools/env.sh" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_module_of_the_package_itself_is_not_taken_for_one(
    repository: Path, tmp_path: Path
) -> None:
    done = started(repository, tmp_path, "avemo_ros.cli.main", "avemo_ros.cli.models", "models")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr
    assert "make setup" not in done.stderr


@pytest.mark.ros
def test_a_node_says_it_too(repository: Path, tmp_path: Path) -> None:
    done = started(repository, tmp_path, "avemo_ros.nodes.emotion_stack", "onnxruntime")
    assert done.returncode == 1
    assert "'onnxruntime' is missing: run `make setup`" in done.stderr
