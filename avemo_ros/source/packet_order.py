"""Packets of a media file in the order of their time, on one time line from first to last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from avemo_ros.clock import NS_PER_S

_BACK_NS: Final = 100_000_000
_AHEAD_NS: Final = 10 * NS_PER_S
"""Stamps of a track that go back or ahead further than this are of another time line; ahead
only where FFmpeg expects that of the format.  FFmpeg's own tool has the same limits."""
_ALONE_NS: Final = 5 * NS_PER_S
"""A track whose stamps jump waits for the others to do so, until they are so far on."""
_MOST_PACKETS: Final = 4096
_MOST_BYTES: Final = 32 << 20
"""More does not wait for another track: that has ended, or is far away in the file."""


class _Track:
    """The packets of a track that wait."""

    def __init__(self) -> None:
        self.lines: deque[deque[Any]] = deque([deque()])
        """By time line; only those of the first one can be handed on now."""
        self.line = 0
        """Number of the first one."""
        self.offset_ns = 0
        """From its stamps to the time of the file."""
        self.end_ns: int | None = None
        """End of what was handed on, in the time of the file."""
        self.expected: tuple[int, int] | None = None
        """Stamp of the newest packet and its end [ns]."""

    @property
    def head_ns(self) -> int:
        return _time_ns(self.lines[0][0]) + self.offset_ns

    @property
    def is_at_jump(self) -> bool:
        return not self.lines[0] and len(self.lines) > 1


class PacketOrder:
    """Brings packets into the order of their time.

    Where stamps start anew, as in recordings that were joined, time goes on; sound and images
    keep the offset that they have to each other on each time line.
    """

    def __init__(self, streams: Iterable[Any], *, may_leap: bool) -> None:
        """Start at the beginning of a file.

        Args:
            streams: those that are read.
            may_leap: stamps that are far ahead are of another time line, too.
        """
        self._tracks = {stream.index: _Track() for stream in streams}
        self._may_leap = may_leap
        self._offsets = [0]
        self._packets = self._bytes = 0

    @property
    def restarts(self) -> int:
        """How often stamps started anew."""
        return len(self._offsets) - 1

    @property
    def end_ns(self) -> int:
        """End of the last packet that was handed on [ns]."""
        return max((track.end_ns or 0 for track in self._tracks.values()), default=0)

    def sorted(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets with their stamps on one time line; those without a stamp are dropped
        only if they are empty."""
        for packet in packets:
            if packet.size == 0 and packet.dts is None:
                continue  # PyAV's sign for the end
            self._push(packet)
            yield from self._ready(ended=False)
        yield from self._ready(ended=True)

    def _push(self, packet: Any) -> None:
        track = self._tracks[packet.stream.index]
        if packet.dts is not None:  # pts go back and forth, where images are reordered
            time_ns = _ns(packet.dts, packet)
            if track.expected is not None and self._jumps(time_ns, *track.expected):
                track.lines.append(deque())
            track.expected = (time_ns, time_ns + _ns(packet.duration or 0, packet))
        track.lines[-1].append(packet)
        self._packets += 1
        self._bytes += packet.size

    def _jumps(self, time_ns: int, last_ns: int, expected_ns: int) -> bool:
        return time_ns < last_ns - _BACK_NS or (
            self._may_leap and time_ns > expected_ns + _AHEAD_NS
        )

    def _ready(self, *, ended: bool) -> Iterator[Any]:
        tracks = list(self._tracks.values())
        while self._packets:
            full = self._packets > _MOST_PACKETS or self._bytes > _MOST_BYTES
            for track in tracks:
                if track.is_at_jump and track.line + 1 < len(self._offsets):
                    self._enter(track)
            filled = [track for track in tracks if track.lines[0]]
            jumped = [track for track in tracks if track.is_at_jump]
            complete = len(filled) + len(jumped) == len(tracks) or ended or full
            if not complete:
                return
            if jumped and (not filled or self._are_far_on(filled, jumped)):
                self._begin_line(jumped)
            elif filled:
                yield self._handed_on(min(filled, key=lambda track: track.head_ns))

    def _are_far_on(self, filled: list[_Track], jumped: list[_Track]) -> bool:
        ends_ns = max(track.end_ns or 0 for track in jumped)
        return min(track.head_ns for track in filled) > ends_ns + _ALONE_NS

    def _begin_line(self, jumped: list[_Track]) -> None:
        """A new time line: it begins where the tracks that are on it ended before."""
        starts_ns = min(_shown_ns(track.lines[1][0]) for track in jumped)
        self._offsets.append(max(track.end_ns or 0 for track in jumped) - starts_ns)
        for track in jumped:
            track.line = len(self._offsets) - 2
            self._enter(track)

    def _enter(self, track: _Track) -> None:
        track.lines.popleft()
        track.line += 1
        track.offset_ns = self._offsets[track.line]
        if track.end_ns is not None:
            # The line may have begun when another track ended earlier than this one.
            overlap_ns = track.end_ns - (_shown_ns(track.lines[0][0]) + track.offset_ns)
            track.offset_ns += max(0, overlap_ns)

    def _handed_on(self, track: _Track) -> Any:
        packet = track.lines[0].popleft()
        self._packets -= 1
        self._bytes -= packet.size
        moved = round(track.offset_ns / NS_PER_S / packet.time_base)
        for name in ("pts", "dts"):
            stamp = getattr(packet, name)
            if moved and stamp is not None:
                setattr(packet, name, stamp + moved)
        end_ns = _shown_ns(packet) + _ns(packet.duration or 0, packet)
        track.end_ns = end_ns if track.end_ns is None else max(track.end_ns, end_ns)
        return packet


def _time_ns(packet: Any) -> int:
    """When it is decoded; long ago if nobody knows."""
    stamp = packet.pts if packet.dts is None else packet.dts
    return -(1 << 62) if stamp is None else _ns(stamp, packet)


def _shown_ns(packet: Any) -> int:
    stamp = packet.dts if packet.pts is None else packet.pts
    return 0 if stamp is None else _ns(stamp, packet)


def _ns(ticks: int, packet: Any) -> int:
    return int(ticks * packet.time_base * NS_PER_S)
