"""What came out of a bag while it was checked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag.item import BagPicture, Item, StatesRecord
from avemo_ros.bag.offset import MouthAndSound
from avemo_ros.bag.topics import Kind
from avemo_ros.clock import NS_PER_S
from avemo_ros.errors import ImageError
from avemo_ros.vision.face import FrameTracks


class Looked:
    """Times and stamps by kind, pictures that cannot be used, mouths and sound."""

    def __init__(self) -> None:
        self.times: defaultdict[Kind, list[int]] = defaultdict(list)
        self.stamps: defaultdict[Kind, list[int]] = defaultdict(list)
        self.lengths: list[int] = []
        self.mouth = MouthAndSound()
        self._bad: Counter[str] = Counter()
        self._said: dict[str, str] = {}

    def take(self, log_ns: int, item: Item) -> None:
        """The next item."""
        if isinstance(item, RobotSpeech):
            return
        kind = _kind_of(item)
        if isinstance(item, BagPicture):
            self._look_at(item)
        elif isinstance(item, AudioBlock):
            self.lengths.append(len(item.samples) * NS_PER_S // item.rate)
        elif isinstance(item, FrameTracks):
            self.mouth.take_tracks(item)
        elif isinstance(item, SpectrogramChunk):
            self.mouth.take_chunk(item)
        self.times[kind].append(log_ns)
        self.stamps[kind].append(item.stamp_ns)

    def findings(self, kinds: Mapping[Kind, str]) -> list[str]:
        """Pictures that cannot be decoded."""
        return [
            f"{kinds[Kind.PICTURES]}: {count} picture(s) cannot be used: {self._said[kind]}"
            for kind, count in sorted(self._bad.items())
        ]

    def _look_at(self, picture: BagPicture) -> None:
        try:
            _ = picture.image
        except ImageError as error:
            self._bad[error.kind] += 1
            self._said.setdefault(error.kind, str(error))


def _kind_of(item: Item) -> Kind:
    if isinstance(item, BagPicture):
        return Kind.PICTURES
    if isinstance(item, AudioBlock):
        return Kind.SOUND
    if isinstance(item, FrameTracks):
        return Kind.TRACKS
    if isinstance(item, SpectrogramChunk):
        return Kind.SPECTROGRAM
    return Kind.STATES if isinstance(item, StatesRecord) else Kind.LABELS
