"""Distillation (Hinton et al. 2015): a small network learns what a large one thinks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.batch import Batch, EmotionModel
from avemo_ros.model.unimodal import collapse
from avemo_ros.zoo.bundle import load_model


class Teacher:
    """A trained model that says what it thinks of the same augmented batches."""

    def __init__(self, path: Path, student: EmotionModel, device: torch.device) -> None:
        """Set up.

        Args:
            path: of its model file.
            student: who learns from it.
            device: where both compute.

        Raises:
            ConfigError: it reads something else, or its classes are coarser.
            WeightsError: the file is missing or damaged.
        """
        loaded = load_model(path)
        model = loaded.model
        if model.modality != student.modality:
            raise ConfigError(
                "training.teacher",
                str(path),
                f"a model of '{student.modality}', as the student",
            )
        if len(model.classes) < len(student.classes):
            raise ConfigError(
                "training.teacher", str(path), f"a model of {len(student.classes)} classes"
            )
        self._model = model.to(device).requires_grad_(False)
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._temperature = loaded.temperature
        self._collapses = student.classes == EMOTIONS and model.classes != EMOTIONS

    def logits(self, batch: Batch) -> Tensor:
        """(B, classes of the student), calibrated."""
        side = self._model.face_side
        faces = batch.faces
        if faces is not None and faces.shape[-1] != side:
            larger = functional.interpolate(
                faces.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=False
            )
            batch = replace(batch, faces=larger.view(*faces.shape[:3], side, side))
        with torch.no_grad():
            logits = self._model(batch).logits.float()
        logits = logits / self._temperature
        return collapse(logits) if self._collapses else logits


def distillation_loss(
    student: Tensor, teacher: Tensor, allowed: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy of softened answers, times temperature^2 so that slopes stay alike large.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        allowed: (B, C) bool, classes that occur in the row's data sets.
        temperature: above 1 is softer.
    """
    least = -1e4
    wanted = torch.softmax(teacher.masked_fill(~allowed, least) / temperature, 1)
    said = torch.log_softmax(student.float().masked_fill(~allowed, least) / temperature, 1)
    return -(wanted * said).sum(1).mean() * temperature**2
