"""ROS messages as the package's dataclasses.

It takes the message objects of rclpy and those of rosbags, so live and recorded input are
read alike: both have the fields of the definition, and arrays with the buffer protocol or
plain lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.pcm import (
    PORTAUDIO_FIELDS,
    check_coding,
    check_stream,
    decode_pcm,
    decode_portaudio,
)
from avemo_ros.audio.spectrogram import BINS, SpectrogramChunk
from avemo_ros.errors import ImageError
from avemo_ros.labels import EMOTIONS, WORDS
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.estimate import EmotionEstimate, Status, recorded_status
from avemo_ros.timing import NS_PER_S
from avemo_ros.untrusted import (
    LEVELS_DB,
    MAX_BOX,
    MAX_COLUMNS,
    MAX_CROP_SIDE,
    MAX_DISTANCE,
    MAX_FACES,
    MAX_ID_LENGTH,
    MAX_OPENING,
    MAX_PIXELS,
    MIN_CROP_SIDE,
)
from avemo_ros.vision.camera_geometry import PinholeCamera
from avemo_ros.vision.face import (
    BLENDSHAPE_COUNT,
    LANDMARKS,
    Box,
    FaceTrack,
    FrameTracks,
    HeadPose,
)
from avemo_ros.vision.image import decode_compressed, to_bgr

_ROUNDING: Final = 1e-4


def stamp_ns(stamp: Any) -> int:
    """A ROS time as nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def image(message: Any) -> NDArray[np.uint8]:
    """The image of a sensor_msgs Image or CompressedImage as (H, W, 3) uint8 BGR.

    Raises:
        ImageError: encoding, size or data cannot be used.
    """
    try:
        if hasattr(message, "format"):
            decode = partial(decode_compressed, message.data, message.format)
        else:
            decode = partial(
                to_bgr,
                message.data,
                message.height,
                message.width,
                message.step,
                message.encoding,
                is_bigendian=bool(message.is_bigendian),
            )
    except AttributeError as error:
        text = f"this bag has another definition of its images ({error})"
        raise ImageError(text, kind="fields") from error
    return decode()


def camera(message: Any) -> PinholeCamera | None:
    """The camera of a sensor_msgs/CameraInfo, for images as it publishes them; None where it is
    not calibrated.  Distortion is left out.

    Raises:
        ValueError: its numbers cannot be those of a camera.
    """
    focal_x, _, centre_x, _, focal_y, centre_y = (float(value) for value in message.k[:6])
    if focal_x == focal_y == 0.0:
        return None
    part = message.roi
    width = int(part.width or message.width)
    height = int(part.height or message.height)
    if not (0.0 < focal_x < math.inf and 0.0 < focal_y < math.inf):
        raise ValueError(f"the focal lengths are {focal_x:g} and {focal_y:g}; allowed: above 0")
    if not (math.isfinite(centre_x) and math.isfinite(centre_y)):
        raise ValueError(f"the centre is ({centre_x:g}, {centre_y:g})")
    if width <= 0 or height <= 0:
        raise ValueError(f"the image has {width}x{height} pixels")
    # The first pixel's middle is at 0 for ROS, and at 0.5 here.
    return PinholeCamera(
        width,
        height,
        focal_x,
        focal_y,
        centre_x + 0.5 - part.x_offset,
        centre_y + 0.5 - part.y_offset,
    )


def tracks(message: Any) -> FrameTracks:
    """The faces of one image from a FaceTrackArray.

    Raises:
        ValueError: something is not finite, out of its range, of another size than it says or
            beyond the limits, or two faces have one id.
    """
    width, height = int(message.width), int(message.height)
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"the image has {width}x{height} pixels; allowed: {MAX_PIXELS / 1e6:g} megapixels"
        )
    if len(message.faces) > MAX_FACES:
        raise ValueError(f"it has {len(message.faces)} faces; allowed: up to {MAX_FACES}")
    faces = tuple(_face(face) for face in message.faces)
    if len({face.face_id for face in faces}) < len(faces):
        raise ValueError("two faces have the same face_id")
    return FrameTracks(stamp_ns(message.header.stamp), width, height, faces)


def chunk(message: Any) -> SpectrogramChunk:
    """Spectrogram columns from a SpectrogramChunk.

    Raises:
        ValueError: something is not finite, out of its range or beyond the limits, or bins and
            the lengths of the fields do not go together.
    """
    speech = np.frombuffer(message.speech, np.float32)
    level = np.frombuffer(message.level_dbfs, np.float32)
    power = np.frombuffer(message.power_db, np.float32)
    columns = len(speech)
    if columns > MAX_COLUMNS:
        raise ValueError(f"it has {columns} columns; allowed: up to {MAX_COLUMNS}")
    if len(level) != columns:
        raise ValueError(f"{columns} columns of speech, but {len(level)} of level_dbfs")
    if len(power) != columns * BINS:
        raise ValueError(f"{columns} columns of speech, but {len(power)} values of power_db")
    if message.bins != BINS:
        raise ValueError(f"it has {message.bins} bins; allowed: {BINS}")
    _all_within("power_db", power, *LEVELS_DB)
    _all_within("speech", speech, 0.0, 1.0)
    _all_within("level_dbfs", level, *LEVELS_DB)
    return SpectrogramChunk(
        stamp_ns=stamp_ns(message.header.stamp),
        power_db=power.reshape(columns, BINS),
        speech=speech,
        level_dbfs=level,
        gap=bool(message.gap),
    )


def estimate(message: Any) -> EmotionEstimate:
    """One person's emotion from an EmotionState.

    Raises:
        ValueError: the status is not one of the constants, or something is not finite or out
            of its range.
    """
    valid = bool(message.valence_arousal_valid)
    for name in ("valence", "arousal") if valid else ():
        _within(name, getattr(message, name), -1.0, 1.0)
    for name in ("confidence", "face_share", "voice_share"):
        _within(name, getattr(message, name), 0.0, 1.0)
    # Older recordings lack it.
    score = float(getattr(message, "speaking_score", math.nan))
    if not math.isnan(score):
        _within("speaking_score", score, 0.0, 1.0)
    return EmotionEstimate(
        stamp_ns=stamp_ns(message.header.stamp),
        window_start_ns=stamp_ns(message.window_start),
        person_id=_id("person_id", message.person_id),
        face_id=_id("face_id", message.face_id),
        voice_id=_id("voice_id", message.voice_id),
        label=_word(message.label) or message.label,
        confidence=message.confidence,
        probabilities=_distribution(message),
        face_share=message.face_share,
        voice_share=message.voice_share,
        status=recorded_status(Status(message.status), (message.face_id, message.voice_id)),
        box=_box(message.box) if message.box_valid else None,
        speaking=bool(message.speaking),
        model_id=message.model_id,
        valence=message.valence if valid else 0.0,
        arousal=message.arousal if valid else 0.0,
        valence_arousal_valid=valid,
        # Older recordings lack it.
        valence_arousal_source=getattr(message, "valence_arousal_source", ""),
        engagement=EngagementLevel(getattr(message, "engagement", 0)),
        looks_at_robot=_known("looks_at_robot", message, 1.0),
        distance=_known("distance", message, MAX_DISTANCE),
        speaking_score=None if math.isnan(score) else score,
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
        ValueError: as `estimate`.
    """
    states = message.states if hasattr(message, "states") else (message,)
    return tuple(estimate(state) for state in states)


def latencies_s(message: Any) -> tuple[float, ...]:
    """How late each state of an EmotionStateArray, or an EmotionState, was published [s].

    Those of 0 are left out: what was not published live has no latency.
    """
    states = message.states if hasattr(message, "states") else (message,)
    return tuple(float(state.latency) for state in states if 0 < state.latency < math.inf)


def _word(name: str) -> str | None:
    """The class of ours that a word stands for."""
    found = WORDS.get(str(name).strip().lower())
    return "neutral" if found == "calm" else found


def _distribution(message: Any) -> tuple[float, ...]:
    """By class, in our order, however the message orders and names them; empty where a class
    is none of ours.

    Raises:
        ValueError: names and probabilities are not one for one, or one of these is none.
    """
    values = [float(value) for value in message.probabilities]
    names = [str(name) for name in message.labels]
    if not values:
        return ()
    if len(names) != len(values):
        raise ValueError(f"it has {len(values)} probabilities for {len(names)} labels")
    for value in values:
        _within("probabilities", value, 0.0, 1.0)
    if tuple(names) == EMOTIONS:
        return tuple(values)
    words = [_word(name) for name in names]
    if None in words:
        return ()
    shares = dict.fromkeys(EMOTIONS, 0.0)
    for word, value in zip(words, values, strict=True):
        shares[str(word)] += value
    return tuple(shares.values())


def _face(message: Any) -> FaceTrack:
    side, pixels = int(message.crop_side), len(message.crop)
    if not MIN_CROP_SIDE <= side <= MAX_CROP_SIDE:
        raise ValueError(f"crop_side is {side}; allowed: {MIN_CROP_SIDE} to {MAX_CROP_SIDE}")
    if pixels != side * side:
        raise ValueError(f"crop has {pixels} pixels; allowed: crop_side squared, {side * side}")
    values = len(message.landmarks)
    if values not in (0, 3 * LANDMARKS):
        raise ValueError(f"landmarks has {values} values; allowed: {3 * LANDMARKS} or none")
    landmarks = np.frombuffer(message.landmarks, np.float32)
    _all_within("landmarks", landmarks, -MAX_BOX, MAX_BOX)
    if not message.face_id:
        raise ValueError("face_id is empty")
    _within("confidence", message.confidence, 0.0, 1.0)
    _within("quality", message.quality, 0.0, 1.0)
    # Unknown without a mesh.
    if not math.isnan(message.mouth_opening):
        _within("mouth_opening", message.mouth_opening, 0.0, MAX_OPENING)
    return FaceTrack(
        face_id=_id("face_id", message.face_id),
        box=_box(message.box),
        confidence=message.confidence,
        landmarks=landmarks.reshape(-1, 3) if values else None,
        pose=_pose(message),
        quality=message.quality,
        mouth_opening=message.mouth_opening,
        crop=np.frombuffer(message.crop, np.uint8).reshape(side, side),
        looks_at_robot=_maybe("looks_at_robot", message, 1.0),
        distance=_maybe("distance", message, MAX_DISTANCE),
        blendshapes=_blendshapes(message),
    )


def _maybe(name: str, message: Any, high: float) -> float:
    """A number from 0 to `high`; NaN where it is not known."""
    value = _known(name, message, high)
    return math.nan if value is None else value


def _known(name: str, message: Any, high: float) -> float | None:
    """A number from 0 to `high`; None where it is NaN, or missing as in older recordings."""
    value = float(getattr(message, name, math.nan))
    if math.isnan(value):
        return None
    _within(name, value, 0.0, high)
    return value


def _blendshapes(message: Any) -> NDArray[np.float32] | None:
    # Older recordings lack the field.
    scores = np.frombuffer(getattr(message, "blendshapes", b""), np.float32)
    if not scores.size:
        return None
    if scores.size != BLENDSHAPE_COUNT:
        raise ValueError(
            f"blendshapes has {scores.size} values; allowed: {BLENDSHAPE_COUNT} or none"
        )
    _all_within("blendshapes", scores, 0.0, 1.0)
    return scores


def _pose(message: Any) -> HeadPose | None:
    """All NaN where it is unknown; some NaN is no pose."""
    angles = {name: float(getattr(message, name)) for name in ("yaw", "pitch", "roll")}
    if all(math.isnan(angle) for angle in angles.values()):
        return None
    for name, angle in angles.items():
        _within(name, angle, -math.tau, math.tau)
    return HeadPose(**angles)


def _box(message: Any) -> Box:
    for name, low in (("x", -MAX_BOX), ("y", -MAX_BOX), ("width", 0.0), ("height", 0.0)):
        _within(f"box.{name}", getattr(message, name), low, MAX_BOX)
    return Box(message.x, message.y, message.width, message.height)


def _id(name: str, value: str) -> str:
    if len(value) > MAX_ID_LENGTH:
        raise ValueError(f"{name} has {len(value)} characters; allowed: up to {MAX_ID_LENGTH}")
    return value


def _within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number out of its range, and NaN; a float32 may round a little beyond."""
    if not low - _ROUNDING <= value <= high + _ROUNDING:
        raise ValueError(f"{name} is {value:g}; allowed: {low:g} to {high:g}")


def _all_within(name: str, values: NDArray[np.float32], low: float, high: float) -> None:
    """Refuse an array with a number out of its range, or NaN."""
    if len(values):
        # NaN comes through both.
        _within(name, float(values.min()), low, high)
        _within(name, float(values.max()), low, high)


_INT16: Final = 8
"""PortAudio's number for 16-bit samples."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How the bytes of a message are to be read."""

    rate: int
    channels: int
    sample_format: str
    coding_format: str = ""

    def check(self) -> None:
        """Make sure that it can be read.

        Raises:
            AudioFormatError: it is compressed, or rate or channels are impossible.
        """
        check_coding(self.coding_format)
        check_stream(self.rate, self.channels)

    def __str__(self) -> str:
        coding = f" {self.coding_format}" if self.coding_format else ""
        return f"{self.rate} Hz, {self.channels} channel(s), {self.sample_format}{coding}"


def announced_format(info: Any) -> AudioFormat:
    """What an AudioInfo of ros-drivers says of the sound beside it."""
    return AudioFormat(
        int(info.sample_rate), int(info.channels), info.sample_format, info.coding_format
    )


def own_format(message: Any) -> AudioFormat | None:
    """What a message says of its own sound, as those of audio_common 4.x and of Pepper's bridge
    do; else None."""
    if hasattr(message, "channel_map"):
        return AudioFormat(int(message.frequency), len(message.channel_map), "S16")
    inner = getattr(message, "audio", message)
    if not hasattr(inner, "audio_data"):
        return None
    info = inner.info
    return AudioFormat(int(info.rate), int(info.channels), f"PortAudio {int(info.format)}")


def samples_of(message: Any, form: AudioFormat) -> NDArray[np.float32]:
    """The sound of a message.

    Args:
        message: AudioData or AudioDataStamped, AudioStamped or Audio of audio_common 4.x, or
            AudioBuffer of naoqi_bridge_msgs.
        form: how to read it; of the last three their own.

    Returns:
        (n, channels), full scale is -1 to 1.

    Raises:
        AudioFormatError: the format cannot be read, or the data do not fit to it.
    """
    form.check()
    if hasattr(message, "channel_map"):
        return decode_portaudio(message.data, _INT16, form.channels)
    inner = getattr(message, "audio", message)
    if hasattr(inner, "audio_data"):
        kind = int(inner.info.format)
        field = PORTAUDIO_FIELDS.get(kind, "uint8_data")
        return decode_portaudio(getattr(inner.audio_data, field), kind, form.channels)
    return decode_pcm(inner.data, form.sample_format, form.channels)


def length_ns(samples: NDArray[np.float32], form: AudioFormat) -> int:
    """How long the sound is [ns]."""
    return len(samples) * NS_PER_S // form.rate
