"""What `pip install .` and `colcon build` leave where they install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "out", "runs", "build", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(repository, folder / "source", ignore=LEFT_OUT)
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", str(folder), str(source),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_code_weights_settings_and_sample(
    repository: Path, wheel: zipfile.ZipFile
) -> None:
    names = set(wheel.namelist())
    for path in (repository / "avemo_ros").rglob("*.py"):
        assert path.relative_to(repository).as_posix() in names
    assert "avemo_ros/py.typed" in names
    for path in (repository / "avemo_ros" / "report" / "templates").iterdir():
        assert path.relative_to(repository).as_posix() in names
    shared = {name.partition("/data/share/avemo_ros/")[2] for name in names}
    assert "sample.mp4" in shared
    for folder in ("models", "config"):
        for path in (repository / folder).rglob("*"):
            if path.is_file():
                assert path.relative_to(repository).as_posix() in shared


def test_the_wheel_brings_the_command_avemo(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "avemo = avemo_ros.cli.main:main" in wheel.read(entry).decode()


def prefix() -> Path:
    """Where colcon installed avemo_ros."""
    from ament_index_python.packages import get_package_prefix

    return Path(get_package_prefix("avemo_ros"))


@pytest.mark.ros
def test_the_workspace_holds_every_source_file_of_the_checkout(repository: Path) -> None:
    import avemo_ros.msg

    installed = Path(avemo_ros.msg.__path__[0]).parent
    for path in (repository / "avemo_ros").rglob("*.py"):
        copy = installed / path.relative_to(repository / "avemo_ros")
        assert copy.is_file(), f"{path} is not installed: run `make build`"
        assert copy.read_text() == path.read_text(), f"{copy} is old: run `make build`"


@pytest.mark.ros
@pytest.mark.parametrize("folder", ["launch", "config", "models"])
def test_the_workspace_holds_the_shared_files(repository: Path, folder: str) -> None:
    share = prefix() / "share" / "avemo_ros"
    expected = [path for path in (repository / folder).rglob("*") if path.is_file()]
    assert expected
    for path in expected:
        if "__pycache__" not in path.parts:
            assert (share / path.relative_to(repository)).is_file()
    assert (share / "sample.mp4").is_file()


@pytest.mark.ros
def test_the_executables_start_with_the_python_on_the_path() -> None:
    folder = prefix() / "lib" / "avemo_ros"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "bag_player", "bag_recorder", "camera", "dialog", "emotion", "emotion_stack",
        "face_tracker", "media_player", "microphone", "speech_buffer",
    }  # fmt: skip
    for path in [*folder.iterdir(), prefix() / "bin" / "avemo"]:
        assert os.access(path, os.X_OK), path
        assert path.read_text().startswith("#!/usr/bin/env python3\n"), path
