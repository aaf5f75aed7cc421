"""Facial action units to logits."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.model.batch import Batch
from avemo_ros.model.unimodal import CLASSES, Encoded, Unimodal, nothing, spread

UNITS: Final = 35
"""Columns of OpenFace: 17 intensities and 18 presences."""
_FARTHEST: Final = 6.0
"""Standardised units are cut here: one odd row must not rule."""


class UnitsMLP(Unimodal):
    """Standardised action units through dense layers."""

    modality = "au"
    part = "au"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, hidden: tuple[int, ...], dropout: float, input_dropout: float, classes: str
    ) -> None:
        """Set up.

        Args:
            hidden: widths of the hidden layers; none: the units themselves are the vector.
            dropout: after each hidden layer.
            input_dropout: of units.
            classes: 'speech' (8) or 'emotions' (7).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.register_buffer("mean", torch.zeros(UNITS))
        self.register_buffer("deviation", torch.ones(UNITS))
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        given = UNITS
        for width in hidden:
            layers += [nn.Linear(given, width), nn.ReLU(), nn.Dropout(dropout)]
            given = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(given, len(self.classes))
        self.width = self.segment_width = given

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; units are means over the item, so all segments are alike."""
        units, there = batch.units, batch.units_there
        if units is None or (there is not None and not bool(there.any())):
            return nothing(self, batch, segments)
        if there is None:
            there = torch.ones(len(units), dtype=torch.bool, device=units.device)
        vector = spread(self.read(units[there])[0], there)
        parts = vector.unsqueeze(1).expand(-1, segments, -1) if segments else None
        return Encoded(vector, there, parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        given = (whole - self.mean) / self.deviation
        vector: Tensor = self.layers(given.clamp(-_FARTHEST, _FARTHEST))
        return vector, vector.unsqueeze(1).expand(-1, segments, -1) if segments else None

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(vector)
        return logits


def standardise_units(model: nn.Module, units: Tensor) -> bool:
    """Tell every action-unit part of a model what units are like; before training.

    Args:
        model: changed in place.
        units: (N, 35) of the training data.

    Returns:
        False: the model has no such part.
    """
    deviation, mean = torch.std_mean(units.double(), dim=0, correction=0)
    # A unit that never changes in the training data says nothing.
    deviation = torch.where(deviation < 1e-6, torch.ones_like(deviation), deviation)
    parts = [module for module in model.modules() if isinstance(module, UnitsMLP)]
    for part in parts:
        part.mean.copy_(mean)
        part.deviation.copy_(deviation)
    return bool(parts)
