"""The images and sound of a recording, as a media file would give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech
from avemo_ros.bag.item import BagPicture
from avemo_ros.bag.recording import Recording
from avemo_ros.bag.topics import Kind, Topics
from avemo_ros.clock import NS_PER_S
from avemo_ros.errors import BagError

_RAW: Final = frozenset({Kind.PICTURES, Kind.SOUND})
_FPS: Final = 30.0


class BagMedia:
    """Reads raw images and sound of a bag.

    Iterating gives the times of recording and what came, in that order; both are of the bag's
    clocks.  Seconds, as labels count them, begin at `zero_ns`.

    Args:
        path: a bag's folder, or one file of sqlite3 or MCAP.
        topics: which topic is which; None finds them by their types.

    Raises:
        BagError: nothing of it can be read, or it holds neither images nor sound.
    """

    def __init__(self, path: Path, topics: Topics | None = None) -> None:
        self.path = path
        self._recording = recording = Recording(path, topics)
        self.has_video = Kind.PICTURES in recording.kinds
        self.has_audio = Kind.SOUND in recording.kinds
        if not (self.has_video or self.has_audio):
            recording.close()
            raise BagError(f"bag '{path}' holds neither raw pictures nor sound to look at")
        self.zero_ns = recording.start_ns
        """Time of the bag's first message [ns]."""
        self.duration_s = (recording.end_ns - recording.start_ns) / NS_PER_S
        """From its first message to its last [s]."""
        self.fps = _FPS if self.has_video else 0.0
        """Nominal; images carry their own times."""

    def __enter__(self) -> BagMedia:
        return self

    def __exit__(self, *_: object) -> None:
        self._recording.close()

    @property
    def problems(self) -> list[str]:
        """What is missing or unreadable; complete after iterating."""
        return self._recording.problems

    def __iter__(self) -> Iterator[tuple[int, BagPicture | AudioBlock | RobotSpeech]]:
        for log_ns, item in self._recording.items(_RAW & self._recording.kinds):
            if isinstance(item, BagPicture | AudioBlock | RobotSpeech):
                yield log_ns, item
