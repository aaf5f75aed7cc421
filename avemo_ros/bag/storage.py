"""What the files of a bag have in common, whatever they are written as."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from avemo_ros.bag.written import Written


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


class Raw(NamedTuple):
    """A message as it lies in the file."""

    log_ns: int
    """When it was recorded [ns]."""
    key: tuple[str, str]
    """Of its channel."""
    data: bytes | memoryview


class StorageFile(Protocol):
    """One file of a bag, opened; what is there at that moment is what it holds."""

    path: Path
    channels: tuple[Channel, ...]
    start_ns: int | None
    """Time of its first message [ns]; None without messages."""
    end_ns: int | None
    """Time of its last message [ns]."""
    cut_off: bool
    """It does not end as its writer ends files."""
    problems: Counter[str]
    """What cannot be read of it, and how often that was met; grows while it is read."""
    compression: str
    """Of parts within the file: 'zstd', 'lz4' or empty."""

    @property
    def written(self) -> Written | None:
        """The order in which its messages were written, as far as it is known."""

    def messages(self, keys: Collection[tuple[str, str]]) -> Iterator[Raw]:
        """The messages of these channels by time; those of one time as they were written."""

    def close(self) -> None:
        """Free what is open."""


def in_order(parts: Iterable[tuple[int, Callable[[], Iterator[Raw]]]]) -> Iterator[Raw]:
    """Messages of several parts by time.

    Args:
        parts: of each a time that none of its messages is before, and what gives its messages
            by time; called only when that time has come.
    """
    ahead = sorted(enumerate(parts), key=lambda part: (part[1][0], part[0]), reverse=True)
    open_parts: list[tuple[int, int, Raw, Iterator[Raw]]] = []

    def advance(number: int, messages: Iterator[Raw]) -> None:
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
