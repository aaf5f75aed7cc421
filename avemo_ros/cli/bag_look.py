"""How far a bag's pictures are ahead of its sound, by looking and listening."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.bag.offset import MouthAndSound, Offset
from avemo_ros.bag.recording import Recording
from avemo_ros.clock import to_ns
from avemo_ros.config import PipelineConfig
from avemo_ros.replay.feature import RAW, Feature
from avemo_ros.replay.features import Features
from avemo_ros.replay.hearing import Hearing
from avemo_ros.vision.face import FrameTracks


def look(recording: Recording, seconds: float) -> Offset:
    """Make face tracks and spectrogram as the live nodes do, and compare mouth and sound.

    Args:
        recording: with pictures and sound.
        seconds: how much of it, from its first picture or sound on [s]; 0: all.

    Raises:
        WeightsError: a model that it takes is not installed.
    """
    config = PipelineConfig()
    # Stamps that are far from the times of recording are what is looked for, too.
    features = Features(recording, RAW, config, max_input_age_s=0.0)
    beginning = _Beginning(features, to_ns(seconds))
    gathered = MouthAndSound()
    for _, item in Hearing(beginning, config.audio):
        if isinstance(item, FrameTracks):
            gathered.take_tracks(item)
        elif isinstance(item, SpectrogramChunk):
            gathered.take_chunk(item)
    offset = gathered.offset()
    if offset.seconds is None and beginning.cut:
        how = f"{offset.how} (in {seconds:g} s that were looked at; --look 0 looks at all)"
        return replace(offset, how=how)
    return offset


class _Beginning:
    """The first so many nanoseconds of features, by time of recording; 0: all."""

    def __init__(self, features: Features, length_ns: int) -> None:
        self._features = features
        self._length_ns = length_ns
        self.cut = False
        """Something was left."""

    def __iter__(self) -> Iterator[tuple[int, Feature | AudioBlock]]:
        # Closed at once, as are then the models.
        with closing(_generator(self._features)) as found:
            first_ns: int | None = None
            for log_ns, item in found:
                first_ns = log_ns if first_ns is None else first_ns
                if self._length_ns and log_ns - first_ns >= self._length_ns:
                    self.cut = True
                    return
                yield log_ns, item


def _generator(features: Features) -> Generator[tuple[int, Feature | AudioBlock], None, None]:
    yield from features
