"""ROS messages from the package's dataclasses; `bag.message_content` converts back."""

from __future__ import annotations

import array
import json
import os
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from avemo_ros.audio.spectrogram import BINS, HOP_NS, SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.dialog.agent import Answer
from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.msg import (
    DialogReply,
    EmotionEvent,
    EmotionState,
    EmotionStateArray,
    FaceTrackArray,
    NormalizedBox,
)
from avemo_ros.msg import FaceTrack as FaceTrackMessage
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.srv import GetEmotionHistory
from avemo_ros.state.estimate import (
    Change,
    EmotionEstimate,
    EmotionStep,
    Status,
    attended,
    nobody,
    plain_fields,
)
from avemo_ros.state.memory import EmotionHistory
from avemo_ros.state.smoothing import SmoothedState
from avemo_ros.timing import NS_PER_S, to_s
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose

MAX_FREQUENCY: Final = 4000.0
"""Of the spectrogram [Hz]: bin k lies at k * MAX_FREQUENCY / BINS."""


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds as a ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header for sensor time `stamp_ns` [ns]."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


# --- images


def image(pixels: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """(H, W, 3) uint8 BGR as a message with encoding bgr8."""
    height, width, channels = pixels.shape
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=width * channels,
        data=byte_array(pixels),
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
    """The faces of one image as a message."""
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
        looks_at_robot=face.looks_at_robot,
        distance=face.distance,
        crop_side=face.crop.shape[0],
        crop=byte_array(face.crop),
    )
    if face.landmarks is not None:
        message.landmarks = _float_array(face.landmarks)
    if face.blendshapes is not None:
        message.blendshapes = _float_array(face.blendshapes)
    return message


def _box_message(box: Box) -> NormalizedBox:
    return NormalizedBox(x=box.x, y=box.y, width=box.width, height=box.height)


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


# --- states


def state_message(estimate: EmotionEstimate, frame_id: str, latency_s: float) -> EmotionState:
    """One person's emotion as a message.

    Args:
        estimate: of the engine.
        frame_id: of the camera.
        latency_s: from the window's end to publication [s].
    """
    message = EmotionState(
        header=header(estimate.stamp_ns, frame_id),
        window_start=to_time(estimate.window_start_ns),
        latency=latency_s,
        **plain_fields(estimate),
    )
    if estimate.box is not None:
        message.box = _box_message(estimate.box)
    return message


def states_message(step: EmotionStep, frame_id: str, latency_s: float) -> EmotionStateArray:
    """Everyone's emotion as a message; arguments as for `state_message`."""
    return EmotionStateArray(
        header=header(step.stamp_ns, frame_id),
        states=[state_message(estimate, frame_id, latency_s) for estimate in step.estimates],
    )


def attended_message(
    step: EmotionStep, everyone: EmotionStateArray, latency_s: float
) -> EmotionState:
    """The state of whom to attend to; one of those in `states_message`'s array, where it is
    there."""
    for one, message in zip(step.estimates, everyone.states, strict=True):
        if one is step.attended:
            state: EmotionState = message
            return state
    return state_message(step.attended, everyone.header.frame_id, latency_s)


def event_message(change: Change, frame_id: str) -> EmotionEvent:
    """A change of a steady emotion as a message."""
    return EmotionEvent(
        header=header(change.stamp_ns, frame_id),
        person_id=change.person_id,
        face_id=change.face_id,
        voice_id=change.voice_id,
        previous=change.previous,
        label=change.label,
        confidence=float(change.confidence),
        lasted=float(change.lasted_s),
    )


def steady_message(
    estimate: EmotionEstimate, steady: SmoothedState | None, frame_id: str, latency_s: float
) -> EmotionState:
    """A person's state with the steady label and the smoothed distribution instead of the
    newest ones; status, ids and box stay."""
    claim = replace(
        estimate,
        label=steady.label if steady is not None else UNKNOWN,
        confidence=steady.confidence if steady is not None else 0.0,
        probabilities=steady.probabilities if steady is not None else (),
    )
    return state_message(claim, frame_id, latency_s)


def history_response(
    history: EmotionHistory, frame_id: str, response: GetEmotionHistory.Response
) -> GetEmotionHistory.Response:
    """A person's last seconds, filled into a response."""
    steady = history.steady
    response.success = True
    response.latest = state_message(history.latest, frame_id, 0.0)
    response.steady_label = steady.label if steady is not None else UNKNOWN
    if steady is not None:
        response.steady_confidence = float(steady.confidence)
        response.steady_since = max(0.0, to_s(history.latest.stamp_ns - steady.since_ns))
    response.labels = list(EMOTIONS)
    response.distribution = [float(value) for value in history.distribution]
    response.trend = [float(value) for value in history.trend]
    response.observed = float(history.observed_s)
    response.changes = _labels(history)
    return response


def _labels(history: EmotionHistory) -> list[str]:
    """Steady labels in turn: the one that the window begins with, then each that came."""
    if not history.changes:
        return [history.steady.label] if history.steady is not None else []
    return [history.changes[0].previous, *(change.label for change in history.changes)]


# ROS messages of the dialog from and to the package's dataclasses.


def reply_message(answer: Answer, stamp_ns: int, latency_s: float) -> DialogReply:
    """An answer as a message.

    Args:
        answer: of the agent.
        stamp_ns: when it was made [ns].
        latency_s: from the words' arrival to the answer [s].
    """
    return DialogReply(
        header=header(stamp_ns, ""),
        utterance=answer.utterance,
        person=answer.person,
        text=answer.spoken,
        ssml=answer.ssml,
        strategy=answer.strategy,
        intensity=float(answer.intensity),
        rate=float(answer.rate),
        pitch=float(answer.pitch),
        volume=float(answer.volume),
        gesture=answer.gesture,
        emotion=answer.emotion,
        confidence=float(answer.confidence),
        context=json.dumps({**answer.context.as_dict(), "summary": answer.context.paragraph()}),
        back_end=answer.back_end,
        fallback=answer.fallback,
        failure=answer.failure,
        latency=latency_s,
    )


def emotion_step(message: EmotionStateArray) -> EmotionStep:
    """Everyone's states at one moment.

    Raises:
        ValueError: a status is not one of the constants, or probabilities are of other labels.
    """
    for state in message.states:
        if state.probabilities and tuple(state.labels) != EMOTIONS:
            raise ValueError(f"the labels are {', '.join(state.labels)}")
    stamp_ns = message_content.stamp_ns(message.header.stamp)
    estimates = tuple(message_content.estimate(state) for state in message.states)
    one = attended(estimates) or nobody(stamp_ns, Status.NOBODY)
    return EmotionStep(stamp_ns, estimates, one, None)


# --- audio
#
# Two packages are called audio_common_msgs, and a workspace holds one of them.  That of
# ros-drivers has AudioDataStamped, AudioData and AudioInfo; that of mgonzs13 (audio_common 4.x)
# AudioStamped and Audio, which say their own format.

AUDIO_KINDS: Final = ("stamped", "bare", "naoqi")
"""Values of the parameter `audio_type`."""
AUDIO_INSTEAD: Final = {
    "audio_common_msgs/msg/AudioData": "set audio_type to 'bare'",
    "audio_common_msgs/msg/Audio": "set audio_type to 'bare'",
    "audio_common_msgs/msg/AudioDataStamped": "set audio_type to 'stamped'",
    "audio_common_msgs/msg/AudioStamped": "set audio_type to 'stamped'",
    "naoqi_bridge_msgs/msg/AudioBuffer": "set audio_type to 'naoqi'",
}
"""Types of sound, and what to set for them."""
_PACKAGES: Final = {"naoqi": "naoqi_bridge_msgs"}
_INT16: Final = 8
"""PortAudio's number for 16-bit samples."""


def audio_types(kind: str) -> tuple[Any, Any]:
    """Types of audio and audio_info (None: not needed) by what is installed.

    Args:
        kind: one of `AUDIO_KINDS`.

    Raises:
        ConfigError: the package is not installed, or has no such type.
    """
    package = _PACKAGES.get(kind, "audio_common_msgs")
    try:
        import_module(f"{package}.msg")
        installed: Any = import_module(package).msg
    except ImportError as error:
        debian = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-{package.replace('_', '-')}"
        allowed = f"with {package}, which is not installed; sudo apt install {debian}"
        raise ConfigError("audio_type", kind, allowed) from error
    if kind == "naoqi":
        return installed.AudioBuffer, None
    if hasattr(installed, "AudioDataStamped"):
        audio = installed.AudioDataStamped if kind == "stamped" else installed.AudioData
        return audio, installed.AudioInfo
    of_4x = getattr(installed, "AudioStamped" if kind == "stamped" else "Audio", None)
    if of_4x is None:
        allowed = "with an audio_common_msgs of ros-drivers, or of audio_common 4.x"
        raise ConfigError("audio_type", kind, allowed)
    return of_4x, None


def fill_audio(message: Any, data: array.array[int], rate: int, channels: int) -> None:
    """Put 16-bit sound into a stamped message of either package.

    Args:
        message: AudioDataStamped or AudioStamped.
        data: interleaved samples as bytes, an `array.array('B')`.
        rate: samples per second and channel [Hz].
        channels: how many there are.
    """
    inner = message.audio
    if not hasattr(inner, "audio_data"):
        inner.data = data
        return
    samples = array.array("h", data.tobytes())
    inner.audio_data.int16_data = samples
    inner.info.format, inner.info.rate = _INT16, rate
    inner.info.channels, inner.info.chunk = channels, len(samples) // channels
