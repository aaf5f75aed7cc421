"""Windows of a recorded utterance: where its speech is, and what a window of it holds."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import FLOOR_DB

_ACTIVE_DB: Final = 35.0
"""Columns this far below the loudest still belong to the speech [dB]."""


def speech_span(power_db: NDArray[np.floating[Any]]) -> tuple[int, int]:
    """First column of speech and the one after its last, of a (T, bins) spectrogram [dB]."""
    loudness = power_db.max(axis=1)
    active = np.flatnonzero(loudness > loudness.max() - loudness.dtype.type(_ACTIVE_DB))
    return int(active[0]), int(active[-1]) + 1


def cut(power_db: NDArray[np.floating[Any]], start: int, columns: int) -> NDArray[np.float32]:
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
        return [cut(power_db, (first + last - columns) // 2, columns)]
    count = math.ceil(span / columns)
    starts = np.linspace(first, last - columns, count).round().astype(int)
    return [cut(power_db, int(start), columns) for start in starts]
