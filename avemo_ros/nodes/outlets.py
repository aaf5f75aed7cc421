"""Topics of the source nodes: images, and sound with its format."""

from __future__ import annotations

import array
from typing import Any, Final

import cv2
import numpy as np
from audio_common_msgs.msg import AudioDataStamped, AudioInfo
from numpy.typing import NDArray
from pydantic import Field
from rclpy.event_handler import PublisherEventCallbacks
from sensor_msgs.msg import CompressedImage, Image

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.settings import Settings


class PictureOutletSettings(Settings):
    """Parameters of a node that publishes images."""

    compressed: bool = Field(
        False,
        description=(
            "Publish JPEG images on image_raw/compressed, too; they are made only while "
            "somebody subscribes."
        ),
    )
    camera_frame_id: str = Field("camera", description="header.frame_id of the images.")


class SoundOutletSettings(Settings):
    """Parameters of a node that publishes sound."""

    microphone_frame_id: str = Field("microphone", description="header.frame_id of the sound.")


_INFO_PERIOD_S: Final = 1.0
_JPEG_QUALITY: Final = 90


class PictureOutlet:
    """Publishes images, raw and if wanted compressed."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._frame_id = str(node.read(PictureOutletSettings).camera_frame_id)
        # SystemDefaults of REP-2003: reliable, so that subscribers may choose.
        self._raw = node.create_publisher(Image, "image_raw", qos.result(5))
        self._compressed: Any = None
        if node.read(PictureOutletSettings).compressed:
            self._compressed = node.create_publisher(
                CompressedImage, "image_raw/compressed", qos.result(5)
            )

    @property
    def subscribers(self) -> int:
        """How many take the images in either form."""
        count = int(self._raw.get_subscription_count())
        if self._compressed is not None:
            count += int(self._compressed.get_subscription_count())
        return count

    def publish(self, picture: NDArray[np.uint8], stamp_ns: int) -> None:
        """Send one image, (H, W, 3) uint8 BGR, stamped with sensor time [ns]."""
        if self._raw.get_subscription_count():
            self._raw.publish(convert.image(picture, stamp_ns, self._frame_id))
        if self._compressed is not None and self._compressed.get_subscription_count():
            _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
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


class SoundOutlet:
    """Publishes sound as 16-bit AudioDataStamped, and its format as AudioInfo every second and
    whenever somebody subscribes."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._frame_id = str(node.read(SoundOutletSettings).microphone_frame_id)
        self._form = (0, 0)
        self._sound = node.create_publisher(AudioDataStamped, "audio", qos.result(100))
        self._info = node.create_publisher(
            AudioInfo,
            "audio_info",
            qos.result(1, latched=True),
            event_callbacks=PublisherEventCallbacks(matched=lambda _: self._tell()),
        )
        self._timer = node.create_timer(_INFO_PERIOD_S, self._tell, clock=node.steady)

    @property
    def subscribers(self) -> int:
        """How many take the sound."""
        return int(self._sound.get_subscription_count())

    def announce(self, rate: int, channels: int) -> None:
        """Say the format before the first sound [Hz, channels]."""
        if (rate, channels) != self._form:
            self._form = (rate, channels)
            self._tell()

    def publish(self, block: AudioBlock, stamp_ns: int) -> None:
        """Send one block, stamped with the sensor time of its first sample [ns]."""
        self.announce(block.rate, block.samples.shape[1])
        message = AudioDataStamped(header=convert.header(stamp_ns, self._frame_id))
        message.audio.data = _sixteen_bit(block.samples)
        self._sound.publish(message)

    def close(self) -> None:
        """Remove the topics."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._sound)
        self._node.destroy_publisher(self._info)

    def _tell(self) -> None:
        rate, channels = self._form
        if rate:
            self._info.publish(
                AudioInfo(
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
