"""avemo bag play and avemo bag record: the command line around the nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag.folder import Bag
from avemo_ros.cli.main import main


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "avemo_ros.cli.main", "bag", *map(str, words)]


def recorded(bag: Path) -> set[str]:
    """Topics of which a bag holds messages; it may still be being written."""
    with closing(Bag(bag)) as content:
        return {
            channel.topic
            for channel in content.channels
            if any(True for _ in content.messages([channel]))
        }


@pytest.mark.parametrize("words", [("play", "x"), ("record", "--out", "x")])
def test_without_the_messages_it_says_what_to_source(
    repository: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    without = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=240, check=False, env=without,
        cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "needs ROS 2 and the messages of this package: source" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_what_is_played_is_recorded(tmp_path: Path) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 1.0, 0.0, 0.0)], every=3)
    out = tmp_path / "out"
    wanted = {"/image_raw/compressed", "/audio"}
    recorder = subprocess.Popen(
        command("record", "--out", out, "--raw", "--compressed", "--use-sim-time"),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        played = subprocess.run(
            command("play", bag, "--rate", 0.5, "--wait", 60),
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        # What the player sent last may still be on its way.
        until = time.monotonic() + 60.0
        while not recorded(out.with_name("out.partial")) >= wanted:
            assert time.monotonic() < until
            time.sleep(0.1)
        recorder.send_signal(signal.SIGINT)
        said = recorder.communicate(timeout=240)[1]
    finally:
        recorder.kill()
    assert played.returncode == 0, played.stderr
    assert "the bag has ended" in played.stderr
    assert recorder.returncode == 0
    assert "raw images and audio of people; these are personal data" in said
    assert recorded(out) >= wanted


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
def test_what_cannot_be_played_ends_with_status_1(tmp_path: Path) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 0.3, 0.0, 0.0)], every=3)
    ended = subprocess.run(
        command("play", bag, "--rate", 0), capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "'play_rate'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start", 99), "'play_start_s' is 99.0; allowed: 0 to"),
        (("--topics", "/nix"), "'play_topics' is '/nix'; allowed: /audio"),
    ],
)
def test_what_the_bag_has_not_is_said(
    tmp_path: Path, words: tuple[object, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 0.3, 0.0, 0.0)], every=3)
    assert main(["bag", "play", str(bag), *map(str, words)]) == 1
    assert said in capfd.readouterr().err


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
def test_what_cannot_be_recorded_is_not_announced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", "record", "--out", str(tmp_path), "--raw"]) == 1
    complaints = capfd.readouterr().err
    assert "already exists" in complaints
    assert "records" not in complaints
    assert "Traceback" not in complaints


@pytest.mark.ros
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_what_is_being_recorded_is_not_called_left_over(tmp_path: Path) -> None:
    words = command("record", "--out", tmp_path / "out", "--raw")
    first = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr is not None
        assert any(f"to {tmp_path / 'out'}" in line for line in first.stderr)
        second = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert f"another process is writing {tmp_path / 'out.partial'} (process" in second.stderr
    assert "; choose another name, or wait until it has finished" in second.stderr
    assert "remove" not in second.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--features"], "--features records no images"),
        (["--states"], "add --raw"),
        (["--topics", "/nods"], "add --raw"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["bag", "record", "--out", str(tmp_path / "out"), "--compressed", *words]
    assert main(given) == 2
    complaints = capsys.readouterr().err
    assert "'--compressed' is 'given'; allowed: only with --raw" in complaints
    assert said in complaints
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["play", "record"])
def test_the_help_tells_the_exit_statuses(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bag", name, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    text = told[told.index("exit status: 0 ") :]
    assert all(f"; {status} " in text.replace("\n", " ") for status in (1, 2, 130))
