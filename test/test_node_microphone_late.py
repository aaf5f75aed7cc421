"""A microphone that is plugged in after its node has started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
source = pytest.importorskip("test_source_microphone")
start_graph = ros.start_graph
server = source.server
pytestmark = pytest.mark.ros


def test_a_microphone_that_is_not_there_is_used_once_it_appears(
    start_graph: Callable[..., Any], server: Any
) -> None:
    server.kill()
    graph = start_graph()
    sound = graph.collect(ros.AudioDataStamped, "audio", 200)
    graph.add(ros.MicrophoneNode)
    assert graph.spin(lambda: graph.said("microphone", "trying again"))
    assert graph.spin(lambda: "microphone: microphone" in graph.health)
    assert graph.health["microphone: microphone"].level == ros.DiagnosticStatus.ERROR
    assert not sound
    server.start()
    assert graph.spin(lambda: sound, 60.0)
    assert graph.spin(lambda: graph.said("microphone", "working again"))
