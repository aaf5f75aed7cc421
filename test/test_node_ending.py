"""Nodes end on the first signal, whenever it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import clip_bags
import pytest
from clip_bags import Piece

pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
pytestmark = [pytest.mark.ros, pytest.mark.usefixtures("ros_domain"), pytest.mark.timeout(400)]

AT_THE_WORST_MOMENT = """
import importlib, os, signal, sys, threading

from avemo_ros.nodes.executor import ShutdownEvent

wait, wait_for_end, sent = threading.Condition.wait, ShutdownEvent.wait, []

def send():
    if not sent:
        sent.append(True)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

def signalled(self, timeout=None):
    # An event's lock is held here: its `set`, called by a handler, would wait for ever.
    if threading.current_thread() is threading.main_thread() and ending:
        send()
    return wait(self, timeout)

def ends(self):
    threading.Timer(1.0, send).start()
    ending.append(True)
    wait_for_end(self)
    ending.clear()

ending = []
threading.Condition.wait = signalled
ShutdownEvent.wait = ends
status = importlib.import_module(f"avemo_ros.nodes.{sys.argv[2]}").main(sys.argv[3:])
assert sent
raise SystemExit(status)
"""


def signalled(signal: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AT_THE_WORST_MOMENT, signal, words[0], "--ros-args", *words[1:]],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_recorder_ends_by_a_signal_that_comes_just_as_it_begins(
    tmp_path: Path, signal: str
) -> None:
    ended = signalled(signal, "bag_recorder", "-p", f"record_out:={tmp_path / 'out'}")
    assert "nothing arrived, so no bag was written" in ended.stderr
    assert ended.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_player_ends_by_a_signal_that_comes_just_as_it_begins(tmp_path: Path) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 0.3, 0.0, 0.0)], every=3)
    ended = signalled(
        "SIGTERM", "bag_player", "-p", f"bag:={bag}", "-p", "wait_for_subscribers_s:=3600.0"
    )
    assert ended.returncode == 0, ended.stderr
    assert "the bag has ended" not in ended.stderr
