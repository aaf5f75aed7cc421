"""The attention FCN as a model of its own, and its start from pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from avemo_ros.errors import WeightsError
from avemo_ros.model.audio_fcn import AudioFCN, SpeechBranch
from avemo_ros.model.batch import Batch
from avemo_ros.model.foreign import read_state
from avemo_ros.model.unimodal import (
    CLASSES,
    Encoded,
    Unimodal,
    mean_segments,
    nothing,
    spread,
)

_PLACES = (0, 3, 6, 8, 10)
"""Of the convolutions in torchvision's AlexNet: features.0, features.3, ..."""


class SpeechFCN(Unimodal):
    """Speech of any length from 0.63 s to logits."""

    modality = "audio"
    part = "audio"

    def __init__(self, fcn: AudioFCN, dropout: float = 0.3, classes: str = "speech") -> None:
        """Set up.

        Args:
            fcn: spectrogram to vector.
            dropout: before the head.
            classes: 'speech' (8, with calm) or 'emotions' (7).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.branch = SpeechBranch(dropout, fcn, len(self.classes))
        self.width = self.segment_width = fcn.width

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; segments are means of the map's cells over their times."""
        speech, there = batch.speech, batch.speech_there
        if speech is None or (there is not None and not bool(there.any())):
            return nothing(self, batch, segments)
        if there is None:
            there = torch.ones(len(speech), dtype=torch.bool, device=speech.device)
        elif not bool(there.all()):
            # What is missing must not enter the statistics of batch norm.
            speech = speech[there]
        vector, parts = self.read(speech, segments)
        return Encoded(
            spread(vector, there), there, None if parts is None else spread(parts, there)
        )

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        cells = self.branch.fcn.cells(whole)
        vector = self.branch.fcn.pool(cells)[0]
        return vector, mean_segments(cells.mean(3).transpose(1, 2), segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        return self.branch.classify(vector)


def start_from_pictures(fcn: AudioFCN, path: Path) -> str:
    """Give the convolutions the weights of a torchvision AlexNet trained on ImageNet.

    The filters of red, green and blue are summed where the spectrogram has one channel, and
    taken as they are where it has three.  Biases are taken where the network has any (batch
    norm stands in for them).

    Args:
        fcn: with the channels of torchvision's AlexNet; changed in place.
        path: state dict of `torchvision.models.alexnet`, .pth or .safetensors.

    Returns:
        Which tensors were taken, in words.

    Raises:
        WeightsError: the file is missing or no such state dict; the message lists what differs.
    """
    state = read_state(path)
    taken: dict[str, tuple[Tensor, Tensor]] = {}
    differences = []
    for place, layer in zip(_PLACES, fcn.convolutions, strict=True):
        targets = {"weight": layer.weight, "bias": layer.bias}
        for kind, target in targets.items():
            name = f"features.{place}.{kind}"
            if target is None:
                continue
            if name not in state:
                differences.append(f"{name} is missing")
                continue
            value = state[name].float()
            if place == 0 and kind == "weight" and target.shape[1] == 1:
                value = value.sum(1, keepdim=True)
            if value.shape != target.shape:
                differences.append(f"{name} is {tuple(value.shape)}, not {tuple(target.shape)}")
                continue
            taken[name] = (target, value)
    if differences:
        raise WeightsError(f"{path} is no torchvision AlexNet: {'; '.join(differences)}")
    with torch.no_grad():
        for target, value in taken.values():
            target.copy_(value)
    return f"took {len(taken)} tensors of {path.name}: {', '.join(taken)}"
