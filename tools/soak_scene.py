"""What the faults of the soak act on: a camera, a microphone, and the node they feed."""

from __future__ import annotations

import heapq
import itertools
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from audio_common_msgs.msg import AudioDataStamped, AudioInfo
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.msg import FaceTrackArray, SpectrogramChunk
from avemo_ros.nodes import convert, qos
from avemo_ros.source.media_file import MediaFile
from avemo_ros.timing import to_ns, to_s

NODE: Final = "emotion_stack"
_STALL_NS: Final = to_ns(0.3)
"""A feed this late stood still, and its time with it."""
_INFO_NS: Final = to_ns(1.0)


@dataclass(frozen=True, slots=True)
class _Item:
    """An image or a block of sound of the clip."""

    due_ns: int
    """When it is complete, from the start of the clip [ns]."""
    image: NDArray[np.uint8] | None = None
    block: AudioBlock | None = None


class Feed:
    """The clip over and over, as a camera and a microphone would publish it.

    Its public attributes are what faults change.

    Args:
        node: that publishes.
        clip: a media file with images and sound.
    """

    def __init__(self, node: Node, clip: Path) -> None:
        self._node = node
        self._items, self._length_ns = _items(clip)
        first = next(item.block for item in self._items if item.block is not None)
        self.sound_format = (first.rate, first.samples.shape[1], "S16LE")
        """Rate [Hz], channels and sample format, as audio_info says them."""
        self.transport = "raw"
        self.image_hz: float | None = None
        """None: as in the clip; 0: none."""
        self.image_size: tuple[int, int] | None = None
        """Width and height [pixels]; None: as in the clip."""
        self.image_delay_s = 0.0
        self.image_shift_s = 0.0
        """Images are stamped so much later."""
        self.image_stamps = ""
        """'zero', 'repeat', or as they should be."""
        self.shift_next_image_s = 0.0
        self.change_image: Callable[[Any, int], Any] | None = None
        """Gets every image message and its number; None from it sends nothing."""
        self.sound_on = True
        self.sound_shift_s = 0.0
        self.sound_stamps = ""
        self.sound_burst_s = 0.0
        """So much sound is sent at once, stamped on arrival."""
        self.sound_nan = False
        self.shift_next_block_s = 0.0
        self.clock_hz: float | None = None
        """How often /clock tells the time; None: nobody takes it from there."""
        self.clock_shift_s = 0.0
        self.shift_next_clock_s = 0.0
        self.stalled_s = 0.0
        """How long the feed itself stood still, as the machine was too busy [s]."""
        self._raw = node.create_publisher(Image, "image_raw", qos.result(5))
        self._jpeg = node.create_publisher(
            CompressedImage, "image_raw/compressed", qos.result(5)
        )
        self._sound = node.create_publisher(AudioDataStamped, "audio", qos.result(100))
        self._info = node.create_publisher(AudioInfo, "audio_info", qos.result(1, latched=True))
        self._clock = node.create_publisher(Clock, "/clock", qos.result(10))
        self._clock_told_ns = 0
        self._jpegs: dict[tuple[int, tuple[int, int] | None], array[int]] = {}
        self._at = 0
        self._begin_ns = time.monotonic_ns()
        self._to_wall_ns = time.time_ns() - self._begin_ns
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._numbers = itertools.count()
        self._image_ns = 0
        self._image_stamp_ns = self._block_stamp_ns = 0
        self._burst: list[AudioBlock] = []
        self._told_ns = 0
        self.use_sound(*self.sound_format)

    @property
    def next_ns(self) -> int:
        """When there is something to publish [ns of time.monotonic_ns]."""
        due_ns = self._begin_ns + self._items[self._at].due_ns
        return min(due_ns, self._later[0][0]) if self._later else due_ns

    @property
    def clock_ns(self) -> int:
        """What /clock tells where it is right [ns]."""
        return self._to_wall_ns + time.monotonic_ns()

    def cut_to(self, seconds: float) -> None:
        """Go on from this moment of the clip [s]; stamps go on as if nothing had been cut."""
        before_ns = self._items[self._at].due_ns
        wanted_ns = to_ns(seconds)
        fitting = (k for k, item in enumerate(self._items) if item.due_ns >= wanted_ns)
        self._at = next(fitting, 0)
        self._begin_ns += before_ns - self._items[self._at].due_ns

    def tell_clock(self, time_ns: int) -> None:
        """Publish a time on /clock [ns]."""
        seconds, nanoseconds = divmod(time_ns, 10**9)
        message = Clock()
        message.clock.sec, message.clock.nanosec = seconds, nanoseconds
        self._clock.publish(message)

    def pump(self) -> None:
        """Publish what is due."""
        now_ns = time.monotonic_ns()
        late_ns = now_ns - self.next_ns
        if late_ns > _STALL_NS:
            self.stalled_s += to_s(late_ns)
            self._begin_ns += late_ns
            self._later = [(due + late_ns, *rest) for due, *rest in self._later]  # type: ignore[misc]
        while self.next_ns <= now_ns:
            if self._later and self._later[0][0] == self.next_ns:
                heapq.heappop(self._later)[2]()
                continue
            item = self._items[self._at]
            due_ns = self._begin_ns + item.due_ns
            if item.image is not None:
                self._take_image(due_ns, item.image)
            elif item.block is not None:
                self._take_block(due_ns, item.block)
            self._at += 1
            if self._at == len(self._items):
                self._at = 0
                self._begin_ns += self._length_ns
        if now_ns - self._told_ns > _INFO_NS:
            self._tell()
        if self.clock_hz and now_ns - self._clock_told_ns > to_ns(1 / self.clock_hz):
            self._clock_told_ns = now_ns
            shift_s = self.clock_shift_s + self.shift_next_clock_s
            self.shift_next_clock_s = 0.0
            self.tell_clock(self.clock_ns + to_ns(shift_s))

    def use_sound(self, rate: int, channels: int, sample_format: str) -> None:
        """Send sound of this form from now on ('S16LE' or 'F32LE')."""
        self.sound_format = (rate, channels, sample_format)
        self.announce(rate, channels, sample_format, "wave")

    def announce(self, rate: int, channels: int, sample_format: str, coding: str) -> None:
        """Say on audio_info what need not be true."""
        self._form = AudioInfo(
            sample_rate=rate, channels=channels, sample_format=sample_format,
            coding_format=coding,
        )  # fmt: skip
        self._tell()

    def message(self, image: NDArray[np.uint8], stamp_ns: int) -> Image | CompressedImage:
        """An image as the present transport has it."""
        if self.transport == "raw":
            return convert.image(self._sized(image), stamp_ns, "camera")
        key = (id(image), self.image_size)
        if key not in self._jpegs:
            self._jpegs[key] = convert.byte_array(cv2.imencode(".jpg", self._sized(image))[1])
        message = CompressedImage(header=convert.header(stamp_ns, "camera"), format="jpeg")
        message.data = self._jpegs[key]
        return message

    def _sized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image if self.image_size is None else cv2.resize(image, self.image_size)

    def _tell(self) -> None:
        self._told_ns = time.monotonic_ns()
        self._info.publish(self._form)

    def _take_image(self, due_ns: int, image: NDArray[np.uint8]) -> None:
        hz = self.image_hz
        if hz is not None and (hz == 0.0 or due_ns - self._image_ns < 0.9 * to_ns(1 / hz)):
            return
        self._image_ns = due_ns
        delay_ns = to_ns(self.image_delay_s)
        times = [due_ns]
        if hz is not None and hz > 30.0:
            times.append(due_ns + to_ns(1 / hz))
        for time_ns in times:
            stamp_ns = self._to_wall_ns + time_ns
            if time_ns + delay_ns == due_ns:
                self._send_image(image, stamp_ns)
            else:
                self._do_later(
                    time_ns + delay_ns,
                    lambda image=image, stamp_ns=stamp_ns: self._send_image(image, stamp_ns),
                )

    def _send_image(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        stamp_ns += to_ns(self.image_shift_s + self.shift_next_image_s)
        self.shift_next_image_s = 0.0
        if self.image_stamps == "repeat":
            stamp_ns = self._image_stamp_ns
        self._image_stamp_ns = stamp_ns
        message = self.message(image, 0 if self.image_stamps == "zero" else stamp_ns)
        number = next(self._numbers)
        if self.change_image is not None:
            message = self.change_image(message, number)
            if message is None:
                return
        (self._raw if self.transport == "raw" else self._jpeg).publish(message)

    def _take_block(self, due_ns: int, block: AudioBlock) -> None:
        if not self.sound_on:
            return
        if self.sound_burst_s > 0.0 or self._burst:
            self._burst.append(block)
            if sum(len(one.samples) / one.rate for one in self._burst) < self.sound_burst_s:
                return
            burst, self._burst = self._burst, []
            for one in burst:
                # As drivers do that ask for the time when they hand a block on.
                self._send_block(one, time.time_ns())
            return
        self._send_block(block, self._to_wall_ns + due_ns - _lasts_ns(block))

    def _send_block(self, block: AudioBlock, stamp_ns: int) -> None:
        stamp_ns += to_ns(self.sound_shift_s + self.shift_next_block_s)
        self.shift_next_block_s = 0.0
        if self.sound_stamps == "repeat":
            stamp_ns = self._block_stamp_ns
        self._block_stamp_ns = stamp_ns
        message = AudioDataStamped(
            header=convert.header(0 if self.sound_stamps == "zero" else stamp_ns, "microphone")
        )
        message.audio.data = self._packed(block)
        self._sound.publish(message)

    def _packed(self, block: AudioBlock) -> array[int]:
        rate, channels, sample_format = self.sound_format
        mono = block.samples.mean(axis=1)
        if rate != block.rate:
            count = round(len(mono) * rate / block.rate)
            at = np.arange(count) * block.rate / rate
            mono = np.interp(at, np.arange(len(mono)), mono)
        samples = np.repeat(mono[:, None], channels, axis=1).astype(np.float32)
        if sample_format == "F32LE":
            if self.sound_nan:
                samples[::7] = np.nan
                samples[3::50] = np.inf
            return convert.byte_array(samples.astype("<f4"))
        scaled = np.clip(np.rint(samples * 32768.0), -32768, 32767)
        return convert.byte_array(scaled.astype("<i2"))

    def _do_later(self, due_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (due_ns, next(self._order), what))


class Scene:
    """The feed, and what else can be done to a node.

    Args:
        node: of the soak, spun by it.
        feed: of the node under test.
        pid: of the node under test.
        heard: called with topic, message and stamp [ns] of what `listen` brings.
    """

    def __init__(
        self, node: Node, feed: Feed, pid: int, heard: Callable[[str, Any], None]
    ) -> None:
        self._node = node
        self.feed = feed
        self.pid = pid
        self._heard = heard
        self.activated: Callable[[], None] = lambda: None
        """Called when the node is about to be activated."""
        self._change = node.create_client(ChangeState, f"{NODE}/change_state")
        self._set = node.create_client(SetParameters, f"{NODE}/set_parameters")
        self._open: list[Any] = []

    def transition(self, step: str | int, *, possible: bool = True) -> Any:
        """Ask for a transition of the life cycle by name or number; returns the future."""
        number = (
            step
            if isinstance(step, int)
            else int(getattr(Transition, f"TRANSITION_{step.upper()}"))
        )
        if possible and step == "activate":
            self.activated()
        request = ChangeState.Request(transition=Transition(id=number))
        return self._change.call_async(request)

    def set_parameter(self, name: str, value: Any) -> Any:
        """Ask for another value; returns the future."""
        return self._ask(Parameter(name, value=value).to_parameter_msg())

    def set_parameter_of_type(self, name: str, kind: int) -> Any:
        """Ask for a value of a type by its number; returns the future."""
        return self._ask(ParameterMessage(name=name, value=ParameterValue(type=kind)))

    def _ask(self, parameter: ParameterMessage) -> Any:
        return self._set.call_async(SetParameters.Request(parameters=[parameter]))

    def signal(self, number: int) -> None:
        """Send the node's process a signal."""
        os.kill(self.pid, number)

    def listen(self) -> Closing:
        """Subscribe to the overlay, the face tracks and the spectrogram."""
        node = self._node
        made = [
            node.create_subscription(
                kind, topic, lambda message, topic=topic: self._heard(topic, message), 10,
                raw=raw,
            )
            for kind, topic, raw in (
                (Image, "emotion_overlay", True),
                (FaceTrackArray, "face_tracks", False),
                (SpectrogramChunk, "spectrogram", False),
            )
        ]  # fmt: skip
        return self._keep(Closing(lambda: [node.destroy_subscription(one) for one in made]))

    def robot(self) -> Robot:
        """Somebody who can say that the robot speaks."""
        return self._keep(Robot())

    def second_camera(self) -> Closing:
        """Publish every image a second time, from a participant of its own."""
        other = _Participant("second_camera")
        kind = Image if self.feed.transport == "raw" else CompressedImage
        topic = "image_raw" if self.feed.transport == "raw" else "image_raw/compressed"
        out = other.node.create_publisher(kind, topic, qos.result(5))

        def again(message: Any, number: int) -> Any:  # noqa: ARG001
            out.publish(message)
            return message

        self.feed.change_image = again

        def close() -> None:
            self.feed.change_image = None
            other.close()

        return self._keep(Closing(close))

    def load(self, processes: int, seconds: float) -> Closing:
        """Keep processor cores busy; they end by themselves, too."""
        code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end:"
        busy = [
            subprocess.Popen([sys.executable, "-c", f"{code} pass"]) for _ in range(processes)
        ]

        def close() -> None:
            for one in busy:
                one.kill()
                one.wait()

        return self._keep(Closing(close))

    def close(self) -> None:
        """End what faults have begun; whatever happened, nothing stays behind."""
        for one in self._open:
            one.close()

    def _keep(self, made: Any) -> Any:
        self._open.append(made)
        return made


class Closing:
    """Something that is ended once, however often it is asked to.

    Args:
        close: ends it.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        self._close: Callable[[], object] | None = close

    def close(self) -> None:
        """End it."""
        if self._close is not None:
            close, self._close = self._close, None
            close()


class _Participant:
    """A node that shares no DDS participant with the others, as if in another process."""

    def __init__(self, name: str) -> None:
        self._context = Context()
        self._context.init(domain_id=int(os.environ["ROS_DOMAIN_ID"]))
        self.node = Node(name, context=self._context, start_parameter_services=False)

    def close(self) -> None:
        """Leave the graph."""
        self.node.destroy_node()
        self._context.try_shutdown()


class Robot(Closing):
    """Says that the robot speaks, and may die meanwhile."""

    def __init__(self) -> None:
        self._other = _Participant("robot")
        self._out = self._other.node.create_publisher(Bool, "robot_speaking", qos.result(10))
        super().__init__(self._other.close)

    def speaks(self) -> None:
        """Say true."""
        self._out.publish(Bool(data=True))


def _lasts_ns(block: AudioBlock) -> int:
    return len(block.samples) * 10**9 // block.rate


def _items(clip: Path) -> tuple[Sequence[_Item], int]:
    """The clip's images and blocks by the time at which they are complete, and its length."""
    items = []
    with MediaFile(clip) as media:
        frame_ns = to_ns(1 / media.fps)
        for item in media:
            if isinstance(item, AudioBlock):
                items.append(_Item(item.stamp_ns + _lasts_ns(item), block=item))
            else:
                items.append(_Item(item.stamp_ns, image=item.image))
    items.sort(key=lambda item: item.due_ns)
    last_image_ns = max(item.due_ns for item in items if item.image is not None)
    return items, max(items[-1].due_ns, last_image_ns + frame_ns)
