"""Profiles beside made-up drivers: the nodes hear what these publish, as they publish it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
arguments = pytest.importorskip("avemo_ros.nodes.launch_arguments")
parameter_file = pytest.importorskip("avemo_ros.nodes.parameter_file")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
RELIABLE, BEST_EFFORT = (
    ros.QoSProfile(depth=5, reliability=ros.ReliabilityPolicy[name])
    for name in ("RELIABLE", "BEST_EFFORT")
)
SHIPPED = str(parameter_file.shipped())


def with_profile(start_graph: Start, argument: str, name: str) -> Any:
    """A graph whose nodes have what the launch file would give them."""
    values = {one: SHIPPED if value is None else value for one, value, _ in arguments.EMOTION}
    given, files = arguments.completed({**values, argument: name}, SHIPPED)
    words = [word for file in files for word in ("--params-file", file)]
    for topic, to in arguments.remappings(given):
        words += ["-r", f"{topic}:={to}"]
    return start_graph(words=words)


@pytest.mark.parametrize(
    ("name", "topic", "qos", "encoding"),
    [
        ("usb_cam", "/camera1/image_raw", RELIABLE, "rgb8"),
        ("v4l2_camera", "/image_raw", RELIABLE, "yuv422_yuy2"),
        ("realsense2_camera", "/camera/camera/color/image_raw", RELIABLE, "rgb8"),
        ("depthai", "/oak/rgb/image_raw", RELIABLE, "bgr8"),
        ("tiago", "/head_front_camera/rgb/image_raw", BEST_EFFORT, "rgb8"),
        ("pepper", "/camera/front/image_raw", RELIABLE, "rgb8"),
    ],
)
def test_images_of_a_driver_arrive_with_its_profile(
    start_graph: Start, name: str, topic: str, qos: Any, encoding: str
) -> None:
    graph = with_profile(start_graph, "robot", name)
    driver = graph.probe.create_publisher(ros.Image, topic, qos)
    graph.add(ros.FaceTracker)
    wide = 2 if encoding.startswith("yuv") else 3
    pixels = np.full((48, 64, wide), 128, np.uint8)
    image = ros.convert.image(np.zeros((48, 64, 3), np.uint8), 0, "camera")
    image.encoding, image.step, image.data = encoding, 64 * wide, pixels.tobytes()
    entry = "face_tracker: images"

    def arrives() -> bool:
        image.header.stamp = ros.convert.header(graph.now_ns(), "camera").stamp
        driver.publish(image)
        graph.spin_for(0.1)
        return entry in graph.health and "64x48" in graph.figure(entry, "format")

    assert graph.spin(arrives)
    assert graph.spin(lambda: arrives() and int(graph.figure(entry, "processed")) > 2)
    assert graph.figure(entry, "topic") == topic
    assert graph.health[entry].level == ros.DiagnosticStatus.OK


@pytest.mark.parametrize(("name", "channels"), [("audio_capture", 1), ("respeaker", 6)])
def test_sound_of_a_driver_arrives_with_its_profile(
    start_graph: Start, name: str, channels: int
) -> None:
    graph = with_profile(start_graph, "mic", name)
    sound = graph.probe.create_publisher(ros.AudioDataStamped, "/audio_stamped", 10)
    info = graph.probe.create_publisher(ros.AudioInfo, "/audio_info", 1)
    chunks = graph.collect(ros.SpectrogramChunk, "spectrogram")
    graph.add(ros.SpeechBufferNode)
    entry = "speech_buffer: audio"
    samples = np.zeros((1600, channels), "<i2")
    # The last one of six is the loudspeaker.
    samples[:, 0] = 300 * np.sin(np.arange(1600) * 0.3)
    samples[:, 5:] = 20_000 * np.sign(np.sin(np.arange(1600) * 0.3))[:, None]

    began, sent = graph.now_ns(), 0

    def arrives() -> bool:
        nonlocal sent
        sent += 1
        due = began + sent * 100_000_000
        graph.spin(lambda: graph.now_ns() >= due)
        info.publish(
            ros.AudioInfo(
                channels=channels, sample_rate=16_000, sample_format="S16LE",
                coding_format="wave",
            )
        )  # fmt: skip
        message = ros.AudioDataStamped(header=ros.convert.header(due - 100_000_000, "mic"))
        message.audio.data = samples.tobytes()
        sound.publish(message)
        return len(chunks) > 10

    assert graph.spin(arrives)
    assert graph.spin(lambda: entry in graph.health)
    assert graph.figure(entry, "topic") == "/audio_stamped"
    # Neither mixed with the loudspeaker nor asked to be.
    assert max(max(chunk.level_dbfs) for chunk in chunks) < -40
    assert not graph.said("are mixed")
