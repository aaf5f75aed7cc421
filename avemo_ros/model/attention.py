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
        self.width = width
        """Length of the pooled vector."""
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


class TimeAttention(Attention):
    """Over time: cells of one time are averaged over frequency first (1-D attention)."""

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Pool a feature map.

        Args:
            cells: (B, C, T', F').

        Returns:
            (B, C) and the weights (B, T', F'), alike over frequency.
        """
        pooled, weights = self.pool(cells.mean(3).transpose(1, 2))
        bands = cells.shape[3]
        return pooled, (weights / bands).unsqueeze(2).expand(-1, -1, bands)


class CellMean(nn.Module):
    """The plain mean of a feature map, for comparison."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        """Length of the pooled vector."""

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T', F') to (B, C) and the even weights (B, T', F')."""
        even = cells.new_full((len(cells), *cells.shape[2:]), 1 / cells[0, 0].numel())
        return cells.mean((2, 3)), even


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


class FrameMean(nn.Module):
    """The plain mean over the frames of a sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        """Length of the pooled vector."""

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `FrameAttention.forward`."""
        return _share_out(frames, torch.ones_like(frames[:, :, 0]), mask)


class SelfAttention(nn.Module):
    """Self-attention of the frame attention network (FAN; Meng et al. 2019).

    alpha_i = sigmoid(f_i^T q_0), v = sum_i alpha_i f_i / sum_i alpha_i, dropout before q_0.
    """

    def __init__(self, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.width = width
        """Length of the pooled vector."""
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(width, 1)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `FrameAttention.forward`."""
        alpha = torch.sigmoid(self.score(self.dropout(frames)).squeeze(-1))
        return _share_out(frames, alpha, mask)


class RelationAttention(nn.Module):
    """Self- and relation-attention of the frame attention network (FAN; Meng et al. 2019).

    With v' and alpha of the self-attention: beta_i = sigmoid([f_i; v']^T q_1),
    v = sum_i alpha_i beta_i [f_i; v'] / sum_i alpha_i beta_i.
    """

    def __init__(self, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.width = 2 * width
        """Length of the pooled vector: twice that of a frame."""
        self.alone = SelfAttention(width, dropout)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(2 * width, 1)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `FrameAttention.forward`, but the vector is (B, 2 width)."""
        overall, alpha = self.alone(frames, mask)
        both = torch.cat((frames, overall.unsqueeze(1).expand_as(frames)), 2)
        beta = torch.sigmoid(self.score(self.dropout(both)).squeeze(-1))
        # alpha is divided by its sum already; that falls out here.
        return _share_out(both, alpha * beta, mask)


def _share_out(
    frames: Tensor, importance: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Weighted mean of frames (B, N, width) and the weights (B, N), which sum to 1."""
    if mask is not None:
        importance = importance * mask
    weights = importance / importance.sum(1, keepdim=True).clamp_min(1e-9)
    return torch.einsum("bn,bnw->bw", weights.to(frames.dtype), frames), weights
