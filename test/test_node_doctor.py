"""`avemo doctor` beside simulated drivers: it names what is there and what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
Bool = pytest.importorskip("std_msgs.msg").Bool
start_graph = ros.start_graph
pytestmark = [pytest.mark.ros, pytest.mark.slow]

Start = Callable[..., Any]
Publish = Callable[[int], None]
BEST_EFFORT = ros.QoSProfile(depth=5, reliability=ros.ReliabilityPolicy.BEST_EFFORT)
RATE = 16_000
BLOCK = RATE // 10


class Page:
    """What the doctor has found."""

    def __init__(self, content: dict[str, Any], status: int) -> None:
        self.content = content
        self.status = status

    def has(self, part: str, level: str, *words: str) -> bool:
        return any(
            one["part"] == part
            and one["level"] == level
            and all(word in f"{one['text']}; {one['advice']}" for word in words)
            for one in self.content["findings"]
        )

    def to_fix(self) -> list[str]:
        return [
            f"{one['part']}: {one['text']} -> {one['advice']}"
            for one in self.content["findings"]
            if one["level"] == "fix"
        ]


def examined(
    graph: Any, publish: Publish, *words: str, seconds: float = 8.0, ros_args: Any = ()
) -> Page:
    """The doctor's page while something is published ten times a second."""
    command = [sys.executable, "-m", "avemo_ros.cli.main", "doctor", *words]
    command += ["--seconds", f"{seconds}", "--json", "-"]
    command += ["--ros-args", *ros_args] if ros_args else []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    number = 0
    began = graph.now_ns()
    try:
        while process.poll() is None:
            publish(number)
            number += 1
            due = began + number * 100_000_000
            graph.spin(lambda due=due: graph.now_ns() >= due, 1.0)
        out, err = process.communicate()
    finally:
        process.kill()
    assert "Traceback" not in err, err
    assert process.returncode in (0, 1), err
    return Page(json.loads(out), process.returncode)


def voice(number: int) -> bytes:
    """A tenth of a second of the sample's voice, again and again."""
    blocks = [item for item in ros.sample() if isinstance(item, ros.AudioBlock)]
    sound = np.concatenate([block.samples[:, 0] for block in blocks])
    rate = blocks[0].rate
    step = rate // 10
    at = number * step % (len(sound) - step)
    return (sound[at : at + step] * 32767).astype("<i2").tobytes()


@pytest.fixture
def feed(start_graph: Start) -> Any:
    return ros.Feed(start_graph())


def test_all_is_well(feed: Any) -> None:
    graph = feed.graph

    def publish(number: int) -> None:
        feed.say_format(channels=1)
        feed.images.publish(feed.image(number))
        feed.send_bytes(voice(number))

    page = examined(graph, publish)
    assert page.to_fix() == []
    assert page.status == 0
    assert page.has("images", "ok", "/image_raw (sensor_msgs/msg/Image, reliable)", "640x480")
    assert page.has("images", "ok", "1 face(s) at a time")
    assert page.has("audio", "ok", "/audio", "1 channel(s), S16LE", "speech was heard")
    assert page.has("clock", "ok", "stamps of images", "behind")
    assert page.has("weights", "ok", "checksums match")
    assert page.has("discovery", "note", "only this computer", "SUBNET")
    assert page.has("middleware", "ok", "rmw_")


def test_nothing_is_there(start_graph: Start) -> None:
    page = examined(start_graph(), lambda _: None, seconds=3.0)
    assert page.status == 1
    for part, topic in (("images", "/image_raw"), ("audio", "/audio")):
        assert page.has(part, "fix", f"on {topic}", "nobody publishes it", "ROS_DOMAIN_ID")
    assert page.has("nodes", "note", "no node of avemo_ros", "ros2 launch")


def test_other_types(start_graph: Start) -> None:
    graph = start_graph()
    graph.probe.create_publisher(ros.CompressedImage, "/head/image_raw", 5)
    graph.probe.create_publisher(ros.AudioData, "/head/audio", 5)
    page = examined(graph, lambda _: None, "namespace:=head", seconds=4.0)
    assert page.has(
        "images", "fix", "/probe publishes sensor_msgs/msg/CompressedImage", "'compressed'"
    )
    assert page.has("audio", "fix", "publishes audio_common_msgs/msg/AudioData", "to 'bare'")


def test_only_the_compressed_sibling_and_another_topic(start_graph: Start) -> None:
    graph = start_graph()
    graph.probe.create_publisher(ros.CompressedImage, "/head/image_raw/compressed", 5)
    graph.probe.create_publisher(ros.AudioDataStamped, "/audio_stamped", 5)
    page = examined(graph, lambda _: None, "image:=/head/image_raw", seconds=4.0)
    assert page.has("images", "fix", "/head/image_raw/compressed", "transport to 'compressed'")
    assert page.has("audio", "fix", "there is /audio_stamped", "remap the topic")
    page = examined(
        graph, lambda _: None, "image:=/head/image_raw", "image_transport:=compressed",
        "audio:=/audio_stamped", seconds=4.0,
    )  # fmt: skip
    for part in ("images", "audio"):
        assert page.has(part, "fix", "/probe publishes it, but nothing arrives", "UDPv4")


def test_quality_of_service(start_graph: Start, tmp_path: Path) -> None:
    graph = start_graph("image_reliability:=reliable")
    graph.add(ros.FaceTracker)
    graph.probe.create_publisher(ros.Image, "image_raw", BEST_EFFORT)
    parameters = tmp_path / "mine.yaml"
    parameters.write_text("/**:\n  ros__parameters: {image_reliability: reliable}\n")
    page = examined(graph, lambda _: None, f"params_file:={parameters}", seconds=5.0)
    assert page.has("images", "fix", "/probe offers best effort", "asks for reliable delivery")
    assert page.has("qos", "fix", "/face_tracker hears nothing of /probe on /image_raw")
    assert page.has("nodes", "ok", "/face_tracker")


def test_silence_black_images_and_two_publishers(feed: Any) -> None:
    graph = feed.graph
    second = graph.probe.create_publisher(ros.AudioDataStamped, "audio", 50)
    black = ros.convert.image(np.zeros((48, 64, 3), np.uint8), 0, "camera")

    def publish(number: int) -> None:
        assert second is not None
        feed.say_format(channels=1, sample_rate=RATE)
        black.header.stamp = ros.convert.header(graph.now_ns(), "camera").stamp
        feed.images.publish(black)
        feed.send_bytes(bytes(2 * BLOCK))

    page = examined(graph, publish, seconds=10.0)
    assert page.has("images", "fix", "all is black", "lens cap")
    assert page.has("audio", "fix", "2 publishers send on /audio", "stop all but one")
    assert page.has("audio", "ok", "no speech")
    graph.probe.destroy_publisher(second)
    page = examined(graph, publish, seconds=10.0)
    assert page.has("audio", "fix", "all samples are the same", "muted")


def test_stamps_of_another_clock(feed: Any) -> None:
    graph = feed.graph
    second = graph.probe.create_publisher(ros.Image, "image_raw", 5)

    def publish(number: int) -> None:
        assert second is not None
        feed.say_format(channels=1)
        hour_ago = graph.now_ns() - 3600 * 10**9
        feed.images.publish(feed.image(number, hour_ago))
        feed.send_bytes(voice(number), hour_ago)

    page = examined(graph, publish, seconds=5.0)
    for part, other in (("images", "audio_stamps"), ("audio", "image_stamps")):
        assert page.has(part, "fix", "behind the clock"), page.to_fix()
        assert not page.has(part, "fix", other)
    assert any("synchronise both clocks" in line for line in page.to_fix())
    assert page.has("images", "fix", "2 publishers send on /image_raw")
    assert sum("3600" in line or "1.0 hours" in line for line in page.to_fix()) == 2


def test_six_channels_and_an_upside_down_camera(feed: Any) -> None:
    graph = feed.graph

    def publish(number: int) -> None:
        feed.say_format(channels=6, sample_rate=RATE)
        image = feed.image(number)
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        image.data = ros.convert.byte_array(pixels[::-1, ::-1])
        feed.images.publish(image)
        sound = np.zeros((BLOCK, 6), "<i2")
        sound[:, 5] = 8000 * np.sin(np.arange(BLOCK) * 0.3)
        feed.send_bytes(sound.tobytes())

    page = examined(graph, publish, seconds=10.0)
    assert page.has("audio", "fix", "6 channels are mixed", "audio.channel")
    assert page.has("audio", "ok", "channels: -120 -120 -120 -120 -120 -15 dBFS")
    assert page.has("images", "fix", "set image_rotate to 180")
    page = examined(graph, publish, "audio_channel:=0", "image_rotate:=180", seconds=6.0)
    assert not page.has("audio", "fix", "6 channels are mixed")
    assert page.has("images", "ok", "1 face(s) at a time")
    assert not page.has("images", "fix", "image_rotate"), page.to_fix()


def test_settings_of_running_nodes_and_remaps(start_graph: Start) -> None:
    graph = start_graph("hop_s:=0.2", words=("-r", "image_raw:=/front"))
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    page = examined(
        graph, lambda at: feed.images.publish(feed.image(at)), seconds=5.0,
        ros_args=("-r", "image_raw:=/front"),
    )  # fmt: skip
    assert page.has("nodes", "fix", "'hop_s' has no effect", "did you mean 'emotion.hop_s'")
    assert page.has("images", "ok", "/front")
    assert page.has("topics", "ok", "images: /front")


def test_nothing_of_the_doctor_reaches_the_topics_of_the_nodes(feed: Any) -> None:
    graph = feed.graph
    names = ("face_tracks", "spectrogram", "emotion_overlay")
    seen: set[str] = set()

    def publish(number: int) -> None:
        feed.images.publish(feed.image(number))
        seen.update(name for name in names if graph.probe.count_publishers(name))

    examined(graph, publish, seconds=4.0)
    assert seen == set()
    assert not any("avemo_doctor" in name for name in graph.health)


def test_where_sensing_is_off_nobody_is_looked_at(start_graph: Start) -> None:
    graph = start_graph()
    latched = ros.QoSProfile(
        depth=1,
        reliability=ros.ReliabilityPolicy.RELIABLE,
        durability=ros.DurabilityPolicy.TRANSIENT_LOCAL,
    )
    graph.probe.create_publisher(Bool, "sensing", latched).publish(Bool(data=False))
    images = graph.probe.create_publisher(ros.Image, "image_raw", 10)
    found = examined(
        graph, lambda _: images.publish(ros.Image(encoding="strange")), seconds=6.0
    )
    assert found.has("sensing", "note", "switched off", "set_sensing")
    assert not any(one["part"] == "images" for one in found.content["findings"])
