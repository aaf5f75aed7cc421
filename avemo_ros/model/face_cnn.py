"""Face network: a light residual CNN for 48x48 grey faces."""

from __future__ import annotations

from typing import Final, Protocol

from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.attention import FrameAttention

FACE_WIDTH: Final = 256
"""Length of a face embedding."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a way around them (He et al. 2016)."""

    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, made, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(made)
        self.conv2 = nn.Conv2d(made, made, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(made)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or given != made:
            self.around = nn.Sequential(
                nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, given, H, W) to (B, made, H / stride, W / stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.around(x))


class FaceCNN(nn.Module):
    """ResNet-18-like: a 3x3 stem halved by pooling, then residual stages.

    Any picture side from 16 works, since the last step is a mean over places.
    """

    side = 48

    def __init__(
        self,
        widths: tuple[int, ...] = (48, 96, 192, FACE_WIDTH),
        blocks: tuple[int, ...] = (2, 2, 2, 1),
        stem: int = 32,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 3, 1, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        stages: list[nn.Module] = []
        given = stem
        for place, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for index in range(count):
                stride = 2 if index == 0 and place > 0 else 1
                stages.append(ResidualBlock(given, width, stride))
                given = width
        self.stages = nn.Sequential(*stages)
        self.width = given
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 1, 48, 48), standardised (`preprocess.face_tensor`), to (N, width)."""
        features: Tensor = self.stages(self.stem(pictures))
        return features.mean(dim=(2, 3))


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
