"""What is recorded, and how: parameters of the recorder and what follows from them."""

from __future__ import annotations

import enum
from typing import Final

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from avemo_ros.bag.part import COMPRESSIONS, STORAGES
from avemo_ros.errors import ConfigError
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.shell import ManagedNode

OUT: Final = Parameter("record_out", "", "Bag to write, a folder that is not there yet.")
CONTENT: Final = Parameter(
    "record_content",
    "raw",
    "What of people is recorded: 'raw' pictures and sound; 'features' only, which are small "
    "grey crops of faces with landmarks, and spectrograms; or 'nothing'.",
    choices=("raw", "features", "nothing"),
)
COMPRESSED: Final = Parameter(
    "record_compressed", False, "Of raw pictures, record the JPEG ones on image_raw/compressed."
)
STATES: Final = Parameter("record_states", True, "Record emotion_states, too.")
TOPICS: Final = Parameter(
    "record_topics", "", "More topics to record, with blanks or commas between."
)
STORAGE: Final = Parameter("record_storage", STORAGES[0], "Kind of file.", choices=STORAGES)
COMPRESSION: Final = Parameter(
    "record_compression", COMPRESSIONS[0], "Of the file's content.", choices=COMPRESSIONS
)
SPLIT: Final = Parameter(
    "record_split_s", 0.0, "Begin a new file after so long [s]; 0: one file.", low=0.0, high=1e6
)
QUEUE: Final = Parameter(
    "record_queue_mb",
    256.0,
    "So much may wait for the disk; what is oldest is left out beyond that [MB].",
    low=1.0,
    high=65536.0,
)
PARAMETERS: Final = (
    OUT,
    CONTENT,
    COMPRESSED,
    STATES,
    TOPICS,
    STORAGE,
    COMPRESSION,
    SPLIT,
    QUEUE,
)

_SAYS: Final = {
    "raw": "raw pictures and sound of people; these are personal data",
    "features": "no pictures and no sound, but features of people: small grey crops of their "
    "faces, landmarks and spectrograms of their speech; these are personal data, too",
    "nothing": "neither pictures nor sound nor features of people",
}


class Comes(enum.Enum):
    """How the messages of a topic come, so that silence can be told from a fault."""

    STEADILY = enum.auto()
    AT_TIMES = enum.auto()
    """Latched, or when something happens; but somebody should publish it."""
    PERHAPS = enum.auto()
    """Nobody needs to publish it."""


_SOUND: Final = {
    "audio": Comes.STEADILY,
    "audio_info": Comes.AT_TIMES,
    "robot_speaking": Comes.PERHAPS,
}
_FEATURES: Final = {"face_tracks": Comes.STEADILY, "spectrogram": Comes.STEADILY}


def says(node: ManagedNode) -> str:
    """What of people is in the bag."""
    also = ", and whatever the further topics hold of them" if node.value(TOPICS) else ""
    return f"{_SAYS[node.value(CONTENT)]}{also}"


def topics_of(node: ManagedNode) -> dict[str, Comes]:
    """What is recorded, by names after remapping.

    Raises:
        ConfigError: a name cannot be that of a topic.
    """
    wanted: dict[str, Comes] = {}
    if node.value(CONTENT) == "raw":
        picture = "image_raw/compressed" if node.value(COMPRESSED) else "image_raw"
        wanted = {picture: Comes.STEADILY, **_SOUND}
    elif node.value(CONTENT) == "features":
        wanted = dict(_FEATURES)
    if node.value(STATES):
        wanted["emotion_states"] = Comes.STEADILY
    topics = {node.resolve_topic_name(name): comes for name, comes in wanted.items()}
    for name in node.value(TOPICS).replace(",", " ").split():
        try:
            validate_topic_name(name)
        except InvalidTopicNameException as error:
            reason = str(error).partition(":")[2].partition("\n")[0].strip(" :")
            raise ConfigError(TOPICS.name, name, f"names of topics ({reason})") from error
        topics.setdefault(node.resolve_topic_name(name), Comes.AT_TIMES)
    return topics
