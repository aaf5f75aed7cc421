"""An LSTM over the frames of a sequence of faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avemo_ros.model.batch import Batch
from avemo_ros.model.face_cnn import FrameCNN
from avemo_ros.model.frame_models import embed_all, embed_frames, face_mask
from avemo_ros.model.unimodal import (
    CLASSES,
    Encoded,
    Unimodal,
    mean_segments,
    nothing,
    segment_shares,
    spread,
)


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
