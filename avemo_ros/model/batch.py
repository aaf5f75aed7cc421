"""What every network takes and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor, nn

MODALITIES: Final = ("face", "audio", "av", "au", "au+audio")
"""What a model reads: face crops, sound, both, action units, action units and sound."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B items; a part that no model at hand reads is None."""

    faces: Tensor | None = None
    """(B, n, 1, side, side) float32, standardised (`preprocess.standardise`)."""
    face_mask: Tensor | None = None
    """(B, n) bool, True where a face is there; None: everywhere.  A row of False: no face."""
    speech: Tensor | None = None
    """(B, 1, T, 200) float32 (`preprocess.relative`), T from 63."""
    speech_there: Tensor | None = None
    """(B,) bool, False where the voice is missing; None: all are there."""
    units: Tensor | None = None
    """(B, 35) float32 action units as the table has them; the model standardises."""
    units_there: Tensor | None = None
    """(B,) bool, False where the action units are missing; None: all are there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network makes of a batch."""

    logits: Tensor
    """(B, classes)."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Logits (B, classes) of the parts that have a head of their own ('face', 'audio', 'au'):
    for auxiliary losses and for comparison."""
    face_share: Tensor | None = None
    """(B,) weight of the face in the decision, 0 to 1, where the network has such a weight."""


class EmotionModel(nn.Module, ABC):
    """A network that tells emotions."""

    modality: str
    """One of MODALITIES."""
    classes: tuple[str, ...]
    """Names of the logits: EMOTIONS or SPEECH_CLASSES."""
    face_side: int = 48
    """Side of the face pictures it takes [pixels]."""

    @abstractmethod
    def forward(self, batch: Batch) -> Answer:
        """Logits of a batch.

        A fused model takes any mix of rows with and without face or voice; a row with neither
        gets the same logits for every class.
        """
