"""How far confidences can be believed (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.evaluate.metrics import answers
from avemo_ros.model.calibration import fit_temperature

BINS: Final = 15
"""Equal-width bins of the calibration error."""
LEAST_HALF: Final = 20
"""Fewest items that a temperature is fitted on."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence and accuracy, bin by bin."""

    counts: tuple[int, ...]
    """Items in each of BINS."""
    confidence: tuple[float, ...]
    """Mean largest probability in each bin; NaN in an empty one."""
    accuracy: tuple[float, ...]
    """Share of right answers in each bin; NaN in an empty one."""


def bin_of(confidence: Tensor) -> Tensor:
    """Bin of each confidence: bin i holds i / 15 up to (i + 1) / 15, 1 is in the last."""
    return (confidence * BINS).long().clamp_max(BINS - 1)


def reliability(probabilities: Tensor, labels: Tensor) -> Reliability:
    """Sort the items by confidence.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.
    """
    confidence = probabilities.double().amax(1)
    guessed = answers(probabilities)
    places = bin_of(confidence)
    counts = torch.bincount(places, minlength=BINS)
    sure = torch.bincount(places, confidence, minlength=BINS) / counts
    right = torch.bincount(places, (guessed == labels).double(), minlength=BINS) / counts
    return Reliability(tuple(counts.tolist()), tuple(sure.tolist()), tuple(right.tolist()))


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error (ECE): mean gap of confidence and accuracy over 15 bins.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.

    Returns:
        0 to 1.
    """
    found = reliability(probabilities, labels)
    counts = torch.tensor(found.counts)
    gaps = (torch.tensor(found.accuracy) - torch.tensor(found.confidence)).abs().nan_to_num()
    return float((gaps * counts).sum() / counts.sum())


def likelihood_loss(log_probabilities: Tensor, labels: Tensor) -> float:
    """Mean negative log-probability of the truth (NLL), 0 and up.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
    """
    return float(functional.nll_loss(log_probabilities.double(), labels))


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    """Mean squared distance of the distribution from the truth, 0 to 2 (Brier 1950)."""
    truth = functional.one_hot(labels, probabilities.shape[1])
    return float((probabilities.double() - truth).square().sum(1).mean())


def cross_scaled(
    log_probabilities: Tensor, labels: Tensor, groups: Sequence[str]
) -> tuple[Tensor, tuple[float, float]] | None:
    """Scale each half of the groups by the temperature that fits the other half.

    So no temperature is judged on items it was fitted on.  The groups are halved by a draw
    that is always the same: by turns, men and women of RAVDESS would be told apart.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
        groups: (N,) subject of each item.

    Returns:
        (N, C) scaled log-probabilities, and the two temperatures; None where a half has fewer
        than LEAST_HALF items, on which a temperature would be a matter of luck.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    place = np.random.default_rng(0).permutation(len(names))
    half = torch.from_numpy(place[members] % 2 == 0)
    if min(int(half.sum()), int((~half).sum())) < LEAST_HALF:
        return None
    scaled = torch.empty_like(log_probabilities)
    temperatures = []
    for part in (half, ~half):
        temperature = fit_temperature(log_probabilities[~part], labels[~part])
        scaled[part] = torch.log_softmax(log_probabilities[part] / temperature, 1)
        temperatures.append(temperature)
    return scaled, (temperatures[0], temperatures[1])
