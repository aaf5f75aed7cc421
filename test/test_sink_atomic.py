"""Result files: whole, in the place that was named, and never in that of a device."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avemo_ros.cli.outputs import check_outputs, write_json
from avemo_ros.sink.output_file import OutputError, is_stream, partial_name, replaced


def fail_half_way(path: Path) -> None:
    with replaced(path) as made:
        made.write_text("half")
        raise InterruptedError


def test_what_was_there_is_replaced_only_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(InterruptedError):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert partial_name(path).read_text() == "half"
    with replaced(path) as made:
        made.write_text("new")
    assert path.read_text() == "new"


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    path, link = tmp_path / "far" / "out.json", tmp_path / "link.json"
    path.write_text("old")
    link.symlink_to(path)
    write_json(link, {"a": 1})
    assert link.is_symlink()
    assert path.read_text() == '{\n "a": 1\n}\n'


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    check_outputs([pipe], force=False)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        write_json(pipe, {"a": 1})
        assert read.result(30.0) == '{\n "a": 1\n}\n'
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_was_printed_before_and_after_stays(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from avemo_ros.cli.outputs import write_json\n"
        "print('before')\n"
        "write_json(Path('/dev/stdout'), {'a': 1}); print('after')"
    )
    path = tmp_path / "out.txt"
    with path.open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert path.read_text() == 'before\n{\n "a": 1\n}\nafter\n'


def test_devices_are_streams_and_files_are_not(tmp_path: Path) -> None:
    assert is_stream(Path("/dev/null"))
    assert is_stream(Path("/dev/stdout"))
    assert not is_stream(Path("/dev/shm/out.json"))
    assert not is_stream(tmp_path)
    assert not is_stream(tmp_path / "none.json")


def test_a_file_that_is_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.touch()
    with pytest.raises(OutputError, match="--force"):
        check_outputs([path], force=False)
    check_outputs([path], force=True)
    check_outputs([Path("/dev/null"), Path("/dev/null")], force=False)
