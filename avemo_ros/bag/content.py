"""What messages say, as the core's dataclasses.

It serves the message objects of rclpy and those of rosbags: both have the fields of the
definition, and arrays with the buffer protocol or plain lists.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import BINS, SpectrogramChunk
from avemo_ros.clock import NS_PER_S
from avemo_ros.labels import EMOTIONS, WORDS
from avemo_ros.state.estimate import EmotionEstimate, Status
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose
from avemo_ros.vision.picture import decode_compressed, to_bgr


def stamp_ns(stamp: Any) -> int:
    """A ROS time as nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def picture(message: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs Image or CompressedImage as (H, W, 3) uint8 BGR.

    Raises:
        ImageError: encoding, size or data cannot be used.
    """
    if hasattr(message, "format"):
        return decode_compressed(message.data, message.format)
    return to_bgr(
        message.data,
        message.height,
        message.width,
        message.step,
        message.encoding,
        is_bigendian=bool(message.is_bigendian),
    )


def tracks(message: Any) -> FrameTracks:
    """The faces of one picture from a FaceTrackArray.

    Raises:
        ValueError: a crop or the landmarks have another size than they say.
    """
    return FrameTracks(
        stamp_ns=stamp_ns(message.header.stamp),
        width=message.width,
        height=message.height,
        faces=tuple(_face(face) for face in message.faces),
    )


def chunk(message: Any) -> SpectrogramChunk:
    """Spectrogram columns from a SpectrogramChunk.

    Raises:
        ValueError: bins or the lengths of the fields do not go together.
    """
    speech = np.frombuffer(message.speech, np.float32)
    level = np.frombuffer(message.level_dbfs, np.float32)
    if len(level) != len(speech):
        raise ValueError(f"{len(speech)} columns of speech, but {len(level)} of level_dbfs")
    return SpectrogramChunk(
        stamp_ns=stamp_ns(message.header.stamp),
        power_db=np.frombuffer(message.power_db, np.float32).reshape(len(speech), BINS),
        speech=speech,
        level_dbfs=level,
        gap=bool(message.gap),
    )


def estimate(message: Any) -> EmotionEstimate:
    """One person's emotion from an EmotionState.

    Raises:
        ValueError: the status is not one of the constants.
    """
    return EmotionEstimate(
        stamp_ns=stamp_ns(message.header.stamp),
        window_start_ns=stamp_ns(message.window_start),
        person_id=message.person_id,
        face_id=message.face_id,
        voice_id=message.voice_id,
        label=_word(message.label) or message.label,
        confidence=message.confidence,
        probabilities=_distribution(message),
        face_share=message.face_share,
        voice_share=message.voice_share,
        status=Status(message.status),
        box=_box(message.box) if message.box_valid else None,
        speaking=bool(message.speaking),
        model_id=message.model_id,
        valence=message.valence,
        arousal=message.arousal,
        valence_arousal_valid=bool(message.valence_arousal_valid),
    )


def foreign_classes(message: Any) -> list[str]:
    """Names in the distributions of an EmotionStateArray, or an EmotionState, that are no
    word for a class of ours; such a distribution cannot be used."""
    states = message.states if hasattr(message, "states") else (message,)
    names = (name for state in states if len(state.probabilities) for name in state.labels)
    return sorted({str(name) for name in names if _word(name) is None})


def estimates(message: Any) -> tuple[EmotionEstimate, ...]:
    """Everyone's emotion from an EmotionStateArray, or the one of an EmotionState.

    Raises:
        ValueError: a status is not one of the constants.
    """
    states = message.states if hasattr(message, "states") else (message,)
    return tuple(estimate(state) for state in states)


def latencies_s(message: Any) -> tuple[float, ...]:
    """How late each state of an EmotionStateArray, or an EmotionState, was published [s].

    Those of 0 are left out: what was not published live has no latency.
    """
    states = message.states if hasattr(message, "states") else (message,)
    return tuple(float(state.latency) for state in states if state.latency > 0)


def _word(name: str) -> str | None:
    """The class of ours that a word stands for."""
    found = WORDS.get(str(name).strip().lower())
    return "neutral" if found == "calm" else found


def _distribution(message: Any) -> tuple[float, ...]:
    """By class, in our order, however the message orders and names them; empty where a class
    is none of ours.

    Raises:
        ValueError: names and probabilities are not one for one.
    """
    values = [float(value) for value in message.probabilities]
    names = [str(name) for name in message.labels]
    if tuple(names) == EMOTIONS[: len(values)] or not values:
        return tuple(values)
    if len(names) != len(values):
        raise ValueError(f"it has {len(values)} probabilities for {len(names)} labels")
    words = [_word(name) for name in names]
    if None in words:
        return ()
    shares = dict.fromkeys(EMOTIONS, 0.0)
    for word, value in zip(words, values, strict=True):
        shares[str(word)] += value
    return tuple(shares.values())


def _face(message: Any) -> FaceTrack:
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


def _box(message: Any) -> Box:
    return Box(message.x, message.y, message.width, message.height)
