"""The training loss."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.model.batch import Answer
from avemo_ros.train.config import TrainingConfig
from avemo_ros.train.lesson import Lesson
from avemo_ros.train.teacher import Teacher, distillation_loss

_NEVER: Final = -1e4
"""Logit of a class that cannot be."""


def lesson_loss(
    network: nn.Module,
    lesson: Lesson,
    settings: TrainingConfig,
    teacher: Teacher | None = None,
) -> Tensor:
    """Cross-entropy of a batch, with the losses of the parts' own heads.

    Args:
        network: an EmotionModel, or one wrapped for several processes.
        lesson: the batch.
        settings: label smoothing, weights of the auxiliary losses and of the teacher.
        teacher: who answers the same batch, if anybody.
    """
    smoothing, auxiliary = settings.smoothing, settings.auxiliary
    answer: Answer = network(lesson.batch)
    loss = soft_cross_entropy(answer.logits, lesson, smoothing)
    if teacher is not None:
        softened = distillation_loss(
            answer.logits,
            teacher.logits(lesson.batch),
            lesson.allowed,
            settings.teacher_temperature,
        )
        weight = settings.teacher_weight
        loss = (1 - weight) * loss + weight * softened
    if auxiliary > 0.0 and answer.parts:
        losses = []
        for name, logits in answer.parts.items():
            there = _there(lesson, name)
            losses.append(soft_cross_entropy(logits, lesson, smoothing, there))
        loss = loss + auxiliary * torch.stack(losses).mean()
    return loss


def soft_cross_entropy(
    logits: Tensor, lesson: Lesson, smoothing: float = 0.0, there: Tensor | None = None
) -> Tensor:
    """Cross-entropy among the classes that the row's data sets know, mean over all rows.

    Without this the network would learn to tell the data set and from it the classes.

    Args:
        logits: (B, C).
        lesson: targets, classes and weights of the rows.
        smoothing: share of the target that all allowed classes have alike.
        there: (B,) bool; rows without do not count.
    """
    logits = logits.float().masked_fill(~lesson.allowed, _NEVER)
    allowed = lesson.allowed.float()
    targets = lesson.targets * allowed
    targets = targets / targets.sum(1, keepdim=True).clamp_min(1e-6)
    targets = (1 - smoothing) * targets + smoothing * allowed / allowed.sum(1, keepdim=True)
    rows = -(targets * torch.log_softmax(logits, 1)).sum(1) * lesson.weights
    return rows.mean() if there is None else (rows * there).mean()


def _there(lesson: Lesson, part: str) -> Tensor | None:
    batch = lesson.batch
    if part == "face":
        return None if batch.face_mask is None else batch.face_mask.any(1)
    return batch.speech_there if part == "audio" else batch.units_there
