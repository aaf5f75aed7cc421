"""Nodes and a probe on a DDS domain of their own, for tests."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
import pytest
import rclpy
import yaml
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.message_content import stamp_ns as to_ns
from avemo_ros.errors import ConfigError, SourceError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.released import find_weights
from avemo_ros.msg import EmotionState, EmotionStateArray, FaceTrackArray, SpectrogramChunk
from avemo_ros.nodes import convert
from avemo_ros.nodes.bag_player import BagPlayer
from avemo_ros.nodes.bag_recorder import BagRecorder
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.camera import CameraNode
from avemo_ros.nodes.capture import Capture, _sixteen_bit
from avemo_ros.nodes.dialog import Dialog
from avemo_ros.nodes.emotion import Emotion
from avemo_ros.nodes.emotion_stack import EmotionStack
from avemo_ros.nodes.face_tracker import FaceTracker
from avemo_ros.nodes.media_player import MediaPlayer
from avemo_ros.nodes.microphone import MicrophoneNode
from avemo_ros.nodes.speech_buffer import SpeechBufferNode
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import NS_PER_S

SAMPLE = Path(__file__).parent / "data" / "sample.mp4"
__all__ = [
    "EMOTIONS",
    "NODES",
    "QUICK",
    "SAMPLE",
    "SUCCESS",
    "AudioBlock",
    "AudioData",
    "AudioDataStamped",
    "AudioInfo",
    "BagPlayer",
    "BagRecorder",
    "CameraNode",
    "Capture",
    "ChangeState",
    "Clock",
    "CompressedImage",
    "ConfigError",
    "DiagnosticStatus",
    "Dialog",
    "DurabilityPolicy",
    "Emotion",
    "EmotionStack",
    "EmotionState",
    "EmotionStateArray",
    "FaceTrackArray",
    "FaceTracker",
    "Feed",
    "Graph",
    "Image",
    "MediaPlayer",
    "MicrophoneNode",
    "QoSProfile",
    "ReliabilityPolicy",
    "SourceError",
    "SpectrogramChunk",
    "SpeechBufferNode",
    "Transition",
    "convert",
    "find_weights",
    "listeners",
    "sample",
    "sample_format",
    "start_graph",
    "to_ns",
    "tone",
    "write_clip",
    "yaml",
]

SUCCESS = TransitionCallbackReturn.SUCCESS
QUICK = ("emotion.warm_up_s:=0.3", "emotion.stale_after_s:=0.5", "emotion.min_confidence:=0.0")
"""Parameters with which a test need not wait for seconds."""

PATIENT = "emotion.latency_budget_s:=5.0"
"""Graphs have this: what a busy machine is late with is not left out for that."""

NODES = (
    BagPlayer,
    BagRecorder,
    CameraNode,
    Dialog,
    Emotion,
    EmotionStack,
    FaceTracker,
    MediaPlayer,
    MicrophoneNode,
    SpeechBufferNode,
)

NodeT = TypeVar("NodeT", bound=ManagedNode)


class Graph:
    """A probe that publishes, listens and spins everything in the test's thread."""

    def __init__(
        self,
        domain: int,
        stderr: Callable[[], str],
        *parameters: str,
        file: Path | None = None,
        words: Sequence[str] = (),
        patient: bool = True,
    ) -> None:
        given = (PATIENT, *parameters) if patient else parameters
        arguments = [*words, *(word for item in given for word in ("-p", item))]
        if file is not None:
            arguments += ["--params-file", str(file)]
        rclpy.init(args=["--ros-args", *arguments], domain_id=domain)
        self._executor = SingleThreadedExecutor()
        self.probe = Node("probe")
        self._executor.add_node(self.probe)
        self._nodes: list[ManagedNode] = []
        self._stderr = stderr
        self._lines: list[str] = []
        self._rest = ""
        self.health: dict[str, DiagnosticStatus] = {}
        self.probe.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)

    def close(self) -> None:
        self._executor.shutdown()
        for node in self._nodes:
            node.end()
        self.probe.destroy_node()
        rclpy.shutdown()

    def _diagnose(self, message: DiagnosticArray) -> None:
        self.health.update({entry.name: entry for entry in message.status})

    def add(self, make: Callable[[], NodeT], *, start: bool = True) -> NodeT:
        node = make()
        self._nodes.append(node)
        self._executor.add_node(node)
        if start:
            assert node.start(), node.last_error
        return node

    def leave(self, node: ManagedNode) -> None:
        """From now on the test spins the node; it is still ended with the graph."""
        self._executor.remove_node(node)

    def forget(self, node: ManagedNode) -> None:
        """From now on the test spins the node, and ends it."""
        self.leave(node)
        self._nodes.remove(node)

    def collect(self, kind: Any, topic: str, qos: Any = 50) -> list[Any]:
        """A list to which every message of a topic is added."""
        heard: list[Any] = []
        self.probe.create_subscription(kind, topic, heard.append, qos)
        return heard

    def spin(self, until: Callable[[], object], seconds: float = 15.0) -> bool:
        """Let everything run until something is so, or the time is over."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if until():
                return True
            self._executor.spin_once(timeout_sec=0.02)
        return bool(until())

    def spin_for(self, seconds: float) -> None:
        """Let everything run for a while."""
        self.spin(lambda: False, seconds)

    def said(self, *words: str) -> list[str]:
        """The log lines of the nodes that hold all these words."""
        return [line for line in self.lines if all(word in line for word in words)]

    @property
    def lines(self) -> list[str]:
        """All log lines so far."""
        # A line may be read while it is written: its rest comes with the next call.
        text = self._rest + self._stderr()
        whole, _, self._rest = text.rpartition("\n")
        self._lines += whole.splitlines()
        return self._lines

    def figure(self, entry: str, key: str) -> str:
        """A value of the newest diagnostics; waits for the first ones."""
        assert self.spin(lambda: entry in self.health), entry
        return next(item.value for item in self.health[entry].values if item.key == key)

    def now_ns(self) -> int:
        return int(self.probe.get_clock().now().nanoseconds)

    def set(self, node: ManagedNode, name: str, value: Any) -> SetParametersResult:
        """Set a parameter of a node, as `ros2 param set` does."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        answer = self.call(SetParameters, f"{node.get_name()}/set_parameters", request)
        result: SetParametersResult = answer.results[0]
        return result

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The answer of a service; a process that has just been started may take its time."""
        client = self.probe.create_client(kind, name)
        assert self.spin(client.service_is_ready, 60.0), f"no service {name}"
        future = client.call_async(request)
        assert self.spin(future.done, 60.0), f"no answer of {name}"
        self.probe.destroy_client(client)
        return future.result()


def is_busy() -> bool:
    """Whether so much else runs that a node may lose input; some tests then ask for less."""
    return os.getloadavg()[0] > 3 * (os.cpu_count() or 1)


def listeners(node: Node, topic: str) -> int:
    """How many subscriptions a node's publisher has found; 0 also while it has none."""
    return sum(
        out.get_subscription_count()
        for out in node.publishers
        if out.topic_name.rsplit("/", 1)[-1] == topic
    )


class Feed:
    """Plays the sample clip, or parts of it, onto the topics of a camera and a microphone."""

    def __init__(self, graph: Graph, *, compressed: bool = False, qos: Any = 50) -> None:
        self.graph = graph
        self._compressed = compressed
        self.played: set[int] = set()
        """Stamps of the images that `play` has published [ns]."""
        probe = graph.probe
        topic = "image_raw/compressed" if compressed else "image_raw"
        self.images = probe.create_publisher(
            CompressedImage if compressed else Image, topic, qos
        )
        self.sound = probe.create_publisher(AudioDataStamped, "audio", qos)
        self.info = probe.create_publisher(AudioInfo, "audio_info", qos)

    def wait_for_images_to_be_heard(self) -> None:
        assert self.graph.spin(self.images.get_subscription_count)
        self.graph.spin_for(0.3)

    def wait_for_sound_to_be_heard(self) -> None:
        assert self.graph.spin(
            lambda: self.sound.get_subscription_count() and self.info.get_subscription_count()
        )
        self.graph.spin_for(0.3)

    def say_format(self, **changes: Any) -> None:
        rate, channels = sample_format()
        form = {
            "sample_rate": rate,
            "channels": channels,
            "sample_format": "S16LE",
            "coding_format": "wave",
            **changes,
        }
        self.info.publish(AudioInfo(**form))

    def image(self, number: int = 0, stamp_ns: int | None = None, **changes: Any) -> Image:
        """An image of the sample as a message, with fields changed."""
        frame = images()[number % len(images())]
        stamp = self.graph.now_ns() if stamp_ns is None else stamp_ns
        message = convert.image(frame.image, stamp, "camera")
        for field, value in changes.items():
            setattr(message, field, value)
        return message

    def jpeg(self, number: int = 0, stamp_ns: int | None = None) -> CompressedImage:
        """An image of the sample as a JPEG message."""
        frame = images()[number % len(images())]
        stamp = self.graph.now_ns() if stamp_ns is None else stamp_ns
        _, packed = cv2.imencode(".jpg", frame.image)
        message = CompressedImage(header=convert.header(stamp, "camera"), format="jpeg")
        message.data = convert.byte_array(packed)
        return message

    def _message(self, number: int, stamp_ns: int) -> Image | CompressedImage:
        make = self.jpeg if self._compressed else self.image
        return make(number, stamp_ns)

    def play(
        self,
        seconds: float,
        *,
        faces: bool = True,
        voice: bool = False,
        start_ns: int | None = None,
        speed: float = 2.0,
        until: Callable[[], object] | None = None,
    ) -> None:
        """Publish ten images a second and all sound, faster or slower than real time;
        no stamp is of the future."""
        if voice:
            self.say_format()
        start = (
            # An item is sent up to one image before it is due.
            self.graph.now_ns()
            - round((seconds * max(0.0, 1.0 - 1.0 / speed) + 0.05) * NS_PER_S)
            if start_ns is None
            else start_ns
        )
        began = time.monotonic()
        for item in sample():
            if item.stamp_ns > seconds * NS_PER_S or (until is not None and until()):
                return
            if isinstance(item, VideoFrame):
                numbers = [i for i, frame in enumerate(images()) if frame is item]
                for number in numbers if faces else ():
                    self.images.publish(self._message(number, start + item.stamp_ns))
                    self.played.add(start + item.stamp_ns)
            elif voice:
                self.send_sound(item, start + item.stamp_ns)
            ahead = began + item.stamp_ns / NS_PER_S / speed - time.monotonic()
            self.graph.spin_for(max(0.0, ahead))

    def play_until(
        self, found: Callable[[], object], seconds: float, *, speed: float = 2.0, **more: Any
    ) -> bool:
        """Play, as `play` does, until something is so; again, and ever more slowly, where a
        busy machine lost it."""
        for times in range(1, 9):
            self.play(seconds, until=found, speed=speed / times, **more)
            if self.graph.spin(found, 3.0):
                return True
        return False

    def send_sound(self, block: AudioBlock, stamp_ns: int) -> None:
        message = AudioDataStamped(header=convert.header(stamp_ns, "microphone"))
        message.audio.data = _sixteen_bit(block.samples)
        self.sound.publish(message)

    def send_bytes(self, data: bytes, stamp_ns: int | None = None) -> None:
        stamp = self.graph.now_ns() if stamp_ns is None else stamp_ns
        message = AudioDataStamped(header=convert.header(stamp, "microphone"))
        message.audio.data = data
        self.sound.publish(message)


@functools.cache
def sample() -> tuple[VideoFrame | AudioBlock, ...]:
    """The first four seconds of the sample clip, in the order of presentation."""
    with MediaFile(SAMPLE) as media:
        items = []
        for item in media:
            if item.stamp_ns > 4 * NS_PER_S:
                break
            items.append(item)
    return tuple(items)


@functools.cache
def images() -> tuple[VideoFrame, ...]:
    """Every third image of `sample`."""
    frames = [item for item in sample() if isinstance(item, VideoFrame)]
    return tuple(frames[::3])


def sample_format() -> tuple[int, int]:
    """Rate and channels of the sample's sound."""
    block = next(item for item in sample() if isinstance(item, AudioBlock))
    return block.rate, block.samples.shape[1]


def write_clip(path: Path, seconds: float) -> None:
    """A silent video of the sample's first images, 20 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(round(seconds * 20)):
            image = images()[number % len(images())].image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


def tone(seconds: float, rate: int, channels: int) -> np.ndarray[Any, Any]:
    """A tone of 300 Hz: (samples, channels) float32."""
    times = np.arange(round(seconds * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * 300.0 * times)).astype(np.float32)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.fixture
def start_graph(
    ros_domain: int, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Graph]]:
    """Makes a graph with the given parameters for all nodes; closes it at the end."""
    graphs: list[Graph] = []

    def make(*parameters: str, **more: Any) -> Graph:
        assert not graphs, "one graph a test"
        graphs.append(Graph(ros_domain, lambda: capfd.readouterr().err, *parameters, **more))
        return graphs[0]

    yield make
    for graph in graphs:
        graph.close()
        print("\n".join(graph.lines), file=sys.stderr)


def recording(
    start_graph: Callable[..., Graph], out: Path, *parameters: str
) -> tuple[Graph, Any, Feed]:
    """A recorder at work, and who publishes for it."""
    graph = start_graph(f"record_out:={out}", *parameters)
    node = graph.add(BagRecorder)
    return graph, node, Feed(graph)
