"""Two commands are kept out of one folder, with an error that names both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avemo_ros.sink.output_file import FolderLock, OutputError, is_locked, locked

HOLD = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(handle, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-S", "-c", HOLD, str(tmp_path), request.param]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("holder", "shared"),
    [("alone", False), ("alone", True), ("shared", False)],
    indirect=["holder"],
)
def test_a_folder_in_use_is_refused_with_its_name_and_the_process(
    holder: subprocess.Popen[str], shared: bool, tmp_path: Path
) -> None:
    with pytest.raises(OutputError) as error, locked(tmp_path, shared=shared):
        pass
    assert f"another process is writing {tmp_path} (process {holder.pid}: " in str(error.value)
    assert sys.executable in str(error.value)
    assert "; wait until it has finished, or choose another folder" in str(error.value)


@pytest.mark.parametrize("holder", ["shared"], indirect=True)
def test_a_folder_can_be_shared(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with locked(tmp_path, shared=True):
        pass


@pytest.mark.parametrize("holder", ["alone"], indirect=True)
def test_a_lock_ends_with_its_process(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert is_locked(tmp_path)
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_a_new_folder_that_stays_empty_vanishes(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b").exists()
    with locked(tmp_path / "a"):
        (tmp_path / "a" / "file").touch()
    assert (tmp_path / "a" / "file").exists()
    with locked(tmp_path):
        pass
    assert tmp_path.exists()


def test_what_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"), locked(tmp_path / "file"):
        pass
    with pytest.raises(OSError, match="No such file"):
        FolderLock(tmp_path / "absent")
