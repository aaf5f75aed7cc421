"""What the nodes take from one another's topics: any QoS, stamped or not, malformed or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from state_scene import face, frame

from avemo_ros.audio.spectrogram import BINS, SpectrogramChunk

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
COLUMNS = 100


def offers(policy: str) -> Any:
    return ros.QoSProfile(depth=50, reliability=ros.ReliabilityPolicy[policy])


def asked(graph: Any, topic: str) -> set[str]:
    """The reliabilities that the subscribers of a topic ask for."""
    infos = graph.probe.get_subscriptions_info_by_topic(topic)
    return {info.qos_profile.reliability.name for info in infos}


@pytest.mark.parametrize("policy", ["RELIABLE", "BEST_EFFORT"])
def test_tracks_and_spectrogram_are_taken_whatever_the_publisher_offers(
    start_graph: Start, policy: str
) -> None:
    graph = start_graph()
    graph.add(ros.Emotion)
    tracks = graph.probe.create_publisher(ros.FaceTrackArray, "face_tracks", offers(policy))
    speech = graph.probe.create_publisher(ros.SpectrogramChunk, "spectrogram", offers(policy))
    for topic, out in (("/face_tracks", tracks), ("/spectrogram", speech)):
        assert graph.spin(lambda topic=topic: asked(graph, topic) == {policy})
        assert graph.spin(out.get_subscription_count)


def test_tracks_and_spectrogram_without_a_stamp_get_the_time_of_arrival(
    start_graph: Start,
) -> None:
    graph = start_graph(*ros.QUICK)
    states = graph.collect(ros.EmotionState, "emotion_state")
    graph.add(ros.Emotion)
    tracks = graph.probe.create_publisher(ros.FaceTrackArray, "face_tracks", 50)
    speech = graph.probe.create_publisher(ros.SpectrogramChunk, "spectrogram", 50)
    assert graph.spin(lambda: asked(graph, "/spectrogram") == {"RELIABLE"})
    assert graph.spin(lambda: tracks.get_subscription_count())
    graph.spin_for(0.3)
    loud = np.full((COLUMNS, BINS), -20.0, np.float32)
    chunk = SpectrogramChunk(
        0, loud, np.ones(COLUMNS, np.float32), np.full(COLUMNS, -20.0, np.float32), gap=False
    )

    def both() -> list[Any]:
        return [state for state in states if state.face_share > 0 and state.voice_share > 0]

    began = graph.now_ns()
    for number in range(400):
        tracks.publish(ros.convert.tracks_message(frame(0.0, face()), "camera"))
        if number % 20 == 0:  # one second of speech a second
            speech.publish(ros.convert.chunk_message(chunk, "microphone"))
        if graph.spin(both, 0.05):
            break
    assert both(), [(state.status, state.face_share, state.voice_share) for state in states]
    assert began < ros.to_ns(both()[0].header.stamp) <= graph.now_ns()
    for name in ("face_tracks", "spectrogram"):
        assert len(graph.said(name, "header.stamp is zero")) == 1


def spoiled(message: Any, field: str) -> Any:
    """The message with one number of a field that is none."""
    values = getattr(message, field)
    if isinstance(values, float):
        setattr(message, field, float("nan"))
    else:
        values[len(values) // 2] = float("nan")
    return message


def test_nothing_is_claimed_from_tracks_and_chunks_that_are_not_finite(
    start_graph: Start,
) -> None:
    graph = start_graph("emotion.warm_up_s:=0.3", "emotion.min_confidence:=0.0")
    states = graph.collect(ros.EmotionState, "emotion_state")
    graph.add(ros.Emotion)
    tracks = graph.probe.create_publisher(ros.FaceTrackArray, "face_tracks", 50)
    speech = graph.probe.create_publisher(ros.SpectrogramChunk, "spectrogram", 50)
    assert graph.spin(lambda: asked(graph, "/spectrogram") == {"RELIABLE"})
    assert graph.spin(lambda: tracks.get_subscription_count())
    graph.spin_for(0.3)
    loud = np.full((10, BINS), -20.0, np.float32)

    def publish(spoil: bool, number: int) -> None:
        ones = np.ones(10, np.float32)
        chunk = SpectrogramChunk(graph.now_ns(), loud, ones, -20 * ones, gap=False)
        heard = ros.convert.chunk_message(chunk, "microphone")
        seen = ros.convert.tracks_message(frame(graph.now_ns() / 1e9, face()), "camera")
        if spoil:
            spoiled(heard, ("power_db", "speech", "level_dbfs")[number % 3])
            spoiled(seen.faces[0], ("quality", "confidence")[number % 2])
        speech.publish(heard)
        tracks.publish(seen)
        graph.spin_for(0.1)

    for number in range(20):
        publish(True, number)
    assert {(state.label, state.confidence) for state in states} <= {("unknown", 0.0)}
    for name in ("face_tracks", "spectrogram"):
        assert len(graph.said(name, "malformed", "nan; allowed", "left out")) == 1
    for number in range(400):
        publish(False, number)
        if any(state.confidence > 0 for state in states):
            break
    assert any(state.confidence > 0 for state in states)
    assert all(np.isfinite(state.probabilities).all() for state in states)


@pytest.mark.parametrize("policy", ["RELIABLE", "BEST_EFFORT"])
def test_the_overlay_takes_states_whatever_the_publisher_offers_and_tells_malformed_ones(
    start_graph: Start, policy: str
) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    graph.collect(ros.Image, "emotion_overlay")
    states = graph.probe.create_publisher(
        ros.EmotionStateArray, "emotion_states", offers(policy)
    )
    assert graph.spin(lambda: asked(graph, "/emotion_states") == {policy})
    assert graph.spin(states.get_subscription_count)
    unknown = ros.EmotionState(status=250)
    assert graph.spin(
        lambda: (
            states.publish(ros.EmotionStateArray(states=[unknown]))
            or graph.said("emotion_states: malformed", "250")
        )
    )
