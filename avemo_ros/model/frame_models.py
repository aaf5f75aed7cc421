"""A model of a sequence of faces: a CNN for each frame, attention over the frames."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from avemo_ros.model.batch import Batch
from avemo_ros.model.face_cnn import FaceBranch, FrameCNN, FramePooling
from avemo_ros.model.unimodal import (
    CLASSES,
    Encoded,
    Unimodal,
    mean_segments,
    none_there,
    nothing,
    segment_shares,
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
