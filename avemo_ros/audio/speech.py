"""From blocks of audio to spectrogram chunks with the probability of speech.

The probability is that of Silero VAD 6 (https://github.com/snakers4/silero-vad), in ONNX
Runtime.  Its PyPI package is not needed: that would bring PyTorch.  The model runs on one
thread, so the same sound gives the same figures however many threads the process has.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.front_end import AudioFrontEnd, MonoPiece, SpeechCounters
from avemo_ros.audio.spectrogram import (
    BINS,
    HOP,
    HOP_NS,
    SAMPLE_RATE,
    WINDOW,
    AudioBlock,
    LogSpectrogram,
    SpectrogramChunk,
    to_db,
)
from avemo_ros.config import AudioConfig
from avemo_ros.onnx_session import open_shipped
from avemo_ros.timing import NS_PER_S

STEP: Final = 512
"""Samples from one probability to the next (32 ms at 16 kHz)."""
CONTEXT: Final = 64
"""Samples before the step that the network sees as well."""
_STATE: Final = (2, 1, 128)
_FILE: Final = "silero-vad-16k.onnx"
"""The branch for 16 kHz alone: the same figures as with both, in half the memory."""
_RATE: Final = np.array(16_000, np.int64)

Array = NDArray[np.float32]


class SpeechDetector:
    """Probability of speech for one step of sound after the other."""

    def __init__(self) -> None:
        """Load the network (once per process).

        Raises:
            WeightsError: the network's file is missing or damaged.
        """
        self._session = _load()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state: Array = np.zeros(_STATE, np.float32)
        self._context: Array = np.zeros(CONTEXT, np.float32)

    def push(self, samples: Array) -> float:
        """Probability that there is speech in this step.

        Args:
            samples: (512,) 16 kHz mono, full scale -1 to 1, following the last step.
        """
        seen = np.concatenate((self._context, samples))[None]
        inputs = {"input": seen, "state": self._state, "sr": _RATE}
        probability, self._state = self._session.run(None, inputs)
        self._context = seen[0, -CONTEXT:].copy()
        return float(probability[0, 0])


# It keeps no state, so all detectors of a process share it.
_load: Final = cache(partial(open_shipped, _FILE))


SAMPLE_NS = NS_PER_S // SAMPLE_RATE
"""Duration of a sample at 16 kHz [ns]; a whole number."""


class SampleRing:
    """Keeps the newest samples of a 16 kHz stream and knows the time of each.

    Samples are numbered from the start of the stream.  The oldest are overwritten.  But for
    sound in doubt (`AudioFrontEnd.held_s`) it is the only place that holds raw sound for longer
    than a call, so its capacity is also how much of what people said can be found in memory.
    Not safe to share between threads.
    """

    def __init__(self, capacity: int) -> None:
        """Make an empty ring.

        Args:
            capacity: samples kept, at least 1.
        """
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; allowed: 1 or more")
        self._data: NDArray[np.float32] = np.zeros(capacity, np.float32)
        self._end = 0
        self._origin_ns = 0

    def reset(self, origin_ns: int = 0) -> None:
        """Forget all sound; sample 0 of what follows is at `origin_ns`."""
        self._data.fill(0.0)
        self._end = 0
        self._origin_ns = origin_ns

    @property
    def begin(self) -> int:
        """Number of the oldest sample kept."""
        return max(0, self._end - len(self._data))

    @property
    def end(self) -> int:
        """Number of the sample that comes next."""
        return self._end

    @property
    def origin_ns(self) -> int:
        """Sensor time of sample 0 by the newest reading of the source's clock [ns]."""
        return self._origin_ns

    @origin_ns.setter
    def origin_ns(self, value: int) -> None:
        self._origin_ns = value

    def time_ns(self, number: int) -> int:
        """Sensor time at which sample `number` begins [ns]; any number, kept or not."""
        return self._origin_ns + number * SAMPLE_NS

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add (n,) samples at the end; of more than the capacity only the last stay."""
        kept = samples[-len(self._data) :]
        at = (self._end + len(samples) - len(kept)) % len(self._data)
        first = min(len(kept), len(self._data) - at)
        self._data[at : at + first] = kept[:first]
        self._data[: len(kept) - first] = kept[first:]
        self._end += len(samples)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """A copy of samples `start` to `stop` (exclusive).

        Raises:
            IndexError: some of them are overwritten or not there yet.
        """
        if not self.begin <= start <= stop <= self._end:
            raise IndexError(
                f"samples {start} to {stop} asked for; kept: {self.begin} to {self._end}"
            )
        at = start % len(self._data)
        first = min(stop - start, len(self._data) - at)
        return np.concatenate((self._data[at : at + first], self._data[: stop - start - first]))

    def read_span(self, start_ns: int, end_ns: int) -> NDArray[np.float32]:
        """A copy of the samples that begin within [start_ns, end_ns), as far as kept."""
        start = -((self._origin_ns - start_ns) // SAMPLE_NS)
        stop = -((self._origin_ns - end_ns) // SAMPLE_NS)
        start = min(max(start, self.begin), self._end)
        return self.read(start, min(max(stop, start), self._end))


_SLICE: Final = SAMPLE_RATE // 10
"""Samples handled at once; a longer block is cut, so the ring can be short."""
_RING: Final = 2 * _SLICE
"""Raw sound is kept for 0.2 s and no longer: enough for the windows that are not full yet."""


class SpeechBuffer:
    """Speech probability and log spectrogram of what the front end makes of a source.

    The result depends on the sound and its stamps, not on how it is cut into blocks.

    A column's speech probability is that of the newest step of 32 ms which ended no later
    than the column: nothing waits for the speech detector, which may so be up to 32 ms
    behind.
    """

    def __init__(self, config: AudioConfig) -> None:
        """Make an empty buffer.

        Raises:
            WeightsError: the speech detector's package is not installed.
        """
        self._floor_dbfs = config.level_floor_dbfs
        self._chunk_columns = max(1, round(config.chunk_s * 1e9 / HOP_NS))
        self._front_end = AudioFrontEnd(config)
        self._detector = SpeechDetector()
        self._spectrogram = LogSpectrogram()
        self._ring = SampleRing(_RING)
        self.reset()

    @property
    def counters(self) -> SpeechCounters:
        """Live counters; they go on over `reset`."""
        return self._front_end.counters

    @property
    def delay_s(self) -> float:
        """Sound held back by the resampler for the present source [s]."""
        return self._front_end.delay_s

    def reset(self) -> None:
        """Forget the stream; the next block starts a new one, with no gap flagged."""
        self._front_end.reset()
        self._forget()
        self._gap = False

    def push(self, block: AudioBlock) -> list[SpectrogramChunk]:
        """Take the next sound of the source; see `AudioFrontEnd.push`.

        Losses and new streams are flagged in the next chunk, which never holds columns of two
        streams.

        Returns:
            No chunk, one, or one more for each time the stream started anew and the old one had
            columns left.

        Raises:
            AudioFormatError: the sound is not usable; nothing was taken in.
        """
        chunks = self._analyse_all(self._front_end.push(block))
        if self._waiting >= self._chunk_columns:
            chunks.append(self._emit())
        return chunks

    def flush(self) -> list[SpectrogramChunk]:
        """The columns that wait for a chunk to be full, and sound that was held, at the end of
        a recording: no chunk, one or two."""
        chunks = self._analyse_all(self._front_end.settle())
        return [*chunks, self._emit()] if self._waiting else chunks

    def _forget(self) -> None:
        self._spectrogram.reset()
        self._detector.reset()
        self._ring.reset()
        self._speech = 0.0
        self._columns = 0
        self._steps = 0
        self._power: list[NDArray[np.float32]] = []
        self._probability: list[NDArray[np.float32]] = []
        self._level: list[NDArray[np.float32]] = []
        self._waiting = 0

    def _analyse_all(self, pieces: list[MonoPiece]) -> list[SpectrogramChunk]:
        """The chunks of streams that ended."""
        chunks = []
        for piece in pieces:
            if piece.begins:
                if self._waiting:
                    chunks.append(self._emit())
                self._forget()
            self._gap |= piece.gap
            self._ring.origin_ns = piece.origin_ns
            for start in range(0, len(piece.samples), _SLICE):
                self._analyse(piece.samples[start : start + _SLICE])
        return chunks

    def _analyse(self, mono: NDArray[np.float32]) -> None:
        self._ring.append(mono)
        power = self._spectrogram.push(mono)
        known, speech = self._steps, [self._speech]
        while (self._steps + 1) * STEP <= self._ring.end:
            at = self._steps * STEP
            speech.append(self._detector.push(self._ring.read(at, at + STEP)))
            self._steps += 1
        self._speech = speech[-1]
        if len(power) == 0:
            return
        ends = WINDOW + HOP * np.arange(self._columns, self._columns + len(power))
        newest = self._ring.read(int(ends[0]) - HOP, int(ends[-1])).reshape(-1, HOP)
        level = to_db(np.sqrt(np.mean(np.square(newest), axis=1)))
        probability = np.asarray(speech, np.float32)[ends // STEP - known]
        self._power.append(power)
        self._probability.append(
            np.where(level < self._floor_dbfs, np.float32(0.0), probability)
        )
        self._level.append(level)
        self._columns += len(power)
        self._waiting += len(power)

    def _emit(self) -> SpectrogramChunk:
        first = self._columns - self._waiting
        chunk = SpectrogramChunk(
            stamp_ns=self._ring.time_ns(WINDOW + HOP * first),
            power_db=np.concatenate(self._power).reshape(-1, BINS),
            speech=np.concatenate(self._probability),
            level_dbfs=np.concatenate(self._level),
            gap=self._gap,
        )
        self._power, self._probability, self._level = [], [], []
        self._waiting = 0
        self._gap = False
        return chunk
