"""Landmark sequences of the training items: which part of each is shown, and at which pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.data.features import Corpus
from avemo_ros.model.face_points import LONGEST_S, POINTS, VALUES, normalise_points, resample
from avemo_ros.train.training_config import LandmarkAugment

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
        for made in corpus.features:
            known = made.points is not None and made.point_times_s is not None
            frames = normalise_points(made.points) if made.points is not None else None
            kept = None if frames is None else np.isfinite(frames).all(axis=1)
            if not known or frames is None or kept is None or not kept.any():
                self._given.append(None)
                self._times.append(np.zeros(0))
                continue
            assert made.point_times_s is not None
            self._given.append(frames[kept])
            self._times.append(made.point_times_s[kept].astype(np.float64))
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
        made = [
            self._part(item, span, lot, how)
            for item, span, lot in zip(items, spans, lots, strict=True)
        ]
        most = max(1, *(len(frames) for frames, _ in made))
        points = np.zeros((len(made), most, VALUES), np.float32)
        mask = np.zeros((len(made), most), bool)
        for row, (frames, there) in enumerate(made):
            points[row, : len(frames)], mask[row, : len(frames)] = frames, there
        return torch.from_numpy(points), torch.from_numpy(mask)

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
