"""From blocks of sound among the features to spectrograms; all else passes as it is.

Sound is light to hand on and takes a fifth of the time of pictures: the process that looks at
pictures leaves it to the one that runs the networks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import AudioConfig
from avemo_ros.errors import AudioFormatError
from avemo_ros.replay.feature import Feature, Findings
from avemo_ros.stopwatch import WHOLE, Stopwatch


class Hearing:
    """Hears the sound of one recording; to be iterated once.

    Args:
        source: times of recording [ns] with tracks, spectrograms or blocks of sound, in the
            order of recording.
        config: of the sound analysis.

    Raises:
        WeightsError: the speech detector is not installed.
    """

    def __init__(
        self, source: Iterable[tuple[int, Feature | AudioBlock]], config: AudioConfig
    ) -> None:
        self._source = source
        self._buffer = SpeechBuffer(config)
        self._stopwatch = Stopwatch(WHOLE)
        self._counters: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._heard = False

    def __iter__(self) -> Iterator[tuple[int, Feature]]:
        """Times of recording [ns] and features, in the order of recording."""
        log_ns = 0
        for log_ns, item in self._source:
            if not isinstance(item, AudioBlock):
                yield log_ns, item
                continue
            self._heard = True
            for chunk in self._push(item):
                yield log_ns, chunk
        for chunk in self._buffer.flush():
            self._counters["chunks"] += 1
            yield log_ns, chunk

    def _push(self, block: AudioBlock) -> list[SpectrogramChunk]:
        try:
            with self._stopwatch.measure("audio"):
                chunks = self._buffer.push(block)
        except AudioFormatError as error:
            self._counters["sound_refused"] += 1
            self._refused[f"left out: {error}"] += 1
            return []
        self._counters["chunks"] += len(chunks)
        return chunks

    def tell(self, findings: Findings) -> None:
        """Add what was found to that of the source; to be called when the iteration has
        ended."""
        findings.counters.update(self._counters)
        if self._heard:
            findings.counters["sound_gaps"] = self._buffer.counters.gaps
            findings.counters["sound_restarts"] = self._buffer.counters.restarts
        findings.problems += [
            f"{count} input{'' if count == 1 else 's'} {text}"
            for text, count in self._refused.items()
        ]
        findings.stages_ms = {**findings.stages_ms, **self._stopwatch.stages_ms()}
