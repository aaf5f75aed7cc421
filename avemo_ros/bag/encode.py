"""The core's dataclasses as messages of a bag, without ROS."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from avemo_ros.audio.chunk import BINS, HOP_NS, AudioBlock, SpectrogramChunk
from avemo_ros.bag import messages
from avemo_ros.clock import NS_PER_S, to_s
from avemo_ros.state.estimate import EmotionEstimate, Hop
from avemo_ros.state.fields import plain_fields
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

MAX_FREQUENCY: Final = 20.0 * BINS
"""Of the spectrogram [Hz]: bin k lies at k * MAX_FREQUENCY / BINS."""
_CAMERA: Final = "camera"
_MICROPHONE: Final = "microphone"
_NO_BOX: Final = Box(0.0, 0.0, 0.0, 0.0)


class Encoder:
    """Makes serialised messages; their fields are those that the nodes publish."""

    def __init__(self, store: Typestore) -> None:
        """Use the types of a store that `messages.typestore` made."""
        self._store = store
        self._types = store.types

    def picture(self, stamp_ns: int, picture: NDArray[np.uint8]) -> memoryview:
        """A sensor_msgs/Image of (H, W, 3) uint8 BGR."""
        height, width, channels = picture.shape
        message = self._types[messages.IMAGE](
            header=self._header(stamp_ns, _CAMERA),
            height=height,
            width=width,
            encoding="bgr8",
            is_bigendian=0,
            step=width * channels,
            data=np.ascontiguousarray(picture).reshape(-1),
        )
        return self._store.serialize_cdr(message, messages.IMAGE)

    def compressed(self, stamp_ns: int, picture: NDArray[np.uint8], quality: int) -> memoryview:
        """A sensor_msgs/CompressedImage, JPEG of quality 1 to 100, of (H, W, 3) uint8 BGR."""
        _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        message = self._types[messages.COMPRESSED_IMAGE](
            header=self._header(stamp_ns, _CAMERA),
            format="bgr8; jpeg compressed bgr8",
            data=packed.reshape(-1),
        )
        return self._store.serialize_cdr(message, messages.COMPRESSED_IMAGE)

    def sound(self, block: AudioBlock) -> memoryview:
        """An AudioDataStamped of 16-bit samples."""
        scaled = np.clip(np.rint(block.samples * 32768.0), -32768, 32767).astype("<i2")
        inner = self._types["audio_common_msgs/msg/AudioData"](
            data=np.ascontiguousarray(scaled).reshape(-1).view(np.uint8)
        )
        message = self._types[messages.AUDIO_DATA](
            header=self._header(block.stamp_ns, _MICROPHONE), audio=inner
        )
        return self._store.serialize_cdr(message, messages.AUDIO_DATA)

    def sound_format(self, rate: int, channels: int) -> memoryview:
        """The AudioInfo that goes with `sound`."""
        message = self._types[messages.AUDIO_INFO](
            channels=channels,
            sample_rate=rate,
            sample_format="S16LE",
            bitrate=16 * rate * channels // 1000,
            coding_format="wave",
        )
        return self._store.serialize_cdr(message, messages.AUDIO_INFO)

    def tracks(self, tracks: FrameTracks) -> memoryview:
        """A FaceTrackArray."""
        message = self._types[messages.FACE_TRACKS](
            header=self._header(tracks.stamp_ns, _CAMERA),
            width=tracks.width,
            height=tracks.height,
            faces=[self._face(face) for face in tracks.faces],
        )
        return self._store.serialize_cdr(message, messages.FACE_TRACKS)

    def chunk(self, chunk: SpectrogramChunk) -> memoryview:
        """A SpectrogramChunk."""
        message = self._types[messages.SPECTROGRAM](
            header=self._header(chunk.stamp_ns, _MICROPHONE),
            hop=to_s(HOP_NS),
            bins=BINS,
            max_frequency=MAX_FREQUENCY,
            power_db=_floats(chunk.power_db),
            speech=_floats(chunk.speech),
            level_dbfs=_floats(chunk.level_dbfs),
            gap=chunk.gap,
        )
        return self._store.serialize_cdr(message, messages.SPECTROGRAM)

    def states(self, hop: Hop) -> memoryview:
        """An EmotionStateArray; nothing is known of its latency, which is 0."""
        message = self._types[messages.EMOTION_STATES](
            header=self._header(hop.stamp_ns, _CAMERA),
            states=[self._state(estimate) for estimate in hop.estimates],
        )
        return self._store.serialize_cdr(message, messages.EMOTION_STATES)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        return self._types["std_msgs/msg/Header"](stamp=self._time(stamp_ns), frame_id=frame_id)

    def _time(self, stamp_ns: int) -> Any:
        return self._types["builtin_interfaces/msg/Time"](
            sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S
        )

    def _box(self, box: Box) -> Any:
        return self._types["avemo_ros/msg/NormalizedBox"](
            x=box.x, y=box.y, width=box.width, height=box.height
        )

    def _face(self, face: FaceTrack) -> Any:
        pose = face.pose
        landmarks = face.landmarks if face.landmarks is not None else np.zeros(0, np.float32)
        return self._types["avemo_ros/msg/FaceTrack"](
            face_id=face.face_id,
            box=self._box(face.box),
            confidence=face.confidence,
            landmarks=_floats(landmarks),
            yaw=np.nan if pose is None else pose.yaw,
            pitch=np.nan if pose is None else pose.pitch,
            roll=np.nan if pose is None else pose.roll,
            quality=face.quality,
            mouth_opening=face.mouth_opening,
            crop_side=face.crop.shape[0],
            crop=np.ascontiguousarray(face.crop).reshape(-1),
        )

    def _state(self, estimate: EmotionEstimate) -> Any:
        fields = plain_fields(estimate)
        fields["probabilities"] = np.array(fields["probabilities"], np.float32)
        return self._types["avemo_ros/msg/EmotionState"](
            header=self._header(estimate.stamp_ns, _CAMERA),
            window_start=self._time(estimate.window_start_ns),
            latency=0.0,
            box=self._box(estimate.box or _NO_BOX),
            **fields,
        )


def _floats(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).reshape(-1)
