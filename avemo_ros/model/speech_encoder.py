"""What every speech encoder has in common, and the model of a voice that it makes.

A speech encoder turns a spectrogram into cells of a feature map; attention weighs the cells
and pools them to one emotion vector (Zhang et al. 2018, arXiv 1806.01506).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.labels import SPEECH_CLASSES
from avemo_ros.model.attention import SHARPNESS, CellAttention, CellMean, TimeAttention
from avemo_ros.model.emotion_model import (
    CLASSES,
    Batch,
    Encoded,
    Unimodal,
    mean_segments,
    missing_encoding,
    scatter_rows,
)

POOLS: Final = ("cells", "time", "mean")
"""What the attention runs over; 'mean' is the plain mean."""


class SpeechEncoder(nn.Module, ABC):
    """Spectrogram to emotion vector: cells of a feature map, pooled by attention."""

    def __init__(
        self, width: int, attention: str, sharpness: float = SHARPNESS, *, statistics: bool
    ) -> None:
        """Set up.

        Args:
            width: channels of the cells, and length of the emotion vector.
            attention: over 'cells' (2-D), over 'time' (1-D), or the 'mean'.
            sharpness: lambda of the attention, 0 to 1.
            statistics: pool the deviation of the cells beside their mean, by the same weights
                (attentive statistics pooling; Okabe et al. 2018, arXiv 1803.10963, section 3).
        """
        super().__init__()
        self.attention: CellAttention | TimeAttention | CellMean
        if attention == "mean":
            self.attention = CellMean(width)
        else:
            over = CellAttention if attention == "cells" else TimeAttention
            self.attention = over(width, sharpness)
        self.join = _begin_as_mean(width) if statistics else None
        self.standardise: nn.Module = nn.Identity()
        """What mean and deviation go through before they are joined."""
        self.width = width

    @abstractmethod
    def cells(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to the cells (B, width, T', F')."""

    def pool(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, width, T', F') to the vector (B, width) and the weights (B, T', F')."""
        mean, weights = self.attention(cells)
        if self.join is None:
            return mean, weights
        power = torch.einsum("bcl,bl->bc", cells.flatten(2).square(), weights.flatten(1))
        # The slope of the root must stay finite where a channel does not vary.
        deviation = (power - mean.square()).clamp_min(1e-5).sqrt()
        vector: Tensor = self.join(self.standardise(torch.cat((mean, deviation), 1)))
        return vector, weights

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to (B, width)."""
        return self.pool(self.cells(spectrogram))[0]

    def weights(self, spectrogram: Tensor) -> Tensor:
        """Where the network listens: (B, T', F'), each sums to 1."""
        with torch.no_grad():
            return self.pool(self.cells(spectrogram))[1]


def _begin_as_mean(width: int) -> nn.Linear:
    """Mean and deviation to one vector; at first the mean alone, nearly, so that weights of a
    network without deviations are a good start."""
    layer = nn.Linear(2 * width, width)
    with torch.no_grad():
        layer.weight[:, :width] = torch.eye(width)
        layer.weight[:, width:] = 0.02 * torch.randn(width, width)
        layer.bias.zero_()
    return layer


class SpeechBranch(nn.Module):
    """Spectrogram of a window to one emotion vector: encoder, head."""

    def __init__(
        self,
        encoder: SpeechEncoder,
        dropout: float = 0.3,
        classes: int = len(SPEECH_CLASSES),
    ) -> None:
        """Set up.

        Args:
            encoder: spectrogram to vector.
            dropout: before the head.
            classes: number of logits.
        """
        super().__init__()
        self.encoder = encoder
        self.width = encoder.width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, classes)

    def classify(self, vector: Tensor) -> Tensor:
        """Speech vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200) to logits (B, classes)."""
        return self.classify(self.encoder(spectrogram))


class SpeechModel(Unimodal):
    """Speech of any length from 0.63 s to logits."""

    modality = "audio"
    part = "audio"

    def __init__(
        self, encoder: SpeechEncoder, dropout: float = 0.3, classes: str = "speech"
    ) -> None:
        """Set up.

        Args:
            encoder: spectrogram to vector.
            dropout: before the head.
            classes: 'speech' (8, with calm) or 'emotions' (7).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.branch = SpeechBranch(encoder, dropout, len(self.classes))
        self.width = self.segment_width = encoder.width

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of the map's cells over their times."""
        speech, there = batch.speech, batch.speech_mask
        if speech is None or (there is not None and not bool(there.any())):
            return missing_encoding(self, batch, segments)
        if there is None:
            there = torch.ones(len(speech), dtype=torch.bool, device=speech.device)
        elif not bool(there.all()):
            # What is missing must not enter the statistics of batch norm.
            speech = speech[there]
        vector, parts = self.read(speech, segments)
        return Encoded(
            scatter_rows(vector, there),
            there,
            None if parts is None else scatter_rows(parts, there),
        )

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        cells = self.branch.encoder.cells(whole)
        vector = self.branch.encoder.pool(cells)[0]
        return vector, mean_segments(cells.mean(3).transpose(1, 2), segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        return self.branch.classify(vector)
