"""Face network: a light residual CNN for 48x48 grey faces."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

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
