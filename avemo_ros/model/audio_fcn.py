"""Speech network: a fully convolutional AlexNet over the log spectrogram.

Zhang et al. 2018 (arXiv 1806.01506): AlexNet's convolutions without its dense layers, so that
any length goes in; attention over the cells of the last pooling layer (`attention.py`) makes
the emotion vector.  Batch norm stands where the paper normalises local responses: it trains
from random weights, which the paper's version (started from pictures) need not.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from avemo_ros.model.attention import CellAttention

SPEECH_WIDTH: Final = 256
"""Length of a speech embedding: the channels of the last convolution."""


class AudioFCN(nn.Module):
    """Spectrogram to emotion vector; one cell sees 1.95 s, cells are 0.32 s apart."""

    def __init__(self, channels: tuple[int, ...] = (64, 192, 384, 256, SPEECH_WIDTH)) -> None:
        super().__init__()
        one, two, three, four, five = channels
        self.layers = nn.Sequential(
            *_convolution(1, one, 11, 4, 2),
            nn.MaxPool2d(3, 2),
            *_convolution(one, two, 5, 1, 2),
            nn.MaxPool2d(3, 2),
            *_convolution(two, three, 3, 1, 1),
            *_convolution(three, four, 3, 1, 1),
            *_convolution(four, five, 3, 1, 1),
            nn.MaxPool2d(3, 2),
        )
        self.attention = CellAttention(five)
        self.width = five

    def cells(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to the cells (B, width, T', F')."""
        cells: Tensor = self.layers(spectrogram)
        return cells

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to (B, width)."""
        pooled: Tensor = self.attention(self.cells(spectrogram))[0]
        return pooled

    def weights(self, spectrogram: Tensor) -> Tensor:
        """Where the network listens: (B, T', 5), each sums to 1."""
        with torch.no_grad():
            weights: Tensor = self.attention(self.cells(spectrogram))[1]
        return weights


def _convolution(
    given: int, made: int, kernel: int, stride: int, padding: int
) -> tuple[nn.Module, ...]:
    layer = nn.Conv2d(given, made, kernel, stride, padding, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(made), nn.ReLU()
