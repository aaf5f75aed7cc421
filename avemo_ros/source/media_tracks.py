"""Media files: which tracks are read, packets in the order of time, and what is cut off."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
from av.stream import Disposition

from avemo_ros.timing import NS_PER_S

_STILLS: Final = (
    Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
)
"""Covers and the like, which are no video."""
_BESIDE: Final = (
    Disposition.comment
    | Disposition.descriptions
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.karaoke
    | Disposition.clean_effects
)
_COMMENTARY: Final = re.compile("commenta|kommentar", re.IGNORECASE)
_TRIES: Final = 500
"""Packets of a track without one that can be decoded: the track cannot be."""
_MOST_PACKETS: Final = 20_000
"""So many are read to choose between tracks."""


@dataclass(frozen=True, slots=True)
class ChosenTracks:
    """What is read of a file."""

    video: int | None
    audio: int | None
    """Index of the stream; None: there is none."""
    notes: tuple[str, ...]
    """Which tracks were left out, and why, in sentences; covers are not worth one."""


def ffmpeg_name(path: Path) -> str:
    """The file as FFmpeg takes it: else '12:30.mp4' and 'concat:a.mp4' would be protocols."""
    return f"file:{path}"


def choose_tracks(container: Any, opened: Callable[[], Any]) -> ChosenTracks:
    """Choose one track of each kind.

    Args:
        container: the file; nothing is read of it.
        opened: gives the file anew, to try what can be decoded where there is a choice.
    """
    notes: list[str] = []
    video, audio = (_choose(container, opened, kind, notes) for kind in ("video", "audio"))
    return ChosenTracks(video, audio, tuple(notes))


def _choose(
    container: Any, opened: Callable[[], Any], kind: str, notes: list[str]
) -> int | None:
    tracks = [
        stream
        for stream in container.streams
        if stream.type == kind and not stream.disposition & _STILLS
    ]
    # Of equals the first: sorting is stable.
    ranked = sorted(
        tracks, key=lambda one: (_is_beside(one), one.frames == 1, not _is_default(one))
    )
    usable = [stream for stream in ranked if stream.codec_context is not None]
    if len(usable) > 1:
        with opened() as tried:
            good = _usable(tried, [tried.streams[stream.index] for stream in usable])
        usable = [stream for stream in usable if stream.index in good]
    taken = usable[0] if usable else None
    for number, stream in enumerate(tracks, start=1):
        if stream is not taken:
            used = "" if taken is None else f"; track {tracks.index(taken) + 1} is used"
            notes.append(
                f"{kind} track {number} of {len(tracks)} is left out: "
                f"{_reason(stream, taken, usable)}{used}"
            )
    return None if taken is None else int(taken.index)


def _reason(stream: Any, taken: Any, usable: list[Any]) -> str:
    if stream.codec_context is None:
        return "FFmpeg cannot decode its codec"
    if stream not in usable:
        return "none of its packets can be decoded"
    if _is_beside(stream) and not _is_beside(taken):
        return "it is a commentary or the like"
    if stream.frames == 1 and taken.frames != 1:
        return "it has a single image"
    if _is_default(taken) and not _is_default(stream):
        return "it is not the default"
    return "it is not the first"


def _is_default(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.default)


def _is_beside(stream: Any) -> bool:
    title = stream.metadata.get("title", "") + stream.metadata.get("handler_name", "")
    return bool(stream.disposition & _BESIDE) or _COMMENTARY.search(title) is not None


def _usable(container: Any, ranked: list[Any]) -> set[int]:
    """Indices of those of which something can be decoded, as far as needs be known to take the
    first."""
    good: set[int] = set()
    tried: Counter[int] = Counter()
    for number, (index, gave) in enumerate(_decoded(container, ranked)):
        tried[index] += 1
        if gave:
            good.add(index)
        left = [
            stream.index
            for stream in ranked
            if stream.index in good or tried[stream.index] < _TRIES
        ]
        if not left or left[0] in good or number >= _MOST_PACKETS:
            return set(left)
    return good


def _decoded(container: Any, streams: list[Any]) -> Iterator[tuple[int, bool]]:
    """(index of the stream, whether it gave something) for each packet."""
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the rest of the file is lost
            return
        if packet is None:
            return
        try:
            yield packet.stream.index, bool(packet.decode())
        except av.FFmpegError:
            yield packet.stream.index, False


# Packets of a media file in the order of their time, on one time line from first to last.

_BACK_NS: Final = 100_000_000
_AHEAD_NS: Final = 10 * NS_PER_S
"""Stamps of a track that go back or ahead further than this are of another time line; ahead
only where FFmpeg expects that of the format.  FFmpeg's own tool has the same limits."""
_ALONE_NS: Final = 5 * NS_PER_S
"""A track whose stamps jump waits for the others to do so, until they are so far on."""
_MOST_WAITING: Final = 4096
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
            full = self._packets > _MOST_WAITING or self._bytes > _MOST_BYTES
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


# Whether a file has all the bytes that its headers count, and no second recording behind.

_STREAMED: Final = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""RIFF sizes of writers that could not go back to fill them in."""
_TOLERANCE: Final = 0.01
"""Part of a file that may be missing: some writers count wrongly by a few bytes."""
_HEAD: Final = 4096
_XING: Final = (b"Xing", b"Info")
_SHORT: Final = "truncated: shorter than its header says"


def cut_off(path: Path) -> str:
    """What says that bytes are missing; '' if nothing does, which is no proof.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    enough = size * (1 + _TOLERANCE)
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[:4] == b"RIFF":
            counted = int.from_bytes(head[4:8], "little")
            whole = counted in _STREAMED or counted + 8 <= enough
        elif head[4:8] == b"ftyp":
            boxes = list(_boxes(file, size))
            whole = all(end <= size for _, _, end in boxes)
            if whole and not any(name == b"moov" for name, _, _ in boxes):
                return "truncated: without its index (moov)"
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            whole = _segment_end(head) <= enough
        else:
            whole = _mp3_end(file, head) <= enough
    return "" if whole else _SHORT


def second_recording(path: Path) -> int:
    """Where another file begins that was appended to this one, and that no reader of its format
    looks at; 0 if there is none.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] == b"ftyp":
            begins = [start for name, start, _ in _boxes(file, size) if name == b"ftyp"]
            return begins[1] if len(begins) > 1 else 0
        if head[:4] == b"RIFF" and head[8:12] in (b"WAVE", b"AVI "):
            at = 8 + int.from_bytes(head[4:8], "little")
            at += at % 2
            file.seek(at)
            after = file.read(12)
            return at if after[:4] == b"RIFF" and after[8:12] == head[8:12] else 0
        if head[:4] == b"FLV\1":
            return _after_tags(file, int.from_bytes(head[5:9], "big"))
    return 0


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the boxes that make an mp4; what is broken ends beyond the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        box = file.read(16)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        elif length == 0:  # to the end
            length = size - at
        end = at + length if length >= 8 else size + 1
        yield box[4:8], at, end
        at = end


def _after_tags(file: BinaryIO, at: int) -> int:
    """Where another FLV begins behind the tags of the first one; 0 if none does."""
    while True:
        file.seek(at + 4)  # the length of the tag before
        tag = file.read(4)
        if len(tag) < 4 or tag[0] not in (8, 9, 18):
            return at + 4 if tag == b"FLV\1" else 0
        at += 4 + 11 + int.from_bytes(tag[1:], "big")


def _segment_end(head: bytes) -> int:
    """End of the segment of a Matroska file; 0 where its writer did not know."""
    at = 4
    length, width = _vint(head, at)
    at += width + length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    at += 4
    length, width = _vint(head, at)
    return 0 if length == (1 << 7 * width) - 1 else at + width + length


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A number of EBML and its width in bytes."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8:
        return 0, 1
    return int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1), width


def _mp3_end(file: BinaryIO, head: bytes) -> int:
    """Where the frames end that the first one of an mp3 counts; 0 if it does not."""
    at = 0
    if head[:3] == b"ID3":
        parts = zip(head[6:10], (21, 14, 7, 0), strict=True)
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in parts)
    file.seek(at)
    frame = file.read(64)
    for name in _XING:
        tag = frame.find(name)
        if frame[:1] == b"\xff" and tag > 0 and frame[tag + 7 : tag + 8] >= b"\2":
            flags = frame[tag + 7]
            counted = frame[tag + 8 + 4 * (flags & 1) :][:4]
            return at + int.from_bytes(counted, "big") if flags & 2 else 0
    return 0
