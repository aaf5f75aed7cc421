"""microphone against PulseAudio's null sink, a real capture device without hardware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
source = pytest.importorskip("test_source_microphone")
start_graph = ros.start_graph
server = source.server
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def test_sound_is_published_with_its_format_and_times_of_capture(
    start_graph: Start, server: Any
) -> None:
    server.play(0.3 * np.sin(2 * np.pi * 440.0 * np.arange(20 * source.RATE) / source.RATE))
    graph = start_graph()
    sound = graph.collect(ros.AudioDataStamped, "audio", 200)
    infos = graph.collect(ros.AudioInfo, "audio_info")
    graph.add(ros.MicrophoneNode)
    assert graph.spin(lambda: len(sound) > 100 and infos)
    info = infos[-1]
    assert (info.sample_rate, info.channels, info.sample_format) == (16_000, 1, "S16LE")
    samples = np.concatenate([np.frombuffer(item.audio.data, "<i2") for item in sound[-50:]])
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert abs(spectrum.argmax() * 16_000 / len(samples) - 440.0) < 2.0
    assert sound[-1].header.frame_id == "microphone"
    stamps = [ros.to_ns(item.header.stamp) for item in sound]
    assert stamps == sorted(stamps)
    assert 0 < graph.now_ns() - stamps[-1] < 5 * 10**9


def test_a_microphone_that_is_lost_while_capturing_is_said_and_comes_back(
    start_graph: Start, server: Any
) -> None:
    graph = start_graph()
    sound = graph.collect(ros.AudioDataStamped, "audio", 200)
    node = graph.add(ros.MicrophoneNode)
    assert graph.spin(lambda: sound)
    server.kill()
    assert graph.spin(lambda: graph.said("microphone", "trying again"))
    assert node.active
    del sound[:]
    server.start()
    assert graph.spin(lambda: sound)
    assert graph.spin(lambda: graph.said("microphone", "working again"))
