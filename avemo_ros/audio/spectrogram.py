"""Blocks of sound, and the log spectrogram that is computed as they come in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 16_000
"""Inner sample rate [Hz]; sources may have any."""
HOP_NS: Final = 10_000_000
"""From one spectrogram column to the next [ns]."""
BINS: Final = 200
"""Frequency bins of a column, 20 Hz apart: 0 to 3980 Hz."""


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Decoded sound from a source."""

    stamp_ns: int
    """Sensor time of the first sample [ns]."""
    rate: int
    """Samples per second and channel [Hz]."""
    samples: NDArray[np.float32]
    """(samples, channels), full scale is -1 to 1."""


@dataclass(frozen=True, slots=True)
class RobotSpeech:
    """The robot itself begins or ends to speak."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class SpectrogramChunk:
    """Some columns of spectrogram, each 10 ms after the one before."""

    stamp_ns: int
    """Sensor time at which the first column's 40 ms window ends [ns]; column i ends i hops
    later.  Where the source's clock drifts, the first column may be up to 2 ms off the hop
    after the last chunk's end."""
    power_db: NDArray[np.float32]
    """(columns, 200), dB of a full-scale sine, -100 to about 0."""
    speech: NDArray[np.float32]
    """(columns,), probability of speech, 0 to 1; 0 below the level floor."""
    level_dbfs: NDArray[np.float32]
    """(columns,), RMS of the column's newest 10 ms, dB of full scale, at least -100."""
    gap: bool
    """Sound was lost, or the stream started anew, just before or within this chunk."""

    @property
    def end_ns(self) -> int:
        """Sensor time up to which sound is covered [ns]."""
        return self.stamp_ns + (len(self.power_db) - 1) * HOP_NS


# Log spectrogram, computed as the audio comes in (Zhang et al. 2018, arXiv 1806.01506).
#
# Hamming window of 40 ms, hop of 10 ms, 800-point DFT, the 200 bins from 0 to 4 kHz. For
# training: where the speech of a recorded utterance is, and windows of it.


def frames(samples: NDArray[np.float32], length: int, hop: int) -> NDArray[np.float32]:
    """The windows of a signal, without copying it.

    NumPy's `sliding_window_view` does the same and takes longer than the spectrogram of what
    comes in at once.

    Args:
        samples: (n,), contiguous.
        length: of a window.
        hop: from one window to the next.

    Returns:
        (windows, length), overlapping views of the samples; not to be written to.
    """
    count = max(0, (len(samples) - length) // hop + 1)
    step = samples.itemsize
    shape, strides = (count, length), (hop * step, step)
    return np.asarray(np.ndarray(shape, samples.dtype, samples, 0, strides))


WINDOW: Final = 640
"""Samples of one window (40 ms at 16 kHz)."""
HOP: Final = 160
"""Samples from one window to the next (10 ms)."""
DFT: Final = 800
FLOOR_DB: Final = -100.0

_TAPER: Final = np.hamming(WINDOW).astype(np.float32)
# A sine of full scale has the amplitude spectrum peak sum(w)/2, which shall be 0 dB.
_SCALE: Final = np.float32(2.0 / _TAPER.sum())


class LogSpectrogram:
    """Turns a stream of samples into spectrogram columns; the cuts between pushes leave no
    trace in the result."""

    def __init__(self) -> None:
        self._tail: NDArray[np.float32] = np.zeros(0, np.float32)

    def reset(self) -> None:
        """Forget the samples kept for windows that are not full yet."""
        self._tail = np.zeros(0, np.float32)

    @property
    def pending(self) -> int:
        """Samples held back because their window is not full yet."""
        return len(self._tail)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Columns that these samples complete.

        Args:
            samples: (n,) 16 kHz mono, full scale -1 to 1; n may be 0.

        Returns:
            (columns, 200) float32, dB of a full-scale sine, at least -100.
        """
        joined = np.concatenate((self._tail, samples.astype(np.float32, copy=False)))
        columns = max(0, (len(joined) - WINDOW) // HOP + 1)
        self._tail = joined[columns * HOP :].copy()
        if columns == 0:
            return np.zeros((0, BINS), np.float32)
        windows = frames(joined, WINDOW, HOP) * _TAPER
        spectrum = np.fft.rfft(windows, n=DFT, axis=1)[:, :BINS]
        amplitude = np.abs(spectrum).astype(np.float32) * _SCALE
        return to_db(amplitude)


def to_db(amplitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplitudes of any shape, 0 or more, in dB of 1; at least -100."""
    floor = np.float32(10.0 ** (FLOOR_DB / 20.0))
    level = 20.0 * np.log10(np.maximum(amplitude, floor))
    # The logarithm of the rounded floor is a little below the floor.
    return np.asarray(np.maximum(level, np.float32(FLOOR_DB)), np.float32)


def loudest_dbfs(sound: NDArray[np.float32]) -> float:
    """Level of the loudest 10 ms of (n,) sound at 16 kHz [dB of full scale], -100 where there
    are none: what the live path holds against `audio.level_floor_dbfs`."""
    steps = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    return max(to_db(np.sqrt(np.mean(np.square(steps), axis=1))).tolist(), default=FLOOR_DB)


def silence(floor_dbfs: float) -> str:
    """Why sound that stays below this level [dB of full scale] is no voice."""
    return f"its sound is never louder than {floor_dbfs:g} dB of full scale"


_ACTIVE_DB: Final = 35.0
"""Columns this far below the loudest still belong to the speech [dB]."""


def speech_span(power_db: NDArray[np.floating[Any]]) -> tuple[int, int]:
    """First column of speech and the one after its last, of a (T, bins) spectrogram [dB]."""
    loudness = power_db.max(axis=1)
    active = np.flatnonzero(loudness > loudness.max() - loudness.dtype.type(_ACTIVE_DB))
    return int(active[0]), int(active[-1]) + 1


def cut_columns(
    power_db: NDArray[np.floating[Any]], start: int, columns: int
) -> NDArray[np.float32]:
    """(columns, bins) from `start` (may be negative), filled up with silence."""
    window = np.full((columns, power_db.shape[1]), FLOOR_DB, np.float32)
    first, last = max(start, 0), min(start + columns, len(power_db))
    if last > first:
        window[first - start : last - start] = power_db[first:last]
    return window


def speech_windows(
    power_db: NDArray[np.floating[Any]], columns: int
) -> list[NDArray[np.float32]]:
    """The windows that a robot would hear of an utterance.

    Args:
        power_db: (T, bins) [dB].
        columns: length of a window.

    Returns:
        One (columns, bins) window in the middle of the speech; where the speech is longer than
        one and a half windows, several at equal distances that cover it.
    """
    first, last = speech_span(power_db)
    span = last - first
    if span <= 1.5 * columns:
        return [cut_columns(power_db, (first + last - columns) // 2, columns)]
    count = math.ceil(span / columns)
    starts = np.linspace(first, last - columns, count).round().astype(int)
    return [cut_columns(power_db, int(start), columns) for start in starts]
