"""Larger networks of faces, and one of action units; for training and comparison."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avemo_ros.data.features import UNITS
from avemo_ros.errors import WeightsError
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
from avemo_ros.model.face_cnn import FrameCNN, embed_all, embed_frames, face_mask
from avemo_ros.model.tensor_file import read_state_dict

_BLOCKS: Final = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""Of VGG16: channels of the convolutions as multiples of the first, and their number."""
_TORCHVISION: Final = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Places of the convolutions in torchvision's `vgg16().features`."""
FULL: Final = ("none", "fc6", "fc7")
GREY_LEVELS: Final = 64.0
"""Published filters expect images less their mean, in grey levels; ours have a deviation of
1, so the first filters are multiplied by about the deviation of a face image."""


class VggFace(nn.Module):
    """Sixteen-layer net over a grey face, repeated for red, green and blue."""

    def __init__(
        self, width: int = 64, full: str = "none", *, normalised: bool = False, side: int = 224
    ) -> None:
        """Set up.

        Args:
            width: channels of the first convolution; VGG16 has 64.
            full: 'none' ends in the mean over places of the last map (8 width values), 'fc6'
                and 'fc7' in the dense layer of that name (64 width values).
            normalised: batch norm after each convolution, to train from random weights.
            side: of the images [pixels], a multiple of 32.
        """
        super().__init__()
        self.side = side
        self.full = full
        self.convolutions = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        in_channels = 3
        for block, (multiple, count) in enumerate(_BLOCKS, start=1):
            for index in range(1, count + 1):
                name = f"conv{block}_{index}"
                out_channels = multiple * width
                layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=not normalised)
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
                self.convolutions[name] = layer
                if normalised:
                    self.norms[name] = nn.BatchNorm2d(out_channels)
                in_channels = out_channels
        self.width = in_channels
        self.dense = nn.ModuleDict()
        cells = in_channels * (side // 32) ** 2
        for name in FULL[1 : 1 + FULL.index(full)]:
            self.dense[name] = nn.Linear(cells, 64 * width)
            cells = self.width = 64 * width
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, side, side), standardised, to (N, width)."""
        x = images.expand(-1, 3, -1, -1)
        block = 1
        for name, layer in self.convolutions.items():
            if int(name[4]) != block:
                x = functional.max_pool2d(x, 2)
                block += 1
            x = layer(x)
            if name in self.norms:
                x = self.norms[name](x)
            x = functional.relu(x)
        x = functional.max_pool2d(x, 2)
        if self.full == "none":
            return x.mean(dim=(2, 3))
        x = x.flatten(1)
        for dense in self.dense.values():
            x = self.dropout(functional.relu(dense(x)))
        return x


def load_published(network: VggFace, path: Path) -> str:
    """Give a network the weights of VGG-Face (or of VGG16 on ImageNet) that a user has.

    The names of common PyTorch ports are known: `conv1_1`, `conv_1_1`, `features.0` and
    `fc6`, `fc_6`, `classifier.0`, with or without a prefix that all share.

    Args:
        network: without batch norm; changed in place.
        path: state dict, .pth, .pt or .safetensors.

    Returns:
        Which tensors were taken, in words.

    Raises:
        WeightsError: the file cannot be read or lacks tensors; the message lists what differs.
    """
    given = _renamed(read_state_dict(path))
    expected = {
        **{f"convolutions.{n}": layer for n, layer in network.convolutions.items()},
        **{f"dense.{n}": layer for n, layer in network.dense.items()},
    }
    differences, taken = [], []
    for name, layer in expected.items():
        short = name.split(".")[1]
        for kind in ("weight", "bias"):
            target = getattr(layer, kind)
            value = given.get(f"{short}.{kind}")
            if value is None:
                differences.append(f"{short}.{kind} is missing")
            elif value.shape != target.shape:
                differences.append(
                    f"{short}.{kind} is {tuple(value.shape)}, not {tuple(target.shape)}"
                )
            else:
                taken.append((target, value.float()))
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise WeightsError(
            f"{path} does not fit vgg_face: {'; '.join(differences[:5])}{more}; "
            f"it holds {', '.join(sorted(read_state_dict(path))[:5])}, ..."
        )
    with torch.no_grad():
        for target, value in taken:
            target.copy_(value)
        first = network.convolutions["conv1_1"].weight
        assert isinstance(first, Tensor)
        first.mul_(GREY_LEVELS)
    return f"took {len(taken)} tensors of {path.name}: conv1_1 to {short}"


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of the ports to those of the paper."""
    ordered = [name for block, (_, n) in enumerate(_BLOCKS, 1) for name in _names(block, n)]
    places = dict(zip(_TORCHVISION, ordered, strict=True))
    dense = {0: "fc6", 3: "fc7", 6: "fc8"}
    renamed = {}
    for name, value in state.items():
        if found := re.search(r"conv_?(\d)_(\d)\.(weight|bias)$", name):
            renamed[f"conv{found[1]}_{found[2]}.{found[3]}"] = value
        elif found := re.search(r"features\.(\d+)\.(weight|bias)$", name):
            renamed[f"{places.get(int(found[1]), name)}.{found[2]}"] = value
        elif found := re.search(r"fc_?(\d)\.(weight|bias)$", name):
            renamed[f"fc{found[1]}.{found[2]}"] = value
        elif found := re.search(r"classifier\.(\d)\.(weight|bias)$", name):
            renamed[f"{dense.get(int(found[1]), name)}.{found[2]}"] = value
    return renamed


def _names(block: int, count: int) -> list[str]:
    return [f"conv{block}_{index}" for index in range(1, count + 1)]


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
            cnn: image to embedding.
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
            return missing_encoding(self, batch, segments)
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
        vector = scatter_rows(states[-1], there)
        parts = None
        if segments:
            steps, _ = pad_packed_sequence(outputs, batch_first=True)
            places = torch.arange(steps.shape[1], device=mask.device)
            shares = segment_shares(places < lengths.unsqueeze(1), segments)
            parts = scatter_rows(torch.bmm(shares.to(steps.dtype), steps), there)
        return Encoded(vector, there, parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`; frames stay in their order."""
        outputs, _ = self.lstm(self.dropout(embed_all(self.cnn, whole)))
        return outputs[:, -1], mean_segments(outputs, segments)

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(vector))
        return logits


_FARTHEST: Final = 6.0
"""Standardised units are cut here: one odd row must not rule."""


class ActionUnitMLP(Unimodal):
    """Standardised action units through dense layers."""

    modality = "au"
    part = "au"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, hidden: tuple[int, ...], dropout: float, input_dropout: float, classes: str
    ) -> None:
        """Set up.

        Args:
            hidden: widths of the hidden layers; none: the units themselves are the vector.
            dropout: after each hidden layer.
            input_dropout: of units.
            classes: 'speech' (8) or 'emotions' (7).
        """
        super().__init__()
        self.classes = CLASSES[classes]
        self.register_buffer("mean", torch.zeros(UNITS))
        self.register_buffer("deviation", torch.ones(UNITS))
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        given = UNITS
        for width in hidden:
            layers += [nn.Linear(given, width), nn.ReLU(), nn.Dropout(dropout)]
            given = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(given, len(self.classes))
        self.width = self.segment_width = given

    def encode(self, batch: Batch, segments: int = 0) -> Encoded:
        """See `Unimodal.encode`; units are means over the item, so all segments are alike."""
        units, there = batch.units, batch.units_mask
        if units is None or (there is not None and not bool(there.any())):
            return missing_encoding(self, batch, segments)
        if there is None:
            there = torch.ones(len(units), dtype=torch.bool, device=units.device)
        vector = scatter_rows(self.read(units[there])[0], there)
        parts = vector.unsqueeze(1).expand(-1, segments, -1) if segments else None
        return Encoded(vector, there, parts)

    def read(self, whole: Tensor, segments: int = 0) -> tuple[Tensor, Tensor | None]:
        """See `Unimodal.read`."""
        given = (whole - self.mean) / self.deviation
        vector: Tensor = self.layers(given.clamp(-_FARTHEST, _FARTHEST))
        return vector, vector.unsqueeze(1).expand(-1, segments, -1) if segments else None

    def classify(self, vector: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B, classes)."""
        logits: Tensor = self.head(vector)
        return logits


def standardise_units(model: nn.Module, units: Tensor) -> bool:
    """Tell every action-unit part of a model what units are like; before training.

    Args:
        model: changed in place.
        units: (N, 35) of the training data.

    Returns:
        False: the model has no such part.
    """
    deviation, mean = torch.std_mean(units.double(), dim=0, correction=0)
    # A unit that never changes in the training data says nothing.
    deviation = torch.where(deviation < 1e-6, torch.ones_like(deviation), deviation)
    parts = [module for module in model.modules() if isinstance(module, ActionUnitMLP)]
    for part in parts:
        part.mean.copy_(mean)
        part.deviation.copy_(deviation)
    return bool(parts)
