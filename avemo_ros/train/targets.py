"""Targets of items: their labels or raters' votes, in the classes of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.data.item import Item
from avemo_ros.data.registry import find_dataset
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION


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
