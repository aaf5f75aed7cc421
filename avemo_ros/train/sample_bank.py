"""Sample banks: frames, windows of speech and targets of items, picked as tensors.

Targets are the labels of items or their raters' votes, in the classes of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avemo_ros.audio.chunk import BINS
from avemo_ros.audio.spectrogram import FLOOR_DB, cut_columns, speech_span
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Features
from avemo_ros.data.registry import find_dataset
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION


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


def _to_classes(classes: tuple[str, ...]) -> Tensor:
    """(8, classes) 1 where a class of SPEECH_CLASSES counts as one of `classes`."""
    if classes == SPEECH_CLASSES:
        return torch.eye(len(classes))
    return functional.one_hot(torch.tensor(SPEECH_TO_EMOTION), len(EMOTIONS)).float()


def targets_of(items: Sequence[Item], classes: tuple[str, ...], votes: float) -> Tensor:
    """(N, classes); `votes` is the weight of the raters' votes, where there are any."""
    labels = torch.tensor([item.class_index for item in items])
    rows = functional.one_hot(labels, len(SPEECH_CLASSES)).float()
    if votes > 0.0:
        for row, item in zip(rows, items, strict=True):
            if item.votes is not None and sum(item.votes) > 0:
                counts = torch.tensor(item.votes)
                row.mul_(1 - votes).add_(counts / counts.sum(), alpha=votes)
    return rows @ _to_classes(classes)


def allowed_of(items: Sequence[Item], classes: tuple[str, ...]) -> Tensor:
    """(N, classes) bool: the classes that occur in the item's data set."""
    to, rows = _to_classes(classes), {}
    for name in {item.dataset for item in items}:
        known = find_dataset(name).classes
        there = torch.tensor([float(label in known) for label in SPEECH_CLASSES])
        rows[name] = (there @ to) > 0
    return torch.stack([rows[item.dataset] for item in items])
