"""Attention that weighs cells of a feature map or frames of a sequence.

Zhang et al. 2018 (arXiv 1806.01506): e_i = u^T tanh(W a_i + b), alpha = softmax(lambda e),
c = sum_i alpha_i a_i, with lambda = 0.3.  lambda = 0 would be the plain mean.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

SHARPNESS: Final = 0.3
"""lambda of the paper."""


class Attention(nn.Module):
    """Weighted mean of vectors, the weights read from the vectors themselves."""

    def __init__(self, width: int, sharpness: float = SHARPNESS) -> None:
        super().__init__()
        if not 0.0 <= sharpness <= 1.0:
            raise ValueError(f"sharpness is {sharpness}; allowed: 0 to 1")
        self.sharpness = sharpness
        self.project = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, items: Tensor, mask: Tensor | None = None) -> Tensor:
        """Importance of each item.

        Args:
            items: (B, L, width).
            mask: (B, L) bool, True where the item is there; None: all are.

        Returns:
            (B, L), each row sums to 1; 0 where masked, and all 0 for a row without items.
        """
        energy = self.sharpness * self.score(torch.tanh(self.project(items))).squeeze(-1)
        if mask is None:
            return torch.softmax(energy, dim=1)
        # The least float and not -inf: a row without any item must not become NaN.
        energy = energy.masked_fill(~mask, torch.finfo(energy.dtype).min)
        return torch.softmax(energy, dim=1) * mask

    def pool(self, items: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weighted mean (B, width) of items (B, L, width), and the weights (B, L)."""
        weights = self.weights(items, mask)
        return torch.einsum("bl,blw->bw", weights.to(items.dtype), items), weights


class CellAttention(Attention):
    """Over the time-frequency cells of a feature map."""

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Pool a feature map.

        Args:
            cells: (B, C, T', F').

        Returns:
            (B, C) and the weights (B, T', F').
        """
        pooled, weights = self.pool(cells.flatten(2).transpose(1, 2))
        return pooled, weights.view(cells.shape[0], *cells.shape[2:])


class FrameAttention(Attention):
    """Over the frames of a sequence; frames without a face are masked."""

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pool a sequence.

        Args:
            frames: (B, N, width).
            mask: (B, N) bool, True where a face was seen; None: in all.

        Returns:
            (B, width) and the weights (B, N).
        """
        return self.pool(frames, mask)
