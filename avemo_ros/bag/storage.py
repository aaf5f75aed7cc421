"""Shared by all files of a bag: topics, messages, offered QoS and write order."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from avemo_ros.settings import SettingsError, read_yaml
from avemo_ros.timing import to_ns
from avemo_ros.untrusted import MAX_UNPACKED

_PIECE: Final = 1 << 20
TURN_NS: Final = to_ns(1.0)
"""A message earlier than the one before it by more than this: the clock was set back."""


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """Times of recording of consecutive messages, in the order in which they were written."""

    first_ns: int
    """Of the message that was written first [ns]; others may be earlier."""
    last_ns: int
    """Of the message that was written last [ns]."""
    turned_back: int = 0
    """How often a message is more than a second earlier than the one before it."""


def write_order(times_ns: Sequence[int] | NDArray[np.int64]) -> WriteOrder | None:
    """From the times of messages in the order of writing [ns]; None without messages."""
    if not len(times_ns):
        return None
    steps = np.diff(np.asarray(times_ns, np.int64))
    turns = int(np.count_nonzero(steps < -TURN_NS))
    return WriteOrder(int(times_ns[0]), int(times_ns[-1]), turns)


def chained_order(parts: Iterable[WriteOrder | None]) -> WriteOrder | None:
    """Joins consecutive parts.

    Args:
        parts: None where nothing is known; then nothing is counted there.
    """
    first: WriteOrder | None = None
    before: WriteOrder | None = None
    newest: WriteOrder | None = None
    turns = 0
    for part in parts:
        if part is not None:
            turns += part.turned_back
            turns += before is not None and before.last_ns - part.first_ns > TURN_NS
            first, newest = first or part, part
        before = part
    if first is None or newest is None:
        return None
    return WriteOrder(first.first_ns, newest.last_ns, turns)


def clock_set_back_text(count: int) -> str:
    """Sentence for users: the recorder's clock was set back."""
    return (
        f"the recorder's clock was set back {count} time(s) by more than a second; messages "
        "are sorted by time"
    )


def unpacked(data: bytes | memoryview, *, cut: bool = False) -> bytes:
    """What a zstd frame holds.

    Args:
        data: the frame.
        cut: its end may be missing; then as much as there is.

    Raises:
        ValueError: it unpacks to more than MAX_UNPACKED bytes, or is damaged.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(
            data, read_across_frames=False
        ) as stream:
            while piece := stream.read(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_UNPACKED:
                    raise ValueError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB")
        # A frame need not tell it, and one that is damaged cannot.
        told = -1 if cut else zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        if not cut:
            raise ValueError(str(error)) from error
        told = -1
    if told not in (-1, size):
        raise ValueError("it was cut off")
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class OfferedQos:
    """Quality of service with which a topic is published."""

    depth: int = 10
    """Messages that are kept for slow or late subscribers."""
    reliable: bool = True
    latched: bool = False
    """Late subscribers get the last messages, too."""

    def as_qos(self) -> Qos:
        """The profile as rosbags writes it."""
        default = QosTime(0, 0)
        return Qos(
            QosHistory.KEEP_LAST,
            self.depth,
            QosReliability.RELIABLE if self.reliable else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL if self.latched else QosDurability.VOLATILE,
            default,
            default,
            QosLiveliness.SYSTEM_DEFAULT,
            default,
            avoid_ros_namespace_conventions=False,
        )


def read_offered_qos(folder: Path) -> dict[str, OfferedQos]:
    """QoS of each topic from metadata.yaml; of several publishers the most permissive.

    Topics are missing where it does not say, all of them where there is none.

    Args:
        folder: of the bag; a single file tells nothing.
    """
    try:
        path = folder / "metadata.yaml"
        entries = read_yaml(path, str(path))["rosbag2_bagfile_information"]
        return {
            entry["topic_metadata"]["name"]: offer
            for entry in entries["topics_with_message_count"]
            if (offer := _best(entry["topic_metadata"].get("offered_qos_profiles")))
        }
    except (SettingsError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _best(profiles: Any) -> OfferedQos | None:
    try:
        offers = parse_qos(profiles)
    except (ReaderError, LookupError, TypeError, ValueError, AttributeError):
        return None
    if not offers:
        return None
    return OfferedQos(
        max(offer.depth for offer in offers),
        any(offer.reliability is not QosReliability.BEST_EFFORT for offer in offers),
        any(offer.durability is QosDurability.TRANSIENT_LOCAL for offer in offers),
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic with one type of message."""

    topic: str
    type: str
    """As ROS 2 writes it, e.g. 'sensor_msgs/msg/Image'."""
    definition: str = ""
    """Of the type, as stored in the file; empty where the file holds none."""
    language: str = ""
    """Of the definition: 'ros2msg', 'ros2idl' or empty."""
    serialization: str = "cdr"
    count: int = 0
    """Messages, as far as the file can be read."""

    @property
    def key(self) -> tuple[str, str]:
        """Tells channels apart; a bag has one channel of each key."""
        return self.topic, self.type


class RawMessage(NamedTuple):
    """A serialised message."""

    log_ns: int
    """When it was recorded [ns]."""
    key: tuple[str, str]
    """Of its channel."""
    data: bytes | memoryview


class StorageFile(Protocol):
    """One open file of a bag; it holds what was there when it was opened."""

    path: Path
    channels: tuple[Channel, ...]
    start_ns: int | None
    """Time of its first message [ns]; None without messages."""
    end_ns: int | None
    """Time of its last message [ns]."""
    cut_off: bool
    """Its end is missing, or it is damaged."""
    problems: Counter[str]
    """What cannot be read, and how often; grows while the file is read."""
    compression: str
    """Of chunks within the file: 'zstd', 'lz4' or empty."""

    @property
    def write_order(self) -> WriteOrder | None:
        """The order in which its messages were written, as far as they were read."""

    def messages(self, keys: Collection[tuple[str, str]]) -> Iterator[RawMessage]:
        """The messages of these channels by time; those of one time as they were written."""

    def times(self, keys: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], int]]:
        """Channel and time of each of their messages [ns], without what they say."""

    def close(self) -> None:
        """Free what is open."""


def in_order(
    parts: Iterable[tuple[int, Callable[[], Iterator[RawMessage]]]],
) -> Iterator[RawMessage]:
    """Messages of several parts by time.

    Args:
        parts: of each a time that none of its messages is before, and what gives its messages
            by time; called only when that time has come.
    """
    ahead = sorted(enumerate(parts), key=lambda part: (part[1][0], part[0]), reverse=True)
    open_parts: list[tuple[int, int, RawMessage, Iterator[RawMessage]]] = []

    def advance(number: int, messages: Iterator[RawMessage]) -> None:
        message = next(messages, None)
        if message is not None:
            heapq.heappush(open_parts, (message.log_ns, number, message, messages))

    while ahead or open_parts:
        while ahead and (not open_parts or ahead[-1][1][0] <= open_parts[0][0]):
            number, (_, begin) = ahead.pop()
            advance(number, begin())
        if open_parts:
            _, number, message, messages = heapq.heappop(open_parts)
            yield message
            advance(number, messages)


def joined(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """One channel of each key, by topic and type: its first definition and all its messages."""
    found: dict[tuple[str, str], Channel] = {}
    for channel in channels:
        known = found.get(channel.key)
        if known is None:
            found[channel.key] = channel
            continue
        better = channel if channel.definition and not known.definition else known
        found[channel.key] = replace(better, count=known.count + channel.count)
    return tuple(found[key] for key in sorted(found))
