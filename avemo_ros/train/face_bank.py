"""Frames picked from the faces of items, as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.features import Features


class FaceBank:
    """Faces of items; all of a batch have one side."""

    def __init__(self, features: Sequence[Features], side: int) -> None:
        """Set up.

        Args:
            features: of the items.
            side: that the model takes [pixels]; larger faces are averaged down to it, smaller
                ones stay as they are where they are all alike.
        """
        self._given = [item.faces for item in features]
        self._times = [item.face_times_s for item in features]
        sides = {faces.shape[1] for faces in self._given if faces is not None}
        self._side = sides.pop() if len(sides) == 1 and min(sides) <= side else side

    @property
    def longest(self) -> int:
        """Most faces of an item."""
        return max((len(faces) for faces in self._given if faces is not None), default=0)

    def count(self, item: int) -> int:
        """Faces of an item; 0 for index -1."""
        faces = self._given[item] if item >= 0 else None
        return 0 if faces is None else len(faces)

    def within(self, item: int, first_s: float, last_s: float) -> tuple[int, int]:
        """Faces from `first_s` to `last_s` of the item, as (first, one after the last); all of
        them where none is there or their times are not known."""
        times, count = self._times[item], self.count(item)
        if times is None:
            return 0, count
        first, last = np.searchsorted(times, (first_s, last_s)).tolist()
        return (first, last) if last > first else (0, count)

    def pick(self, items: Sequence[int], frames: NDArray[np.int64]) -> Tensor:
        """(B, n, side, side) uint8: `frames` (B, n) of each item; black without a face."""
        result = np.zeros((*frames.shape, self._side, self._side), np.uint8)
        for row, item, numbers in zip(result, items, frames, strict=True):
            faces = self._given[item] if item >= 0 else None
            if faces is None:
                continue
            if faces.shape[1] == self._side:
                row[:] = faces[numbers]
                continue
            shrinks = faces.shape[1] > self._side
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            for place, number in enumerate(numbers):
                row[place] = cv2.resize(
                    faces[number], (self._side, self._side), interpolation=how
                )
        return torch.from_numpy(result)


def one_of_each_part(first: int, last: int, lots: NDArray[np.float64]) -> NDArray[np.int64]:
    """A frame at random of each of n equal parts of the frames `first` to `last` (excluded).

    That is how Emotion-FAN (Meng et al. 2019) picks them.  With fewer frames than parts some
    are picked more than once.

    Args:
        first: number of the first frame.
        last: one after the last, above `first`.
        lots: (n,) 0 to 1 (excluded).
    """
    parts = np.arange(len(lots)) + lots
    numbers = first + np.floor(parts * (last - first) / len(lots)).astype(np.int64)
    picked: NDArray[np.int64] = np.minimum(numbers, last - 1)
    return picked
