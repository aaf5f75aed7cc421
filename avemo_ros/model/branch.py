"""The two unimodal branches: each ends in an emotion vector and logits of its own."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.model.attention import FrameAttention
from avemo_ros.model.audio_fcn import AudioFCN
from avemo_ros.model.face_cnn import FaceCNN


class FrameCNN(Protocol):
    """A network (an `nn.Module`) for single pictures."""

    width: int
    """Length of its embedding."""
    side: int
    """Side of the pictures it is made for [pixels]."""

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 1, side, side), standardised, to (N, width)."""


class FramePooling(Protocol):
    """Frames of a sequence to one vector (an `nn.Module`, see `attention.py`)."""

    width: int
    """Length of the vector."""

    def __call__(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, N, frame width) to (B, width) and weights (B, N)."""


class FaceBranch(nn.Module):
    """Faces of a window to one emotion vector: CNN, frame attention, head."""

    cnn: FrameCNN
    attention: FramePooling

    def __init__(
        self,
        dropout: float = 0.2,
        cnn: FrameCNN | None = None,
        attention: FramePooling | None = None,
        classes: int = len(EMOTIONS),
    ) -> None:
        """Set up.

        Args:
            dropout: before the head.
            cnn: of single pictures; None: the light one as released.
            attention: over its embeddings; None: softmax attention.
            classes: number of logits.
        """
        super().__init__()
        self.cnn = cnn if cnn is not None else FaceCNN()
        self.attention = attention if attention is not None else FrameAttention(self.cnn.width)
        self.width = self.attention.width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, classes)

    def pool(self, embeddings: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings (B, N, cnn width) to the face vector (B, width) and weights (B, N)."""
        pooled, weights = self.attention(embeddings, mask)
        return pooled, weights

    def classify(self, vector: Tensor) -> Tensor:
        """Face vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def forward(self, pictures: Tensor) -> Tensor:
        """Single faces (N, 1, side, side) to logits (N, classes): to train on pictures."""
        vector = self.cnn(pictures)
        # One frame's weighted mean is the frame, unless its relation to the mean joins it.
        if self.width != self.cnn.width:
            vector = self.pool(vector.unsqueeze(1))[0]
        return self.classify(vector)


class SpeechBranch(nn.Module):
    """Spectrogram of a window to one emotion vector: FCN, cell attention, head."""

    def __init__(
        self,
        dropout: float = 0.3,
        fcn: AudioFCN | None = None,
        classes: int = len(SPEECH_CLASSES),
    ) -> None:
        """Set up.

        Args:
            dropout: before the head.
            fcn: None: as released.
            classes: number of logits.
        """
        super().__init__()
        self.fcn = fcn if fcn is not None else AudioFCN()
        self.width = self.fcn.width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, classes)

    def classify(self, vector: Tensor) -> Tensor:
        """Speech vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200) to logits (B, classes)."""
        return self.classify(self.fcn(spectrogram))


def collapse(logits: Tensor) -> Tensor:
    """Logits (B, 8) over SPEECH_CLASSES to (B, 7) over EMOTIONS.

    The probabilities of classes that count as one emotion add up, hence log-sum-exp: softmax
    of the result is exactly the summed softmax of what was given.
    """
    columns = []
    for emotion in range(len(EMOTIONS)):
        members = [i for i, to in enumerate(SPEECH_TO_EMOTION) if to == emotion]
        alone = len(members) == 1
        columns.append(
            logits[:, members[0]] if alone else torch.logsumexp(logits[:, members], dim=1)
        )
    return torch.stack(columns, dim=1)
