"""Which topic of a bag is which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from avemo_ros.bag.message_content import AudioFormat
from avemo_ros.bag.storage import Channel
from avemo_ros.errors import BagError

NOT_USED: Final = "-"
"""Given as a topic's name: use none."""


_AUDIO: Final = "audio_common_msgs/msg/"
_OWN_IMAGES: Final = "emotion_overlay"
"""Images that this package draws are not from a camera."""


class TopicKind(Enum):
    """What a topic contains."""

    IMAGES = "pictures"
    AUDIO = "sound"
    TRACKS = "face tracks"
    SPECTROGRAM = "spectrogram"
    STATES = "states"
    LABELS = "labels"
    MARKS = "study marks"

    @property
    def text(self) -> str:
        """As people read it; the value is what JSON files hold."""
        return {"pictures": "images", "sound": "audio"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of topics. An empty one is found by its type and usual name; `-`: not used."""

    image: str = ""
    """sensor_msgs Image or CompressedImage."""
    audio: str = ""
    """AudioDataStamped, AudioStamped or AudioData of audio_common_msgs."""
    audio_info: str = ""
    """AudioInfo of audio_common_msgs."""
    face_tracks: str = ""
    """FaceTrackArray of this package."""
    spectrogram: str = ""
    """SpectrogramChunk of this package."""
    states: str = ""
    """EmotionStateArray or EmotionState of this package."""
    labels: str = ""
    """std_msgs String with labels, see docs/replay.md."""
    marks: str = ""
    """std_msgs String with phases, conditions and events of a study, see docs/study.md."""
    robot_speaking: str = ""
    """std_msgs Bool: the robot itself speaks."""
    sound_format: AudioFormat | None = None
    """How to read sound beside which no audio_info was recorded."""


@dataclass(frozen=True, slots=True)
class _Usual:
    """How a topic is recognised."""

    types: tuple[str, ...]
    names: tuple[str, ...]
    """Its last parts; of several topics of a type the first of these names is taken."""
    only_named: bool = False
    """The type says nothing, so the name must."""


_USUAL: Final[Mapping[str, _Usual]] = {
    "image": _Usual(
        ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
        ("image_raw", "image_raw/compressed", "image", "image/compressed"),
    ),
    "audio": _Usual(
        (f"{_AUDIO}AudioDataStamped", f"{_AUDIO}AudioStamped", f"{_AUDIO}AudioData"),
        ("audio", "audio_stamped"),
    ),
    "audio_info": _Usual((f"{_AUDIO}AudioInfo",), ("audio_info",)),
    "face_tracks": _Usual(("avemo_ros/msg/FaceTrackArray",), ("face_tracks",)),
    "spectrogram": _Usual(("avemo_ros/msg/SpectrogramChunk",), ("spectrogram",)),
    "states": _Usual(
        ("avemo_ros/msg/EmotionStateArray", "avemo_ros/msg/EmotionState"),
        ("emotion_states", "emotion_state"),
    ),
    "labels": _Usual(("std_msgs/msg/String",), ("labels",), only_named=True),
    "marks": _Usual(("std_msgs/msg/String",), ("study_mark",), only_named=True),
    "robot_speaking": _Usual(("std_msgs/msg/Bool",), ("robot_speaking",), only_named=True),
}

KIND_OF: Final[Mapping[str, TopicKind]] = {
    "image": TopicKind.IMAGES,
    "audio": TopicKind.AUDIO,
    "face_tracks": TopicKind.TRACKS,
    "spectrogram": TopicKind.SPECTROGRAM,
    "states": TopicKind.STATES,
    "labels": TopicKind.LABELS,
    "marks": TopicKind.MARKS,
}
"""What is in a topic, by its field of Topics."""
FIELDS: Final = tuple(_USUAL)
"""The fields of Topics that name topics."""


def engine_inputs(there: frozenset[TopicKind]) -> frozenset[TopicKind]:
    """What of a recording the engine takes: images and sound, and features of what was not
    recorded so; empty where there is neither."""
    instead = {TopicKind.IMAGES: TopicKind.TRACKS, TopicKind.AUDIO: TopicKind.SPECTROGRAM}
    return frozenset(raw if raw in there else other for raw, other in instead.items()) & there


def choose(field: str, topics: Topics, channels: Collection[Channel]) -> Channel | None:
    """The channel of a field of Topics; None where there is none.

    Raises:
        BagError: the topic that is named is not there or has another type, or none is named
            and several could be meant.
    """
    usual = _USUAL[field]
    given: str = getattr(topics, field)
    if given == NOT_USED:
        return None
    fitting = [channel for channel in channels if channel.type in usual.types]
    if given:
        return _named(field, given, fitting, channels)
    fitting = [
        channel
        for channel in fitting
        if channel.count
        and not _ends(channel.topic, _OWN_IMAGES)
        and (not usual.only_named or any(_ends(channel.topic, name) for name in usual.names))
    ]
    if field == "audio" and any("Stamped" in channel.type for channel in fitting):
        # The capture node publishes its sound twice.
        fitting = [channel for channel in fitting if "Stamped" in channel.type]
    if len(fitting) <= 1:
        return fitting[0] if fitting else None
    for name in usual.names:
        usually = [channel for channel in fitting if _ends(channel.topic, name)]
        if len(usually) == 1:
            return usually[0]
        if usually:
            fitting = usually
            break
    choices = ", ".join(sorted(channel.topic for channel in fitting))
    raise BagError(
        f"several topics fit {_words(field)}: {choices}; choose one with --topic {field}=NAME"
    )


def is_fit(channel: Channel) -> bool:
    """Whether a channel is of a kind that this package reads."""
    return any(
        channel.type in usual.types
        and (not usual.only_named or any(_ends(channel.topic, name) for name in usual.names))
        for usual in _USUAL.values()
    )


def choose_all(topics: Topics, channels: Collection[Channel]) -> dict[str, Channel]:
    """The channels that are there, by their fields of Topics; errors as of `choose`."""
    chosen = {field: choose(field, topics, channels) for field in FIELDS}
    return {name: channel for name, channel in chosen.items() if channel is not None}


def _named(
    field: str, given: str, fitting: list[Channel], channels: Collection[Channel]
) -> Channel:
    names = {given, f"/{given}"}
    for channel in fitting:
        if channel.topic in names:
            return channel
    allowed = ", ".join(sorted(channel.topic for channel in fitting)) or "there is none"
    for channel in channels:
        if channel.topic in names:
            raise BagError(
                f"topic {given} has type {channel.type}, not one for {_words(field)}; "
                f"topics of a fitting type: {allowed}"
            )
    raise BagError(f"there is no topic {given} in the bag; topics of a fitting type: {allowed}")


def _ends(topic: str, name: str) -> bool:
    return f"/{topic}".endswith(f"/{name}")


def _words(field: str) -> str:
    return field.replace("_", " ")
