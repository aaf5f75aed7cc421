"""Figures of classified items: accuracy, recall, F1 and confusion."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

NO_ANSWER: Final = -1
"""The class of an item for which a model has no preference; it counts as wrong."""

_EQUAL: Final = 1e-6


def answers(scores: Tensor) -> Tensor:
    """(N,) likeliest class of (N, C) scores; NO_ANSWER where all scores are equal.

    Equal scores are what a model gives for an item that lacks all that it reads.
    """
    undecided = scores.amax(1) - scores.amin(1) < _EQUAL
    return scores.argmax(1).masked_fill(undecided, NO_ANSWER)


def accuracy(guessed: Tensor, true: Tensor) -> float:
    """Share of right answers (WA), 0 to 1.

    Args:
        guessed: (N,) answered class; -1 for an item without an answer, which is wrong.
        true: (N,) true class.
    """
    return float((guessed == true).double().mean())


def confusion(guessed: Tensor, true: Tensor, classes: int) -> Tensor:
    """(classes, classes) counts: rows are the truth, columns the answers.

    Items without an answer (-1) are in no cell.
    """
    answered = guessed >= 0
    cells = true[answered] * classes + guessed[answered]
    return torch.bincount(cells, minlength=classes * classes).view(classes, classes)


def recalls(guessed: Tensor, true: Tensor, classes: int) -> Tensor:
    """(classes,) share of each true class found; NaN for a class that does not occur."""
    found = confusion(guessed, true, classes).diagonal().float()
    return found / torch.bincount(true, minlength=classes).float()


def unweighted_recall(guessed: Tensor, true: Tensor) -> float:
    """Mean recall over the classes that occur (UA, balanced accuracy), 0 to 1."""
    classes = int(max(guessed.max(), true.max())) + 1
    return float(recalls(guessed, true, classes).nanmean())


def macro_f1(guessed: Tensor, true: Tensor) -> float:
    """Mean F1 over the classes that occur in the truth or in the answers, 0 to 1.

    F1 is twice the found over the sum of those true and those answered.
    """
    classes = int(max(guessed.max(), true.max())) + 1
    found = confusion(guessed, true, classes).diagonal().double()
    answered = torch.bincount(guessed[guessed >= 0], minlength=classes)
    both = (torch.bincount(true, minlength=classes) + answered).double()
    return float((2 * found / both).nanmean())
