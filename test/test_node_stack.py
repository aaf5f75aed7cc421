"""emotion_stack over real DDS: images and sound in, states out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from avemo_ros.vision.analyzer import FaceAnalyzer

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def running(start_graph: Start, *parameters: str) -> tuple[Any, Any, Any]:
    graph = start_graph(*ros.QUICK, *parameters)
    node = graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    ros.sample()  # read once, before anything counts
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    return graph, node, feed


def test_face_and_voice_of_the_sample_become_states(start_graph: Start) -> None:
    graph, _, feed = running(start_graph)
    arrays = graph.collect(ros.EmotionStateArray, "emotion_states")
    states = graph.collect(ros.EmotionState, "emotion_state")
    start = graph.now_ns()
    kind = ros.EmotionState
    feed.play(4.0, voice=True, start_ns=start, speed=1.0)
    assert graph.spin(lambda: any(state.status == kind.OK for state in states))

    said = [state.status for state in states]
    assert not states[0].probabilities
    first = said.index(kind.WARMING_UP)
    # On a busy machine the voice may be there before the first claim is.
    second = first if ros.is_busy() else said.index(kind.NO_VOICE)
    assert first <= second < said.index(kind.OK)
    assert ros.is_busy() or first < second
    assert all(not state.probabilities for state in states if state.label == "unknown")
    both = next(state for state in states if state.status == kind.OK)
    assert both.face_id
    assert both.voice_id
    assert both.speaking
    assert both.header.frame_id == "camera"
    assert list(both.labels) == list(ros.EMOTIONS)
    assert math.isclose(sum(both.probabilities), 1.0, abs_tol=1e-5)
    assert both.label == both.labels[max(range(7), key=lambda i: both.probabilities[i])]
    assert math.isclose(both.face_share + both.voice_share, 1.0, abs_tol=1e-5)
    assert both.box_valid
    assert 0.0 < both.box.width < 1.0
    assert both.model_id
    assert both.latency > 0.0
    assert ros.to_ns(both.window_start) >= start - 10**8
    assert ros.to_ns(both.window_start) < ros.to_ns(both.header.stamp)
    ids = {array.states[0].face_id for array in arrays if array.states}
    assert ids == {both.face_id} or (ros.is_busy() and both.face_id in ids)


@pytest.mark.slow
def test_states_are_stamped_with_the_images_that_they_rest_on(start_graph: Start) -> None:
    graph, _, feed = running(start_graph)
    arrays = graph.collect(ros.EmotionStateArray, "emotion_states")

    # What a busy machine is late with is answered by the time instead: then it may try again.
    for attempt in range(4):
        if attempt:
            graph.spin_for(2.0)  # so that stamps do not go back
        arrays.clear()
        # The last stamp is not of the future: 3 s are played in 1.5 s.
        start = graph.now_ns() - 16 * 10**8
        feed.play(3.0, start_ns=start)
        assert graph.spin(lambda: len(arrays) >= 10)
        of_input = [
            stamp
            for stamp in (ros.to_ns(item.header.stamp) for item in arrays)
            if (attempt == 0 or stamp >= start) and stamp <= start + 3 * 10**9
        ]
        shown = {start + item.stamp_ns for item in ros.images()}
        if of_input == sorted(set(of_input)) and set(of_input) <= shown:
            break
    assert of_input[0] >= start
    assert of_input == sorted(set(of_input))
    assert set(of_input) <= shown or (ros.is_busy() and len(shown.intersection(of_input)) >= 3)


@pytest.mark.slow
def test_nobody_hears_of_images_and_sound_but_of_tracks_and_spectrogram(
    start_graph: Start,
) -> None:
    graph, node, feed = running(start_graph)
    tracks = graph.collect(ros.FaceTrackArray, "face_tracks")
    chunks = graph.collect(ros.SpectrogramChunk, "spectrogram")
    assert feed.play_until(
        lambda: any(one.faces for one in tracks) and len(chunks) > 10, 2.0, voice=True
    )
    face = next(one for one in tracks if one.faces).faces[0]
    assert len(face.landmarks) == 1404
    assert len(face.crop) == face.crop_side**2
    assert len(chunks[0].power_db) == chunks[0].bins * len(chunks[0].speech)

    def published() -> set[str]:
        named = graph.probe.get_publisher_names_and_types_by_node(node.get_name(), "/")
        return {name.rsplit("/", 1)[-1] for name, _ in named}

    # DDS tells the names of a node's topics later than it carries their messages.
    graph.spin(lambda: len(published()) >= 13)
    graph.spin_for(0.3)
    # What it publishes, apart from what every node has.
    assert published() == {
        "diagnostics", "emotion_events", "emotion_overlay", "emotion_state", "emotion_states",
        "face_tracks", "forgotten_person", "parameter_events", "rosout", "sensing",
        "spectrogram", "steady_states", "transition_event",
    }  # fmt: skip


@pytest.mark.slow
def test_the_overlay_is_drawn_only_while_somebody_subscribes(start_graph: Start) -> None:
    graph, _, feed = running(start_graph)
    feed.play(1.0)
    graph.spin_for(1.2)
    assert not [item for item in drawn_stages(graph) if item]
    shown = graph.collect(ros.Image, "emotion_overlay")
    # The first ones may come before the node knows that somebody looks.
    assert feed.play_until(lambda: len(shown) >= 3, 1.5)
    assert (shown[-1].encoding, shown[-1].width, shown[-1].height) == ("bgr8", 640, 480)
    plain = bytes(feed.image().data)
    assert bytes(shown[-1].data) != plain


def drawn_stages(graph: Any) -> list[bool]:
    entry = graph.health["emotion_stack: images"]
    return [item.key.startswith("stage_ms.overlay") for item in entry.values]


def test_a_late_subscriber_gets_the_last_state(start_graph: Start) -> None:
    graph, _, _ = running(start_graph)
    # Nothing comes in, and that is said once a step; a latched subscriber gets the newest.
    latched = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
    states = graph.collect(ros.EmotionState, "emotion_state", latched)
    assert graph.spin(lambda: states)
    assert states[0].status == ros.EmotionState.STALE_INPUT


@pytest.mark.slow
def test_input_that_stops_is_stale_and_says_so(start_graph: Start) -> None:
    graph, _, feed = running(start_graph)
    states = graph.collect(ros.EmotionState, "emotion_state")
    kind = ros.EmotionState
    assert feed.play_until(lambda: any(state.status == kind.NO_VOICE for state in states), 2.0)
    assert graph.spin(lambda: states[-1].status == kind.STALE_INPUT)
    assert states[-1].label == "unknown"
    assert not states[-1].probabilities
    assert graph.spin(
        lambda: graph.health["emotion_stack: states"].level == ros.DiagnosticStatus.STALE
    )


@pytest.mark.slow
def test_diagnostics_say_rates_drops_and_times(start_graph: Start) -> None:
    graph, _, feed = running(start_graph)
    images, sound, states = (f"emotion_stack: {name}" for name in ("images", "audio", "states"))
    wanted = ((images, "processed", 10), (sound, "processed", 100), (states, "steps", 10))

    def enough() -> bool:
        return all(
            entry in graph.health and int(graph.figure(entry, key)) >= least
            for entry, key, least in wanted
        )

    assert feed.play_until(enough, 3.0, voice=True)
    assert int(graph.figure(sound, "dropped")) == 0 or ros.is_busy()
    counted = [int(graph.figure(sound, key)) for key in ("processed", "dropped", "rejected")]
    assert sum(counted) <= int(graph.figure(sound, "received"))
    # Ten images a second are fewer than are looked at.
    assert int(graph.figure(images, "left_out_by_rate")) == 0
    assert graph.figure(states, "model")
    assert graph.figure(states, "device") == "cpu"
    for entry, key in (
        (images, "stage_ms.vision_p50"), (images, "stage_ms.decode_p95"),
        (sound, "stage_ms.audio_p50"), (states, "stage_ms.face_network_p50"),
        (states, "latency_ms_p50"), (states, "latency_ms_p95"),
    ):  # fmt: skip
        assert float(graph.figure(entry, key)) >= 0.0


@pytest.mark.slow
def test_images_beyond_the_rate_are_counted_and_not_as_dropped(start_graph: Start) -> None:
    graph, _, feed = running(start_graph, "vision.max_rate_hz:=2.0")
    # Ten images a second, so slowly that none has to wait.
    feed.play(2.0, speed=0.5)
    images = "emotion_stack: images"

    def figure(key: str) -> int:
        return int(graph.figure(images, key))

    assert graph.spin(lambda: figure("left_out_by_rate") >= 4, 60.0)
    assert figure("processed") <= 5
    assert figure("received") >= figure("processed") + figure("dropped") + figure(
        "left_out_by_rate"
    )


@pytest.mark.slow
def test_settings_of_the_estimates_change_while_running(start_graph: Start) -> None:
    graph, node, feed = running(start_graph)
    states = graph.collect(ros.EmotionState, "emotion_state")
    assert feed.play_until(lambda: any(state.probabilities for state in states), 1.5)
    assert graph.set(node, "emotion.min_confidence", 1.0).successful
    del states[:]
    kind = ros.EmotionState
    assert feed.play_until(lambda: any(state.status == kind.UNCERTAIN for state in states), 1.5)
    since = [state.status for state in states].index(kind.UNCERTAIN)
    assert all(state.label == "unknown" for state in states[since:])


@pytest.mark.slow
def test_the_nodes_one_by_one_do_what_the_stack_does(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK)
    for make in (ros.Emotion, ros.SpeechBufferNode, ros.FaceTracker):
        graph.add(make)
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    states = graph.collect(ros.EmotionState, "emotion_state")
    shown = graph.collect(ros.Image, "emotion_overlay")
    graph.spin_for(1.2)  # until the tracker has seen that the overlay is wanted
    kind = ros.EmotionState
    assert feed.play_until(
        lambda: any(state.status == kind.OK for state in states), 4.0, voice=True, speed=1.0
    )
    assert graph.spin(lambda: shown)
    assert {name.split(":")[0] for name in graph.health} >= {
        "emotion", "speech_buffer", "face_tracker",
    }  # fmt: skip


@pytest.mark.slow
def test_stamps_of_another_clock_have_no_latency(start_graph: Start) -> None:
    graph, _, feed = running(start_graph, "max_input_age_s:=0.0")
    states = graph.collect(ros.EmotionState, "emotion_state")
    for start_s in range(12, 62, 10):
        feed.play(2.0, voice=False, start_ns=start_s * 10**9, speed=1.0)
        if graph.spin(lambda: any(state.probabilities for state in states), 3.0):
            break
    assert any(state.probabilities for state in states)
    assert {state.latency for state in states if state.probabilities} == {0.0}


@pytest.mark.slow
def test_work_that_does_not_fit_the_time_is_left_out_and_taken_up_again(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, _, feed = running(start_graph, "emotion.latency_budget_s:=0.8")
    entry = "emotion_stack: states"
    quick, pause_s = FaceAnalyzer.process, [0.9]

    def slow(*arguments: Any) -> Any:
        time.sleep(pause_s[0])
        return quick(*arguments)

    def publish_until(*words: str) -> bool:
        for number in range(3000):
            if graph.said(*words):
                return True
            feed.images.publish(feed.image(number))
            graph.spin_for(0.05)
        return False

    monkeypatch.setattr(FaceAnalyzer, "process", slow)
    assert publish_until("reducing from now on: half the frame rate")
    assert graph.spin(lambda: graph.figure(entry, "load_level") != "0", 10.0)
    assert graph.figure(entry, "left_out")
    assert graph.health[entry].level == ros.DiagnosticStatus.WARN
    pause_s[0] = 0.0
    assert publish_until("processing is fast enough again; nothing is reduced any more")
    assert len(graph.said("reducing from now on")) == 1
    assert graph.spin(lambda: graph.figure(entry, "load_level") == "0", 10.0)
