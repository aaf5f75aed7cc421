"""What is replayed, a bag or a media file; the result of a replay, and its file.

An interrupted evaluation continues from that file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from avemo_ros import __version__
from avemo_ros.annotations.segments import Segment
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag import is_bag
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.sink.output_file import replaced
from avemo_ros.source.media_file import ORIGIN_NS, MediaFile, VideoFrame, from_origin
from avemo_ros.state.engagement import EngagementChange, EngagementLevel
from avemo_ros.state.estimate import Change, EmotionEstimate, EmotionStep, Status
from avemo_ros.timing import to_ns
from avemo_ros.untrusted import parse_json
from avemo_ros.vision.face import Box

if TYPE_CHECKING:
    from avemo_ros.replay.bag_job import BagJob


class ClipRecording:
    """Images and sound of a media file, as a robot would have got them; begins at ORIGIN_NS.

    Args:
        path: of the file.

    Raises:
        SourceError: the file is missing, is not media, or nothing in it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._media = media = MediaFile(path)
        self.path = path
        there = {TopicKind.IMAGES: media.has_video, TopicKind.AUDIO: media.has_audio}
        self.kinds = frozenset(kind for kind, has in there.items() if has)
        """The kinds of content that it holds."""
        self.start_ns = ORIGIN_NS
        self.end_ns = ORIGIN_NS + to_ns(media.duration_s)
        """As the file announces it, which may be wrong [ns]."""

    def __enter__(self) -> ClipRecording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._media.close()

    @property
    def problems(self) -> list[str]:
        """What is missing, unreadable or odd; complete after iterating."""
        return list(self._media.notes)

    def items(
        self, kinds: frozenset[TopicKind]
    ) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
        """What it holds, with the times at which a device would have sent it [ns]."""
        for due_ns, item in from_origin(self._media):
            kind = TopicKind.AUDIO if isinstance(item, AudioBlock) else TopicKind.IMAGES
            if kind in kinds:
                yield due_ns, item


Replayable: TypeAlias = Recording | ClipRecording
"""What can be replayed."""


def is_clip(path: Path) -> bool:
    """Whether a path is that of a media file, and not of a bag."""
    return path.is_file() and not is_bag(path) and not path.name.endswith(".zstd")


def opened(path: Path, topics: Topics | None = None) -> Replayable:
    """A bag or a media file, to be used as a context manager.

    Args:
        path: of a bag's folder, of one file of it, or of a media file.
        topics: which topic of a bag is which.

    Raises:
        BagError: nothing of the bag can be read or used.
        SourceError: nothing of the media file can.
    """
    return ClipRecording(path) if is_clip(path) else Recording(path, topics)


@dataclass(frozen=True, slots=True)
class SeenFaces:
    """The faces found in one image, without what they look like."""

    stamp_ns: int
    """Sensor time of the image [ns]."""
    faces: tuple[tuple[str, Box], ...]
    """Id and place of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """All estimates of a recording, and how they came about."""

    steps: tuple[EmotionStep, ...]
    """Oldest first in message time; stamps are sensor time."""
    start_ns: int
    """Stamp of the first input that was used [ns]."""
    end_ns: int
    """Stamp of the last input that was used [ns]."""
    source: str
    """What the steps rest on: 'raw' images and audio, recorded 'features' (of a mixture of
    both, too), or recorded 'states'."""
    model_id: str
    """Name of the model; of recorded states the one that they name."""
    frames: tuple[SeenFaces, ...]
    """Of every image that was looked at; empty for recorded states."""
    counters: Mapping[str, float]
    """What was used and what was left out, by name; the same in every run."""
    stages_ms: Mapping[str, tuple[float, ...]]
    """Newest durations of every stage [ms]; measured, so another in every run."""
    seconds: float
    """How long the replay took, loading the networks included [s]; measured."""
    latencies_s: tuple[float, ...] = ()
    """How late each recorded state says that it came [s]; empty for what was computed."""
    problems: tuple[str, ...] = ()
    """What of the recording is missing, unreadable or odd, in sentences."""
    first_ns: int = 0
    """Sensor time of the bag's first message, used or not [ns]; 0: as `start_ns`.  That is its
    time of recording, unless stamps are of another clock: then moved by as much."""
    precision: str = ""
    """Arithmetic of the networks, as chosen; "" for recorded states."""

    @property
    def zero_ns(self) -> int:
        """What labels and pages count from [ns]: the bag's first message, used or not."""
        return self.first_ns or self.start_ns


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedRecording:
    """Estimates and labels of one recording."""

    name: str
    """Tells it from the others of the evaluation."""
    replayed: Replayed
    segments: tuple[Segment, ...]
    """Of all annotators; those of one annotator and person do not overlap."""
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a person's name in the labels the ids that the stream gave."""


_MOST_BYTES: Final = 2 << 30
"""Of a stored replay, unpacked: days of states."""
_PIECE: Final = 1 << 20
_LAYOUT: Final = 7
"""Of stored replays; another layout gets another number."""
_PARTS: Final = (".mcap", ".db3", ".zstd", "metadata.yaml")
"""Endings of the files that make a bag; labels may lie among them."""
_KINDS: Final = {
    kind.__name__: kind
    for kind in (
        Replayed,
        SeenFaces,
        EmotionStep,
        Change,
        EmotionEstimate,
        EngagementChange,
        EngagementLevel,
        Box,
        Status,
    )
}
"""Types that are written with their name; all else is JSON's own, and every list a tuple."""
_KIND: Final = "kind"
_VALUES: Final = "values"


def write_replayed(path: Path, replayed: Replayed) -> None:
    """Write the file in one atomic step; numbers are kept to the last bit.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(_plain(replayed), separators=(",", ":"))
    with replaced(path) as partial:
        partial.write_bytes(gzip.compress(text.encode(), 5, mtime=0))


def read_replayed(path: Path) -> Replayed | None:
    """The replay of the file; None where there is no whole file of this layout."""
    try:
        pieces: list[bytes] = []
        with gzip.open(path) as file:
            # At once, as much as may come would be set aside.
            while piece := file.read(_PIECE):
                pieces.append(piece)
                if len(pieces) * _PIECE > _MOST_BYTES:
                    return None
        parsed = _parsed(parse_json(b"".join(pieces)))
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        zlib.error,
    ):
        return None
    return parsed if isinstance(parsed, Replayed) else None


def _plain(value: Any) -> Any:
    """Dataclasses and enums as named values."""
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, _VALUES: [value.value]}
    if is_dataclass(value):
        values = [_plain(getattr(value, item.name)) for item in fields(value)]
        return {_KIND: type(value).__name__, _VALUES: values}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        if _KIND in value:
            return _KINDS[value[_KIND]](*map(_parsed, value[_VALUES]))
        return {name: _parsed(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(map(_parsed, value))
    return value


def _arithmetic(job: BagJob) -> str:
    """What the networks compute in here; a cache may be shared by machines of several kinds."""
    if job.use == "states":
        return ""
    from avemo_ros.model.predictor import arithmetic_of

    return arithmetic_of(job.config.model)


def cache_key(job: BagJob) -> str:
    """Names a replay of these files with these settings."""
    folder = job.path if job.path.is_dir() else job.path.parent
    files = folder.iterdir() if job.path.is_dir() else [job.path]
    state: list[Any] = [_LAYOUT, __version__, job.weights, job.use]
    state += [job.config.plain(), asdict(job.topics), str(job.path.resolve())]
    state.append(_arithmetic(job))
    state += sorted(
        (item.name, item.stat().st_size, item.stat().st_mtime_ns)
        for item in files
        if item == job.path or item.name.endswith(_PARTS)
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]
