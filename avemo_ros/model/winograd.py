"""Convolutions with fewer multiplications, for inference on a CPU.

Winograd's minimal filtering (Lavin and Gray 2016, arXiv 1509.09308): m x m outputs of an r x r
kernel come from (m + r - 1)^2 products instead of (m r)^2.  Input, kernel and output are taken
to and from values of polynomials at a few points; kernels once, when the network is loaded.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_TILES: Final = {3: 3, 5: 4}
"""Outputs of a tile, each way, by the kernel's size: the fastest whose rounding stays near
1e-5 of the outputs' spread; points beyond 2 would lose more."""
_POINTS: Final = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))


class WinogradConv2d(nn.Module):
    """The same as a convolution with stride 1, up to rounding.

    Args:
        convolution: 3x3 or 5x5, see `fits`; it is not changed.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight = convolution.weight.detach()
        self.kernel = weight.shape[-1]
        self.tile = _TILES[self.kernel]
        self.padding = int(convolution.padding[0])
        self.made = weight.shape[0]
        of_input, of_kernel, of_output = _transforms(self.tile, self.kernel)
        both = torch.from_numpy(of_kernel)
        kernels = torch.einsum("xi,yj,kcij->xyck", both, both, weight.double())
        self._keep("kernels", kernels.flatten(0, 1).float())
        self._keep("to_points", torch.from_numpy(np.kron(of_input, of_input)).float())
        self._keep("from_points", torch.from_numpy(np.kron(of_output, of_output)).float())
        bias = convolution.bias
        self._keep("bias", torch.zeros(self.made) if bias is None else bias.detach().clone())

    kernels: Tensor
    """(points, channels, made)"""
    to_points: Tensor
    """(points, points)"""
    from_points: Tensor
    """(tile^2, points)"""
    bias: Tensor

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.contiguous(), persistent=False)

    @staticmethod
    def fits(convolution: nn.Conv2d) -> bool:
        """Whether it is one that can be computed so."""
        size, padding = convolution.kernel_size, convolution.padding
        return (
            size in {(side, side) for side in _TILES}
            and isinstance(padding, tuple)
            and padding[0] == padding[1]
            and convolution.padding_mode == "zeros"
            and convolution.stride == convolution.dilation == (1, 1)
            and convolution.groups == 1
        )

    def forward(self, given: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, made, H', W'), both laid out with the channels last."""
        batch, channels, height, width = given.shape
        tile, pad, beyond = self.tile, self.padding, self.kernel - 1
        high, wide = height + 2 * pad - beyond, width + 2 * pad - beyond
        rows, columns = -(-high // tile), -(-wide // tile)
        margins = (
            0, 0,
            pad, columns * tile + beyond - width - pad,
            pad, rows * tile + beyond - height - pad,
        )  # fmt: skip
        padded = functional.pad(given.permute(0, 2, 3, 1), margins).contiguous()
        side = tile + beyond
        each, line, point, _ = padded.stride()
        tiles = padded.as_strided(
            (side, side, batch, rows, columns, channels),
            (line, point, each, tile * line, tile * point, 1),
        )
        values = self.to_points @ tiles.reshape(side * side, -1)
        products = torch.bmm(values.view(side * side, -1, channels), self.kernels)
        outputs = self.from_points @ products.view(side * side, -1)
        placed = outputs.view(tile, tile, batch, rows, columns, self.made)
        placed = placed.permute(2, 3, 0, 4, 1, 5).reshape(
            batch, rows * tile, columns * tile, self.made
        )
        return (placed[:, :high, :wide] + self.bias).permute(0, 3, 1, 2)


def use_winograd(layers: nn.Sequential) -> int:
    """Replace the convolutions of a stack that can be computed so.

    Args:
        layers: changed in place.

    Returns:
        How many were replaced.
    """
    replaced = 0
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d) and WinogradConv2d.fits(layer):
            layers[place] = WinogradConv2d(layer)
            replaced += 1
    return replaced


def _transforms(
    tile: int, kernel: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Matrices of input (n, n), kernel (n, kernel) and output (tile, n), n = tile + kernel - 1.

    Toom and Cook's product of two polynomials by their values at n - 1 points and at infinity,
    transposed into a correlation.
    """
    count = tile + kernel - 1
    values = _values(count, count)
    to_input = np.linalg.inv(values).T
    to_kernel, to_output = _values(count, kernel), _values(count, tile).T
    # Both sides of a product of the same size: less is lost in rounding.
    share = np.sqrt(np.abs(to_input).sum(1) / np.abs(to_kernel).sum(1))
    return to_input / share[:, None], to_kernel * share[:, None], to_output


def _values(count: int, length: int) -> NDArray[np.float64]:
    """(count, length): a polynomial's coefficients to its values at the points and infinity."""
    powers = [[point**power for power in range(length)] for point in _POINTS[: count - 1]]
    infinity = [Fraction(int(power == length - 1)) for power in range(length)]
    return np.array([*powers, infinity], np.float64)
