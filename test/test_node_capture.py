"""A device that fails in a way nobody expected is closed and tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


class Fickle:
    """Breaks at the third read, and refuses to be opened while it is open."""

    def __init__(self) -> None:
        self.is_open = False
        self.reads = 0
        self.closed_while_broken = threading.Event()

    def open(self) -> None:
        assert not self.is_open, "the device is busy"
        self.is_open = True

    def read(self) -> int:
        self.reads += 1
        if self.reads == 3:
            raise RuntimeError("the driver is confused")
        threading.Event().wait(0.01)
        return self.reads

    def close(self) -> None:
        self.is_open = False
        if self.reads == 3:
            self.closed_while_broken.set()
            raise OSError("no such device")


def test_an_unexpected_error_closes_the_device_and_it_is_opened_again(
    start_graph: Start,
) -> None:
    graph = start_graph("autostart:=false")
    node = graph.add(ros.MicrophoneNode, start=False)
    taken: list[int] = []
    device = Fickle()
    capture = ros.Capture(node, "microphone", device, taken.append)
    capture.start()
    try:
        assert graph.spin(device.closed_while_broken.is_set)
        assert graph.spin(lambda: len(taken) > 6)
    finally:
        capture.stop()
    assert taken[:3] == [1, 2, 4]
    assert not device.is_open
    words = ("RuntimeError: the driver is confused", "trying again")
    assert graph.spin(lambda: graph.said("microphone", *words))
    assert graph.said("cannot be closed: OSError: no such device")


def test_while_it_is_tried_again_it_is_not_said_to_hang(start_graph: Start) -> None:
    class Broken(Fickle):
        def read(self) -> int:
            raise RuntimeError("the driver is confused")

    graph = start_graph("autostart:=false")
    node = graph.add(ros.MicrophoneNode, start=False)
    capture = ros.Capture(node, "microphone", Broken(), lambda _: None)
    capture.start()
    try:
        assert graph.spin(lambda: graph.said("the driver is confused"))
        said = []
        # It is open for a moment with every try, and lost again.
        assert graph.spin(
            lambda: (
                said.append(capture.status())
                or [one.level for one in said].count(ros.DiagnosticStatus.ERROR) == 5
            )
        )
    finally:
        capture.stop()
    for status in said:
        if status.level == ros.DiagnosticStatus.ERROR:
            assert "the driver is confused" in status.message
        else:
            assert status.message == "captures"
