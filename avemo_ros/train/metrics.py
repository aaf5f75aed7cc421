"""Figures of the protocol: accuracy, recall, confusion, intervals over speakers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def accuracy(guessed: Tensor, true: Tensor) -> float:
    """Share of right answers (WA), 0 to 1."""
    return float((guessed == true).float().mean())


def confusion(guessed: Tensor, true: Tensor, classes: int) -> Tensor:
    """(classes, classes) counts: rows are the truth, columns the answers."""
    cells = torch.bincount(true * classes + guessed, minlength=classes * classes)
    return cells.view(classes, classes)


def recalls(guessed: Tensor, true: Tensor, classes: int) -> Tensor:
    """(classes,) share of each true class found; NaN for a class that does not occur."""
    table = confusion(guessed, true, classes).float()
    return table.diagonal() / table.sum(1)


def unweighted_recall(guessed: Tensor, true: Tensor) -> float:
    """Mean recall over the classes that occur (UA), 0 to 1."""
    classes = int(max(guessed.max(), true.max())) + 1
    return float(recalls(guessed, true, classes).nanmean())


def interval(
    figure: Callable[[Tensor], float],
    groups: Sequence[str] | NDArray[np.str_],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a figure, bootstrapped over groups (speakers, or pictures).

    Args:
        figure: of the rows picked by an index tensor; rows may repeat.
        groups: group of each row.
        rounds: resamples.
        seed: of the chance.

    Returns:
        2.5 and 97.5 percentiles.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(members == index) for index in range(len(names))]
    chance = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        picked = chance.integers(0, len(rows), len(rows))
        values.append(figure(torch.from_numpy(np.concatenate([rows[i] for i in picked]))))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
