"""What killed commands leave is swept by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_bags

from avemo_ros.bag.folder import Bag
from avemo_ros.cli.outputs import check_outputs
from avemo_ros.data.feature_cache import DiskCache
from avemo_ros.sink.output_file import replaced, sweep, temporary_folder

KILLED = """
import sys, time
from pathlib import Path
from avemo_ros.sink.output_file import replaced, temporary_folder
with replaced(Path(sys.argv[1])) as made, temporary_folder() as folder:
    made.write_text("a face")
    (folder / "bag").write_text("a face")
    print(made, folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A command in the middle of its work, its hidden file and its temporary folder."""
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "out" / "states.jsonl")],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    assert run.stdout is not None
    file, folder = run.stdout.readline().split()
    yield run, Path(file), Path(folder)
    run.kill()
    run.communicate()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


def aged(path: Path) -> None:
    """Changed a minute ago."""
    os.utime(path, (time.time() - 60,) * 2)


def test_what_a_killed_command_left_is_swept_by_the_next(
    tmp_path: Path, running: tuple[subprocess.Popen[str], Path, Path]
) -> None:
    run, file, folder = running
    aged(file)
    aged(folder)
    check_outputs([tmp_path / "out" / "other.json"], force=False)
    sweep(tmp_path / "tmp")
    assert file.read_text() == "a face"
    assert folder.is_dir()
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert file.exists()
    check_outputs([tmp_path / "out" / "other.json"], force=False)
    assert not file.exists()
    with temporary_folder():
        assert not folder.exists()


def test_writing_a_file_sweeps_its_folder_and_leaves_all_else(tmp_path: Path) -> None:
    left = tmp_path / "out" / ".avemo-states-abcdefgh.jsonl"
    others = [tmp_path / "out" / name for name in (".avemo", ".hidden", "avemo-x", "a.json")]
    far = tmp_path / "far.txt"
    far.write_text("mine")
    link = tmp_path / "out" / ".avemo-link"
    link.symlink_to(far)
    for path in (left, *others):
        path.write_text("x")
        aged(path)
    with replaced(tmp_path / "out" / "states.jsonl") as made:
        made.write_text("new")
    assert not left.exists()
    assert all(path.exists() for path in (*others, far))


def test_a_cache_is_swept_when_it_is_opened(tmp_path: Path) -> None:
    left = tmp_path / "out" / ".avemo-0123-abcdefgh.npz"
    left.write_bytes(b"a face")
    aged(left)
    DiskCache(tmp_path / "out", {})
    assert not left.exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["about.json"]


def test_an_unpacked_bag_lies_where_it_is_swept(tmp_path: Path) -> None:
    bag = Bag(tiny_bags.write(tmp_path / "bag", tiny_bags.session(0.1), packed="file"))
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.name.startswith(".avemo-")
    assert [path.name for path in folder.iterdir()] == ["bag.mcap"]
    bag.close()
    assert not folder.exists()
