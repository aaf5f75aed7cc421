"""High-pass filter: removes an offset, slow drift and rumble, which are not speech."""

from __future__ import annotations

import cmath
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import SAMPLE_RATE
from avemo_ros.audio.spectrogram import HOP

CORNER_HZ: Final = 20.0
"""Half of the power passes here: below every voice, and below the third of the spectrogram's
bins."""
ORDER: Final = 4
_NOTHING: Final = 1e-10
"""Less than this (-200 dB) is silence: what the filter rings on after sound has ended."""


class _Section:
    """Two zeros at 0 Hz and a pair of conjugate poles.

    The recursion u[n] = p u[n - 1] + x[n] of one complex pole p is a cumulative sum over a
    block, u[k] = p^k (u[0] + sum of x[i] / p^i), and the imaginary part of p u / Im p is the
    response of the pair.
    """

    def __init__(self, pole: complex) -> None:
        self._pole = pole
        self._powers = pole ** np.arange(1, HOP + 1)
        # High frequencies pass as they are.
        self._gain = abs(1.0 + pole) ** 2 / 4.0
        self._u = 0j
        self._last = (0.0, 0.0)

    def settle(self, offset: float) -> None:
        """Be as if this offset had always been there."""
        self._u = offset / (1.0 - self._pole)
        response = offset / abs(1.0 - self._pole) ** 2
        self._last = (response, response)

    def filtered(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next (160,) samples."""
        u = self._powers * (self._u + (block / self._powers).cumsum())
        self._u = complex(u[-1])
        response = np.concatenate((self._last, (self._pole * u).imag / self._pole.imag))
        self._last = (float(response[-2]), float(response[-1]))
        if abs(self._u) < _NOTHING**2:
            # Numbers that are all but 0 take the processor a hundred times as long.
            self._u, self._last = 0j, (0.0, 0.0)
        # `np.diff(response, 2)` takes longer to begin than to compute.
        steps = response[1:] - response[:-1]
        return np.asarray(self._gain * (steps[1:] - steps[:-1]))


def _poles() -> list[complex]:
    """Of a Butterworth high pass by the bilinear transform, those above the real axis."""
    warped = 2.0 * SAMPLE_RATE * math.tan(math.pi * CORNER_HZ / SAMPLE_RATE)
    angles = [math.pi * (ORDER + 1 + 2 * k) / (2 * ORDER) for k in range(ORDER // 2)]
    analogue = [warped * cmath.exp(1j * angle) for angle in angles]
    return [(2 * SAMPLE_RATE + pole) / (2 * SAMPLE_RATE - pole) for pole in analogue]


_POLES: Final = _poles()


class HighPass:
    """A Butterworth high pass for a 16 kHz stream.

    It works in blocks of 10 ms counted from the start of the stream, as columns of the
    spectrogram need them anyway: so the cuts between pushes leave no trace.  (SciPy's `sosfilt`
    does the same; importing scipy.signal takes 22 MB and half a second.)
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._kept: NDArray[np.float32] = np.zeros(0, np.float32)
        self._sections = [_Section(pole) for pole in _POLES]
        self._begins = True

    @property
    def pending(self) -> int:
        """Samples held back because their block is not full yet."""
        return len(self._kept)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output of the blocks that these samples complete.

        Args:
            samples: (n,) 16 kHz mono.

        Returns:
            (m,), m a multiple of 160.
        """
        joined = np.concatenate((self._kept, samples))
        whole = len(joined) // HOP * HOP
        self._kept = joined[whole:]
        blocks = joined[:whole].astype(np.float64).reshape(-1, HOP)
        for number, block in enumerate(blocks):
            blocks[number] = self._filtered(block)
        blocks[np.abs(blocks) < _NOTHING] = 0.0
        return np.asarray(blocks.reshape(-1), np.float32)

    def drain(self) -> NDArray[np.float32]:
        """(m,) output of what is kept, m less than 160, at the end of a stream."""
        kept = len(self._kept)
        return self.push(np.zeros(HOP - kept, np.float32))[:kept] if kept else self._kept

    def _filtered(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._begins:
            # Else an offset would begin with a bang; behind the first section none is left.
            self._sections[0].settle(float(block.mean()))
            self._begins = False
        for section in self._sections:
            block = section.filtered(block)
        return block
