"""Settings that are changed while more input waits than can be worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.vision.face import FrameTracks

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros


def test_settings_are_used_however_much_input_waits(
    start_graph: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = start_graph(*ros.QUICK)
    graph.add(ros.FaceTracker)
    node = graph.add(ros.Emotion)
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    states = graph.collect(ros.EmotionState, "emotion_state")
    kind = ros.EmotionState
    assert feed.play_until(
        lambda: any(state.status == kind.NO_VOICE for state in states), 4.0, speed=1.0
    )

    busy, go_on = threading.Event(), threading.Event()

    def slow(stage: EmotionStage, *_: Any, **more: Any) -> list[Any]:
        busy.set()
        assert go_on.wait(60)
        return []

    out = graph.probe.create_publisher(ros.FaceTrackArray, "face_tracks", 50)
    assert graph.spin(out.get_subscription_count)

    def publish() -> None:
        tracks = FrameTracks(graph.now_ns(), 640, 480, ())
        out.publish(ros.convert.tracks_message(tracks, "camera"))
        graph.spin_for(0.002)

    def dropped() -> int:
        return int(graph.figure("emotion: states", "dropped"))

    with monkeypatch.context() as patched:
        patched.setattr(EmotionStage, "push_tracks", slow)
        try:
            assert graph.spin(lambda: publish() or busy.is_set())
            assert graph.set(node, "emotion.min_confidence", 1.0).successful
            assert graph.spin(lambda: publish() or dropped() > 0, 60.0)
        finally:
            go_on.set()
    del states[:]
    assert feed.play_until(
        lambda: any(state.status == kind.UNCERTAIN for state in states), 4.0, speed=1.0
    )
