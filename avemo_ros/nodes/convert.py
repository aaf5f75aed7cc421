"""ROS messages from and to the core's dataclasses; nothing here decides anything."""

from __future__ import annotations

import array
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from avemo_ros.audio.chunk import BINS, HOP_NS, SpectrogramChunk
from avemo_ros.clock import NS_PER_S, to_s
from avemo_ros.msg import EmotionState, EmotionStateArray, FaceTrackArray, NormalizedBox
from avemo_ros.msg import FaceTrack as FaceTrackMessage
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.state.estimate import EmotionEstimate, Hop, Status
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose
from avemo_ros.vision.picture import decode_compressed, to_bgr

MAX_FREQUENCY: Final = 4000.0
"""Of the spectrogram [Hz]: bin k lies at k * MAX_FREQUENCY / BINS."""


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds as a ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def to_ns(stamp: Time) -> int:
    """A ROS time as nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header for sensor time `stamp_ns` [ns]."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


# --- pictures


def picture(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8 BGR.

    Raises:
        ImageError: encoding, size or data cannot be used.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    return to_bgr(
        message.data,
        message.height,
        message.width,
        message.step,
        message.encoding,
        is_bigendian=bool(message.is_bigendian),
    )


def image(picture: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """(H, W, 3) uint8 BGR as a message with encoding bgr8."""
    height, width, channels = picture.shape
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=width * channels,
        data=byte_array(picture),
    )


def byte_array(values: NDArray[Any]) -> array.array[int]:
    """The array's memory as `uint8[]`: assigning an `array.array` is fast, `bytes` is slow."""
    filled = array.array("B")
    filled.frombytes(_bytes(values))
    return filled


def _bytes(values: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def _float_array(values: NDArray[np.float32]) -> array.array[float]:
    filled = array.array("f")
    filled.frombytes(_bytes(values.astype(np.float32, copy=False)))
    return filled


# --- faces


def tracks_message(tracks: FrameTracks, frame_id: str) -> FaceTrackArray:
    """The faces of one picture as a message."""
    return FaceTrackArray(
        header=header(tracks.stamp_ns, frame_id),
        width=tracks.width,
        height=tracks.height,
        faces=[_face_message(face) for face in tracks.faces],
    )


def _face_message(face: FaceTrack) -> FaceTrackMessage:
    pose = face.pose if face.pose is not None else HeadPose(np.nan, np.nan, np.nan)
    message = FaceTrackMessage(
        face_id=face.face_id,
        box=_box_message(face.box),
        confidence=face.confidence,
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
        quality=face.quality,
        mouth_opening=face.mouth_opening,
        crop_side=face.crop.shape[0],
        crop=byte_array(face.crop),
    )
    if face.landmarks is not None:
        message.landmarks = _float_array(face.landmarks)
    return message


def tracks(message: FaceTrackArray) -> FrameTracks:
    """The faces of one picture from a message.

    Raises:
        ValueError: a crop or the landmarks have another size than they say.
    """
    return FrameTracks(
        stamp_ns=to_ns(message.header.stamp),
        width=message.width,
        height=message.height,
        faces=tuple(_face(face) for face in message.faces),
    )


def _face(message: FaceTrackMessage) -> FaceTrack:
    side = message.crop_side
    pose = HeadPose(message.yaw, message.pitch, message.roll)
    landmarks = np.frombuffer(message.landmarks, np.float32).reshape(-1, 3)
    return FaceTrack(
        face_id=message.face_id,
        box=_box(message.box),
        confidence=message.confidence,
        landmarks=landmarks if len(landmarks) else None,
        pose=None if np.isnan(pose.yaw) else pose,
        quality=message.quality,
        mouth_opening=message.mouth_opening,
        crop=np.frombuffer(message.crop, np.uint8).reshape(side, side),
    )


def _box_message(box: Box) -> NormalizedBox:
    return NormalizedBox(x=box.x, y=box.y, width=box.width, height=box.height)


def _box(message: NormalizedBox) -> Box:
    return Box(message.x, message.y, message.width, message.height)


# --- speech


def chunk_message(chunk: SpectrogramChunk, frame_id: str) -> SpectrogramChunkMessage:
    """Spectrogram columns as a message."""
    return SpectrogramChunkMessage(
        header=header(chunk.stamp_ns, frame_id),
        hop=to_s(HOP_NS),
        bins=BINS,
        max_frequency=MAX_FREQUENCY,
        power_db=_float_array(chunk.power_db),
        speech=_float_array(chunk.speech),
        level_dbfs=_float_array(chunk.level_dbfs),
        gap=chunk.gap,
    )


def chunk(message: SpectrogramChunkMessage) -> SpectrogramChunk:
    """Spectrogram columns from a message.

    Raises:
        ValueError: bins or the lengths of the fields do not go together.
    """
    speech = np.frombuffer(message.speech, np.float32)
    level = np.frombuffer(message.level_dbfs, np.float32)
    if len(level) != len(speech):
        raise ValueError(f"{len(speech)} columns of speech, but {len(level)} of level_dbfs")
    return SpectrogramChunk(
        stamp_ns=to_ns(message.header.stamp),
        power_db=np.frombuffer(message.power_db, np.float32).reshape(len(speech), BINS),
        speech=speech,
        level_dbfs=level,
        gap=message.gap,
    )


# --- states


def state_message(estimate: EmotionEstimate, frame_id: str, latency_s: float) -> EmotionState:
    """One person's emotion as a message.

    Args:
        estimate: of the core.
        frame_id: of the camera.
        latency_s: from the window's end to publication [s].
    """
    message = EmotionState(
        header=header(estimate.stamp_ns, frame_id),
        window_start=to_time(estimate.window_start_ns),
        latency=latency_s,
        person_id=estimate.person_id,
        face_id=estimate.face_id,
        voice_id=estimate.voice_id,
        label=estimate.label,
        confidence=float(estimate.confidence),
        labels=list(estimate.labels),
        probabilities=[float(value) for value in estimate.probabilities],
        valence=float(estimate.valence),
        arousal=float(estimate.arousal),
        valence_arousal_valid=estimate.valence_arousal_valid,
        status=int(estimate.status),
        face_share=float(estimate.face_share),
        voice_share=float(estimate.voice_share),
        speaking=estimate.speaking,
        box_valid=estimate.box is not None,
        model_id=estimate.model_id,
    )
    if estimate.box is not None:
        message.box = _box_message(estimate.box)
    return message


def states_message(hop: Hop, frame_id: str, latency_s: float) -> EmotionStateArray:
    """Everyone's emotion as a message; arguments as for `state_message`."""
    return EmotionStateArray(
        header=header(hop.stamp_ns, frame_id),
        states=[state_message(estimate, frame_id, latency_s) for estimate in hop.estimates],
    )


def estimate(message: EmotionState) -> EmotionEstimate:
    """One person's emotion from a message.

    Raises:
        ValueError: the status is not one of the constants.
    """
    return EmotionEstimate(
        stamp_ns=to_ns(message.header.stamp),
        window_start_ns=to_ns(message.window_start),
        person_id=message.person_id,
        face_id=message.face_id,
        voice_id=message.voice_id,
        label=message.label,
        confidence=message.confidence,
        probabilities=tuple(message.probabilities),
        face_share=message.face_share,
        voice_share=message.voice_share,
        status=Status(message.status),
        box=_box(message.box) if message.box_valid else None,
        speaking=message.speaking,
        model_id=message.model_id,
        valence=message.valence,
        arousal=message.arousal,
        valence_arousal_valid=message.valence_arousal_valid,
    )
