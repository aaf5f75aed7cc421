"""Speech encoder that starts from Whisper's (Radford et al. 2022, arXiv 2212.04356).

It reads the same spectrogram as the FCN, so nothing before the network depends on which of the
two a model has.  Two convolutions and the first few transformer layers are taken; later layers
tell words, and little of how they were said.  The layers' outputs are mixed by learnt weights
(Yang et al. 2021, arXiv 2105.01051, section 2.2), and attention over time pools them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avemo_ros.audio.spectrogram import BINS, DFT, SAMPLE_RATE
from avemo_ros.errors import WeightsError
from avemo_ros.model.attention import SHARPNESS
from avemo_ros.model.preprocess import MAX_COLUMNS, RANGE_DB
from avemo_ros.model.speech_encoder import SpeechEncoder

MELS: Final = 80
_TOP_HZ: Final = 8000.0
"""Of Whisper's mel bands; those above our 4 kHz are silent."""
_LOUDEST: Final = 1.5
"""log10 of the loudest mel band, as Whisper sees it in recordings of speech."""
_RANGE: Final = 8.0
"""Whisper cuts the log10 of the power this far below its maximum."""
_HEAD_WIDTH: Final = 64


class WhisperEncoder(SpeechEncoder):
    """Spectrogram to emotion vector; a step is 20 ms."""

    mels: Tensor
    positions: Tensor

    def __init__(
        self,
        width: int = 512,
        layers: int = 3,
        *,
        attention: str = "time",
        sharpness: float = SHARPNESS,
        statistics: bool = True,
        hidden: bool = False,
        pooled_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        """Set up.

        Args:
            width: of the states, a multiple of 64; Whisper tiny 384, base 512.
            layers: how many transformer layers are kept.
            attention: over 'time', or the 'mean'.
            sharpness: lambda of the attention, 0 to 1.
            statistics: see `SpeechEncoder`.
            hidden: a GELU after mean and deviation are joined, so that what stands on a frozen
                encoder is no linear function of them.
            pooled_dropout: of mean and deviation, in training.
            dropout: of each layer's branches, in training.
        """
        super().__init__(width, attention, sharpness, statistics=statistics)
        self.register_buffer("mels", torch.from_numpy(_mel_bands()), persistent=False)
        self.register_buffer("positions", _positions(MAX_COLUMNS // 2, width), persistent=False)
        self.first = nn.Conv1d(MELS, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(_Layer(width, dropout) for _ in range(layers))
        self.mix = nn.Parameter(torch.zeros(layers + 1))
        with torch.no_grad():
            # The last layer counts most at first.
            self.mix[-1] = 2.0
        # A few of Whisper's channels are a hundred times larger than most.
        self.standardise = _Standardise(2 * width, pooled_dropout)
        if hidden:
            self.activation = nn.GELU()
        self.norms = nn.ModuleList(
            nn.LayerNorm(width, elementwise_affine=False) for _ in range(layers + 1)
        )

    def log_mels(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), as `preprocess.relative` scales it, to Whisper's input (B, 80, T)."""
        below_db = spectrogram.squeeze(1) * (RANGE_DB / 4) - RANGE_DB / 2
        power = torch.exp(below_db * (math.log(10.0) / 10.0)) @ self.mels
        level = power.clamp_min(1e-12).log10().transpose(1, 2)
        level = level - level.amax((1, 2), keepdim=True)
        return (level.clamp_min(-_RANGE) + (4.0 + _LOUDEST)) / 4.0

    def states(self, spectrogram: Tensor) -> list[Tensor]:
        """(B, 1, T, 200) to what each layer gives, (B, T', width), and what goes into the
        first."""
        state = functional.gelu(self.first(self.log_mels(spectrogram)))
        state = functional.gelu(self.second(state)).transpose(1, 2)
        state = state + self.positions[: state.shape[1]]
        found = [state]
        for layer in self.layers:
            state = layer(state)
            found.append(state)
        return found

    def cells(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, T, 200), T from 63 columns, to the cells (B, width, T', 1)."""
        shares = torch.softmax(self.mix, 0)
        states = self.states(spectrogram)
        mixed = sum(
            share * norm(state)
            for share, norm, state in zip(shares, self.norms, states, strict=True)
        )
        assert isinstance(mixed, Tensor)
        return mixed.transpose(1, 2).unsqueeze(3)


class _Standardise(nn.BatchNorm1d):
    """Batch norm that also takes a single row in training, as when the others lack a voice;
    dropout after it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(width, affine=False)
        self.dropout = dropout

    def forward(self, given: Tensor) -> Tensor:
        """(B, width) to the same shape."""
        if not self.training or len(given) > 1:
            found = super().forward(given)
        else:
            assert self.running_mean is not None  # it keeps statistics
            assert self.running_var is not None
            found = functional.batch_norm(
                given, self.running_mean, self.running_var, eps=self.eps
            )
        return functional.dropout(found, self.dropout, self.training)


class _Layer(nn.Module):
    """A layer of the transformer: attention, then two dense layers; norms before each."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // _HEAD_WIDTH
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.dense_norm = nn.LayerNorm(width)
        self.dense_in = nn.Linear(width, 4 * width)
        self.dense_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor) -> Tensor:
        """(B, T', width) to the same shape."""
        rows, steps, width = state.shape
        joined = self.attention_in(self.attention_norm(state))
        query, key, value = joined.view(rows, steps, 3, self.heads, _HEAD_WIDTH).unbind(2)
        heard = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        heard = heard.transpose(1, 2).reshape(rows, steps, width)
        state = state + self.dropout(self.attention_out(heard))
        inner = functional.gelu(self.dense_in(self.dense_norm(state)))
        result: Tensor = state + self.dropout(self.dense_out(inner))
        return result


def _mel_bands() -> NDArray[np.float32]:
    """(200, 80): how much each of our bins gives to each of Whisper's bands (Slaney's mel scale
    and area, as librosa's `filters.mel`)."""
    edges = _hertz(np.linspace(0.0, _mel(_TOP_HZ), MELS + 2))
    bins = np.arange(BINS) * (SAMPLE_RATE / DFT)
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rise = (bins[:, None] - below) / (centre - below)
    fall = (above - bins[:, None]) / (above - centre)
    bands = np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (above - below))
    return np.asarray(bands, np.float32)


_BREAK_HZ: Final = 1000.0
"""Slaney's mel scale is linear below, logarithmic above."""
_LINEAR: Final = 200.0 / 3.0
_STEP: Final = math.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR
    return _BREAK_HZ / _LINEAR + math.log(hertz / _BREAK_HZ) / _STEP


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = _BREAK_HZ / _LINEAR
    bent = _BREAK_HZ * np.exp(_STEP * (np.maximum(mel, turn) - turn))
    return np.where(mel < turn, mel * _LINEAR, bent)


def _positions(count: int, width: int) -> Tensor:
    """(count, width) sinusoids (Vaswani et al. 2017), sines first, as Whisper's."""
    half = width // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10_000.0) / (half - 1)))
    angles = torch.arange(count).unsqueeze(1) * rates
    return torch.cat((angles.sin(), angles.cos()), 1)


_FIRST: Final = {"first": "encoder/conv1", "second": "encoder/conv2"}
_DENSE: Final = {
    "attention_in": "self_attention/linear_0",
    "attention_out": "self_attention/linear_1",
    "dense_in": "ffn/linear_0",
    "dense_out": "ffn/linear_1",
}
_NORMS: Final = {"attention_norm": "self_attention/layer_norm", "dense_norm": "ffn/layer_norm"}


def init_from_whisper(encoder: WhisperEncoder, path: Path) -> str:
    """Give an encoder the weights of Whisper's.

    Args:
        encoder: of the same width; changed in place.
        path: `model.bin` of a Whisper model in the format of CTranslate2 (version 6), its
            tensors in float16 or float32.

    Returns:
        Which tensors were taken, in words.

    Raises:
        WeightsError: the file is missing, damaged, of another model, or has fewer layers or
            another width.
    """
    names = dict(_FIRST)
    for index in range(len(encoder.layers)):
        for ours, theirs in {**_DENSE, **_NORMS}.items():
            names[f"layers.{index}.{ours}"] = f"encoder/layer_{index}/{theirs}"
    state = encoder.state_dict()
    given = _read_ctranslate2(path)
    for ours, theirs in names.items():
        is_norm = theirs.endswith("layer_norm")
        for end, end_of_theirs in (
            ("weight", "gamma" if is_norm else "weight"),
            ("bias", "beta" if is_norm else "bias"),
        ):
            tensor = given.get(f"{theirs}/{end_of_theirs}")
            wanted = state[f"{ours}.{end}"]
            shape = None if tensor is None else tuple(tensor.shape)
            if tensor is None or shape != tuple(wanted.shape):
                raise WeightsError(
                    f"{path}: {theirs}/{end_of_theirs} is {shape or 'missing'}; this model "
                    f"needs {tuple(wanted.shape)}. Whisper tiny has 4 layers of width 384, "
                    "base has 6 of 512"
                )
            wanted.copy_(torch.from_numpy(tensor.astype(np.float32)))
    return f"Whisper: both convolutions and {len(encoder.layers)} of its layers are from {path}"


_TYPES: Final[dict[int, np.dtype[Any]]] = {0: np.dtype(np.float32), 4: np.dtype(np.float16)}
"""Numbers of CTranslate2's types; the others are quantised."""


def _read_ctranslate2(path: Path) -> dict[str, NDArray[np.floating[Any]]]:
    """Tensors of the encoder by name."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error
    try:
        return dict(_tensors(path, content))
    except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise WeightsError(
            f"weights file {path} is damaged or not `model.bin` of CTranslate2; get it again"
        ) from error


def _tensors(path: Path, content: bytes) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + kind, content, place)
        place += struct.calcsize("<" + kind)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        value = content[place : place + length - 1].decode()
        place += length
        return value

    if number("I") != _VERSION or text() != "WhisperSpec":
        raise WeightsError(
            f"{path} is no Whisper model in the format of CTranslate2 (version {_VERSION})"
        )
    number("I")  # revision of the specification
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = number("B"), number("I")
        if place + size > len(content):
            raise ValueError("it ends within a tensor")
        if name.startswith("encoder/") and kind not in _TYPES and shape:
            raise WeightsError(f"{path}: {name} is quantised; take the model in float16")
        if name.startswith("encoder/") and kind in _TYPES:
            dtype = _TYPES[kind]
            flat = np.frombuffer(content, dtype, size // dtype.itemsize, place)
            yield name, flat.reshape(shape)
        place += size


_VERSION: Final = 6
