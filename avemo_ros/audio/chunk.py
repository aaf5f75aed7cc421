"""Blocks of sound on their way in, chunks of spectrogram on their way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
