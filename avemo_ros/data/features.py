"""What is made of an item: the input of every model, before the network's own preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.item import Item

MIN_COLUMNS: Final = 63
"""Shortest spectrogram of an item [columns of 10 ms]; less is filled up with silence."""
MAX_COLUMNS: Final = 1000
"""Longest spectrogram of an item [columns of 10 ms]; of more the first of the speech count."""
UNITS: Final = 35
"""Action-unit features of an item."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of one item; a part that the item has not got is None."""

    faces: NDArray[np.uint8] | None = None
    """(n, side, side) grey aligned crops as the live path makes them, oldest first, n at least
    1; FER2013's pictures are (1, 48, 48)."""
    face_times_s: NDArray[np.float32] | None = None
    """(n,) time of each crop since the item's start [s]."""
    landmarks: NDArray[np.float32] | None = None
    """(n, 468, 2) face mesh of each crop, in pixels of the picture; NaN without a mesh."""
    spectrogram: NDArray[np.float16] | None = None
    """(T, 200) log spectrogram of the whole item [dB of a full-scale sine], columns of 10 ms,
    63 to 1000 columns."""
    units: NDArray[np.float32] | None = None
    """(35,) facial action units averaged over the item (OpenFace), from a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Items with their features, in one order."""

    items: tuple[Item, ...]
    features: tuple[Features, ...]

    def __post_init__(self) -> None:
        if len(self.items) != len(self.features):
            raise ValueError(f"{len(self.items)} items but {len(self.features)} features")

    def __len__(self) -> int:
        return len(self.items)

    def only(self, keep: NDArray[np.bool_] | list[bool]) -> Corpus:
        """Those with True, in the same order."""
        picked = [i for i, kept in enumerate(keep) if kept]
        return Corpus(
            tuple(self.items[i] for i in picked), tuple(self.features[i] for i in picked)
        )
