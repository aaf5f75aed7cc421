"""Overlapping windows of a signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
    return np.ndarray((count, length), samples.dtype, samples, 0, (hop * step, step))
