"""Shared by camera, microphone and media player: their topics, and a thread that keeps a
device running.
"""

from __future__ import annotations

import array
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from pydantic import Field
from rclpy.event_handler import PublisherEventCallbacks
from sensor_msgs.msg import CompressedImage, Image

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.errors import SourceError
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.convert import audio_types, fill_audio
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.settings import Settings


class ImagePublisherSettings(Settings):
    """Parameters of a node that publishes images."""

    compressed: bool = Field(
        False,
        description=(
            "Also publish JPEG images on image_raw/compressed; they are encoded only if "
            "somebody subscribes."
        ),
    )
    camera_frame_id: str = Field("camera", description="header.frame_id of the images.")


class AudioPublisherSettings(Settings):
    """Parameters of a node that publishes sound."""

    microphone_frame_id: str = Field("microphone", description="header.frame_id of the audio.")


_INFO_PERIOD_S: Final = 1.0
_JPEG_QUALITY: Final = 90


class ImagePublisher:
    """Publishes images, raw and if wanted compressed."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._frame_id = str(node.read(ImagePublisherSettings).camera_frame_id)
        # SystemDefaults of REP-2003: reliable, so that subscribers may choose.
        self._raw = node.create_publisher(Image, "image_raw", qos.result(5))
        self._compressed: Any = None
        if node.read(ImagePublisherSettings).compressed:
            self._compressed = node.create_publisher(
                CompressedImage, qos.beside_base(node, "image_raw/compressed"), qos.result(5)
            )

    @property
    def subscribers(self) -> int:
        """How many take the images in either form."""
        count = int(self._raw.get_subscription_count())
        if self._compressed is not None:
            count += int(self._compressed.get_subscription_count())
        return count

    def publish(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        """Send one image, (H, W, 3) uint8 BGR, stamped with sensor time [ns]."""
        if self._raw.get_subscription_count():
            self._raw.publish(convert.image(image, stamp_ns, self._frame_id))
        if self._compressed is not None and self._compressed.get_subscription_count():
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            message = CompressedImage(
                header=convert.header(stamp_ns, self._frame_id), format="bgr8; jpeg compressed"
            )
            message.data = convert.byte_array(packed)
            self._compressed.publish(message)

    def close(self) -> None:
        """Remove the topics."""
        for out in (self._raw, self._compressed):
            if out is not None:
                self._node.destroy_publisher(out)


class AudioPublisher:
    """Publishes sound as 16-bit AudioDataStamped, and its format as AudioInfo every second and
    whenever somebody subscribes; where audio_common 4.x is installed, as AudioStamped, which
    says its own format.

    Raises:
        ConfigError: no audio_common_msgs is installed.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._frame_id = str(node.read(AudioPublisherSettings).microphone_frame_id)
        self._form = (0, 0)
        self._kind, self._info_kind = audio_types("stamped")
        self._audio = node.create_publisher(self._kind, "audio", qos.result(100))
        self._info: Any = None
        if self._info_kind is not None:
            self._info = node.create_publisher(
                self._info_kind,
                "audio_info",
                qos.result(1, latched=True),
                event_callbacks=PublisherEventCallbacks(matched=lambda _: self._tell()),
            )
        self._timer = node.create_timer(_INFO_PERIOD_S, self._tell, clock=node.steady)

    @property
    def subscribers(self) -> int:
        """How many take the sound."""
        return int(self._audio.get_subscription_count())

    def announce(self, rate: int, channels: int) -> None:
        """Say the format before the first sound [Hz, channels]."""
        if (rate, channels) != self._form:
            self._form = (rate, channels)
            self._tell()

    def publish(self, block: AudioBlock, stamp_ns: int) -> None:
        """Send one block, stamped with the sensor time of its first sample [ns]."""
        self.announce(block.rate, block.samples.shape[1])
        message = self._kind(header=convert.header(stamp_ns, self._frame_id))
        fill_audio(message, _sixteen_bit(block.samples), block.rate, block.samples.shape[1])
        self._audio.publish(message)

    def close(self) -> None:
        """Remove the topics."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._audio)
        if self._info is not None:
            self._node.destroy_publisher(self._info)

    def _tell(self) -> None:
        rate, channels = self._form
        if rate and self._info is not None:
            self._info.publish(
                self._info_kind(
                    channels=channels,
                    sample_rate=rate,
                    sample_format="S16LE",
                    bitrate=16 * rate * channels // 1000,
                    coding_format="wave",
                )
            )


def _sixteen_bit(samples: NDArray[np.float32]) -> array.array[int]:
    scaled = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2")
    return convert.byte_array(scaled)


Taken = TypeVar("Taken", covariant=True)
Captured = TypeVar("Captured")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_JOIN_S: Final = 3.0
_SILENT_S: Final = 5.0
"""A device that is open and delivers nothing for this long hangs in its driver."""


class Device(Protocol[Taken]):
    """What is captured from; all three raise SourceError."""

    @property
    def is_open(self) -> bool:
        """Whether it can be read from."""

    def open(self) -> None:
        """Start to capture; does nothing if open."""

    def read(self) -> Taken:
        """What was captured next; waits for it."""

    def close(self) -> None:
        """Stop to capture."""


class Capture(Generic[Captured]):
    """Opens a device and reads from it on a thread; after a loss it tries again, at first
    every half second, later every five."""

    def __init__(
        self,
        node: ManagedNode,
        what: str,
        device: Device[Captured],
        deliver: Callable[[Captured], None],
    ) -> None:
        """Set up.

        Args:
            node: for the log.
            what: the device's kind, for log lines.
            device: to read from.
            deliver: called on the thread with what was read.
        """
        self._node = node
        self._what = what
        self._device = device
        self._deliver = deliver
        self._trouble = ThrottledLog(node.get_logger(), what)
        self._read = diagnostics.Meter()
        self._losses = 0
        self._reading = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def start(self) -> None:
        """Begin to capture; a missing device is not an error, it is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a read under way for at most three seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        values: dict[str, object] = {
            "rate_hz": f"{self._read.rate_hz:.1f}",
            "read": self._read.count,
            "losses": self._losses,
            "last_error": self._trouble.last,
        }
        quiet_s = self._read.quiet_s
        if self._reading and self._read.count and quiet_s > _SILENT_S:
            self._trouble.report(
                "hangs", f"no data for {quiet_s:.0f} s, and the driver does not respond"
            )
            return diagnostics.status(self._what, diagnostics.ERROR, self._trouble.last, values)
        if not self._device.is_open:
            message = self._trouble.last or "not open yet"
            return diagnostics.status(self._what, diagnostics.ERROR, message, values)
        return diagnostics.status(self._what, diagnostics.OK, "captures", values)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._device.open()
                while not self._stopping.is_set():
                    self._reading = True
                    item = self._device.read()
                    self._reading = False
                    if self._stopping.is_set():
                        break
                    self._trouble.good()
                    pause_s = _FIRST_PAUSE_S
                    self._read.add()
                    self._deliver(item)
            except SourceError as error:
                self._losses += 1
                self._trouble.report(str(error), f"{error}; trying again")
            except Exception as error:  # noqa: BLE001  the thread has to go on
                self._losses += 1
                text = f"{type(error).__name__}: {error}"
                self._trouble.report(type(error).__name__, f"{text}; trying again")
                # A source closes what it reports itself; this it did not see coming.
                self._close()
            self._reading = False
            self._stopping.wait(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
        self._close()

    def _close(self) -> None:
        try:
            self._device.close()
        except Exception as error:  # noqa: BLE001  the thread has to go on
            self._trouble.report("close", f"cannot be closed: {type(error).__name__}: {error}")
