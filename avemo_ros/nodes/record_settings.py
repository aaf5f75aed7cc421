"""What is recorded, and how: parameters of the recorder and what follows from them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field
from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from avemo_ros.bag import messages
from avemo_ros.bag.part import COMPRESSIONS, STORAGES
from avemo_ros.errors import ConfigError
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.settings import OneOf, Settings


class RecordSettings(Settings):
    """Parameters of the recorder."""

    record_out: str = Field("", description="Bag to write, a folder that is not there yet.")
    record_content: Literal["raw", "features", "nothing"] = Field(
        "raw",
        description=(
            "What of people is recorded: 'raw' pictures and sound; 'features' only, which are "
            "small grey crops of faces with landmarks, and spectrograms; or 'nothing'."
        ),
    )
    record_compressed: bool = Field(
        False, description="Of raw pictures, record the JPEG ones on image_raw/compressed."
    )
    record_states: bool = Field(True, description="Record emotion_states, too.")
    record_topics: str = Field(
        "", description="More topics to record, with blanks or commas between."
    )
    record_storage: Annotated[str, OneOf(STORAGES)] = Field(
        STORAGES[0], description="Kind of file."
    )
    record_compression: Annotated[str, OneOf(COMPRESSIONS)] = Field(
        COMPRESSIONS[0], description="Of the file's content."
    )
    record_split_s: float = Field(
        0.0, ge=0.0, le=1e6, description="Begin a new file after so long [s]; 0: one file."
    )
    record_queue_mb: float = Field(
        256.0,
        ge=1.0,
        le=65536.0,
        description=(
            "So much may wait for the disk; what is oldest is left out beyond that [MB]."
        ),
    )


class Comes(enum.Enum):
    """How the messages of a topic come, so that silence can be told from a fault."""

    STEADILY = enum.auto()
    AT_TIMES = enum.auto()
    """Latched, or when something happens; but somebody should publish it."""
    PERHAPS = enum.auto()
    """Nobody needs to publish it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic that is to be recorded."""

    comes: Comes
    kind: str = ""
    """Its type where that is known beforehand; "": whatever it will be published with."""
    instead: str = ""
    """Topic on which the same may come, if nothing comes on this one."""
    advice: str = ""
    """How to record that one."""


_KINDS: Final = {
    "image_raw": messages.IMAGE,
    "image_raw/compressed": messages.COMPRESSED_IMAGE,
    "audio": messages.AUDIO_DATA,
    "audio_info": messages.AUDIO_INFO,
    "robot_speaking": "std_msgs/msg/Bool",
    "face_tracks": messages.FACE_TRACKS,
    "spectrogram": messages.SPECTROGRAM,
    "emotion_states": messages.EMOTION_STATES,
}
_SOUND: Final = {
    "audio": Comes.STEADILY,
    "audio_info": Comes.AT_TIMES,
    "robot_speaking": Comes.PERHAPS,
}
_FEATURES: Final = {"face_tracks": Comes.STEADILY, "spectrogram": Comes.STEADILY}
_PICTURES: Final = {
    False: ("image_raw", "image_raw/compressed", "add --compressed (record_compressed:=true)"),
    True: (
        "image_raw/compressed",
        "image_raw",
        "leave out --compressed (record_compressed:=false)",
    ),
}
"""Where pictures come, compressed or not; where else they may, and what to do then."""


def topics_of(node: ManagedNode) -> dict[str, Wanted]:
    """What is recorded, by names after remapping.

    Raises:
        ConfigError: a name cannot be that of a topic.
    """
    wanted: dict[str, Comes] = {}
    picture, other, advice = _PICTURES[bool(node.read(RecordSettings).record_compressed)]
    if node.read(RecordSettings).record_content == "raw":
        wanted = {picture: Comes.STEADILY, **_SOUND}
    elif node.read(RecordSettings).record_content == "features":
        wanted = dict(_FEATURES)
    if node.read(RecordSettings).record_states:
        wanted["emotion_states"] = Comes.STEADILY
    topics = {
        node.resolve_topic_name(name): Wanted(comes, _KINDS[name])
        for name, comes in wanted.items()
    }
    if picture in wanted:
        topics[node.resolve_topic_name(picture)] = Wanted(
            Comes.STEADILY, _KINDS[picture], node.resolve_topic_name(other), advice
        )
    kinds = {node.resolve_topic_name(name): kind for name, kind in _KINDS.items()}
    for name in further_of(node):
        topics.setdefault(name, Wanted(Comes.AT_TIMES, kinds.get(name, "")))
    return topics


def further_of(node: ManagedNode) -> list[str]:
    """Names after remapping of the topics that are named one by one.

    Raises:
        ConfigError: a name cannot be that of a topic.
    """
    names = []
    for name in node.read(RecordSettings).record_topics.replace(",", " ").split():
        try:
            validate_topic_name(name)
        except InvalidTopicNameException as error:
            reason = str(error).partition(":")[2].partition("\n")[0].strip(" :")
            raise ConfigError("record_topics", name, f"names of topics ({reason})") from error
        names.append(node.resolve_topic_name(name))
    return names
