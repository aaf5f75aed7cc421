"""The two unimodal branches: each ends in an emotion vector and logits of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES, SPEECH_TO_EMOTION
from avemo_ros.model.attention import FrameAttention
from avemo_ros.model.audio_fcn import AudioFCN
from avemo_ros.model.face_cnn import FaceCNN


class FaceBranch(nn.Module):
    """Faces of a window to one emotion vector: CNN, frame attention, head."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.cnn = FaceCNN()
        self.width = self.cnn.width
        self.attention = FrameAttention(self.width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, len(EMOTIONS))

    def pool(self, embeddings: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings (B, N, width) to the face vector (B, width) and weights (B, N)."""
        pooled, weights = self.attention(embeddings, mask)
        return pooled, weights

    def classify(self, vector: Tensor) -> Tensor:
        """Face vectors (B, width) to logits (B, 7) over EMOTIONS."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def forward(self, pictures: Tensor) -> Tensor:
        """Single faces (N, 1, 48, 48) to logits (N, 7): for training on pictures."""
        return self.classify(self.cnn(pictures))


class SpeechBranch(nn.Module):
    """Spectrogram of a window to one emotion vector: FCN, cell attention, head."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.fcn = AudioFCN()
        self.width = self.fcn.width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, len(SPEECH_CLASSES))

    def classify(self, vector: Tensor) -> Tensor:
        """Speech vectors (B, width) to logits (B, 8) over SPEECH_CLASSES."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200) to logits (B, 8) over SPEECH_CLASSES."""
        return self.classify(self.fcn(spectrogram))


def collapse(logits: Tensor) -> Tensor:
    """Logits (B, 8) over SPEECH_CLASSES to (B, 7) over EMOTIONS.

    The probabilities of classes that count as one emotion add up, hence log-sum-exp: softmax
    of the result is exactly the summed softmax of what was given.
    """
    columns = []
    for emotion in range(len(EMOTIONS)):
        members = [i for i, to in enumerate(SPEECH_TO_EMOTION) if to == emotion]
        columns.append(torch.logsumexp(logits[:, members], dim=1))
    return torch.stack(columns, dim=1)
