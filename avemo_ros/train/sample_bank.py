"""Banks of training samples: frames, windows of speech, landmark sequences and targets.

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

from avemo_ros.audio.spectrogram import BINS, FLOOR_DB, cut_columns, speech_span
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.registry import find_dataset
from avemo_ros.labels import EMOTIONS, LABELS, SPEECH_TO_EMOTION
from avemo_ros.model.face_points import LONGEST_S, POINTS, VALUES, normalise_points, resample
from avemo_ros.train.training_config import LandmarkAugment


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
        self._spans = [
            (0, 0) if features is None else speech_span(features) for features in self._given
        ]

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
    """(9, classes) 1 where one of LABELS counts as one of `classes`; zeros: as none."""
    to = torch.zeros(len(LABELS), len(classes))
    for row, label in enumerate(LABELS):
        emotion = EMOTIONS[SPEECH_TO_EMOTION[row]] if row < len(SPEECH_TO_EMOTION) else ""
        counts_as = label if label in classes else emotion
        if counts_as:
            to[row, classes.index(counts_as)] = 1.0
    return to


def targets_of(items: Sequence[Item], classes: tuple[str, ...], votes: float) -> Tensor:
    """(N, classes); `votes` is the weight of the raters' votes, where there are any."""
    labels = torch.tensor([item.index_in(classes) for item in items])
    rows = functional.one_hot(labels, len(classes)).float()
    if votes > 0.0:
        shares = votes_of(items, classes)
        voted = shares.sum(1) > 0
        rows[voted] = (1 - votes) * rows[voted] + votes * shares[voted]
    return rows


def votes_of(items: Sequence[Item], classes: tuple[str, ...]) -> Tensor:
    """(N, classes) shares of the raters' votes for each class; zeros without votes for any."""
    counts = torch.zeros(len(items), len(LABELS))
    for row, item in zip(counts, items, strict=True):
        if item.votes is not None:
            row[: len(item.votes)] = torch.tensor(item.votes)
    counts = counts @ _to_classes(classes)
    return counts / counts.sum(1, keepdim=True).clamp_min(1e-6)


def allowed_of(items: Sequence[Item], classes: tuple[str, ...]) -> Tensor:
    """(N, classes) bool: the classes that occur in the item's data set."""
    to, rows = _to_classes(classes), {}
    labels = {(item.dataset, item.label) for item in items}
    for name in {item.dataset for item in items}:
        known = find_dataset(name).classes
        # Contempt is a class of FER2013 with some of its labels only.
        there = torch.tensor(
            [float(label in known or (name, label) in labels) for label in LABELS]
        )
        rows[name] = (there @ to) > 0
    return torch.stack([rows[item.dataset] for item in items])


# Landmark sequences of the training items: which part of each is shown, and at which pace.

_SLOWEST_HZ, _FASTEST_HZ = 5.0, 30.0
"""Cameras that are imitated."""
_NEAR_S: Final = 1e-3
"""A frame this near to a span is within it [s]."""


class PointBank:
    """Sequences of items, aligned, with the mean shape of every person."""

    LOTS: Final = 8
    """Numbers of chance that a row needs."""

    def __init__(self, corpus: Corpus) -> None:
        """Set up; an item without landmarks has none."""
        self._given: list[NDArray[np.float32] | None] = []
        self._times: list[NDArray[np.float64]] = []
        for features in corpus.features:
            known = features.points is not None and features.point_times_s is not None
            frames = normalise_points(features.points) if features.points is not None else None
            kept = None if frames is None else np.isfinite(frames).all(axis=1)
            if not known or frames is None or kept is None or not kept.any():
                self._given.append(None)
                self._times.append(np.zeros(0))
                continue
            assert features.point_times_s is not None
            self._given.append(frames[kept])
            self._times.append(features.point_times_s[kept].astype(np.float64))
        self._people = [item.subject for item in corpus.items]
        self._shapes = self._mean_shapes()

    def _mean_shapes(self) -> dict[str, NDArray[np.float32]]:
        """(2 POINTS,) of each person: the mean over the sequences' means."""
        means: dict[str, list[NDArray[np.float32]]] = {}
        for person, frames in zip(self._people, self._given, strict=True):
            if frames is not None:
                means.setdefault(person, []).append(frames[:, : 2 * POINTS].mean(axis=0))
        return {person: np.mean(found, axis=0) for person, found in means.items()}

    def pick(
        self,
        items: Sequence[int],
        spans: Sequence[tuple[float, float] | None],
        lots: NDArray[np.float64],
        how: LandmarkAugment,
    ) -> tuple[Tensor, Tensor]:
        """Sequences as a network takes them, resampled.

        Args:
            items: B indices.
            spans: from when to when each is shown [s]; None: a random part of it.
            lots: (B, LOTS) 0 to 1.
            how: length of the part, tempo, cameras that are slower.

        Returns:
            (B, n, VALUES) and (B, n) bool, True where a frame is there.
        """
        sequences = [
            self._part(item, span, lot, how)
            for item, span, lot in zip(items, spans, lots, strict=True)
        ]
        most = max(1, *(len(frames) for frames, _ in sequences))
        points = np.zeros((len(sequences), most, VALUES), np.float32)
        mask = np.zeros((len(sequences), most), bool)
        for row, (frames, there) in enumerate(sequences):
            points[row, : len(frames)], mask[row, : len(frames)] = frames, there
        return torch.from_numpy(points), torch.from_numpy(mask)

    def resting(self, items: Sequence[int]) -> Tensor:
        """(B, 2 POINTS) mean shape of the person of each item; zeros without any."""
        rest = [self._shapes.get(self._people[item]) for item in items]
        unknown = np.zeros(2 * POINTS, np.float32)
        return torch.from_numpy(np.stack([unknown if one is None else one for one in rest]))

    def person_shifts(
        self, items: Sequence[int], lots: NDArray[np.float64], how: LandmarkAugment
    ) -> Tensor:
        """(B, 2 POINTS): from a person's mean shape to that of all, or some of the way to that
        of another one."""
        shifts = np.zeros((len(items), 2 * POINTS), np.float32)
        names = sorted(self._shapes)
        everybody = np.mean([self._shapes[name] for name in names], axis=0) if names else 0
        person = how.neutral + (1 - how.neutral) * how.person
        for row, (item, lot) in enumerate(zip(items, lots, strict=True)):
            own = self._shapes.get(self._people[item])
            if own is None or lot[5] >= person:
                continue
            if lot[5] < how.neutral:
                shifts[row] = everybody - own
                continue
            other = self._shapes[names[int(lot[6] * len(names))]]
            shifts[row] = how.person_share * lot[7] * (other - own)
        return torch.from_numpy(shifts)

    def _part(
        self,
        item: int,
        span: tuple[float, float] | None,
        lot: NDArray[np.float64],
        how: LandmarkAugment,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        frames, times = self._given[item], self._times[item]
        if frames is None:
            return np.zeros((0, VALUES), np.float32), np.zeros(0, bool)
        if span is None:
            whole = times[-1] - times[0]
            length = whole * (1 - (1 - how.crop_low) * lot[1])
            begin = times[0] + lot[2] * (whole - length)
            span = begin, begin + min(length, LONGEST_S)
        first, last = np.searchsorted(times, (span[0] - _NEAR_S, span[1] + _NEAR_S))
        if last <= first:
            return np.zeros((0, VALUES), np.float32), np.zeros(0, bool)
        kept = np.arange(first, last)
        if lot[3] < how.thin and last - first > 1:
            given_hz = (last - first - 1) / max(times[last - 1] - times[first], 1e-6)
            wanted_hz = _SLOWEST_HZ + lot[3] / how.thin * (_FASTEST_HZ - _SLOWEST_HZ)
            step = max(1.0, given_hz / wanted_hz)
            kept = first + np.arange(0, last - first, step).round().astype(np.int64)
            kept = kept[kept < last]
        tempo = np.exp(how.tempo * (2 * lot[4] - 1))
        return resample(frames[kept], times[kept] / tempo)
