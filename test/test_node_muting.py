"""The robot does not take its own voice for a person's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from avemo_ros.audio.mute import TAIL_NS

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

BLOCK_NS = 20_000_000


def test_sound_is_silent_while_robot_speaking_says_so_and_a_moment_longer(
    start_graph: Callable[..., Any],
) -> None:
    bool_type = pytest.importorskip("std_msgs.msg").Bool
    sound_stage = pytest.importorskip("avemo_ros.nodes.sound_stage")
    graph = start_graph("audio_rate:=16000")
    stage = graph.add(ros.SpeechBufferNode)._sound
    took: list[Any] = []
    stage._passed_on = lambda chunk, frame_id: took.append(chunk)
    said = graph.probe.create_publisher(bool_type, "robot_speaking", 10)
    assert graph.spin(said.get_subscription_count)
    noise = np.random.default_rng(0).integers(-8000, 8000, 320).astype("<i2").tobytes()
    message = ros.AudioDataStamped(audio=ros.AudioData(data=noise))

    began = graph.now_ns()
    said.publish(bool_type(data=True))
    assert graph.spin(lambda: stage._mute.speaking)
    spoke = graph.now_ns()
    said.publish(bool_type(data=False))
    assert graph.spin(lambda: not stage._mute.speaking)
    ended = graph.now_ns()
    # A second of sound before it speaks, until long after; as if it all had waited.
    first = began - 10**9
    for number in range((ended - first + 10**9) // BLOCK_NS):
        arrival = first + (number + 1) * BLOCK_NS
        stage._work(sound_stage._Heard(message, arrival, stage._format))

    times = np.concatenate([c.stamp_ns + 10**7 * np.arange(len(c.level_dbfs)) for c in took])
    levels = np.concatenate([chunk.level_dbfs for chunk in took])
    edge = 20_000_000  # of the resampler and of columns
    before, after = times < began - edge, times > ended + TAIL_NS + edge
    assert before.any()
    assert after.any()
    assert np.all(levels[before | after] > -30)
    muted = (times > spoke + edge) & (times < spoke + TAIL_NS - edge)
    assert muted.any()
    # The high pass rings on for a moment.
    assert np.all(levels[muted & (times > spoke + 120_000_000)] < -60)
    assert np.all(levels[muted] < -40)
    assert stage._mute.muted_s >= TAIL_NS / 1e9
    values = {pair.key: pair.value for pair in stage.status().values}
    assert float(values["muted_s"]) == pytest.approx(stage._mute.muted_s, abs=0.01)


def test_a_speaker_that_is_gone_does_not_leave_the_robot_deaf(
    start_graph: Callable[..., Any],
) -> None:
    bool_type = pytest.importorskip("std_msgs.msg").Bool
    graph = start_graph("audio_rate:=16000")
    stage = graph.add(ros.SpeechBufferNode)._sound
    said = graph.probe.create_publisher(bool_type, "robot_speaking", 10)
    assert graph.spin(said.get_subscription_count)
    said.publish(bool_type(data=True))
    assert graph.spin(lambda: stage._mute.speaking)
    stage.adapt()
    assert stage._mute.speaking
    graph.probe.destroy_publisher(said)
    assert graph.spin(lambda: not stage._mute.speaking)
