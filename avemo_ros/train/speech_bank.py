"""Windows of speech cut from the spectrograms of utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from avemo_ros.audio.chunk import BINS
from avemo_ros.audio.spectrogram import FLOOR_DB, cut_columns, speech_span
from avemo_ros.data.features import Features

COLUMNS_A_SECOND: Final = 100
_EDGE: Final = 20
"""A crop may reach this far beyond the speech [columns]."""


class SpeechBank:
    """Spectrograms with the places where they have speech."""

    def __init__(self, features: Sequence[Features]) -> None:
        self._given = [item.spectrogram for item in features]
        self._spans = [(0, 0) if made is None else speech_span(made) for made in self._given]

    def start(self, item: int, columns: int, lot: float) -> int:
        """Where a window of this many columns begins: around the speech, by `lot` (0 to 1)."""
        first, last = self._spans[item]
        low, high = sorted((first, last - columns))
        return low - _EDGE + int(lot * (high - low + 2 * _EDGE + 1))

    def middle(self, item: int, columns: int) -> int:
        """Where a window in the middle of the speech begins."""
        first, last = self._spans[item]
        return (first + last - columns) // 2

    def windows(self, items: Sequence[int], starts: Sequence[int], columns: int) -> Tensor:
        """(B, columns, bins) float32 dB; silence beyond the ends, and for an item without
        sound.  Starts may be negative."""
        result = np.full((len(items), columns, BINS), FLOOR_DB, np.float32)
        for row, (item, start) in enumerate(zip(items, starts, strict=True)):
            given = self._given[item] if item >= 0 else None
            if given is not None:
                result[row] = cut_columns(given, start, columns)
        return torch.from_numpy(result)
