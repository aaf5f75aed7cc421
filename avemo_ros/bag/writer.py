"""Writes the package's types as a rosbag2 recording, without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from avemo_ros.audio.spectrogram import BINS, HOP_NS, AudioBlock, SpectrogramChunk
from avemo_ros.bag import messages
from avemo_ros.bag.partial_bag import PartialBag
from avemo_ros.bag.storage import OfferedQos
from avemo_ros.errors import ConfigError
from avemo_ros.source.media_file import VideoFrame
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, plain_fields
from avemo_ros.timing import NS_PER_S, to_s
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

MAX_FREQUENCY: Final = 20.0 * BINS
"""Of the spectrogram [Hz]: bin k lies at k * MAX_FREQUENCY / BINS."""
_CAMERA: Final = "camera"
_MICROPHONE: Final = "microphone"
_NO_BOX: Final = Box(0.0, 0.0, 0.0, 0.0)
_NONE: Final = np.zeros(0, np.float32)


_INFO_NS: Final = NS_PER_S
"""The audio format is repeated, so that every part of a recording has it."""


class MessageEncoder:
    """Makes the serialised messages that the nodes would publish."""

    def __init__(self, store: Typestore) -> None:
        """Use the types of a store that `messages.typestore` made."""
        self._store = store
        self._types = store.types

    def image(self, stamp_ns: int, image: NDArray[np.uint8]) -> memoryview:
        """A sensor_msgs/Image of (H, W, 3) uint8 BGR."""
        height, width, channels = image.shape
        message = self._types[messages.IMAGE](
            header=self._header(stamp_ns, _CAMERA),
            height=height,
            width=width,
            encoding="bgr8",
            is_bigendian=0,
            step=width * channels,
            data=np.ascontiguousarray(image).reshape(-1),
        )
        return self._store.serialize_cdr(message, messages.IMAGE)

    def compressed(self, stamp_ns: int, image: NDArray[np.uint8], quality: int) -> memoryview:
        """A sensor_msgs/CompressedImage, JPEG of quality 1 to 100, of (H, W, 3) uint8 BGR."""
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        message = self._types[messages.COMPRESSED_IMAGE](
            header=self._header(stamp_ns, _CAMERA),
            format="bgr8; jpeg compressed bgr8",
            data=packed.reshape(-1),
        )
        return self._store.serialize_cdr(message, messages.COMPRESSED_IMAGE)

    def audio(self, block: AudioBlock) -> memoryview:
        """An AudioDataStamped of 16-bit samples."""
        scaled = np.clip(np.rint(block.samples * 32768.0), -32768, 32767).astype("<i2")
        inner = self._types["audio_common_msgs/msg/AudioData"](
            data=np.ascontiguousarray(scaled).reshape(-1).view(np.uint8)
        )
        message = self._types[messages.AUDIO_DATA](
            header=self._header(block.stamp_ns, _MICROPHONE), audio=inner
        )
        return self._store.serialize_cdr(message, messages.AUDIO_DATA)

    def audio_info(self, rate: int, channels: int) -> memoryview:
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

    def states(self, step: EmotionStep) -> memoryview:
        """An EmotionStateArray; nothing is known of its latency, which is 0."""
        message = self._types[messages.EMOTION_STATES](
            header=self._header(step.stamp_ns, _CAMERA),
            states=[self._state(estimate) for estimate in step.estimates],
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
        return self._types["avemo_ros/msg/FaceTrack"](
            face_id=face.face_id,
            box=self._box(face.box),
            confidence=face.confidence,
            landmarks=_floats(_NONE if face.landmarks is None else face.landmarks),
            yaw=np.nan if pose is None else pose.yaw,
            pitch=np.nan if pose is None else pose.pitch,
            roll=np.nan if pose is None else pose.roll,
            quality=face.quality,
            mouth_opening=face.mouth_opening,
            blendshapes=_floats(_NONE if face.blendshapes is None else face.blendshapes),
            looks_at_robot=face.looks_at_robot,
            distance=face.distance,
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


class BagWriter:
    """Writes what the engine's stages take and give, on the topics of the nodes.

    Messages are logged at their stamp unless told otherwise; the block of sound at its end,
    when a microphone would have published it.
    """

    def __init__(
        self,
        path: str | Path,
        storage: str = "mcap",
        compression: str = "none",
        *,
        jpeg_quality: int = 0,
        split_s: float = 0.0,
        force: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Make the bag's folder.

        Args:
            path: of the bag, a folder; it appears when the bag is whole.
            storage: 'mcap' or 'sqlite3'.
            compression: 'none' or 'zstd'.
            jpeg_quality: 1 to 100: compressed images; 0: raw ones.
            split_s: begin a new file after so many seconds of messages [s]; 0: one file.
            force: replace a bag of that name, and what an interrupted run left.
            notes: for metadata.yaml, as its `custom_data`.

        Raises:
            BagError: the bag is there already, or cannot be written.
            ConfigError: an argument is not allowed.
        """
        if not 0 <= jpeg_quality <= 100:
            raise ConfigError("jpeg quality", jpeg_quality, "1 to 100, or 0 for raw images")
        self._bag = PartialBag(
            path, storage, compression, split_s=split_s, force=force, notes=notes
        )
        self._quality = jpeg_quality
        self._encoder = MessageEncoder(messages.typestore())
        self._added: set[str] = set()
        self._form = (0, 0)
        self._format_ns = 0

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bag.__exit__(kind, error, trace)

    @property
    def start_ns(self) -> int | None:
        """Earliest log time so far [ns]; None before the first message."""
        return self._bag.start_ns

    def write_image(self, frame: VideoFrame, log_ns: int | None = None) -> None:
        """An image.

        Raises:
            BagError: the disk does not take it; the same holds for what follows.
        """
        stamp_ns, image = frame.stamp_ns, frame.image
        log_ns = stamp_ns if log_ns is None else log_ns
        if self._quality:
            message = self._encoder.compressed(stamp_ns, image, self._quality)
            kind, topic = messages.COMPRESSED_IMAGE, "/image_raw/compressed"
        else:
            message = self._encoder.image(stamp_ns, image)
            kind, topic = messages.IMAGE, "/image_raw"
        self._write(topic, kind, message, log_ns, OfferedQos(5))

    def write_audio(self, block: AudioBlock, log_ns: int | None = None) -> None:
        """A block of sound, and its format before the first and every second."""
        if log_ns is None:
            log_ns = block.stamp_ns + len(block.samples) * NS_PER_S // block.rate
        form = (block.rate, block.samples.shape[1])
        if form != self._form or not 0 <= log_ns - self._format_ns < _INFO_NS:
            self._form, self._format_ns = form, log_ns
            message = self._encoder.audio_info(*form)
            offer = OfferedQos(1, latched=True)
            self._write("/audio_info", messages.AUDIO_INFO, message, log_ns, offer)
        message = self._encoder.audio(block)
        self._write("/audio", messages.AUDIO_DATA, message, log_ns, OfferedQos(100))

    def write_tracks(self, tracks: FrameTracks, log_ns: int | None = None) -> None:
        """The faces of one image."""
        log_ns = tracks.stamp_ns if log_ns is None else log_ns
        message = self._encoder.tracks(tracks)
        self._write("/face_tracks", messages.FACE_TRACKS, message, log_ns, OfferedQos(10))

    def write_chunk(self, chunk: SpectrogramChunk, log_ns: int | None = None) -> None:
        """Spectrogram columns."""
        log_ns = chunk.end_ns if log_ns is None else log_ns
        message = self._encoder.chunk(chunk)
        self._write("/spectrogram", messages.SPECTROGRAM, message, log_ns, OfferedQos(50))

    def write_states(self, step: EmotionStep, log_ns: int | None = None) -> None:
        """Everyone's emotion at one moment."""
        log_ns = step.stamp_ns if log_ns is None else log_ns
        message = self._encoder.states(step)
        self._write("/emotion_states", messages.EMOTION_STATES, message, log_ns, OfferedQos(10))

    def _write(
        self, topic: str, kind: str, message: memoryview, log_ns: int, offer: OfferedQos
    ) -> None:
        if topic not in self._added:
            self._added.add(topic)
            self._bag.add_topic(topic, kind, offer)
        self._bag.write(topic, message, log_ns)
