"""The topics that are recorded: which ones, their personal data, and how they are published."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.validate_topic_name import validate_topic_name

from avemo_ros.bag import messages
from avemo_ros.bag.partial_bag import COMPRESSIONS, STORAGES
from avemo_ros.bag.storage import OfferedQos
from avemo_ros.errors import ConfigError
from avemo_ros.nodes import diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.serialized_stamps import StampWatch, message_class
from avemo_ros.settings import OneOf, Settings


class RecordSettings(Settings):
    """Parameters of the recorder."""

    record_out: str = Field("", description="Folder of the new bag; it must not exist yet.")
    record_content: Literal["raw", "features", "nothing"] = Field(
        "raw",
        description=(
            "Personal data to record: 'raw' images and audio; 'features', i.e. small grey "
            "face crops with landmarks, and spectrograms; or 'nothing'."
        ),
    )
    record_compressed: bool = Field(
        False, description="Record raw images as JPEG, from image_raw/compressed."
    )
    record_jpeg_quality: int = Field(
        0,
        ge=0,
        le=100,
        description=(
            "Quality of the JPEG as which raw images are packed; 0: as they are.  The bag then "
            "has image_raw/compressed instead of image_raw."
        ),
    )
    record_states: bool = Field(True, description="Also record emotion_states.")
    record_topics: str = Field(
        "", description="Also record these topics, separated by spaces or commas."
    )
    record_storage: Annotated[str, OneOf(STORAGES)] = Field(
        STORAGES[0], description="File format of the bag."
    )
    record_compression: Annotated[str, OneOf(COMPRESSIONS)] = Field(
        COMPRESSIONS[0], description="Compression of the bag's content."
    )
    record_split_s: float = Field(
        0.0, ge=0.0, le=1e6, description="Start a new file after this time [s]; 0: one file."
    )
    record_queue_mb: float = Field(
        256.0,
        ge=1.0,
        le=65536.0,
        description=(
            "Size of the queue in front of the disk [MB]; if it is full, the oldest messages "
            "are not recorded."
        ),
    )


STUDY_MARK: Final = "study_mark"
"""Topic on which phases, conditions and events of a study are marked."""
_KINDS: Final = {
    "image_raw": messages.IMAGE,
    "image_raw/compressed": messages.COMPRESSED_IMAGE,
    "audio": messages.AUDIO_DATA,
    "audio_info": messages.AUDIO_INFO,
    "robot_speaking": "std_msgs/msg/Bool",
    STUDY_MARK: "std_msgs/msg/String",
    "face_tracks": messages.FACE_TRACKS,
    "spectrogram": messages.SPECTROGRAM,
    "emotion_states": messages.EMOTION_STATES,
}
_IMAGES: Final = {
    False: ("image_raw", "image_raw/compressed", "add --compressed (record_compressed:=true)"),
    True: (
        "image_raw/compressed",
        "image_raw",
        "remove --compressed (record_compressed:=false)",
    ),
}
"""By `record_compressed`: topic of the images, the other topic, and how to switch."""
_RAW_IMAGES: Final = "images"
_RAW_AUDIO: Final = "audio"
_FACES: Final = "small grey crops of their faces with landmarks"
_SPEECH: Final = "spectrograms of their speech"
_STATES: Final = "states"
_NOTHING: Final = ""
_HOLDS: Final = {
    messages.IMAGE: _RAW_IMAGES,
    messages.COMPRESSED_IMAGE: _RAW_IMAGES,
    messages.AUDIO_DATA: _RAW_AUDIO,
    "audio_common_msgs/msg/AudioData": _RAW_AUDIO,
    "audio_common_msgs/msg/Audio": _RAW_AUDIO,
    "audio_common_msgs/msg/AudioStamped": _RAW_AUDIO,
    "naoqi_bridge_msgs/msg/AudioBuffer": _RAW_AUDIO,
    messages.AUDIO_INFO: _NOTHING,
    messages.FACE_TRACKS: _FACES,
    messages.SPECTROGRAM: _SPEECH,
    messages.EMOTION_STATES: _STATES,
    "std_msgs/msg/Bool": _NOTHING,
}
_DEPTH: Final = 200
_FAIR_S: Final = 10.0
"""Publishers may start later than the recorder and load networks first."""
_QUIET_S: Final = 2.0


class Cadence(enum.Enum):
    """How often a topic has messages, to tell silence from a fault."""

    CONTINUOUS = enum.auto()
    OCCASIONAL = enum.auto()
    """Latched, or on events; but a publisher is expected."""
    OPTIONAL = enum.auto()
    """No publisher is expected."""


@dataclass(frozen=True, slots=True)
class TopicRequest:
    """A topic to record."""

    cadence: Cadence
    kind: str = ""
    """Its type if known beforehand; "": the type of its publisher."""
    instead: str = ""
    """Topic that may have the same content, if this one is silent."""
    advice: str = ""
    """How to record that topic."""


_SOUND: Final = {
    "audio": Cadence.CONTINUOUS,
    "audio_info": Cadence.OCCASIONAL,
    "robot_speaking": Cadence.OPTIONAL,
}
_FEATURES: Final = {"face_tracks": Cadence.CONTINUOUS, "spectrogram": Cadence.CONTINUOUS}


def topics_of(node: ManagedNode) -> dict[str, TopicRequest]:
    """What to record, by names after remapping.

    Raises:
        ConfigError: a name cannot be that of a topic.
    """
    wanted: dict[str, Cadence] = {}
    image, other, advice = _IMAGES[bool(node.read(RecordSettings).record_compressed)]
    if node.read(RecordSettings).record_content == "raw":
        wanted = {image: Cadence.CONTINUOUS, **_SOUND}
    elif node.read(RecordSettings).record_content == "features":
        wanted = dict(_FEATURES)
    if node.read(RecordSettings).record_states:
        wanted["emotion_states"] = Cadence.CONTINUOUS
    if wanted:
        wanted[STUDY_MARK] = Cadence.OPTIONAL
    topics = {
        qos.resolved(node, name): TopicRequest(comes, _KINDS[name])
        for name, comes in wanted.items()
    }
    if image in wanted:
        topics[qos.resolved(node, image)] = TopicRequest(
            Cadence.CONTINUOUS, _KINDS[image], qos.resolved(node, other), advice
        )
    kinds = {qos.resolved(node, name): kind for name, kind in _KINDS.items()}
    for name in further_of(node):
        topics.setdefault(name, TopicRequest(Cadence.OCCASIONAL, kinds.get(name, "")))
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
        names.append(qos.resolved(node, name))
    return names


def personal_data_text(kinds: Mapping[str, str], further: Collection[str]) -> str:
    """Says which personal data a bag holds.

    Args:
        kinds: type of each topic; "" where it is not known yet.
        further: topics that only the user knows.
    """
    held = {_HOLDS.get(kind) for kind in kinds.values()}
    raw = [word for word in (_RAW_IMAGES, _RAW_AUDIO) if word in held]
    features = " and ".join(word for word in (_FACES, _SPEECH) if word in held)
    named = {_RAW_IMAGES, _RAW_AUDIO, _FACES, _SPEECH}
    unknown = ", ".join(
        topic
        for topic, kind in sorted(kinds.items())
        if (kind not in _HOLDS and not _is_mark(topic, kind))
        or (topic in further and _HOLDS.get(kind) not in named)
    )
    also = f"; {unknown} may contain personal data, too" if unknown else ""
    if raw:
        pair = f", and features of them: {features}" if features else ""
        return f"raw {' and '.join(raw)} of people{pair}; these are personal data{also}"
    if features:
        without = "" if unknown else "no images and no audio, but "
        return f"{without}features of people: {features}; these are personal data, too{also}"
    if unknown:
        # Nothing is denied of topics that may hold anything.
        return f"{unknown}, which may contain personal data"
    only = ", only the nodes' results" if _STATES in held else ""
    return f"no images, audio or features of people{only}"


def _is_mark(topic: str, kind: str) -> bool:
    """Who marks a study knows what they write."""
    return kind == _KINDS[STUDY_MARK] and topic.rpartition("/")[2] == STUDY_MARK


class RecordedTopic:
    """A recorded topic: subscribed at once if its type is known, else once it is published."""

    def __init__(self, name: str, wanted: TopicRequest) -> None:
        """Set up.

        Args:
            name: after remapping.
            wanted: what is known of it.
        """
        self.name = name
        self.kind = wanted.kind
        """Type of the messages; "" while that is not known."""
        self.offer = OfferedQos()
        """How it is published."""
        self.there = False
        """It has, or had, a publisher."""
        self.heard = diagnostics.Meter()
        self.inlet: qos.AdaptiveSubscription | None = None
        self._wanted = wanted
        self._elsewhere = False
        self._refusal = ""
        self._last_s: float | None = None
        self._watch: StampWatch | None = None

    def listen(self, node: Node, take: Callable[[bytes], None]) -> None:
        """Listen before anybody publishes it, where the type is known.

        Who publishes may begin with the first subscriber, and nodes need seconds to find each
        other on a busy machine.
        """
        message = message_class(self.kind) if self.kind else None
        if message is not None:
            self._subscribe(node, message, take, begin_reliable=True)

    def look(self, node: Node, trouble: ThrottledLog, take: Callable[[bytes], None]) -> None:
        """Learn how it is published, once somebody does."""
        if self.there:
            return
        infos = node.get_publishers_info_by_topic(self.name)
        if not infos:
            other = self._wanted.instead
            self._elsewhere = bool(other) and node.count_publishers(other) > 0
            return
        kinds = sorted({info.topic_type for info in infos})
        if self.inlet is None or not (self.kind in kinds or self.heard.count):
            self._listen(node, trouble, take, kinds)
            if self.inlet is None:
                return
        self.there = True
        if len(kinds) > 1:
            trouble.once(
                f"{self.name} types",
                f"{self.name} is published with several types; recording {self.kind}",
            )
        offers = [info.qos_profile for info in infos if info.topic_type == self.kind]
        self.offer = OfferedQos(
            max([offer.depth for offer in offers], default=0) or OfferedQos().depth,
            all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers),
            all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers),
        )
        # Nodes may take seconds to find each other: who waits to begin can see it.
        node.get_logger().info(f"{self.name} has appeared; recording it from now on")

    def adapt(self) -> None:
        """Adapt to the QoS that publishers offer now."""
        if self.inlet is not None:
            self.inlet.adapt()

    def close(self) -> None:
        """Stop listening."""
        if self.inlet is not None:
            self.inlet.close()
            self.inlet = None

    def complaint(self, data: bytes, log_ns: int) -> str:
        """What is wrong with the stamp of a message, once; what is latched may be old."""
        if self._watch is None or self.offer.latched:
            return ""
        return self._watch.complaint(data, log_ns)

    def missing(self) -> bool:
        """No message came, though some should have."""
        comes = self._wanted.cadence
        due = comes is Cadence.CONTINUOUS or (comes is Cadence.OCCASIONAL and not self.there)
        return due and not self.heard.count

    def advice(self) -> str:
        """What to do where the same is published on another topic; empty if it is not."""
        if not self._elsewhere or self.there:
            return ""
        return f"{self._wanted.instead} exists: {self._wanted.advice}"

    def came(self, now_s: float | None) -> None:
        """A message has come.

        Args:
            now_s: seconds of the clock that the recording goes by; None if it does not go yet.
        """
        self.heard.add()
        self._last_s = now_s

    def status(self, began_s: float | None, now_s: float | None) -> DiagnosticStatus:
        """For /diagnostics.

        Args:
            began_s: when the recording began, by the same clock.
            now_s: as for `came`.
        """
        values: dict[str, object] = {
            "type": self.kind,
            "received": self.heard.count,
            "rate_hz": f"{self.heard.rate_hz:.1f}",
            "lost_in_transport": self.inlet.lost if self.inlet is not None else 0,
        }
        if self._refusal:
            return diagnostics.status(self.name, diagnostics.WARN, self._refusal, values)
        if began_s is not None and now_s is not None:
            silence = self._silence(began_s, now_s)
        else:
            silence = ""
        if silence:
            return diagnostics.status(self.name, diagnostics.STALE, silence, values)
        message = "is recorded" if self.heard.count else "is waited for"
        return diagnostics.status(self.name, diagnostics.OK, f"{self.name} {message}", values)

    def _silence(self, began_s: float, now_s: float) -> str:
        """What is wrong if nothing comes; empty if nothing is."""
        if self._last_s is None:
            if self.missing() and now_s - began_s > _FAIR_S:
                advice = f"; {self.advice()}" if self.advice() else ""
                return f"nothing arrives on {self.name}, so it is not recorded{advice}"
        elif (
            self._wanted.cadence is Cadence.CONTINUOUS
            and not self.offer.latched
            and now_s - self._last_s > _QUIET_S
        ):
            return f"nothing arrives on {self.name} any more"
        return ""

    def _listen(
        self,
        node: Node,
        trouble: ThrottledLog,
        take: Callable[[bytes], None],
        kinds: Sequence[str],
    ) -> None:
        """Listen with a type that it is published with."""
        self.close()
        self.kind = kinds[0]
        message = message_class(self.kind)
        if message is None:
            self._refusal = f"{self.name} is not recorded: {self.kind} is not installed here"
            trouble.once(self.name, self._refusal)
            return
        self._refusal = ""
        self._subscribe(node, message, take)

    def _subscribe(
        self,
        node: Node,
        message: Any,
        take: Callable[[bytes], None],
        *,
        begin_reliable: bool = False,
    ) -> None:
        simulated = node.get_clock().ros_time_is_active
        self._watch = StampWatch(self.kind, message, simulated=simulated)
        self.inlet = qos.AdaptiveSubscription(
            node,
            message,
            self.name,
            take,
            depth=_DEPTH,
            raw=True,
            begin_reliable=begin_reliable,
        )
        self.inlet.adapt()
