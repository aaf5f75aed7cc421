"""The way of sound through the package: blocks from any source in, spectrogram chunks out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio import vad
from avemo_ros.audio.chunk import (
    BINS,
    HOP_NS,
    SAMPLE_RATE,
    AudioBlock,
    SpectrogramChunk,
)
from avemo_ros.audio.pcm import check_stream, sanitise
from avemo_ros.audio.resampler import MonoResampler
from avemo_ros.audio.ring import SampleRing
from avemo_ros.audio.sample_clock import SampleClock
from avemo_ros.audio.spectrogram import HOP, WINDOW, LogSpectrogram, to_db
from avemo_ros.audio.vad import SpeechDetector
from avemo_ros.clock import to_ns
from avemo_ros.config import AudioConfig
from avemo_ros.errors import AudioFormatError

_SLICE: Final = SAMPLE_RATE // 10
"""Samples handled at once; a longer block is cut, so the ring can be short."""
_RING: Final = 2 * _SLICE
"""Raw sound is kept for 0.2 s and no longer: enough for the windows that are not full yet."""


@dataclass(slots=True)
class SpeechCounters:
    """What happened to the sound since the buffer was made."""

    gaps: int = 0
    """Losses that were filled with silence."""
    lost_ns: int = 0
    """Their total length [ns]."""
    restarts: int = 0
    """Times the stream started anew."""
    sanitised: int = 0
    """Samples that were NaN, infinite or absurd and became silence."""
    last_restart: str = ""
    """Why it last started anew, as a sentence for the log."""

    @property
    def lost_s(self) -> float:
        """Total length of the gaps [s]."""
        return self.lost_ns * 1e-9


class SpeechBuffer:
    """Resampling, sample time, gaps, speech probability and log spectrogram of one stream.

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
        self._tolerance_ns = to_ns(config.gap_tolerance_s)
        self._max_gap_ns = to_ns(config.max_gap_s)
        self._counters = SpeechCounters()
        self._detector = SpeechDetector()
        self._spectrogram = LogSpectrogram()
        self._ring = SampleRing(_RING)
        self._resampler = MonoResampler(SAMPLE_RATE)
        self.reset()

    @property
    def counters(self) -> SpeechCounters:
        """Live counters; they go on over `reset`."""
        return self._counters

    @property
    def delay_s(self) -> float:
        """Sound held back by the resampler for the present source [s]."""
        return self._resampler.delay_s

    def reset(self) -> None:
        """Forget the stream; the next block starts a new one, with no gap flagged."""
        self._forget()
        self._gap = False

    def push(self, block: AudioBlock) -> list[SpectrogramChunk]:
        """Take the next sound of the source.

        A loss of up to `max_gap_s` is filled with silence.  A longer one, stamps that jump
        back, another rate or another channel count start the stream anew.  Both are flagged
        in the next chunk, which never holds columns of two streams.

        Returns:
            No chunk, one, or two if the stream started anew and the old one had columns left.

        Raises:
            AudioFormatError: the rate, the channel count or the array is not usable; nothing
                was taken in.
        """
        samples = self._checked(block)
        if len(samples) == 0:
            return []
        samples, replaced = sanitise(samples)
        self._counters.sanitised += replaced
        chunks: list[SpectrogramChunk] = []
        form = (block.rate, samples.shape[1])
        if self._clock is not None and form != self._form:
            chunks += self._restart(
                f"the source changed from {self._form[0]} Hz and {self._form[1]} channel(s) "
                f"to {form[0]} Hz and {form[1]}"
            )
        missing = 0
        if self._clock is not None:
            admission = self._clock.admit(block.stamp_ns, len(samples))
            missing = admission.missing
            if admission.restart:
                chunks += self._restart(admission.restart)
        if self._clock is None:
            self._start(block.stamp_ns, form).admit(block.stamp_ns, len(samples))
        assert self._clock is not None
        self._ring.origin_ns = self._clock.origin_ns
        if missing:
            self._counters.gaps += 1
            self._counters.lost_ns += round(missing * 1e9 / block.rate)
            self._gap = True
            self._take_in(np.zeros((missing, 1), np.float32))
        self._take_in(samples)
        if self._waiting >= self._chunk_columns:
            chunks.append(self._emit())
        return chunks

    def flush(self) -> list[SpectrogramChunk]:
        """The columns that wait for a chunk to be full: none or one chunk, at the end of a
        recording."""
        return [self._emit()] if self._waiting else []

    def _checked(self, block: AudioBlock) -> NDArray[np.float32]:
        samples = block.samples
        if samples.ndim != 2 or samples.dtype.kind != "f":
            raise AudioFormatError(
                f"samples are {samples.dtype} of shape {samples.shape}; "
                "allowed: float32 of shape (samples, channels)"
            )
        check_stream(block.rate, samples.shape[1])
        return samples.astype(np.float32, copy=False)

    def _forget(self) -> None:
        self._clock: SampleClock | None = None
        self._form = (0, 0)
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

    def _start(self, stamp_ns: int, form: tuple[int, int]) -> SampleClock:
        if form[0] != self._resampler.rate:
            self._resampler = MonoResampler(form[0])
        self._resampler.reset()
        self._form = form
        self._clock = SampleClock(form[0], stamp_ns, self._tolerance_ns, self._max_gap_ns)
        return self._clock

    def _restart(self, reason: str) -> list[SpectrogramChunk]:
        chunks = self.flush()
        self._forget()
        self._gap = True
        self._counters.restarts += 1
        self._counters.last_restart = reason
        return chunks

    def _take_in(self, samples: NDArray[np.float32]) -> None:
        mono = self._resampler.push(samples)
        for start in range(0, len(mono), _SLICE):
            self._analyse(mono[start : start + _SLICE])

    def _analyse(self, mono: NDArray[np.float32]) -> None:
        self._ring.append(mono)
        power = self._spectrogram.push(mono)
        known, speech = self._steps, [self._speech]
        while (self._steps + 1) * vad.STEP <= self._ring.end:
            at = self._steps * vad.STEP
            speech.append(self._detector.push(self._ring.read(at, at + vad.STEP)))
            self._steps += 1
        self._speech = speech[-1]
        if len(power) == 0:
            return
        ends = WINDOW + HOP * np.arange(self._columns, self._columns + len(power))
        newest = self._ring.read(int(ends[0]) - HOP, int(ends[-1])).reshape(-1, HOP)
        level = to_db(np.sqrt(np.mean(np.square(newest), axis=1)))
        probability = np.asarray(speech, np.float32)[ends // vad.STEP - known]
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
