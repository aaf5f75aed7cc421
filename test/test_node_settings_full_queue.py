"""Settings that are changed while more input waits than can be worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from avemo_ros.vision.face import FrameTracks

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros


def test_settings_are_used_however_much_input_waits(
    start_graph: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = start_graph(*ros.QUICK)
    node = graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    feed.wait_for_pictures_to_be_heard()
    states = graph.collect(ros.EmotionState, "emotion_state")
    kind = ros.EmotionState
    feed.play(4.0, start_ns=graph.now_ns(), speed=1.0,
              until=lambda: states and states[-1].status == kind.NO_VOICE)  # fmt: skip
    assert graph.spin(lambda: any(state.status == kind.NO_VOICE for state in states))

    stage = node._states
    busy, go_on = threading.Event(), threading.Event()

    def slow(tracks: FrameTracks, arrival_ns: int, newest_ns: int) -> list[Any]:
        busy.set()
        assert go_on.wait(30)
        return []

    monkeypatch.setattr(stage._emotion, "push_tracks", slow)
    try:
        stage.push_tracks(FrameTracks(graph.now_ns(), 640, 480, ()), "camera", 0)
        assert graph.spin(busy.is_set)
        assert graph.set(node, "emotion.min_confidence", 1.0).successful
        for _ in range(400):
            stage.push_tracks(FrameTracks(graph.now_ns(), 640, 480, ()), "camera", 0)
        assert stage._worker.dropped >= 200
    finally:
        go_on.set()
    del states[:]
    for _ in range(3):
        feed.play(4.0, start_ns=graph.now_ns(), speed=1.0,
                  until=lambda: states and states[-1].status == kind.UNCERTAIN)  # fmt: skip
        if graph.spin(lambda: any(state.status == kind.UNCERTAIN for state in states), 1.0):
            break
    assert any(state.status == kind.UNCERTAIN for state in states)
