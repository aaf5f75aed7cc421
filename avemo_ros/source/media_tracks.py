"""Which tracks of a media file are read: what a player would take and FFmpeg can decode."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
from av.stream import Disposition

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
