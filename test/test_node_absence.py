"""An input that is silent although somebody publishes: which of the reasons it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
IMAGES, SOUND = "face_tracker: images", "speech_buffer: audio"
BEST_EFFORT = ros.QoSProfile(depth=5, reliability=ros.ReliabilityPolicy.BEST_EFFORT)


DRIVER = """
import sys
from importlib import import_module
import rclpy

rclpy.init()
node = rclpy.create_node("driver")
package, name, topic = sys.argv[1:]
out = node.create_publisher(getattr(import_module(f"{package}.msg"), name), topic, 5)
sys.stdin.read()
"""


@contextmanager
def driver(kind: Any, topic: str) -> Iterator[None]:
    """Another process that could publish; one alone cannot have two types of one topic."""
    package = kind.__module__.partition(".")[0]
    words = [sys.executable, "-c", DRIVER, package, kind.__name__, topic]
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate(b"", timeout=60)


def said(graph: Any, entry: str, *words: str) -> bool:
    """Whether /diagnostics has these words, and then the log."""

    def shown() -> bool:
        return entry in graph.health and all(
            word in graph.health[entry].message for word in words
        )

    assert graph.spin(shown, 20.0), entry in graph.health and graph.health[entry].message
    return bool(graph.spin(lambda: graph.said(*words), 20.0))


@pytest.mark.parametrize(
    ("topic", "kind", "words"),
    [
        ("image_raw/compressed", ros.CompressedImage, ("image_transport to 'compressed'",)),
        ("image_raw", ros.CompressedImage, ("CompressedImage there", "image_transport to 'c")),
        ("/front/image", ros.Image, ("there is /front/image", "remap the topic to /front/")),
        (
            "/front/image/compressed",
            ros.CompressedImage,
            ("image_transport to 'compressed' and remap the topic to /front/image",),
        ),
        ("image_raw", ros.AudioInfo, ("AudioInfo there", "takes sensor_msgs/msg/Image")),
        ("image_raw", ros.Image, ("/driver publishes it, but nothing arrives", "UDPv4")),
        ("/elsewhere", ros.AudioInfo, ("nobody publishes it", "ROS_DOMAIN_ID")),
        ("/its/emotion_overlay", ros.Image, ("nobody publishes it", "ROS_DOMAIN_ID")),
    ],
    ids=[
        "the compressed topic", "another type", "another name", "both", "a foreign type",
        "a silent driver", "nobody", "our own drawing",
    ],
)  # fmt: skip
def test_images_that_do_not_come_are_explained(
    start_graph: Start, topic: str, kind: Any, words: tuple[str, ...]
) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    with driver(kind, topic):
        assert said(graph, IMAGES, "no images on /image_raw: ", *words)


@pytest.mark.parametrize(
    ("parameter", "topic", "kind", "words"),
    [
        ("audio_type:=stamped", "audio", ros.AudioData, ("set audio_type to 'bare'",)),
        ("audio_type:=bare", "audio", ros.AudioDataStamped, ("audio_type to 'stamped'",)),
        ("audio_type:=stamped", "audio_stamped", ros.AudioDataStamped, ("to /audio_stamped",)),
    ],
)
def test_sound_that_does_not_come_is_explained(
    start_graph: Start, parameter: str, topic: str, kind: Any, words: tuple[str, ...]
) -> None:
    graph = start_graph(parameter)
    graph.add(ros.SpeechBufferNode)
    with driver(kind, topic):
        assert said(graph, SOUND, "no audio on /audio: ", *words)


def test_a_publisher_that_does_not_offer_what_is_asked_for_is_named(start_graph: Start) -> None:
    graph = start_graph("image_reliability:=reliable")
    graph.add(ros.FaceTracker)
    graph.probe.create_publisher(ros.Image, "image_raw", BEST_EFFORT)
    assert said(graph, IMAGES, "/probe offers best effort", "parameter image_reliability")


def test_the_own_overlay_is_no_camera(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    assert said(graph, IMAGES, "nobody publishes it, nor anything of its kind")
    assert not graph.said("emotion_overlay")


def test_another_reason_is_another_line(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    assert said(graph, IMAGES, "nobody publishes it, nor")
    graph.probe.create_publisher(ros.CompressedImage, "image_raw/compressed", 5)
    assert said(graph, IMAGES, "image_transport to 'compressed'")
    assert len(graph.said("no images on")) == 2


def test_two_publishers_on_one_topic_are_named(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    feed = ros.Feed(graph)
    second = graph.probe.create_publisher(ros.Image, "image_raw", 5)
    feed.wait_for_images_to_be_heard()

    def warned() -> bool:
        feed.images.publish(feed.image(0))
        return "2 publishers send on /image_raw" in graph.health[IMAGES].message

    assert graph.spin(lambda: IMAGES in graph.health)
    assert graph.spin(warned, 20.0)
    assert graph.health[IMAGES].level == ros.DiagnosticStatus.WARN
    assert graph.spin(lambda: graph.said("2 publishers send on /image_raw", "/probe"))
    graph.probe.destroy_publisher(second)
    assert graph.spin(lambda: not warned(), 20.0)
    assert len(graph.said("2 publishers send")) == 1


def test_black_images_are_named_in_diagnostics_and_log(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(ros.FaceTracker)
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    black = ros.convert.image(np.zeros((48, 64, 3), np.uint8), 0, "camera")
    began = graph.now_ns()
    for number in range(20):
        due = began + number * 250_000_000
        graph.spin(lambda due=due: graph.now_ns() >= due)
        black.header.stamp = ros.convert.header(due, "camera").stamp
        feed.images.publish(black)
    assert graph.spin(lambda: "all is black" in graph.health[IMAGES].message)
    assert graph.health[IMAGES].level == ros.DiagnosticStatus.WARN
    assert len(graph.said("images: all is black")) == 1
