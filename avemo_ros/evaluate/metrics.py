"""Metrics of predictions, and their calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

NO_PREDICTION: Final = -1
"""The class of an item for which a model has no preference; it counts as wrong."""

_EQUAL: Final = 1e-6
BINS: Final = 15
"""Equal-width bins of the calibration error."""
THRESHOLDS: Final = tuple(step / 20 for step in range(20))
"""Confidences from which on the curve of accuracy and coverage counts an answer."""
LEAST_HALF: Final = 20
"""Fewest items that a temperature is fitted on."""


def predicted_classes(scores: Tensor) -> Tensor:
    """(N,) likeliest class of (N, C) scores; NO_PREDICTION where all scores are equal.

    Equal scores are what a model gives for an item that lacks all that it reads.
    """
    undecided = scores.amax(1) - scores.amin(1) < _EQUAL
    return scores.argmax(1).masked_fill(undecided, NO_PREDICTION)


# Below, `weights` is (N,) how much each item counts, above 0; None: all count as one.


def accuracy(guessed: Tensor, true: Tensor, weights: Tensor | None = None) -> float:
    """Share of right answers (WA), 0 to 1.

    Args:
        guessed: (N,) answered class; -1 for an item without an answer, which is wrong.
        true: (N,) true class.
        weights: of the items.
    """
    return _mean((guessed == true).double(), weights)


def _mean(values: Tensor, weights: Tensor | None) -> float:
    if weights is None:
        return float(values.mean())
    return float((values * weights).sum() / weights.sum())


def confusion(
    guessed: Tensor, true: Tensor, classes: int, weights: Tensor | None = None
) -> Tensor:
    """(classes, classes) counts: rows are the truth, columns the answers.

    Items without an answer (-1) are in no cell.
    """
    answered = guessed >= 0
    cells = true[answered] * classes + guessed[answered]
    own = None if weights is None else weights[answered]
    return torch.bincount(cells, own, classes * classes).view(classes, classes)


def recalls(
    guessed: Tensor, true: Tensor, classes: int, weights: Tensor | None = None
) -> Tensor:
    """(classes,) share of each true class found; NaN for a class that does not occur."""
    found = confusion(guessed, true, classes, weights).diagonal().float()
    return found / torch.bincount(true, weights, classes).float()


def unweighted_recall(guessed: Tensor, true: Tensor, weights: Tensor | None = None) -> float:
    """Mean recall over the classes that occur (UA, balanced accuracy), 0 to 1."""
    classes = int(max(guessed.max(), true.max())) + 1
    return float(recalls(guessed, true, classes, weights).nanmean())


def macro_f1(guessed: Tensor, true: Tensor, weights: Tensor | None = None) -> float:
    """Mean F1 over the classes that occur in the truth, 0 to 1.

    F1 is twice the found over the sum of those true and those answered.  A class that is never
    true has an F1 of 0 as soon as it is answered once, so a single answer would decide a large
    part of the mean; such answers count as errors of the classes that are true.
    """
    f1, occurs = _f1(guessed, true, weights)
    return float(f1[occurs].mean())


def macro_f1_all(guessed: Tensor, true: Tensor, weights: Tensor | None = None) -> float:
    """Mean F1 over the classes that occur in the truth or in the answers, 0 to 1.

    What scikit-learn's `f1_score(average="macro")` gives without `labels`.
    """
    return float(_f1(guessed, true, weights)[0].nanmean())


def _f1(guessed: Tensor, true: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """(C,) F1, NaN where a class is neither true nor answered, and whether it is true."""
    classes = int(max(guessed.max(), true.max())) + 1
    found = confusion(guessed, true, classes, weights).diagonal().double()
    said = guessed >= 0
    answered = torch.bincount(
        guessed[said], None if weights is None else weights[said], classes
    )
    truth = torch.bincount(true, weights, classes)
    return 2 * found / (truth + answered).double(), truth > 0


def never_true(
    guessed: Tensor, true: Tensor, names: Sequence[str], weights: Tensor | None = None
) -> dict[str, float]:
    """How often each class was answered of those that are never true."""
    table = confusion(guessed, true, len(names), weights)
    truth = torch.bincount(true, minlength=len(names))
    counts = zip(names, table.sum(0).tolist(), truth.tolist(), strict=True)
    return {name: count for name, count, occurs in counts if count and not occurs}


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


def reliability(
    probabilities: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Reliability:
    """Sort the items by confidence.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.
        weights: of the items.
    """
    confidence = probabilities.double().amax(1)
    correct = (predicted_classes(probabilities) == labels).double()
    places = bin_of(confidence)
    counts = torch.bincount(places, weights, BINS)
    share = 1.0 if weights is None else weights
    sure = torch.bincount(places, confidence * share, BINS) / counts
    right = torch.bincount(places, correct * share, BINS) / counts
    return Reliability(tuple(counts.tolist()), tuple(sure.tolist()), tuple(right.tolist()))


def calibration_error(
    probabilities: Tensor, labels: Tensor, weights: Tensor | None = None
) -> float:
    """Expected calibration error (ECE): mean gap of confidence and accuracy over 15 bins.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.
        weights: of the items.

    Returns:
        0 to 1.
    """
    found = reliability(probabilities, labels, weights)
    counts = torch.tensor(found.counts)
    gaps = (torch.tensor(found.accuracy) - torch.tensor(found.confidence)).abs().nan_to_num()
    return float((gaps * counts).sum() / counts.sum())


def coverage_curve(
    probabilities: Tensor, right: Tensor, answered: Tensor, weights: Tensor | None = None
) -> list[dict[str, float | None]]:
    """Accuracy of the answers that stay if only the surest are given (El-Yaniv and Wiener 2010,
    section 2, whose risk is 1 less the accuracy).

    Args:
        probabilities: (N, C), rows sum to 1.
        right: (N,) whether the likeliest class is the true one.
        answered: (N,) whether there is an answer at all.
        weights: (N,) of the items.

    Returns:
        For each of THRESHOLDS `threshold`, `coverage` (None without items) and `accuracy` (None
        where nothing is as sure).
    """
    confidence = probabilities.amax(1)
    share = (torch.ones(len(right)) if weights is None else weights).double()
    points: list[dict[str, float | None]] = []
    for threshold in THRESHOLDS:
        kept = answered & (confidence >= threshold)
        count, whole = float(share[kept].sum()), float(share.sum())
        correct = float(share[kept & right].sum())
        points.append(
            {
                "threshold": threshold,
                "coverage": count / whole if whole else None,
                "accuracy": correct / count if count else None,
            }
        )
    return points


def likelihood_loss(
    log_probabilities: Tensor, labels: Tensor, weights: Tensor | None = None
) -> float:
    """Mean negative log-probability of the truth (NLL), 0 and up.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
        weights: of the items.
    """
    loss = functional.nll_loss(log_probabilities.double(), labels, reduction="none")
    return _mean(loss, weights)


def brier_score(probabilities: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Mean squared distance of the distribution from the truth, 0 to 2 (Brier 1950)."""
    truth = functional.one_hot(labels, probabilities.shape[1])
    return _mean((probabilities.double() - truth).square().sum(1), weights)


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


# Calibration: a prediction with confidence 0.7 should be right in 70 % (Guo et al. 2017).


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes `softmax(logits / temperature)` most likely (LBFGS on NLL).

    Args:
        logits: (N, C) of data that the network was not trained on.
        labels: (N,) true classes.

    Returns:
        Above 0; over 1 for a network that is too sure of itself.
    """
    given = logits.detach().double()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [log_temperature], max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(given / log_temperature.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())
