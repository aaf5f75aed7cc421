"""The robot does not take its own voice for a person's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from staged import Staged

from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import TAIL_NS

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

BLOCK_NS = 20_000_000
START_NS = 1_700_000_000 * 10**9


def test_sound_is_silent_while_robot_speaking_says_so_and_a_moment_longer(
    start_graph: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bool_type = pytest.importorskip("std_msgs.msg").Bool
    audio_input = pytest.importorskip("avemo_ros.nodes.speech_buffer")
    node = start_graph("audio_rate:=16000").add(ros.SpeechBufferNode, start=False)
    staged = Staged(monkeypatch, node)
    took: list[Any] = []
    stage = audio_input.AudioInputStage(
        node, PipelineConfig(), lambda chunk, frame_id, arrival_ns: took.append(chunk)
    )
    stage.open()
    noise = np.random.default_rng(0).integers(-8000, 8000, 320).astype("<i2").tobytes()
    message = ros.AudioDataStamped(audio=ros.AudioData(data=noise))

    # A second of sound, half a second in which the robot speaks, and long after.
    began, ended = START_NS + 10**9, START_NS + 15 * 10**8
    for number in range(4 * 10**9 // BLOCK_NS):
        if number * BLOCK_NS == began - START_NS:
            staged.give("robot_speaking", bool_type(data=True), began)
        if number * BLOCK_NS == ended - START_NS:
            assert "ignored while the robot speaks" in stage.status().message
            staged.give("robot_speaking", bool_type(data=False), ended)
        staged.give("audio", message, START_NS + (number + 1) * BLOCK_NS)

    times = np.concatenate([c.stamp_ns + 10**7 * np.arange(len(c.level_dbfs)) for c in took])
    levels = np.concatenate([chunk.level_dbfs for chunk in took])
    edge = 20_000_000  # of the resampler and of columns
    before, after = times < began - edge, times > ended + TAIL_NS + edge
    assert before.any()
    assert after.any()
    assert np.all(levels[before | after] > -30)
    muted = (times > began + edge) & (times < ended + TAIL_NS - edge)
    assert muted.any()
    # What the high pass rings on is over after a fifth of a second.
    assert np.all(levels[muted] < -45)
    assert np.all(levels[muted & (times > began + 2 * 10**8)] == -100)
    status = stage.status()
    assert status.message == "audio arrives"
    values = {pair.key: pair.value for pair in status.values}
    muted_s = (ended - began + TAIL_NS) / 1e9
    assert float(values["muted_s"]) == pytest.approx(muted_s, abs=0.05)
    stage.close()


def test_a_speaker_that_is_gone_does_not_leave_the_robot_deaf(
    start_graph: Callable[..., Any],
) -> None:
    bool_type = pytest.importorskip("std_msgs.msg").Bool
    graph = start_graph()
    graph.add(ros.SpeechBufferNode)
    feed = ros.Feed(graph)
    feed.wait_for_sound_to_be_heard()
    feed.say_format(sample_rate=16_000, channels=1)
    said = graph.probe.create_publisher(bool_type, "robot_speaking", 10)
    assert graph.spin(said.get_subscription_count)
    entry, silenced = "speech_buffer: audio", "audio arrives, but is ignored"

    def told(message: str) -> bool:
        # Not silence: samples that are all alike are told of instead.
        feed.send_bytes(bytes(range(64)) * 10)
        return entry in graph.health and graph.health[entry].message.startswith(message)

    said.publish(bool_type(data=True))
    assert graph.spin(lambda: told(silenced))
    # It is there, so that its word counts however often the node looks.
    for _ in range(2):
        graph.health.clear()
        assert graph.spin(lambda: told(silenced))
    graph.probe.destroy_publisher(said)
    graph.health.clear()
    assert graph.spin(lambda: told("audio arrives") and not told(silenced))
