"""The offset of sound: what stands in for sound that is taken out or missing."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MEMORY_S: Final = 0.5
_LEAST: Final = 1e-3
"""A smaller offset (-60 dB of full scale) is none."""


class OffsetMeter:
    """Knows the mean of each channel over the last half second.

    Silence of zeros in sound that has an offset would begin and end with a bang, which no high
    pass takes away.
    """

    def __init__(self) -> None:
        self._recent: NDArray[np.float32] = np.zeros((0, 1), np.float32)

    @property
    def value(self) -> NDArray[np.float32]:
        """(channels,), full scale -1 to 1; exactly 0 where there is hardly any; (1,) before any
        sound."""
        if len(self._recent) == 0:
            return np.zeros(1, np.float32)
        mean = self._recent.mean(axis=0, dtype=np.float64)
        # What is no number, or beyond full scale, is no offset either.
        real = (np.abs(mean) >= _LEAST) & (np.abs(mean) <= 1.0)
        return np.where(real, mean, 0.0).astype(np.float32)

    def add(self, samples: NDArray[np.float32], rate: int) -> None:
        """Take the next (n, channels) samples; another channel count starts anew."""
        if samples.ndim != 2:
            return  # refused elsewhere
        before = self._recent
        if before.shape[1] != samples.shape[1]:
            before = before[:0, :1].repeat(samples.shape[1], axis=1)
        self._recent = np.concatenate((before, samples))[-round(_MEMORY_S * rate) :]
