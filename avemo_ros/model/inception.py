"""Inception-style light CNN for faces (Szegedy et al. 2015), with batch norm.

Ensembles on AFEW used networks of this family, pre-trained on faces (Knyazev et al. 2017,
arXiv 1711.04598; Liu et al. 2018); this one is a small one of our own making.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InceptionBlock(nn.Module):
    """1x1, 3x3, two 3x3 and pooled ways side by side."""

    def __init__(self, given: int, made: int) -> None:
        """Set up; `made` is a multiple of 8."""
        super().__init__()
        quarter, eighth = made // 4, made // 8
        self.one = _step(given, quarter, 1)
        self.three = nn.Sequential(_step(given, quarter, 1), _step(quarter, 3 * eighth, 3))
        self.five = nn.Sequential(
            _step(given, eighth, 1), _step(eighth, quarter, 3), _step(quarter, quarter, 3)
        )
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), _step(given, eighth, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, given, H, W) to (N, made, H, W)."""
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
            side: of the pictures [pixels].
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

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 1, side, side), standardised, to (N, width)."""
        cells: Tensor = self.layers(pictures)
        return cells.mean(dim=(2, 3))


def _step(given: int, made: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(),
    )
