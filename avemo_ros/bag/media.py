"""The pictures and sound of a recording, as a media file would give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.item import BagPicture
from avemo_ros.bag.recording import Kind, Recording, Topics
from avemo_ros.clock import NS_PER_S, to_ns
from avemo_ros.errors import BagError, ImageError
from avemo_ros.source.media import VideoFrame
from avemo_ros.source.stamps import MAX_AGE_S, is_far

_RAW: Final = frozenset({Kind.PICTURES, Kind.SOUND})
_FPS: Final = 30.0


class BagMedia:
    """Reads raw pictures and sound of a bag.

    Iterating gives `VideoFrame` and `AudioBlock` in the order of recording.  Stamps are the
    messages' own, counted from the bag's first message: the seconds in which labels count.
    What is stamped before that, or far from the time of recording, is left out.

    Args:
        path: a bag's folder, or one file of sqlite3 or MCAP.
        topics: which topic is which; None finds them by their types.

    Raises:
        BagError: nothing of it can be read, or it holds neither pictures nor sound.
    """

    def __init__(self, path: Path, topics: Topics | None = None) -> None:
        self.path = path
        self._recording = recording = Recording(path, topics)
        self._left_out: Counter[str] = Counter()
        self.has_video = Kind.PICTURES in recording.kinds
        self.has_audio = Kind.SOUND in recording.kinds
        if not (self.has_video or self.has_audio):
            recording.close()
            raise BagError(f"bag '{path}' holds neither raw pictures nor sound to look at")
        self.duration_s = (recording.end_ns - recording.start_ns) / NS_PER_S
        """From its first message to its last [s]."""
        self.fps = _FPS if self.has_video else 0.0
        """Nominal; pictures carry their own times."""

    def __enter__(self) -> BagMedia:
        return self

    def __exit__(self, *_: object) -> None:
        self._recording.close()

    @property
    def problems(self) -> list[str]:
        """What is missing, unreadable or left out; complete after iterating."""
        left_out = [
            f"{count} input(s) left out: {why}" for why, count in sorted(self._left_out.items())
        ]
        return [*self._recording.problems, *left_out]

    def __iter__(self) -> Iterator[VideoFrame | AudioBlock]:
        self._left_out.clear()
        zero_ns, max_age_ns = self._recording.start_ns, to_ns(MAX_AGE_S)
        for log_ns, item in self._recording.items(_RAW & self._recording.kinds):
            stamp_ns = item.stamp_ns - zero_ns
            if is_far(item.stamp_ns, log_ns, max_age_ns):
                self._left_out[f"stamped over {MAX_AGE_S:g} s from the time of recording"] += 1
            elif stamp_ns < 0:
                self._left_out["stamped before the bag's first message"] += 1
            elif isinstance(item, BagPicture):
                try:
                    image = item.image
                except ImageError as error:
                    self._left_out[str(error)] += 1
                else:
                    yield VideoFrame(stamp_ns, image)
            elif isinstance(item, AudioBlock):
                yield AudioBlock(stamp_ns, item.rate, item.samples)
