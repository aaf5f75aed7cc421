"""Stamps in serialised messages: read, compared with a clock, and shifted."""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message

from avemo_ros.bag import message_content, messages
from avemo_ros.config import InputConfig
from avemo_ros.nodes import convert
from avemo_ros.timing import NS_PER_S, to_ns, to_s

_TIME: Final = "builtin_interfaces/Time"
_HEADER: Final = "std_msgs/Header"
_STAMP_AT: Final = 4
"""The stamp of a header that comes first lies behind the four bytes that say the encoding."""
_STAMP_BYTES: Final = 8


_SCORED: Final = {
    messages.IMAGE,
    messages.COMPRESSED_IMAGE,
    messages.AUDIO_DATA,
    messages.FACE_TRACKS,
    messages.SPECTROGRAM,
    messages.EMOTION_STATES,
}
"""Types whose stamps evaluation compares with the times of recording."""
_MAX_AGE_NS: Final = to_ns(InputConfig().max_input_age_s)
_GRACE_S: Final = 2.0
"""When a bag starts over, its messages and /clock do not do so in the same instant."""


class StampShifter:
    """Shifts all times in messages of one type, however deep.

    Zero means that there is no time, and stays.
    """

    def __init__(self, kind: Any) -> None:
        """For a type of messages, e.g. `sensor_msgs.msg.Image`."""
        self._kind = kind
        fields = list(kind.get_fields_and_field_types().values())
        self._header_first = begins_with_header(kind)
        self._deep = any(_holds_time(field) for field in fields[int(self._header_first) :])

    def shift(self, message: bytes, by_ns: int) -> bytes:
        """The same message, so much later [ns]."""
        if not by_ns or not (self._deep or self._header_first):
            return message
        if not self._deep:
            return _shift_first(message, by_ns)
        content = deserialize_message(message, self._kind)
        _shift_all(content, by_ns)
        return bytes(serialize_message(content))


def message_class(kind: str) -> Any:
    """The Python class of a type such as 'sensor_msgs/msg/Image'; None where it is not
    installed."""
    package, _, name = kind.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None


def begins_with_header(kind: Any) -> bool:
    """Whether messages of this class have a std_msgs/Header as their first field."""
    return list(kind.get_fields_and_field_types().values())[:1] == [_HEADER]


def header_stamp_ns(message: bytes) -> int:
    """Stamp of a serialised message that begins with a header [ns]; 0 where it is too short."""
    if len(message) < _STAMP_AT + _STAMP_BYTES:
        return 0
    seconds, rest = struct.unpack_from(_stamp_form(message), message, _STAMP_AT)
    return int(seconds) * NS_PER_S + int(rest)


def _shift_first(message: bytes, by_ns: int) -> bytes:
    stamp_ns = header_stamp_ns(message)
    if not stamp_ns:
        return message
    moved = convert.to_time(stamp_ns + by_ns)
    changed = bytearray(message)
    struct.pack_into(_stamp_form(message), changed, _STAMP_AT, moved.sec, moved.nanosec)
    return bytes(changed)


def _stamp_form(message: bytes) -> str:
    """Of seconds and nanoseconds, in the message's byte order."""
    return "<iI" if message[1] & 1 else ">iI"


@functools.cache
def _holds_time(field: str) -> bool:
    """Whether a field of this type is a time, or has one in it."""
    kind = field.removeprefix("sequence<").split("[")[0].split(",")[0].rstrip(">")
    if kind == _TIME:
        return True
    inner = message_class(kind.replace("/", "/msg/")) if "/" in kind else None
    return inner is not None and any(
        _holds_time(deeper) for deeper in inner.get_fields_and_field_types().values()
    )


def _shift_all(content: Any, by_ns: int) -> None:
    for name, field in content.get_fields_and_field_types().items():
        if not _holds_time(field):
            continue
        value = getattr(content, name)
        many = isinstance(value, (list, tuple))
        moved = [_moved(item, by_ns) for item in value] if many else _moved(value, by_ns)
        setattr(content, name, moved)


def _moved(item: Any, by_ns: int) -> Any:
    if isinstance(item, Time):
        stamp_ns = message_content.stamp_ns(item)
        return convert.to_time(stamp_ns + by_ns) if stamp_ns else item
    _shift_all(item, by_ns)
    return item


class StampWatch:
    """Warns once if a topic is stamped by another clock, as it could not be scored."""

    def __init__(
        self,
        kind: str,
        message: Any,
        *,
        simulated: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            kind: type of the topic.
            message: its Python class.
            simulated: whether it is recorded by /clock.
            now: seconds of a steady clock.
        """
        self._open = kind in _SCORED and begins_with_header(message)
        self._simulated = simulated
        self._now = now
        self._far_since: float | None = None

    def complaint(self, data: bytes, log_ns: int) -> str:
        """What is wrong with the stamp of a message; empty if nothing is or it was reported.

        Args:
            data: the message as CDR.
            log_ns: when it came, by the clock of the recording [ns].
        """
        if not self._open or log_ns <= 0:
            return ""
        stamp_ns = header_stamp_ns(data)
        # Zero means that its driver does not stamp; the time of recording stands in for it.
        if stamp_ns <= 0 or abs(log_ns - stamp_ns) <= _MAX_AGE_NS:
            self._far_since = None
            return ""
        now_s = self._now()
        self._far_since = now_s if self._far_since is None else self._far_since
        if self._simulated and now_s - self._far_since < _GRACE_S:
            return ""
        self._open = False
        age_ns = log_ns - stamp_ns
        side = "behind" if age_ns > 0 else "ahead of"
        return (
            f"stamps are {to_s(abs(age_ns)):.1f} s {side} this recorder's clock; `avemo bag "
            f"evaluate` will ignore this input unless max_input_age_s is 0; {self._advice()}"
        )

    def _advice(self) -> str:
        if self._simulated:
            return (
                "the recorder takes its time from /clock (use_sim_time), so play only one "
                "recording, without camera and microphone"
            )
        return (
            "if another machine stamps, synchronise both clocks; while a bag is played, "
            "record with --use-sim-time (use_sim_time:=true)"
        )
