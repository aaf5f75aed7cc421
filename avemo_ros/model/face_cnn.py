"""Networks of faces: light CNNs for single 48x48 grey faces, and attention over the frames.

`FaceCNN` is the residual one that the robot runs.  `InceptionFace` is Inception-style (Szegedy
et al. 2015) with batch norm: ensembles on AFEW used networks of this family, pre-trained on
faces (Knyazev et al. 2017, arXiv 1711.04598; Liu et al. 2018); this is a small one of our own.
`FaceModel` joins the frames of a sequence.
"""

from __future__ import annotations

from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.labels import EMOTIONS, FACE_CLASSES
from avemo_ros.model.attention import FrameAttention
from avemo_ros.model.emotion_model import (
    CLASSES,
    Batch,
    Encoded,
    ModelOutput,
    Unimodal,
    mean_segments,
    missing_encoding,
    none_present,
    segment_shares,
)

FACE_WIDTH: Final = 256
"""Length of a face embedding."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a way around them (He et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.around = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.around(x))


class FaceCNN(nn.Module):
    """ResNet-18-like: a 3x3 stem halved by pooling, then residual stages.

    Any image side from 16 works, since the last step is a mean over places.
    """

    side = 48

    def __init__(
        self,
        widths: tuple[int, ...] = (48, 96, 192, FACE_WIDTH),
        blocks: tuple[int, ...] = (2, 2, 2, 1),
        stem: int = 32,
        *,
        mirrored: bool = False,
    ) -> None:
        """Set up.

        Args:
            widths: channels of each stage.
            blocks: number in each stage.
            stem: channels of the first convolution.
            mirrored: embed each face and its mirror image, but not in training, and take the
                mean: twice the time.
        """
        super().__init__()
        self.mirrored = mirrored
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

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, 48, 48), standardised (`preprocess.face_tensor`), to (N, width)."""
        if self.mirrored and not self.training:
            both = self._embed(torch.cat((images, images.flip(-1))))
            return both.view(2, -1, self.width).mean(0)
        return self._embed(images)

    def _embed(self, images: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(images))
        return features.mean(dim=(2, 3))


class FrameCNN(Protocol):
    """A network (an `nn.Module`) for single images."""

    width: int
    """Length of its embedding."""
    side: int
    """Side of the images it is made for [pixels]."""

    def __call__(self, images: Tensor) -> Tensor:
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
            cnn: of single images; None: the light one as released.
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

    def forward(self, images: Tensor) -> Tensor:
        """Single faces (N, 1, side, side) to logits (N, classes): to train on images."""
        vector = self.cnn(images)
        # One frame's weighted mean is the frame, unless its relation to the mean joins it.
        if self.width != self.cnn.width:
            vector = self.pool(vector.unsqueeze(1))[0]
        return self.classify(vector)


class InceptionBlock(nn.Module):
    """1x1, 3x3, two 3x3 and pooled ways side by side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Set up; `made` is a multiple of 8."""
        super().__init__()
        quarter, eighth = out_channels // 4, out_channels // 8
        self.one = _step(in_channels, quarter, 1)
        self.three = nn.Sequential(
            _step(in_channels, quarter, 1), _step(quarter, 3 * eighth, 3)
        )
        self.five = nn.Sequential(
            _step(in_channels, eighth, 1), _step(eighth, quarter, 3), _step(quarter, quarter, 3)
        )
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), _step(in_channels, eighth, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pooled(x)), 1)


class InceptionFace(nn.Module):
    """A stem, then groups of inception blocks with halving between them."""

    def __init__(
        self,
        widths: tuple[int, ...] = (96, 192, 256),
        blocks: tuple[int, ...] = (1, 2, 2),
        stem: int = 32,
        side: int = 48,
    ) -> None:
        """Set up.

        Args:
            widths: channels of each group, multiples of 8.
            blocks: number in each group.
            stem: channels of the first convolution.
            side: of the images [pixels].
        """
        super().__init__()
        self.side = side
        layers: list[nn.Module] = [_step(1, stem, 3), _step(stem, 2 * stem, 3)]
        given = 2 * stem
        for width, count in zip(widths, blocks, strict=True):
            layers.append(nn.MaxPool2d(3, 2, 1))
            for _ in range(count):
                layers.append(InceptionBlock(given, width))
                given = width
        self.layers = nn.Sequential(*layers)
        self.width = given
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, side, side), standardised, to (N, width)."""
        cells: Tensor = self.layers(images)
        return cells.mean(dim=(2, 3))


def _step(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


CHUNK_PIXELS: Final = 1 << 21
"""Images that go through a CNN at once when nothing is learned, by their pixels: bounds the
memory that a long clip takes."""


class FaceModel(Unimodal):
    """CNN, attention over frames, head; one image is a sequence of one."""

    modality = "face"
    part = "face"

    def __init__(
        self,
        cnn: FrameCNN,
        attention: FramePooling,
        dropout: float,
        classes: str,
        *,
        votes: bool = False,
    ) -> None:
        """Set up.

        Args:
            cnn: image to embedding.
            attention: embeddings to one vector.
            dropout: before the head.
            classes: 'emotions' (7), 'speech' (8) or 'face' (8).
            votes: a second head, `ModelOutput.votes`, for training only.
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.branch = FaceBranch(dropout, cnn, attention, len(self.classes))
        self.width, self.segment_width = self.branch.width, cnn.width
        self.face_side = cnn.side
        self.votes = nn.Linear(self.width, len(FACE_CLASSES)) if votes else None

    def forward(self, batch: Batch) -> ModelOutput:
        """See `Unimodal.forward`; in training with votes, where there is a head for them."""
        if self.votes is None or not self.training:
            return super().forward(batch)
        encoded = self.encode(batch)
        there = encoded.there.unsqueeze(1)
        votes = self.votes(self.branch.dropout(encoded.vector)) * there
        return ModelOutput(self.classify(encoded.vector) * there, votes=votes)

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of embeddings."""
        mask = face_mask(batch)
        if batch.faces is None or not bool(mask.any()):
            return missing_encoding(self, batch, segments)
        frames = embed_frames(self.branch.cnn, batch.faces, mask)
        vector, _ = self.branch.pool(frames, mask)
        parts = None
        if segments:
            parts = torch.bmm(segment_shares(mask, segments).to(frames.dtype), frames)
        return Encoded(vector, mask.any(1), parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        frames = embed_all(self.branch.cnn, whole)
        vector, _ = self.branch.pool(frames)
        return vector, mean_segments(frames, segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        return self.branch.classify(vector)


def face_mask(batch: Batch) -> Tensor:
    """(B, n) bool, True where a face is there; n is at least 1."""
    if batch.faces is None:
        return none_present(batch).unsqueeze(1)
    if batch.face_mask is not None:
        return batch.face_mask
    return torch.ones(batch.faces.shape[:2], dtype=torch.bool, device=batch.faces.device)


def embed_frames(cnn: FrameCNN, faces: Tensor, mask: Tensor) -> Tensor:
    """Embeddings of the frames that are there.

    Args:
        cnn: image to embedding.
        faces: (B, n, 1, side, side).
        mask: (B, n) bool; one at least is True.

    Returns:
        (B, n, width), zeros elsewhere.
    """
    # What is missing must not enter the statistics of batch norm, nor cost anything.
    images = faces[mask]
    if torch.is_grad_enabled():
        embedded = cnn(images)
    else:
        at_once = max(1, CHUNK_PIXELS // (images.shape[-1] * images.shape[-2]))
        embedded = torch.cat([cnn(some) for some in torch.split(images, at_once)])
    if len(embedded) == mask.numel():
        return embedded.view(*mask.shape, -1)
    frames = embedded.new_zeros(*mask.shape, embedded.shape[1])
    frames[mask] = embedded
    return frames


def embed_all(cnn: FrameCNN, faces: Tensor) -> Tensor:
    """Embeddings (B, n, width) of faces (B, n, 1, side, side), all there."""
    return cnn(faces.flatten(0, 1)).view(faces.shape[0], faces.shape[1], cnn.width)
