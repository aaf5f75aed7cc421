"""What a node says of itself while nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
ManagedNode = pytest.importorskip("avemo_ros.nodes.base_node").ManagedNode
start_graph = ros.start_graph
pytestmark = pytest.mark.ros


class Deaf(ManagedNode):
    """A node that reports what the test says."""

    def __init__(self) -> None:
        super().__init__("deaf")
        self.entry: Any = None

    def report(self) -> list[Any]:
        return [self.entry]


def test_an_input_that_does_not_come_is_said_once_and_once_when_it_comes(
    start_graph: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ros.DiagnosticStatus
    stale = kind(name="images", level=kind.STALE, message="no images on /image_raw")
    good = kind(name="images", level=kind.OK, message="images arrive")
    graph = start_graph()
    reports = timers_of(monkeypatch)
    node = graph.add(Deaf)
    (report,) = reports
    for entry in [stale, stale, good, *[stale] * 9, good, good]:
        node.entry = copy(entry)
        report()
    assert graph.spin(lambda: graph.said("images arrive"))
    said = [line.rsplit("]: ", 1)[-1] for line in graph.said("images")]
    assert said == ["no images on /image_raw", "images arrive"]


def timers_of(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What the timers of nodes made from now on would call: they do not ring."""
    calls: list[Callable[[], None]] = []
    make = ManagedNode.create_timer

    def create(node: Any, period_s: float, call: Callable[[], None], **more: Any) -> Any:
        calls.append(call)
        return make(node, 3600.0, call, **more)

    monkeypatch.setattr(ManagedNode, "create_timer", create)
    return calls
