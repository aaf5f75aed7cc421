"""Accuracy (WA) and mean recall (UA) of several framings of the same pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, bootstrapped over pictures."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one framing."""

    accuracy: Estimate
    ua: Estimate
    accuracy_gain: Estimate
    """Less that of the framing it is compared with, on the same pictures in every round."""
    ua_gain: Estimate


def score(
    right: NDArray[np.bool_], labels: NDArray[np.int64], reference: int, seed: int = 0
) -> list[Score]:
    """Figures of S framings.

    Args:
        right: (N, S) whether the answer is right.
        labels: (N,) class of each picture.
        reference: column that the others are compared with.
        seed: of the bootstrap.
    """
    count = len(labels)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), ROUNDS)
    # The first row is the pictures themselves.
    weights = np.vstack([np.ones((1, count)), drawn])
    accuracy = weights @ right / count
    recalls = []
    for label in np.unique(labels):
        of_class = labels == label
        with np.errstate(invalid="ignore"):  # a round may draw none of a class
            recalls.append(
                weights[:, of_class] @ right[of_class] / weights[:, of_class].sum(1)[:, None]
            )
    ua = np.nanmean(np.stack(recalls), axis=0)
    return [
        Score(
            _estimate(accuracy[:, column]),
            _estimate(ua[:, column]),
            _estimate(accuracy[:, column] - accuracy[:, reference]),
            _estimate(ua[:, column] - ua[:, reference]),
        )
        for column in range(right.shape[1])
    ]


def _estimate(values: NDArray[np.float64]) -> Estimate:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high))
