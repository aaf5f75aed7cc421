"""Models of a sequence of faces: a CNN for each frame, and what joins the frames."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avemo_ros.model.batch import Batch
from avemo_ros.model.branch import FaceBranch, FrameCNN, FramePooling
from avemo_ros.model.unimodal import (
    CLASSES,
    Encoded,
    Unimodal,
    mean_segments,
    none_there,
    nothing,
    segment_shares,
    spread,
)

CHUNK_PIXELS: Final = 1 << 21
"""Pictures that go through a CNN at once when nothing is learned, by their pixels: bounds the
memory that a long clip takes."""


class FaceModel(Unimodal):
    """CNN, attention over frames, head; one picture is a sequence of one."""

    modality = "face"
    part = "face"

    def __init__(
        self, cnn: FrameCNN, attention: FramePooling, dropout: float, classes: str
    ) -> None:
        """Set up.

        Args:
            cnn: picture to embedding.
            attention: embeddings to one vector.
            dropout: before the head.
            classes: 'emotions' (7) or 'speech' (8).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.branch = FaceBranch(dropout, cnn, attention, len(self.classes))
        self.width, self.segment_width = self.branch.width, cnn.width
        self.face_side = cnn.side

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of embeddings."""
        mask = face_mask(batch)
        if batch.faces is None or not bool(mask.any()):
            return nothing(self, batch, segments)
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


class FrameLSTM(Unimodal):
    """CNN, LSTM over the frames, head on its last state (Liu et al. 2018: VGG-LSTM).

    In training the frames of each sequence are shuffled, which makes more sequences of few
    and keeps the net from learning how the clips of its data begin and end.
    """

    modality = "face"
    part = "face"

    def __init__(
        self,
        cnn: FrameCNN,
        hidden: int,
        layers: int,
        dropout: float,
        classes: str,
        *,
        shuffle: bool,
    ) -> None:
        """Set up.

        Args:
            cnn: picture to embedding.
            hidden: width of the LSTM.
            layers: of the LSTM.
            dropout: before the LSTM and before the head.
            classes: 'emotions' (7) or 'speech' (8).
            shuffle: frames in random order in training (chance: torch's default generator).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.cnn = cnn
        self.shuffle = shuffle
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(cnn.width, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, len(self.classes))
        self.width = self.segment_width = hidden
        self.face_side = cnn.side

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of the LSTM's outputs."""
        mask = face_mask(batch)
        if batch.faces is None or not bool(mask.any()):
            return nothing(self, batch, segments)
        there = mask.any(1)
        frames = self.dropout(embed_frames(self.cnn, batch.faces, mask))
        # Those that are there to the front, in their order or shuffled.
        keys = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape).float()
        if self.training and self.shuffle:
            keys = torch.rand(mask.shape, device=mask.device)
        order = keys.masked_fill(~mask, torch.inf).argsort(1)
        frames = torch.gather(frames, 1, order.unsqueeze(2).expand_as(frames))[there]
        lengths = mask.sum(1)[there]
        packed = pack_padded_sequence(
            frames, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, (states, _) = self.lstm(packed)
        vector = spread(states[-1], there)
        parts = None
        if segments:
            steps, _ = pad_packed_sequence(outputs, batch_first=True)
            places = torch.arange(steps.shape[1], device=mask.device)
            shares = segment_shares(places < lengths.unsqueeze(1), segments)
            parts = spread(torch.bmm(shares.to(steps.dtype), steps), there)
        return Encoded(vector, there, parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`; frames stay in their order."""
        outputs, _ = self.lstm(self.dropout(embed_all(self.cnn, whole)))
        return outputs[:, -1], mean_segments(outputs, segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits


def face_mask(batch: Batch) -> Tensor:
    """(B, n) bool, True where a face is there; n is at least 1."""
    if batch.faces is None:
        return none_there(batch).unsqueeze(1)
    if batch.face_mask is not None:
        return batch.face_mask
    return torch.ones(batch.faces.shape[:2], dtype=torch.bool, device=batch.faces.device)


def embed_frames(cnn: FrameCNN, faces: Tensor, mask: Tensor) -> Tensor:
    """Embeddings of the frames that are there.

    Args:
        cnn: picture to embedding.
        faces: (B, n, 1, side, side).
        mask: (B, n) bool; one at least is True.

    Returns:
        (B, n, width), zeros elsewhere.
    """
    # What is missing must not enter the statistics of batch norm, nor cost anything.
    pictures = faces[mask]
    if torch.is_grad_enabled():
        made = cnn(pictures)
    else:
        at_once = max(1, CHUNK_PIXELS // (pictures.shape[-1] * pictures.shape[-2]))
        made = torch.cat([cnn(some) for some in torch.split(pictures, at_once)])
    if len(made) == mask.numel():
        return made.view(*mask.shape, -1)
    frames = made.new_zeros(*mask.shape, made.shape[1])
    frames[mask] = made
    return frames


def embed_all(cnn: FrameCNN, faces: Tensor) -> Tensor:
    """Embeddings (B, n, width) of faces (B, n, 1, side, side), all there."""
    return cnn(faces.flatten(0, 1)).view(faces.shape[0], faces.shape[1], cnn.width)
