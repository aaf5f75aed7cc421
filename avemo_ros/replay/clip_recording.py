"""A media file as a recording: what a replay and its labels need of a bag, of a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag import is_bag
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.source.media_file import ORIGIN_NS, MediaFile, VideoFrame, from_origin
from avemo_ros.timing import to_ns


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
