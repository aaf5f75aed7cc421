"""A network over landmark sequences: how the points of a face move while somebody speaks.

Frames are embedded one by one, temporal convolutions (residual, dilated as in the TCN of Bai et
al. 2018, arXiv:1803.01271) or an LSTM join neighbours, and attention or the mean pools them,
with their deviation beside it (statistics pooling, Snyder et al. 2018, "X-vectors").
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.model.attention import (
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
)
from avemo_ros.model.emotion_model import (
    CLASSES,
    Batch,
    Encoded,
    Unimodal,
    mean_segments,
    missing_encoding,
    scatter_rows,
    segment_shares,
)
from avemo_ros.model.face_points import HEAD, POINTS

_FARTHEST: Final = 6.0
"""Standardised values are cut here: one odd frame must not rule."""
_SHAPE: Final = 2 * POINTS
_INPUTS: Final = 3 * _SHAPE + 2 * HEAD
"""Values of a frame as the network reads it: the shape, the same less the sequence's mean, and
its movement since the frame before; the head less its mean, and its movement."""
_LEAST: Final = 1e-5


class Standardisation(nn.Module):
    """What a network reads of each frame: shape, change and movement, standardised."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_INPUTS))
        self.register_buffer("deviation", torch.ones(_INPUTS))

    def at_rest(self, points: Tensor, neutral: Tensor | None, weight: Tensor | None) -> Tensor:
        """Points (B, n, VALUES) as if each person had the mean face of the training data.

        Args:
            points: as they are.
            neutral: (B, 2 POINTS) resting faces; None: not known.
            weight: (B,) how far each is trusted.
        """
        if neutral is None or weight is None:
            return points
        shift = weight.unsqueeze(1) * (self.mean[:_SHAPE] - neutral)
        return points + functional.pad(shift, (0, HEAD)).unsqueeze(1)

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        """(B, n, VALUES) and (B, n) bool to (B, n, inputs); zeros where masked."""
        given = (frame_inputs(points, mask) - self.mean) / self.deviation
        return given.clamp(-_FARTHEST, _FARTHEST) * mask.unsqueeze(2)


def frame_inputs(points: Tensor, mask: Tensor) -> Tensor:
    """What is read of frames, not standardised.

    Args:
        points: (B, n, VALUES), see `face_points.normalise_points`.
        mask: (B, n) bool, True where a frame is there.

    Returns:
        (B, n, inputs); anything where masked.
    """
    there = mask.unsqueeze(2).to(points.dtype)
    mean = (points * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1)
    apart = points - mean
    before, known = (functional.pad(one, (0, 0, 1, 0))[:, :-1] for one in (points, there))
    moved = (points - before) * (there * known)
    return torch.cat((points[..., :_SHAPE], apart, moved), 2)


class _Convolution(nn.Module):
    """A residual temporal convolution; what is masked stays zero."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        around = kernel // 2 * dilation
        self.dropout = nn.Dropout(dropout)
        self.convolution = nn.Conv1d(
            width, width, kernel, padding=around, dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm1d(width)

    def forward(self, frames: Tensor, there: Tensor) -> Tensor:
        """(B, n, width) and (B, n, 1) to (B, n, width)."""
        given = self.dropout(frames).transpose(1, 2)
        convolved = self.norm(self.convolution(given)).transpose(1, 2)
        return (frames + functional.gelu(convolved)) * there


class LandmarkSequence(Unimodal):
    """Frames of landmarks, temporal layers, pooling, head."""

    modality = "landmarks"
    part = "landmarks"

    def __init__(
        self,
        *,
        width: int,
        blocks: int,
        kernel: int,
        lstm: int,
        attention: str,
        statistics: bool,
        dropout: float,
        input_dropout: float,
        classes: str,
    ) -> None:
        """Set up.

        Args:
            width: of a frame's embedding.
            blocks: temporal convolutions; the dilation doubles from one to the next.
            kernel: frames that a convolution reads, odd.
            lstm: width of an LSTM after the convolutions; 0: none.
            attention: over frames: 'mean', 'softmax', 'self' or 'relation'.
            statistics: pool the deviation over the frames beside the mean.
            dropout: before each convolution, the LSTM and the head.
            input_dropout: of a frame's values.
            classes: 'speech' (8) or 'emotions' (7).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.standardisation = Standardisation()
        self.input_dropout = nn.Dropout(input_dropout)
        self.embedding = nn.Linear(_INPUTS, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.convolutions = nn.ModuleList(
            _Convolution(width, kernel, 2**number, dropout) for number in range(blocks)
        )
        self.lstm = nn.LSTM(width, lstm, batch_first=True) if lstm else None
        self.segment_width = lstm or width
        self.attention = _attention(attention, self.segment_width)
        self.statistics = statistics
        self.dropout = nn.Dropout(dropout)
        joins = attention == "relation"  # a frame beside the whole
        pooled = 2 if joins else 1
        self.width = self.segment_width * (pooled + statistics)
        self.head = nn.Linear(self.width, len(self.classes))

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of the frames' vectors."""
        points, mask = batch.points, batch.points_mask
        if points is not None and mask is None:
            mask = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
        if points is None or mask is None or not bool(mask.any()):
            return missing_encoding(self, batch, segments)
        there = mask.any(1)
        kept = mask[there]
        points = self.standardisation.at_rest(points, batch.neutral, batch.neutral_weight)
        frames = self._frames(points[there], kept)
        vector = scatter_rows(self._pooled(frames, kept), there)
        parts = None
        if segments:
            shares = segment_shares(kept, segments).to(frames.dtype)
            parts = scatter_rows(torch.bmm(shares, frames), there)
        return Encoded(vector, there, parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        every = torch.ones_like(whole[:, :, 0]) > 0
        frames = self._frames(whole, every)
        return self._pooled(frames, None), mean_segments(frames, segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits

    def _frames(self, points: Tensor, mask: Tensor) -> Tensor:
        """(B, n, segment width); zeros where masked."""
        there = mask.unsqueeze(2).to(points.dtype)
        frames: Tensor = self.embedding(self.input_dropout(self.standardisation(points, mask)))
        frames = functional.gelu(self.norm(frames.transpose(1, 2)).transpose(1, 2)) * there
        for convolution in self.convolutions:
            frames = convolution(frames, there)
        if self.lstm is not None:
            frames = self._recur(self.lstm, self.dropout(frames)) * there
        return frames

    @staticmethod
    def _recur(lstm: nn.LSTM, frames: Tensor) -> Tensor:
        kind = frames.device.type
        if not torch.is_autocast_enabled(kind):
            outputs: Tensor = lstm(frames)[0]
            return outputs
        # Not every processor has an LSTM in bfloat16.
        with torch.autocast(kind, enabled=False):
            precise: Tensor = lstm(frames.float())[0]
            return precise

    def _pooled(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        vector, weights = self.attention(frames, mask)
        if not self.statistics:
            pooled: Tensor = vector
            return pooled
        shares = weights.unsqueeze(2).to(frames.dtype)
        mean = (shares * frames).sum(1, keepdim=True)
        variance = (shares * (frames - mean).square()).sum(1)
        return torch.cat((vector, (variance + _LEAST).sqrt()), 1)


def _attention(name: str, width: int) -> nn.Module:
    if name == "mean":
        return FrameMean(width)
    if name == "softmax":
        return FrameAttention(width)
    return SelfAttention(width) if name == "self" else RelationAttention(width)


def standardise_points(model: nn.Module, points: Tensor, mask: Tensor) -> bool:
    """Tell every landmark part of a model what frames are like; before training.

    Args:
        model: changed in place.
        points: (N, n, VALUES) sequences of the training data.
        mask: (N, n) bool, True where a frame is there.

    Returns:
        False: the model has no such part.
    """
    parts = [module for module in model.modules() if isinstance(module, Standardisation)]
    if not parts:
        return False
    frames = frame_inputs(points, mask)[mask]
    deviation, mean = torch.std_mean(frames.double(), dim=0, correction=0)
    # A value that never changes in the training data says nothing.
    deviation = torch.where(deviation < 1e-6, torch.ones_like(deviation), deviation)
    for part in parts:
        part.mean.copy_(mean)
        part.deviation.copy_(deviation)
    return True
