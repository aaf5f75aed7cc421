"""A training batch: rows with targets, what is done to rows as wholes, and its loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.model.emotion_model import Batch, ModelOutput
from avemo_ros.train.pretrained import Teacher, distillation_loss
from avemo_ros.train.training_config import TrainConfig, TrainingConfig


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """B rows to learn from."""

    batch: Batch
    targets: Tensor
    """(B, classes), rows sum to 1."""
    allowed: Tensor
    """(B, classes) bool: classes that occur in the data sets of the row."""
    weights: Tensor
    """(B,) of the rows in the loss, 1 on average."""
    votes: Tensor | None = None
    """(B, 8) shares of the raters' votes over FACE_CLASSES; zeros for a row without."""


def drop_modality(batch: Batch, share: float, own: torch.Generator) -> Batch:
    """Modality dropout: some rows lose their voice, as many their face, action units or
    landmarks.

    A row that has only one of them keeps it.
    """
    visual = (batch.faces, batch.units, batch.points)
    if share == 0.0 or batch.speech is None or all(one is None for one in visual):
        return batch
    lot = torch.rand(len(batch.speech), generator=own, device=own.device)
    mute, hidden = lot < share, lot > 1 - share
    heard = batch.speech_mask
    assert heard is not None
    keeps = ~(hidden & heard)
    if batch.faces is not None:
        assert batch.face_mask is not None
        seen = batch.face_mask.any(1)
        batch = replace(batch, face_mask=batch.face_mask & keeps[:, None])
    elif batch.points is not None:
        assert batch.points_mask is not None
        seen = batch.points_mask.any(1)
        batch = replace(batch, points_mask=batch.points_mask & keeps[:, None])
    else:
        assert batch.units_mask is not None
        seen = batch.units_mask
        batch = replace(batch, units_mask=seen & keeps)
    return replace(batch, speech_mask=heard & ~(mute & seen))


def mix_rows(rows: TrainingBatch, config: TrainConfig, own: torch.Generator) -> TrainingBatch:
    """Mixup (Zhang et al. 2018): each row with some of another one that has the same parts."""
    how = config.augment
    if how.mixup == 0.0 or float(torch.rand(1, generator=own, device=own.device)) >= how.mixup:
        return rows
    batch, size = rows.batch, len(rows.targets)
    other = torch.randperm(size, generator=own, device=own.device)
    share = how.mixup_share * torch.rand(size, generator=own, device=own.device)
    for mask in (batch.face_mask, batch.speech_mask, batch.units_mask):
        if mask is not None:
            whole = mask.view(size, -1)
            share = share * (whole == whole[other]).all(1)
    points_mask = batch.points_mask
    if points_mask is not None:
        # Frames where both are there; rows that share none, or have none, are not mixed.
        shared = points_mask & points_mask[other]
        share = share * shared.any(1)
        points_mask = torch.where((share > 0)[:, None], shared, points_mask)

    def mix(given: Tensor | None) -> Tensor | None:
        if given is None:
            return None
        wide = share.view(-1, *[1] * (given.ndim - 1))
        return (1 - wide) * given + wide * given[other]

    targets, mixed = mix(rows.targets), share > 0
    assert targets is not None
    return TrainingBatch(
        replace(
            batch,
            faces=mix(batch.faces),
            speech=mix(batch.speech),
            units=mix(batch.units),
            points=mix(batch.points),
            points_mask=points_mask,
        ),
        targets,
        rows.allowed | (rows.allowed[other] & mixed[:, None]),
        (1 - share) * rows.weights + share * rows.weights[other],
        mix(rows.votes),
    )


NEVER: Final = -1e4
"""Logit of a class that cannot be."""


def batch_loss(
    network: nn.Module,
    rows: TrainingBatch,
    settings: TrainingConfig,
    teacher: Teacher | None = None,
) -> Tensor:
    """Cross-entropy of a batch, with the losses of the parts' own heads and that of votes.

    Args:
        network: an EmotionModel, or one wrapped for several processes.
        rows: the batch.
        settings: label smoothing, weights of the auxiliary losses and of the teacher.
        teacher: who answers the same batch, if anybody.
    """
    smoothing, auxiliary = settings.smoothing, settings.auxiliary
    answer: ModelOutput = network(rows.batch)
    loss = soft_cross_entropy(answer.logits, rows, smoothing)
    if teacher is not None:
        softened = distillation_loss(
            answer.logits,
            teacher.logits(rows.batch),
            rows.allowed,
            settings.teacher_temperature,
        )
        weight = settings.teacher_weight
        loss = (1 - weight) * loss + weight * softened
    if auxiliary > 0.0 and answer.parts:
        losses = []
        for name, logits in answer.parts.items():
            there = _there(rows, name)
            losses.append(soft_cross_entropy(logits, rows, smoothing, there))
        loss = loss + auxiliary * torch.stack(losses).mean()
    if auxiliary > 0.0 and answer.votes is not None and rows.votes is not None:
        agreed = rows.votes * torch.log_softmax(answer.votes.float(), 1)
        loss = loss - auxiliary * agreed.sum(1).mean()
    return loss


def soft_cross_entropy(
    logits: Tensor, rows: TrainingBatch, smoothing: float = 0.0, there: Tensor | None = None
) -> Tensor:
    """Cross-entropy among the classes that the row's data sets know, mean over all rows.

    Without this the network would learn to tell the data set and from it the classes.

    Args:
        logits: (B, C).
        rows: targets, classes and weights of the rows.
        smoothing: share of the target that all allowed classes have alike.
        there: (B,) bool; rows without do not count.
    """
    logits = logits.float().masked_fill(~rows.allowed, NEVER)
    allowed = rows.allowed.float()
    targets = rows.targets * allowed
    targets = targets / targets.sum(1, keepdim=True).clamp_min(1e-6)
    targets = (1 - smoothing) * targets + smoothing * allowed / allowed.sum(1, keepdim=True)
    losses = -(targets * torch.log_softmax(logits, 1)).sum(1) * rows.weights
    return losses.mean() if there is None else (losses * there).mean()


def _there(rows: TrainingBatch, part: str) -> Tensor | None:
    batch = rows.batch
    if part == "face":
        return None if batch.face_mask is None else batch.face_mask.any(1)
    if part == "landmarks":
        return None if batch.points_mask is None else batch.points_mask.any(1)
    return batch.speech_mask if part == "audio" else batch.units_mask
