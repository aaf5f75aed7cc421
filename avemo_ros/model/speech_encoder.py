"""Speech encoders: what they have in common, and the fully convolutional one.

A speech encoder turns a spectrogram into cells of a feature map; attention weighs the cells
and pools them to one emotion vector (Zhang et al. 2018, arXiv 1806.01506).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.errors import WeightsError
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
from avemo_ros.model.tensor_file import read_state_dict

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
        self.activation: nn.Module = nn.Identity()
        """What the vector of the two goes through."""
        self.width = width

    @abstractmethod
    def cells(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to the cells (B, width, T', F')."""

    def pool(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, width, T', F') to the vector (B, width) and the weights (B, T', F')."""
        pooled, weights = self.pooled(cells)
        return self.joined(pooled), weights

    def pooled(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, width, T', F') to their mean (B, width), with `statistics` mean and
        deviation (B, 2 width), and the weights (B, T', F')."""
        mean, weights = self.attention(cells)
        if self.join is None:
            return mean, weights
        power = torch.einsum("bcl,bl->bc", cells.flatten(2).square(), weights.flatten(1))
        # The slope of the root must stay finite where a channel does not vary.
        deviation = (power - mean.square()).clamp_min(1e-5).sqrt()
        return torch.cat((mean, deviation), 1), weights

    def joined(self, pooled: Tensor) -> Tensor:
        """What `pooled` gives, to the vector (B, width)."""
        if self.join is None:
            return pooled
        vector: Tensor = self.activation(self.join(self.standardise(pooled)))
        return vector

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


# Speech network: a fully convolutional AlexNet over the log spectrogram.
#
# Zhang et al. 2018 (arXiv 1806.01506): AlexNet's convolutions without its dense layers, so
# that any length goes in; attention over the cells of the last pooling layer
# (`model/attention.py`) makes the emotion vector. By default batch norm stands where the
# paper normalises local responses: it trains from random weights, which the paper's version
# (initialised from ImageNet) need not.

SPEECH_WIDTH: Final = 256
"""Length of a speech embedding: the channels of the last convolution."""
CHANNELS: Final[dict[str, tuple[int, ...]]] = {
    "torchvision": (64, 192, 384, 256, SPEECH_WIDTH),
    "paper": (96, 256, 384, 384, SPEECH_WIDTH),
}
"""Channels of the five convolutions: torchvision's AlexNet, and that of Krizhevsky 2012."""
FRONTS: Final = ("log", "log+mean+delta")
NORMS: Final = ("batch", "local", "none")


class LocalNorm(nn.Module):
    """Local response normalisation (Krizhevsky et al. 2012, section 3.3).

    b_c = a_c / (1 + alpha / n * sum over n channels of a^2)^beta; n = 0 takes all channels.
    """

    def __init__(self, size: int = 0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def forward(self, cells: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if self.size:
            return functional.local_response_norm(cells, self.size, self.alpha, self.beta, 1.0)
        energy = cells.square().mean(1, keepdim=True)
        return cells / (1.0 + self.alpha * energy).pow(self.beta)


class AudioFCN(SpeechEncoder):
    """Spectrogram to emotion vector; one cell sees 1.95 s, cells are 0.32 s apart."""

    def __init__(
        self,
        channels: tuple[int, ...] = CHANNELS["torchvision"],
        *,
        front: str = "log",
        norm: str = "batch",
        local_size: int = 0,
        attention: str = "cells",
        sharpness: float = SHARPNESS,
        statistics: bool = False,
    ) -> None:
        """Set up.

        Args:
            channels: of the five convolutions.
            front: 'log' takes the spectrogram as it is; 'log+mean+delta' adds it less its mean
                over time, and its slope over time, as two more channels.
            norm: 'batch' after every convolution; 'local' (LRN) after the first two, as
                AlexNet; 'none'.
            local_size: channels that the local norm looks at; 0: all.
            attention: over 'cells' (2-D), over 'time' (1-D), or the 'mean'.
            sharpness: lambda of the attention, 0 to 1.
            statistics: pool the deviation of the cells beside their mean, by the same weights
                (attentive statistics pooling; Okabe et al. 2018, arXiv 1803.10963, section 3).
        """
        one, two, three, four, five = channels
        super().__init__(five, attention, sharpness, statistics=statistics)
        self.front = front
        norms = [_norm(norm, local_size, width, place) for place, width in enumerate(channels)]
        biased = norm != "batch"
        inputs = 1 if front == "log" else 3
        # Places in the list are the same for every norm, so that weights fit by name.
        self.layers = nn.Sequential(
            _convolution(inputs, one, 11, 4, 2, biased),
            norms[0],
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            _convolution(one, two, 5, 1, 2, biased),
            norms[1],
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            _convolution(two, three, 3, 1, 1, biased),
            norms[2],
            nn.ReLU(),
            _convolution(three, four, 3, 1, 1, biased),
            norms[3],
            nn.ReLU(),
            _convolution(four, five, 3, 1, 1, biased),
            norms[4],
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )

    @property
    def convolutions(self) -> tuple[nn.Conv2d, ...]:
        """The five of them, first to last."""
        return tuple(layer for layer in self.layers if isinstance(layer, nn.Conv2d))

    def cells(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to the cells (B, width, T', F')."""
        if self.front != "log":
            spectrogram = add_mean_and_delta(spectrogram)
        cells: Tensor = self.layers(spectrogram)
        return cells


def add_mean_and_delta(spectrogram: Tensor) -> Tensor:
    """Two more views of a spectrogram.

    Args:
        spectrogram: (B, 1, T, F).

    Returns:
        (B, 3, T, F): itself; less the mean over time of each bin (which takes away the colour
        of microphone and room); x[t + 1] - x[t - 1], zero at both ends.
    """
    centred = spectrogram - spectrogram.mean(2, keepdim=True)
    slope = functional.pad(spectrogram[:, :, 2:] - spectrogram[:, :, :-2], (0, 0, 1, 1))
    return torch.cat((spectrogram, centred, slope), 1)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, biased: bool
) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=biased)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _norm(norm: str, local_size: int, width: int, place: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(width)
    if norm == "local" and place < 2:
        return LocalNorm(local_size)
    return nn.Identity()


_PLACES = (0, 3, 6, 8, 10)
"""Of the convolutions in torchvision's AlexNet: features.0, features.3, ..."""


def init_from_imagenet(fcn: AudioFCN, path: Path) -> str:
    """Give the convolutions the weights of a torchvision AlexNet trained on ImageNet.

    The filters of red, green and blue are summed where the spectrogram has one channel, and
    taken as they are where it has three.  Biases are taken where the network has any (batch
    norm stands in for them).

    Args:
        fcn: with the channels of torchvision's AlexNet; changed in place.
        path: state dict of `torchvision.models.alexnet`, .pth or .safetensors.

    Returns:
        Which tensors were taken, in words.

    Raises:
        WeightsError: the file is missing or no such state dict; the message lists what differs.
    """
    state = read_state_dict(path)
    taken: dict[str, tuple[Tensor, Tensor]] = {}
    differences = []
    for place, layer in zip(_PLACES, fcn.convolutions, strict=True):
        targets = {"weight": layer.weight, "bias": layer.bias}
        for kind, target in targets.items():
            name = f"features.{place}.{kind}"
            if target is None:
                continue
            if name not in state:
                differences.append(f"{name} is missing")
                continue
            value = state[name].float()
            if place == 0 and kind == "weight" and target.shape[1] == 1:
                value = value.sum(1, keepdim=True)
            if value.shape != target.shape:
                differences.append(f"{name} is {tuple(value.shape)}, not {tuple(target.shape)}")
                continue
            taken[name] = (target, value)
    if differences:
        raise WeightsError(f"{path} is not a torchvision AlexNet: {'; '.join(differences)}")
    with torch.no_grad():
        for target, value in taken.values():
            target.copy_(value)
    return f"took {len(taken)} tensors of {path.name}: {', '.join(taken)}"
