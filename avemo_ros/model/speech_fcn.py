"""Speech network: a fully convolutional AlexNet over the log spectrogram.

Zhang et al. 2018 (arXiv 1806.01506): AlexNet's convolutions without its dense layers, so that
any length goes in; attention over the cells of the last pooling layer (`attention.py`) makes
the emotion vector.  By default batch norm stands where the paper normalises local responses:
it trains from random weights, which the paper's version (initialised from ImageNet) need not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.errors import WeightsError
from avemo_ros.model.attention import SHARPNESS
from avemo_ros.model.speech_encoder import SpeechEncoder
from avemo_ros.model.tensor_file import read_state_dict

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
    given: int, made: int, kernel: int, stride: int, padding: int, biased: bool
) -> nn.Conv2d:
    layer = nn.Conv2d(given, made, kernel, stride, padding, bias=biased)
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
