"""A batch with what is to be learned from it, and what is done to its rows as wholes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avemo_ros.model.batch import Batch
from avemo_ros.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Lesson:
    """B rows to learn from."""

    batch: Batch
    targets: Tensor
    """(B, classes), rows sum to 1."""
    allowed: Tensor
    """(B, classes) bool: classes that occur in the data sets of the row."""
    weights: Tensor
    """(B,) of the rows in the loss, 1 on average."""


def drop_modality(batch: Batch, share: float, own: torch.Generator) -> Batch:
    """Modality dropout: some rows lose their voice, as many their face or action units.

    A row that has only one of them keeps it.
    """
    if share == 0.0 or batch.speech is None or (batch.faces is None and batch.units is None):
        return batch
    lot = torch.rand(len(batch.speech), generator=own, device=own.device)
    mute, hidden = lot < share, lot > 1 - share
    heard = batch.speech_there
    assert heard is not None
    if batch.faces is not None:
        assert batch.face_mask is not None
        seen = batch.face_mask.any(1)
        keeps = ~(hidden & heard)
        batch = replace(batch, face_mask=batch.face_mask & keeps[:, None])
    else:
        assert batch.units_there is not None
        seen = batch.units_there
        batch = replace(batch, units_there=seen & ~(hidden & heard))
    return replace(batch, speech_there=heard & ~(mute & seen))


def mix_rows(lesson: Lesson, config: TrainConfig, own: torch.Generator) -> Lesson:
    """Mixup (Zhang et al. 2018): each row with some of another one that has the same parts."""
    how = config.augment
    if how.mixup == 0.0 or float(torch.rand(1, generator=own, device=own.device)) >= how.mixup:
        return lesson
    batch, size = lesson.batch, len(lesson.targets)
    other = torch.randperm(size, generator=own, device=own.device)
    share = how.mixup_share * torch.rand(size, generator=own, device=own.device)
    for mask in (batch.face_mask, batch.speech_there, batch.units_there):
        if mask is not None:
            whole = mask.view(size, -1)
            share = share * (whole == whole[other]).all(1)

    def mix(given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        wide = share.view(-1, *[1] * (given.ndim - 1))
        return (1 - wide) * given + wide * given[other]

    targets, mixed = mix(lesson.targets), share > 0
    assert targets is not None
    return Lesson(
        replace(
            batch, faces=mix(batch.faces), speech=mix(batch.speech), units=mix(batch.units)
        ),
        targets,
        lesson.allowed | (lesson.allowed[other] & mixed[:, None]),
        (1 - share) * lesson.weights + share * lesson.weights[other],
    )
