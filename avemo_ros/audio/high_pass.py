"""What cannot be heard and is no voice: an offset, slow drift, rumble."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import SAMPLE_RATE
from avemo_ros.audio.spectrogram import HOP

CORNER_HZ: Final = 20.0
ORDER: Final = 2
_NOTHING: Final = 1e-10
"""Less than this (-200 dB) is silence: what the filter rings on after sound has ended."""

_DECAY: Final = float(np.exp(-2.0 * np.pi * CORNER_HZ / SAMPLE_RATE))
_POWERS: Final = _DECAY ** np.arange(1, HOP + 1)
_GAIN: Final = (1.0 + _DECAY) / (2.0 * _DECAY)
"""So that high frequencies pass as they are."""


class HighPass:
    """First-order high passes in a row, for a 16 kHz stream.

    It works in blocks of 10 ms counted from the start of the stream, as columns of the
    spectrogram need them anyway: so the cuts between pushes leave no trace, and within a block
    the recursion is a cumulative sum.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._kept: NDArray[np.float32] = np.zeros(0, np.float32)
        self._slow: list[float] | None = None

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
        return self._filtered(joined[:whole].astype(np.float64).reshape(-1, HOP))

    def drain(self) -> NDArray[np.float32]:
        """(m,) output of what is kept, m less than 160, at the end of a stream."""
        kept = len(self._kept)
        if kept == 0:
            return self._kept
        lacking = np.zeros(HOP - kept, np.float32)
        return self.push(lacking)[:kept]

    def _filtered(self, blocks: NDArray[np.float64]) -> NDArray[np.float32]:
        if len(blocks) == 0:
            return np.zeros(0, np.float32)
        if self._slow is None:
            # As if the offset had always been there: else it would begin with a bang.
            self._slow = [float(blocks[0].mean()), *([0.0] * (ORDER - 1))]
        for stage, slow in enumerate(self._slow):
            # The low pass: slow[n] = decay * slow[n - 1] + (1 - decay) * x[n].
            low = _POWERS * np.cumsum((1.0 - _DECAY) * blocks / _POWERS, axis=1)
            for row in low:
                row += _POWERS * slow
                slow = float(row[-1])
            # Else numbers that are all but 0 would take the processor a hundred times as long.
            self._slow[stage] = slow if abs(slow) > _NOTHING**2 else 0.0
            blocks = _GAIN * (blocks - low)
        blocks[np.abs(blocks) < _NOTHING] = 0.0
        return np.asarray(blocks.reshape(-1), np.float32)
